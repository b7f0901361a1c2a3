//! Trees that hold what specs cannot be.

use std::os::unix::fs::symlink;

use super::common::{
    case::{Case, World, check_all},
    exchange::{By, MANIFEST},
};

/// A `File` resource that takes its content from `name`.
fn sourced(world: &World, name: &str) {
    let path = world.device.name("files").join("motd");
    let spec = format!(
        "apiVersion: edge.giter.dev/v1alpha1\nkind: File\nmetadata: {{name: motd}}\nspec:\n  source: {name}\n  path: {}\n",
        path.display()
    );
    world.exchange.write(MANIFEST, spec);
}

#[test]
fn entries() {
    let cases = [
        Case::tip(
            "a symbolic link",
            "BadTreeEntry",
            "specs/pump-07/link.yaml: specs cannot hold a symbolic link",
            |world| {
                symlink("/etc/passwd", world.exchange.work().join("specs/pump-07/link.yaml")).unwrap();
                world.exchange.publish();
            },
        ),
        Case::tip("a submodule", "BadTreeEntry", "specs/pump-07/module: specs cannot hold a submodule", |world| {
            world.exchange.add_entry("160000", &world.accepted.get().to_string(), "specs/pump-07/module");
            world.exchange.commit_as_is(By::Ops);
            world.exchange.push();
        }),
        Case::tip(
            "a link for a folder",
            "BadTreeEntry",
            "specs/pump-07: expected a folder, not a symbolic link",
            |world| {
                world.exchange.git(&["mv", "specs/pump-07", "specs/elsewhere"]);
                symlink("elsewhere", world.exchange.work().join("specs/pump-07")).unwrap();
                world.exchange.publish();
            },
        ),
        Case::tip(
            "no folder for the device",
            "DeviceNotFound",
            "specs/pump-07: the exchange has no such folder",
            |world| {
                world.exchange.git(&["mv", "specs/pump-07", "specs/pump-08"]);
                world.exchange.publish();
            },
        ),
    ];
    check_all(cases, World::by_file);
}

#[test]
fn sources() {
    let cases = [
        Case::tip(
            "a source that is not there",
            "SourceNotFound",
            "specs/pump-07/all.yaml:5:11: spec.source: the exchange has no file specs/pump-07/absent.txt",
            |world| {
                sourced(world, "absent.txt");
                world.exchange.publish();
            },
        ),
        Case::tip(
            "a source that is too large",
            "FileTooLarge",
            "specs/pump-07/all.yaml:5:11: spec.source: specs/pump-07/large.bin has more than 1048576 bytes",
            |world| {
                sourced(world, "large.bin");
                world.exchange.write("specs/pump-07/large.bin", vec![b'x'; 2 << 20]);
                world.exchange.publish();
            },
        ),
        Case::tip("a source that climbs", "InvalidValue", "specs/pump-07/all.yaml:5:11: spec.source: ", |world| {
            sourced(world, "../../secret");
            world.exchange.publish();
        }),
        Case::tip("a manifest of 10 MB", "PackTooLarge", "more than", |world| {
            world.exchange.write(MANIFEST, "#".repeat(10 << 20));
            world.exchange.publish();
        }),
        Case::tip("a file of 10 MB in its folder", "PackTooLarge", "more than", |world| {
            world.exchange.write("specs/pump-07/video.bin", vec![b'x'; 10 << 20]);
            world.exchange.publish();
        }),
    ];
    check_all(cases, World::by_file);
}

#[test]
fn a_file_of_10_mb_elsewhere_is_nothing_to_the_device() {
    let world = World::by_file();
    world.exchange.write("video.bin", vec![b'x'; 10 << 20]);
    world.exchange.write(MANIFEST, world.specs("changed\n"));
    world.exchange.publish();
    world.device.sync_well();
    world.check_holds("changed\n");
}
