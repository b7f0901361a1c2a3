//! Hubs that do not take a status, each for a reason of git's; and those that die over it.

use std::fs;

use super::{
    WAY,
    sync::{sshd_and_world, world},
};
use crate::common::{
    case::{Case, Retries, World, check_all},
    exchange::status_ref,
};

/// A push that is rejected, until that is put right.
fn rejected(
    name: &'static str,
    (reason, exit): (&'static str, i32),
    says: &str,
    wrong: impl Fn(&World) + 'static,
    mend: impl Fn(&World) + 'static,
) -> Case {
    Case::link(name, (reason, exit), says, wrong).retrying(Retries::Push).mended(mend)
}

fn configure(key: &'static str, value: &'static str) -> (impl Fn(&World), impl Fn(&World)) {
    let set = move |world: &World| {
        world.exchange.hub.git(&["config", key, value]);
    };
    let unset = move |world: &World| {
        world.exchange.hub.git(&["config", "--unset", key]);
    };
    (set, unset)
}

fn hook(name: &'static str, script: &'static str) -> (impl Fn(&World), impl Fn(&World)) {
    let set = move |world: &World| world.exchange.hub.hook(name, script);
    let unset = move |world: &World| fs::remove_file(world.exchange.hub.path().join("hooks").join(name)).unwrap();
    (set, unset)
}

#[test]
fn each_reason_of_gits() {
    let (too_small, large_enough) = configure("receive.maxInputSize", "10");
    let (declines, agrees) = hook("update", "echo 'not this one' >&2; exit 1");
    let (dies, lives) = hook("pre-receive", "kill -9 $PPID");
    let lock = |world: &World| world.exchange.hub.path().join(status_ref() + ".lock");
    let cases = [
        rejected("a pack too large", ("PushRejected", 3), "unpacking failed, ", too_small, large_enough),
        rejected("declined for this ref", ("PushRejected", 3), "hook declined (not this one", declines, agrees),
        rejected(
            "another git at work",
            ("StatusRefMoved", 1),
            "is no longer at",
            move |world| fs::write(lock(world), "").unwrap(),
            move |world| fs::remove_file(lock(world)).unwrap(),
        ),
        rejected("dies over the pack", ("HubUnreachable", 3), "", dies, lives),
    ];
    let sshd = WAY.start();
    check_all(cases, || world(&sshd));
}

#[test]
fn a_hub_that_dies_before_its_report_is_asked_again_and_not_told_again() {
    let (_sshd, world) = sshd_and_world();
    let before = world.exchange.status();
    let (dies, lives) = hook("reference-transaction", "[ \"$1\" != committed ] || kill -9 $PPID");
    dies(&world);
    world.device.tamper("GPIO17 = \"high\"", "GPIO17 = \"low\"");
    let run = world.device.sync();
    assert_eq!((run.said("reason"), run.exit), ("HubUnreachable", Some(3)), "{}", run.err);
    let told = world.exchange.status();
    assert_ne!(told, before, "the ref was moved before the hub died");
    lives(&world);
    let out = world.device.sync_well();
    assert!(out.starts_with("nothing changed: "), "{out}");
    assert_eq!(world.exchange.status(), told);
}
