//! The end of a tick that meets a stick, and of one that meets the hub after sticks.
//!
//! A stick is no hub: nobody says whether what it takes along arrives. So a status goes into the outbox first, then into
//! the record, and all of the outbox onto every stick. It leaves the outbox when the hub itself shows that it has it, or
//! when a stick says so of one that is there; what else a stick says is of no account.

use super::{
    Agent, LastPush, Ports, Published,
    publish::{Place, Report, Standing},
};
use crate::{
    api::{Oid, Result, ledger::Record, limits},
    reconcile::{outbox::Statuses, ports::Carried},
};

impl Agent {
    /// Reads the outbox. What the record does not reach was never spoken for.
    pub(super) fn open_outbox(&mut self, ports: &mut Ports<'_>) {
        match ports.outbox.load() {
            Ok(statuses) => self.outbox = statuses,
            Err(error) => log::warn!("{}", error.one_line()),
        }
        if !self.cut_to_record() {
            self.outbox = Statuses::default();
        }
    }

    /// Whether the record's status is one of the chain, which then ends there.
    fn cut_to_record(&mut self) -> bool {
        self.record.status.as_ref().is_some_and(|last| self.outbox.cut_after(last.commit))
    }

    /// How many statuses wait that follow one at the hub, if it is of the chain.
    pub(super) fn waiting_after(&self, hub: Option<Oid>) -> Option<usize> {
        self.outbox.after(hub).filter(|_| !self.outbox.is_empty())
    }

    /// Has the stick take along what the hub is not known to have, with what there is to say now.
    pub(super) fn hand_over(
        &mut self,
        ports: &mut Ports<'_>,
        carried: Carried,
        report: Report<'_>,
    ) -> Result<Published> {
        self.begin_outbox(ports)?;
        if let Some(heard) = carried.heard.filter(|heard| self.outbox.base != Some(*heard)) {
            let mut left = self.outbox.clone();
            if left.heard(heard) {
                log::info!(
                    "the hub has heard {} of {} statuses",
                    self.outbox.links.len() - left.links.len(),
                    self.outbox.links.len()
                );
                self.keep(ports, left)?;
            }
        }
        let last = self.record.status.as_ref().map(|last| last.commit);
        let published = match self.due(last == self.outbox.tip(), report) {
            Some(_) => Published::Kept(self.add(ports, report, 0)?),
            None => Published::Unchanged,
        };
        if let Some(tip) = self.outbox.tip().filter(|_| !self.outbox.is_empty()) {
            ports.link.publish(self.outbox.base, tip, &self.outbox.last(self.outbox.links.len()))?;
        }
        Ok(published)
    }

    /// Lets the outbox go on from the last status, wherever that went: from one that the hub is known to have.
    fn begin_outbox(&mut self, ports: &mut Ports<'_>) -> Result<()> {
        if self.cut_to_record() {
            return Ok(());
        }
        let unsent = self.unsent.take();
        self.outbox = match &self.record.status {
            None => Statuses::default(),
            Some(last) if self.heard == Some(last.commit) => Statuses::none_after(self.heard),
            Some(last) => match unsent.filter(|unsent| unsent.status == *last && last.replaces.is_none()) {
                Some(unsent) => {
                    let chain = Statuses { base: last.parent, links: vec![unsent.sealed.objects] };
                    return self.keep(ports, chain);
                }
                // Whatever became of a heartbeat, the next one may take its place.
                None if last.heartbeat => Statuses::none_after(last.parent),
                // One that the hub refused is not the last; of any other it is the rule that it arrived.
                None => Statuses::none_after(Some(last.commit)),
            },
        };
        Ok(())
    }

    /// Makes a status on top of the outbox, and makes it durable there before the record names it; `bytes` more are on
    /// their way with it.
    fn add(&mut self, ports: &mut Ports<'_>, report: Report<'_>, bytes: u64) -> Result<LastPush> {
        let mut chain = self.outbox.clone();
        if chain.is_full() {
            let lost = format!(
                "{} statuses that no stick is known to have brought to the hub were given up",
                chain.links.len()
            );
            log::warn!("{lost}");
            self.gave_up = Some(lost);
            chain.links.clear();
        }
        let repeats = self.record.status.as_ref().is_some_and(|last| last.digest == report.digest);
        let made = self.seal(ports, report, Place { parent: chain.tip(), replaces: None, repeats })?;
        chain.links.push(made.sealed.objects);
        self.keep(ports, chain)?;
        let pushes = Some(self.charged(&made.status, bytes, report.now));
        let (commit, sequence) = (made.status.commit, made.status.sequence);
        self.save(ports, Record { status: Some(made.status), pushes, ..self.record.clone() })?;
        self.unsent = None;
        self.has_told();
        Ok(LastPush { commit, sequence })
    }

    fn keep(&mut self, ports: &mut Ports<'_>, statuses: Statuses) -> Result<()> {
        ports.outbox.save(&statuses)?;
        self.outbox = statuses;
        Ok(())
    }

    /// Pushes what waits for sticks, in one push with what there is to say now. The day's bytes do not hold it back: it is
    /// the record of what was. They are spent all the same.
    pub(super) fn send_along(
        &mut self,
        ports: &mut Ports<'_>,
        standing: &Standing,
        report: Report<'_>,
    ) -> Result<Published> {
        let Some(waiting) = self.waiting_after(standing.at).filter(|waiting| *waiting > 0) else {
            let arrived = self.outbox.tip() == standing.at;
            if !arrived {
                log::warn!("{} statuses that waited for sticks can follow nothing at the hub", self.outbox.links.len());
            }
            self.keep(ports, Statuses::none_after(standing.at))?;
            return self.tell(ports, standing, report);
        };
        let objects = self.outbox.last(waiting);
        let bytes = limits::PUSH_OVERHEAD + objects.iter().map(|new| new.object.data.len() as u64).sum::<u64>();
        if self.due(true, report).is_some() && !self.outbox.is_full() {
            self.add(ports, report, bytes)?;
        } else if let Some(last) = self.record.status.clone() {
            let pushes = Some(self.charged(&last, bytes, report.now));
            self.save(ports, Record { pushes, ..self.record.clone() })?;
        }
        let (Some(commit), Some(count)) = (self.outbox.tip(), self.waiting_after(standing.at)) else {
            return Ok(Published::Unchanged);
        };
        ports.link.publish(standing.at, commit, &self.outbox.last(count))?;
        self.heard = Some(commit);
        self.keep(ports, Statuses::none_after(self.heard))?;
        let sequence = self.record.status.as_ref().map_or(0, |last| last.sequence);
        Ok(Published::Pushed(LastPush { commit, sequence }))
    }
}
