//! Starting, which is recovering: what the record names is looked for in the store, and what is damaged fetched again.

use super::{Agent, Ports, Specs};
use crate::{
    api::{Error, Oid, Reason, Result, ledger::Record},
    reconcile::apply,
};

impl Agent {
    pub(super) fn recover(&mut self, ports: &mut Ports<'_>) -> Result<()> {
        let previous = self.record.previous.clone();
        let generations: Vec<_> =
            std::iter::once(&self.record.generation).chain(previous.iter().map(|(_, generation)| generation)).collect();
        let sound = ports.store.recover(&generations)?;
        let Some(tip) = self.record.tip.clone() else { return Ok(()) };
        let is_whole = |at: usize| sound.get(at) == Some(&true) && !generations[at].packs.is_empty();
        self.damaged = !is_whole(0);
        if self.damaged {
            log::warn!("the objects of {} are damaged or gone; the next poll fetches them again", tip.commit.short());
        }
        let (accepted, generation) = match previous {
            _ if !self.damaged => (tip, self.record.generation.clone()),
            Some(previous) if is_whole(1) => previous,
            _ => return Ok(()),
        };
        self.bind(&accepted, &generation, ports);
        if let Some(older) = self.bound.as_mut().filter(|_| self.damaged) {
            apply::keep_in_hand(older, &self.record.owned);
        }
        Ok(())
    }

    /// Fetches the accepted tip again by its name: the name is the proof that it is the same.
    pub(super) fn restore(&mut self, ports: &mut Ports<'_>) -> Result<()> {
        let Some(tip) = self.record.tip.clone() else { return Ok(()) };
        let mut quarantine = ports.store.quarantine(&Default::default())?;
        ports.link.fetch(self.want(tip.commit, None), &mut *quarantine).map_err(|error| gone(tip.commit, error))?;
        let generation = quarantine.promote(tip.commit, &self.settings.device)?;
        self.reinstate(ports, Record { generation, previous: None, ..self.record.clone() })
    }

    /// Puts in force a tip that was accepted before, as the record has it: what no longer fits the device does not keep
    /// it from being the floor.
    pub(super) fn reinstate(&mut self, ports: &mut Ports<'_>, record: Record) -> Result<()> {
        let Some(tip) = record.tip.clone() else { return Ok(()) };
        let specs = self.read_specs(&tip, &record.generation, ports.store, ports.board);
        let owned = match &specs {
            Ok(Specs { bound, .. }) => apply::take_in_hand(&record.owned, bound),
            Err(_) => record.owned.clone(),
        };
        self.save(ports, Record { owned, ..record })?;
        self.damaged = false;
        self.hold(specs);
        self.sweep(ports);
        Ok(())
    }
}

/// Why the accepted tip cannot be had, in words that say what that means.
pub(super) fn gone(tip: Oid, error: Error) -> Error {
    match error.reason() {
        Reason::CommitNotFound => {
            let what = format!("the hub no longer has {}, which this device accepted", tip.short());
            Error::new(Reason::CommitNotFound, what)
                .hint("the hub went back: push the branch from a clone that has it; or let a root write a Reset")
                .caused_by(error)
        }
        _ => error,
    }
}
