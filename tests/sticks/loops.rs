//! Sticks with file systems on images: ext4 by the kernel on loop devices; FAT and exFAT by the FUSE drivers, since not
//! every kernel has these.

use std::{fs, os::unix::fs::symlink, path::Path, process::Command};

use super::{
    common::exchange::DEVICE,
    site::{STICK, Site},
};

/// Makes an image and mounts it; the loop device goes with the mount.
const EXT4: &str =
    "truncate -s 8M stick.img\nmkfs.ext4 -q -F stick.img\nmount -o loop,nosuid,nodev,noexec stick.img stick";

#[test]
fn a_trip_on_ext4() {
    let site = Site::new();
    site.mount(EXT4);
    let run = site.visit();
    assert_eq!((run.exit, site.says()), (Some(0), "two".into()), "{}", run.err);
    site.check_statuses();
    // What is on the stick is there after it was pulled out and put in again.
    site.device.unmount();
    site.device.mount("mount -o loop,ro stick.img stick");
    site.check_statuses();
}

const FAT: &str = "truncate -s 16M stick.img\nmkfs.vfat stick.img > fuse.log\n\
    fusefat -o rw+ stick.img stick < /dev/null > fuse.log 2>&1";
const EXFAT: &str = "truncate -s 16M stick.img\nmkfs.exfat stick.img > fuse.log\nloop=$(losetup -f --show stick.img)\n\
    mount.exfat-fuse $loop stick < /dev/null > fuse.log 2>&1\nlosetup -d $loop";

#[test]
fn a_trip_on_fat() {
    trip(FAT);
}

#[test]
fn a_trip_on_exfat() {
    trip(EXFAT);
}

/// A stick by a file system that neither knows of modes nor tells names apart by their case is met, and met again.
fn trip(mount: &str) {
    let site = Site::new();
    site.mount(mount);
    let run = site.visit();
    assert_eq!((run.exit, site.says()), (Some(0), "two".into()), "{}", run.err);
    site.check_statuses();
    let statuses = fs::read(site.statuses()).unwrap();
    let run = site.visit();
    assert_eq!(run.exit, Some(0), "{}", run.err);
    assert_eq!(fs::read(site.statuses()).unwrap(), statuses);
}

#[test]
fn a_stick_that_is_read_only_brings_its_specs() {
    let site = Site::new();
    site.mount(EXT4);
    site.device.unmount();
    site.device.mount("mount -o loop,ro stick.img stick");
    let run = site.visit();
    assert_eq!((run.said("reason"), run.exit), ("StickFailed", Some(3)), "{}", run.err);
    assert_eq!(site.says(), "two");
    site.device.unmount();
    site.device.mount("mount -o loop stick.img stick");
    let run = site.visit();
    assert_eq!(run.exit, Some(0), "{}", run.err);
    site.check_statuses();
}

#[test]
fn what_is_no_plain_file_is_not_opened() {
    let site = Site::new();
    // Without nodev, so that the nodes would work.
    site.mount(&EXT4.replace(",nodev", ""));
    let own = site.device.path(&format!("{STICK}/GITER/unnamed/to-device/{DEVICE}.bundle"));
    let node = |arguments: &[&str]| {
        fs::remove_file(&own).unwrap();
        assert!(Command::new("mknod").arg(&own).args(arguments).status().unwrap().success());
    };
    let link = |to: &Path| {
        fs::remove_file(&own).unwrap();
        symlink(to, &own).unwrap();
    };
    let refused = |what: &str| {
        let run = site.visit();
        assert_eq!((run.said("reason"), run.exit), ("StickFailed", Some(3)), "{what}: {}", run.err);
        assert_eq!(site.says(), "one", "{what}");
    };
    node(&["c", "1", "5"]);
    refused("/dev/zero");
    node(&["p"]);
    refused("a FIFO");
    link(&site.carried());
    refused("a link to a bundle elsewhere");
    link(Path::new("/etc/passwd"));
    refused("a link to what is not the stick's");
    link(&own);
    refused("a link to itself");
    fs::remove_file(&own).unwrap();
    fs::copy(site.carried(), &own).unwrap();
    for folder in ["GITER/unnamed/to-device", "GITER/unnamed", "GITER"] {
        let folder = site.device.path(STICK).join(folder);
        let moved = folder.with_extension("moved");
        fs::rename(&folder, &moved).unwrap();
        symlink(moved.file_name().unwrap(), &folder).unwrap();
        refused(&format!("a link for {}", folder.display()));
        fs::remove_file(&folder).unwrap();
        fs::rename(&moved, &folder).unwrap();
    }
    let run = site.visit();
    assert_eq!((run.exit, site.says()), (Some(0), "two".into()), "{}", run.err);
}
