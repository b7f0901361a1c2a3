//! Reading a stick that anybody may have written: no link is followed, nothing but plain files is opened, and how large
//! and how many they may be is bounded before anything is read.

use std::{
    fs::File,
    io::{self, ErrorKind, Read},
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::fs::MetadataExt,
    },
    path::Path,
    sync::Arc,
};

use rustix::{
    fs::{AtFlags, Dir, FileType, Mode, OFlags, openat, statat},
    io::Errno,
};

use crate::api::{Error, Reason, Result, limits};

/// A folder of a stick. While it is held it is that of the same stick, whatever is mounted where that was.
#[derive(Clone, Debug)]
pub struct Folder(Arc<File>);

impl Folder {
    /// The folder where a stick is mounted.
    ///
    /// # Errors
    ///
    /// `StickFailed`.
    pub fn at(root: &Path) -> Result<Self> {
        let opened = File::open(root).and_then(|root| match root.metadata()?.is_dir() {
            true => Ok(Self(root.into())),
            false => Err(ErrorKind::NotADirectory.into()),
        });
        opened.map_err(|e| {
            Error::new(Reason::StickFailed, format!("there is no stick at {}", root.display())).caused_by(e)
        })
    }

    /// Opens a plain file that lies so far below; `None` if there is none.
    ///
    /// # Errors
    ///
    /// `StickFailed`; `PackTooLarge` if it has more bytes than the limit.
    pub fn open<'a>(
        &self,
        folders: impl IntoIterator<Item = &'a str>,
        file: &str,
        limit: u64,
    ) -> Result<Option<Source>> {
        self.below(folders)?.map_or(Ok(None), |folder| folder.file(file, limit))
    }

    /// A folder below it; `None` if there is none.
    pub(in crate::link) fn below<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Result<Option<Self>> {
        let mut folder = self.clone();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        for name in names {
            folder = match openat(&folder, name, flags, Mode::empty()) {
                Ok(below) => Self::from(below),
                Err(Errno::NOENT) => return Ok(None),
                Err(e) => return Err(failed("open", name)(e.into())),
            };
        }
        Ok(Some(folder))
    }

    /// Opens a plain file in it; `None` if nothing has that name.
    ///
    /// # Errors
    ///
    /// `StickFailed`; `PackTooLarge` if it has more bytes than the limit.
    pub fn file(&self, name: &str, limit: u64) -> Result<Option<Source>> {
        // Asked before, so that no device is so much as opened; and after, should another have taken its place.
        let is_plain = match statat(self, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(about) => FileType::from_raw_mode(about.st_mode) == FileType::RegularFile,
            Err(Errno::NOENT) => return Ok(None),
            Err(e) => return Err(failed("look at", name)(e.into())),
        };
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let opened = if is_plain { openat(self, name, flags, Mode::empty()) } else { Err(Errno::INVAL) };
        match opened {
            Ok(file) => Source::of(file.into(), name, limit).map(Some),
            Err(_) if !is_plain => Err(not_plain(name)),
            Err(e) => Err(failed("open", name)(e.into())),
        }
    }

    /// The names in it that are asked for, sorted; of at most [`limits::STICK_ENTRIES`] that are looked at.
    pub(in crate::link) fn names(&self, is_wanted: impl Fn(&str) -> bool) -> Result<Vec<String>> {
        let mut names = Vec::new();
        let entries = Dir::read_from(self).map_err(|e| failed("list", "a folder")(e.into()))?;
        for (count, entry) in entries.enumerate() {
            if count == limits::STICK_ENTRIES {
                log::warn!(
                    "a folder of the stick has more than {} names: the others are not looked at",
                    limits::STICK_ENTRIES
                );
                break;
            }
            let entry = entry.map_err(|e| failed("list", "a folder")(e.into()))?;
            names.extend(entry.file_name().to_str().ok().filter(|name| is_wanted(name)).map(str::to_owned));
        }
        names.sort_unstable();
        Ok(names)
    }
}

impl From<OwnedFd> for Folder {
    fn from(folder: OwnedFd) -> Self {
        Self(File::from(folder).into())
    }
}

impl AsFd for Folder {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A plain file of a stick. What it fails with are [`Error`]s in an [`io::Error`].
#[derive(Debug)]
pub struct Source {
    file: File,
    name: String,
}

impl Source {
    /// A file that must be plain, and not larger than that.
    pub(super) fn of(file: File, name: &str, limit: u64) -> Result<Self> {
        let about = file.metadata().map_err(failed("look at", name))?;
        if !about.is_file() {
            return Err(not_plain(name));
        }
        if about.len() > limit {
            let what = format!("{name} has {} bytes, more than {limit}", about.len());
            return Err(Error::new(Reason::PackTooLarge, what));
        }
        Ok(Self { file, name: name.to_owned() })
    }

    /// What tells this state of it from others, if the file system says.
    pub(in crate::link) fn stamp(&self) -> Option<Stamp> {
        let about = self.file.metadata().ok()?;
        Some(Stamp {
            file: (about.dev(), about.ino()),
            size: about.len(),
            modified: (about.mtime(), about.mtime_nsec()),
            changed: (about.ctime(), about.ctime_nsec()),
        })
    }

    /// How large it is, in bytes.
    pub fn size(&self) -> u64 {
        self.file.metadata().map_or(0, |about| about.len())
    }
}

/// What tells one state of a file from another without a look into it, as far as the clock of the file system is fine enough.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::link) struct Stamp {
    pub(in crate::link) file: (u64, u64),
    pub(in crate::link) size: u64,
    pub(in crate::link) modified: (i64, i64),
    pub(in crate::link) changed: (i64, i64),
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read(buffer).map_err(|e| io::Error::other(failed("read", &self.name)(e)))
    }
}

fn not_plain(name: &str) -> Error {
    Error::new(Reason::StickFailed, format!("{name} is no plain file")).hint("see who wrote that stick")
}

fn failed(verb: &str, name: &str) -> impl FnOnce(io::Error) -> Error {
    let what = format!("cannot {verb} {name} on the stick");
    move |e| Error::new(Reason::StickFailed, what).caused_by(e)
}
