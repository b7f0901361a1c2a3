//! `File`: regular files below the allowed roots.
//!
//! A root itself may be a symbolic link. Below it no link is followed: every folder of a path is opened from the one
//! above it, so that neither a link nor a swap at the wrong moment leads outside.

use std::{
    fs::File,
    io::{self, Read},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use rustix::{
    fs::{self, AtFlags, CWD, FileType, Gid, Mode, OFlags, Stat, Uid},
    io::Errno,
};
use sha2::{Digest, Sha256};

use super::io_error;
use crate::{
    api::{Error, Reason, Result, limits, resource::FilePath},
    disk::atomic::{self, Access},
    reconcile::goal::Observed,
};

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
// Without waiting, should a FIFO stand where a file was.
const FILE: OFlags = OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);

/// The files below some roots.
pub(super) struct Files {
    roots: Vec<PathBuf>,
}

/// A path taken apart: the root it lies below, the folders between, its last component.
struct Place<'a> {
    root: &'a Path,
    folders: Vec<&'a str>,
    name: &'a str,
}

impl Files {
    pub(super) fn new(roots: Vec<PathBuf>) -> Self {
        Self { roots }
    }

    /// Whether the path lies below a root.
    pub(super) fn allow(&self, path: &FilePath) -> Result<()> {
        self.place(path).map(drop)
    }

    pub(super) fn observe(&self, path: &FilePath) -> Result<Observed> {
        let failed = |e: io::Error| io_error(Reason::FileFailed, format!("cannot read {path}"), e);
        let place = self.place(path)?;
        let Some(folder) = place.open(false)? else { return Ok(Observed::NoFile) };
        let Some(stat) = stat(&folder, place.name).map_err(failed)? else { return Ok(Observed::NoFile) };
        if let Some(what) = not_a_file(&stat) {
            return Ok(Observed::NotAFile { what });
        }
        let file = fs::openat(&folder, place.name, FILE, Mode::empty()).map_err(|e| failed(e.into()))?;
        // The file that was opened counts, not the one that was there before.
        let stat = fs::fstat(&file).map_err(|e| failed(e.into()))?;
        Ok(Observed::File {
            sha256: digest(file.into(), stat.st_size as u64).map_err(failed)?,
            size: stat.st_size as u64,
            mode: stat.st_mode & 0o7777,
            uid: stat.st_uid,
            gid: stat.st_gid,
        })
    }

    /// Makes or replaces the file, and makes the folders above it that are missing (0755, below the root).
    pub(super) fn write(&self, path: &FilePath, content: &[u8], access: Access) -> Result<()> {
        let failed = |e: io::Error| io_error(Reason::FileFailed, format!("cannot write {path}"), e);
        let place = self.place(path)?;
        let folder = place.open(true)?.ok_or_else(|| failed(io::ErrorKind::NotFound.into()))?;
        if let Some(what) = stat(&folder, place.name).map_err(failed)?.as_ref().and_then(not_a_file) {
            return Err(Error::new(Reason::FileFailed, format!("cannot write {path}: {what} stands there"))
                .hint("remove it, or give the File another path"));
        }
        atomic::replace(&folder, place.name, content, access).map_err(failed)
    }

    /// Sets permissions and owner, and leaves the content alone.
    pub(super) fn set(&self, path: &FilePath, access: Access) -> Result<()> {
        let failed = |e: io::Error| io_error(Reason::FileFailed, format!("cannot set mode and owner of {path}"), e);
        let place = self.place(path)?;
        let folder = place.open(false)?.ok_or_else(|| failed(io::ErrorKind::NotFound.into()))?;
        set_open(&folder, place.name, access).map_err(failed)
    }

    /// Removes the file, and what a power cut left of its replacement. Anything but a regular file stays.
    pub(super) fn remove(&self, path: &FilePath) -> Result<()> {
        let failed = |e: io::Error| io_error(Reason::FileFailed, format!("cannot remove {path}"), e);
        let place = self.place(path)?;
        let Some(folder) = place.open(false)? else { return Ok(()) };
        for name in [place.name, &atomic::temporary_name(place.name)] {
            if stat(&folder, name).map_err(failed)?.is_some_and(|stat| not_a_file(&stat).is_none()) {
                fs::unlinkat(&folder, name, AtFlags::empty()).map_err(|e| failed(e.into()))?;
            }
        }
        fs::fsync(&folder).map_err(|e| failed(e.into()))
    }

    /// The longest root wins: where one root is a link inside another, the operator allowed both.
    fn place<'a>(&'a self, path: &'a FilePath) -> Result<Place<'a>> {
        let below = |root: &'a PathBuf| Some((root.as_path(), path.as_path().strip_prefix(root).ok()?.to_str()?));
        let found = self.roots.iter().filter_map(below).filter(|(_, rest)| !rest.is_empty());
        let Some((root, rest)) = found.min_by_key(|(_, rest)| rest.len()) else {
            let roots: Vec<_> = self.roots.iter().map(|root| root.display().to_string()).collect();
            return Err(Error::new(Reason::PathNotAllowed, format!("{path} is outside the allowed roots")).hint(
                match roots.as_slice() {
                    [] => "name the folders that File may write to as [files] roots in giterd.toml".into(),
                    roots => {
                        format!("choose a path below {}, or add to [files] roots in giterd.toml", roots.join(", "))
                    }
                },
            ));
        };
        let (folders, name) = rest.rsplit_once('/').map_or((None, rest), |(folders, name)| (Some(folders), name));
        Ok(Place { root, folders: folders.into_iter().flat_map(|folders| folders.split('/')).collect(), name })
    }
}

impl Place<'_> {
    /// Opens the folder that the file is in; `None` if it is missing and not to be made.
    fn open(&self, make: bool) -> Result<Option<OwnedFd>> {
        let mut path = self.root.to_owned();
        let mut folder = match fs::openat(CWD, self.root, FOLDER, Mode::empty()) {
            Err(Errno::NOENT) if !make => return Ok(None),
            Err(e) => {
                return Err(io_error(Reason::FileFailed, format!("cannot open the root {}", path.display()), e.into())
                    .hint("create it, or take it out of [files] roots in giterd.toml"));
            }
            Ok(folder) => folder,
        };
        for name in &self.folders {
            path.push(name);
            folder = match open_below(&folder, name, make) {
                Err(Errno::NOENT) if !make => return Ok(None),
                Err(Errno::NOTDIR | Errno::LOOP) => return Err(no_folder(&folder, name, &path)),
                Err(e) => {
                    return Err(io_error(Reason::FileFailed, format!("cannot open {}", path.display()), e.into()));
                }
                Ok(below) => below,
            };
        }
        Ok(Some(folder))
    }
}

/// Opens a folder in a folder, and makes it first if that is asked and needed.
fn open_below(folder: &OwnedFd, name: &str, make: bool) -> Result<OwnedFd, Errno> {
    let open = || fs::openat(folder, name, FOLDER.union(OFlags::NOFOLLOW), Mode::empty());
    match open() {
        Err(Errno::NOENT) if make => {
            fs::mkdirat(folder, name, Mode::from_raw_mode(0o755))?;
            fs::fsync(folder)?;
            open()
        }
        other => other,
    }
}

fn no_folder(folder: &OwnedFd, name: &str, path: &Path) -> Error {
    let path = path.display();
    match stat(folder, name) {
        Ok(Some(stat)) if FileType::from_raw_mode(stat.st_mode).is_symlink() => {
            Error::new(Reason::PathNotAllowed, format!("{path} is a symbolic link, which could lead outside the roots"))
                .hint("give the path that it leads to, or add the link itself to [files] roots in giterd.toml")
        }
        _ => Error::new(Reason::FileFailed, format!("{path} is not a folder"))
            .hint("remove it, or give the File another path"),
    }
}

/// Looks at a name without following it; `None` if nothing is there.
fn stat(folder: &OwnedFd, name: &str) -> io::Result<Option<Stat>> {
    match fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => Ok(None),
        other => Ok(Some(other?)),
    }
}

/// What it is, if it is not a regular file.
fn not_a_file(stat: &Stat) -> Option<&'static str> {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => None,
        FileType::Directory => Some("a directory"),
        FileType::Symlink => Some("a symbolic link"),
        FileType::Fifo => Some("a FIFO"),
        FileType::Socket => Some("a socket"),
        _ => Some("a device"),
    }
}

fn set_open(folder: &OwnedFd, name: &str, access: Access) -> io::Result<()> {
    let file = fs::openat(folder, name, FILE, Mode::empty())?;
    if let Some(what) = not_a_file(&fs::fstat(&file)?) {
        return Err(io::Error::other(format!("it is {what}")));
    }
    if access.uid.is_some() || access.gid.is_some() {
        fs::fchown(&file, access.uid.map(Uid::from_raw), access.gid.map(Gid::from_raw))?;
    }
    fs::fchmod(&file, Mode::from_raw_mode(access.mode))?;
    Ok(fs::fsync(&file)?)
}

/// SHA-256 of a file that is not larger than any source.
fn digest(mut file: File, size: u64) -> io::Result<Option<[u8; 32]>> {
    let limit = limits::SOURCE_BYTES as u64;
    if size > limit {
        return Ok(None);
    }
    let mut hash = Sha256::new();
    let mut buffer = [0; 8 << 10];
    let mut total = 0;
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(Some(hash.finalize().into())),
            n => {
                total += n as u64;
                if total > limit {
                    return Ok(None);
                }
                hash.update(&buffer[..n]);
            }
        }
    }
}
