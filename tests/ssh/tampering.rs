//! Hubs on which real git answers, and the packs that it sends are others.
//!
//! Whatever comes of it, the board is held to what was accepted, the state folder is as small as before, and the next
//! honest answer is taken.

use std::{fs, path::Path};

use super::{
    WAY,
    stories::{
        hubs::forced,
        sync::{sshd_and_world, world},
    },
};
use crate::{
    common::{
        case::{Case, Heard, Retries, World, check_all},
        exchange::MANIFEST,
        sshd::write_program,
    },
    support::packfile,
};

const BLOB: u8 = 3;

/// Publishes specs in a manifest of 100 kB that does not compress.
fn publish_large(world: &World) {
    let noise: String = noise(75_000).chunks(60).map(|line| format!("# {}\n", hex(line))).collect();
    world.exchange.write(MANIFEST, world.specs("large\n") + &noise);
    world.exchange.publish();
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Bytes that do not compress.
fn noise(count: usize) -> Vec<u8> {
    let mut seed = 1u32;
    let next = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 24) as u8
    };
    std::iter::repeat_with(next).take(count).collect()
}

/// Every pack of upload-pack is made by a script, whose arguments are the command that would have made it.
fn packing(script: &str) -> impl Fn(&World) + use<> {
    let script = script.to_owned();
    move |world| {
        publish_large(world);
        pack_by(world, &script);
    }
}

fn pack_by(world: &World, script: &str) {
    let hook = world.exchange.beside("pack-objects");
    write_program(&hook, script);
    forced(format!(
        "export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=uploadpack.packObjectsHook GIT_CONFIG_VALUE_0='{}'\n\
         eval \"$SSH_ORIGINAL_COMMAND\"",
        hook.display()
    ))(world);
}

/// What keeps the device from the tip, and is told in its status.
fn untaken(name: &'static str, reason: (&'static str, i32), says: &str, wrong: impl Fn(&World) + 'static) -> Case {
    Case { heard: Heard::InStatus, ..Case::link(name, reason, says, wrong).retrying(Retries::Fetch) }
}

#[test]
fn other_packs() {
    let other = "cat > /dev/null; echo other | git hash-object -w --stdin | git pack-objects --stdout -q";
    let cases = [
        untaken("half of one", ("PackInvalid", 3), "", packing("\"$@\" | head -c 20000")),
        untaken("one and more", ("PackInvalid", 3), "bytes follow the pack", packing("\"$@\"; echo more")),
        untaken("of other objects", ("PackInvalid", 3), " is missing", packing(other)),
    ];
    let sshd = WAY.start();
    check_all(cases, || world(&sshd));
}

/// Runs a sync that may not map more than so many bytes of memory.
fn sync_within(world: &World, bytes: u64) -> crate::common::device::Run {
    let script = format!("ulimit -v {}; exec \"$@\"", bytes >> 10);
    world.device.run_by("sh", &["-c", &script, "sh"], &["sync"])
}

/// The bytes of all files in the state folder.
fn kept(world: &World) -> usize {
    world.device.state().values().filter_map(|stamp| stamp.content.as_ref()).map(Vec::len).sum()
}

#[test]
fn a_pack_without_end_is_bounded_in_memory_and_on_the_disk() {
    let (_sshd, world) = sshd_and_world();
    let before = kept(&world);
    let (mut entry, noise) = (Vec::new(), noise(1 << 20));
    packfile::entry(&mut entry, BLOB, noise.len() as u64, b"", &noise);
    let file = world.exchange.beside("entry");
    fs::write(&file, entry).unwrap();
    publish_large(&world);
    pack_by(&world, &endless(&file));
    let run = sync_within(&world, 256 << 20);
    assert_eq!((run.said("reason"), run.exit), ("PackTooLarge", Some(1)), "{}", run.err);
    assert!(kept(&world) < before + (64 << 10), "{} bytes are left, {before} before", kept(&world));
    world.device.check_is_tidy();
    world.device.unset();
    world.publish_next("hello again\n");
    world.device.sync_well();
    world.check_holds("hello again\n");
}

/// A head that promises as many objects as a pack may have, and then the same entry for ever.
fn endless(entry: &Path) -> String {
    format!("cat > /dev/null; printf 'PACK\\0\\0\\0\\2\\0\\2\\0\\0'; while cat '{}'; do :; done", entry.display())
}
