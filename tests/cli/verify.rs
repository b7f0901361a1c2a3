//! `giterctl verify`: a record for each attack, made as its attacker would, and records that must pass.

use std::fs;

use giter_edge::{
    api::{Oid, object::ObjectKind},
    codec::status,
    git::commit::object,
};
use serde_json::Value;

use super::{
    device,
    forge::{Device, Hub, START, unsigned},
    support::{Ran, golden},
};

/// What becomes of one record.
struct Case {
    device: &'static str,
    verdict: &'static str,
    reasons: &'static [&'static str],
    make: fn(&mut Hub, &mut Device),
}

const fn case(
    device: &'static str,
    verdict: &'static str,
    reasons: &'static [&'static str],
    make: fn(&mut Hub, &mut Device),
) -> Case {
    Case { device, verdict, reasons, make }
}

/// Each is given its device, with a key of its own, before it said anything; what it leaves is published.
const CASES: &[Case] = &[
    case("clean/one", "Proven", &[], |hub, device| device.go_on(hub, 1)),
    case("clean/reboots-and-revisions", "Proven", &[], |hub, device| {
        device.go_on(hub, 2);
        device.reboot(101);
        let revisions = hub.revisions.clone();
        device.say(hub, |status| status.observed_revision = Some(revisions[1]));
        device.say(hub, |status| status.observed_revision = Some(revisions[2]));
        device.reboot(102);
        device.go_on(hub, 2);
    }),
    case("clean/from-nothing", "Proven", &[], |hub, device| {
        let revision = device.status.observed_revision.take();
        device.go_on(hub, 1);
        device.say(hub, |status| status.observed_revision = revision);
    }),
    case("clean/yaml", "Proven", &[], |hub, device| {
        device.sign(hub, status::to_yaml(&device.status).unwrap().into_bytes(), "status.yaml");
        device.go_on(hub, 1);
    }),
    case("clean/key-replaced", "Proven", &[], |hub, device| {
        device.go_on(hub, 1);
        device.key = hub.stranger("x", 151).key;
        hub.trust("clean/key-replaced", &device.key, ",valid-after=\"20261118\"");
        device.go_on(hub, 1);
    }),
    case("clean/pushed-one-by-one", "Proven", &[], |hub, device| {
        for _ in 0..4 {
            device.go_on(hub, 1);
            hub.publish(device);
        }
    }),
    case("clean/heartbeats-gave-way", "Proven", &[], |hub, device| {
        device.go_on(hub, 1);
        device.beat(hub, 3);
        device.say(hub, |status| status.lost = 1);
        device.beat(hub, 2);
    }),
    case("clean/heartbeats-gave-way-in-the-log", "Proven", &[], |hub, device| {
        device.go_on(hub, 1);
        let first = device.tip;
        for _ in 0..3 {
            device.tip = first;
            device.go_on(hub, 1);
            hub.publish(device);
        }
        device.say(hub, |status| status.lost = 1);
    }),
    case("gap/one", "Gap", &["StatusGap"], |hub, device| {
        device.go_on(hub, 2);
        device.skip(hub, 1);
        device.go_on(hub, 1);
    }),
    case("gap/many", "Gap", &["StatusGap", "StatusGap"], |hub, device| {
        device.say(hub, |_| ());
        device.skip(hub, 3);
        device.skip(hub, 1);
    }),
    case("gap/between-a-heartbeat-and-a-change", "Gap", &["StatusGap"], |hub, device| {
        device.go_on(hub, 1);
        device.beat(hub, 2);
        device.skip(hub, 1);
    }),
    case("gap/before-another-boot", "Gap", &["StatusGap"], |hub, device| {
        device.go_on(hub, 1);
        device.reboot(105);
        device.say(hub, |status| status.sequence += 1);
    }),
    case("gap/restarted", "Gap", &["StatusGap"], |hub, device| {
        device.status.sequence = 7;
        device.go_on(hub, 2);
    }),
    case("gap/history-missing", "Gap", &["ObjectMissing"], |hub, device| {
        device.go_on(hub, 1);
        let first = device.tip.unwrap();
        device.go_on(hub, 2);
        fs::remove_file(hub.file_of(first)).unwrap();
    }),
    case("gap/blob-missing", "Gap", &["ObjectMissing"], |hub, device| {
        device.go_on(hub, 1);
        let [blob, ..] = device.say(hub, |_| ());
        device.go_on(hub, 1);
        fs::remove_file(hub.file_of(blob.id)).unwrap();
    }),
    case("doubtful/uptime-went-back", "Doubtful", &["StatusImplausible"], |hub, device| {
        device.go_on(hub, 2);
        device.say(hub, |status| status.uptime = 5);
    }),
    case("doubtful/unknown-revision", "Doubtful", &["RevisionUnproven"], |hub, device| {
        device.go_on(hub, 1);
        device.say(hub, |status| status.observed_revision = Some(Oid::new([0xcd; 20])));
        device.go_on(hub, 1);
    }),
    case("doubtful/revision-went-back", "Doubtful", &["RevisionUnproven"], |hub, device| {
        let revisions = hub.revisions.clone();
        device.say(hub, |status| status.observed_revision = Some(revisions[2]));
        device.say(hub, |status| status.observed_revision = Some(revisions[0]));
    }),
    case("doubtful/revision-forgotten", "Doubtful", &["RevisionUnproven"], |hub, device| {
        device.go_on(hub, 1);
        device.say(hub, |status| status.observed_revision = None);
    }),
    case("unreadable/truncated", "Unreadable", &["StatusInvalid"], |hub, device| {
        device.go_on(hub, 1);
        truncated(hub, device);
    }),
    case("unreadable/in-the-middle-is-no-gap", "Unreadable", &["StatusInvalid"], |hub, device| {
        device.go_on(hub, 1);
        truncated(hub, device);
        device.go_on(hub, 1);
    }),
    case("unreadable/two-files", "Unreadable", &["StatusInvalid"], |hub, device| {
        device.go_on(hub, 1);
        let [blob, ..] = device.say(hub, |_| ());
        let entry = |name: &str| [format!("100644 {name}\0").as_bytes(), blob.id.as_bytes()].concat();
        let tree = object(ObjectKind::Tree, [entry("a"), entry("status.postcard")].concat()).unwrap();
        let id = tree.id;
        hub.write(&[tree]);
        device.status.sequence -= 1;
        device.say_as(hub, "git", |text| format!("tree {id}{}", &text["tree ".len() + 40..]));
    }),
    case("replay/older-status-again", "Replay", &["StatusReplayed"], |hub, device| {
        device.go_on(hub, 1);
        let old = status::encode(&device.status).unwrap();
        device.reboot(103);
        device.go_on(hub, 1);
        device.sign(hub, old, "status.postcard");
    }),
    case("replay/state-put-back", "Replay", &["StatusReplayed"], |hub, device| {
        device.go_on(hub, 3);
        device.say(hub, |status| status.sequence -= 2);
        device.go_on(hub, 1);
    }),
    case("replay/ref-set-back", "Replay", &["StatusReplayed"], |hub, device| {
        device.go_on(hub, 1);
        let first = device.tip;
        device.go_on(hub, 2);
        hub.publish(device);
        device.tip = first;
    }),
    case("replay/older-commit-on-top", "Forgery", &["BadSignature"], |hub, device| {
        device.go_on(hub, 1);
        let [.., old] = device.say(hub, |_| ());
        device.go_on(hub, 1);
        let parent = device.tip.unwrap();
        let text = String::from_utf8(old.object.data).unwrap();
        let at = text.find("parent ").unwrap() + "parent ".len();
        device.put(hub, format!("{}{parent}{}", &text[..at], &text[at + 40..]).as_bytes());
    }),
    case("fork/boards-take-turns", "Fork", &["StatusForked", "StatusForked"], |hub, device| {
        for boot in [1, 2, 1, 2] {
            device.say(hub, |status| status.boot_id = [boot; 16]);
        }
    }),
    case("fork/number-twice", "Fork", &["StatusForked"], |hub, device| {
        device.go_on(hub, 2);
        device.reboot(104);
        device.say(hub, |status| status.sequence -= 1);
    }),
    case("fork/two-children", "Fork", &["StatusForked"], |hub, device| {
        device.go_on(hub, 1);
        let parent = device.tip;
        device.go_on(hub, 1);
        hub.publish(device);
        device.tip = parent;
        device.status.sequence -= 1;
        device.status.uptime += 7;
        device.go_on(hub, 1);
    }),
    case("fork/change-replaced-by-a-heartbeat", "Fork", &["StatusForked"], |hub, device| {
        device.go_on(hub, 1);
        let (parent, calm) = (device.tip, device.status.clone());
        device.say(hub, |status| status.lost = 1);
        hub.publish(device);
        device.tip = parent;
        device.status = giter_edge::api::DeviceStatus { sequence: 2, uptime: 90, ..calm };
        device.say(hub, |_| ());
    }),
    case("fork/heartbeat-replaced-by-a-change", "Fork", &["StatusGap", "StatusForked"], |hub, device| {
        device.go_on(hub, 1);
        let parent = device.tip;
        device.go_on(hub, 1);
        hub.publish(device);
        device.tip = parent;
        device.say(hub, |status| status.lost = 1);
    }),
    case("fork/heartbeat-of-another-replaced", "Fork", &["StatusForked"], |hub, device| {
        device.go_on(hub, 1);
        let (parent, own) = (device.tip, device.key.clone());
        device.key = hub.stranger("x", 152).key;
        device.go_on(hub, 1);
        hub.publish(device);
        (device.tip, device.key) = (parent, own);
        device.go_on(hub, 1);
    }),
    case("replay/set-back-to-before-a-heartbeat", "Replay", &["StatusReplayed"], |hub, device| {
        device.go_on(hub, 1);
        let first = device.tip;
        device.go_on(hub, 1);
        hub.publish(device);
        device.tip = first;
    }),
    case("fork/one-key-two-devices", "Fork", &["StatusForked"], |hub, device| {
        device.go_on(hub, 1);
        let mut twin = hub.stranger("fork/twin", 150);
        twin.key = device.key.clone();
        hub.trust("fork/twin", &twin.key, "");
        twin.go_on(hub, 1);
        hub.publish(&twin);
    }),
    case("forgery/unsigned", "Forgery", &["UnsignedCommit"], |hub, device| {
        device.go_on(hub, 1);
        let [.., made] = device.say(hub, |_| ());
        device.put(hub, unsigned(&made).as_bytes());
    }),
    case("forgery/unknown-key", "Forgery", &["UntrustedKey"], |hub, device| {
        device.go_on(hub, 1);
        device.key = hub.stranger("x", 200).key;
        device.go_on(hub, 1);
    }),
    case("forgery/another-devices-key", "Forgery", &["UntrustedKey"], |hub, device| {
        device.go_on(hub, 1);
        device.key = hub.stranger("x", 1).key;
        device.go_on(hub, 1);
    }),
    case("forgery/text-altered", "Forgery", &["BadSignature"], |hub, device| {
        device.go_on(hub, 1);
        let [.., made] = device.say(hub, |_| ());
        let text = String::from_utf8(made.object.data).unwrap();
        device.put(hub, text.replace("\n\nstatus", "\n\nStatus").as_bytes());
    }),
    case("forgery/status-exchanged", "Forgery", &["BadSignature"], |hub, device| {
        let [_, tree, _] = device.say(hub, |_| ());
        let [.., made] = device.say(hub, |_| ());
        let text = String::from_utf8(made.object.data).unwrap();
        device.put(hub, format!("tree {}{}", tree.id, &text["tree ".len() + 40..]).as_bytes());
    }),
    case("forgery/other-namespace", "Forgery", &["BadSignature"], |hub, device| {
        device.go_on(hub, 1);
        device.say_as(hub, "file", str::to_owned);
    }),
    case("forgery/object-edited", "Forgery", &["BadCommit"], |hub, device| {
        device.go_on(hub, 1);
        let [old, ..] = device.say(hub, |_| ());
        let [new, ..] = device.say(hub, |_| ());
        overwrite(hub, old.id, new.id);
    }),
    case("forgery/commit-edited", "Forgery", &["BadCommit", "StatusGap"], |hub, device| {
        device.go_on(hub, 1);
        let old = device.tip.unwrap();
        device.go_on(hub, 1);
        // It would make the walk endless, were its name believed.
        overwrite(hub, old, device.tip.unwrap());
    }),
    case("forgery/merge", "Forgery", &["BadCommit"], |hub, device| {
        device.go_on(hub, 1);
        let other = hub.revisions[0];
        device.say_as(hub, "git", |text| text.replacen("\nauthor ", &format!("\nparent {other}\nauthor "), 1));
    }),
    case("forgery/not-a-commit", "Forgery", &["BadCommit"], |hub, device| {
        let [blob, ..] = device.say(hub, |_| ());
        device.tip = Some(blob.id);
    }),
    case("forgery/anothers-record", "Forgery", &["WrongDevice", "WrongDevice"], |hub, device| {
        device.status.device = "clean/one".parse().unwrap();
        device.go_on(hub, 2);
    }),
];

fn truncated(hub: &Hub, device: &mut Device) {
    device.status.sequence += 1;
    device.status.uptime += 60;
    let mut bytes = status::encode(&device.status).unwrap();
    bytes.truncate(bytes.len() - 3);
    device.sign(hub, bytes, "status.postcard");
}

/// Puts one object's bytes where another's are.
fn overwrite(hub: &Hub, old: Oid, new: Oid) {
    fs::remove_file(hub.file_of(old)).unwrap();
    fs::copy(hub.file_of(new), hub.file_of(old)).unwrap();
}

/// A hub with every record of the corpus.
fn corpus() -> Hub {
    let mut hub = Hub::new();
    for (case, seed) in CASES.iter().zip(1..) {
        let mut device = hub.device(case.device, seed);
        (case.make)(&mut hub, &mut device);
        hub.publish(&device);
    }
    expired(&mut hub);
    let mut unknown = hub.stranger("unproven/key-unknown", 201);
    unknown.go_on(&hub, 2);
    hub.publish(&unknown);
    let mut odd = hub.stranger("odd", 202);
    odd.go_on(&hub, 1);
    hub.set("refs/giter/status/Odd_Name", odd.tip.unwrap());
    hub
}

/// A key that is used after its time; a date that is put back does not make it valid again.
fn expired(hub: &mut Hub) {
    let mut device = hub.stranger("forgery/key-expired", 160);
    hub.trust("forgery/key-expired", &device.key, ",valid-before=\"20261119\"");
    device.go_on(hub, 1);
    device.time += 86_400 * 30;
    device.go_on(hub, 1);
    device.time = START;
    device.go_on(hub, 1);
    hub.publish(&device);
}

fn verify(hub: &Hub, args: &[&str]) -> Ran {
    hub.world.giterctl(&[&["-C", "hub.git", "verify", "--signers", "signers"], args].concat())
}

#[test]
fn every_record_gets_the_verdict_that_it_is_worth() {
    let hub = corpus();
    let ran = verify(&hub, &["-o", "json"]);
    assert_eq!((ran.code, &*ran.stderr), (Some(1), "reason: WrongDevice\n"));
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    let of = |name: &str| {
        let device = report["devices"].as_array().unwrap().iter().find(|device| device["device"] == name).unwrap();
        let findings = device["findings"].as_array().unwrap();
        let reasons: Vec<_> = findings.iter().map(|finding| finding["reason"].as_str().unwrap().to_owned()).collect();
        (device["verdict"].as_str().unwrap().to_owned(), reasons)
    };
    let found: Vec<_> = CASES.iter().map(|case| (case.device, of(case.device))).collect();
    let owned = |case: &Case| (case.verdict.to_owned(), case.reasons.iter().map(ToString::to_string).collect());
    let expected: Vec<_> = CASES.iter().map(|case| (case.device, owned(case))).collect();
    assert_eq!(report["devices"].as_array().unwrap().len(), CASES.len() + 4, "every record is in the report");
    assert_eq!(found, expected);
    assert_eq!(of("unproven/key-unknown"), ("Unproven".into(), vec!["DeviceKeyUnknown".into()]));
    assert_eq!(of("forgery/key-expired"), ("Forgery".into(), vec!["KeyNotValid".into(); 2]));
    assert_eq!(of("Odd_Name").0, "Forgery");
    assert_eq!(of("fork/twin").0, "Fork");
    assert_eq!(report["proven"], false);
}

#[test]
fn findings_say_what_they_mean_and_what_to_do() {
    let hub = corpus();
    golden("verify.txt", verify(&hub, &[]).all());
    golden("verify-name.txt", verify(&hub, &["-o", "name"]).all());
    golden("verify-some.txt", verify(&hub, &["-o", "wide", "gap/one", "clean/reboots-and-revisions"]).all());
    golden("verify.json", verify(&hub, &["-o", "json", "fork/number-twice", "clean/one"]).all());
    golden("verify.yaml", verify(&hub, &["-o", "yaml", "forgery/not-a-commit"]).all());
}

#[test]
fn what_is_proven_is_a_yes() {
    let hub = corpus();
    golden("verify-clean.txt", verify(&hub, &["clean/one", "clean/yaml"]).all());
}

#[test]
fn findings_beyond_the_bound_are_counted() {
    let mut hub = Hub::new();
    let mut device = hub.device("pump-07", 1);
    (0..40).for_each(|_| device.skip(&hub, 1));
    hub.publish(&device);
    let said = verify(&hub, &[]).stdout;
    assert_eq!(said.matches("[StatusGap]").count(), 32);
    assert!(said.ends_with("\npump-07: and 8 findings more\n"), "{said}");
}

#[test]
fn what_cannot_be_judged_is_refused() {
    let hub = corpus();
    golden("verify-no-device.txt", verify(&hub, &["clean/one", "nope"]).all());
    golden("verify-no-status.txt", verify(&hub, &["--prefix", "refs/elsewhere"]).all());
    golden("verify-no-revision.txt", verify(&hub, &["--revision", "nope"]).all());
    golden("verify-no-signers.txt", hub.world.giterctl(&["-C", "hub.git", "verify"]).all());
    golden("verify-lost-signers.txt", hub.world.giterctl(&["-C", "hub.git", "verify", "--signers", "lost"]).all());
    hub.world.write("people", "ops@plant-7 ssh-rsa AAAA\nclean/one@giter ssh-rsa AAAA\n");
    golden("verify-bad-signers.txt", hub.world.giterctl(&["-C", "hub.git", "verify", "--signers", "people"]).all());
}

#[test]
fn a_clone_takes_gits_own_signers() {
    let hub = corpus();
    let world = &hub.world;
    world.git(&["clone", "-q", "hub.git", "clone"]);
    let to_clone = |args: &[&str]| world.git(&[&["-C", "clone"], args].concat());
    to_clone(&["fetch", "-q", "origin", "refs/giter/status/clean/*:refs/giter/status/clean/*"]);
    to_clone(&["config", "gpg.ssh.allowedSignersFile", "allowed_signers"]);
    world.write("clone/allowed_signers", world.read("signers"));
    world.write("clone/specs/.keep", "");
    let proven = verify(&hub, &["clean/one"]).good();
    assert_eq!(world.giterctl(&["-C", "clone/specs", "verify", "clean/one"]).good(), proven);
    to_clone(&["config", "gpg.ssh.allowedSignersFile", &world.path("signers").display().to_string()]);
    assert_eq!(world.giterctl(&["-C", "clone", "verify", "clean/one"]).good(), proven);
}

#[test]
fn an_object_put_in_the_place_of_another_changes_nothing() {
    let mut hub = Hub::new();
    let mut device = hub.device("pump-07", 1);
    device.go_on(&hub, 3);
    hub.publish(&device);
    let proven = verify(&hub, &[]).good();
    hub.world.git(&["-C", "hub.git", "replace", &device.tip.unwrap().to_string(), &hub.revisions[0].to_string()]);
    assert_eq!(verify(&hub, &[]).good(), proven);
}

#[test]
fn what_the_agent_writes_is_proven() {
    let world = device::published();
    device::live(&world);
    let key = giter_edge::codec::keyfile::SecretKey::from_openssh("ops.key", world.read("ops.key").as_bytes()).unwrap();
    world.write("signers", format!("pump-07@giter namespaces=\"git\" {}\n", key.public().to_openssh()));
    let verify = || world.giterctl(&["-C", "hub.git", "verify", "--signers", "signers", "-o", "json"]);
    let report: Value = serde_json::from_str(&verify().good()).unwrap();
    let device = &report["devices"][0];
    assert_eq!((&device["verdict"], &device["firstSequence"]), (&"Proven".into(), &1.into()));
    assert_eq!(device["lastSequence"], device["statuses"]);

    world.git(&["-C", "hub.git", "update-ref", "-d", "refs/giter/status/pump-07"]);
    world.giterd(&["--config", "giterd.toml", "sync"]);
    let ran = verify();
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    let device = &report["devices"][0];
    assert_eq!((&device["verdict"], &device["statuses"]), (&"Gap".into(), &1.into()));
    assert_eq!((ran.code, &*ran.stderr), (Some(1), "reason: StatusGap\n"));
}
