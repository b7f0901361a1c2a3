//! A hub that sends something else than it has.

use std::{fs, io::Read, path::PathBuf, time::Duration};

use giter_edge::{
    api::{
        DeviceId, Error, Oid, Reason, Result,
        ledger::{Generation, HubTraits},
        limits,
        object::{NewObject, Object},
    },
    git::PackStore,
    reconcile::ports::{Link, Listing, Objects, Quarantine, Upstream, Want},
};

use super::{Device, EXCHANGE, FAN, PUMP, START, Site, files, taken};

/// What becomes of a pack on its way.
type Lie = dyn Fn(Vec<u8>) -> Vec<u8>;

/// A hub that sends other packs than it has, and may fail at one kind of request.
struct Lying<'a> {
    hub: &'a mut dyn Upstream,
    /// Of a pack between two commits.
    lie: &'a Lie,
    /// Of the objects that are asked for by themselves.
    twist: &'a Lie,
    fails: Option<(Request, Reason)>,
    /// How often it failed.
    failed: usize,
    /// Why what it sent was not taken.
    refused: Option<Reason>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Request {
    Refs,
    Push,
    Objects,
}

impl<'a> Lying<'a> {
    fn new(hub: &'a mut dyn Upstream, lie: &'a Lie) -> Self {
        Self { hub, lie, twist: &|bytes| bytes, fails: None, failed: 0, refused: None }
    }

    fn asked(&mut self, request: Request) -> Result<()> {
        match self.fails {
            Some((fails, reason)) if fails == request => {
                self.failed += 1;
                Err(Error::new(reason, "the line was cut"))
            }
            _ => Ok(()),
        }
    }
}

impl Link for Lying<'_> {
    fn list(&mut self) -> Result<Listing> {
        self.hub.list()
    }

    fn fetch(&mut self, want: Want<'_>, into: &mut dyn Quarantine) -> Result<()> {
        self.asked(Request::Objects)?;
        let mut twisted = Twisted { into, twist: self.twist };
        self.hub.fetch(want, &mut twisted).inspect_err(|error| self.refused = Some(error.reason()))
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

    fn within(&mut self, time: Duration) {
        self.hub.within(time);
    }

    fn refs(&mut self, names: &[String]) -> Result<Vec<Option<Oid>>> {
        self.asked(Request::Refs)?;
        self.hub.refs(names)
    }

    fn pack(&mut self, base: Oid, tip: Oid, take: &mut dyn FnMut(&mut dyn Read) -> Result<()>) -> Result<bool> {
        self.asked(Request::Objects)?;
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
        self.asked(Request::Push)?;
        self.hub.push(name, old, new, objects)
    }
}

/// A quarantine to which other packs come than were sent.
struct Twisted<'a> {
    into: &'a mut dyn Quarantine,
    twist: &'a Lie,
}

impl Objects for Twisted<'_> {
    fn read(&self, id: Oid, limit: usize) -> Result<Option<Object>> {
        self.into.read(id, limit)
    }

    fn has(&self, id: Oid) -> Result<bool> {
        self.into.has(id)
    }
}

impl Quarantine for Twisted<'_> {
    fn ingest(&mut self, pack: &mut dyn Read) -> Result<()> {
        let mut bytes = Vec::new();
        pack.read_to_end(&mut bytes).unwrap();
        self.into.ingest(&mut (self.twist)(bytes).as_slice())
    }

    fn promote(self: Box<Self>, _: Oid, _: &DeviceId) -> Result<Generation> {
        unreachable!("a gateway accepts nothing")
    }
}

#[test]
fn a_hub_that_lies_of_what_a_seed_needs_leaves_what_is_there() {
    let mut site = Site::new(true);
    site.commit(&START);
    site.passes();
    let before = files(&site.kept("to-device"));
    let is_seed = |path: &PathBuf| path.extension().is_some_and(|end| end == "bundle");
    let seeds: Vec<_> = before.iter().filter(|(path, _)| is_seed(path)).collect();
    assert_eq!(seeds.len(), 2);
    site.commit(&[("specs/site-a/pump-07/x", "two"), ("specs/site-b/fan-01/x", "two")]);
    let empty = giter_edge::git::pack::write(&[]).unwrap();
    let mut lies: Vec<Box<Lie>> = vec![
        Box::new(|_| Vec::new()),
        Box::new(move |_| empty.clone()),
        Box::new(|bytes| [bytes, b"more".to_vec()].concat()),
    ];
    lies.extend((0..20).map(|at| Box::new(flip(at * 7)) as Box<Lie>));
    for lie in &lies {
        site.link.list().unwrap();
        let hub = site.link.upstream().unwrap();
        let passed = site.relay.pass_hub(&mut Lying { twist: lie, ..Lying::new(hub, &|bytes| bytes) }, EXCHANGE, true);
        let reason = passed.failed.as_ref().map(|error| error.reason());
        assert_eq!(reason, Some(Reason::PackInvalid), "{:?}", passed.failed);
        for (path, bytes) in &seeds {
            assert_eq!(fs::read(path).unwrap(), **bytes);
        }
    }
    let again = site.relay.pass_hub(site.link.upstream().unwrap(), EXCHANGE, true);
    assert!(again.failed.is_none() && again.took.len() == 2, "{:?}", again.failed);
}

/// Changes one byte of a pack.
fn flip(at: usize) -> impl Fn(Vec<u8>) -> Vec<u8> {
    move |mut bytes| {
        let at = at % bytes.len();
        bytes[at] ^= 0x10;
        bytes
    }
}

#[test]
fn a_hub_that_lies_leaves_what_is_there() {
    let mut site = Site::new(true);
    let (pump, _) = site.begun();
    site.commit(&[("specs/site-a/pump-07/x", "two")]);
    site.passes();
    let tip = site.commit(&[("specs/site-a/pump-07/x", "three")]);
    let before = files(&site.kept("to-device/site-a"));
    let is_bundle = |path: &PathBuf| path.ends_with("pump-07.bundle");
    let bundle = before.iter().find(|(path, _)| is_bundle(path)).unwrap();
    let mut lies: Vec<Box<Lie>> = vec![
        Box::new(|_| Vec::new()),
        Box::new(|bytes| bytes[..bytes.len() - 1].to_vec()),
        Box::new(|bytes| [bytes, b"more".to_vec()].concat()),
        Box::new(|_| vec![0; 100_000]),
    ];
    lies.extend((0..60).map(|at| Box::new(flip(at * 7)) as Box<Lie>));
    for lie in &lies {
        site.link.list().unwrap();
        let hub = site.link.upstream().unwrap();
        let passed = site.relay.pass_hub(&mut Lying::new(hub, lie), EXCHANGE, true);
        let reason = passed.failed.as_ref().map(|error| error.reason());
        assert_eq!(reason, Some(Reason::PackInvalid), "{:?}", passed.failed);
        assert_eq!(fs::read(bundle.0).unwrap(), *bundle.1);
        assert_eq!(site.served(FAN).tip, Some(tip), "the other one is served");
    }
    // A pack that is whole and leaves out the commits leads nowhere: then it is a seed.
    site.link.list().unwrap();
    let hub = site.link.upstream().unwrap();
    let empty = |_| giter_edge::git::pack::write(&[]).unwrap();
    let passed = site.relay.pass_hub(&mut Lying::new(hub, &empty), EXCHANGE, true);
    assert!(passed.failed.is_none(), "{:?}", passed.failed);
    let mut store = PackStore::open(&site.dir.path().join("store")).unwrap();
    taken(&mut store, bundle.0, &Generation::default()).promote(tip, &pump.id).unwrap();
}

#[test]
fn what_is_not_whole_lies_where_no_device_reaches_it() {
    let mut site = Site::new(true);
    site.begun();
    site.commit(&[("specs/site-a/pump-07/x", "two")]);
    site.link.list().unwrap();
    let (folder, scratch) = (site.relay.folder.clone(), site.relay.scratch.clone());
    let looks = move |bytes| {
        let names: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["GITER"]);
        assert!(scratch.exists());
        bytes
    };
    let hub = site.link.upstream().unwrap();
    let passed = site.relay.pass_hub(&mut Lying::new(hub, &looks), EXCHANGE, true);
    assert!(passed.failed.is_none(), "{:?}", passed.failed);
    assert!(!site.relay.scratch.exists());
}

#[test]
fn what_is_asked_for_beside_a_bundle_has_the_same_bound() {
    let mut site = Site::new(false);
    let noise: String = (0..9_000u32).map(|at| char::from(b'a' + (at.wrapping_mul(at + 7) >> 5) as u8 % 26)).collect();
    let first = site.commit(&[&START[..], &[("specs/site-c/other/x", &noise)]].concat());
    let [mut pump, mut fan] = [PUMP, FAN].map(Device::new);
    for device in [&mut pump, &mut fan] {
        device.say(first);
        site.says(device);
    }
    // A seed reads little of that, a bundle that goes on nothing.
    let noisy = |site: &mut Site| {
        site.link.list().unwrap();
        let mut hub = Lying::new(site.link.upstream().unwrap(), &|bytes| bytes);
        let passed = site.relay.pass_hub(&mut hub, EXCHANGE, true);
        (hub.refused, passed.failed.map(|error| error.reason()))
    };
    site.relay.bytes = 2_500;
    site.commit(&[("specs/site-a/pump-07/x", "two")]);
    assert_eq!(noisy(&mut site), [Some(Reason::DiskFull); 2].into());
    assert!(!site.relay.scratch.exists());
    site.relay.bytes = 1 << 20;
    assert_eq!(noisy(&mut site), [None; 2].into());
}

#[test]
fn what_did_not_reach_the_hub_is_tried_again_whatever_else_is_refused() {
    let mut site = Site::new(true);
    let (pump, _) = site.begun();
    fs::write(site.kept("from-device/site-a/pump-07.enroll.bundle"), "not one").unwrap();
    site.link.list().unwrap();
    let hub = site.link.upstream().unwrap();
    let fails = Some((Request::Push, Reason::HubUnreachable));
    let mut lost = Lying { fails, ..Lying::new(hub, &|bytes| bytes) };
    let passed = site.relay.pass_hub(&mut lost, EXCHANGE, false);
    assert_eq!(passed.failed.unwrap().reason(), Reason::HubUnreachable);
    assert_eq!(site.at_hub(&pump), None);
    site.refuses(Reason::BundleInvalid);
    assert_eq!(site.at_hub(&pump), pump.tip);
    assert_eq!(site.passes(), [const { Vec::<String>::new() }; 2]);
}

#[test]
fn a_visit_without_time_leaves_what_is_there_and_the_next_one_goes_on() {
    let mut site = Site::new(true);
    let (pump, _) = site.begun();
    site.passes();
    let papers = |site: &Site| {
        let mut found = files(&site.kept("to-device"));
        found.retain(|path, _| path.extension().is_some_and(|end| end != "served"));
        found
    };
    let before = papers(&site);
    site.commit(&[("specs/site-a/pump-07/x", "two")]);
    site.relay.visit = Duration::ZERO;
    for _ in 0..2 {
        site.refuses(Reason::HubTimeout);
        let failure = site.served(PUMP).failure.unwrap();
        assert!(failure.message.contains("not done with what is carried for others"), "{}", failure.message);
        assert_eq!(papers(&site), before);
    }
    site.relay.visit = limits::RELAY_VISIT;
    assert_eq!(site.passes(), [vec!["pump-07.bundle".to_owned(), "fan-01.bundle".to_owned()], vec![]]);
    assert_eq!((site.served(PUMP).failure, site.at_hub(&pump)), (None, pump.tip));
}

#[test]
fn a_hub_that_fails_is_not_asked_for_each_device_in_turn() {
    for (request, reason, is_handed) in [
        (Request::Refs, Reason::ProtocolError, false),
        (Request::Refs, Reason::HubTimeout, false),
        (Request::Push, Reason::HubTimeout, false),
        (Request::Push, Reason::Stopped, false),
        (Request::Objects, Reason::HubUnreachable, true),
    ] {
        let mut site = Site::new(true);
        let (mut pump, mut fan) = (Device::new(PUMP), Device::new(FAN));
        let first = site.commit(&START);
        pump.say(first);
        fan.say(site.commit(&[("exchange.yaml", "two")]));
        site.says(&pump);
        site.says(&fan);
        site.commit(&[("exchange.yaml", "three")]);
        if request == Request::Push {
            let path = site.relay.folder.join("GITER/enroll/from-device/site-a/pump-07.enroll.bundle");
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, super::statuses::request(1).1).unwrap();
        }
        for _ in 0..2 {
            site.link.list().unwrap();
            let hub = site.link.upstream().unwrap();
            let mut failing = Lying { fails: Some((request, reason)), ..Lying::new(hub, &|bytes| bytes) };
            let passed = site.relay.pass_hub(&mut failing, EXCHANGE, false);
            assert_eq!(passed.failed.map(|error| error.reason()), (reason != Reason::Stopped).then_some(reason));
            assert_eq!(failing.failed, 1, "{request:?}");
            assert_eq!([&pump, &fan].map(|device| site.at_hub(device).is_some()), [is_handed; 2], "{request:?}");
            let failures = [PUMP, FAN].map(|device| site.served(device).failure.map(|failure| failure.reason));
            assert_eq!(failures, [(reason != Reason::Stopped).then_some(reason); 2], "{request:?}");
        }
        site.passes();
        assert_eq!((site.at_hub(&pump), site.at_hub(&fan)), (pump.tip, fan.tip));
        assert_eq!(site.bundles(), ["fan-01.bundle", "pump-07.bundle"]);
    }
}
