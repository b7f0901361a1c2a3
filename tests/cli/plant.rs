//! An exchange, its hub, a stick, and boards that are reached by that alone: they seal statuses as the agent does.

use std::{
    fs,
    path::{Path, PathBuf},
};

use giter_edge::{
    api::{
        Condition, ConditionStatus, ConditionType, Device, DeviceId, DeviceKey, DeviceStatus, Oid, condition::Text,
        object::NewObject, status::Clock,
    },
    codec::{config::Format, device, enrolment::Notes, keyfile::SecretKey, stick::Paper},
    git::{bundle, enrolment, seal::StatusSeal},
    reconcile::{report, tick::Seal},
};
use serde_json::Value;

use super::support::{OPS_KEY, OPS_PUB, Ran, World};

/// When the first status of every board was made; each of the others a minute later.
const START: i64 = 1_795_000_000;

/// An exchange in `exchange/`, its hub in `hub.git`, and a stick in `stick/`.
pub(crate) struct Plant {
    pub(crate) world: World,
    /// The name of the exchange's folder on a stick.
    pub(crate) exchange: String,
}

impl Plant {
    /// With these boards, each approved; the hub judges what is pushed.
    pub(crate) fn new(boards: &[&Board]) -> Self {
        let world = World::new();
        world.identify();
        world.write_key("ops.key", OPS_KEY);
        world.write("ops.key.pub", OPS_PUB);
        world.giterctl(&["init", "exchange", "--device", "first", "--key", "ops.key"]).good();
        world.giterctl(&["init", "--hub", "hub.git", "--root", "exchange/root.keys"]).good();
        world.git(&["-C", "exchange", "remote", "add", "origin", "../hub.git"]);
        let charter = world.read("exchange/exchange.yaml");
        let id = charter.lines().find_map(|line| line.trim().strip_prefix("id: ")).unwrap().to_owned();
        std::fs::create_dir(world.path("stick")).unwrap();
        let plant = Self { world, exchange: id };
        boards.iter().for_each(|board| plant.approve(board));
        plant.publish("the boards");
        plant
    }

    fn approve(&self, board: &Board) {
        let name = board.id.as_str().rsplit('/').next().unwrap().parse().unwrap();
        let key = DeviceKey { key: board.key.public().to_openssh().into(), valid_after: None, valid_before: None };
        let says = Device { name, status_keys: vec![key], ssh_keys: vec![], relays: vec![] };
        let folder = format!("exchange/specs/{}", board.id);
        self.world.write(&format!("{folder}/device.yaml"), device::to_yaml(&says, &[].into()).unwrap());
        self.set(board, "motd");
    }

    /// Changes the only resource of a board.
    pub(crate) fn set(&self, board: &Board, content: &str) {
        self.set_file(board, Path::new("/etc/giter/files/motd"), content);
    }

    fn set_file(&self, board: &Board, path: &Path, content: &str) {
        let motd = format!(
            "apiVersion: edge.giter.dev/v1alpha1\nkind: File\nmetadata: {{name: motd}}\n\
             spec: {{path: {}, content: {content:?}}}\n",
            path.display()
        );
        self.world.write(&format!("exchange/specs/{}/motd.yaml", board.id), motd);
    }

    /// Makes a device of the board: a simulated one, with a folder for files.
    pub(crate) fn install(&self, name: &str, board: &Board, more: &str) {
        let world = &self.world;
        world.write_key(&format!("{name}.key"), &board.key.to_openssh("").unwrap());
        world.write(&format!("{name}/files/.keep"), "");
        let at = |path: &str| world.path(path).display().to_string();
        let config = format!(
            "device = \"{}\"\nstate = {:?}\nboard = \"sim\"\n[trust]\nroot = {:?}\n[status]\nkey = {:?}\n\
             [files]\nroots = [{:?}]\n[sim]\nfile = {:?}\n{more}",
            board.id,
            at(&format!("{name}/state")),
            at("exchange/root.keys"),
            at(&format!("{name}.key")),
            at(&format!("{name}/files")),
            at(&format!("{name}/sim.toml")),
        );
        world.write(&format!("{name}/giterd.toml"), config);
    }

    /// Has that resource of an installed device be a file there.
    pub(crate) fn set_motd(&self, name: &str, board: &Board, content: &str) {
        self.set_file(board, &self.world.path(&format!("{name}/files/motd")), content);
    }

    /// What that file says.
    pub(crate) fn motd(&self, name: &str) -> String {
        fs::read_to_string(self.world.path(&format!("{name}/files/motd"))).unwrap_or_default()
    }

    /// The installed device meets a stick.
    pub(crate) fn meets(&self, name: &str, stick: &str) -> Ran {
        self.world.giterd(&["--config", &format!("{name}/giterd.toml"), "sync", "-o", "json", "--stick", stick])
    }

    /// Commits, signed, and pushes; the commit.
    pub(crate) fn publish(&self, message: &str) -> Oid {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "-S", "--allow-empty", "-m", message]);
        self.git(&["push", "-q", "origin", "HEAD"]);
        self.tip()
    }

    pub(crate) fn tip(&self) -> Oid {
        self.git(&["rev-parse", "HEAD"]).parse().unwrap()
    }

    /// git in the exchange.
    pub(crate) fn git(&self, args: &[&str]) -> String {
        self.world.git(&[&["-C", "exchange"], args].concat())
    }

    pub(crate) fn giterctl(&self, args: &[&str]) -> Ran {
        self.world.giterctl(&[&["-C", "exchange"], args].concat())
    }

    /// Exports to the stick; what it says as JSON.
    pub(crate) fn export(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.giterctl(&[&["export", "--to", "stick", "-o", "json"], args].concat()).good())
            .unwrap()
    }

    /// Imports from the stick; what it says as JSON, and the code that it ends with.
    pub(crate) fn import(&self, args: &[&str]) -> (Value, Option<i32>) {
        let ran = self.giterctl(&[&["import", "stick", "-o", "json"], args].concat());
        (serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{}", ran.all())), ran.code)
    }

    /// Where the status ref of a board is at the hub; empty if it is not there.
    pub(crate) fn at_hub(&self, board: &Board) -> String {
        let name = format!("refs/giter/status/{}", board.id);
        self.world.git(&["-C", "hub.git", "for-each-ref", "--format=%(objectname)", &name])
    }

    /// Where something of a board lies on the stick.
    pub(crate) fn place(&self, paper: Paper, board: &Board) -> String {
        format!("stick/{}", paper.place(&self.exchange, &board.id).path().display())
    }

    /// Puts the board's statuses on the stick, as the agent does.
    pub(crate) fn carry(&self, board: &Board) {
        self.world.write(&self.place(Paper::Statuses, board), board.bundle());
    }

    /// The bundles for devices on the stick, by their paths from the folder of bundles.
    pub(crate) fn bundles(&self) -> Vec<String> {
        let folder = self.world.path(&format!("stick/GITER/{}/to-device", self.exchange));
        let mut found: Vec<String> = files(&folder)
            .iter()
            .map(|path| path.strip_prefix(&folder).unwrap().display().to_string())
            .filter(|path| path.ends_with(".bundle"))
            .collect();
        found.sort();
        found
    }
}

/// All files below a folder.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// A board: its key, what it says, and what of that waits for a stick.
#[derive(Clone)]
pub(crate) struct Board {
    pub(crate) id: DeviceId,
    pub(crate) key: SecretKey,
    pub(crate) status: DeviceStatus,
    /// Its last status.
    pub(crate) tip: Option<Oid>,
    /// The status on which those that wait are built.
    pub(crate) base: Option<Oid>,
    pub(crate) outbox: Vec<NewObject>,
}

impl Board {
    /// A board whose key grows from a seed.
    pub(crate) fn new(name: &str, seed: u8) -> Self {
        let id: DeviceId = name.parse().unwrap();
        let is = |kind, reason| Condition::new(kind, ConditionStatus::True, reason, "");
        let status = DeviceStatus {
            device: id.clone(),
            board: Text::new("sim"),
            agent: Text::new("0.1.0"),
            boot_id: [seed; 16],
            sequence: 0,
            uptime: 30,
            clock: Clock::Plausible,
            observed_revision: None,
            advances: 0,
            conditions: [is(ConditionType::Synced, "Accepted"), is(ConditionType::Ready, "AllReady")]
                .into_iter()
                .collect(),
            resources: vec![],
            lost: 0,
        };
        Self { id, key: SecretKey::from_seed(&[seed; 32]), status, tip: None, base: None, outbox: vec![] }
    }

    /// Says the next status: that it has accepted a commit.
    pub(crate) fn say(&mut self, revision: Oid) -> Oid {
        self.status.sequence += 1;
        self.status.uptime += 60;
        self.status.advances += 1;
        self.status.observed_revision = Some(revision);
        let seal = StatusSeal::new(self.id.clone(), self.key.clone(), Format::Compact);
        let time = START + 60 * self.status.sequence as i64;
        let sealed = seal.seal(&self.status, self.tip, time, report::message(&self.status, [])).unwrap();
        let tip = sealed.objects[2].id;
        self.outbox.extend(sealed.objects);
        self.tip = Some(tip);
        tip
    }

    /// Learns that all it said has come home.
    pub(crate) fn is_heard(&mut self) {
        self.outbox.clear();
        self.base = self.tip;
    }

    /// Gives up all that waits, and begins again where that begins.
    pub(crate) fn give_up(&mut self) {
        self.outbox.clear();
        self.tip = self.base;
    }

    /// All that waits, as a bundle.
    pub(crate) fn bundle(&self) -> Vec<u8> {
        let name = format!("refs/giter/status/{}", self.id);
        bundle::write(&name, self.tip.unwrap(), self.base, &self.outbox).unwrap()
    }

    /// Its request for enrolment, as a bundle.
    pub(crate) fn request(&self) -> Vec<u8> {
        let notes = Notes { board: "sim".into(), agent: "0.1.0".into() };
        let request = enrolment::Request { device: &self.id, key: &self.key, ssh_key: None, notes, time: START };
        let objects = enrolment::request_commit(request).unwrap();
        bundle::write(&giter_edge::codec::enrolment::ref_of(&self.id), objects[2].id, None, &objects).unwrap()
    }

    /// Where its request lies on a stick, while it knows of no exchange.
    pub(crate) fn request_place(&self) -> String {
        format!("stick/{}", Paper::Request.place(giter_edge::codec::stick::ENROLL, &self.id).path().display())
    }
}
