//! The stick that is written to: all files are made beside the old ones first, and take their place when all are durable.
//!
//! So one sync of the file system serves them all, which takes a stick as long as that of a single file. Cut off before
//! the end, each file is the old one or the new one, and whole.

use std::{
    io::{self, BufWriter, Read, Write},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use giter_edge::{
    api::{Error, Oid, Reason, Result},
    codec::stick::{Place, SHARED, TO_DEVICE, TOP, shared_name},
    disk::{atomic, folder},
    link::stick::medium::Folder,
};
use rustix::{
    fs::{AtFlags, unlinkat},
    io::Errno,
};

/// A mounted stick.
pub(super) struct Stick {
    root: PathBuf,
    prepared: Mutex<Vec<Spot>>,
}

/// Where a file lies, by the names on the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Spot {
    folders: Vec<String>,
    pub(super) file: String,
}

impl Spot {
    /// A bundle for several devices.
    pub(super) fn shared(exchange: &str, file: String) -> Self {
        Self { folders: [TOP, exchange, TO_DEVICE].map(str::to_owned).into(), file }
    }

    /// The way to it from the top of the stick.
    pub(super) fn path(&self) -> String {
        self.folders.iter().chain([&self.file]).map(String::as_str).collect::<Vec<_>>().join("/")
    }

    fn folders(&self) -> impl Iterator<Item = &str> {
        self.folders.iter().map(String::as_str)
    }
}

impl From<Place<'_>> for Spot {
    fn from(Place { folders, file }: Place<'_>) -> Self {
        Self { folders: folders.into_iter().map(str::to_owned).collect(), file }
    }
}

impl Stick {
    /// The stick that is mounted there.
    ///
    /// # Errors
    ///
    /// `StickFailed`.
    pub(super) fn at(root: &Path) -> Result<Self> {
        match std::fs::read_dir(root) {
            Ok(_) => Ok(Self { root: root.to_owned(), prepared: Mutex::default() }),
            Err(e) => Err(Error::io(Reason::StickFailed, format!("cannot read {}", root.display()), e)),
        }
    }

    /// Prepares a file.
    ///
    /// # Errors
    ///
    /// Those of `fill`; `DiskFull`, `StateReadOnly`, `StickFailed`.
    pub(super) fn prepare<T>(&self, spot: &Spot, fill: impl FnOnce(&mut dyn Write) -> Result<T>) -> Result<T> {
        let mut filled = None;
        let prepared = folder::below(&self.root, spot.folders()).and_then(|folder| {
            atomic::prepare(folder, &spot.file, None, |file| {
                let mut file = BufWriter::new(file);
                filled = Some(fill(&mut file));
                if filled.as_ref().is_some_and(Result::is_err) {
                    Err(io::ErrorKind::Other.into())
                } else {
                    file.flush()
                }
            })
        });
        match (filled, prepared) {
            (Some(Err(error)), _) => Err(error),
            (Some(Ok(value)), Ok(())) => {
                self.prepared.lock().unwrap_or_else(PoisonError::into_inner).push(spot.clone());
                Ok(value)
            }
            (_, Err(e)) => Err(self.failed("write", spot, e)),
            (None, Ok(())) => unreachable!("a file that is prepared was filled"),
        }
    }

    /// Lets all that was prepared count, then takes other files away, and returns those that were there. When this returns,
    /// the stick can be pulled out.
    ///
    /// # Errors
    ///
    /// `DiskFull`, `StateReadOnly`, `StickFailed`.
    pub(super) fn settle(&self, stale: Vec<Spot>) -> Result<Vec<Spot>> {
        self.sync()?;
        for spot in &*self.prepared.lock().unwrap_or_else(PoisonError::into_inner) {
            folder::below(&self.root, spot.folders())
                .and_then(|folder| atomic::adopt(folder, &spot.file))
                .map_err(|e| self.failed("write", spot, e))?;
        }
        self.sync()?;
        let mut removed = Vec::new();
        for spot in stale {
            if self.remove(&spot).map_err(|e| self.failed("remove", &spot, e))? {
                removed.push(spot);
            }
        }
        self.sync()?;
        Ok(removed)
    }

    /// Whether a file is there, whatever it is.
    pub(super) fn has(&self, spot: &Spot) -> bool {
        self.root.join(spot.path()).symlink_metadata().is_ok()
    }

    /// The bundles for several devices that lie there: each with what its name and its header say alike, which nothing but
    /// an export makes so. What else begins as they do is somebody's.
    pub(super) fn shared(&self, exchange: &str, branch: &str) -> Vec<(Spot, Shared)> {
        let folder = self.root.join(TOP).join(exchange).join(TO_DEVICE);
        let names = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let names = names.filter_map(|entry| entry.file_name().into_string().ok());
        let mut found: Vec<_> = names
            .filter(|name| name.starts_with(SHARED))
            .filter_map(|name| {
                let spot = Spot::shared(exchange, name);
                let shared = self.head(&spot).ok().and_then(|head| Shared::read(&spot.file, &head, branch))?;
                Some((spot, shared))
            })
            .collect();
        found.sort_by(|(one, _), (other, _)| one.file.cmp(&other.file));
        found
    }

    /// The first bytes of a plain file; none if there is none.
    fn head(&self, spot: &Spot) -> Result<Vec<u8>> {
        let mut head = Vec::new();
        if let Some(file) = Folder::at(&self.root)?.open(spot.folders(), &spot.file, u64::MAX)? {
            file.take(HEAD_BYTES).read_to_end(&mut head).map_err(|e| self.failed("read", spot, e))?;
        }
        Ok(head)
    }

    fn remove(&self, spot: &Spot) -> io::Result<bool> {
        if !self.has(spot) {
            return Ok(false);
        }
        match unlinkat(folder::below(&self.root, spot.folders())?, &spot.file, AtFlags::empty()) {
            Ok(()) => Ok(true),
            // A folder of that name is nothing that an export made.
            Err(Errno::NOENT | Errno::ISDIR | Errno::PERM) => Ok(false),
            Err(e) => Err(e.into()),
        }
    }

    fn sync(&self) -> Result<()> {
        folder::sync_file_system(&self.root)
            .map_err(|e| Error::io(Reason::StickFailed, format!("cannot sync {}", self.root.display()), e))
    }

    fn failed(&self, verb: &str, spot: &Spot, e: io::Error) -> Error {
        Error::io(Reason::StickFailed, format!("cannot {verb} {}", self.root.join(spot.path()).display()), e)
    }
}

/// As much of a bundle as its header has, where it is an export's for several devices.
const HEAD_BYTES: u64 = 1 << 10;

/// What a bundle for several devices is, by its name and its header.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Shared {
    /// To where it leads.
    pub(super) tip: Oid,
    /// From where; `None` for a whole history.
    pub(super) base: Option<Oid>,
}

impl Shared {
    fn read(name: &str, head: &[u8], branch: &str) -> Option<Self> {
        let mut lines = head.split(|byte| *byte == b'\n').map(|line| str::from_utf8(line).ok());
        if lines.next()?? != "# v2 git bundle" {
            return None;
        }
        let first = lines.next()??;
        let (base, tip) = match first.strip_prefix('-') {
            Some(base) => (Some(base.get(..40)?.parse::<Oid>().ok()?), lines.next()??),
            None => (None, first),
        };
        let tip: Oid = tip.strip_suffix(branch)?.strip_suffix(' ')?.parse().ok()?;
        let shared = Self { tip, base };
        (name == shared.name()).then_some(shared)
    }

    /// The name of the file.
    pub(super) fn name(&self) -> String {
        shared_name(self.tip, self.base)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shared_bundle_is_known_by_name_and_header() {
        let (tip, base) = ("a".repeat(40), "b".repeat(40));
        let head = format!("# v2 git bundle\n-{base} a subject\n{tip} refs/heads/main\n\nPACK");
        let read = |name: &str, head: &str| Shared::read(name, head.as_bytes(), "refs/heads/main");
        let shared = Shared { tip: tip.parse().unwrap(), base: Some(base.parse().unwrap()) };
        let name = format!("_{}-{}.bundle", &tip[..12], &base[..12]);
        assert_eq!(read(&name, &head), Some(shared));
        assert_eq!(read("_all.bundle", &head), None);
        assert_eq!(read(&name, &head.replace("main", "mine")), None);
        assert_eq!(read(&name, &head.replace("v2", "v3")), None);
        let full = format!("# v2 git bundle\n{tip} refs/heads/main\n{base} refs/giter/status/a\n\n");
        assert_eq!(read(&format!("_{}-full.bundle", &tip[..12]), &full).unwrap().base, None);
        assert_eq!(read(&name, &full), None);
    }
}
