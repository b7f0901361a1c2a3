//! A gateway that carries for others: papers go from a stick or the hub into the gateway's folder, and from there to a stick
//! or the hub. The folder is laid out as a stick, so that a device behind the gateway can use it as one.
//!
//! ```text
//! the hub, or a stick -to-device->   relay.folder -to-device->   a device's stick, or the device itself
//! the hub, or a stick <-from-device- relay.folder <-from-device- a device's stick, or the device itself
//! ```
//!
//! `stick` and `hub` are the two ways, `specs` makes the bundles of what the hub has, `check` finds those that are damaged.
//! From a stick and to it bytes are copied as they are; a hub is sent the objects of a bundle, and its pack is put into
//! another. A copy counts once it was looked at: a bundle brings the ref of that branch or device, statuses follow each
//! other, nothing is larger than it may be. Whether it is true is for those who have the keys.

mod check;
mod hub;
mod known;
mod specs;
mod stick;

pub use hub::Carried;
pub use known::Known;

use std::{
    fs::File,
    io::{self, BufReader, Read, Write},
    path::PathBuf,
    time::Duration,
};

use rustix::{
    fs::{AtFlags, fsync, unlinkat},
    io::Errno,
};
use sha2::{Digest, Sha256};

use super::stick::{
    is_shared,
    medium::{Folder, Source},
    unread,
};
use crate::{
    api::{DeviceId, Error, Reason, Result, limits},
    codec::{
        enrolment,
        stick::{ENROLL, Paper, Place, TO_DEVICE, TOP, read_ack},
    },
    disk::{atomic, folder},
    git::{bundle, outbox, pack},
    reconcile::outbox::Statuses,
};

/// All that is carried.
const PAPERS: [Paper; 5] = [Paper::Specs, Paper::Ack, Paper::Statuses, Paper::Request, Paper::Report];

/// For whom a gateway carries.
#[derive(Clone, Debug)]
pub struct Relay {
    /// What it keeps. Those for whom it carries write there, too.
    pub folder: PathBuf,
    /// Where that lies which is not whole yet: out of their reach.
    pub scratch: PathBuf,
    /// The devices.
    pub devices: Vec<DeviceId>,
    /// The most that it takes into its folder, in bytes.
    pub bytes: u64,
    /// How long one visit of the hub may take.
    pub visit: Duration,
    /// The branch's short name.
    pub branch: String,
    /// The folder of the status refs.
    pub prefix: String,
    /// What is known since the start.
    pub known: Known,
}

/// What passed, from the top of the folder and of the stick.
#[derive(Debug, Default)]
pub struct Passed {
    /// Taken from the stick, or brought from the hub.
    pub took: Vec<PathBuf>,
    /// Given to the stick, or handed on to the hub.
    pub gave: Vec<PathBuf>,
    /// The first thing that could not pass.
    pub failed: Option<Error>,
}

impl Relay {
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

    /// The folder, made where it is missing.
    fn open(&self) -> Result<Folder> {
        folder::make(&self.folder, 0o700)
            .map_err(|e| Error::state(format!("cannot make {}", self.folder.display()), e))?;
        Folder::at(&self.folder)
    }

    fn status_ref(&self, device: &DeviceId) -> String {
        format!("{}/{device}", self.prefix)
    }

    /// Looks at a copy; `None` if there is none.
    fn look(&self, folder: &Folder, kind: Kind<'_>, place: &Place<'_>) -> Result<Option<Copy>> {
        let branch_ref = format!("refs/heads/{}", self.branch);
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
                statuses = Some(outbox::decode(&bytes, &self.status_ref(device))?);
            }
            Kind::Own(Paper::Ack, _) => drop(read_ack(&source.rest()?)?),
            Kind::Own(Paper::Report, _) => {}
        }
        let (digest, bytes) = source.finish(&mut io::sink()).map_err(unread)?;
        Ok(Some(Copy { digest, bytes, statuses }))
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

/// Where each paper of a device lies. Requests of devices that know of no exchange yet lie in a folder of their own.
fn papers<'a>(exchange: &'a str, device: &'a DeviceId) -> impl Iterator<Item = (Paper, Place<'a>)> {
    let of_new = (Paper::Request, Paper::Request.place(ENROLL, device));
    PAPERS.into_iter().map(move |paper| (paper, paper.place(exchange, device))).chain([of_new])
}

fn shared_place<'a>(exchange: &'a str, name: &str) -> Place<'a> {
    Place { folders: vec![TOP, exchange, TO_DEVICE], file: name.to_owned() }
}

/// The names of the bundles for several devices, as many as a device looks into.
fn names(root: &Folder, exchange: &str) -> Result<Vec<String>> {
    let folder = root.below([TOP, exchange, TO_DEVICE])?;
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

/// Replaces the file at one place by what is filled in, durably.
fn put(to: &Folder, place: &Place<'_>, fill: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let folder = folder::below_open(to, place.folders.iter().copied())?;
    atomic::prepare(&folder, &place.file, None, |file| {
        fill(file)?;
        file.sync_all()
    })?;
    atomic::adopt(&folder, &place.file)?;
    Ok(fsync(&folder)?)
}

/// Takes a file away; whether there was one.
fn remove(kept: &Folder, place: &Place<'_>) -> Result<bool> {
    let Some(folder) = kept.below(place.folders.iter().copied())? else { return Ok(false) };
    match unlinkat(&folder, &*place.file, AtFlags::empty()) {
        Ok(()) => Ok(true),
        Err(Errno::NOENT) => Ok(false),
        Err(e) => Err(Error::state(format!("cannot remove {}", place.path().display()), e.into())),
    }
}

/// Where the gateway keeps notes of its own on a device, beside what goes there.
fn notes_place<'a>(exchange: &'a str, device: &'a DeviceId, ending: &str) -> Place<'a> {
    let Place { folders, file } = Paper::Ack.place(exchange, device);
    let name = file.strip_suffix(Paper::Ack.ending()).unwrap_or(&file);
    Place { folders, file: format!("{name}{ending}") }
}

/// The notes that lie there; nothing where there are none.
fn read_notes(kept: &Folder, place: &Place<'_>, most: u64) -> Result<String> {
    let mut text = String::new();
    if let Some(mut source) = open(kept, place, most)? {
        source.read_to_string(&mut text).map_err(unread)?;
    }
    Ok(text)
}

fn write_notes(kept: &Folder, place: &Place<'_>, text: &str) -> Result<()> {
    folder::below_open(kept, place.folders.iter().copied())
        .and_then(|folder| atomic::replace(folder, &place.file, text.as_bytes(), None))
        .map_err(unkept(place))
}

/// That something could not be written into the folder.
fn unkept(place: &Place<'_>) -> impl FnOnce(io::Error) -> Error + use<> {
    let what = format!("cannot keep {}", place.path().display());
    move |e| pack::unwrap(e, |e| Error::io(Reason::StateFailed, what, e))
}

/// That the folder would have too many bytes.
fn too_full(relay: &Relay) -> Error {
    let what = format!("{} would have more than {} bytes", relay.folder.display(), relay.bytes);
    Error::new(Reason::DiskFull, what).hint("raise relay.bytes, or carry for fewer devices")
}

/// A bundle brings this ref.
fn brings(source: &mut Hashing, name: &str) -> Result<()> {
    match bundle::header(&mut source.0, [name])?.refs {
        [Some(_)] => Ok(()),
        [None] => Err(Error::new(Reason::BundleInvalid, format!("the bundle has no {name}"))),
    }
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
