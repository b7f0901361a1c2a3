//! A gateway and the real git: what it brings for devices, what it hands on, and what becomes of lies.

mod lies;
mod specs;
mod statuses;

use std::{
    cell::Cell,
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    rc::Rc,
};

use giter_edge::{
    api::{
        DeviceId, DeviceStatus, Oid, Reason, condition::Text, ledger::Generation, limits, object::NewObject,
        status::Clock,
    },
    codec::{config::Format, keyfile::SecretKey},
    git::{PackStore, bundle, seal::StatusSeal},
    link::{
        relay::{Known, Passed, Relay},
        remote::Remote,
    },
    reconcile::{
        ports::{Link, Quarantine, Store},
        relay::served::Served,
        tick::Seal,
    },
};

use crate::support::{git, git_oid, git_with, pipe};

const EXCHANGE: &str = "5f0c1f0e3d5b4d0e9a7c2b6e8f1a4c3d";
const PUMP: &str = "site-a/pump-07";
const FAN: &str = "site-b/fan-01";

/// A hub, a gateway with a link to it, and the folder that devices use as a stick.
struct Site {
    dir: tempfile::TempDir,
    relay: Relay,
    link: Remote<pipe::Pipe>,
    traffic: Rc<Cell<usize>>,
}

impl Site {
    fn new(filters: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        git(dir.path(), &["init", "-q", "--bare", "-b", "main", "hub.git"]);
        let hub = dir.path().join("hub.git");
        git(&hub, &["config", "uploadpack.allowFilter", &filters.to_string()]);
        // So git looks for what a commit has at all of its paths.
        git(&hub, &["config", "pack.useSparse", "false"]);
        let relay = Relay {
            folder: dir.path().join("kept"),
            scratch: dir.path().join("part"),
            devices: [PUMP, FAN].map(|device| device.parse().unwrap()).into(),
            bytes: 1 << 20,
            visit: limits::RELAY_VISIT,
            branch: "main".into(),
            prefix: "refs/giter/status".into(),
            known: Known::default(),
        };
        let (link, traffic) = pipe::link(hub);
        Self { dir, relay, link, traffic }
    }

    fn hub(&self) -> PathBuf {
        self.dir.path().join("hub.git")
    }

    /// Puts a commit on the branch that writes these files.
    fn commit(&self, files: &[(&str, &str)]) -> Oid {
        let mut stream = String::from("commit refs/heads/main\ncommitter Ops <ops@x> 1700000000 +0000\ndata 3\nset\n");
        let is_first = git(&self.hub(), &["for-each-ref", "refs/heads/main"]).is_empty();
        stream.push_str(if is_first { "" } else { "from refs/heads/main^0\n" });
        for (path, text) in files {
            stream.push_str(&format!("M 100644 inline {path}\ndata {}\n{text}\n", text.len()));
        }
        git_with(&self.hub(), &["fast-import", "--quiet"], stream.as_bytes());
        git_oid(&self.hub(), &["rev-parse", "main"])
    }

    /// What a tick does before, and then the gateway.
    fn visit(&mut self) -> Passed {
        self.link.list().unwrap();
        self.link.rest();
        self.relay.pass_hub(self.link.upstream().unwrap(), EXCHANGE, false)
    }

    /// A visit in which all goes well: what came and what went, by the last names.
    #[track_caller]
    fn passes(&mut self) -> [Vec<String>; 2] {
        let passed = self.visit();
        assert!(passed.failed.is_none(), "{:?}", passed.failed);
        [passed.took, passed.gave].map(|paths| {
            let name = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
            paths.iter().map(name).collect()
        })
    }

    #[track_caller]
    fn refuses(&mut self, reason: Reason) {
        let passed = self.visit();
        assert_eq!(passed.failed.as_ref().map(|error| error.reason()), Some(reason), "{:?}", passed.failed);
    }

    fn kept(&self, path: &str) -> PathBuf {
        self.relay.folder.join("GITER").join(EXCHANGE).join(path)
    }

    /// The bundles for devices in the folder.
    fn bundles(&self) -> Vec<String> {
        let mut found = Vec::new();
        for folder in ["to-device", "to-device/site-a", "to-device/site-b"] {
            let entries = fs::read_dir(self.kept(folder)).into_iter().flatten();
            found.extend(entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()));
        }
        found.retain(|name| name.ends_with(".bundle"));
        found.sort();
        found
    }

    /// Has the exchange begin, and the pump say that it is there: the pump, and the first commit.
    fn begun(&self) -> (Device, Oid) {
        let mut pump = Device::new(PUMP);
        let first = self.commit(&START);
        pump.say(first);
        self.says(&pump);
        (pump, first)
    }

    /// Has a device write its statuses into the folder.
    fn says(&self, device: &Device) {
        let path = self.kept(&format!("from-device/{}.bundle", device.id));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, device.bundle()).unwrap();
    }

    fn at_hub(&self, device: &Device) -> Option<Oid> {
        let shown = git(&self.hub(), &["for-each-ref", "--format=%(objectname)", &device.status_ref()]);
        String::from_utf8(shown).unwrap().trim().parse().ok()
    }

    fn served(&self, device: &str) -> Served {
        let carried = self.relay.carried(EXCHANGE).unwrap();
        carried.into_iter().find(|carried| carried.device.as_str() == device).unwrap().served
    }

    /// A clone as it is now.
    fn clone_of_hub(&self, name: &str) -> PathBuf {
        git(self.dir.path(), &["clone", "-q", "--bare", "hub.git", name]);
        self.dir.path().join(name)
    }
}

/// A device: its statuses since the hub heard it.
struct Device {
    id: DeviceId,
    seal: StatusSeal,
    sequence: u64,
    base: Option<Oid>,
    tip: Option<Oid>,
    said: Vec<NewObject>,
}

impl Device {
    fn new(name: &str) -> Self {
        let id: DeviceId = name.parse().unwrap();
        let seal = StatusSeal::new(id.clone(), SecretKey::from_seed(&[7; 32]), Format::Compact);
        Self { id, seal, sequence: 0, base: None, tip: None, said: vec![] }
    }

    fn say(&mut self, revision: impl Into<Option<Oid>>) {
        self.sequence += 1;
        let status = DeviceStatus {
            device: self.id.clone(),
            board: Text::new("sim"),
            agent: Text::new("0"),
            boot_id: [0; 16],
            sequence: self.sequence,
            uptime: 0,
            clock: Clock::Plausible,
            observed_revision: revision.into(),
            advances: self.sequence,
            conditions: heapless::Vec::new(),
            resources: vec![],
            lost: 0,
        };
        let sealed = self.seal.seal(&status, self.tip, 1_795_000_000, "status".into()).unwrap();
        self.tip = Some(sealed.objects[2].id);
        self.said.extend(sealed.objects);
    }

    fn is_heard(&mut self) {
        self.said.clear();
        self.base = self.tip;
    }

    fn status_ref(&self) -> String {
        format!("refs/giter/status/{}", self.id)
    }

    fn bundle(&self) -> Vec<u8> {
        bundle::write(&self.status_ref(), self.tip.unwrap(), self.base, &self.said).unwrap()
    }
}

/// The objects of a bundle, on top of what a device read of the commit before.
fn taken<'a>(store: &'a mut PackStore, file: &Path, before: &Generation) -> Box<dyn Quarantine + 'a> {
    let bytes = fs::read(file).unwrap();
    let mut rest = bytes.as_slice();
    bundle::header(&mut rest, []).unwrap();
    let mut quarantine = store.quarantine(before).unwrap();
    quarantine.ingest(&mut rest).unwrap();
    quarantine
}

fn each(then: impl Fn(&mut Site)) {
    for filters in [true, false] {
        then(&mut Site::new(filters));
    }
}

const START: [(&str, &str); 4] = [
    ("exchange.yaml", "one"),
    ("specs/site-a/pump-07/x", "pump"),
    ("specs/site-b/fan-01/x", "fan"),
    ("specs/site-c/other/x", "other"),
];

/// Every file below a folder, with its bytes.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => drop(found.insert(path.clone(), fs::read(path).unwrap())),
        }
    }
    found
}
