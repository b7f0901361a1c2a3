//! `/proc/self/mountinfo`: what is mounted where (proc_pid_mountinfo(5)).
//!
//! ```text
//! 36 35 98:0 /mnt1 /mnt/parent rw,noatime master:1 - ext3 /dev/root rw,errors=continue
//!       |          |           |                     |
//!       device     point       options               file system
//! ```

use std::{ffi::OsString, os::unix::ffi::OsStringExt, path::PathBuf};

/// The number of a block device, or one that the kernel made up for a file system without one.
pub type Device = (u32, u32);

/// What is mounted at one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// The device.
    pub device: Device,
    /// Where.
    pub point: PathBuf,
    /// The name of the file system's kind.
    pub kind: String,
}

/// The mounts in the order of the table, the one that covers another behind it. A line of another form is left out: it
/// is a later kernel's, and nothing is lost but the stick of which it speaks.
pub fn parse(table: &[u8]) -> Vec<Mount> {
    table.split(|byte| *byte == b'\n').filter_map(mount).collect()
}

fn mount(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|byte| *byte == b' ');
    let device = device(text(fields.nth(2)?)?)?;
    let point = unescape(fields.nth(1)?);
    // Any number of optional fields ends with a hyphen.
    fields.find(|field| *field == b"-")?;
    let kind = text(fields.next()?)?.to_owned();
    point.starts_with(b"/").then(|| Mount { device, point: OsString::from_vec(point).into(), kind })
}

/// Reads `major:minor`.
pub fn device(text: &str) -> Option<Device> {
    let (major, minor) = text.trim_end().split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// The kernel writes white space, backslashes and number signs as a backslash with three octal digits.
fn unescape(mut field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.len());
    while let [first, rest @ ..] = field {
        let escaped = match field {
            [b'\\', digits @ ..] => digits.get(..3).and_then(octal),
            _ => None,
        };
        bytes.push(escaped.unwrap_or(*first));
        field = if escaped.is_some() { &rest[3..] } else { rest };
    }
    bytes
}

fn octal(digits: &[u8]) -> Option<u8> {
    digits.iter().try_fold(0u8, |number, digit| {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit < 8)?;
        number.checked_mul(8)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(table: &str) -> Vec<PathBuf> {
        parse(table.as_bytes()).into_iter().map(|mount| mount.point).collect()
    }

    #[test]
    fn a_line_is_read_with_any_number_of_optional_fields() {
        for optional in ["", "master:1 ", "shared:2 master:1 propagate_from:3 "] {
            let line = format!("36 35 8:17 / /media/stick rw,nosuid {optional}- vfat /dev/sdb1 rw,errors=remount-ro\n");
            let expected = Mount { device: (8, 17), point: "/media/stick".into(), kind: "vfat".into() };
            assert_eq!(parse(line.as_bytes()), [expected], "{optional}");
        }
    }

    #[test]
    fn escapes_are_undone_and_what_is_none_is_kept() {
        let line = |point: &str| format!("36 35 8:17 / {point} rw - vfat /dev/sdb1 rw");
        assert_eq!(points(&line(r"/media/MY\040STICK\134\011\012\043")), [PathBuf::from("/media/MY STICK\\\t\n#")]);
        assert_eq!(points(&line(r"/media/\04")), [PathBuf::from(r"/media/\04")]);
        assert_eq!(points(&line(r"/media/\999\")), [PathBuf::from(r"/media/\999\")]);
        assert_eq!(points(&line(r"/media/\777")), [PathBuf::from(r"/media/\777")]);
    }

    #[test]
    fn every_cut_and_every_turned_byte_is_read_or_left_out() {
        let good =
            b"36 35 8:17 / /media/a rw shared:7 - vfat /dev/sdb1 rw\n37 35 8:33 / /media/b rw - ext4 /dev/sdc1 rw\n";
        assert_eq!(parse(good).len(), 2);
        for at in 0..good.len() {
            assert!(parse(&good[..at]).len() <= 2);
            for byte in 0..=u8::MAX {
                let mut turned = good.to_vec();
                turned[at] = byte;
                assert!(parse(&turned).iter().all(|mount| mount.point.is_absolute()), "{at} {byte}");
            }
        }
    }

    #[test]
    fn this_machines_own_table_is_read() {
        let table = std::fs::read("/proc/self/mountinfo").unwrap();
        let lines = table.iter().filter(|byte| **byte == b'\n').count();
        assert_eq!(parse(&table).len(), lines);
    }
}
