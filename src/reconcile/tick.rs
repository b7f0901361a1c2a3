//! One tick: the straight path from the link to the board and back.
//!
//! ```text
//! list -> fetch -> verify -> decode -> bind -> promote -> RECORD -> observe, plan, apply -> RECORD -> publish
//!         `------- quarantine -------------'   durable    the tip                           the status
//!                                                         counts now                        is spoken for
//! ```
//!
//! Everything left of the first record can be lost without a trace; everything right of it can be repeated. When the
//! left half fails, the last accepted specs are reconciled all the same, and the failure is a condition.

use std::collections::BTreeMap;

mod budget;
mod carry;
mod floor;
mod going_back;
mod happened;
mod own_status;
mod publish;
mod recover;
mod sync;

use self::{
    floor::Copied,
    publish::{Held, Unsent},
    sync::verdict_of,
};
pub use self::{
    floor::believable,
    happened::{LastPush, Published, Tick},
};
use super::{
    apply::{self, Bound, Outcome, Releases},
    approval::{self, Approval},
    decode::decode,
    goal::Goal,
    outbox::Statuses,
    plan::Decision,
    ports::{Board, Carried, FloorCopy, Ledger, Link, Listing, NewObject, Outbox, Store},
    report,
    verify::{Policy, Verified},
};
use crate::{
    api::{
        Condition, ConditionStatus, ConditionType, Device, DeviceId, DeviceStatus, Error, ExchangeId, Findings, Oid,
        Reason, ResourceKey, Result,
        condition::Text,
        ledger::{Accepted, Generation, Record},
        limits,
    },
    codec::{pubkey::PublicKey, signers::Keyring},
};

/// What the operator decided; constant while the agent runs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Who this device is.
    pub device: DeviceId,
    /// The agent's version, for the status.
    pub agent: String,
    /// How much of the history has to be signed.
    pub policy: Policy,
    /// Whom the device trusts.
    pub keyring: Keyring,
    /// The exchange that the operator named, if any.
    pub exchange: Option<ExchangeId>,
    /// The branch that the device follows.
    pub branch: String,
    /// A digest of everything besides the tip that a verdict on a tip depends on.
    pub inputs: [u8; 16],
    /// After how many seconds without a push a status is pushed although nothing changed; `None` for never.
    pub heartbeat: Option<u64>,
    /// For how many seconds after a push changes wait, to go together.
    pub coalesce: u64,
    /// How many bytes a day statuses may take; `None` for any.
    pub budget: Option<u64>,
}

/// The world, for the length of one call.
pub struct Ports<'a> {
    /// The way to the hub.
    pub link: &'a mut dyn Link,
    /// The objects.
    pub store: &'a mut dyn Store,
    /// The hardware.
    pub board: &'a mut dyn Board,
    /// The record.
    pub ledger: &'a mut dyn Ledger,
    /// The second copy of the floor, where the operator wants one.
    pub floor: Option<&'a mut dyn FloorCopy>,
    /// The statuses that wait for sticks.
    pub outbox: &'a mut dyn Outbox,
    /// The device's signature.
    pub seal: &'a dyn Seal,
}

/// Makes the signed commit of a status.
pub trait Seal {
    /// The public half of the key that signs.
    fn key(&self) -> PublicKey;

    /// The blob, the tree and the signed commit; every byte of them follows from the arguments.
    ///
    /// # Errors
    ///
    /// `Bug` if the status cannot be encoded.
    fn seal(&self, status: &DeviceStatus, parent: Option<Oid>, time: i64, message: String) -> Result<Sealed>;
}

/// A status that can be pushed.
pub struct Sealed {
    /// Its blob, its tree and, last, its commit.
    pub objects: [NewObject; 3],
    /// The bytes that it takes to push them.
    pub bytes: u64,
}

/// The moment of a tick.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// The wall clock, in seconds since 1970; may be wrong.
    pub time: i64,
    /// Seconds since the board started.
    pub uptime: u64,
    /// The kernel's boot id.
    pub boot_id: [u8; 16],
}

/// How far a tick reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// To the hub and back.
    Hub,
    /// The board only: drift between polls, and the first tick after a start.
    Board,
}

/// What an accepted tip asks for, as far as it fits the device.
struct Specs {
    bound: Vec<Bound>,
    /// What does not fit.
    findings: Findings,
    /// What is said of the device itself.
    named: Option<Device>,
}

/// The agent between ticks: its settings, the record as it stands on disk, and the specs it holds the board to.
pub struct Agent {
    settings: Settings,
    record: Record,
    /// The specs in force; `None` while none are known, which is not the same as none being asked for: then nothing is
    /// touched, and nothing released.
    bound: Option<Vec<Bound>>,
    /// What the specs in force say of the device itself.
    named: Option<Device>,
    /// The objects of the accepted tip are damaged: they are fetched again before anything else. What is in force then
    /// are the specs before, and nothing is released, since what they do not name the tip may.
    damaged: bool,
    copied: Copied,
    /// A status at the hub that this device's own key signed, when it had taken one up already.
    twin: Option<Oid>,
    /// Whether a status that the record did not know was taken up since the start.
    has_taken_up: bool,
    listing: Option<Listing>,
    /// What the stick says that is met in this tick; `None` for the hub itself, and where it is told nothing.
    carried: Option<Carried>,
    /// Whether the link had something to take in this tick, be it that it could not be read.
    is_brought: bool,
    /// The statuses that wait for sticks.
    outbox: Statuses,
    /// The last status that the hub is known to have, by its own word since the start.
    heard: Option<Oid>,
    /// That statuses were given up, until a status says so.
    gave_up: Option<String>,
    /// Why not all that the accepted tip asks is in force: it cannot be read, or some of it no longer fits the device.
    decode_error: Option<Error>,
    /// What is in hand differs from the record on the disk, which could not be written.
    unsaved: bool,
    /// The last status, while it is not known to have arrived.
    unsent: Option<Unsent>,
    /// What waits since the last push.
    held: Held,
    /// That the device went back, until the hub has been told.
    went_back: Option<String>,
    /// What was done or went wrong since the last status that reached the hub, the last of it for each resource.
    news: BTreeMap<ResourceKey, String>,
}

impl Agent {
    /// Starts, which is recovering: the record is read, the store swept, the accepted specs decoded again.
    ///
    /// # Errors
    ///
    /// The state folder cannot be read or swept, or both ledger slots are damaged.
    pub fn start(settings: Settings, ports: &mut Ports<'_>) -> Result<Self> {
        let mut agent = Self::new(settings, ports.ledger)?;
        agent.raise_floor(ports);
        agent.open_outbox(ports);
        agent.recover(ports)?;
        agent.copy_floor(ports);
        Ok(agent)
    }

    /// Reads the record and the accepted specs without touching anything, beside an agent that may be running.
    ///
    /// # Errors
    ///
    /// The ledger cannot be read; the accepted specs cannot be read or do not fit this board.
    pub fn inspect(settings: Settings, store: &dyn Store, board: &dyn Board, ledger: &mut dyn Ledger) -> Result<Self> {
        let mut agent = Self::new(settings, ledger)?;
        if let Some(tip) = agent.record.tip.clone() {
            let Specs { bound, findings, named } = agent.read_specs(&tip, &agent.record.generation, store, board)?;
            agent.bound = Some(findings.or(bound)?);
            agent.named = named;
        }
        Ok(agent)
    }

    fn new(settings: Settings, ledger: &mut dyn Ledger) -> Result<Self> {
        Ok(Self {
            settings,
            record: ledger.load()?,
            bound: None,
            named: None,
            damaged: false,
            copied: Copied::default(),
            twin: None,
            has_taken_up: false,
            listing: None,
            carried: None,
            is_brought: false,
            outbox: Statuses::default(),
            heard: None,
            gave_up: None,
            decode_error: None,
            unsaved: false,
            unsent: None,
            held: Held::default(),
            went_back: None,
            news: BTreeMap::new(),
        })
    }

    /// The record as it stands on disk.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// Why the last tip was refused, if it was.
    pub fn refusal(&self) -> Option<Error> {
        self.record.refused.as_ref().and_then(verdict_of)
    }

    /// Whether the specs in force let the device speak with this key.
    ///
    /// # Errors
    ///
    /// `NotApproved`.
    pub fn approval(&self, key: &PublicKey) -> Result<Approval> {
        let at = self.record.tip.as_ref().map_or(0, |tip| tip.time);
        approval::check(&self.settings.device, self.named.as_ref(), key, at)
    }

    /// Whether the specs in force, or the last tip, are known not to let the device speak.
    fn is_unapproved(&self, key: &PublicKey) -> bool {
        let is_refused = self.refusal().is_some_and(|error| error.reason() == Reason::NotApproved);
        is_refused || self.approval(key).is_err()
    }

    /// Puts accepted specs in force. What no longer fits the device, such as a `File` of a user that is gone, must not
    /// keep a pump from running: the others are held all the same, and the device says what is wrong.
    fn bind(&mut self, accepted: &Accepted, generation: &Generation, ports: &Ports<'_>) {
        self.hold(self.read_specs(accepted, generation, ports.store, ports.board));
    }

    fn hold(&mut self, specs: Result<Specs>) {
        match specs {
            Ok(Specs { bound, findings, named }) => {
                self.named = named;
                self.decode_error = (!findings.is_empty()).then(|| findings.into());
                self.bound = Some(bound);
            }
            Err(error) => (self.bound, self.decode_error) = (None, Some(error)),
        }
    }

    /// Binds the accepted specs where they could not all be bound before: that user may be there by now.
    fn rebind(&mut self, ports: &Ports<'_>) {
        if let (Some(_), false, Some(tip)) = (&self.decode_error, self.damaged, self.record.tip.clone()) {
            self.bind(&tip, &self.record.generation.clone(), ports);
        }
    }

    fn read_specs(
        &self,
        accepted: &Accepted,
        generation: &Generation,
        store: &dyn Store,
        board: &dyn Board,
    ) -> Result<Specs> {
        let objects = store.objects(generation)?;
        let desired = decode(&Verified::by_ledger(accepted), &*objects, &self.settings.device)?;
        let (bound, findings) = apply::bind_each(desired.resources, board);
        Ok(Specs { bound, findings, named: desired.device })
    }

    fn specs(&self) -> &[Bound] {
        self.bound.as_deref().unwrap_or_default()
    }

    fn releases(&self) -> Releases {
        let is_whole = self.bound.is_some() && self.decode_error.is_none() && !self.damaged;
        if is_whole { Releases::Due } else { Releases::Withheld }
    }

    /// What the board is held to.
    pub fn goals(&self) -> impl Iterator<Item = &Goal> {
        self.specs().iter().map(|bound| &bound.goal)
    }

    /// What a tick would change on the board, from what was accepted last.
    pub fn preview(&mut self, board: &mut dyn Board) -> Vec<(ResourceKey, Result<Decision>)> {
        apply::preview(self.specs(), self.releases(), &self.record.owned, board)
    }

    /// The status as it would be reported now, from what is seen, with nothing changed.
    pub fn look(&self, board: &mut dyn Board, now: Moment) -> DeviceStatus {
        let outcomes = apply::look(self.specs(), &self.record.owned, board);
        let status = self.status(board.name(), self.refusal().as_ref(), &outcomes, now);
        DeviceStatus { sequence: status.sequence - 1, ..status }
    }

    /// One tick.
    pub fn tick(&mut self, ports: &mut Ports<'_>, reach: Reach, now: Moment) -> Tick {
        let mut advanced = None;
        let mut sync_error = None;
        (self.listing, self.carried, self.is_brought) = (None, None, false);
        self.rebind(ports);
        if reach == Reach::Hub {
            // Again, where it could not be written before.
            self.copy_floor(ports);
            match self.sync(ports) {
                Ok(new) => advanced = new,
                Err(error) => sync_error = Some(error),
            }
        }
        let reason = sync_error.as_ref().map(Error::reason);
        if matches!(reason, Some(Reason::Stopped | Reason::NotApproved)) || self.is_unapproved(&ports.seal.key()) {
            // Nobody is told: the hub would have to be waited for, or does not know this device.
            (self.listing, self.carried) = (None, None);
        }
        let refused = sync_error.as_ref().filter(|_| self.is_brought).map(Error::flattened);
        let sync_error = sync_error.or_else(|| self.decode_error.as_ref().map(Error::flattened));
        let before = self.record.owned.clone();
        let releases = self.releases();
        let specs = self.bound.as_deref().unwrap_or_default();
        let outcomes = apply::reconcile(specs, releases, &mut self.record.owned, ports.board);
        self.unsaved |= !apply::is_same_record(&self.record.owned, &before);
        drop(before);
        self.note(&outcomes);
        let status = self.status(ports.board.name(), sync_error.as_ref(), &outcomes, now);
        let mut tick = Tick {
            advanced,
            sync_error,
            refused,
            outcomes,
            published: Published::Unchanged,
            publish_error: None,
            status,
        };
        match self.publish(ports, &tick, now) {
            Ok(published) => tick.published = published,
            Err(error) => {
                tick.published = Published::NotPushed;
                tick.publish_error = Some(error);
            }
        }
        ports.link.rest();
        tick
    }

    fn save(&mut self, ports: &mut Ports<'_>, record: Record) -> Result<()> {
        let record = Record { serial: self.record.serial + 1, hub: ports.link.traits(), ..record };
        ports.ledger.save(&record)?;
        (self.record, self.unsaved) = (record, false);
        self.copy_floor(ports);
        Ok(())
    }

    /// Removes what no generation names. A sweep that fails costs space, not truth: the next start sweeps again.
    fn sweep(&self, ports: &mut Ports<'_>) {
        let previous = self.record.previous.as_ref().map(|(_, generation)| generation);
        let keep: Vec<_> = std::iter::once(&self.record.generation).chain(previous).collect();
        if let Err(error) = ports.store.retain(&keep) {
            log::warn!("cannot sweep the store: {}", error.one_line());
        }
    }

    fn status(&self, board: &str, sync_error: Option<&Error>, outcomes: &[Outcome], now: Moment) -> DeviceStatus {
        let resources: Vec<_> = outcomes.iter().filter_map(report::resource).collect();
        let mut conditions = report::device_conditions(&sync_error.map_or(Ok(()), Err), &resources);
        let accepted = self.record.tip.as_ref();
        if accepted.is_some() && (self.bound.is_none() || self.decode_error.is_some()) {
            let damaged = Error::new(Reason::StateFailed, "the objects of the accepted tip are damaged");
            let error = self.decode_error.as_ref().unwrap_or(&damaged);
            conditions.retain(|condition| condition.kind != ConditionType::Ready);
            conditions.extend([Condition::of_error(ConditionType::Ready, ConditionStatus::Unknown, error)]);
        }
        conditions.extend(self.reported(now));
        DeviceStatus {
            device: self.settings.device.clone(),
            board: Text::new(board),
            agent: Text::new(&self.settings.agent),
            boot_id: now.boot_id,
            sequence: self.record.status.as_ref().map_or(0, |status| status.sequence).saturating_add(1),
            uptime: now.uptime,
            clock: report::clock(now.time, accepted.map_or(0, |tip| tip.time)),
            observed_revision: accepted.map(|tip| tip.commit),
            advances: self.record.advances,
            conditions,
            resources,
            lost: 0,
        }
    }

    /// Keeps what there is to say of the outcomes for the next status.
    fn note(&mut self, outcomes: &[Outcome]) {
        for outcome in outcomes {
            if let Some(line) = report::line(outcome)
                && (self.news.len() < limits::RESOURCES || self.news.contains_key(&outcome.key))
            {
                self.news.insert(outcome.key.clone(), line);
            }
        }
    }
}
