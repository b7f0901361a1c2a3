//! What holds after every tick and every fault, whatever the story.
//!
//! Each failure has the name of what was broken: `start`, `tip`, `floor`, `objects`, `durable`, `sequence`,
//! `chain`, `converged`, `mute`, `idle`, `bounded`, `bug`.

use giter_edge::{
    api::{DeviceStatus, Oid, Reason, board::LedState, ledger::Record, object::Object},
    codec::{commit, status},
    git::{graph, reads::Reads},
    reconcile::{
        goal::Step,
        outbox::Statuses,
        report,
        tick::{Published, Reach, Tick},
    },
};

use crate::{
    publisher::{DEVICE, Publisher, Wish, differences},
    world::{
        Deed, Done, Durable, Shared, World, floor,
        hub::{BRANCH, Hub},
        ledger, store,
    },
};

/// What was seen so far, and must not be taken back.
#[derive(Default)]
pub(crate) struct Watch {
    /// The newest tip that was durable, as a number among the sound commits.
    tip: Option<usize>,
    advances: u64,
    /// The last status that the hub took, and the ref it follows, which a story may have put back.
    sequence: u64,
    newest: Option<Oid>,
    status: Option<Oid>,
    /// The last status that a stick took along.
    carried: Option<Oid>,
    /// The story put something of its own on the status ref.
    is_ref_taken: bool,
    /// The story damaged a pack, which was not repaired yet.
    is_damaged: bool,
    /// The device found the objects of its tip damaged when it started, and did not come so far as to repair them.
    starts_damaged: bool,
    /// The device lost what it knew of the tips that it accepted, and has not come by it again.
    is_forgetful: bool,
    /// An effect failed, so that files may lie about until the next start.
    is_untidy: bool,
}

impl Watch {
    pub(crate) fn tip(&self) -> Option<usize> {
        self.tip
    }

    pub(crate) fn damaged(&mut self) {
        self.is_damaged = true;
    }

    /// The device lost its state: all of it, or the newest record.
    pub(crate) fn forgot(&mut self) {
        (self.is_damaged, self.is_forgetful) = (true, true);
    }

    /// Nothing is left by which the device could know what it had accepted or said.
    pub(crate) fn begins_anew(&mut self) {
        *self = Self { is_damaged: true, ..Self::default() };
    }

    /// Another board has put a status there that the device will take for its own.
    pub(crate) fn twin_said(&mut self, commit: Oid, sequence: u64) {
        (self.status, self.newest, self.sequence) = (Some(commit), Some(commit), sequence);
    }

    pub(crate) fn disturbed(&mut self) {
        self.is_untidy = true;
    }

    pub(crate) fn status_ref_moved(&mut self, to: Option<Oid>) {
        (self.status, self.is_ref_taken) = (to, to.is_some());
    }

    /// The hub was put back to an older status of the device's own.
    pub(crate) fn status_restored(&mut self, to: Option<Oid>) {
        self.status = to;
    }

    /// After anything that the agent did: were its deeds right when they were done?
    pub(crate) fn look(&mut self, world: &Shared, publisher: &Publisher) {
        let mut world = world.get();
        for Deed { done, durable } in std::mem::take(&mut world.deeds) {
            self.is_not_behind(&durable.record, publisher);
            match done {
                Done::Step(step) => is_asked_for(&step, &durable, self.starts_damaged, publisher),
                Done::Pushed { commit } => self.is_next(commit, &durable.record, &world.hub),
                Done::Carried { commit } => {
                    let last = durable.record.status.map(|status| status.commit);
                    assert_eq!(last, Some(commit), "durable: a status was carried before it was recorded");
                    self.carried = Some(commit);
                }
            }
        }
        if world.dark.is_none() {
            self.stands(&world, publisher);
        }
    }

    /// After a start.
    pub(crate) fn started(&mut self, world: &Shared, publisher: &Publisher) {
        self.is_untidy = false;
        let world = world.get();
        self.starts_damaged = !world.durable().tip_is_whole;
        let record = self.stands(&world, publisher);
        is_tidy(&world, &record);
    }

    /// After a tick that nothing disturbed.
    pub(crate) fn settled(
        &mut self,
        world: &Shared,
        publisher: &Publisher,
        reach: Reach,
        before: Option<usize>,
        tick: &Tick,
    ) {
        let failed = tick.outcomes.iter().filter_map(|outcome| outcome.error.as_ref());
        let mut errors = failed.chain(&tick.sync_error).chain(&tick.publish_error);
        assert!(errors.all(|error| error.reason() != Reason::Bug), "bug: {tick:?}");
        let world = world.get();
        let is_reached = reach == Reach::Hub && !world.hub.unreachable;
        let branch = world.hub.branches.get(BRANCH).copied();
        let newest = publisher.sound.iter().position(|(commit, _)| Some(*commit) == branch);
        let expected = if is_reached { before.max(newest) } else { before };
        assert_eq!(self.tip, expected, "converged: the tip is another one; {tick:?}");
        if is_reached {
            (self.is_damaged, self.starts_damaged) = (false, false);
        }
        let record = self.stands(&world, publisher);
        let wishes = self.tip.map_or(&[][..], |tip| &publisher.sound[tip].1);
        if !self.is_damaged {
            assert_eq!(differences(wishes, &world.board), [""; 0], "converged: the board is not; {tick:?}");
        }
        if !self.is_untidy {
            is_tidy(&world, &record);
        }
        let is_approved = tick.sync_error.as_ref().is_none_or(|error| error.reason() != Reason::NotApproved);
        assert!(is_approved || tick.published == Published::Unchanged, "mute: who is not approved spoke: {tick:?}");
        if is_reached && branch.is_some() && !self.is_ref_taken && is_approved {
            let refused = tick.publish_error.as_ref().is_some_and(|error| error.reason() == Reason::StatusRefMoved);
            assert!(!refused, "chain: the device does not know its own status: {tick:?}");
            // What waits is told later, and then all of this has to hold.
            let waits = matches!(tick.published, Published::Held(_));
            if let Some(last) = record.status.filter(|_| !waits) {
                assert_eq!(world.hub.status, Some(last.commit), "converged: the hub has another status; {tick:?}");
                let said = status_of(last.commit, &world.hub);
                assert_eq!(said.resources.len(), wishes.len(), "converged: the status is of other resources: {said:?}");
                let digest = |status| report::digest(status).unwrap();
                assert_eq!(digest(&said), digest(&tick.status), "converged: the status is stale");
            } else {
                assert!(waits, "converged: no status was made");
            }
        }
    }

    /// After a stick that nothing disturbed.
    pub(crate) fn visited(&mut self, world: &Shared, publisher: &Publisher, tick: &Tick) {
        let world = world.get();
        let mut errors = tick.sync_error.iter().chain(&tick.publish_error);
        assert!(errors.all(|error| error.reason() != Reason::Bug), "bug: {tick:?}");
        let record = self.stands(&world, publisher);
        let wishes = self.tip.map_or(&[][..], |tip| &publisher.sound[tip].1);
        assert_eq!(differences(wishes, &world.board), [""; 0], "converged: the board is not; {tick:?}");
        if !self.is_untidy {
            is_tidy(&world, &record);
        }
        let last = record.status.map(|status| status.commit);
        let taken = world.stick.statuses.as_ref().and_then(Statuses::tip);
        let is_open = tick.publish_error.is_none() && last != world.stick.ack;
        assert!(!is_open || taken == last, "converged: the stick does not take the last status along; {tick:?}");
    }

    /// The hub was brought a status of the device's own by a stick.
    pub(crate) fn brought(&mut self, commit: Oid, sequence: u64) {
        (self.status, self.newest, self.sequence) = (Some(commit), Some(commit), sequence);
    }

    /// The record on the disk is one that may count, and its objects are there and hash right.
    fn stands(&mut self, world: &World, publisher: &Publisher) -> Record {
        // A save that failed may have left a record that is seen and not durable: either may count after a cut.
        self.is_not_behind(&world.durable().record, publisher);
        let record = ledger::newest(&world.disk).expect("start: no ledger slot is sound");
        let record = floor::raised(&world.disk, record);
        if let Some(tip) = record.tip.as_ref().filter(|_| !self.is_damaged) {
            let objects = store::load(&world.disk, &record.generation);
            let objects = objects.unwrap_or_else(|| panic!("objects: a pack of {} is damaged", tip.commit.short()));
            let reads = Reads::of(&objects, tip.commit, &DEVICE.parse().unwrap()).expect("objects: a tree is damaged");
            assert!(reads.is_whole(), "objects: {reads:?} is not whole");
            assert_eq!(reads.there.len(), objects.0.len(), "bounded: the store has more than the device reads");
        }
        record
    }

    /// The tip is a sound one, and neither it nor the count of tips falls.
    fn is_not_behind(&mut self, record: &Record, publisher: &Publisher) {
        let number = |tip: Oid| {
            let found = publisher.sound.iter().position(|(commit, _)| *commit == tip);
            found.unwrap_or_else(|| panic!("tip: {} was accepted, and is not sound", tip.short()))
        };
        let tip = record.tip.as_ref().map(|tip| number(tip.commit));
        if self.is_forgetful && tip < self.tip {
            return;
        }
        self.is_forgetful = false;
        assert!(tip >= self.tip, "floor: the tip fell from {:?} to {tip:?}", self.tip);
        assert!(record.advances >= self.advances, "floor: advances fell from {} to {}", self.advances, record.advances);
        (self.tip, self.advances) = (tip, record.advances);
    }

    /// The status that was pushed follows the last one, and was durable before.
    fn is_next(&mut self, commit: Oid, durable: &Record, hub: &Hub) {
        let said = status_of(commit, hub);
        let last = durable.status.as_ref().map(|status| (status.commit, status.sequence));
        assert_eq!(last, Some((commit, said.sequence)), "durable: a status was pushed before it was recorded");
        let is_told_again = self.newest == Some(commit);
        let rises = said.sequence > self.sequence || is_told_again;
        assert!(rises, "sequence: {} follows {}", said.sequence, self.sequence);
        let is_next = follows(commit, self.status, hub) || self.is_in_its_place(commit, hub);
        assert!(is_next, "chain: a status does not follow the one before");
        // What a stick took along may be older.
        let tells_of_tip = said.observed_revision == durable.tip.as_ref().map(|tip| tip.commit);
        assert!(tells_of_tip || self.carried == Some(commit), "durable: a status tells of a tip that is not");
        (self.sequence, self.newest, self.status) = (said.sequence, Some(commit), Some(commit));
    }

    /// Whether a heartbeat takes the place of another: nothing else may be taken out of the record.
    fn is_in_its_place(&self, commit: Oid, hub: &Hub) -> bool {
        let is_heartbeat = |commit| is_heartbeat(commit, hub);
        let same_parent = |last| parents(last, hub) == parents(commit, hub);
        self.status.is_some_and(|last| is_heartbeat(last) && is_heartbeat(commit) && same_parent(last))
    }
}

/// Whether a status follows another, at once or after others that were carried.
fn follows(commit: Oid, before: Option<Oid>, hub: &Hub) -> bool {
    let mut parent = Some(commit);
    while let Some(status) = parent {
        parent = parents(status, hub).first().copied();
        if parent == before {
            return true;
        }
    }
    false
}

/// The commits that a commit names as the ones before it.
fn parents(commit: Oid, hub: &Hub) -> Vec<Oid> {
    commit::parse(&object(commit, hub).data).unwrap().parents
}

/// Whether a status says what the one before it says.
fn is_heartbeat(commit: Oid, hub: &Hub) -> bool {
    let digest = |commit| report::digest(&status_of(commit, hub)).unwrap();
    parents(commit, hub).first().is_some_and(|before| digest(*before) == digest(commit))
}

/// A step on the board belongs to a tip that was durable when it was taken: to the newest, or to the one before where
/// that one is damaged. Its objects may be there again, under the same name, and the device that started without them not
/// have come so far as to know.
fn is_asked_for(step: &Step, durable: &Durable, starts_damaged: bool, publisher: &Publisher) {
    let Durable { record, tip_is_whole, previous_is_whole } = durable;
    let tip = record.tip.as_ref().filter(|_| *tip_is_whole);
    let may_be_previous = *previous_is_whole && (tip.is_none() || starts_damaged);
    let previous = record.previous.as_ref().filter(|_| may_be_previous).map(|(previous, _)| previous);
    let tips: Vec<_> = tip.into_iter().chain(previous).map(|tip| tip.commit).collect();
    assert!(!tips.is_empty(), "durable: `{step}` while no tip was");
    let wishes = |tip: &Oid| &publisher.sound.iter().find(|(commit, _)| commit == tip).unwrap().1;
    let is_right = tips.iter().any(|tip| is_wished(step, wishes(tip)));
    assert!(is_right, "durable: `{step}` is not what the tips {tips:?} ask for");
}

fn is_wished(step: &Step, wishes: &[Wish]) -> bool {
    let asks = |test: &dyn Fn(&Wish) -> bool| wishes.iter().any(test);
    match step {
        Step::WriteFile { path, content, .. } => {
            let bytes = |text: &str| text.as_bytes() == &**content;
            asks(&|wish| matches!(*wish, Wish::File(_, at, text) if at == path.as_str() && bytes(text)))
        }
        Step::SetFileMode { path, .. } => asks(&|wish| matches!(*wish, Wish::File(_, at, _) if at == path.as_str())),
        Step::RemoveFile { path } => !asks(&|wish| matches!(*wish, Wish::File(_, at, _) if at == path.as_str())),
        Step::HoldLine { line, config } => {
            asks(&|wish| matches!(*wish, Wish::Line(_, at, level) if *at == **line && config.output == Some(level)))
        }
        Step::ReleaseLine { line, .. } => !asks(&|wish| matches!(*wish, Wish::Line(_, at, _) if *at == **line)),
        Step::SetLed { led, state } => {
            let value =
                |wish: &Wish| if let Wish::Led(_, at, value) = *wish { (*at == **led).then_some(value) } else { None };
            *state == LedState::Brightness(wishes.iter().find_map(value).unwrap_or(0))
        }
    }
}

/// The store holds what the record names, and nothing else.
fn is_tidy(world: &World, record: &Record) {
    let previous = record.previous.as_ref().map(|(_, generation)| generation);
    let named = store::files_of(previous.into_iter().chain([&record.generation]));
    assert_eq!(store::files(&world.disk), named, "bounded: the store is not swept");
}

/// What a status commit at the hub says.
pub(crate) fn status_of(commit: Oid, hub: &Hub) -> DeviceStatus {
    let tree = commit::parse(&object(commit, hub).data).unwrap().tree;
    let names = graph::below(&hub.objects, tree, &mut Default::default()).unwrap();
    status::decode(&object(names[1].0, hub).data).unwrap()
}

fn object(id: Oid, hub: &Hub) -> Object {
    hub.objects.0[&id].clone()
}
