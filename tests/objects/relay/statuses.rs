//! What goes to the hub of that which devices say.

use std::fs;

use giter_edge::{
    api::{DeviceId, Oid, Reason, object::ObjectKind},
    codec::keyfile::SecretKey,
    git::{bundle, enrolment},
    reconcile::ports::Link,
};

use super::{Device, EXCHANGE, FAN, PUMP, START, Site};
use crate::support::{git, git_oid, object};

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
fn a_device_that_lost_its_state_is_told_of_and_keeps_what_a_publisher_brings() {
    let mut site = Site::new(true);
    let (pump, first) = site.begun();
    site.passes();
    let mut lost = Device::new(PUMP);
    lost.say(None);
    site.says(&lost);
    site.refuses(Reason::NotFastForward);
    let failure = site.served(PUMP).failure.unwrap();
    assert!(failure.message.contains("has lost its state"), "{}", failure.message);
    assert_eq!(site.bundles(), ["fan-01.bundle"], "what the gateway could bring would not help it");
    let (seed, brought) = (site.kept("to-device/site-a/pump-07.bundle"), "what the publisher brings");
    fs::write(&seed, brought).unwrap();
    // Nothing is due, another one is, and it is itself.
    site.passes();
    let mut fan = Device::new(FAN);
    fan.say(first);
    site.says(&fan);
    site.passes();
    site.commit(&[("specs/site-a/pump-07/x", "two")]);
    site.refuses(Reason::NotFastForward);
    assert_eq!(fs::read_to_string(&seed).unwrap(), brought);
    // It took that, and goes on from where the hub is.
    lost = Device { sequence: 1, base: pump.tip, tip: pump.tip, ..Device::new(PUMP) };
    lost.say(first);
    site.says(&lost);
    assert_eq!(site.passes()[0][0], "pump-07.ack");
    assert_eq!((site.at_hub(&pump), seed.exists()), (lost.tip, false), "both have the same commit again");
    // Two of one number are two boards.
    let mut twin = Device { sequence: 1, base: pump.tip, tip: pump.tip, ..Device::new(PUMP) };
    twin.say(pump.tip);
    site.says(&twin);
    site.refuses(Reason::NotFastForward);
    assert_eq!(site.at_hub(&pump), lost.tip);
}

#[test]
fn what_the_hub_heard_by_another_way_is_known() {
    let mut site = Site::new(true);
    let (mut pump, _) = site.begun();
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
fn a_status_that_the_gateway_cannot_read_is_handed_on_all_the_same() {
    let mut site = Site::new(true);
    let (mut pump, first) = site.begun();
    let tip = site.commit(&[("specs/site-a/pump-07/x", "two")]);
    site.passes();
    // What a newer agent says.
    let blob = object(ObjectKind::Blob, b"words of tomorrow");
    let tree = object(ObjectKind::Tree, &[b"100644 status.tomorrow\0", blob.id.as_bytes().as_slice()].concat());
    let people = "<d@x> 1795000000 +0000";
    let text = |parent| format!("tree {}\nparent {parent}\nauthor {people}\ncommitter {people}\n\nstatus\n", tree.id);
    let commit = object(ObjectKind::Commit, text(pump.tip.unwrap()).as_bytes());
    pump.is_heard();
    pump.tip = Some(commit.id);
    pump.said = vec![blob, tree, commit];
    site.says(&pump);
    assert_eq!(site.passes(), [["pump-07.ack"], ["pump-07.bundle"]]);
    assert_eq!((site.at_hub(&pump), site.served(PUMP).base), (pump.tip, Some(first)));
    let is_since = |site: &Site| {
        let bytes = fs::read(site.kept("to-device/site-a/pump-07.bundle")).unwrap();
        let header = bundle::header(&mut bytes.as_slice(), ["refs/heads/main"]).unwrap();
        assert_eq!(header.refs, [Some(tip)]);
        header.prerequisites == [first]
    };
    assert!(is_since(&site));
    // A gateway that does not remember what it said before brings a seed.
    fs::remove_file(site.kept("to-device/site-a/pump-07.served")).unwrap();
    fs::remove_file(site.kept("from-device/site-a/pump-07.bundle")).unwrap();
    site.passes();
    assert!(!is_since(&site));
}

/// A request to be enrolled, of this time: its commit, and the bundle with it.
pub(super) fn request(time: i64) -> (Oid, Vec<u8>) {
    let device: DeviceId = PUMP.parse().unwrap();
    let notes = giter_edge::codec::enrolment::Notes { board: "sim".into(), agent: "0".into() };
    let key = SecretKey::from_seed(&[9; 32]);
    let objects =
        enrolment::request_commit(enrolment::Request { device: &device, key: &key, ssh_key: None, notes, time });
    let objects = objects.unwrap();
    let name = giter_edge::codec::enrolment::ref_of(&device);
    (objects[2].id, bundle::write(&name, objects[2].id, None, &objects).unwrap())
}

#[test]
fn a_request_is_handed_on_once_and_never_in_the_place_of_another() {
    let mut site = Site::new(true);
    site.commit(&START);
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
    // The publisher takes the other one away, which moves no branch.
    git(&site.hub(), &["update-ref", "-d", name]);
    assert_eq!(site.passes()[1], ["pump-07.enroll.bundle"]);
    assert_ne!(git_oid(&site.hub(), &["rev-parse", name]), first);
    // It knows the exchange now, and asks there; what it left before is not in the way of that, nor brought again.
    let last = git_oid(&site.hub(), &["rev-parse", name]);
    git(&site.hub(), &["update-ref", "-d", name]);
    fs::create_dir_all(site.kept("from-device/site-a")).unwrap();
    let (second, bytes) = request(3);
    fs::write(site.kept("from-device/site-a/pump-07.enroll.bundle"), bytes).unwrap();
    assert_eq!(site.passes()[1], ["pump-07.enroll.bundle"]);
    assert_eq!(site.passes()[1], [""; 0]);
    let (third, bytes) = request(4);
    fs::write(&path, bytes).unwrap();
    site.refuses(Reason::EnrolmentConflict);
    git(&site.hub(), &["update-ref", "-d", name]);
    assert_eq!(site.passes()[1], ["pump-07.enroll.bundle"]);
    assert!(git_oid(&site.hub(), &["rev-parse", name]) == third && ![last, second].contains(&third));
    // It was answered: what lies there still is not brought again.
    git(&site.hub(), &["update-ref", "-d", name]);
    site.commit(&[("specs/site-a/pump-07/device.yaml", "approved")]);
    assert_eq!(site.passes()[1], [""; 0]);
}
