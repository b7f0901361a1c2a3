//! The end of a tick: what was done is recorded, and the status is pushed if there is something in it that the hub does
//! not have.
//!
//! The record names a status before it is pushed, and the next listing tells whether it arrived: one write to flash for
//! each push, and no sequence number twice. A status that did not arrive is pushed again as it is, for as long as the
//! agent runs and nothing in it changed; otherwise another takes its place, and the sequence shows the gap. One that the hub
//! refused was never there, and leaves none.

use super::{
    Agent, DeviceStatus, LastPush, Moment, Ports, Published, Sealed, Tick,
    budget::{self, Purse, Worth},
};
use crate::{
    api::{
        Condition, ConditionStatus, ConditionType, Error, Oid, Reason, Result,
        ledger::{LastStatus, Pushes, Record},
        limits,
    },
    reconcile::{ports::Listing, report},
};

/// Where the status ref stands, seen from the last status that was made.
#[derive(Clone, Copy)]
pub(super) struct Standing {
    /// The status there.
    pub(super) at: Option<Oid>,
    /// What that one says, if it is known.
    says: Option<[u8; 16]>,
    /// The status that it repeats, if it is a heartbeat whose place another may take.
    repeats: Option<Oid>,
    /// Whether it is the last one that was made.
    delivered: bool,
}

/// What a tick has to say.
#[derive(Clone, Copy)]
pub(super) struct Report<'a> {
    pub(super) status: &'a DeviceStatus,
    pub(super) digest: [u8; 16],
    pub(super) now: Moment,
}

/// A status that was sealed, and is not known to have arrived.
pub(super) struct Unsent {
    pub(super) status: LastStatus,
    pub(super) sealed: Sealed,
}

/// What waits since the last push.
#[derive(Default)]
pub(super) struct Held {
    changes: u32,
    last: Option<[u8; 16]>,
}

impl Agent {
    pub(super) fn publish(&mut self, ports: &mut Ports<'_>, tick: &Tick, now: Moment) -> Result<Published> {
        let report = Report { status: &tick.status, digest: report::digest(&tick.status)?, now };
        let told = match (self.carried, self.listing) {
            (Some(carried), _) => self.hand_over(ports, carried, report),
            (None, Some(listing)) => self.standing(&listing).and_then(|standing| self.tell(ports, &standing, report)),
            (None, None) => Ok(Published::Unchanged),
        };
        if self.unsaved {
            self.save(ports, self.record.clone())?;
        }
        told
    }

    /// Pushes what is due, unless it has to wait.
    pub(super) fn tell(&mut self, ports: &mut Ports<'_>, standing: &Standing, report: Report<'_>) -> Result<Published> {
        if !self.outbox.is_empty() {
            return self.send_along(ports, standing, report);
        }
        if standing.delivered {
            self.heard = standing.at;
        }
        let Some(worth) = self.due(standing.delivered, report) else { return Ok(Published::Unchanged) };
        if let Some(seconds) = self.coalesces(worth, report.now) {
            self.held.note(worth, report.digest);
            return Ok(Published::Held(Some(seconds)));
        }
        let place = self.place(standing, report.digest);
        let unsent = match self.unsent.take().filter(|unsent| unsent.is(place, report.digest)) {
            Some(unsent) => unsent,
            None => self.seal(ports, report, place)?,
        };
        if self.purse(report.now).is_some_and(|purse| !purse.allows(unsent.sealed.bytes, worth)) {
            self.held.note(worth, report.digest);
            // One that the record does not name yet is made anew when it may go.
            self.unsent = Some(unsent).filter(|unsent| self.record.status.as_ref() == Some(&unsent.status));
            return Ok(Published::Held(None));
        }
        let replaces = unsent.status.replaces.is_some();
        match self.push(ports, unsent, report.now) {
            Err(refusal) if replaces && refusal.reason() == Reason::PushRejected => {
                self.append(ports, standing, report, refusal)
            }
            pushed => pushed,
        }
    }

    /// What the thing that there is to say is worth; `None` if there is nothing.
    pub(super) fn due(&self, is_delivered: bool, report: Report<'_>) -> Option<Worth> {
        let last = self.record.status.as_ref();
        let is_news = last.is_none_or(|last| last.digest != report.digest) || self.went_back.is_some();
        let is_kept = last.is_some_and(|last| !last.heartbeat);
        match is_news || (!is_delivered && is_kept) {
            true if report::is_ready(report.status) => Some(Worth::Change),
            true => Some(Worth::Error),
            false => (!is_delivered || self.heartbeat_is_due(report.now)).then_some(Worth::Heartbeat),
        }
    }

    fn heartbeat_is_due(&self, now: Moment) -> bool {
        let pushes = self.record.pushes.as_ref();
        let is_appended = pushes.is_some_and(|pushes| pushes.appended.is_some());
        let factor = if is_appended { limits::APPENDED_HEARTBEAT_FACTOR } else { 1 };
        let is_over =
            |interval: u64| pushes.is_none_or(|pushes| budget::since(pushes, now) >= interval.saturating_mul(factor));
        self.settings.heartbeat.is_some_and(is_over)
    }

    /// For how many seconds a change has to wait for others.
    fn coalesces(&self, worth: Worth, now: Moment) -> Option<u64> {
        let since = budget::since(self.record.pushes.as_ref()?, now);
        let left = self.settings.coalesce.checked_sub(since).filter(|left| *left > 0);
        left.filter(|_| worth > Worth::Heartbeat)
    }

    fn purse(&self, now: Moment) -> Option<Purse> {
        self.settings.budget.map(|day| Purse::now(day, self.record.pushes.as_ref(), now))
    }

    /// What a status says of what it had to wait for.
    pub(super) fn reported(&self, now: Moment) -> Option<Condition> {
        let low = self.purse(now).filter(|purse| purse.in_hand() < purse.reserve(Worth::Heartbeat));
        let (reason, mut message) = match low {
            Some(purse) => {
                let waits = match purse.in_hand() < purse.reserve(Worth::Change) {
                    true => "only errors are told as they come",
                    false => "heartbeats wait",
                };
                let (left, day) = (purse.in_hand(), purse.day);
                ("BudgetLow", format!("{left} bytes are in hand of {day} a day: {waits}"))
            }
            None if self.held.changes > 0 => ("Coalesced", "changes soon after a push go together".into()),
            None => return None,
        };
        if self.held.changes > 0 {
            message.push_str(&format!("; held back: {}", self.held.changes));
        }
        Some(Condition::new(ConditionType::Reported, ConditionStatus::False, reason, &message))
    }

    fn standing(&self, listing: &Listing) -> Result<Standing> {
        let at = listing.status;
        let standing = |says, repeats, delivered| Standing { at, says, repeats, delivered };
        match (at, &self.record.status) {
            (hub, Some(last)) if let Some(waiting) = self.waiting_after(hub) => {
                Ok(standing(Some(last.digest), None, waiting == 0))
            }
            (Some(hub), Some(last)) if hub == last.commit => {
                Ok(standing(Some(last.digest), last.parent.filter(|_| last.heartbeat), true))
            }
            (Some(hub), Some(last)) if last.replaces == Some(hub) => {
                Ok(standing(Some(last.digest), last.parent, false))
            }
            (hub, Some(last)) if hub == last.parent => {
                let says = (last.heartbeat || last.replaces.is_some()).then_some(last.digest);
                Ok(standing(says, None, false))
            }
            (None, _) => Ok(standing(None, None, false)),
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

    /// Where a status that says this belongs. What repeats a heartbeat takes its place, if the hub lets it.
    fn place(&self, standing: &Standing, digest: [u8; 16]) -> Place {
        let repeats = standing.says == Some(digest);
        let appended = self.record.pushes.as_ref().and_then(|pushes| pushes.appended);
        let may_replace = repeats && appended.is_none_or(|count| count >= limits::APPENDED_HEARTBEATS);
        match standing.repeats.filter(|_| may_replace) {
            Some(parent) => Place { parent: Some(parent), replaces: standing.at, repeats },
            None => Place { parent: standing.at, replaces: None, repeats },
        }
    }

    pub(super) fn seal(&self, ports: &Ports<'_>, report: Report<'_>, place: Place) -> Result<Unsent> {
        let Place { parent, replaces, repeats } = place;
        let Report { status, digest, now } = report;
        let news = || self.went_back.iter().chain(&self.gave_up).chain(self.news.values());
        let message = report::message(status, news());
        let sealed = ports.seal.seal(status, parent, now.time, message)?;
        let (commit, sequence) = (sealed.objects[2].id, status.sequence);
        // What happened stays in the record, although all is as before.
        let heartbeat = repeats && news().next().is_none();
        Ok(Unsent { status: LastStatus { commit, parent, replaces, sequence, digest, heartbeat }, sealed })
    }

    fn push(&mut self, ports: &mut Ports<'_>, unsent: Unsent, now: Moment) -> Result<Published> {
        let (last, pushes) = (self.record.status.clone(), self.charged(&unsent.status, unsent.sealed.bytes, now));
        self.save(ports, Record { status: Some(unsent.status.clone()), pushes: Some(pushes), ..self.record.clone() })?;
        let LastStatus { commit, sequence, .. } = unsent.status;
        let old = unsent.status.before();
        if let Err(error) = ports.link.publish(old, commit, &unsent.sealed.objects) {
            // What the hub refused is nowhere: the one before it is the last, and its number is free. In the place of a
            // heartbeat it may only have come the wrong way, and another is made at once.
            if error.reason() == Reason::PushRejected && unsent.status.replaces.is_none() {
                self.save(ports, Record { status: last, ..self.record.clone() })?;
            }
            self.unsent = Some(unsent);
            return Err(error);
        }
        self.heard = Some(commit);
        self.has_told();
        Ok(Published::Pushed(LastPush { commit, sequence }))
    }

    /// What there was to say is in a status.
    pub(super) fn has_told(&mut self) {
        (self.went_back, self.gave_up) = (None, None);
        self.news.clear();
        self.held = Held::default();
    }

    /// What pushing took, when so many bytes are on their way, of which this is the last status.
    pub(super) fn charged(&self, status: &LastStatus, bytes: u64, now: Moment) -> Pushes {
        let appended = self.record.pushes.as_ref().and_then(|pushes| pushes.appended);
        Pushes {
            boot_id: now.boot_id,
            uptime: now.uptime,
            spent: self.purse(now).map_or(0, |purse| purse.spent.saturating_add(bytes)),
            appended: appended
                .filter(|_| status.replaces.is_none())
                .map(|count| count.saturating_add(status.heartbeat.into())),
        }
    }

    /// The hub refused to have a heartbeat replaced: this one is appended, as are those that follow. If it refuses that as
    /// well, the refusal was about something else.
    fn append(
        &mut self,
        ports: &mut Ports<'_>,
        standing: &Standing,
        report: Report<'_>,
        refusal: Error,
    ) -> Result<Published> {
        if ports.link.list()?.status != standing.at {
            return Err(refusal);
        }
        self.learn(Some(0));
        let status = DeviceStatus { sequence: report.status.sequence + 1, ..report.status.clone() };
        let report = Report { status: &status, ..report };
        let unsent = self.seal(ports, report, self.place(standing, report.digest))?;
        let pushed = self.push(ports, unsent, report.now);
        match &pushed {
            Ok(_) => log::info!("heartbeats are appended, and rarer: {}", refusal.one_line()),
            Err(error) if error.reason() == Reason::PushRejected => {
                self.learn(None);
                self.save(ports, self.record.clone())?;
            }
            Err(_) => {}
        }
        pushed
    }

    fn learn(&mut self, appended: Option<u32>) {
        if let Some(pushes) = &mut self.record.pushes {
            pushes.appended = appended;
        }
    }
}

/// Where a status belongs.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) parent: Option<Oid>,
    /// The heartbeat in whose place it is put.
    pub(super) replaces: Option<Oid>,
    /// Whether it says what the one before it says.
    pub(super) repeats: bool,
}

impl Unsent {
    fn is(&self, place: Place, digest: [u8; 16]) -> bool {
        let LastStatus { parent, replaces, digest: says, .. } = self.status;
        (parent, replaces, says) == (place.parent, place.replaces, digest)
    }
}

impl Held {
    fn note(&mut self, worth: Worth, digest: [u8; 16]) {
        if worth > Worth::Heartbeat && self.last.replace(digest) != Some(digest) {
            self.changes = self.changes.saturating_add(1);
        }
    }
}

const TWIN: &str = "this device's key signed it: find the other board that has the key, and give it a name and a key of its \
    own; then restart giterd";
const MOVED: &str = "find out who moved it; then delete the ref on the hub, and the device begins a new chain";
