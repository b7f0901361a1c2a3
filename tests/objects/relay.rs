//! A gateway and the real git: what it brings for devices, what that costs, what it hands on.

use std::{
    cell::Cell,
    collections::BTreeMap,
    fs,
    io::Read,
    path::{Path, PathBuf},
    rc::Rc,
};

use giter_edge::{
    api::{
        DeviceId, DeviceStatus, Oid, Reason, Result,
        condition::Text,
        ledger::{Generation, HubTraits},
        object::NewObject,
        status::Clock,
    },
    codec::{config::Format, keyfile::SecretKey},
    git::{PackStore, bundle, enrolment, gaps, graph, reads::Reads, seal::StatusSeal},
    link::{
        relay::{Passed, Relay},
        remote::Remote,
    },
    reconcile::{
        ports::{Link, Listing, Quarantine, Store, Upstream, Want},
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
            devices: [PUMP, FAN].map(|device| device.parse().unwrap()).into(),
            bytes: 1 << 20,
            branch: "main".into(),
            prefix: "refs/giter/status".into(),
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

    fn say(&mut self, revision: Oid) {
        self.sequence += 1;
        let status = DeviceStatus {
            device: self.id.clone(),
            board: Text::new("sim"),
            agent: Text::new("0"),
            boot_id: [0; 16],
            sequence: self.sequence,
            uptime: 0,
            clock: Clock::Plausible,
            observed_revision: Some(revision),
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

#[test]
fn devices_go_from_a_seed_to_what_is_new_and_a_quiet_hub_is_asked_for_nothing() {
    each(|site| {
        let (mut pump, mut fan) = (Device::new(PUMP), Device::new(FAN));
        let first = site.commit(&START);
        assert_eq!(site.passes(), [vec!["pump-07.bundle".to_owned(), "fan-01.bundle".into()], vec![]]);
        let mut store = PackStore::open(&site.dir.path().join("store")).unwrap();
        let seed = site.kept("to-device/site-a/pump-07.bundle");
        let before = taken(&mut store, &seed, &Generation::default()).promote(first, &pump.id).unwrap();
        for device in [&mut pump, &mut fan] {
            device.say(first);
            site.says(device);
        }
        let acks = vec!["pump-07.ack".to_owned(), "fan-01.ack".into()];
        assert_eq!(site.passes(), [acks.clone(), vec!["pump-07.bundle".into(), "fan-01.bundle".into()]]);
        assert_eq!((site.at_hub(&pump), site.at_hub(&fan)), (pump.tip, fan.tip));
        assert_eq!(
            fs::read_to_string(site.kept("to-device/site-a/pump-07.ack")).unwrap(),
            format!("{}\n", pump.tip.unwrap())
        );
        assert!(site.bundles().is_empty(), "who has the tip needs none");

        let clone = site.clone_of_hub("clone.git");
        site.commit(&[("specs/site-a/pump-07/x", "pump two"), ("specs/site-b/fan-01/x", "fan two")]);
        let tip = site.commit(&[("specs/site-c/other/x", "other two")]);
        let shared = format!("_{}-{}.bundle", tip.short(), first.short());
        assert_eq!(site.passes(), [vec![shared.clone()], vec![]]);
        assert_eq!(site.bundles(), [shared.clone()]);
        let file = site.kept(&format!("to-device/{shared}"));
        let path = file.display().to_string();
        git(&clone, &["bundle", "verify", "-q", &path]);
        git(&clone, &["fetch", "-q", &path, "main:new"]);
        assert_eq!(git_oid(&clone, &["rev-parse", "new"]), tip);
        git(&clone, &["fsck", "--strict", "--no-dangling"]);
        let quarantine = taken(&mut store, &file, &before);
        Reads::of(&*quarantine, tip, &pump.id).unwrap().whole().unwrap();
        drop(quarantine);

        // What changed nothing costs nothing but the listing of the tick.
        let listing = |site: &mut Site| {
            let before = site.traffic.get();
            site.link.list().unwrap();
            site.link.rest();
            site.traffic.get() - before
        };
        let alone = listing(site);
        let before = site.traffic.get();
        assert_eq!(site.passes(), [const { Vec::<String>::new() }; 2]);
        assert_eq!(site.traffic.get() - before, alone);
        // One of them says more: that alone is asked about and handed on.
        pump.is_heard();
        pump.say(tip);
        site.says(&pump);
        assert_eq!(site.passes(), [vec![acks[0].clone()], vec!["pump-07.bundle".into()]]);
        assert_eq!((site.at_hub(&pump), site.served(PUMP).base), (pump.tip, Some(tip)));
        // The other one is alone now with what was for both.
        fan.is_heard();
        fan.say(first);
        site.says(&fan);
        site.passes();
        assert_eq!(site.bundles(), [shared]);
        let next = site.commit(&[("exchange.yaml", "two")]);
        site.passes();
        assert_eq!(site.bundles(), ["fan-01.bundle", "pump-07.bundle"], "each has another commit, up to {next}");
    });
}

#[test]
fn what_was_another_devices_comes_along() {
    each(|site| {
        let mut fan = Device::new(FAN);
        let first = site.commit(&[&START[..], &[("specs/site-a/pump-07/deep/notes", "the same")]].concat());
        site.passes();
        let mut store = PackStore::open(&site.dir.path().join("store")).unwrap();
        let seed = site.kept("to-device/site-b/fan-01.bundle");
        let before = taken(&mut store, &seed, &Generation::default()).promote(first, &fan.id).unwrap();
        fan.say(first);
        site.says(&fan);
        site.passes();
        // A commit between has it, too, and the tip has not.
        let between = site.commit(&[("specs/site-b/fan-01/deep/notes", "the same"), ("specs/site-b/fan-01/y", "pump")]);
        let tip = site.commit(&[("specs/site-b/fan-01/y", "y")]);
        site.passes();
        let file = site.kept("to-device/site-b/fan-01.bundle");
        let quarantine = taken(&mut store, &file, &before);
        for commit in [between, tip] {
            Reads::of(&*quarantine, commit, &fan.id).unwrap().whole().unwrap();
        }
        drop(quarantine);
        // git's own bundle leaves that out: this is what is put behind the hub's pack.
        let own = site.dir.path().join("own.bundle");
        git(&site.hub(), &["bundle", "create", "-q", &own.display().to_string(), "main", &format!("^{first}")]);
        let quarantine = taken(&mut store, &own, &before);
        assert!(!Reads::of(&*quarantine, tip, &fan.id).unwrap().is_whole());
        drop(quarantine);
        let clone = site.clone_of_hub("clone.git");
        git(&clone, &["bundle", "verify", "-q", &file.display().to_string()]);
    });
}

#[test]
fn gaps_are_found_for_those_who_have_them_alone() {
    let site = Site::new(true);
    let base = site.commit(&[&START[..], &[("specs/site-a/pump-07/notes", "the same")]].concat());
    let tip = site.commit(&[("specs/site-b/fan-01/notes", "the same")]);
    let store = |name: &str| PackStore::open(&site.dir.path().join(name)).unwrap();
    let (mut one, mut other) = (store("one"), store("other"));
    let pack = |args: &[&str]| {
        let objects = git(&site.hub(), &[&["rev-list", "--objects"], args].concat());
        git_with(&site.hub(), &["pack-objects", "-q", "--stdout"], &objects)
    };
    let mut brought = one.quarantine(&Generation::default()).unwrap();
    brought.ingest(&mut pack(&["main", &format!("^{base}")]).as_slice()).unwrap();
    let mut known = other.quarantine(&Generation::default()).unwrap();
    known.ingest(&mut pack(&[&base.to_string()]).as_slice()).unwrap();
    let commits = gaps::commits(&*brought, base, tip).unwrap().unwrap();
    assert_eq!(commits, [tip]);
    assert_eq!(gaps::commits(&*brought, tip, tip).unwrap(), None);
    assert_eq!(gaps::commits(&*known, tip, base).unwrap(), None);
    let find = |devices: &[&str]| {
        let devices: Vec<DeviceId> = devices.iter().map(|device| device.parse().unwrap()).collect();
        let found = gaps::find(&*brought, &*known, base, &commits, &devices.iter().collect::<Vec<_>>()).unwrap();
        assert!(found.unseen.is_empty());
        found.lacks.into_iter().map(|(id, _)| id).collect::<Vec<_>>()
    };
    let notes = git_oid(&site.hub(), &["rev-parse", "main:specs/site-b/fan-01/notes"]);
    assert_eq!(find(&[PUMP, FAN]), [notes]);
    // Named below another one, it is both that one's folder and a way.
    assert_eq!(find(&["site-b", FAN]), [notes]);
    assert_eq!(find(&["site-b"]), [notes]);
    for nobody in [&[PUMP][..], &["site-c/other"], &["site-b/fan"], &["site-d/new"], &[]] {
        assert!(find(nobody).is_empty(), "{nobody:?}");
    }
    let root = graph::lineage(&*known, base).unwrap().unwrap().tree;
    assert!(!brought.has(root).unwrap());
}

#[test]
fn a_base_that_the_hub_does_not_know_or_that_leads_elsewhere_takes_a_seed() {
    each(|site| {
        let (mut pump, mut fan) = (Device::new(PUMP), Device::new(FAN));
        let first = site.commit(&START);
        let gone = site.commit(&[("specs/site-b/fan-01/x", "gone")]);
        let also_gone = site.commit(&[("specs/site-b/fan-01/x", "gone, too")]);
        git(&site.hub(), &["update-ref", "refs/heads/main", &first.to_string()]);
        let tip = site.commit(&[("specs/site-b/fan-01/x", "another")]);
        pump.say("1".repeat(40).parse().unwrap());
        for elsewhere in [gone, also_gone] {
            fan.say(elsewhere);
            site.says(&pump);
            site.says(&fan);
            site.passes();
            assert_eq!(site.bundles(), ["fan-01.bundle", "pump-07.bundle"]);
            let mut store = PackStore::open(&site.dir.path().join("store")).unwrap();
            for device in [&pump, &fan] {
                let file = site.kept(&format!("to-device/{}.bundle", device.id));
                let bytes = fs::read(&file).unwrap();
                let names = ["refs/heads/main", &device.status_ref()];
                let header = bundle::header(&mut bytes.as_slice(), names).unwrap();
                // The first one's status was not at the hub yet when it was made.
                assert_eq!((header.refs[0], header.prerequisites), (Some(tip), vec![]));
                assert_eq!(header.refs[1], device.tip);
                let quarantine = taken(&mut store, &file, &Generation::default());
                assert!(quarantine.has(device.tip.unwrap()).unwrap());
                quarantine.promote(tip, &device.id).unwrap();
            }
            fs::remove_file(site.kept("to-device/site-b/fan-01.bundle")).unwrap();
        }
    });
}

#[test]
fn statuses_that_do_not_go_on_are_refused_once_and_keep_nothing_back() {
    let mut site = Site::new(true);
    let (mut pump, mut fan) = (Device::new(PUMP), Device::new(FAN));
    let first = site.commit(&START);
    pump.say(first);
    site.says(&pump);
    site.passes();
    let heard = pump.tip;
    // It lost its state, and tells another story; then on a base that the hub never had.
    let mut other = Device::new(PUMP);
    for _ in 0..3 {
        other.sequence += 5;
        other.say(first);
        site.says(&other);
        fan.say(first);
        site.says(&fan);
        site.refuses(Reason::NotFastForward);
        assert_eq!((site.at_hub(&pump), site.at_hub(&fan)), (heard, fan.tip));
        let failure = site.served(PUMP).failure.unwrap();
        assert!(failure.message.contains("do not go on from"), "{}", failure.message);
        assert_eq!(site.passes(), [const { Vec::<String>::new() }; 2], "it is not tried again");
        other.is_heard();
    }
    let again = site.link.upstream().map(|hub| site.relay.pass_hub(hub, EXCHANGE, true)).unwrap();
    assert_eq!(again.failed.unwrap().reason(), Reason::NotFastForward);
    // What is older than what the hub has heard by another way is no failure.
    let mut old = Device::new(PUMP);
    old.say(first);
    old.said.clear();
    old.base = old.tip;
    for damaged in [&b"PACK"[..], &other.bundle()[..100]] {
        fs::write(site.kept("from-device/site-a/pump-07.bundle"), damaged).unwrap();
        site.refuses(Reason::BundleInvalid);
        assert_eq!(site.passes(), [const { Vec::<String>::new() }; 2]);
    }
    pump.say(first);
    site.says(&pump);
    site.passes();
    assert_eq!((site.at_hub(&pump), site.served(PUMP).failure), (pump.tip, None));
}

#[test]
fn what_the_hub_heard_by_another_way_is_known() {
    let mut site = Site::new(true);
    let mut pump = Device::new(PUMP);
    let first = site.commit(&START);
    pump.say(first);
    site.says(&pump);
    let tip = site.commit(&[("specs/site-a/pump-07/x", "two")]);
    pump.say(tip);
    let objects = pump.said.clone();
    site.link.list().unwrap();
    site.link.upstream().unwrap().push(&pump.status_ref(), None, pump.tip.unwrap(), &objects).unwrap();
    site.link.close();
    assert_eq!(site.passes()[1], [""; 0]);
    assert_eq!((site.at_hub(&pump), site.served(PUMP).base), (pump.tip, Some(tip)), "the newest word counts");
    assert_eq!(site.bundles(), ["fan-01.bundle"]);
}

#[test]
fn a_request_is_handed_on_once_and_never_in_the_place_of_another() {
    let mut site = Site::new(true);
    site.commit(&START);
    let request = |time| {
        let device: DeviceId = PUMP.parse().unwrap();
        let notes = giter_edge::codec::enrolment::Notes { board: "sim".into(), agent: "0".into() };
        let key = SecretKey::from_seed(&[9; 32]);
        let objects =
            enrolment::request_commit(enrolment::Request { device: &device, key: &key, ssh_key: None, notes, time });
        let objects = objects.unwrap();
        let name = giter_edge::codec::enrolment::ref_of(&device);
        (objects[2].id, bundle::write(&name, objects[2].id, None, &objects).unwrap())
    };
    let path = site.relay.folder.join("GITER/enroll/from-device/site-a/pump-07.enroll.bundle");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let (first, bytes) = request(1);
    fs::write(&path, bytes).unwrap();
    assert_eq!(site.passes()[1], ["pump-07.enroll.bundle"]);
    let name = "refs/giter/enroll/site-a/pump-07";
    assert_eq!(git_oid(&site.hub(), &["rev-parse", name]), first);
    fs::write(&path, request(2).1).unwrap();
    site.refuses(Reason::EnrolmentConflict);
    assert_eq!(git_oid(&site.hub(), &["rev-parse", name]), first);
    // It was answered: what lies there still is not brought again.
    fs::write(&path, request(1).1).unwrap();
    site.passes();
    git(&site.hub(), &["update-ref", "-d", name]);
    site.commit(&[("specs/site-a/pump-07/device.yaml", "approved")]);
    assert_eq!(site.passes()[1], [""; 0]);
}

#[test]
fn what_is_kept_has_a_bound_and_what_is_not_whole_is_not_kept() {
    each(|site| {
        let mut seed = 1u32;
        let letters = std::iter::repeat_with(|| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            char::from(b'a' + (seed >> 24) as u8 % 26)
        });
        let noise: String = letters.take(20_000).collect();
        site.commit(&START);
        site.relay.bytes = 3_000;
        site.passes();
        let kept = files(&site.relay.folder);
        site.commit(&[("specs/site-a/pump-07/x", &noise)]);
        site.refuses(Reason::DiskFull);
        assert!(site.relay.kept(EXCHANGE).unwrap().1 <= 3_000);
        assert_eq!(site.served(PUMP).failure.unwrap().reason, Reason::DiskFull);
        assert_eq!(site.served(FAN).failure, None, "the other one has its own");
        let now = files(&site.relay.folder);
        let seed = site.kept("to-device/site-a/pump-07.bundle");
        assert_eq!(now.get(&seed), kept.get(&seed), "what was there stays");
        assert_eq!(site.passes(), [const { Vec::<String>::new() }; 2], "it is not downloaded again");
        site.relay.bytes = 1 << 20;
        site.link.list().unwrap();
        let again = site.relay.pass_hub(site.link.upstream().unwrap(), EXCHANGE, true);
        assert!(again.failed.is_none() && again.took.len() == 1, "{:?}", again.failed);
        assert!(!site.relay.folder.join(".hub").exists());
    });
}

/// A hub that sends other packs than it has.
struct Lying<'a> {
    hub: &'a mut dyn Upstream,
    lie: &'a dyn Fn(Vec<u8>) -> Vec<u8>,
}

impl Link for Lying<'_> {
    fn list(&mut self) -> Result<Listing> {
        self.hub.list()
    }

    fn fetch(&mut self, want: Want<'_>, into: &mut dyn Quarantine) -> Result<()> {
        self.hub.fetch(want, into)
    }

    fn publish(&mut self, old: Option<Oid>, new: Oid, objects: &[NewObject]) -> Result<()> {
        self.hub.publish(old, new, objects)
    }

    fn rest(&mut self) {
        self.hub.rest();
    }

    fn close(&mut self) {
        self.hub.close();
    }

    fn traits(&self) -> HubTraits {
        self.hub.traits()
    }
}

impl Upstream for Lying<'_> {
    fn branch(&self) -> Option<Oid> {
        self.hub.branch()
    }

    fn refs(&mut self, names: &[String]) -> Result<Vec<Option<Oid>>> {
        self.hub.refs(names)
    }

    fn pack(&mut self, base: Oid, tip: Oid, take: &mut dyn FnMut(&mut dyn Read) -> Result<()>) -> Result<bool> {
        let mut bytes = Vec::new();
        let is_given = self.hub.pack(base, tip, &mut |pack| {
            pack.read_to_end(&mut bytes).unwrap();
            Ok(())
        })?;
        if is_given {
            take(&mut (self.lie)(bytes).as_slice())?;
        }
        Ok(is_given)
    }

    fn push(&mut self, name: &str, old: Option<Oid>, new: Oid, objects: &[NewObject]) -> Result<()> {
        self.hub.push(name, old, new, objects)
    }
}

#[test]
fn a_hub_that_lies_leaves_what_is_there() {
    let mut site = Site::new(true);
    let mut pump = Device::new(PUMP);
    let first = site.commit(&START);
    pump.say(first);
    site.says(&pump);
    site.commit(&[("specs/site-a/pump-07/x", "two")]);
    site.passes();
    let tip = site.commit(&[("specs/site-a/pump-07/x", "three")]);
    let before = files(&site.kept("to-device/site-a"));
    let is_bundle = |path: &PathBuf| path.ends_with("pump-07.bundle");
    let bundle = before.iter().find(|(path, _)| is_bundle(path)).unwrap();
    let flip = |at: usize| {
        move |mut bytes: Vec<u8>| {
            let at = at % bytes.len();
            bytes[at] ^= 0x10;
            bytes
        }
    };
    let mut lies: Vec<Box<dyn Fn(Vec<u8>) -> Vec<u8>>> = vec![
        Box::new(|_| Vec::new()),
        Box::new(|bytes| bytes[..bytes.len() - 1].to_vec()),
        Box::new(|bytes| [bytes, b"more".to_vec()].concat()),
        Box::new(|_| vec![0; 100_000]),
    ];
    lies.extend((0..60).map(|at| Box::new(flip(at * 7)) as Box<dyn Fn(Vec<u8>) -> Vec<u8>>));
    for lie in &lies {
        site.link.list().unwrap();
        let hub = site.link.upstream().unwrap();
        let passed = site.relay.pass_hub(&mut Lying { hub, lie }, EXCHANGE, true);
        let reason = passed.failed.as_ref().map(|error| error.reason());
        assert_eq!(reason, Some(Reason::PackInvalid), "{:?}", passed.failed);
        assert_eq!(fs::read(bundle.0).unwrap(), *bundle.1);
        assert_eq!(site.served(FAN).tip, Some(tip), "the other one is served");
    }
    // A pack that is whole and leaves out the commits leads nowhere: then it is a seed.
    site.link.list().unwrap();
    let hub = site.link.upstream().unwrap();
    let empty = |_| giter_edge::git::pack::write(&[]).unwrap();
    let passed = site.relay.pass_hub(&mut Lying { hub, lie: &empty }, EXCHANGE, true);
    assert!(passed.failed.is_none(), "{:?}", passed.failed);
    let mut store = PackStore::open(&site.dir.path().join("store")).unwrap();
    taken(&mut store, bundle.0, &Generation::default()).promote(tip, &pump.id).unwrap();
}

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
