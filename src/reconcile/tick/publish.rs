//! The end of a tick: what was done is recorded, and the status is pushed if there is something in it that the hub does
//! not have.
//!
//! The record names a status before it is pushed, and the next listing tells whether it arrived: one write to flash for
//! each status, and no sequence number twice. A status that did not arrive is pushed again as it is, for as long as the
//! agent runs and nothing in it changed; otherwise another takes its place, and the sequence shows the gap.

use super::{Agent, LastPush, Moment, Ports, Published, Tick};
use crate::{
    api::{
        Error, Oid, Reason, Result,
        ledger::{LastStatus, Record},
        object::NewObject,
    },
    reconcile::{ports::Listing, report},
};

/// Where the status ref stands, seen from the last status that was made.
struct Standing {
    parent: Option<Oid>,
    delivered: bool,
}

/// A status that was sealed, and is not known to have arrived.
pub(super) struct Unsent {
    status: LastStatus,
    objects: [NewObject; 3],
}

impl Unsent {
    fn says(&self, parent: Option<Oid>, digest: [u8; 16]) -> bool {
        (self.status.parent, self.status.digest) == (parent, digest)
    }
}

impl Agent {
    pub(super) fn publish(&mut self, ports: &mut Ports<'_>, tick: &Tick, now: Moment) -> Result<Published> {
        let digest = report::digest(&tick.status)?;
        let standing = self.listing.map(|listing| self.standing(&listing)).transpose();
        match standing {
            Ok(Some(standing)) if self.is_due(&standing, digest, now) => {
                let unsent = match self.unsent.take().filter(|unsent| unsent.says(standing.parent, digest)) {
                    Some(unsent) => unsent,
                    None => self.seal(ports, tick, now, standing.parent, digest)?,
                };
                self.push(ports, unsent, now)
            }
            standing => {
                if self.unsaved {
                    self.save(ports, self.record.clone())?;
                }
                standing.map(|_| Published::Unchanged)
            }
        }
    }

    fn is_due(&mut self, standing: &Standing, digest: [u8; 16], now: Moment) -> bool {
        let news = self.record.status.as_ref().is_none_or(|last| last.digest != digest);
        !standing.delivered || news || self.went_back.is_some() || self.heartbeat_is_due(now)
    }

    fn heartbeat_is_due(&mut self, now: Moment) -> bool {
        let since = *self.last_push.get_or_insert(now.uptime);
        self.settings.heartbeat.is_some_and(|interval| now.uptime.saturating_sub(since) >= interval)
    }

    fn standing(&self, listing: &Listing) -> Result<Standing> {
        match (listing.status, &self.record.status) {
            (Some(hub), Some(last)) if hub == last.commit => Ok(Standing { parent: Some(hub), delivered: true }),
            (hub, Some(last)) if hub == last.parent => Ok(Standing { parent: hub, delivered: false }),
            (None, _) => Ok(Standing { parent: None, delivered: false }),
            (Some(hub), last) => Err(self.ref_moved(hub, last.as_ref())),
        }
    }

    /// Whether the status ref is where the record can explain it.
    pub(super) fn knows_status(&self, listing: &Listing) -> bool {
        self.standing(listing).is_ok()
    }

    fn ref_moved(&self, hub: Oid, last: Option<&LastStatus>) -> Error {
        let mine = last.map_or("this device has made no status yet".into(), |last| {
            format!("the last status of this device is {}", last.commit.short())
        });
        let what = format!("the status ref of {} is at {}, and {mine}", self.settings.device, hub.short());
        Error::new(Reason::StatusRefMoved, what).hint(if self.twin == Some(hub) { TWIN } else { MOVED })
    }

    fn seal(
        &self,
        ports: &Ports<'_>,
        tick: &Tick,
        now: Moment,
        parent: Option<Oid>,
        digest: [u8; 16],
    ) -> Result<Unsent> {
        let message = report::message(&tick.status, self.went_back.iter().chain(self.news.values()));
        let objects = ports.seal.seal(&tick.status, parent, now.time, &message)?;
        let status = LastStatus { commit: objects[2].id, parent, sequence: tick.status.sequence, digest };
        Ok(Unsent { status, objects })
    }

    fn push(&mut self, ports: &mut Ports<'_>, unsent: Unsent, now: Moment) -> Result<Published> {
        let last = self.record.status.clone();
        if self.unsaved || last.as_ref() != Some(&unsent.status) {
            self.save(ports, Record { status: Some(unsent.status.clone()), ..self.record.clone() })?;
        }
        let LastStatus { commit, parent, sequence, .. } = unsent.status;
        if let Err(error) = ports.link.publish(parent, commit, &unsent.objects) {
            self.unsent = Some(unsent);
            // A ref that the hub hides looks like one that is not there. Once it is shown again, the last one counts.
            if error.reason() == Reason::PushRejected && parent.is_none() && last.is_some() {
                self.save(ports, Record { status: last, ..self.record.clone() })?;
            }
            return Err(error);
        }
        self.last_push = Some(now.uptime);
        self.went_back = None;
        self.news.clear();
        Ok(Published::Pushed(LastPush { commit, sequence }))
    }
}

const TWIN: &str = "this device's key signed it: find the other board that has the key, and give it a name and a key of its \
    own; then restart giterd";
const MOVED: &str = "find out who moved it; then delete the ref on the hub, and the device begins a new chain";
