//! Replacing a whole file so that a power cut leaves the old one or the new one, never a part of either.
//!
//! The steps, in this order: a temporary file beside it, written and synced; renamed over it; the folder synced. The
//! temporary file has a fixed name, so what a power cut leaves behind is taken away by the next replacement. One
//! program at a time may replace a given file.

use std::{fs::File, io, io::Write, os::fd::AsFd};

use rustix::{
    fs::{self, AtFlags, Gid, Mode, OFlags, RenameFlags, Uid},
    io::Errno,
};

/// Who may do what with the new file.
#[derive(Clone, Copy, Debug)]
pub struct Access {
    /// The permission bits, whatever the umask.
    pub mode: u32,
    /// The user; the program's own if not given.
    pub uid: Option<u32>,
    /// The group; the program's own if not given.
    pub gid: Option<u32>,
}

impl Access {
    /// For the program's own user alone.
    pub const PRIVATE: Access = Access { mode: 0o600, uid: None, gid: None };
}

/// Makes or replaces the file `name` in the folder. When this returns, a power cut cannot lose it.
///
/// Whatever `name` is, a symbolic link included, is replaced itself. The name is one component of a path. Without an
/// access nothing is said of who may do what, for file systems that refuse to hear of it, such as FAT.
///
/// # Errors
///
/// Those of the system calls. The old file stands then, unless the last step, the sync of the folder, failed.
pub fn replace(folder: impl AsFd, name: &str, bytes: &[u8], access: impl Into<Option<Access>>) -> io::Result<()> {
    let temporary = temporary_name(name);
    let written = write_new(&folder, &temporary, bytes, access.into())
        .and_then(|()| Ok(fs::renameat(&folder, &temporary, &folder, name)?));
    if let Err(e) = written {
        // The first error counts; what stays behind goes with the next replacement.
        let _ = fs::unlinkat(&folder, &temporary, AtFlags::empty());
        return Err(e);
    }
    Ok(fs::fsync(&folder)?)
}

/// Makes the file `name` in the folder, where nothing has that name. When this returns, a power cut cannot lose it; cut
/// before, the file is not there or is whole.
///
/// # Errors
///
/// `AlreadyExists` if there is something, which stays as it is; those of the system calls.
pub fn create(folder: impl AsFd, name: &str, bytes: &[u8], access: Access) -> io::Result<()> {
    let temporary = temporary_name(name);
    let made = write_new(&folder, &temporary, bytes, Some(access))
        .and_then(|()| Ok(fs::renameat_with(&folder, &temporary, &folder, name, RenameFlags::NOREPLACE)?));
    if let Err(e) = made {
        let _ = fs::unlinkat(&folder, &temporary, AtFlags::empty());
        return Err(e);
    }
    Ok(fs::fsync(&folder)?)
}

/// Prepares the file `name`, which does not count before [`adopt`]. For many files at once: whoever calls syncs the file
/// system after the last was prepared, and again after the last was adopted.
///
/// # Errors
///
/// Those of the system calls, and of `fill`.
pub fn prepare(
    folder: impl AsFd,
    name: &str,
    access: impl Into<Option<Access>>,
    fill: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<()> {
    let temporary = temporary_name(name);
    fill_new(&folder, &temporary, access.into(), fill).map(drop).inspect_err(|_| {
        // The first error counts; what stays behind goes with the next attempt.
        let _ = fs::unlinkat(&folder, &temporary, AtFlags::empty());
    })
}

/// Lets the file `name` that was prepared take the place of what has that name.
///
/// # Errors
///
/// Those of the system calls.
pub fn adopt(folder: impl AsFd, name: &str) -> io::Result<()> {
    Ok(fs::renameat(&folder, temporary_name(name), &folder, name)?)
}

/// The name under which `name` is prepared.
pub fn temporary_name(name: &str) -> String {
    format!(".{name}.giter-tmp")
}

/// Whether a path could be one under which another is prepared.
pub fn is_temporary(path: &str) -> bool {
    path.ends_with(".giter-tmp")
}

fn write_new(folder: impl AsFd, name: &str, bytes: &[u8], access: Option<Access>) -> io::Result<()> {
    fill_new(folder, name, access, |file| file.write_all(bytes))?.sync_all()
}

fn fill_new(
    folder: impl AsFd,
    name: &str,
    access: Option<Access>,
    fill: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<File> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    // Nobody else's before it is known whose it is to be.
    let mode = Mode::from_raw_mode(if access.is_some() { 0o600 } else { 0o644 });
    let opened = match fs::openat(&folder, name, flags, mode) {
        Err(Errno::EXIST) => {
            fs::unlinkat(&folder, name, AtFlags::empty())?;
            fs::openat(&folder, name, flags, mode)?
        }
        other => other?,
    };
    let mut file = File::from(opened);
    fill(&mut file)?;
    if let Some(access) = access {
        if access.uid.is_some() || access.gid.is_some() {
            fs::fchown(&file, access.uid.map(Uid::from_raw), access.gid.map(Gid::from_raw))?;
        }
        fs::fchmod(&file, Mode::from_raw_mode(access.mode))?;
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, symlink};

    use super::*;

    #[test]
    fn a_file_is_made_and_replaced_with_its_mode() {
        let dir = tempfile::tempdir().unwrap();
        let folder = File::open(dir.path()).unwrap();
        let path = dir.path().join("motd");
        for (bytes, mode) in [(b"one".as_slice(), 0o640), (b"", 0o604)] {
            replace(&folder, "motd", bytes, Access { mode, ..Access::PRIVATE }).unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), bytes);
            assert_eq!(path.metadata().unwrap().mode() & 0o7777, mode);
        }
        assert_eq!(dir.path().read_dir().unwrap().count(), 1);
    }

    #[test]
    fn a_file_is_made_once_and_never_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let folder = File::open(dir.path()).unwrap();
        // What a power cut left of another attempt.
        std::fs::write(dir.path().join(temporary_name("key")), "hal").unwrap();
        create(&folder, "key", b"first", Access::PRIVATE).unwrap();
        let again = create(&folder, "key", b"second", Access::PRIVATE).unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(dir.path().join("key")).unwrap(), b"first");
        assert_eq!(dir.path().join("key").metadata().unwrap().mode() & 0o7777, 0o600);
        symlink("nowhere", dir.path().join("link")).unwrap();
        assert!(create(&folder, "link", b"third", Access::PRIVATE).is_err());
        assert_eq!(dir.path().read_dir().unwrap().count(), 2);
    }

    #[test]
    fn what_is_prepared_counts_once_it_is_adopted() {
        let dir = tempfile::tempdir().unwrap();
        let folder = File::open(dir.path()).unwrap();
        let path = dir.path().join("motd");
        std::fs::write(&path, "old").unwrap();
        prepare(&folder, "motd", None, |file| file.write_all(b"new")).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        adopt(&folder, "motd").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        prepare(&folder, "motd", None, |_| Err(io::ErrorKind::StorageFull.into())).unwrap_err();
        assert_eq!(dir.path().read_dir().unwrap().count(), 1);
    }

    #[test]
    fn what_a_power_cut_left_is_neither_followed_nor_kept() {
        let dir = tempfile::tempdir().unwrap();
        let folder = File::open(dir.path()).unwrap();
        let outside = dir.path().join("outside");
        std::fs::write(&outside, "untouched").unwrap();
        symlink(&outside, dir.path().join(temporary_name("motd"))).unwrap();
        symlink(&outside, dir.path().join("motd")).unwrap();
        replace(&folder, "motd", b"new", Access::PRIVATE).unwrap();
        assert_eq!(std::fs::read_to_string(&outside).unwrap(), "untouched");
        assert!(dir.path().join("motd").symlink_metadata().unwrap().is_file());
        assert_eq!(dir.path().read_dir().unwrap().count(), 2);
    }

    #[test]
    fn a_failed_replacement_leaves_the_old_file_alone() {
        let dir = tempfile::tempdir().unwrap();
        let folder = File::open(dir.path()).unwrap();
        std::fs::create_dir(dir.path().join("motd")).unwrap();
        assert!(replace(&folder, "motd", b"new", Access::PRIVATE).is_err());
        assert_eq!(dir.path().read_dir().unwrap().count(), 1);
    }
}
