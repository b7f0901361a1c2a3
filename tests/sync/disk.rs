//! Disks that are read-only, full or damaged.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::common::{
    case::{Case, World, check_all},
    exchange::status_ref,
};

/// Flips a bit in the middle of a file.
fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
}

/// The ledger's slot that holds its newest record, and the other.
fn slots(world: &World) -> [PathBuf; 2] {
    let slot = |name: &str| world.device.path("state").join(name);
    let age = |path: &PathBuf| giter_edge::codec::record::decode(&fs::read(path).unwrap()).unwrap().serial;
    let mut slots = [slot("ledger.a"), slot("ledger.b")];
    slots.sort_by_key(|path| std::cmp::Reverse(age(path)));
    slots
}

#[test]
fn read_only_and_full() {
    let change = |world: &World| {
        world.publish_next("changed\n");
    };
    let cases = [
        Case::start("read-only", ("StateReadOnly", 3), "{board}/state", move |world| {
            change(world);
            world.device.mount("mount --bind state state\nmount -o remount,ro,bind state");
        })
        .mended(|world| world.device.unmount()),
        Case::link("full", ("DiskFull", 3), "{board}/state", move |world| {
            change(world);
            world.device.mount(
                "mkdir full\nmount -t tmpfs -o size=128k tmpfs full\ncp -a state/. full\n\
                 cat /dev/zero > full/lock 2> lock.err || true\nmount --move full state",
            );
        })
        .retried()
        .mended(|world| fs::write(world.device.path("state/lock"), "").unwrap()),
    ];
    check_all(cases, World::by_file);
}

#[test]
fn damaged() {
    let cases = [Case::start(
        "both slots of the ledger",
        ("LedgerDamaged", 2),
        "no sound record is left in {board}/state",
        |world| {
            slots(world).iter().for_each(|slot| flip(slot));
        },
    )
    .mended(|world| {
        ["ledger.a", "ledger.b"]
            .iter()
            .for_each(|slot| fs::remove_file(world.device.path("state").join(slot)).unwrap());
        world.exchange.hub.git(&["update-ref", "-d", &status_ref()]);
    })];
    check_all(cases, World::by_file);
}
