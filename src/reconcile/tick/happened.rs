//! What a tick tells of itself.

use crate::{
    api::{DeviceStatus, Error, Oid, Reason, ledger::Accepted},
    reconcile::{apply::Outcome, report},
};

/// What happened in one tick.
#[derive(Debug)]
pub struct Tick {
    /// The tip that was accepted in this tick, if it is a new one.
    pub advanced: Option<Accepted>,
    /// Why the device does not follow the branch, if it does not.
    pub sync_error: Option<Error>,
    /// Why what the link brought was not taken; `None` where it was, or the link brought nothing.
    pub refused: Option<Error>,
    /// What became of each resource.
    pub outcomes: Vec<Outcome>,
    /// What became of the status.
    pub published: Published,
    /// Why the status could not be written, or what was done could not be recorded.
    pub publish_error: Option<Error>,
    /// The status as it stands.
    pub status: DeviceStatus,
}

/// What became of the status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Published {
    /// Nothing in it was worth a push.
    Unchanged,
    /// It waits, to go with what comes next: for so many seconds, or else until the day's bytes allow it.
    Held(Option<u64>),
    /// It was pushed.
    Pushed(LastPush),
    /// It waits in the outbox, and goes with every stick until the hub is known to have it.
    Kept(LastPush),
    /// It could not be.
    NotPushed,
}

/// A status that reached the hub, or is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastPush {
    /// Its commit.
    pub commit: Oid,
    /// Its sequence number.
    pub sequence: u64,
}

impl Tick {
    /// The error that decides the exit code and the backoff: the link's or the verdict's first, then the status's,
    /// then that something is not ready.
    pub fn error(&self) -> Option<Error> {
        let first = self.sync_error.as_ref().or(self.publish_error.as_ref());
        first.map(Error::flattened).or_else(|| {
            let failed = self.outcomes.iter().find(|outcome| !outcome.is_ready())?;
            let waiting = self.outcomes.iter().filter(|outcome| !outcome.is_ready()).count();
            let first = report::line(failed).unwrap_or_else(|| failed.key.to_string());
            let what = format!("{waiting} of {} resources are not ready, first {first}", self.outcomes.len());
            let error = Error::new(Reason::NotReady, what);
            Some(match failed.error.as_ref().and_then(Error::get_hint) {
                Some(hint) => error.hint(hint),
                None => error,
            })
        })
    }

    /// Whether anything was done or is wrong, so that there is something to say.
    pub fn is_quiet(&self) -> bool {
        let quiet = |outcome: &Outcome| report::line(outcome).is_none();
        self.advanced.is_none()
            && self.sync_error.is_none()
            && self.publish_error.is_none()
            && self.outcomes.iter().all(quiet)
    }
}
