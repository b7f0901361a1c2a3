//! What devices lack of the branch, as bundles in the gateway's folder.
//!
//! ```text
//! since  "# v2 git bundle" | -base | tip branch                 | the hub's pack of base..tip as it came, and behind it what
//!                                                                 devices lack of that (gaps)
//! seed   "# v2 git bundle" |       | tip branch, status its ref | what the device reads of the tip, its status
//! ```
//!
//! As `giterctl export` does: devices that have the same commit share a bundle, and one that has none gets a seed of its own.
//! So does one whose commit the hub does not know, or that leads elsewhere.

use std::{
    collections::BTreeSet,
    fs::{self, File, OpenOptions},
    io::{self, BufReader, Read, Seek, Write},
    path::PathBuf,
};

use super::{
    Relay,
    hub::{Stand, Visit},
    names, open, put, remove, shared_place, size, too_full, unkept,
};
use crate::{
    api::{DeviceId, Error, Oid, Reason, Result, ledger::Generation, limits},
    codec::stick::{Paper, Place, SHARED, TO_DEVICE, TOP, is_shared_name, shared_name},
    disk::atomic::{is_temporary, temporary_name},
    git::{
        PackStore, bundle,
        gaps::{self, Gaps},
        pack, seed,
    },
    reconcile::{
        ports::{Object, ObjectKind, Objects, Quarantine, Store, Want},
        relay::served::{Bundles, bundles},
    },
};

/// The bundle that is there for those who have a commit.
enum Brought {
    /// One for several, of this name.
    Shared(String),
    /// One of the only one's own.
    Own,
    /// None: the hub knows of no way from there.
    Nothing,
}

impl Visit<'_> {
    /// Takes away what a power cut left of bundles that were being written.
    pub(super) fn sweep(&mut self) {
        let exchange = self.exchange;
        let is_shared = |name: &str| name.starts_with(&format!(".{SHARED}")) && is_temporary(name);
        let folder = self.kept.below([TOP, exchange, TO_DEVICE]).ok().flatten();
        let shared = folder.and_then(|folder| folder.names(is_shared).ok()).unwrap_or_default();
        shared.iter().for_each(|name| self.remove(&shared_place(exchange, name)));
        for device in &self.relay.devices {
            let Place { folders, file } = Paper::Specs.place(exchange, device);
            self.remove(&Place { folders, file: temporary_name(&file) });
        }
    }

    /// Brings every device what it lacks, and takes away what nobody needs any more.
    pub(super) fn serve(&mut self, stands: &mut [Stand<'_>]) {
        let bases = stands.iter().enumerate().filter(|(_, stand)| stand.is_known);
        let Bundles { since, mut seeds } = bundles(bases.map(|(at, stand)| (at, stand.served.base)), self.tip);
        let mut is_whole = stands.iter().all(|stand| stand.is_known || stand.is_lost);
        let (mut shared, mut own) = (Vec::new(), Vec::new());
        for (base, devices) in since {
            let of: Vec<&Stand<'_>> = devices.iter().map(|at| &stands[*at]).collect();
            match self.bring(base, &of) {
                Ok(Brought::Shared(name)) => shared.push(name),
                Ok(Brought::Own) => own.extend(devices),
                Ok(Brought::Nothing) => seeds.extend(devices),
                Err(error) => {
                    is_whole = false;
                    devices.iter().for_each(|at| self.note(&mut stands[*at], &error));
                    own.extend(devices);
                }
            }
        }
        for at in seeds {
            own.push(at);
            let Stand { device, ref served, .. } = stands[at];
            if let Err(error) = self.seed(device, served.status) {
                is_whole = false;
                self.note(&mut stands[at], &error);
            }
        }
        for (_, stand) in stands.iter().enumerate().filter(|(at, stand)| stand.is_known && !own.contains(at)) {
            self.remove(&Paper::Specs.place(self.exchange, stand.device));
        }
        if is_whole {
            self.remove_stale(&shared);
        }
    }

    /// Sees that a bundle is there for those who have the base.
    fn bring(&mut self, base: Oid, stands: &[&Stand<'_>]) -> Result<Brought> {
        let name = shared_name(self.tip, Some(base));
        let place = shared_place(self.exchange, &name);
        // One for several was made for all that there were then, whoever comes to need it.
        if stands.iter().all(|stand| stand.was_served()) && self.is_there(&place, Some(base)) {
            return Ok(Brought::Shared(name));
        }
        let (is_there, brought) = match stands {
            [only] => {
                let place = Paper::Specs.place(self.exchange, only.device);
                let is_there = self.is_there(&place, Some(base)) || self.since(&place, base, &[only.device])?;
                (is_there, Brought::Own)
            }
            _ => (self.since(&place, base, &Vec::from_iter(&self.relay.devices))?, Brought::Shared(name)),
        };
        Ok(if is_there { brought } else { Brought::Nothing })
    }

    /// Takes away the bundles for several that are none of these.
    fn remove_stale(&mut self, shared: &[String]) {
        let names = names(&self.kept, self.exchange).unwrap_or_default();
        for name in names.iter().filter(|name| is_shared_name(name) && !shared.contains(name)) {
            self.remove(&shared_place(self.exchange, name));
        }
    }

    /// Brings what lies between a commit and the tip, for these devices. False where the hub knows of no way.
    fn since(&mut self, place: &Place<'_>, base: Oid, devices: &[&DeviceId]) -> Result<bool> {
        self.go_on()?;
        let (scratch, room) = (Scratch::of(self.relay)?, self.room(place)?);
        let [mut store, mut other] = [scratch.store("brought")?, scratch.store("known")?];
        let mut brought = store.quarantine(&Generation::default())?;
        let mut file = scratch.file()?;
        let is_given = self.hub.pack(base, self.tip, &mut |pack| {
            brought.ingest(&mut Tee { source: pack, into: Room { into: &mut file, left: room, relay: self.relay } })
        })?;
        let commits = if is_given { gaps::commits(&*brought, base, self.tip)? } else { None };
        let Some(commits) = commits else { return Ok(false) };
        let mut known = Bounded::new(other.quarantine(&Generation::default())?, self.relay);
        let lacks = self.lacks(&*brought, &mut known, base, &commits, devices)?;
        let head = bundle::head(Some((base, "")), [(self.tip, &*self.branch_ref)]);
        self.write(place, room, |into| {
            into.write_all(head.as_bytes())?;
            let bytes = file.stream_position()?;
            file.rewind()?;
            let more = pack::pick(&known, &lacks, limits::OBJECT_BYTES);
            pack::extend(&mut BufReader::new(&file), bytes, lacks.len(), more, into).map_err(io::Error::other)
        })?;
        Ok(true)
    }

    /// Brings what these devices lack of the commits that were brought.
    fn lacks(
        &mut self,
        brought: &dyn Objects,
        known: &mut dyn Quarantine,
        base: Oid,
        commits: &[Oid],
        devices: &[&DeviceId],
    ) -> Result<Vec<(Oid, ObjectKind)>> {
        // With the base come its trees on one of the ways.
        if let [first, ..] = devices {
            self.hub.fetch(Want::Tip { tip: base, have: None, device: first }, known)?;
        }
        for _ in 0..limits::FETCH_ROUNDS {
            let Gaps { lacks, unseen } = gaps::find(brought, &*known, base, commits, devices)?;
            let mut wanted = BTreeSet::new();
            for id in lacks.iter().map(|(id, _)| *id).chain(unseen) {
                if !known.has(id)? {
                    wanted.insert(id);
                }
            }
            if wanted.is_empty() {
                return Ok(lacks);
            }
            self.hub.fetch(Want::Objects(&Vec::from_iter(wanted)), known)?;
        }
        Err(Error::new(Reason::PackInvalid, format!("the hub sends the objects of {} one by one", self.tip.short())))
    }

    /// Brings what a device reads of the tip, unless it is there.
    fn seed(&mut self, device: &DeviceId, heard: Option<Oid>) -> Result<()> {
        let place = Paper::Specs.place(self.exchange, device);
        if self.is_there(&place, None) {
            return Ok(());
        }
        self.go_on()?;
        let (scratch, room) = (Scratch::of(self.relay)?, self.room(&place)?);
        let mut store = scratch.store("known")?;
        let mut known = Bounded::new(store.quarantine(&Generation::default())?, self.relay);
        self.hub.fetch(Want::Tip { tip: self.tip, have: None, device }, &mut known)?;
        if let Some(status) = heard {
            self.hub.fetch(Want::Whole(status), &mut known)?;
        }
        let names = seed::names(&known, self.tip, device, heard)?;
        let status_ref = self.relay.status_ref(device);
        let refs = [(self.tip, &*self.branch_ref)].into_iter().chain(heard.map(|status| (status, &*status_ref)));
        let head = bundle::head(None, refs);
        let mut pack = pack::Stream::tight(names.len(), pack::pick(&known, &names, limits::OBJECT_BYTES))?;
        self.write(&place, room, |into| {
            into.write_all(head.as_bytes())?;
            io::copy(&mut pack, into).map(drop)
        })
    }

    /// Whether a bundle is there that leads from the base to the tip, whoever put it there.
    pub(super) fn is_there(&self, place: &Place<'_>, base: Option<Oid>) -> bool {
        let Ok(Some(source)) = open(&self.kept, place, Paper::Specs.most()) else { return false };
        let header = bundle::header(&mut BufReader::new(source), [&*self.branch_ref]);
        let prerequisites: Vec<Oid> = base.into_iter().collect();
        header.is_ok_and(|header| header.refs == [Some(self.tip)] && header.prerequisites == prerequisites)
    }

    /// How large a file may be in that place.
    fn room(&mut self, place: &Place<'_>) -> Result<u64> {
        let used = match self.used {
            Some(used) => used,
            None => *self.used.insert(self.relay.kept(self.exchange)?.1),
        };
        let used = used.saturating_sub(size(&self.kept, place));
        Ok(self.relay.bytes.saturating_sub(used).min(Paper::Specs.most()))
    }

    fn write(
        &mut self,
        place: &Place<'_>,
        room: u64,
        fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<()> {
        let relay = self.relay;
        self.put(place, |file| fill(&mut Room { into: file, left: room, relay }))
    }

    /// Puts a file into the folder, which is measured no second time for that.
    pub(super) fn put(&mut self, place: &Place<'_>, fill: impl FnOnce(&mut File) -> io::Result<()>) -> Result<()> {
        let before = size(&self.kept, place);
        put(&self.kept, place, fill).map_err(unkept(place))?;
        let after = size(&self.kept, place);
        self.used = self.used.map(|used| used.saturating_sub(before) + after);
        self.passed.took.push(place.path());
        Ok(())
    }

    fn remove(&mut self, place: &Place<'_>) {
        let freed = size(&self.kept, place);
        match remove(&self.kept, place) {
            Ok(true) => {
                self.used = self.used.map(|used| used.saturating_sub(freed));
                log::debug!("relay: nobody needs {} any more", place.path().display());
            }
            Ok(false) => {}
            Err(error) => self.passed.fail("relay", error),
        }
    }
}

/// A folder for what is not whole yet, which goes with it. What a power cut leaves there goes with the next one.
pub(super) struct Scratch(PathBuf);

impl Scratch {
    /// An empty one.
    ///
    /// # Errors
    ///
    /// `DiskFull`, `StateReadOnly`, `StateFailed`.
    pub(super) fn of(relay: &Relay) -> Result<Self> {
        let scratch = Self(relay.scratch.clone());
        match fs::remove_dir_all(&scratch.0) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(scratch.failed("sweep", e)),
            _ => fs::create_dir(&scratch.0).map_err(|e| scratch.failed("make", e)).map(|()| scratch),
        }
    }

    /// A store of objects in it.
    ///
    /// # Errors
    ///
    /// Those of [`PackStore::open`].
    pub(super) fn store(&self, name: &str) -> Result<PackStore> {
        PackStore::open(&self.0.join(name))
    }

    fn file(&self) -> Result<File> {
        let options = OpenOptions::new().read(true).write(true).create_new(true).open(self.0.join("pack"));
        options.map_err(|e| self.failed("write to", e))
    }

    fn failed(&self, verb: &str, e: io::Error) -> Error {
        Error::state(format!("cannot {verb} {}", self.0.display()), e)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A quarantine into which no more comes than the gateway may keep.
pub(super) struct Bounded<'a> {
    into: Box<dyn Quarantine + 'a>,
    left: u64,
    relay: &'a Relay,
}

impl<'a> Bounded<'a> {
    /// What comes into that one.
    pub(super) fn new(into: Box<dyn Quarantine + 'a>, relay: &'a Relay) -> Self {
        Self { into, left: relay.bytes, relay }
    }
}

impl Objects for Bounded<'_> {
    fn read(&self, id: Oid, limit: usize) -> Result<Option<Object>> {
        self.into.read(id, limit)
    }

    fn has(&self, id: Oid) -> Result<bool> {
        self.into.has(id)
    }
}

impl Quarantine for Bounded<'_> {
    fn ingest(&mut self, pack: &mut dyn Read) -> Result<()> {
        let Self { into, left, relay } = self;
        into.ingest(&mut Counted { source: pack, left, relay })
    }

    fn promote(self: Box<Self>, tip: Oid, device: &DeviceId) -> Result<Generation> {
        self.into.promote(tip, device)
    }
}

/// A reader that ends with an error where it yields more than is left.
struct Counted<'a> {
    source: &'a mut dyn Read,
    left: &'a mut u64,
    relay: &'a Relay,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        *self.left = self.left.checked_sub(count as u64).ok_or_else(|| io::Error::other(too_full(self.relay)))?;
        Ok(count)
    }
}

/// A writer that takes no more than the gateway may keep.
struct Room<'a> {
    into: &'a mut File,
    left: u64,
    relay: &'a Relay,
}

impl Write for Room<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.left.checked_sub(bytes.len() as u64) {
            Some(left) => self.left = left,
            None => return Err(io::Error::other(too_full(self.relay))),
        }
        let unwritten = |e| Error::state(format!("cannot write to {}", self.relay.folder.display()), e);
        self.into.write_all(bytes).map_err(|e| io::Error::other(unwritten(e))).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.into.flush()
    }
}

/// A reader that writes what is read.
struct Tee<'a> {
    source: &'a mut dyn Read,
    into: Room<'a>,
}

impl Read for Tee<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        self.into.write_all(&buffer[..count])?;
        Ok(count)
    }
}
