//! A gateway that carries for others: papers go from a stick into the gateway's folder, and from there to a stick. The
//! folder is laid out as a stick, so that a device behind the gateway can use it as one.
//!
//! ```text
//! the hub's stick -to-device->   relay.folder -to-device->   a device's stick, or the device itself
//! the hub's stick <-from-device- relay.folder <-from-device- a device's stick, or the device itself
//! ```
//!
//! Bytes are copied as they are. A copy counts once it was looked at: a bundle brings the ref of that branch or device,
//! statuses follow each other, nothing is larger than it may be. Whether it is true is for those who have the keys.

use std::{
    collections::BTreeMap,
    io::{self, BufReader, Read, Write},
    path::PathBuf,
};

use rustix::fs::fsync;
use sha2::{Digest, Sha256};

use super::{
    is_shared,
    medium::{Folder, Source},
    unread,
};
use crate::{
    api::{DeviceId, Error, Reason, Result, limits},
    codec::{
        enrolment,
        stick::{self, Paper, Place},
    },
    disk::{atomic, folder},
    git::{bundle, outbox},
    reconcile::{
        outbox::Statuses,
        relay::{self, Memory, Order, Way},
    },
};

/// All that is carried.
const PAPERS: [Paper; 5] = [Paper::Specs, Paper::Ack, Paper::Statuses, Paper::Request, Paper::Report];
/// What the file is called in which the gateway remembers what it has met, after the device's name.
const MEMORY: &str = ".met";

/// For whom a gateway carries.
#[derive(Clone, Debug)]
pub struct Relay {
    /// What it keeps.
    pub folder: PathBuf,
    /// The devices.
    pub devices: Vec<DeviceId>,
    /// The most that it takes into its folder, in bytes.
    pub bytes: u64,
    /// The branch's short name.
    pub branch: String,
    /// The folder of the status refs.
    pub prefix: String,
}

/// What passed, from the top of the stick.
#[derive(Debug, Default)]
pub struct Passed {
    /// Taken from the stick.
    pub took: Vec<PathBuf>,
    /// Given to the stick.
    pub gave: Vec<PathBuf>,
    /// The first thing that could not pass.
    pub failed: Option<Error>,
}

impl Relay {
    /// Lets everything pass between a stick and the gateway's folder. What cannot pass stays where it is, and keeps nothing
    /// else back.
    pub fn pass(&self, stick: &Folder, exchange: &str) -> Passed {
        let mut passed = Passed::default();
        if let Err(error) = self.pass_all(stick, exchange, &mut passed) {
            passed.fail("relay", error);
        }
        passed
    }

    /// Of how many devices the folder has something, and how many bytes that is.
    ///
    /// # Errors
    ///
    /// `StickFailed` if the folder cannot be read.
    pub fn kept(&self, exchange: &str) -> Result<(usize, u64)> {
        if !self.folder.exists() {
            return Ok((0, 0));
        }
        let kept = Folder::at(&self.folder)?;
        let of_devices =
            self.devices.iter().map(|device| papers(exchange, device).map(|(_, place)| size(&kept, &place)).sum());
        let sizes: Vec<u64> = of_devices.collect();
        let shared = names(&kept, exchange)?;
        let of_all: u64 = shared.iter().map(|name| size(&kept, &shared_place(exchange, name))).sum();
        Ok((sizes.iter().filter(|size| **size > 0).count(), sizes.iter().sum::<u64>() + of_all))
    }

    fn pass_all(&self, stick: &Folder, exchange: &str, passed: &mut Passed) -> Result<()> {
        folder::make(&self.folder, 0o700)
            .map_err(|e| Error::state(format!("cannot make {}", self.folder.display()), e))?;
        let kept = Folder::at(&self.folder)?;
        let used = self.kept(exchange)?.1;
        let mut passing = Passing { relay: self, exchange, stick, kept, used, passed };
        for device in &self.devices {
            passing.with_memory(Paper::Ack.place(exchange, device), |passing, memory| {
                for (paper, place) in papers(exchange, device) {
                    passing.paper(Kind::Own(paper, device), &place, memory);
                }
            });
        }
        passing.with_memory(shared_place(exchange, "_"), Passing::shared);
        Ok(())
    }
}

impl Passed {
    fn fail(&mut self, what: &str, error: Error) {
        log::warn!("{what}: {}", error.one_line());
        self.failed.get_or_insert(error);
    }
}

/// What a file has to be.
#[derive(Clone, Copy)]
enum Kind<'a> {
    Own(Paper, &'a DeviceId),
    Shared,
}

/// A copy that was looked at.
struct Copy {
    digest: String,
    bytes: u64,
    statuses: Option<Statuses>,
}

/// One visit.
struct Passing<'a> {
    relay: &'a Relay,
    exchange: &'a str,
    stick: &'a Folder,
    kept: Folder,
    /// The bytes that are kept.
    used: u64,
    passed: &'a mut Passed,
}

impl Passing<'_> {
    /// Does something with what the gateway remembers beside this place, and writes what it remembers then.
    fn with_memory(&mut self, mut place: Place<'_>, then: impl FnOnce(&mut Self, &mut Memory)) {
        let name = place.file.strip_suffix(Paper::Ack.ending()).unwrap_or(&place.file);
        place.file = format!("{name}{MEMORY}");
        let before = self.remembered(&place).unwrap_or_else(|error| {
            self.passed.fail(&place.path().display().to_string(), error);
            Memory::default()
        });
        let mut memory = before.clone();
        then(self, &mut memory);
        if memory != before {
            let written = folder::below(&self.relay.folder, place.folders.iter().copied())
                .and_then(|folder| atomic::replace(folder, &place.file, memory.write().as_bytes(), None))
                .map_err(|e| Error::state(format!("cannot write {}", place.path().display()), e));
            if let Err(error) = written {
                self.passed.fail("relay", error);
            }
        }
    }

    fn remembered(&self, place: &Place<'_>) -> Result<Memory> {
        let mut text = String::new();
        if let Some(mut source) = open(&self.kept, place, limits::RELAY_MEMORY_BYTES)? {
            source.read_to_string(&mut text).map_err(unread)?;
        }
        Ok(Memory::read(&text))
    }

    /// Lets one paper pass, whichever way it goes.
    fn paper(&mut self, kind: Kind<'_>, place: &Place<'_>, memory: &mut Memory) {
        let stick = self.look(self.stick, kind, place);
        self.seen(stick, kind, place, memory);
    }

    /// The same, of what was seen on the stick.
    fn seen(&mut self, stick: Result<Option<Copy>>, kind: Kind<'_>, place: &Place<'_>, memory: &mut Memory) {
        let path = place.path();
        let stick = match stick {
            Ok(stick) => stick,
            Err(error) => return self.passed.fail(&path.display().to_string(), error),
        };
        // What a device left there in pieces is no reason to keep anything from it.
        let kept = self.look(&self.kept, kind, place).unwrap_or_else(|error| {
            self.passed.fail(&format!("kept {}", path.display()), error);
            None
        });
        let order = || match (stick.as_ref().and_then(|copy| copy.statuses.as_ref()), kept.as_ref()) {
            (Some(stick), Some(Copy { statuses: Some(kept), .. })) => relay::order(stick, kept),
            _ => Order::Later,
        };
        let digest = |copy: &Option<Copy>| copy.as_ref().map(|copy| copy.digest.clone());
        let way = relay::way(digest(&stick).as_deref(), digest(&kept).as_deref(), memory, order);
        let moved = match (way, &stick, &kept) {
            (Way::Taken, Some(new), old) => self.take(place, new, old.as_ref()),
            (Way::Given, _, Some(kept)) => self.give(place, kept),
            (_, Some(stick), Some(kept)) if stick.digest != kept.digest => {
                log::warn!("{}: neither of two copies goes on from the other; what is kept goes first", path.display());
                return;
            }
            _ => Ok(()),
        };
        match moved {
            Ok(()) => {
                stick.iter().chain(&kept).for_each(|copy| memory.meet(&copy.digest, false));
                kept.iter().filter(|_| way == Way::Given).for_each(|copy| memory.meet(&copy.digest, true));
            }
            Err(error) => self.passed.fail(&path.display().to_string(), error),
        }
    }

    /// The bundles for several devices: those of a stick with something new among them take the place of all that are kept.
    fn shared(&mut self, memory: &mut Memory) {
        let (there, here) = match (names(self.stick, self.exchange), names(&self.kept, self.exchange)) {
            (Ok(there), Ok(here)) => (there, here),
            (Err(error), _) | (_, Err(error)) => return self.passed.fail("relay", error),
        };
        let exchange = self.exchange;
        let look = |name: &String| self.look(self.stick, Kind::Shared, &shared_place(exchange, name));
        let mut looked: BTreeMap<&String, _> = there.iter().map(|name| (name, look(name))).collect();
        let is_new = |copy: &Copy| !memory.has_met(&copy.digest);
        let brings_news = looked.values().flatten().flatten().any(is_new);
        for name in here.iter().filter(|name| brings_news && !there.contains(name)) {
            let place = shared_place(exchange, name);
            let freed = size(&self.kept, &place);
            match std::fs::remove_file(self.relay.folder.join(place.path())) {
                Ok(()) => self.used = self.used.saturating_sub(freed),
                Err(e) => self.passed.fail("relay", Error::state(format!("cannot remove {name}"), e)),
            }
        }
        for name in if brings_news { &there } else { &here } {
            let place = shared_place(exchange, name);
            match looked.remove(name) {
                Some(copy) => self.seen(copy, Kind::Shared, &place, memory),
                None => self.paper(Kind::Shared, &place, memory),
            }
        }
    }

    /// Looks at a copy; `None` if there is none.
    fn look(&self, folder: &Folder, kind: Kind<'_>, place: &Place<'_>) -> Result<Option<Copy>> {
        let branch_ref = format!("refs/heads/{}", self.relay.branch);
        let most = match kind {
            Kind::Own(paper, _) => paper.most(),
            Kind::Shared => Paper::Specs.most(),
        };
        let Some(source) = open(folder, place, most)? else { return Ok(None) };
        let mut source = Hashing::of(source);
        let mut statuses = None;
        match kind {
            Kind::Own(Paper::Specs, _) | Kind::Shared => brings(&mut source, &branch_ref)?,
            Kind::Own(Paper::Request, device) => brings(&mut source, &enrolment::ref_of(device))?,
            Kind::Own(Paper::Statuses, device) => {
                let bytes = source.rest()?;
                statuses = Some(outbox::decode(&bytes, &format!("{}/{device}", self.relay.prefix))?);
            }
            Kind::Own(Paper::Ack, _) => drop(stick::read_ack(&source.rest()?)?),
            Kind::Own(Paper::Report, _) => {}
        }
        let (digest, bytes) = source.finish(&mut io::sink()).map_err(unread)?;
        Ok(Some(Copy { digest, bytes, statuses }))
    }

    fn take(&mut self, place: &Place<'_>, new: &Copy, old: Option<&Copy>) -> Result<()> {
        let used = self.used.saturating_sub(old.map_or(0, |old| old.bytes)) + new.bytes;
        if used > self.relay.bytes {
            let what =
                format!("{} would have {used} bytes, more than {}", self.relay.folder.display(), self.relay.bytes);
            return Err(Error::new(Reason::DiskFull, what).hint("raise relay.bytes, or carry for fewer devices"));
        }
        copy(self.stick, &self.kept, place, new)
            .map_err(|e| Error::io(Reason::StateFailed, format!("cannot keep {}", place.path().display()), e))?;
        self.used = used;
        self.passed.took.push(place.path());
        Ok(())
    }

    fn give(&mut self, place: &Place<'_>, kept: &Copy) -> Result<()> {
        let what = || format!("cannot write {} to the stick", place.path().display());
        copy(&self.kept, self.stick, place, kept).map_err(|e| Error::io(Reason::StickFailed, what(), e))?;
        self.passed.gave.push(place.path());
        Ok(())
    }
}

/// Where each paper of a device lies. Requests of devices that know of no exchange yet lie in a folder of their own.
fn papers<'a>(exchange: &'a str, device: &'a DeviceId) -> impl Iterator<Item = (Paper, Place<'a>)> {
    let of_new = (Paper::Request, Paper::Request.place(stick::ENROLL, device));
    PAPERS.into_iter().map(move |paper| (paper, paper.place(exchange, device))).chain([of_new])
}

fn shared_place<'a>(exchange: &'a str, name: &str) -> Place<'a> {
    Place { folders: vec![stick::TOP, exchange, stick::TO_DEVICE], file: name.to_owned() }
}

/// The names of the bundles for several devices, as many as a device looks into.
fn names(root: &Folder, exchange: &str) -> Result<Vec<String>> {
    let folder = root.below([stick::TOP, exchange, stick::TO_DEVICE])?;
    let mut names = folder.map_or(Ok(vec![]), |folder| folder.names(is_shared))?;
    names.truncate(limits::STICK_BUNDLES);
    Ok(names)
}

fn open(root: &Folder, place: &Place<'_>, most: u64) -> Result<Option<Source>> {
    root.open(place.folders.iter().copied(), &place.file, most)
}

/// What a file takes, whatever it is; nothing if it is none.
fn size(root: &Folder, place: &Place<'_>) -> u64 {
    open(root, place, u64::MAX).ok().flatten().map_or(0, |source| source.size())
}

/// A bundle brings this ref.
fn brings(source: &mut Hashing, name: &str) -> Result<()> {
    match bundle::header(&mut source.0, [name])?.refs {
        [Some(_)] => Ok(()),
        [None] => Err(Error::new(Reason::BundleInvalid, format!("the bundle has no {name}"))),
    }
}

/// Replaces the file at one place by that at the other, if that is still what was looked at.
fn copy(from: &Folder, to: &Folder, place: &Place<'_>, seen: &Copy) -> io::Result<()> {
    let gone = || io::Error::other("it is gone, or was changed meanwhile");
    let source = open(from, place, seen.bytes).map_err(io::Error::other)?.ok_or_else(gone)?;
    let folder = folder::below_open(to, place.folders.iter().copied())?;
    atomic::prepare(&folder, &place.file, None, |file| {
        let (digest, _) = Hashing::of(source).finish(file)?;
        if digest == seen.digest { file.sync_all() } else { Err(gone()) }
    })?;
    atomic::adopt(&folder, &place.file)?;
    Ok(fsync(&folder)?)
}

/// A reader that takes the digest of all that is read.
struct Hashing(BufReader<Tap>);

struct Tap {
    source: Source,
    digest: Sha256,
    bytes: u64,
}

impl Hashing {
    fn of(source: Source) -> Self {
        Self(BufReader::new(Tap { source, digest: Sha256::new(), bytes: 0 }))
    }

    fn rest(&mut self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.0.read_to_end(&mut bytes).map_err(unread)?;
        Ok(bytes)
    }

    /// Copies what was not read yet; the digest of everything, and how much that was.
    fn finish(mut self, to: &mut impl Write) -> io::Result<(String, u64)> {
        io::copy(&mut self.0, to)?;
        let Tap { digest, bytes, .. } = self.0.into_inner();
        Ok((digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect(), bytes))
    }
}

impl Read for Tap {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        self.digest.update(&buffer[..count]);
        self.bytes += count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests;
