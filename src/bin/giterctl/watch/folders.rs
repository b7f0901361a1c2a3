//! The folders in which a branch moves, watched by inotify(7).
//!
//! git replaces a ref's file by renaming another into its place, `packed-refs` and reftable's `tables.list` likewise;
//! what is written into a folder under another name (locks, other branches) wakes this process and no more. A folder that
//! goes away or comes wakes it, too, and is watched from then on if it is on the way to the branch.

use std::{
    ffi::{CStr, OsStr, OsString},
    mem::MaybeUninit,
    os::{
        fd::{AsFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::{Path, PathBuf},
};

use giter_edge::{api::Result, git::repository::git_dir};
use rustix::{
    event::{PollFd, PollFlags, poll},
    fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags},
    io::Errno,
};

use super::failed;

/// What can happen to an entry of a folder that makes a ref another.
const CHANGES: WatchFlags = WatchFlags::MOVED_TO
    .union(WatchFlags::MOVED_FROM)
    .union(WatchFlags::CREATE)
    .union(WatchFlags::DELETE)
    .union(WatchFlags::CLOSE_WRITE)
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::MOVE_SELF)
    .union(WatchFlags::ONLYDIR);

/// What can happen to a folder or to the watching itself, after which everything is looked at anew.
const UPHEAVALS: ReadFlags = ReadFlags::DELETE_SELF
    .union(ReadFlags::MOVE_SELF)
    .union(ReadFlags::IGNORED)
    .union(ReadFlags::UNMOUNT)
    .union(ReadFlags::QUEUE_OVERFLOW);

/// A few events with the longest names there are.
const BUFFER_BYTES: usize = 4096;

/// Watched folders.
pub(super) struct Folders {
    inotify: OwnedFd,
    repo: PathBuf,
    /// The folder that git keeps the repository in.
    git: PathBuf,
    /// Which entry of which folder is on the way to the branch.
    entries: Vec<(i32, OsString)>,
}

impl Folders {
    /// Watches nothing yet.
    ///
    /// # Errors
    ///
    /// `RepositoryNotFound`, `WatchFailed`.
    pub(super) fn of(repo: &Path) -> Result<Self> {
        let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK);
        let inotify = inotify.map_err(|e| failed("the kernel gives no means to watch the repository", e))?;
        Ok(Self { inotify, repo: repo.to_owned(), git: find(repo)?, entries: Vec::new() })
    }

    /// Watches what says which branch HEAD leads to, and where the values of refs are kept together.
    ///
    /// # Errors
    ///
    /// `RepositoryNotFound` where the repository is gone; `WatchFailed`.
    pub(super) fn watch_repository(&mut self) -> Result<()> {
        self.git = find(&self.repo)?;
        self.entries.clear();
        let git = self.git.clone();
        for name in ["HEAD", "packed-refs", "refs", "reftable"] {
            self.watch(&git, name)?;
        }
        self.watch(&git.join("reftable"), "tables.list")
    }

    /// Watches the file of a ref, and the folders on the way to it.
    ///
    /// # Errors
    ///
    /// `WatchFailed`.
    pub(super) fn watch_branch(&mut self, name: &str) -> Result<()> {
        let mut folder = self.git.clone();
        for part in name.split('/') {
            self.watch(&folder, part)?;
            folder.push(part);
        }
        Ok(())
    }

    /// Waits until one of these entries may be another; false where a reader hangs up before that.
    ///
    /// # Errors
    ///
    /// `WatchFailed`.
    pub(super) fn wait(&self, input: impl AsFd, output: impl AsFd) -> Result<bool> {
        loop {
            // Of the output it is told without being asked that nobody reads it.
            let mut fds = [
                PollFd::new(&self.inotify, PollFlags::IN),
                PollFd::new(&input, PollFlags::IN),
                PollFd::new(&output, PollFlags::empty()),
            ];
            match poll(&mut fds, None) {
                Ok(_) => {}
                Err(Errno::INTR) => continue,
                Err(e) => return Err(failed("cannot wait for a change", e)),
            }
            let [has_changes, has_input, has_ended] = fds.each_ref().map(|fd| !fd.revents().is_empty());
            if has_ended || has_input && is_at_end(&input) {
                return Ok(false);
            }
            if has_changes && self.take_events()? {
                return Ok(true);
            }
        }
    }

    /// Watches a folder for one of its entries, if it is there.
    fn watch(&mut self, folder: &Path, entry: &str) -> Result<()> {
        match inotify::add_watch(&self.inotify, folder, CHANGES) {
            Ok(watch) => self.entries.push((watch, entry.into())),
            Err(Errno::NOENT | Errno::NOTDIR) => {}
            Err(e) => return Err(failed(format!("cannot watch {}", folder.display()), e)),
        }
        Ok(())
    }

    /// Takes what the kernel has told; whether it concerns the branch.
    fn take_events(&self) -> Result<bool> {
        let mut buffer = [MaybeUninit::uninit(); BUFFER_BYTES];
        let mut reader = Reader::new(&self.inotify, &mut buffer);
        let mut is_of_branch = false;
        loop {
            match reader.next() {
                Ok(event) => {
                    let name = event.file_name().map(CStr::to_bytes).map(OsStr::from_bytes);
                    let is_entry = |(watch, entry): &(i32, OsString)| *watch == event.wd() && name == Some(entry);
                    is_of_branch |= event.events().intersects(UPHEAVALS) || self.entries.iter().any(is_entry);
                }
                Err(Errno::AGAIN) => return Ok(is_of_branch),
                Err(Errno::INTR) => {}
                Err(e) => return Err(failed("cannot read what the kernel tells of the repository", e)),
            }
        }
    }
}

/// Whether the kernel has no more descriptors or watches for this user.
pub(super) fn is_limit(errno: i32) -> bool {
    [Errno::MFILE, Errno::NFILE, Errno::NOSPC].iter().any(|limit| limit.raw_os_error() == errno)
}

fn find(repo: &Path) -> Result<PathBuf> {
    git_dir(repo).map_err(|error| error.hint("name the hub's repository"))
}

/// Whether nobody is at the other end. What somebody says there is of no interest.
fn is_at_end(input: &impl AsFd) -> bool {
    let mut buffer = [0; 512];
    match rustix::io::read(input, &mut buffer) {
        Ok(count) => count == 0,
        Err(e) => !matches!(e, Errno::INTR | Errno::AGAIN),
    }
}
