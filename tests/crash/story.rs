//! A sync that is recorded, and what has to hold whatever a cut left of it.

use std::{any::Any, collections::BTreeSet, fs, panic, path::Path};

use giter_edge::{
    api::{ConditionStatus, Oid},
    disk::{FloorFile, SlotLedger, atomic},
    reconcile::ports::{FloorCopy, Ledger},
};

use super::{
    common::{
        case::World,
        exchange::{Exchange, status_ref},
        hub::git_agrees,
    },
    disk::{Body, Change, Disk, Id},
    promises,
    recording::{DEVICE, HUB, Recording},
    strace,
};

/// What the first specs put into the device's file.
const FIRST: &str = "hello\n";
const SECOND: &str = "changed\n";

/// A world, and one sync in it.
pub(crate) struct Story {
    pub(crate) world: World,
    /// What the sync did.
    pub(crate) recording: Recording,
    /// How many tips must have survived a cut after so many steps.
    pub(crate) promised: Vec<u64>,
    /// The tips that the device accepts, in their order.
    tips: Vec<Oid>,
    /// What the device's file is in the end.
    motd: &'static str,
}

impl Story {
    /// A device that has nothing yet.
    pub(crate) fn first_sync() -> Self {
        let world = world();
        for path in ["state", "files"] {
            fs::remove_dir_all(world.device.path(path)).unwrap();
        }
        fs::create_dir(world.device.path("files")).unwrap();
        for path in ["sim.toml", "giter.floor"] {
            fs::remove_file(world.device.path(path)).unwrap();
        }
        world.exchange.hub.git(&["update-ref", "-d", &status_ref()]);
        let tip = world.accepted.get();
        Self::record(world, vec![tip], FIRST)
    }

    /// Other specs.
    pub(crate) fn change() -> Self {
        let world = world();
        let first = world.accepted.get();
        let second = world.publish_next(SECOND);
        Self::record(world, vec![first, second], SECOND)
    }

    /// No other specs, and a line that somebody moved: a status alone is written and pushed.
    pub(crate) fn drift() -> Self {
        let world = world();
        world.device.tamper("GPIO17 = \"high\"", "GPIO17 = \"low\"");
        let tip = world.accepted.get();
        Self::record(world, vec![tip], FIRST)
    }

    /// Nothing to do.
    pub(crate) fn unchanged() -> Self {
        let world = world();
        let tip = world.accepted.get();
        Self::record(world, vec![tip], FIRST)
    }

    fn record(world: World, tips: Vec<Oid>, motd: &'static str) -> Self {
        let root = world.exchange.beside("");
        let before = Disk::scan(&root, &[DEVICE, HUB]);
        let (run, calls) = strace::record(&world.device, &["sync"]);
        assert_eq!((run.exit, run.err.as_str()), (Some(0), ""), "{}", run.out);
        let recording = Recording::new(&root, DEVICE, before, &calls);
        let replayed = recording.after(recording.steps.len());
        let found = Disk::scan(&root, &[DEVICE, HUB]);
        assert_eq!(replayed.difference(&found), None, "the recording does not come to what the sync came to");
        let promised = promises::advances(&recording, world.device.record().advances, motd);
        Self { world, recording, promised, tips, motd }
    }

    /// Puts the world back to before the sync.
    pub(crate) fn rewind(&self) {
        self.recording.before.write_out(&self.world.exchange.beside(""));
    }

    /// Makes the world what a cut after so many steps left, and holds the device to its promises; why it fails.
    pub(crate) fn check(&self, left: &Disk, cut: usize) -> Result<(), String> {
        let checked = panic::catch_unwind(panic::AssertUnwindSafe(|| {
            settled(left).write_out(&self.world.exchange.beside(""));
            self.check_kept(self.promised[cut]);
            self.check_recovers();
        }));
        checked.map_err(|panic| told(&*panic))
    }

    /// Has the device go on from whatever there is now, which must bring it to the end of the story; why it fails.
    pub(crate) fn recovers(&self) -> Result<(), String> {
        let checked = panic::catch_unwind(panic::AssertUnwindSafe(|| self.check_recovers()));
        checked.map_err(|panic| told(&*panic))
    }

    /// Before the agent starts again: what it promised is on the disk, and it can be looked at.
    fn check_kept(&self, promised: u64) {
        let Self { world, tips, .. } = self;
        let state = world.device.path("state");
        let record = SlotLedger::new(&state).load().expect("the ledger is sound");
        assert!(record.advances >= promised, "{} tips are left of {promised}", record.advances);
        let tip = record.advances.checked_sub(1).map(|at| tips[at as usize]);
        assert_eq!(record.tip.map(|tip| tip.commit), tip, "the tip is none of those that were accepted");
        let floor = FloorFile::new(&world.device.path("giter.floor")).load().expect("the floor is sound");
        assert!(floor.is_none_or(|floor| floor.advances <= record.advances), "the second floor was first");
        if world.exchange.status().is_some() {
            let status = world.status();
            assert!(record.status.is_some_and(|last| last.sequence >= status.sequence), "a sequence is used twice");
            assert!(status.advances <= record.advances, "the hub was told of a tip that is lost");
        }
        let run = world.device.run(&["status"]);
        let expected: &[_] = if tip.is_some() { &[""] } else { &["NothingAccepted"] };
        assert!(expected.contains(&run.said("reason")), "status: {}{}", run.out, run.err);
    }

    /// The next sync brings everything to where it would be without the cut.
    fn check_recovers(&self) {
        let Self { world, tips, motd, .. } = self;
        let told = world.exchange.status();
        world.device.sync_well();
        let record = world.device.record();
        assert_eq!(record.tip.map(|tip| tip.commit), tips.last().copied());
        assert_eq!(record.advances, tips.len() as u64);
        let floor = FloorFile::new(&world.device.path("giter.floor")).load().unwrap();
        assert_eq!(floor.map(|floor| floor.advances), Some(record.advances), "the second floor lags behind");
        world.check_holds(motd);
        self.remove_unfinished();
        world.device.check_is_tidy();
        self.check_nothing_else();
        let status = world.status();
        assert_eq!(status.observed_revision, tips.last().copied());
        assert!(status.conditions.iter().all(|condition| condition.status == ConditionStatus::True));
        if let Some(told) = told {
            let chain = ["merge-base", "--is-ancestor", &told.to_string(), &status_ref()];
            assert!(git_agrees(&world.exchange.hub.path(), &chain), "the chain of statuses is broken");
        }
        assert!(world.device.sync_well().starts_with("nothing changed: "));
    }

    /// What a cut left of a record that was being written stays until that slot is written again, which takes it away: its
    /// name is always the same.
    fn remove_unfinished(&self) {
        for slot in ["ledger.a", "ledger.b"] {
            let path = self.world.device.path("state").join(atomic::temporary_name(slot));
            if path.exists() {
                fs::remove_file(path).unwrap();
            }
        }
    }

    /// Beside the state folder and what the specs name, all is as it was.
    fn check_nothing_else(&self) {
        let own = ["files", "giter.floor", "giterd.toml", "sim.toml", "state"];
        let names = fs::read_dir(self.world.device.path("")).unwrap().map(|entry| entry.unwrap().file_name());
        let names: BTreeSet<_> = names.map(|name| name.into_string().unwrap()).collect();
        assert_eq!(names.iter().map(String::as_str).collect::<Vec<_>>(), own);
        let config = Path::new(DEVICE).join("giterd.toml");
        assert_eq!(Some(self.world.device.config().as_bytes()), self.recording.before.file(&config));
        let refs = self.world.exchange.hub.git(&["for-each-ref", "--format=%(refname)"]);
        assert_eq!(refs, format!("{}\nrefs/heads/main", status_ref()));
        let head = self.world.exchange.hub.value("refs/heads/main");
        assert_eq!(head.as_ref(), self.tips.last());
    }
}

/// A device that keeps a second copy of its floor, and has accepted its first specs.
fn world() -> World {
    World::by_file_with(Exchange::in_memory(), |device| {
        let floor = device.name("giter.floor").display().to_string();
        device.write_config(&device.config().replace("[trust]\n", &format!("[trust]\nfloor = \"{floor}\"\n")));
    })
}

/// The hub keeps its power: what it has half done it takes back.
fn settled(left: &Disk) -> Disk {
    let mut disk = left.clone();
    let hub = disk.find(Path::new(HUB)).expect("the hub is there");
    take_back(&mut disk, hub);
    disk
}

fn take_back(disk: &mut Disk, folder: Id) {
    let Body::Folder(entries) = disk.node(folder).body.clone() else { return };
    for (name, id) in entries {
        if name.ends_with(".lock") || name.starts_with(".tmp") {
            disk.apply(&Change::Entry { folder, name, to: None });
        } else {
            take_back(disk, id);
        }
    }
}

/// What a panic said.
pub(crate) fn told(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without words").to_owned()
}
