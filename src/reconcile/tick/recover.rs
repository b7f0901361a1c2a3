//! Starting, which is recovering: what the record names is looked for in the store, and what is damaged fetched again.

use super::{Agent, Ports};
use crate::{
    api::{Result, ledger::Record},
    reconcile::apply,
};

impl Agent {
    pub(super) fn recover(&mut self, ports: &mut Ports<'_>) -> Result<()> {
        let previous = self.record.previous.clone();
        let generations: Vec<_> =
            std::iter::once(&self.record.generation).chain(previous.iter().map(|(_, generation)| generation)).collect();
        let sound = ports.store.recover(&generations)?;
        let Some(tip) = self.record.tip.clone() else { return Ok(()) };
        self.damaged = self.record.generation.packs.is_empty() || sound.first() != Some(&true);
        if self.damaged {
            log::warn!("the objects of {} are damaged or gone; the next poll fetches them again", tip.commit.short());
        }
        let (accepted, generation) = match previous {
            _ if !self.damaged => (tip, self.record.generation.clone()),
            Some(previous) if sound.get(1) == Some(&true) => previous,
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
        ports.link.fetch(tip.commit, None, &mut *quarantine)?;
        let generation = quarantine.promote(tip.commit)?;
        let record = Record { generation, previous: None, ..self.record.clone() };
        self.save(ports, record)?;
        self.damaged = false;
        self.bind(&tip, &self.record.generation.clone(), ports);
        self.sweep(ports);
        Ok(())
    }
}
