//! A hub with the hook, and the real device: what the one lets in the other accepts, and the other way round.

use std::{fs, process::Command};

use super::{
    common::{
        case::World,
        exchange::{By, DEVICE, MANIFEST, status_ref},
        hub::git,
        sshd::Sshd,
    },
    system_to_openssh::stories::sync,
};

pub(super) const GITERCTL: &str = env!("CARGO_BIN_EXE_giterctl");

/// The public half of a key file.
pub(super) fn public(path: &std::path::Path) -> String {
    fs::read_to_string(path.with_extension("pub")).unwrap().trim().to_owned()
}

/// Puts the hook into the hub of a device that runs already, and has it approved there.
pub(super) fn guard(sshd: &Sshd, world: &World, ssh_key: &str) {
    let exchange = &world.exchange;
    let mut install = Command::new(GITERCTL);
    install.args(["hook", "install"]).arg(exchange.hub.path()).arg("--root").arg(exchange.beside("root.keys"));
    let output = install.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let device = exchange.beside("device");
    exchange.write(
        &format!("specs/{DEVICE}/device.yaml"),
        format!(
            "apiVersion: edge.giter.dev/v1alpha1\nkind: Device\nmetadata: {{name: {DEVICE}}}\nspec:\n  statusKeys: \
             [{{key: \"{}\"}}]\n  sshKeys: [\"{}\"]\n",
            public(&device),
            public(&sshd.file(ssh_key))
        ),
    );
    exchange.publish();
}

#[test]
fn a_device_syncs_through_the_hook() {
    let sshd = Sshd::start();
    let world = sync::world(&sshd);
    guard(&sshd, &world, "user_key");
    let before = world.status().sequence;
    world.exchange.write(MANIFEST, world.specs("changed\n"));
    let tip = world.exchange.publish();
    let out = world.device.sync_well();
    assert!(out.starts_with(&format!("accepted {}, ", tip.short())) && out.contains("pushed as "), "{out}");
    world.check_holds("changed\n");
    assert_eq!(world.status().sequence, before + 1);

    // The same login, by git: the publisher's signature does not make the device a publisher.
    world.exchange.write(MANIFEST, world.specs("by the device\n"));
    world.exchange.commit(By::Ops);
    let ssh = format!(
        "ssh -F none -i {} -o IdentitiesOnly=yes -o UserKnownHostsFile={}",
        sshd.file("user_key").display(),
        sshd.file("known_hosts").display()
    );
    let mut push = Command::new("git");
    push.arg("-C").arg(world.exchange.work()).args(["push", &sshd.url(&world.exchange.hub.path()), "HEAD:main"]);
    let output = push.env("GIT_SSH_COMMAND", ssh).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("is the one of the device pump-07"), "{said}");
    assert!(said.contains("reason: RefNotAllowed"), "{said}");
}

#[test]
fn a_device_by_another_login_is_told_so() {
    let sshd = Sshd::start();
    let world = sync::world(&sshd);
    guard(&sshd, &world, "other_key");
    world.exchange.write(MANIFEST, world.specs("changed\n"));
    world.exchange.publish();
    let run = world.device.sync();
    world.check_holds("changed\n");
    assert_eq!(run.exit, Some(3), "{}", run.err);
    assert!(run.err.contains("is none of those of pump-07"), "{}", run.err);
    assert!(run.err.ends_with("reason: PushRejected\n"), "{}", run.err);
    let hub = world.exchange.hub.path();
    let last = git(&hub, &["rev-parse", &status_ref()]);
    // The specs are accepted all the same, and the status goes out once the key is named.
    world.exchange.write(
        &format!("specs/{DEVICE}/device.yaml"),
        fs::read_to_string(world.exchange.work().join(format!("specs/{DEVICE}/device.yaml")))
            .unwrap()
            .replace(&public(&sshd.file("other_key")), &public(&sshd.file("user_key"))),
    );
    world.exchange.publish();
    world.device.sync_well();
    assert_ne!(git(&hub, &["rev-parse", &status_ref()]), last);
}
