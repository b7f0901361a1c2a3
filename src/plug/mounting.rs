//! The agent's own mount of a stick: read-only until it is known for one of ours, and nothing on it is ever run.

use std::{
    ffi::CStr,
    fs::DirBuilder,
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use rustix::{
    fs::{Mode, OFlags, open, syncfs},
    io::Errno,
    mount::{MountFlags, UnmountFlags, mount, unmount},
    thread::{CapabilitySet, capabilities},
};

use crate::api::{Error, Reason, Result};

/// A kind of file system that is tried, and its options.
struct FileSystem {
    name: &'static str,
    /// Beside those of every reading mount.
    reading: &'static CStr,
    /// Beside those of every writing mount.
    writing: &'static CStr,
}

/// In this order: each refuses what is not its own. ext4 by itself would replay the journal of anybody's stick, and do at
/// an error what the stick says, which may be a panic.
const FILE_SYSTEMS: &[FileSystem] = &[
    FileSystem { name: "vfat", reading: c"", writing: c"" },
    FileSystem { name: "exfat", reading: c"", writing: c"" },
    FileSystem { name: "ext4", reading: c"noload,errors=remount-ro", writing: c"errors=remount-ro" },
];

const CURE: &str = "give it CAP_SYS_ADMIN, or set stick.mount to never and let the system mount sticks";

/// A stick that is mounted as long as this lives.
pub struct Mounted {
    node: PathBuf,
    at: PathBuf,
    file_system: &'static FileSystem,
    is_mounted: bool,
}

impl Mounted {
    /// Mounts a block device for reading.
    ///
    /// # Errors
    ///
    /// `StickFailed` if this process may not mount, or no file system that is tried is on it.
    pub fn reading(node: &Path, at: &Path) -> Result<Self> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(at)
            .map_err(|e| Error::new(Reason::StickFailed, format!("cannot make {}", at.display())).caused_by(e))?;
        let mut found = Errno::NODEV;
        for file_system in FILE_SYSTEMS {
            match mount(node, at, file_system.name, flags() | MountFlags::RDONLY, file_system.reading) {
                Ok(()) => return Ok(Self { node: node.into(), at: at.into(), file_system, is_mounted: true }),
                // This kernel does not have it, or it is not on there.
                Err(Errno::NODEV | Errno::INVAL | Errno::UCLEAN) => {}
                Err(e) => found = e,
            }
        }
        Err(unmountable(node, found))
    }

    /// Mounts it anew, for writing.
    ///
    /// # Errors
    ///
    /// `StickFailed`: it can only be read. It then is mounted for reading as before, unless it is gone.
    pub fn for_writing(&mut self) -> Result<()> {
        self.unmount()?;
        let written = mount(&self.node, &self.at, self.file_system.name, flags(), self.file_system.writing);
        let mounted = match written {
            Ok(()) => Ok(()),
            Err(_) => {
                let flags = flags() | MountFlags::RDONLY;
                mount(&self.node, &self.at, self.file_system.name, flags, self.file_system.reading)
            }
        };
        self.is_mounted = mounted.is_ok();
        written.map_err(|e| {
            let what = format!("{} can only be read", self.node.display());
            Error::new(Reason::StickFailed, what)
                .caused_by(e)
                .hint("see whether the stick has a switch against writing")
        })
    }

    /// Where its top is.
    pub fn root(&self) -> &Path {
        &self.at
    }

    /// Writes out what is not on it yet, and unmounts it.
    ///
    /// # Errors
    ///
    /// `StickFailed`: it must not be pulled out yet.
    pub fn finish(mut self) -> Result<()> {
        self.unmount()
    }

    fn unmount(&mut self) -> Result<()> {
        let synced = open(&self.at, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
            .and_then(|root| syncfs(&root));
        let unmounted = unmount(&self.at, UnmountFlags::NOFOLLOW);
        self.is_mounted = unmounted.is_err();
        synced.and(unmounted).map_err(|e| {
            Error::new(Reason::StickFailed, format!("cannot unmount {}", self.node.display())).caused_by(e)
        })
    }
}

impl Drop for Mounted {
    /// Whatever went wrong: no file of it is left in the way of the next one.
    fn drop(&mut self) {
        if self.is_mounted {
            let _ = unmount(&self.at, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW);
        }
    }
}

/// Takes away what an agent that was killed has left mounted there.
pub fn clear(at: &Path) {
    while unmount(at, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW).is_ok() {}
}

/// Whether this process may mount, by capabilities(7).
///
/// # Errors
///
/// `StickFailed`, with the cure.
pub fn can_mount() -> Result<()> {
    let sets = capabilities(None)
        .map_err(|e| Error::new(Reason::StickFailed, "cannot read what giterd may").caused_by(io::Error::from(e)))?;
    match sets.effective.contains(CapabilitySet::SYS_ADMIN) {
        true => Ok(()),
        false => Err(Error::new(Reason::StickFailed, "giterd may not mount sticks").hint(CURE)),
    }
}

fn flags() -> MountFlags {
    MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC | MountFlags::NOATIME | MountFlags::NOSYMFOLLOW
}

fn unmountable(node: &Path, errno: Errno) -> Error {
    let node = node.display();
    let names: Vec<_> = FILE_SYSTEMS.iter().map(|file_system| file_system.name).collect();
    match errno {
        Errno::NODEV => Error::new(Reason::StickFailed, format!("{node} has none of {} on it", names.join(", ")))
            .hint("format it as FAT32, or give the kernel the file system's driver"),
        Errno::PERM | Errno::ACCESS => Error::new(Reason::StickFailed, format!("giterd may not mount {node}"))
            .caused_by(io::Error::from(errno))
            .hint(CURE),
        _ => Error::new(Reason::StickFailed, format!("cannot mount {node}")).caused_by(io::Error::from(errno)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_mounted_has_its_cure() {
        let hint = |errno| unmountable(Path::new("/dev/sdb1"), errno).get_hint().unwrap().to_owned();
        assert!(hint(Errno::PERM).contains("CAP_SYS_ADMIN"));
        assert!(hint(Errno::NODEV).contains("FAT32"));
        let error = unmountable(Path::new("/dev/sdb1"), Errno::NODEV);
        assert_eq!(error.to_string(), "/dev/sdb1 has none of vfat, exfat, ext4 on it");
    }
}
