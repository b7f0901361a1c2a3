//! Sticks with file systems on images: ext4 by the kernel on loop devices; FAT and exFAT by the FUSE drivers, since not
//! every kernel has these.

use std::{fs, os::unix::fs::symlink, path::Path, process::Command};

use super::common::stick::{STICK, Site};

/// A kind of file system: scripts for [`Device::mount`](super::common::device::Device::mount).
struct Kind {
    /// Makes an image.
    make: &'static str,
    /// Mounts it; a loop device goes with the mount.
    mount: &'static str,
    /// Unmounts it, and waits until all of it is in the image.
    unmount: &'static str,
}

impl Kind {
    fn plug(&self) -> String {
        format!("{}\n{}", self.make, self.mount)
    }
}

const EXT4: Kind = Kind {
    make: "truncate -s 8M stick.img\nmkfs.ext4 -q -F stick.img",
    mount: "mount -o loop,nosuid,nodev,noexec stick.img ../stick",
    unmount: "umount ../stick",
};

/// The driver ends after the unmount: it is known by the path in its command line.
const FAT: Kind = Kind {
    make: "truncate -s 16M stick.img\nmkfs.vfat stick.img > fuse.log",
    mount: "fusefat -o rw+ $PWD/stick.img ../stick < /dev/null > fuse.log 2>&1",
    unmount: "umount ../stick\necho $PWD/stick.img > driver\n\
        while grep -qsaF -f driver /proc/[0-9]*/cmdline; do sleep 0.02; done",
};

const EXFAT: Kind = Kind {
    make: "truncate -s 16M stick.img\nmkfs.exfat stick.img > fuse.log",
    mount: "loop=$(losetup -f --show stick.img)\n\
        mount.exfat-fuse $loop ../stick < /dev/null > fuse.log 2>&1\nlosetup -d $loop",
    unmount: "umount ../stick",
};

#[test]
fn trips_on_ext4() {
    trips(&EXT4);
}

#[test]
fn trips_on_fat() {
    trips(&FAT);
}

#[test]
fn trips_on_exfat() {
    trips(&EXFAT);
}

/// A stick is met, met again, and after it was pulled out and came back with the next commit.
fn trips(kind: &Kind) {
    let site = Site::waiting();
    site.plug(&kind.plug());
    let run = site.visit();
    assert_eq!((run.exit, site.says()), (Some(0), "two".into()), "{}", run.err);
    site.bring();
    let statuses = fs::read(site.statuses()).unwrap();
    let run = site.visit();
    assert_eq!(run.exit, Some(0), "{}", run.err);
    assert_eq!(fs::read(site.statuses()).unwrap(), statuses);
    site.device.within(kind.unmount);
    assert!(!site.own().exists());
    let third = site.commit("three");
    site.bundle(&site.carried(), &[&format!("{third}^..main")]);
    site.device.within(kind.mount);
    assert_eq!(fs::read(site.statuses()).unwrap(), statuses);
    fs::remove_file(site.own()).unwrap();
    fs::write(site.own(), fs::read(site.carried()).unwrap()).unwrap();
    site.taken(third, "three");
    site.bring();
    assert_eq!(site.chain(), 3);
    site.device.within(kind.unmount);
}

/// What another system wrote there in its own way.
const OTHER_CASE: &str =
    "mkdir -p ../stick/Giter/UNNAMED/To-Device\ncp ../carried.bundle ../stick/Giter/UNNAMED/To-Device/PUMP-07.Bundle";

#[test]
fn names_in_another_case_are_the_same_on_fat_and_exfat() {
    for kind in [&FAT, &EXFAT] {
        let site = Site::waiting();
        site.device.mount(&format!("{}\n{OTHER_CASE}", kind.plug()));
        let run = site.visit();
        assert_eq!((run.exit, site.says()), (Some(0), "two".into()), "{}", run.err);
        site.bring();
        let names: Vec<_> = fs::read_dir(site.device.path(STICK)).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names, ["Giter"]);
        site.device.within(kind.unmount);
    }
    // The control: where case tells names apart, these are somebody else's.
    let site = Site::waiting();
    site.device.mount(&format!("{}\n{OTHER_CASE}", EXT4.plug()));
    let run = site.visit();
    assert_eq!((run.exit, site.says()), (Some(0), "one".into()), "{}", run.err);
    site.bring();
}

/// Mounts so that nothing is read before it is asked for.
const UNREAD: &str = "loop=$(losetup -f --show -r stick.img)\nblockdev --setra 0 $loop\n\
    mount -o ro,noload $loop ../stick\nlosetup -d $loop";

#[test]
fn a_stick_that_is_pulled_out_while_it_is_read() {
    let site = Site::waiting();
    // A bundle of many blocks, most of which the device has no use for.
    let (first, noise) =
        (site.device.record().tip.unwrap().commit, (0..60_000u64).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
    site.exchange.write("photos", noise.map(|number| format!("{number:x}")).collect::<String>());
    let third = site.commit("three");
    site.bundle(&site.carried(), &[&format!("{first}..main")]);
    site.plug(&EXT4.plug());
    site.device.within(EXT4.unmount);
    let (image, bundle) = (fs::read(site.device.name("stick.img")).unwrap(), fs::read(site.carried()).unwrap());
    let begin = image.windows(60).position(|bytes| *bytes == bundle[..60]).unwrap();
    let mut end = 0;
    for cut in (0..bundle.len()).step_by(bundle.len() / 12 / 4096 * 4096) {
        // What lay behind is gone when it is asked for, a page at a time: the kernel answers with EIO.
        fs::write(site.device.name("stick.img"), &image).unwrap();
        site.device.within(UNREAD);
        fs::File::options()
            .write(true)
            .open(site.device.name("stick.img"))
            .unwrap()
            .set_len((begin + cut) as u64)
            .unwrap();
        let run = site.refused("StickFailed", 3);
        assert!(run.err.contains("cannot read pump-07.bundle on the stick"), "cut at {cut}: {}", run.err);
        assert_eq!(site.device.record().tip.unwrap().commit, first, "cut at {cut}");
        site.device.within(EXT4.unmount);
        end = cut;
    }
    assert!(end > bundle.len() / 2, "it was cut within the pack too");
    fs::write(site.device.name("stick.img"), &image).unwrap();
    site.device.within(EXT4.mount);
    site.taken(third, "three");
    site.bring();
}

#[test]
fn a_stick_that_is_read_only_brings_its_specs() {
    let site = Site::waiting();
    site.plug(&EXT4.plug());
    site.device.within(EXT4.unmount);
    site.device.within("mount -o loop,ro stick.img ../stick");
    let run = site.visit();
    assert_eq!((run.said("reason"), run.exit), ("StickFailed", Some(3)), "{}", run.err);
    assert_eq!(site.says(), "two");
    site.device.within(EXT4.unmount);
    site.device.within(EXT4.mount);
    let run = site.visit();
    assert_eq!(run.exit, Some(0), "{}", run.err);
    site.bring();
}

#[test]
fn what_is_no_plain_file_is_not_opened() {
    let site = Site::waiting();
    // Without nodev, so that the nodes would work.
    site.plug(&EXT4.plug().replace(",nodev", ""));
    let own = site.own();
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
