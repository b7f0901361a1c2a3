//! The shape of a test that gives `giterd` bad input.
//!
//! ```text
//! a first sync is accepted; something goes wrong; a line drifts     sync: refused, and still held to what was accepted
//!                                                                   sync: refused alike, and nothing is written
//! it is put right; a good commit is pushed                          sync: accepted and applied
//! ```

use std::{
    any::Any,
    cell::{Cell, RefCell},
    ffi::OsStr,
    fs,
    os::unix::fs::MetadataExt,
    panic,
    path::PathBuf,
};

use giter_edge::{
    api::{Condition, ConditionStatus, ConditionType, DeviceStatus, Oid},
    codec::status,
};

use super::{
    device::{Device, Run, Stamp},
    exchange::{Exchange, MANIFEST, status_ref},
};

/// What `publish_specs` puts into the device's file.
const FIRST: &str = "hello\n";

/// An exchange, and a device that has accepted and applied its first specs.
pub(crate) struct World {
    /// The publisher's side.
    pub(crate) exchange: Exchange,
    /// The device.
    pub(crate) device: Device,
    /// The tip that the device accepted.
    pub(crate) accepted: Cell<Oid>,
    /// What has to be there until it is put right: a lock, a server.
    pub(crate) held: RefCell<Vec<Box<dyn Any>>>,
}

impl World {
    /// A device that reaches its hub as a folder of this machine.
    pub(crate) fn by_file() -> Self {
        Self::by_file_with(Exchange::new(), |_| ())
    }

    /// The same, with this exchange, and with the device as `configure` has it.
    pub(crate) fn by_file_with(exchange: Exchange, configure: impl FnOnce(&Device)) -> Self {
        let url = format!("file://{}", exchange.hub.path().display());
        Self::new(exchange, &url, configure)
    }

    /// A device that reaches its hub by the URL, as `configure` has it.
    pub(crate) fn new(exchange: Exchange, url: &str, configure: impl FnOnce(&Device)) -> Self {
        let device = Device::new(&exchange, url);
        configure(&device);
        let world = Self { exchange, device, accepted: Cell::new(Oid::new([0; 20])), held: RefCell::default() };
        world.exchange.write(MANIFEST, world.specs(FIRST));
        world.accepted.set(world.exchange.publish());
        world.device.sync_well();
        world.check_holds(FIRST);
        world
    }

    /// A manifest of a file, a line that is high and an LED that shines.
    pub(crate) fn specs(&self, motd: &str) -> String {
        let files = self.device.name("files");
        format!(
            "apiVersion: edge.giter.dev/v1alpha1\nkind: File\nmetadata: {{name: motd}}\n\
             spec: {{path: {}/motd, content: {motd:?}, mode: \"0644\"}}\n---\n\
             apiVersion: edge.giter.dev/v1alpha1\nkind: GpioLine\nmetadata: {{name: pump-relay}}\n\
             spec: {{line: GPIO17, direction: output, value: high}}\n---\n\
             apiVersion: edge.giter.dev/v1alpha1\nkind: Led\nmetadata: {{name: activity}}\n\
             spec: {{led: ACT, brightness: 255}}\n",
            files.display()
        )
    }

    /// Publishes other specs on top of those that were accepted; the commit.
    pub(crate) fn publish_next(&self, motd: &str) -> Oid {
        self.exchange.reset(self.accepted.get());
        self.exchange.write(MANIFEST, self.specs(motd));
        self.exchange.publish()
    }

    /// That the board is as the specs have it, and that there is nothing else.
    pub(crate) fn check_holds(&self, motd: &str) {
        let files = self.device.path("files");
        let names: Vec<_> = fs::read_dir(&files).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["motd"]);
        assert_eq!(fs::read_to_string(files.join("motd")).unwrap(), motd);
        assert_eq!(files.join("motd").metadata().unwrap().mode() & 0o7777, 0o644);
        let registers = self.device.registers();
        assert!(registers.contains("GPIO17 = \"high\"") && registers.contains("ACT = 255"), "{registers}");
    }

    /// The status that stands at the hub, whose signature git proves.
    pub(crate) fn status(&self) -> DeviceStatus {
        let hub = &self.exchange.hub;
        let signers = format!("gpg.ssh.allowedSignersFile={}", self.exchange.beside("device.signers").display());
        hub.git(&["-c", &signers, "verify-commit", &status_ref()]);
        let blob =
            super::hub::git_bytes(&hub.path(), &["cat-file", "blob", &format!("{}:status.postcard", status_ref())]);
        status::decode(&blob).unwrap()
    }

    /// The `Synced` condition of the status that stands at the hub.
    pub(crate) fn synced(&self) -> Condition {
        let status = self.status();
        status.conditions.iter().find(|condition| condition.kind == ConditionType::Synced).unwrap().clone()
    }
}

/// What the world gets to hear of it, besides the one who called.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    /// A status is pushed whose `Synced` is `False` for the same reason.
    InStatus,
    /// The agent held the board to its specs, and no status could be pushed.
    Nowhere,
    /// The agent did not start, and touched nothing.
    BeforeTheAgent,
}

/// What a sync does again that failed before, because it may go well this time.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Retries {
    /// Nothing: no byte is written.
    Nothing,
    /// The fetch, which leaves traces in the times of folders.
    Fetch,
    /// The push of a status, which is a new one, and so recorded.
    Push,
}

/// One way in which things go wrong, and what has to come of it.
pub(crate) struct Case {
    /// For the test's output.
    pub(crate) name: &'static str,
    /// Makes it so.
    pub(crate) wrong: Box<dyn Fn(&World)>,
    /// The `reason:`.
    pub(crate) reason: &'static str,
    /// The exit code.
    pub(crate) exit: i32,
    /// A part of the error's one line. `{board}` and `{beside}` are the folders of the device and of the hub.
    pub(crate) says: String,
    /// Who hears of it.
    pub(crate) heard: Heard,
    /// What the next sync tries again.
    pub(crate) retries: Retries,
    /// Puts it right, as far as that is not done by publishing good specs with the first configuration.
    pub(crate) mend: Box<dyn Fn(&World)>,
}

impl Case {
    /// A tip that the device refuses, and says so.
    pub(crate) fn tip(name: &'static str, reason: &'static str, says: &str, wrong: impl Fn(&World) + 'static) -> Self {
        let (wrong, mend) = (Box::new(wrong), Box::new(|_: &World| ()));
        Self {
            name,
            wrong,
            reason,
            exit: 1,
            says: says.into(),
            heard: Heard::InStatus,
            retries: Retries::Nothing,
            mend,
        }
    }

    /// What keeps the device from its hub.
    pub(crate) fn link(
        name: &'static str,
        (reason, exit): (&'static str, i32),
        says: &str,
        wrong: impl Fn(&World) + 'static,
    ) -> Self {
        Self { exit, heard: Heard::Nowhere, ..Self::tip(name, reason, says, wrong) }
    }

    /// What keeps the agent from starting.
    pub(crate) fn start(
        name: &'static str,
        (reason, exit): (&'static str, i32),
        says: &str,
        wrong: impl Fn(&World) + 'static,
    ) -> Self {
        Self { exit, heard: Heard::BeforeTheAgent, ..Self::tip(name, reason, says, wrong) }
    }

    /// With more to be put right.
    pub(crate) fn mended(self, mend: impl Fn(&World) + 'static) -> Self {
        Self { mend: Box::new(mend), ..self }
    }

    /// With another line.
    pub(crate) fn saying(self, says: &str) -> Self {
        Self { says: says.into(), ..self }
    }

    /// With something that the next sync tries again.
    pub(crate) fn retrying(self, retries: Retries) -> Self {
        Self { retries, ..self }
    }

    fn check(&self, world: &World) {
        let config = world.device.config();
        (self.wrong)(world);
        let status = world.exchange.status();
        if self.heard == Heard::BeforeTheAgent {
            self.check_refused(world);
        } else {
            world.device.tamper("GPIO17 = \"high\"", "GPIO17 = \"low\"");
            self.check_refused(world);
            world.device.check_is_tidy();
            assert_eq!(world.device.record().tip.unwrap().commit, world.accepted.get());
        }
        world.check_holds(FIRST);
        match self.heard {
            Heard::InStatus => self.check_status(world),
            Heard::Nowhere | Heard::BeforeTheAgent => assert_eq!(world.exchange.status(), status),
        }
        self.check_again(world);
        self.check_mended(world, &config);
    }

    fn check_refused(&self, world: &World) -> Run {
        let run = world.device.sync();
        let all = format!("{}{}", run.out, run.err);
        assert_eq!((run.said("reason"), run.exit), (self.reason, Some(self.exit)), "{all}");
        let beside = world.exchange.beside("").display().to_string();
        let says = self.says.replace("{board}", "{beside}/board").replace("{beside}", beside.trim_end_matches('/'));
        assert!(run.said("error").contains(&says), "expected '{says}' in\n{all}");
        assert!(!run.said("hint").is_empty(), "no hint in\n{all}");
        run
    }

    fn check_status(&self, world: &World) {
        let synced = world.synced();
        assert_eq!((synced.status, synced.reason.as_str()), (ConditionStatus::False, self.reason));
        assert_eq!(world.status().observed_revision, Some(world.accepted.get()));
    }

    /// The same again: nothing is written, here or at the hub.
    fn check_again(&self, world: &World) {
        let before = (world.device.state(), world.exchange.hub.git(&["for-each-ref"]));
        self.check_refused(world);
        let after = world.device.state();
        let changed = |(path, stamp): &(&PathBuf, &Stamp)| match self.retries {
            Retries::Nothing => after.get(*path) != Some(stamp),
            _ => after.get(*path).is_none_or(|other| other.content != stamp.content),
        };
        let changed: Vec<_> = before.0.iter().filter(changed).map(|(path, _)| path.file_name().unwrap()).collect();
        let is_ledger = |name: &&OsStr| *name == "ledger.a" || *name == "ledger.b";
        let expected = if self.retries == Retries::Push { changed.iter().all(is_ledger) } else { changed.is_empty() };
        assert!(expected, "written to: {changed:?}");
        assert_eq!(before.0.len(), after.len(), "files were left");
        assert_eq!(before.1, world.exchange.hub.git(&["for-each-ref"]));
    }

    /// Once it is put right, the next good commit is accepted and applied.
    fn check_mended(&self, world: &World, config: &str) {
        world.device.unset();
        world.device.write_config(config);
        (self.mend)(world);
        world.held.take();
        let tip = world.publish_next("hello again\n");
        world.device.sync_well();
        world.check_holds("hello again\n");
        world.device.check_is_tidy();
        let status = world.status();
        assert_eq!(status.observed_revision, Some(tip));
        assert!(status.conditions.iter().all(|condition| condition.status == ConditionStatus::True));
        assert!(world.device.sync_well().starts_with("nothing changed: "));
    }
}

/// Checks each case in a world of its own; all that fail are named.
pub(crate) fn check_all(cases: impl IntoIterator<Item = Case>, world: impl Fn() -> World) {
    let mut failed = Vec::new();
    for case in cases {
        if let Err(panic) = panic::catch_unwind(panic::AssertUnwindSafe(|| case.check(&world()))) {
            failed.push(format!("{}: {}", case.name, panic.downcast_ref::<String>().map_or("", String::as_str)));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
}
