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

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// A table of so many bytes, with one mount at its end.
    fn read(length: usize) -> io::Result<Vec<Mount>> {
        let mount = b"\n36 35 98:0 / /media/a rw - ext4 /dev/sdb1 rw\n";
        let mut table = vec![b'x'; length - mount.len()];
        table.extend(mount);
        let mut file = tempfile::tempfile()?;
        file.write_all(&table)?;
        Mounts(file).read()
    }

    #[test]
    fn a_table_is_read_whole_or_not_at_all() {
        assert_eq!(read(limits::MOUNTINFO_BYTES).unwrap().len(), 1);
        assert_eq!(read(limits::MOUNTINFO_BYTES + 1).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    }

    #[test]
    fn it_is_read_anew_each_time() {
        let mut mounts = Mounts::open().unwrap();
        let first = mounts.read().unwrap();
        assert!(!first.is_empty() && !mounts.read().unwrap().is_empty());
    }
}
