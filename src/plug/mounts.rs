//! What is mounted in this process's mount namespace, and when that changes.

use std::{
    fs::File,
    io::{self, Read, Seek},
    os::fd::{AsFd, BorrowedFd},
};

use crate::{
    api::limits,
    codec::mountinfo::{self, Mount},
};

/// The table, open. Each open one is told of the changes since it was opened or last told.
pub(super) struct Mounts(File);

impl Mounts {
    pub(super) fn open() -> io::Result<Self> {
        File::open("/proc/self/mountinfo").map(Self)
    }

    /// The table as it is now.
    pub(super) fn read(&mut self) -> io::Result<Vec<Mount>> {
        self.0.rewind()?;
        let mut table = Vec::new();
        (&self.0).take(limits::MOUNTINFO_BYTES as u64 + 1).read_to_end(&mut table)?;
        if table.len() > limits::MOUNTINFO_BYTES {
            let what = format!("it is longer than {} bytes", limits::MOUNTINFO_BYTES);
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, what));
        }
        Ok(mountinfo::parse(&table))
    }
}

impl AsFd for Mounts {
    /// `POLLPRI` after a change (proc_pid_mountinfo(5)); it is always readable.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
