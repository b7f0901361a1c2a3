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

use std::io::{Read, Write};

use super::{Hashing, Passed, Relay, open, papers, put, shared_place, size, specs::Scratch};
use crate::{
    api::{DeviceId, Error, Oid, Reason, Result, ledger::Generation, limits},
    codec::{
        enrolment,
        status::Claim,
        stick::{ENROLL, Paper, Place, shared_name, write_ack},
    },
    disk::{atomic, folder},
    git::{bundle, claim, outbox, pack},
    link::stick::{is_there, medium::Folder, unread},
    reconcile::{
        outbox::Statuses,
        ports::{Quarantine, Store, Upstream, Want},
        relay::served::{Failure, Handing, Kept, Served, handing},
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
    pub fn pass_hub(&self, hub: &mut dyn Upstream, exchange: &str, again: bool) -> Passed {
        let mut passed = Passed::default();
        if let Some(tip) = hub.branch()
            && let Err(error) = self.visit(hub, exchange, (tip, again), &mut passed)
        {
            passed.fail("relay", error);
        }
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
        passed: &mut Passed,
    ) -> Result<()> {
        folder::make(&self.folder, 0o700)
            .map_err(|e| Error::state(format!("cannot make {}", self.folder.display()), e))?;
        let kept = Folder::at(&self.folder)?;
        let branch_ref = format!("refs/heads/{}", self.branch);
        let mut visit = Visit { relay: self, hub, exchange, branch_ref, tip, kept, passed };
        let mut stands: Vec<Stand<'_>> = self.devices.iter().map(|device| visit.look(device, again)).collect();
        if stands.iter().any(|stand| stand.is_due) {
            visit.hand_on(&mut stands)?;
            visit.serve(&mut stands);
            stands.into_iter().for_each(|stand| visit.remember(stand));
        }
        Ok(())
    }

    fn status_ref(&self, device: &DeviceId) -> String {
        format!("{}/{device}", self.prefix)
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
    pub(super) passed: &'a mut Passed,
}

/// A device during a visit.
pub(super) struct Stand<'a> {
    pub(super) device: &'a DeviceId,
    before: Served,
    /// What is to be remembered.
    pub(super) served: Served,
    /// The digest of its statuses in the folder.
    said: Option<String>,
    /// Where its request is in the folder, and its digest.
    asked: Option<(Place<'a>, String)>,
    is_due: bool,
    /// Whether it is known which commit it has.
    pub(super) is_known: bool,
    /// The first thing that went wrong, or the first that may go better another time.
    failed: Option<Error>,
}

impl Stand<'_> {
    /// Notes that something went wrong.
    pub(super) fn fail(&mut self, error: &Error) {
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

    /// Whether its request was not handed on yet.
    fn asks_anew(&self) -> bool {
        self.asked.as_ref().is_some_and(|(_, digest)| self.before.request.as_ref() != Some(digest))
    }
}

impl<'a> Visit<'a> {
    /// Looks at what the folder has of a device.
    fn look(&self, device: &'a DeviceId, again: bool) -> Stand<'a> {
        let Self { kept, exchange, tip, .. } = self;
        let before = remembered(kept, exchange, device);
        let said = digest(kept, &Paper::Statuses.place(exchange, device), Paper::Statuses);
        let requests = [*exchange, ENROLL].into_iter().map(|folder| Paper::Request.place(folder, device));
        let mut requests = requests.filter_map(|place| Some((place.clone(), digest(kept, &place, Paper::Request)?)));
        let asked = requests.next();
        let shared = before.base.map(|base| shared_name(*tip, Some(base)));
        let shared = shared.is_some_and(|name| size(kept, &shared_place(exchange, &name)) > 0);
        let is_due = before.is_due(
            *tip,
            &Kept {
                statuses: said.as_deref(),
                request: asked.as_ref().map(|(_, digest)| &**digest),
                has_specs: shared || size(kept, &Paper::Specs.place(exchange, device)) > 0,
            },
        );
        let is_due = is_due || again && before.failure.is_some();
        Stand { device, served: before.clone(), before, said, asked, is_due, is_known: !is_due, failed: None }
    }

    /// Hands on what devices said, with one listing for all of them.
    fn hand_on(&mut self, stands: &mut [Stand<'_>]) -> Result<()> {
        let due = || stands.iter().filter(|stand| stand.is_due);
        let statuses = due().map(|stand| self.relay.status_ref(stand.device));
        let requests = due().filter(|stand| stand.asks_anew()).map(|stand| enrolment::ref_of(stand.device));
        let names: Vec<String> = statuses.chain(requests).collect();
        let found = self.hub.refs(&names)?;
        let at = |name: String| names.iter().zip(&found).find(|(found, _)| **found == name).and_then(|(_, id)| *id);
        for stand in stands.iter_mut().filter(|stand| stand.is_due) {
            if stand.asks_anew()
                && let Err(error) = self.ask(stand, at(enrolment::ref_of(stand.device)))
            {
                stand.fail(&error);
            }
            let told = self.tell(stand, at(self.relay.status_ref(stand.device)));
            if let Err(error) = told.and(self.acknowledge(stand)) {
                stand.fail(&error);
            }
        }
        Ok(())
    }

    /// Hands on a request to be enrolled; one stands there at most.
    fn ask(&mut self, stand: &mut Stand<'_>, standing: Option<Oid>) -> Result<()> {
        let Some((place, digest)) = stand.asked.clone() else { return Ok(()) };
        let (device, name) = (stand.device, enrolment::ref_of(stand.device));
        let bytes = self.bytes(&place, Paper::Request)?;
        let mut rest = bytes.as_slice();
        let invalid = || Error::new(Reason::BundleInvalid, format!("{} has no {name}", place.path().display()));
        let [new] = bundle::header(&mut rest, [&*name])?.refs;
        let new = new.ok_or_else(invalid)?;
        match standing {
            Some(standing) if standing == new => {}
            Some(standing) => {
                let what = format!("another request of {device} stands at {name}, {}", standing.short());
                return Err(Error::new(Reason::EnrolmentConflict, what)
                    .hint("let a publisher see who asks, with 'giterctl approve'"));
            }
            None => {
                let objects = pack::read(rest, limits::REQUEST_BUNDLE_BYTES as usize)?;
                self.hub.push(&name, None, new, &objects).map_err(|error| explained(error, device))?;
                self.passed.gave.push(place.path());
            }
        }
        stand.served.request = Some(digest);
        Ok(())
    }

    /// Hands on a device's statuses, as far as the hub lacks them, and learns which commit it has.
    fn tell(&mut self, stand: &mut Stand<'_>, hub: Option<Oid>) -> Result<()> {
        stand.served.status = hub;
        let said = self.statuses(stand);
        let Some((statuses, claim)) = said.as_ref().ok().and_then(Option::as_ref) else {
            self.stands_where_the_hub_heard(stand, hub)?;
            return said.map(drop);
        };
        stand.has(claim.observed_revision);
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
                let heard = self.claim(status)?;
                if heard.sequence < claim.sequence {
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

    /// The statuses of a device that are not all the hub's, and what the last of them says.
    fn statuses(&self, stand: &Stand<'_>) -> Result<Option<(Statuses, Claim)>> {
        if stand.said.is_none() {
            return Ok(None);
        }
        let bytes = self.bytes(&Paper::Statuses.place(self.exchange, stand.device), Paper::Statuses)?;
        let statuses = outbox::decode(&bytes, &self.relay.status_ref(stand.device))?;
        let Some(last) = statuses.links.last() else { return Ok(None) };
        let claim = claim::among(last)?;
        Ok(Some((statuses, claim)))
    }

    fn stands_where_the_hub_heard(&mut self, stand: &mut Stand<'_>, hub: Option<Oid>) -> Result<()> {
        let Served { tip, status, base, ref failure, .. } = stand.before;
        match hub {
            None => stand.has(None),
            Some(_) if tip.is_some() && status == hub && failure.is_none() => stand.has(base),
            Some(status) => stand.has(self.claim(status)?.observed_revision),
        }
        Ok(())
    }

    /// What a status says that the hub has.
    fn claim(&mut self, status: Oid) -> Result<Claim> {
        let scratch = Scratch::of(self.relay)?;
        let mut store = scratch.store("known")?;
        let mut known = store.quarantine(&Generation::default())?;
        self.fetch(Want::Whole(status), &mut *known)?;
        claim::of(&*known, status)
    }

    /// Fetches in the conversation that there is, or begins one.
    pub(super) fn fetch(&mut self, want: Want<'_>, into: &mut dyn Quarantine) -> Result<()> {
        self.hub.refs(&[])?;
        self.hub.fetch(want, into)
    }

    /// Says how far the hub has heard the device.
    fn acknowledge(&mut self, stand: &Stand<'_>) -> Result<()> {
        let Some(status) = stand.served.status else { return Ok(()) };
        let (place, text) = (Paper::Ack.place(self.exchange, stand.device), write_ack(status));
        if is_there(&self.kept, &place, text.as_bytes()) {
            return Ok(());
        }
        put(&self.kept, &place, |file| file.write_all(text.as_bytes())).map_err(unkept(&place))?;
        self.passed.took.push(place.path());
        Ok(())
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
        if !served.failure.as_ref().is_some_and(Failure::may_pass) {
            served.tip = Some(self.tip);
            served.statuses = said.or(served.statuses);
            served.request = asked.map(|(_, digest)| digest).or(served.request);
        }
        match &failed {
            Some(error) if served.failure != before.failure => {
                log::warn!("relay: {device}: {}: {}", error.reason(), error.one_line());
                error.get_hint().into_iter().for_each(|hint| log::info!("relay: {device}: hint: {hint}"));
            }
            Some(error) => log::debug!("relay: {device}: {}: {}", error.reason(), error.one_line()),
            None if before.failure.is_some() => log::info!("relay: {device}: carried for again"),
            None => {}
        }
        self.passed.failed = self.passed.failed.take().or(failed);
        if served != before {
            let place = served_place(self.exchange, device);
            let written = folder::below(&self.relay.folder, place.folders.iter().copied())
                .and_then(|folder| atomic::replace(folder, &place.file, served.write().as_bytes(), None));
            if let Err(error) = written.map_err(unkept(&place)) {
                self.passed.fail("relay", error);
            }
        }
    }
}

/// That something could not be written into the folder.
pub(super) fn unkept(place: &Place<'_>) -> impl FnOnce(std::io::Error) -> Error + use<> {
    let what = format!("cannot keep {}", place.path().display());
    move |e| pack::unwrap(e, |e| Error::io(Reason::StateFailed, what, e))
}

/// What a hub says to a gateway that it does not take for one.
fn explained(error: Error, device: &DeviceId) -> Error {
    match error.reason() {
        Reason::PushRejected => error.hint(format!("let a publisher name {device} in relays of this gateway's Device")),
        _ => error,
    }
}

fn served_place<'a>(exchange: &'a str, device: &'a DeviceId) -> Place<'a> {
    let Place { folders, file } = Paper::Ack.place(exchange, device);
    let name = file.strip_suffix(Paper::Ack.ending()).unwrap_or(&file);
    Place { folders, file: format!("{name}{SERVED}") }
}

/// What was done for a device; nothing where that cannot be read.
fn remembered(kept: &Folder, exchange: &str, device: &DeviceId) -> Served {
    let mut text = String::new();
    let source = open(kept, &served_place(exchange, device), limits::RECEIPT_BYTES).ok().flatten();
    let read = source.is_some_and(|mut source| source.read_to_string(&mut text).is_ok());
    if read { Served::read(&text) } else { Served::default() }
}

/// The digest of a file; `None` if there is none that could be handed on.
fn digest(kept: &Folder, place: &Place<'_>, paper: Paper) -> Option<String> {
    let source = open(kept, place, paper.most()).ok().flatten()?;
    Hashing::of(source).finish(&mut std::io::sink()).ok().map(|(digest, _)| digest)
}
