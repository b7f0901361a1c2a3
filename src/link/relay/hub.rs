//! The way by the hub: what devices said goes to their refs there, and what they lack of the branch comes into the gateway's
//! folder.
//!
//! ```text
//! the folder -look-> who is due -listing-> requests, statuses -push-> refs -> acknowledgements
//!                                          where each device stands -> bundles (specs)
//! ```
//!
//! Who is due is told by the folder and by what was done before ([`Served`]): a hub that has nothing new is asked for
//! nothing. What a device says is a hint as to what it lacks; nothing is proven here.

use std::{
    collections::BTreeSet,
    io::{self, Read, Write},
    mem,
    path::PathBuf,
    time::Instant,
};

use super::{
    Hashing, Known, Passed, Relay, notes_place, open, papers, read_notes, shared_place, size,
    specs::{Bounded, Scratch},
    write_notes,
};
use crate::{
    api::{DeviceId, Error, Oid, Reason, Result, ledger::Generation, limits},
    codec::{
        enrolment,
        status::Claim,
        stick::{ENROLL, Paper, Place, shared_name, write_ack},
    },
    git::{bundle, claim, outbox, pack},
    link::stick::{is_there, medium::Folder, unread},
    reconcile::{
        outbox::Statuses,
        ports::{Store, Upstream, Want},
        relay::served::{Failure, Handing, Papers, Served, handing, is_outage},
    },
};

/// What the file is called in which the gateway remembers what it did for a device, after the device's name.
const SERVED: &str = ".served";

/// How a gateway carries for a device.
#[derive(Clone, Debug)]
pub struct Carried {
    /// The device.
    pub device: DeviceId,
    /// How many bytes the folder has of it alone.
    pub bytes: u64,
    /// What was done for it at the hub.
    pub served: Served,
}

impl Relay {
    /// Lets everything pass between the hub, which was listed by a tick, and the gateway's folder. What cannot pass keeps
    /// nothing else back, and is tried `again` where that is asked for, or something has changed.
    pub fn pass_hub(&mut self, hub: &mut dyn Upstream, exchange: &str, again: bool) -> Passed {
        let mut passed = Passed::default();
        let mut known = mem::take(&mut self.known);
        if let Some(tip) = hub.branch()
            && let Err(error) = self.visit(hub, exchange, (tip, again), (&mut passed, &mut known))
        {
            passed.fail("relay", error);
        }
        self.known = known;
        passed
    }

    /// How each device is carried for.
    ///
    /// # Errors
    ///
    /// `StickFailed` if the folder cannot be read.
    pub fn carried(&self, exchange: &str) -> Result<Vec<Carried>> {
        let kept = self.folder.exists().then(|| Folder::at(&self.folder)).transpose()?;
        let of = |device: &DeviceId| {
            let bytes =
                kept.iter().flat_map(|kept| papers(exchange, device).map(|(_, place)| size(kept, &place))).sum();
            let served = kept.as_ref().map(|kept| remembered(kept, exchange, device)).unwrap_or_default();
            Carried { device: device.clone(), bytes, served }
        };
        Ok(self.devices.iter().map(of).collect())
    }

    fn visit(
        &self,
        hub: &mut dyn Upstream,
        exchange: &str,
        (tip, again): (Oid, bool),
        (passed, known): (&mut Passed, &mut Known),
    ) -> Result<()> {
        let kept = self.open()?;
        let branch_ref = format!("refs/heads/{}", self.branch);
        let (used, given_up, told) = (None, None, None);
        let mut visit =
            Visit { relay: self, hub, exchange, branch_ref, tip, kept, used, passed, known, given_up, told };
        visit.hub.within(self.visit);
        let damaged = visit.check_bundles(again);
        let look = |device| visit.look(device, again, &damaged);
        let mut stands: Vec<Stand<'_>> = self.devices.iter().map(look).collect();
        if stands.iter().any(|stand| stand.is_due) {
            visit.sweep();
            visit.hand_on(&mut stands);
            visit.serve(&mut stands);
            stands.into_iter().for_each(|stand| visit.remember(stand));
        }
        Ok(())
    }
}

/// One visit of the hub.
pub(super) struct Visit<'a> {
    pub(super) relay: &'a Relay,
    pub(super) hub: &'a mut dyn Upstream,
    pub(super) exchange: &'a str,
    /// The branch's full name.
    pub(super) branch_ref: String,
    /// Where it is.
    pub(super) tip: Oid,
    pub(super) kept: Folder,
    /// How many bytes are kept, once that was measured.
    pub(super) used: Option<u64>,
    pub(super) passed: &'a mut Passed,
    pub(super) known: &'a mut Known,
    /// Why the hub is asked for nothing more.
    given_up: Option<Error>,
    /// What was told of last.
    told: Option<Failure>,
}

/// A device during a visit.
pub(super) struct Stand<'a> {
    pub(super) device: &'a DeviceId,
    before: Served,
    /// What is to be remembered.
    pub(super) served: Served,
    /// The digest of its statuses in the folder.
    said: Option<String>,
    /// Where its requests are in the folder, and their digests: two at most.
    asked: Vec<(Place<'a>, String)>,
    is_due: bool,
    /// Whether it is known which commit it has.
    pub(super) is_known: bool,
    /// Whether it has lost its state. What helps it a publisher brings, and nothing here takes that away.
    pub(super) is_lost: bool,
    /// The first thing that went wrong, or the first that may go better another time.
    failed: Option<Error>,
}

impl<'a> Stand<'a> {
    /// Notes that something went wrong.
    fn fail(&mut self, error: &Error) {
        let may_pass = |error: &Error| Failure::from(error).may_pass();
        if self.failed.as_ref().is_none_or(|failed| may_pass(error) && !may_pass(failed)) {
            self.failed = Some(error.flattened());
        }
    }

    /// Whether it was among those whom the gateway carries for at an earlier visit.
    pub(super) fn was_served(&self) -> bool {
        self.before.tip.is_some()
    }

    /// The device has that commit.
    fn has(&mut self, base: Option<Oid>) {
        (self.served.base, self.is_known) = (base, true);
    }

    /// The requests that were not handed on yet.
    fn new_requests(&self) -> Vec<(Place<'a>, String)> {
        let is_new = |(_, digest): &&(Place<'_>, String)| !self.before.requests.contains(digest);
        self.asked.iter().filter(is_new).cloned().collect()
    }
}

impl<'a> Visit<'a> {
    /// Looks at what the folder has of a device.
    fn look(&mut self, device: &'a DeviceId, again: bool, damaged: &BTreeSet<PathBuf>) -> Stand<'a> {
        let (exchange, tip) = (self.exchange, self.tip);
        let unwritten = self.known.unwritten.get(&notes_place(exchange, device, SERVED).path());
        let before = unwritten.cloned().unwrap_or_else(|| remembered(&self.kept, exchange, device));
        let said = self.digest(&Paper::Statuses.place(exchange, device), Paper::Statuses);
        let requests = [exchange, ENROLL].into_iter().map(|folder| Paper::Request.place(folder, device));
        let requests = requests.filter_map(|place| Some((place.clone(), self.digest(&place, Paper::Request)?)));
        let asked: Vec<_> = requests.collect();
        let own = Paper::Specs.place(exchange, device);
        let shared = before.base.map(|base| (base, shared_place(exchange, &shared_name(tip, Some(base)))));
        let has = |(base, shared): &(Oid, _)| self.is_there(shared, Some(*base)) || self.is_there(&own, Some(*base));
        let has_specs = shared.as_ref().is_some_and(has);
        let is_damaged = [Some(&own), shared.as_ref().map(|(_, place)| place)]
            .into_iter()
            .flatten()
            .any(|place| damaged.contains(&place.path()));
        let is_due = before.is_due(
            tip,
            &Papers {
                statuses: said.as_deref(),
                requests: &Vec::from_iter(asked.iter().map(|(_, digest)| &**digest)),
                has_specs: has_specs || self.is_there(&own, None),
            },
        );
        let is_due = is_due || is_damaged || again && before.failure.is_some();
        // What failed for good waits for a change, whoever else is due.
        let is_known = !is_due && before.failure.is_none();
        Stand { device, served: before.clone(), before, said, asked, is_due, is_known, is_lost: false, failed: None }
    }

    /// Hands on what devices said, with one listing for all of them.
    fn hand_on(&mut self, stands: &mut [Stand<'_>]) {
        let due = || stands.iter().filter(|stand| stand.is_due);
        let statuses = due().map(|stand| self.relay.status_ref(stand.device));
        let requests =
            due().filter(|stand| !stand.new_requests().is_empty()).map(|stand| enrolment::ref_of(stand.device));
        let names: Vec<String> = statuses.chain(requests).collect();
        let found = self.hub.refs(&names).unwrap_or_else(|error| {
            self.given_up = Some(error);
            Vec::new()
        });
        let at = |name: String| names.iter().zip(&found).find(|(found, _)| **found == name).and_then(|(_, id)| *id);
        for stand in stands.iter_mut().filter(|stand| stand.is_due) {
            let mut standing = at(enrolment::ref_of(stand.device));
            for (place, digest) in stand.new_requests() {
                match self.ask(stand.device, &place, &mut standing) {
                    Ok(()) => stand.served.requests.push(digest),
                    Err(error) => self.note(stand, &error),
                }
            }
            if let Err(error) = self.tell(stand, at(self.relay.status_ref(stand.device))) {
                self.note(stand, &error);
            }
            if let Err(error) = self.acknowledge(stand) {
                stand.fail(&error);
            }
        }
    }

    /// Notes what went wrong for a device, and whether the hub is to be asked for more.
    pub(super) fn note(&mut self, stand: &mut Stand<'_>, error: &Error) {
        stand.fail(error);
        if is_outage(error.reason()) {
            self.given_up.get_or_insert(error.flattened());
        }
    }

    /// A hub that is gone, or silent, is not asked for every device in turn.
    pub(super) fn go_on(&self) -> Result<()> {
        self.given_up.as_ref().map_or(Ok(()), |error| Err(error.flattened()))
    }

    /// Hands on a request to be enrolled; one stands there at most.
    fn ask(&mut self, device: &DeviceId, place: &Place<'_>, standing: &mut Option<Oid>) -> Result<()> {
        self.go_on()?;
        let name = enrolment::ref_of(device);
        let bytes = self.bytes(place, Paper::Request)?;
        let mut rest = bytes.as_slice();
        let invalid = || Error::new(Reason::BundleInvalid, format!("{} has no {name}", place.path().display()));
        let [new] = bundle::header(&mut rest, [&*name])?.refs;
        let new = new.ok_or_else(invalid)?;
        match standing {
            Some(standing) if *standing == new => {}
            Some(standing) => {
                let what = format!("another request of {device} stands at {name}, {}", standing.short());
                return Err(Error::new(Reason::EnrolmentConflict, what)
                    .hint("let a publisher see who asks, with 'giterctl approve'"));
            }
            None => {
                let objects = pack::read(rest, limits::REQUEST_BUNDLE_BYTES as usize)?;
                self.hub.push(&name, None, new, &objects).map_err(|error| explained(error, device))?;
                self.passed.gave.push(place.path());
                *standing = Some(new);
            }
        }
        Ok(())
    }

    /// Hands on a device's statuses, as far as the hub lacks them, and learns which commit it has.
    fn tell(&mut self, stand: &mut Stand<'_>, hub: Option<Oid>) -> Result<()> {
        self.go_on()?;
        stand.served.status = hub;
        let said = self.statuses(stand);
        let Some((statuses, claim)) = said.as_ref().ok().and_then(Option::as_ref) else {
            self.stands_where_the_hub_heard(stand, hub)?;
            return said.map(drop);
        };
        stand.has(claim.as_ref().map_or(stand.before.base, |claim| claim.observed_revision));
        match (handing(statuses, hub), hub, statuses.tip()) {
            (Handing::Last(count), _, Some(tip)) => {
                let name = self.relay.status_ref(stand.device);
                self.hub
                    .push(&name, hub, tip, &statuses.last(count))
                    .map_err(|error| explained(error, stand.device))?;
                stand.served.status = Some(tip);
                self.passed.gave.push(Paper::Statuses.place(self.exchange, stand.device).path());
            }
            (Handing::Apart, Some(status), _) => {
                let (Some(claim), Some(heard)) = (claim, self.claim(status)?) else {
                    return Err(self.apart(stand.device, statuses, hub));
                };
                if claim.observed_revision.is_none() && heard.observed_revision.is_some() {
                    (stand.is_known, stand.is_lost) = (false, true);
                    return Err(self.lost(stand.device, statuses, status));
                }
                if heard.sequence <= claim.sequence {
                    return Err(self.apart(stand.device, statuses, hub));
                }
                // The hub heard it by another way, and this is older.
                stand.has(heard.observed_revision);
            }
            (Handing::Apart, None, _) => return Err(self.apart(stand.device, statuses, hub)),
            (Handing::Known | Handing::Last(_), ..) => {}
        }
        Ok(())
    }

    /// The statuses of a device that are not all the hub's, and what the last of them says, if that can be read: one of a
    /// newer agent goes to the hub all the same.
    fn statuses(&self, stand: &Stand<'_>) -> Result<Option<(Statuses, Option<Claim>)>> {
        if stand.said.is_none() {
            return Ok(None);
        }
        let bytes = self.bytes(&Paper::Statuses.place(self.exchange, stand.device), Paper::Statuses)?;
        let statuses = outbox::decode(&bytes, &self.relay.status_ref(stand.device))?;
        let Some(last) = statuses.links.last() else { return Ok(None) };
        let claim = claim::among(last).ok();
        Ok(Some((statuses, claim)))
    }

    fn stands_where_the_hub_heard(&mut self, stand: &mut Stand<'_>, hub: Option<Oid>) -> Result<()> {
        let Served { tip, status, base, ref failure, .. } = stand.before;
        match hub {
            None => stand.has(None),
            Some(_) if tip.is_some() && status == hub && failure.is_none() => stand.has(base),
            Some(status) => stand.has(self.claim(status)?.map_or(base, |claim| claim.observed_revision)),
        }
        Ok(())
    }

    /// What a status says that the hub has, if that can be read.
    fn claim(&mut self, status: Oid) -> Result<Option<Claim>> {
        let scratch = Scratch::of(self.relay)?;
        let mut store = scratch.store("known")?;
        let mut known = Bounded::new(store.quarantine(&Generation::default())?, self.relay);
        self.hub.fetch(Want::Whole(status), &mut known)?;
        Ok(claim::of(&known, status).ok())
    }

    /// Says how far the hub has heard the device.
    fn acknowledge(&mut self, stand: &Stand<'_>) -> Result<()> {
        let Some(status) = stand.served.status else { return Ok(()) };
        let (place, text) = (Paper::Ack.place(self.exchange, stand.device), write_ack(status));
        if is_there(&self.kept, &place, text.as_bytes()) {
            return Ok(());
        }
        self.put(&place, |file| file.write_all(text.as_bytes()))
    }

    /// The digest of a file; `None` if there is none that could be handed on.
    fn digest(&mut self, place: &Place<'_>, paper: Paper) -> Option<String> {
        let source = open(&self.kept, place, paper.most()).ok().flatten()?;
        let stamp = source.stamp()?;
        self.known.digest(place.path(), stamp, Instant::now(), || {
            Hashing::of(source).finish(&mut io::sink()).ok().map(|(digest, _)| digest)
        })
    }

    fn apart(&self, device: &DeviceId, statuses: &Statuses, hub: Option<Oid>) -> Error {
        let last = statuses.tip().map_or("none".into(), |tip| tip.short());
        let (what, cure) = match hub {
            Some(hub) => (format!("do not go on from {}, where the hub's ref is", hub.short()), String::new()),
            None => (
                "build on others, and the hub shows none".into(),
                format!("see that relays of this gateway's Device names {device}; "),
            ),
        };
        Error::new(Reason::NotFastForward, format!("the statuses of {device} up to {last} {what}"))
            .hint(format!("{cure}in a clone, giterctl import {} judges them", self.relay.folder.display()))
    }

    fn lost(&self, device: &DeviceId, statuses: &Statuses, hub: Oid) -> Error {
        let last = statuses.tip().map_or("none".into(), |tip| tip.short());
        let what =
            format!("{device} has lost its state: {last} does not go on from {}, where the hub's ref is", hub.short());
        Error::new(Reason::NotFastForward, what).hint(format!(
            "giterctl export --seed {device} --to {} brings it the way from what it had accepted",
            self.relay.folder.display()
        ))
    }

    fn bytes(&self, place: &Place<'_>, paper: Paper) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        if let Some(mut source) = open(&self.kept, place, paper.most())? {
            source.read_to_end(&mut bytes).map_err(unread)?;
        }
        Ok(bytes)
    }

    /// Remembers what was done for a device, and tells of what went wrong: once, for as long as it does.
    fn remember(&mut self, stand: Stand<'_>) {
        let Stand { device, before, mut served, said, asked, is_due, failed, .. } = stand;
        if !is_due && failed.is_none() || failed.as_ref().is_some_and(|error| error.reason() == Reason::Stopped) {
            return;
        }
        served.failure = failed.as_ref().map(Failure::from);
        if !asked.is_empty() {
            served.requests.retain(|digest| asked.iter().any(|(_, asked)| asked == digest));
        }
        let is_answer = |failure: &Failure| self.given_up.is_none() && !failure.may_pass();
        if served.failure.as_ref().is_none_or(is_answer) {
            served.tip = Some(self.tip);
            served.statuses = said.or(served.statuses);
            let tried = asked.into_iter().map(|(_, digest)| digest).filter(|digest| !served.requests.contains(digest));
            served.requests.extend(Vec::from_iter(tried));
        }
        match &failed {
            Some(error) if served.failure != before.failure && served.failure != self.told => {
                log::warn!("relay: {device}: {}: {}", error.reason(), error.one_line());
                error.get_hint().into_iter().for_each(|hint| log::info!("relay: {device}: hint: {hint}"));
            }
            Some(error) => log::debug!("relay: {device}: {}: {}", error.reason(), error.one_line()),
            None if before.failure.is_some() => log::info!("relay: {device}: carried for again"),
            None => {}
        }
        self.told = served.failure.clone();
        self.passed.failed = self.passed.failed.take().or(failed);
        if served != before {
            let place = notes_place(self.exchange, device, SERVED);
            self.known.unwritten.remove(&place.path());
            if let Err(error) = write_notes(&self.kept, &place, &served.write()) {
                // Else all would be due again, as long as the disk is full.
                self.known.unwritten.insert(place.path(), served);
                self.passed.fail("relay", error);
            }
        }
    }
}

/// What a hub says to a gateway that it does not take for one.
fn explained(error: Error, device: &DeviceId) -> Error {
    match error.reason() {
        Reason::PushRejected if error.one_line().contains(Reason::RefNotAllowed.as_str()) => {
            error.hint(format!("let a publisher name {device} in relays of this gateway's Device"))
        }
        _ => error,
    }
}

/// What was done for a device; nothing where that cannot be read.
fn remembered(kept: &Folder, exchange: &str, device: &DeviceId) -> Served {
    let text = read_notes(kept, &notes_place(exchange, device, SERVED), limits::RECEIPT_BYTES);
    Served::read(&text.unwrap_or_default())
}
