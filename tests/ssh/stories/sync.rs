//! The straight path: `giterd sync` to a hub behind sshd and back.

use std::{fs, os::unix::fs::MetadataExt};

use giter_edge::{
    api::{ConditionStatus, ConditionType},
    codec::config::SshClient,
};

use super::WAY;
use crate::common::{
    case::World,
    device::Device,
    exchange::{Exchange, MANIFEST, status_ref},
    hub::{git, git_agrees, git_bytes},
    sshd::Sshd,
};

/// A device that has accepted its first specs through the server.
pub(crate) fn world(sshd: &Sshd) -> World {
    let exchange = Exchange::new();
    let url = sshd.url(&exchange.hub.path());
    World::new(exchange, &url, |device| configure(device, sshd))
}

/// Appends how the server is reached to the device's configuration.
fn configure(device: &Device, sshd: &Sshd) {
    let keys = ["identity", "known_hosts", "program"].into_iter().zip(["user_key", "known_hosts", "ssh"]);
    let client = if WAY.client == SshClient::Builtin { "builtin" } else { "system" };
    let lines: String = keys.map(|(key, file)| format!("{key} = \"{}\"\n", sshd.file(file).display())).collect();
    device.write_config(&device.config().replace("[link]\n", &format!("[link]\nssh = \"{client}\"\n{lines}")));
}

#[test]
fn a_second_sync_applies_writes_and_pushes_nothing() {
    let (sshd, world) = sshd_and_world();
    let before = (world.device.state(), world.exchange.hub.git(&["for-each-ref"]), sshd.sessions());
    let files = fs::metadata(world.device.path("files")).unwrap().mtime_nsec();
    let out = world.device.sync_well();
    assert_eq!(out, format!("nothing changed: {}, 3 resources\n", world.accepted.get().short()));
    assert!(before.0 == world.device.state(), "the state folder was written to");
    assert_eq!(world.exchange.hub.git(&["for-each-ref"]), before.1);
    assert_eq!(sshd.sessions(), before.2 + 1, "one connection for the listing, and none for a push");
    assert_eq!(fs::metadata(world.device.path("files")).unwrap().mtime_nsec(), files);
}

#[test]
fn a_change_is_applied_drift_is_corrected_and_what_is_deleted_is_released() {
    let (_sshd, world) = sshd_and_world();
    let tip = world.publish_next("changed\n");
    let out = world.device.sync_well();
    assert!(out.starts_with(&format!("accepted {}, signed by ops@plant-7\n", tip.short())), "{out}");
    world.check_holds("changed\n");
    let first = world.status();
    assert_eq!(first.observed_revision, Some(tip));
    assert!(first.conditions.iter().all(|condition| condition.status == ConditionStatus::True));

    world.device.tamper("GPIO17 = \"high\"", "GPIO17 = \"low\"");
    fs::write(world.device.path("files/motd"), "somebody else\n").unwrap();
    let out = world.device.sync_well();
    assert!(out.contains("GpioLine/pump-relay   drift    drive GPIO17 high (found low)"), "{out}");
    world.check_holds("changed\n");
    let second = world.status();
    assert_eq!(second.sequence, first.sequence + 1);
    let line = second.resources.iter().find(|resource| resource.key.to_string() == "GpioLine/pump-relay").unwrap();
    assert_eq!(line.condition(ConditionType::Drifted).unwrap().reason.as_str(), "DriftCorrected");

    let specs = world.specs("changed\n");
    let led = specs.rfind("apiVersion").unwrap();
    world.exchange.write(MANIFEST, &specs[led..]);
    world.exchange.publish();
    world.device.sync_well();
    assert!(!world.device.path("files/motd").exists(), "a file that is gone from the exchange is removed");
    assert!(world.device.registers().contains("GPIO17 = \"low\""), "a line is driven to its failsafe");
    assert_eq!(world.status().resources.len(), 1);
    world.device.check_is_tidy();
}

#[test]
fn what_git_says_of_the_statuses() {
    let (_sshd, world) = sshd_and_world();
    world.device.tamper("ACT = 255", "ACT = 0");
    world.device.sync_well();
    world.publish_next("changed\n");
    world.device.sync_well();
    let hub = &world.exchange.hub;
    assert_eq!(hub.git(&["rev-list", "--count", &status_ref()]), "3", "the statuses are one chain");
    assert_eq!(hub.git(&["fsck", "--strict", "--no-dangling"]), "");
    // `status` has git verify the signature, here in a clone.
    world.status();
    let clone = world.exchange.beside("clone");
    git(hub.path().parent().unwrap(), &["clone", "--quiet", &hub.path().display().to_string(), "clone"]);
    git(&clone, &["fetch", "--quiet", "origin", "refs/giter/status/*:refs/giter/status/*"]);
    let signers = |name: &str| format!("gpg.ssh.allowedSignersFile={}", world.exchange.beside(name).display());
    for status in git(&clone, &["rev-list", &status_ref()]).lines() {
        git(&clone, &["-c", &signers("device.signers"), "verify-commit", status]);
        assert!(!git_agrees(&clone, &["-c", &signers("root.keys"), "verify-commit", status]));
    }
    assert_eq!(git(&clone, &["fsck", "--strict"]), "");
}

#[test]
fn a_status_in_yaml() {
    let (_sshd, world) = sshd_and_world();
    world.device.set("STATUS_FORMAT", "yaml");
    world.device.tamper("ACT = 255", "ACT = 0");
    world.device.sync_well();
    let names = world.exchange.hub.git(&["ls-tree", "--name-only", &status_ref()]);
    assert_eq!(names, "status.yaml");
    let yaml = git_bytes(&world.exchange.hub.path(), &["cat-file", "blob", &format!("{}:status.yaml", status_ref())]);
    let yaml = String::from_utf8(yaml).unwrap();
    assert!(yaml.contains("device: pump-07\n") && yaml.contains(&world.accepted.get().to_string()), "{yaml}");
}

pub(crate) fn sshd_and_world() -> (Sshd, World) {
    let sshd = WAY.start();
    let world = world(&sshd);
    (sshd, world)
}
