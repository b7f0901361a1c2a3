//! Disks and their partitions that a person can pull out, as sysfs shows them.

use std::{
    fs::{self, DirEntry},
    io,
    path::{Path, PathBuf},
};

use crate::{
    api::limits,
    codec::mountinfo::{self, Device},
};

const BLOCK: &str = "/sys/class/block";

/// Something that may have a file system on it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Partition {
    pub(super) device: Device,
    /// Its device node.
    pub(super) node: PathBuf,
    /// Another number each time that a medium is put in; 0 from kernels before 5.15, which do not count that.
    pub(super) plugging: u64,
}

/// What is removable, or on USB: partitions, and disks without any.
pub(super) fn removable() -> io::Result<Vec<Partition>> {
    below(Path::new(BLOCK))
}

fn below(class: &Path) -> io::Result<Vec<Partition>> {
    // What goes away while it is looked at is not there.
    let entries = fs::read_dir(class)?.filter_map(io::Result::ok).take(limits::BLOCK_DEVICES);
    Ok(entries.filter_map(|entry| partition(&entry)).collect())
}

fn partition(entry: &DirEntry) -> Option<Partition> {
    let folder = entry.path().canonicalize().ok()?;
    let is_part = folder.join("partition").exists();
    let disk = if is_part { folder.parent()? } else { &*folder };
    let has_medium = number(&folder.join("size"))? > 0;
    let is_used = has_medium && is_removable(disk) && (is_part || !has_parts(disk));
    is_used.then_some(())?;
    Some(Partition {
        device: mountinfo::device(&text(&folder.join("dev"))?)?,
        node: Path::new("/dev").join(entry.file_name()),
        plugging: number(&disk.join("diskseq")).unwrap_or(0),
    })
}

/// A disk in a USB case may say of itself that it is not removable.
fn is_removable(disk: &Path) -> bool {
    let is_usb = |part: &str| part.strip_prefix("usb").is_some_and(|bus| bus.bytes().all(|b| b.is_ascii_digit()));
    let mut parts = disk.iter().filter_map(|part| part.to_str());
    number(&disk.join("removable")) == Some(1) || parts.any(is_usb)
}

fn has_parts(disk: &Path) -> bool {
    let folders = fs::read_dir(disk).into_iter().flatten().filter_map(io::Result::ok);
    folders.take(limits::BLOCK_DEVICES).any(|folder| folder.path().join("partition").exists())
}

fn number(attribute: &Path) -> Option<u64> {
    text(attribute)?.trim_end().parse().ok()
}

fn text(attribute: &Path) -> Option<String> {
    fs::read_to_string(attribute).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A device in something like sysfs.
    fn device(root: &Path, path: &str, attributes: &[(&str, &str)]) {
        let folder = root.join("devices").join(path);
        fs::create_dir_all(&folder).unwrap();
        for (name, value) in attributes {
            fs::write(folder.join(name), format!("{value}\n")).unwrap();
        }
        let class = root.join("class");
        fs::create_dir_all(&class).unwrap();
        std::os::unix::fs::symlink(&folder, class.join(folder.file_name().unwrap())).unwrap();
    }

    fn found(build: impl Fn(&Path)) -> Vec<(String, Device, u64)> {
        let root = tempfile::tempdir().unwrap();
        build(root.path());
        let found = below(&root.path().join("class")).unwrap().into_iter();
        let mut found: Vec<_> = found.map(|p| (p.node.display().to_string(), p.device, p.plugging)).collect();
        found.sort();
        found
    }

    #[test]
    fn the_partitions_of_a_removable_disk_are_found_and_not_the_disk() {
        let part = [("partition", "1"), ("size", "2048"), ("dev", "8:17")];
        let sticks = found(|root| {
            device(root, "pci/sdb", &[("removable", "1"), ("size", "4096"), ("dev", "8:16"), ("diskseq", "9")]);
            device(root, "pci/sdb/sdb1", &part);
        });
        assert_eq!(sticks, [("/dev/sdb1".into(), (8, 17), 9)]);
    }

    #[test]
    fn a_disk_without_partitions_is_found_itself() {
        let sticks = found(|root| device(root, "sdb", &[("removable", "1"), ("size", "8"), ("dev", "8:16")]));
        assert_eq!(sticks, [("/dev/sdb".into(), (8, 16), 0)]);
    }

    #[test]
    fn what_is_on_usb_is_removable_whatever_it_says() {
        let disk = [("removable", "0"), ("size", "8"), ("dev", "8:16")];
        assert_eq!(found(|root| device(root, "pci/usb2/2-1/sdb", &disk)).len(), 1);
        assert_eq!(found(|root| device(root, "pci/usbip/sdb", &disk)), []);
    }

    #[test]
    fn fixed_disks_empty_readers_and_what_is_no_device_are_left_out() {
        for attributes in [
            &[("removable", "0"), ("size", "8"), ("dev", "8:16")][..],
            &[("removable", "1"), ("size", "0"), ("dev", "8:16")],
            &[("removable", "1"), ("size", "8"), ("dev", "8")],
            &[("removable", "1"), ("size", "-8"), ("dev", "8:16")],
            &[],
        ] {
            assert_eq!(found(|root| device(root, "sdb", attributes)), [], "{attributes:?}");
        }
    }

    #[test]
    fn no_more_are_looked_at_than_the_limit() {
        for count in [limits::BLOCK_DEVICES, limits::BLOCK_DEVICES + 3] {
            let sticks = found(|root| {
                device(root, "sd1", &[("removable", "1"), ("size", "8"), ("dev", "8:16")]);
                for number in 2..=count {
                    std::os::unix::fs::symlink("../devices/sd1", root.join(format!("class/sd{number}"))).unwrap();
                }
            });
            assert_eq!(sticks.len(), limits::BLOCK_DEVICES);
        }
    }

    #[test]
    fn this_machines_own_devices_are_read() {
        removable().unwrap();
    }
}
