//! One device in the world, from the outside: a story publishes, meddles and lets the device tick.
//!
//! [`Run::tick`] is over when a tick went undisturbed. A fault on the way is lived through as a device does, by
//! rebooting or by the next tick, and the invariants are held against what came of it each time.

use giter_edge::{
    api::{DeviceStatus, Oid, Result, ledger::Record},
    codec::{config::Format, keyfile::SecretKey},
    git::seal::StatusSeal,
    reconcile::{
        apply::is_same_record,
        ports::{Board, FloorCopy, Ledger, Link, Outbox, Store},
        tick::{Agent, Ports, Reach, Seal, Settings, Tick},
        verify::Policy,
    },
};

use crate::{
    invariants::{Watch, status_of},
    publisher::{DEVICE, Flaw, Publisher, Wish},
    world::{
        Shared, World,
        board::SimBoard,
        disk::Cache,
        floor::{self, SimFloor},
        hub::SimLink,
        ledger::{self, SimLedger},
        outbox::SimOutbox,
        stick::{self, SimStick, Stick},
        store::SimStore,
    },
};

/// What a device is made of.
pub(crate) struct Parts {
    pub(crate) link: Box<dyn Link>,
    pub(crate) store: Box<dyn Store>,
    pub(crate) board: Box<dyn Board>,
    pub(crate) ledger: Box<dyn Ledger>,
    pub(crate) floor: Option<Box<dyn FloorCopy>>,
    pub(crate) outbox: Box<dyn Outbox>,
}

/// Makes the parts anew at each start.
pub(crate) type Workshop = fn(&Shared) -> Parts;

/// The parts as they should be.
pub(crate) fn sound_parts(world: &Shared) -> Parts {
    Parts {
        link: Box::new(SimLink::new(world)),
        store: Box::new(SimStore::new(world)),
        board: Box::new(SimBoard::new(world)),
        ledger: Box::new(SimLedger::new(world)),
        floor: Some(Box::new(SimFloor::new(world))),
        outbox: Box::new(SimOutbox::new(world)),
    }
}

/// The same, with a conversation that is held from tick to tick.
pub(crate) fn holding_parts(world: &Shared) -> Parts {
    Parts { link: Box::new(SimLink::holding(world)), ..sound_parts(world) }
}

/// What the device's first key grows from.
pub(crate) const KEY: u8 = 3;

pub(crate) struct Run {
    world: Shared,
    publisher: Publisher,
    watch: Watch,
    workshop: Workshop,
    parts: Parts,
    seal: StatusSeal,
    /// What the device's key grows from.
    seed: u8,
    agent: Option<Agent>,
    /// What the operator says of statuses.
    pub(crate) heartbeat: Option<u64>,
    pub(crate) coalesce: u64,
    pub(crate) budget: Option<u64>,
}

impl Run {
    pub(crate) fn new(world: &Shared, workshop: Workshop) -> Self {
        Self {
            world: world.clone(),
            publisher: Publisher::new(world),
            watch: Watch::default(),
            workshop,
            parts: workshop(world),
            seal: seal(KEY),
            seed: KEY,
            agent: None,
            heartbeat: None,
            coalesce: 0,
            budget: None,
        }
    }

    /// The world, to look at and to meddle with.
    pub(crate) fn world(&self) -> impl std::ops::DerefMut<Target = World> {
        self.world.get()
    }

    pub(crate) fn publish(&mut self, wishes: &[Wish]) -> Oid {
        self.publisher.publish(wishes)
    }

    pub(crate) fn publish_flawed(&mut self, wishes: &[Wish], flaw: Flaw) -> Oid {
        self.publisher.publish_flawed(wishes, flaw)
    }

    /// Lets the device go back to the sound commit with that number, in a commit on top of it.
    pub(crate) fn publish_reset(&mut self, serial: u64, to: usize, wishes: &[Wish]) -> Oid {
        self.publisher.publish_reset(serial, to, wishes)
    }

    /// From now on, sound commits name the key that grows from the seed as the device's.
    pub(crate) fn name_key(&mut self, seed: u8) {
        self.publisher.names = Some(seed);
    }

    /// Gives the device another key, and starts it anew.
    pub(crate) fn replace_key(&mut self, seed: u8) {
        (self.seal, self.seed) = (seal(seed), seed);
        self.reboot();
    }

    /// How many sound commits were published.
    pub(crate) fn published(&self) -> usize {
        self.publisher.sound.len()
    }

    /// Moves the branch back to the sound commit with that number, from 0.
    pub(crate) fn rewind(&mut self, sound: usize) {
        self.publisher.rewind(sound);
    }

    /// Somebody else moves or deletes the status ref.
    pub(crate) fn move_status_ref(&mut self, to: Option<Oid>) {
        self.world().hub.status = to;
        self.watch.status_ref_moved(to);
    }

    /// The hub is put back to where it had an older status of the device's own.
    pub(crate) fn restore_status(&mut self, to: Option<Oid>) {
        self.world().hub.status = to;
        self.watch.status_restored(to);
    }

    /// Flips a bit in the newest pack of the accepted tip.
    pub(crate) fn damage_newest_pack(&mut self) {
        if let Some(&pack) = self.record().generation.packs.last() {
            self.world().disk.rot(&crate::world::store::path(pack));
            self.watch.damaged();
        }
    }

    /// The state folder is lost while the power is off.
    pub(crate) fn lose_state(&mut self) {
        self.world().dark.get_or_insert(Cache::Lazy);
        self.world().disk.lose("state");
        self.watch.forgot();
        self.restart();
    }

    /// The second copy of the floor is lost.
    pub(crate) fn lose_floor(&mut self) {
        self.world().disk.lose("boot");
    }

    /// A bit of the second copy of the floor flips.
    pub(crate) fn damage_floor(&mut self) {
        self.world().disk.rot(floor::PATH);
    }

    /// A bit of the newest record flips while the power is off.
    pub(crate) fn damage_newest_record(&mut self) {
        self.world().dark.get_or_insert(Cache::Lazy);
        let slot = ledger::newest_slot(&self.world().disk).expect("there is a record");
        self.world().disk.rot(slot);
        self.watch.forgot();
        self.restart();
    }

    /// The status ref is deleted where the device remembers nothing: it is as a new one.
    pub(crate) fn begin_anew(&mut self) {
        self.world().hub.status = None;
        self.watch.begins_anew();
    }

    /// Another board with this device's key and name says something on top of its last status.
    pub(crate) fn hear_twin(&mut self) {
        let last = self.record().status.expect("a status was made");
        let status = DeviceStatus { sequence: last.sequence + 1, boot_id: [99; 16], ..self.said() };
        let parent = self.world().hub.status;
        let objects = self.seal.seal(&status, parent, 1_795_000_000, "the twin".into()).unwrap().objects;
        let commit = objects[2].id;
        self.world().hub.add(objects);
        self.world().hub.status = Some(commit);
        self.watch.twin_said(commit, status.sequence);
    }

    /// What the device said last.
    pub(crate) fn said(&self) -> DeviceStatus {
        let world = self.world();
        status_of(world.hub.status.expect("the device said something"), &world.hub)
    }

    /// The record that counts, as it stands on the disk.
    pub(crate) fn record(&self) -> Record {
        let world = self.world.get();
        floor::raised(&world.disk, ledger::newest(&world.disk).expect("a ledger slot is sound"))
    }

    /// What the story did so far only leads up to it: no fault is to strike there.
    pub(crate) fn begin(&mut self) {
        let mut world = self.world();
        world.prelude = world.effects.len();
    }

    /// Switches the power off and on, and starts the agent.
    pub(crate) fn reboot(&mut self) {
        self.world().dark.get_or_insert(Cache::Lazy);
        self.restart();
    }

    /// Lets the device tick as far as the hub, until it was not disturbed and has nothing left to do.
    pub(crate) fn tick(&mut self) -> Tick {
        self.tick_as_far_as(Reach::Hub)
    }

    /// Lets the device tick once undisturbed, where it cannot come to what it knew before.
    pub(crate) fn tick_that_is_lost(&mut self) -> Tick {
        loop {
            if let Some(tick) = self.undisturbed(|run| run.attempt(Reach::Hub)) {
                return tick.expect("the agent starts and ticks");
            }
        }
    }

    pub(crate) fn tick_as_far_as(&mut self, reach: Reach) -> Tick {
        loop {
            let before = self.watch.tip();
            let Some(tick) = self.undisturbed(|run| run.attempt(reach)) else { continue };
            let tick = tick.expect("the agent starts and ticks");
            self.watch.settled(&self.world, &self.publisher, reach, before, &tick);
            let known = self.agent.as_ref().expect("it was started").record().clone();
            assert!(is_same_record(&known.owned, &self.record().owned), "durable: what is in hand is not on the disk");
            let effects = self.world().effects.len();
            let again = self.attempt(reach).expect("the agent ticks");
            let more = self.world().effects.split_off(effects);
            assert!(more.is_empty(), "idle: a tick without news did this: {more:?}; {again:?}");
            return tick;
        }
    }

    /// Puts a bundle for the device onto an empty stick and plugs that in: what was published since a sound commit, or the
    /// last alone.
    pub(crate) fn plug(&mut self, since: Option<usize>) {
        let base = since.map(|number| self.publisher.sound[number].0);
        let bundle = stick::bundle(&self.world, base, &DEVICE.parse().unwrap());
        self.world().stick = Stick { bundles: vec![bundle], ..Stick::default() };
    }

    /// Lets the device meet the stick, until it was not disturbed and has nothing left to do.
    pub(crate) fn visit(&mut self) -> Tick {
        loop {
            let Some(tick) = self.undisturbed(Self::meet) else { continue };
            let tick = tick.expect("the agent starts and ticks");
            self.watch.visited(&self.world, &self.publisher, &tick);
            if tick.publish_error.is_none() {
                let effects = self.world().effects.len();
                // What was refused is looked at again: no fault is to strike there.
                let fault = self.world().fault.take();
                let again = self.meet().expect("the agent ticks");
                self.world().fault = fault;
                let mut more = self.world().effects.split_off(effects);
                more.retain(|effect| again.sync_error.is_none() || !effect.contains("/quarantine/"));
                assert!(more.is_empty(), "idle: a stick without news did this: {more:?}; {again:?}");
            }
            return tick;
        }
    }

    fn meet(&mut self) -> Result<Tick> {
        self.start()?;
        let now = self.world().next_moment();
        let agent = self.agent.as_mut().expect("it was started");
        let mut stick = SimStick::new(&self.world, agent.record());
        Ok(agent.tick(&mut Ports { link: &mut stick, ..ports(&mut self.parts, &self.seal) }, Reach::Hub, now))
    }

    /// The stick comes to the hub, which takes what follows what it has; it says how far that is, for the next stick.
    pub(crate) fn bring(&mut self, stick: &Stick) -> Option<Oid> {
        let statuses = stick.statuses.as_ref()?;
        let at = self.world().hub.status;
        if let Some(count) = statuses.after(at).filter(|count| *count > 0) {
            self.world().hub.add(statuses.last(count));
            self.world().hub.status = statuses.tip();
            let sequence = self.said().sequence;
            self.watch.brought(statuses.tip().unwrap(), sequence);
        }
        self.world().hub.status
    }

    /// The end of a story: the hub is reached, and a device that is started anew is and stays as it should be.
    pub(crate) fn end(&mut self) {
        self.world().hub.unreachable = false;
        self.tick();
        self.reboot();
        self.tick();
    }

    /// Does something; `None` if a fault struck meanwhile, and a device that lost its power was started again.
    fn undisturbed<T>(&mut self, mut act: impl FnMut(&mut Self) -> T) -> Option<T> {
        let armed = self.world().fault.is_some();
        let result = act(self);
        let struck = armed && self.world().fault.is_none();
        let is_dark = self.world().dark.is_some();
        self.watch.look(&self.world, &self.publisher);
        if is_dark {
            self.restart();
        } else if struck {
            self.watch.disturbed();
        }
        (!struck).then_some(result)
    }

    fn restart(&mut self) {
        self.agent = None;
        self.world().reboot();
        self.parts = (self.workshop)(&self.world);
        while self.undisturbed(Self::start).map(|started| started.expect("the agent starts")).is_none() {}
        self.watch.started(&self.world, &self.publisher);
    }

    fn start(&mut self) -> Result<()> {
        if self.agent.is_none() {
            let settings = self.settings();
            self.agent = Some(Agent::start(settings, &mut ports(&mut self.parts, &self.seal))?);
        }
        Ok(())
    }

    fn attempt(&mut self, reach: Reach) -> Result<Tick> {
        self.start()?;
        let now = self.world().next_moment();
        let agent = self.agent.as_mut().expect("it was started");
        Ok(agent.tick(&mut ports(&mut self.parts, &self.seal), reach, now))
    }

    fn settings(&self) -> Settings {
        Settings {
            device: DEVICE.parse().unwrap(),
            agent: "0.0.0".into(),
            branch: crate::world::hub::BRANCH.into(),
            policy: Policy::Range,
            keyring: self.publisher.keyring(),
            exchange: None,
            inputs: [self.seed; 16],
            heartbeat: self.heartbeat,
            coalesce: self.coalesce,
            budget: self.budget,
        }
    }
}

fn seal(seed: u8) -> StatusSeal {
    StatusSeal::new(DEVICE.parse().unwrap(), SecretKey::from_seed(&[seed; 32]), Format::Compact)
}

fn ports<'a>(parts: &'a mut Parts, seal: &'a StatusSeal) -> Ports<'a> {
    Ports {
        link: &mut *parts.link,
        store: &mut *parts.store,
        board: &mut *parts.board,
        ledger: &mut *parts.ledger,
        floor: parts.floor.as_mut().map(|floor| &mut **floor as &mut dyn FloorCopy),
        outbox: &mut *parts.outbox,
        seal,
    }
}
