//! Disks that are read-only, full or damaged.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::common::{
    case::{Case, Retries, World, check_all},
    exchange::status_ref,
};

/// Flips a bit in the middle of a file.
fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
}

fn slot_names() -> [&'static str; 2] {
    ["ledger.a", "ledger.b"]
}

/// The ledger's slot that holds its newest record, and the other.
fn slots(world: &World) -> [PathBuf; 2] {
    let age = |path: &PathBuf| giter_edge::codec::record::decode(&fs::read(path).unwrap()).unwrap().serial;
    let mut slots = slot_names().map(|name| world.device.path("state").join(name));
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
        .retrying(Retries::Fetch)
        .mended(|world| fs::write(world.device.path("state/lock"), "").unwrap()),
    ];
    check_all(cases, World::by_file);
}

#[test]
fn a_ledger_with_both_slots_damaged() {
    let cases = [Case::start("both", ("LedgerDamaged", 2), "no sound record is left in {board}/state", |world| {
        slots(world).iter().for_each(|slot| flip(slot));
    })
    .mended(|world| {
        // As the hint says.
        slot_names().iter().for_each(|slot| fs::remove_file(world.device.path("state").join(slot)).unwrap());
        world.exchange.hub.git(&["update-ref", "-d", &status_ref()]);
    })];
    check_all(cases, World::by_file);
}

#[test]
fn a_ledger_with_its_older_slot_damaged_goes_on() {
    let world = World::by_file();
    flip(&slots(&world)[1]);
    let before = world.device.state();
    let run = world.device.sync();
    assert_eq!(run.exit, Some(0), "{}", run.err);
    assert!(run.err.contains("ledger.") && run.err.contains(" counts"), "{}", run.err);
    assert!(before == world.device.state(), "the state folder was written to");
    world.publish_next("changed\n");
    assert_eq!(world.device.sync().exit, Some(0));
    world.check_holds("changed\n");
    // Written anew, both count.
    world.device.sync_well();
}

#[test]
fn a_ledger_with_its_newest_slot_damaged_holds_what_the_other_names() {
    let world = World::by_file();
    world.publish_next("changed\n");
    world.device.sync_well();
    flip(&slots(&world)[0]);
    let run = world.device.sync();
    assert!(run.err.contains(" counts"), "{}", run.err);
    world.check_holds("changed\n");
    let tip = world.device.record().tip.unwrap().commit;
    assert_eq!(tip, world.exchange.head());
}

/// The packs of the store, the largest first.
fn packs(world: &World) -> Vec<PathBuf> {
    let entries = fs::read_dir(world.device.path("state/store/packs")).unwrap().map(|entry| entry.unwrap().path());
    let mut packs: Vec<_> = entries.filter(|path| path.extension().is_some_and(|kind| kind == "pack")).collect();
    packs.sort_by_key(|path| std::cmp::Reverse(path.metadata().unwrap().len()));
    packs
}

#[test]
fn a_damaged_pack_is_fetched_again() {
    let world = World::by_file();
    packs(&world).iter().for_each(|pack| flip(pack));
    world.device.tamper("GPIO17 = \"high\"", "GPIO17 = \"low\"");
    let run = world.device.sync();
    assert_eq!(run.exit, Some(0), "{}", run.err);
    world.check_holds("hello\n");
    world.device.check_is_tidy();
    world.device.sync_well();
}

#[test]
fn a_damaged_pack_without_a_hub_lets_go_of_nothing() {
    let world = World::by_file();
    packs(&world).iter().for_each(|pack| flip(pack));
    world.device.set("LINK_URL", world.exchange.beside("absent.git").display());
    for _ in 0..2 {
        let run = world.device.sync();
        assert_eq!(run.said("reason"), "RepositoryNotFound");
        assert!(run.err.contains("damaged"), "{}", run.err);
        world.check_holds("hello\n");
    }
    let plan = world.device.run(&["plan"]);
    assert_eq!((plan.said("reason"), plan.exit), ("StateFailed", Some(3)), "{}", plan.err);
    world.device.unset();
    world.publish_next("changed\n");
    assert_eq!(world.device.sync().exit, Some(0));
    world.check_holds("changed\n");
    world.device.sync_well();
}

#[test]
fn a_damaged_pack_falls_back_to_the_specs_before() {
    let world = World::by_file();
    world.publish_next("changed\n");
    world.device.sync_well();
    let newest = world.device.record().generation.packs.last().unwrap().to_string();
    packs(&world).iter().filter(|pack| pack.display().to_string().contains(&newest)).for_each(|pack| flip(pack));
    world.device.set("LINK_URL", world.exchange.beside("absent.git").display());
    world.device.tamper("GPIO17 = \"high\"", "GPIO17 = \"low\"");
    assert_eq!(world.device.sync().said("reason"), "RepositoryNotFound");
    world.check_holds("hello\n");
    world.device.unset();
    assert_eq!(world.device.sync().exit, Some(0));
    world.check_holds("changed\n");
    world.device.check_is_tidy();
    world.device.sync_well();
}
