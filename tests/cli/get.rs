//! `giterctl get`: every table and form, from a bare hub and from a clone.

use giter_edge::{
    api::{
        Condition, ConditionStatus, ConditionType, DeviceStatus, Oid, ResourceStatus,
        condition::Text,
        status::{Clock, Field},
    },
    codec::status,
};

use super::support::{World, golden};

const HEAD: &str = "apiVersion: edge.giter.dev/v1alpha1\n";

/// A bare hub. `site-a/pump-07` has one resource of each state, `edge-02` said nothing yet, and `lab` has no specs.
fn hub() -> World {
    let world = World::new();
    world.identify();
    world.git(&["init", "-q", "--bare", "--initial-branch=main", "hub.git"]);
    world.git(&["clone", "-q", "hub.git", "work"]);
    let device = "work/specs/site-a/pump-07";
    let file = |name: &str| {
        format!(
            "{HEAD}kind: File\nmetadata: {{name: {name}}}\nspec: {{path: /etc/{name}, content: \"hello\\n\", mode: \"0644\"}}\n"
        )
    };
    world.write(&format!("{device}/motd.yaml"), file("motd"));
    world.write(
        &format!("{device}/relay.yaml"),
        format!(
            "{HEAD}kind: GpioLine\nmetadata:\n  name: pump-relay\n  labels: {{line: \"7\"}}\nspec:\n  line: GPIO17 # by the door\n  \
             direction: output\n  value: high\n  failsafe: low\n"
        ),
    );
    world.write(&format!("{device}/new.yaml"), file("new"));
    world.write(&format!("{device}/changed.yaml"), file("changed"));
    world.write(
        "work/specs/edge-02/led.yaml",
        format!("{HEAD}kind: Led\nmetadata: {{name: activity}}\nspec: {{led: ACT, brightness: 1}}\n"),
    );
    world.git(&["-C", "work", "add", "-A"]);
    world.git(&["-C", "work", "commit", "-q", "-m", "specs"]);
    world.git(&["-C", "work", "push", "-q", "origin", "HEAD:main"]);
    let blob = |name: &str| world.git(&["-C", "work", "rev-parse", &format!("HEAD:specs/site-a/pump-07/{name}.yaml")]);
    let resources = vec![
        resource("File/changed", &"1".repeat(40), ("True", "Applied", ""), &[("mode", "0600")]),
        resource("File/gone", &"2".repeat(40), ("True", "Applied", ""), &[]),
        resource("File/motd", &blob("motd"), ("False", "FileFailed", "cannot write /etc/motd: full"), &[("size", "0")]),
        ResourceStatus {
            conditions: [
                condition(ConditionType::Ready, ("True", "Applied", "")),
                condition(
                    ConditionType::Drifted,
                    ("False", "DriftCorrected", "corrected 3 times since the spec last changed"),
                ),
            ]
            .into_iter()
            .collect(),
            ..resource("GpioLine/pump-relay", &blob("relay"), ("True", "Applied", ""), &[("value", "high")])
        },
    ];
    report(
        &world,
        "site-a/pump-07",
        &status::encode(&device_status("site-a/pump-07", resources)).unwrap(),
        "status.postcard",
    );
    let lab = status::to_yaml(&device_status("lab", vec![])).unwrap();
    report(&world, "lab", lab.as_bytes(), "status.yaml");
    world
}

fn condition(kind: ConditionType, (is, reason, message): (&str, &str, &str)) -> Condition {
    let is = if is == "True" { ConditionStatus::True } else { ConditionStatus::False };
    Condition::new(kind, is, reason, message)
}

fn resource(key: &str, digest: &str, ready: (&str, &str, &str), observed: &[(&str, &str)]) -> ResourceStatus {
    ResourceStatus {
        key: key.parse().unwrap(),
        observed_digest: digest.parse().unwrap(),
        conditions: [condition(ConditionType::Ready, ready)].into_iter().collect(),
        observed: observed.iter().map(|(name, value)| Field::new(name, value)).collect(),
    }
}

fn device_status(device: &str, resources: Vec<ResourceStatus>) -> DeviceStatus {
    DeviceStatus {
        device: device.parse().unwrap(),
        board: Text::new("sim"),
        agent: Text::new("0.1.0"),
        boot_id: [0xab; 16],
        sequence: 12,
        uptime: 3600,
        clock: Clock::Plausible,
        observed_revision: Some(Oid::new([0xcd; 20])),
        advances: 4,
        conditions: [
            condition(ConditionType::Synced, ("False", "UnsignedCommit", "commit 0123456789ab is not signed")),
            condition(ConditionType::Ready, ("False", "ResourcesNotReady", "1 of 4 not ready: File/motd")),
        ]
        .into_iter()
        .collect(),
        resources,
        lost: 0,
    }
}

/// Puts a status where the device's push would.
fn report(world: &World, device: &str, bytes: &[u8], name: &str) {
    let blob = world.git_with(&["-C", "hub.git", "hash-object", "-w", "--stdin"], bytes);
    let tree = world.git_with(&["-C", "hub.git", "mktree"], format!("100644 blob {blob}\t{name}\n").as_bytes());
    let commit = world.git(&["-C", "hub.git", "commit-tree", "-m", "status", &tree]);
    world.git(&["-C", "hub.git", "update-ref", &format!("refs/giter/status/{device}"), &commit]);
}

fn get(world: &World, args: &[&str]) -> String {
    world.giterctl(&[&["-C", "hub.git", "get"], args].concat()).all()
}

#[test]
fn everything_in_every_form() {
    let world = hub();
    golden("get.txt", get(&world, &[]));
    golden("get-wide.txt", get(&world, &["-o", "wide"]));
    golden("get-name.txt", get(&world, &["-o", "name"]));
    golden("get.yaml", get(&world, &["-o", "yaml"]));
    golden("get.json", get(&world, &["-o", "json"]));
}

#[test]
fn one_resource_is_one_object() {
    let world = hub();
    golden("get-one.txt", get(&world, &["gpioline/pump-relay"]));
    golden("get-one.yaml", get(&world, &["gpioline/pump-relay", "-o", "yaml"]));
    golden("get-one.json", get(&world, &["gpioline/pump-relay", "-o", "json"]));
    golden("get-one-device.yaml", get(&world, &["device/site-a/pump-07", "-o", "yaml"]));
}

#[test]
fn kinds_and_devices_select() {
    let world = hub();
    golden("get-files.txt", get(&world, &["files"]));
    golden("get-devices.txt", get(&world, &["devices"]));
    golden("get-device.txt", get(&world, &["edge-02"]));
    golden("get-leds-of.txt", get(&world, &["leds", "--device", "edge-02"]));
    golden("get-none.txt", get(&world, &["leds", "--device", "lab"]));
    assert!(get(&world, &["--device", "edge-02", "-o", "name"]).starts_with("Device/edge-02\nLed/activity\n"));
}

#[test]
fn what_is_not_there_is_a_no() {
    let world = hub();
    golden("get-no-resource.txt", get(&world, &["file/nope"]));
    golden("get-no-device.txt", get(&world, &["nope"]));
    golden("get-no-device.txt", get(&world, &["--device", "nope"]));
    golden("get-no-revision.txt", get(&world, &["--revision", "nope"]));
    let ran = world.giterctl(&["-C", "/", "get"]);
    assert_eq!((ran.code, ran.stderr.lines().last()), (Some(2), Some("reason: RepositoryNotFound")));
}

#[test]
fn a_clone_shows_statuses_once_they_are_fetched() {
    let world = hub();
    let in_clone = || world.giterctl(&["get", "-C", "work/specs"]);
    golden("get-clone.txt", in_clone().all());
    world.git(&["-C", "work", "fetch", "-q", "origin", "refs/giter/status/*:refs/giter/status/*"]);
    assert_eq!(in_clone().stdout, world.giterctl(&["-C", "hub.git", "get"]).stdout);
}

#[test]
fn the_only_branch_is_taken_where_head_names_none() {
    let world = hub();
    let usual = get(&world, &[]);
    world.git(&["-C", "hub.git", "symbolic-ref", "HEAD", "refs/heads/elsewhere"]);
    assert_eq!(get(&world, &[]), usual);
    world.git(&["-C", "hub.git", "branch", "second", "main"]);
    golden("get-no-head.txt", get(&world, &[]));
    assert_eq!(get(&world, &["--revision", "second"]), usual);
}

#[test]
fn a_clone_with_nothing_checked_out_is_told_of_its_remote() {
    let world = hub();
    world.git(&["-C", "hub.git", "symbolic-ref", "HEAD", "refs/heads/elsewhere"]);
    world.git(&["clone", "-q", "hub.git", "unborn"]);
    golden("get-unborn.txt", world.giterctl(&["-C", "unborn", "get"]).all());
    assert!(world.giterctl(&["-C", "unborn", "get", "--revision", "origin/main"]).stdout.contains("pump-relay"));
}

#[test]
fn a_device_that_was_well_with_other_specs_is_behind() {
    let world = hub();
    let well = |kind| condition(kind, ("True", "AllReady", ""));
    let conditions = [well(ConditionType::Synced), well(ConditionType::Ready)].into_iter().collect();
    let status = DeviceStatus { conditions, ..device_status("edge-02", vec![]) };
    report(&world, "edge-02", &status::encode(&status).unwrap(), "status.postcard");
    golden("get-behind.txt", get(&world, &["device/edge-02"]));
    let head = world.git(&["-C", "hub.git", "rev-parse", "main"]);
    let message = format!("the device speaks of cdcdcdcdcdcd, what is shown is of {}\n", &head[..12]);
    assert!(get(&world, &["device/edge-02", "-o", "wide"]).contains(&message));
}

#[test]
fn a_status_that_cannot_be_believed_is_left_out_and_said() {
    let world = hub();
    report(&world, "edge-02", b"\x01garbage", "status.postcard");
    report(&world, "lab", &status::encode(&device_status("edge-02", vec![])).unwrap(), "status.postcard");
    report(&world, "site-a/pump-07", b"hello", "greeting");
    golden("get-unbelievable.txt", get(&world, &["-o", "name"]));
}

#[test]
fn manifests_that_cannot_be_read_are_said_and_nothing_counts_as_deleted() {
    let world = hub();
    world.write("work/specs/site-a/pump-07/motd.yaml", "a: [b\n");
    world.write("work/specs/site-a/pump-07/odd\u{1b}.yaml", "kind: Pump\n");
    world.git(&["-C", "work", "add", "-A"]);
    world.git(&["-C", "work", "commit", "-q", "-m", "broken"]);
    world.git(&["-C", "work", "push", "-q", "origin", "HEAD:main"]);
    golden("get-broken.txt", get(&world, &["site-a/pump-07"]));
}

#[test]
fn a_reader_that_goes_away_is_a_graceful_end() {
    let world = hub();
    let giterctl = env!("CARGO_BIN_EXE_giterctl");
    let script = format!("{{ '{giterctl}' -C hub.git get -o json 2>err; echo $? >code; }} | true");
    world.command("sh").args(["-c", &script]).status().unwrap();
    assert_eq!(world.read("code"), "0\n");
}
