//! A stick, or one bundle: what was carried here from the hub, and what takes statuses back.
//!
//! ```text
//! list     the exchange's folder -> bundles' headers -> choose -> the branch's tip
//! fetch    the bundle that was chosen -> quarantine
//! publish  the statuses -> from-device, replaced whole and synced
//! ```
//!
//! Where everything lies is told by [`codec::stick`](crate::codec::stick). Nothing on a stick is believed: what it brings
//! goes through the same intake and the same proof as what a hub sends.

pub mod choose;
pub mod medium;

use std::{
    fs::File,
    io::{self, BufReader, Read},
    path::{Path, PathBuf},
};

use rustix::fs::syncfs;

use self::{
    choose::{Have, Offer, Worth, best},
    medium::{Folder, Source},
};
use crate::{
    api::{
        DeviceId, Error, ExchangeId, Oid, Reason, Result,
        ledger::{HubTraits, Record},
        limits,
    },
    codec::stick::{self, Paper},
    disk::{atomic, folder},
    git::{bundle, reads::Reads},
    reconcile::ports::{Carried, Link, Listing, NewObject, Quarantine, Want},
};

/// Where something was carried to.
#[derive(Clone, Debug)]
pub enum Place {
    /// A stick, by the folder at its top. It is held open: a stick that is pulled out during a visit fails, and nothing is
    /// written to where it was.
    Stick(Folder),
    /// One bundle. What is published goes nowhere.
    Bundle(PathBuf),
}

/// Who meets it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The device.
    pub device: DeviceId,
    /// The branch's short name.
    pub branch: String,
    /// The full name of the device's status ref.
    pub status_ref: String,
    /// The exchange that the operator named.
    pub exchange: Option<ExchangeId>,
}

/// A link to what was carried here.
pub struct StickLink {
    place: Place,
    device: DeviceId,
    branch_ref: String,
    status_ref: String,
    /// The name of the exchange's folder; `None` where the device knows of no exchange yet.
    exchange: Option<String>,
    have: Have,
    traits: HubTraits,
    met: Option<Met>,
    wrote: Vec<PathBuf>,
}

/// What was found by listing.
struct Met {
    /// The name of the exchange's folder.
    exchange: String,
    heard: Option<Oid>,
    chosen: Option<Offer<PathBuf>>,
}

impl StickLink {
    /// A link for a device with this record. Nothing is touched before the first call of [`Link::list`].
    pub fn open(place: Place, settings: &Settings, record: &Record) -> Self {
        let pinned = settings.exchange.as_ref().or(record.exchange.as_ref());
        let is_known = pinned.is_some() || record.tip.is_some();
        Self {
            place,
            device: settings.device.clone(),
            branch_ref: format!("refs/heads/{}", settings.branch),
            status_ref: settings.status_ref.clone(),
            exchange: is_known.then(|| stick::folder_of(pinned).to_owned()),
            have: Have {
                accepted: record.tip.as_ref().map(|tip| tip.commit),
                previous: record.previous.as_ref().map(|(previous, _)| previous.commit),
            },
            traits: record.hub,
            met: None,
            wrote: Vec::new(),
        }
    }

    /// The bundle that was chosen, from the top of the stick.
    pub fn read(&self) -> Option<&Path> {
        Some(&self.met.as_ref()?.chosen.as_ref()?.bundle)
    }

    /// What was written, from the top of the stick.
    pub fn wrote(&self) -> &[PathBuf] {
        &self.wrote
    }

    /// Leaves a word for people, where statuses are taken along.
    ///
    /// # Errors
    ///
    /// `DiskFull`, `StickFailed`.
    pub fn leave_report(&mut self, text: &str) -> Result<()> {
        self.write(Paper::Report, text.as_bytes())
    }

    /// Lets all that was written reach the stick.
    ///
    /// # Errors
    ///
    /// `StickFailed`: it may not have.
    pub fn sync(&self) -> Result<()> {
        let Place::Stick(root) = &self.place else { return Ok(()) };
        syncfs(root).map_err(|e| Error::new(Reason::StickFailed, "cannot sync the stick").caused_by(io::Error::from(e)))
    }

    /// Writes a paper of the device's own, unless it is there as it should be.
    fn write(&mut self, paper: Paper, bytes: &[u8]) -> Result<()> {
        let (Place::Stick(root), Some(met)) = (&self.place, &self.met) else { return Ok(()) };
        let place = paper.place(&met.exchange, &self.device);
        let path = place.path();
        if is_there(root, &place, bytes) {
            return Ok(());
        }
        folder::below_open(root, place.folders.iter().copied())
            .and_then(|folder| atomic::replace(folder, &place.file, bytes, None))
            .map_err(|e| unwritten(&path, e))?;
        self.wrote.push(path);
        Ok(())
    }

    fn meet(&mut self) -> Result<Option<Offer<PathBuf>>> {
        let offers = match &self.place {
            Place::Bundle(path) => {
                let name = path.display().to_string();
                let file = File::open(path).map_err(|e| {
                    Error::new(Reason::StickFailed, format!("cannot open {name}"))
                        .caused_by(e)
                        .hint("name a bundle that is there")
                })?;
                let source = Source::of(file, &name, limits::BUNDLE_BYTES)?;
                let Some(offer) = self.offer(source, path.clone())? else {
                    let what = format!("{name} has no {}", self.branch_ref);
                    return Err(Error::new(Reason::BranchNotFound, what)
                        .hint("bundle the branch by its name; check link.branch"));
                };
                self.met = Some(Met { exchange: String::new(), heard: None, chosen: None });
                vec![offer]
            }
            Place::Stick(root) => {
                let exchange = match &self.exchange {
                    Some(exchange) => exchange.clone(),
                    None => self.only_exchange(root)?,
                };
                let heard = self.acknowledged(root, &exchange);
                self.met = Some(Met { exchange: exchange.clone(), heard, chosen: None });
                self.offers(root, &exchange)?
            }
        };
        best(offers, &self.have)
    }

    /// The bundles for this device: its own, and where that brings nothing new, those for several.
    fn offers(&self, root: &Folder, exchange: &str) -> Result<Vec<Offer<PathBuf>>> {
        let own = Paper::Specs.place(exchange, &self.device);
        let shared = [stick::TOP, exchange, stick::TO_DEVICE];
        let (mut offers, mut unread) = (Vec::new(), None);
        let mut look = |folder: &Folder, file: &str, path: PathBuf| {
            let found = folder.file(file, limits::BUNDLE_BYTES).and_then(|source| match source {
                Some(source) => self.offer(source, path.clone()),
                None => Ok(None),
            });
            match found {
                Ok(offer) => offers.extend(offer),
                Err(error) => {
                    log::warn!("{}: {}", path.display(), error.one_line());
                    unread.get_or_insert(error);
                }
            }
            offers.iter().any(|offer| offer.worth(&self.have) == Worth::New)
        };
        let mut is_found = match root.below(own.folders.iter().copied())? {
            Some(folder) => look(&folder, &own.file, own.path()),
            None => false,
        };
        if let Some(folder) = root.below(shared)?.filter(|_| !is_found) {
            for name in folder.names(is_shared)?.iter().take(limits::STICK_BUNDLES) {
                is_found = is_found || look(&folder, name, shared.iter().copied().chain([&**name]).collect());
            }
        }
        let is_of_use = offers.iter().any(|offer| offer.worth(&self.have) != Worth::Baseless);
        match unread {
            Some(error) if !is_of_use => Err(error),
            _ => Ok(offers),
        }
    }

    fn offer(&self, source: Source, path: PathBuf) -> Result<Option<Offer<PathBuf>>> {
        let names = [&*self.branch_ref, &*self.status_ref];
        let bundle::Header { refs: [tip, status], prerequisites } = bundle::header(&mut BufReader::new(source), names)?;
        Ok(tip.map(|tip| Offer { bundle: path, tip, status, prerequisites }))
    }

    /// The only exchange that has something for this device.
    fn only_exchange(&self, root: &Folder) -> Result<String> {
        let nothing = || Error::new(Reason::BundleNotFound, format!("the stick has nothing for {}", self.device));
        let is_exchange = |name: &str| name == stick::UNNAMED || name.parse::<ExchangeId>().is_ok();
        let names = root.below([stick::TOP])?.ok_or_else(nothing)?.names(is_exchange)?;
        let mut found = Vec::new();
        for name in names {
            if self.has_something(root, &name)? {
                found.push(name);
            }
        }
        match (found.len(), found.pop()) {
            (1, Some(name)) => Ok(name),
            (_, None) => Err(nothing()),
            (count, Some(_)) => {
                let what = format!("the stick has something for {} from {count} exchanges", self.device);
                Err(Error::new(Reason::ExchangeAmbiguous, what))
            }
        }
    }

    fn has_something(&self, root: &Folder, exchange: &str) -> Result<bool> {
        for paper in [Paper::Specs, Paper::Ack] {
            let place = paper.place(exchange, &self.device);
            let folder = root.below(place.folders.iter().copied())?;
            if folder.is_some_and(|folder| !matches!(folder.file(&place.file, u64::MAX), Ok(None))) {
                return Ok(true);
            }
        }
        let folder = root.below([stick::TOP, exchange, stick::TO_DEVICE])?;
        folder.map_or(Ok(false), |folder| Ok(!folder.names(is_shared)?.is_empty()))
    }

    /// How far the hub is said to have heard the device.
    fn acknowledged(&self, root: &Folder, exchange: &str) -> Option<Oid> {
        let place = Paper::Ack.place(exchange, &self.device);
        let read = || -> Result<Option<Oid>> {
            let source = root.open(place.folders.iter().copied(), &place.file, limits::NAME_BYTES as u64)?;
            let Some(mut source) = source else { return Ok(None) };
            let mut bytes = Vec::new();
            source.read_to_end(&mut bytes).map_err(unread)?;
            stick::read_ack(&bytes).map(Some)
        };
        read().unwrap_or_else(|error| {
            log::warn!("{}: {}", place.path().display(), error.one_line());
            None
        })
    }

    fn ingest(&self, offer: &Offer<PathBuf>, into: &mut dyn Quarantine) -> Result<()> {
        let source = match &self.place {
            Place::Bundle(path) => File::open(path)
                .map_err(unread)
                .and_then(|file| Source::of(file, &path.display().to_string(), limits::BUNDLE_BYTES))?,
            Place::Stick(root) => {
                let gone = || Error::new(Reason::StickFailed, format!("{} is gone", offer.bundle.display()));
                let names: Vec<_> = offer.bundle.iter().filter_map(|name| name.to_str()).collect();
                let (file, folders) = names.split_last().ok_or_else(gone)?;
                root.open(folders.iter().copied(), file, limits::BUNDLE_BYTES)?.ok_or_else(gone)?
            }
        };
        let mut source = BufReader::new(source);
        bundle::header(&mut source, [])?;
        into.ingest(&mut source).map_err(|error| match error.reason() {
            Reason::PackInvalid => error.hint(REWRITE),
            _ => error,
        })
    }
}

impl Link for StickLink {
    fn list(&mut self) -> Result<Listing> {
        self.met = None;
        let chosen = self.meet()?.ok_or_else(|| {
            Error::new(Reason::BundleNotFound, format!("the stick has no bundle for {}", self.device))
        })?;
        let listing = Listing { branch: chosen.tip, status: chosen.status };
        if let Some(met) = &mut self.met {
            met.chosen = Some(chosen);
        }
        Ok(listing)
    }

    fn fetch(&mut self, want: Want<'_>, into: &mut dyn Quarantine) -> Result<()> {
        let unlisted = || Error::new(Reason::Bug, "the stick was used before it was listed");
        let offer = self.met.as_ref().and_then(|met| met.chosen.as_ref()).ok_or_else(unlisted)?;
        if !into.has(offer.tip)? {
            self.ingest(offer, into)?;
        }
        let wanted = match want {
            Want::Whole(commit) | Want::Tip { tip: commit, .. } => &[commit][..],
            Want::Objects(ids) => ids,
        };
        for &id in wanted {
            if !into.has(id)? {
                let what = format!("the bundle {} leaves out {id}", offer.bundle.display());
                return Err(Error::new(Reason::CommitNotFound, what).hint(EXPORT_AGAIN));
            }
        }
        match want {
            Want::Tip { tip, device, .. } => {
                Reads::of(into, tip, device)?.whole().map(drop).map_err(|error| error.hint(EXPORT_AGAIN))
            }
            _ => Ok(()),
        }
    }

    fn publish(&mut self, old: Option<Oid>, new: Oid, objects: &[NewObject]) -> Result<()> {
        let bytes = bundle::write(&self.status_ref, new, old, objects)?;
        self.write(Paper::Statuses, &bytes)
    }

    fn rest(&mut self) {}

    fn close(&mut self) {}

    fn traits(&self) -> HubTraits {
        self.traits
    }

    fn carried(&self) -> Option<Carried> {
        let met = self.met.as_ref()?;
        let base = met.chosen.as_ref().and_then(|offer| offer.base(&self.have));
        Some(Carried { heard: met.heard, base })
    }
}

const REWRITE: &str = "write the bundle to the stick again, and let the stick be unmounted before it is pulled out";
const EXPORT_AGAIN: &str = "export again from a repository with the whole history, on the commit that the device has";

pub(super) fn is_shared(name: &str) -> bool {
    name.starts_with(stick::SHARED) && name.ends_with(Paper::Specs.ending())
}

/// Whether a file has these bytes already: then it is left alone, which spares the stick.
pub(super) fn is_there(root: &Folder, place: &stick::Place<'_>, bytes: &[u8]) -> bool {
    let read = || -> Result<Option<Vec<u8>>> {
        let source = root.open(place.folders.iter().copied(), &place.file, bytes.len() as u64)?;
        let Some(mut source) = source else { return Ok(None) };
        let mut there = Vec::new();
        source.read_to_end(&mut there).map_err(unread)?;
        Ok(Some(there))
    };
    read().is_ok_and(|there| there.as_deref() == Some(bytes))
}

pub(super) fn unread(error: io::Error) -> Error {
    crate::git::pack::unwrap(error, |e| Error::new(Reason::StickFailed, "cannot read the stick").caused_by(e))
}

fn unwritten(path: &Path, error: io::Error) -> Error {
    let what = format!("cannot write {} to the stick", path.display());
    match error.kind() {
        io::ErrorKind::StorageFull => Error::new(Reason::DiskFull, what).hint("free space on the stick"),
        io::ErrorKind::ReadOnlyFilesystem => Error::new(Reason::StickFailed, what)
            .hint("mount it writable; what the device has to say waits in its outbox for the next one"),
        _ => Error::new(Reason::StickFailed, what),
    }
    .caused_by(error)
}
