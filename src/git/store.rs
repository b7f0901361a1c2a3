//! The [`Store`] on a disk: packs that never change, and a quarantine in which they are made.
//!
//! ```text
//! store/packs/pack-<checksum>.{pack,idx}     promoted: sound, durable before the ledger can name them
//! store/quarantine/<n>.{pack,idx}            what came over a link; swept at the next start
//! ```
//!
//! Invariants: a promoted pack's checksum is its name. A generation is one pack, of what the device reads of its tip and
//! nothing else ([`Reads`]): the trees on the way to its folder name what other devices have, and that is not there. So
//! the store does not grow with the exchange, nor with its history. An agent of before kept whole trees in several
//! packs: such a generation is read as it is, and replaced by the next one.
//!
//! Durability: files are fsynced, renamed into place (over a namesake, whose bytes may be damaged), and the folder is
//! fsynced. The disk decides nothing by itself: which packs count is told by the ledger's record.

use std::{
    collections::HashSet,
    fs::{self, DirBuilder, File},
    io::{self, Read},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use super::{
    intake::{self, Bounds},
    pack,
    packs::Packs,
    reads::Reads,
};
use crate::{
    api::{DeviceId, Error, Oid, Reason, Result, ledger::Generation, limits},
    reconcile::ports::{Object, ObjectKind, Objects, Quarantine, Store},
};

/// The store in a folder of the state folder.
pub struct PackStore {
    packs: PathBuf,
    quarantine: PathBuf,
}

impl PackStore {
    /// Opens the store at `dir`; makes it, with mode 0700, where there is none.
    ///
    /// # Errors
    ///
    /// `DiskFull`, `StateReadOnly`, `StateFailed`.
    pub fn open(dir: &Path) -> Result<Self> {
        let store = Self::at(dir);
        if !store.packs.is_dir() {
            make_folder(&store.packs)?;
            sync_folder(dir)?;
            sync_folder(&dir.join(".."))?;
        }
        Ok(store)
    }

    /// The store at `dir`, for reading what a ledger names; nothing is touched.
    pub fn at(dir: &Path) -> Self {
        Self { packs: dir.join("packs"), quarantine: dir.join("quarantine") }
    }

    fn stem(&self, pack: Oid) -> PathBuf {
        self.packs.join(format!("pack-{pack}"))
    }

    fn generation(&self, generation: &Generation) -> Result<Packs> {
        let mut packs = Packs::default();
        generation.packs.iter().try_for_each(|&pack| packs.open(&self.stem(pack)))?;
        Ok(packs)
    }

    /// Whether a pack and its index are there, each with the checksum it ends in, and are those of this name.
    fn is_sound(&self, pack: Oid) -> Result<bool> {
        let stem = self.stem(pack);
        let Some(file) = Checked::read(&stem.with_extension("pack"))? else { return Ok(false) };
        let Some(index) = Checked::read(&stem.with_extension("idx"))? else { return Ok(false) };
        Ok(file.sum == *pack.as_bytes() && index.before == *pack.as_bytes())
    }

    /// Removes the quarantine and every file among the packs that no generation names.
    fn sweep(&self, keep: &[&Generation]) -> Result<()> {
        match fs::remove_dir_all(&self.quarantine) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(failed("sweep", &self.quarantine)(e)),
            _ => {}
        }
        let stems = keep.iter().flat_map(|generation| &generation.packs).map(|&pack| self.stem(pack));
        let named: HashSet<_> =
            stems.flat_map(|stem| [stem.with_extension("pack"), stem.with_extension("idx")]).collect();
        for entry in fs::read_dir(&self.packs).map_err(failed("list", &self.packs))? {
            let path = entry.map_err(failed("list", &self.packs))?.path();
            if !named.contains(&path) {
                fs::remove_file(&path).map_err(failed("remove", &path))?;
            }
        }
        Ok(())
    }
}

impl Store for PackStore {
    fn recover(&mut self, keep: &[&Generation]) -> Result<Vec<bool>> {
        self.sweep(keep)?;
        let is_sound = |generation: &&Generation| {
            generation.packs.iter().try_fold(true, |sound, &pack| Ok(sound && self.is_sound(pack)?))
        };
        keep.iter().map(is_sound).collect()
    }

    fn objects(&self, generation: &Generation) -> Result<Box<dyn Objects + '_>> {
        Ok(Box::new(self.generation(generation)?))
    }

    fn quarantine(&mut self, base: &Generation) -> Result<Box<dyn Quarantine + '_>> {
        let packs = self.generation(base)?;
        Ok(Box::new(Intake { store: self, base: base.clone(), packs, taken: Vec::new() }))
    }

    fn retain(&mut self, keep: &[&Generation]) -> Result<()> {
        self.sweep(keep)
    }
}

/// A pack that was taken in: where its files are, and its checksum.
struct Taken {
    stem: PathBuf,
    pack: Oid,
}

/// The quarantine: the packs of the base, then those that were taken in.
struct Intake<'a> {
    store: &'a PackStore,
    base: Generation,
    packs: Packs,
    taken: Vec<Taken>,
}

impl Intake<'_> {
    fn take_in(&self, source: &mut dyn Read, bounds: Bounds) -> Result<Option<Taken>> {
        let folder = &self.store.quarantine;
        make_folder(folder)?;
        let stem = folder.join(self.taken.len().to_string());
        let pack = intake::take_in(source, bounds, &self.packs, &stem);
        if !matches!(pack, Ok(Some(_))) {
            remove(&stem);
        }
        Ok(pack?.map(|pack| Taken { stem, pack }))
    }

    /// One pack of these objects.
    fn write(&self, names: &[(Oid, ObjectKind)]) -> Result<Taken> {
        let objects = pack::pick(&self.packs, names, limits::OBJECT_BYTES);
        let mut pack = pack::Stream::new(names.len(), objects)?;
        let taken = self.take_in(&mut pack, Bounds::OWN)?;
        taken.ok_or_else(|| Error::new(Reason::Bug, "a pack of a tip is empty"))
    }

    /// Makes a pack durable under its own name.
    fn make_durable(&self, taken: &Taken) -> Result<()> {
        for extension in ["pack", "idx"] {
            let path = taken.stem.with_extension(extension);
            File::open(&path).and_then(|file| file.sync_all()).map_err(failed("sync", &path))?;
        }
        for extension in ["pack", "idx"] {
            let path = taken.stem.with_extension(extension);
            let to = self.store.stem(taken.pack).with_extension(extension);
            fs::rename(&path, &to).map_err(failed("move", &path))?;
        }
        Ok(())
    }
}

impl Objects for Intake<'_> {
    fn read(&self, id: Oid, limit: usize) -> Result<Option<Object>> {
        self.packs.read(id, limit)
    }

    fn has(&self, id: Oid) -> Result<bool> {
        self.packs.has(id)
    }
}

impl Quarantine for Intake<'_> {
    fn ingest(&mut self, pack: &mut dyn Read) -> Result<()> {
        let bounds = Bounds::LINK.after(self.packs.size(self.base.packs.len()));
        if let Some(taken) = self.take_in(pack, bounds)? {
            self.packs.open(&taken.stem)?;
            self.taken.push(taken);
        }
        Ok(())
    }

    fn promote(self: Box<Self>, tip: Oid, device: &DeviceId) -> Result<Generation> {
        let names = Reads::of(&self.packs, tip, device)?.whole()?;
        if self.base.packs.len() == 1 && self.packs.is_first(&names) {
            return Ok(self.base.clone());
        }
        let whole = self.write(&names)?;
        self.make_durable(&whole)?;
        sync_folder(&self.store.packs)?;
        Ok(Generation { packs: vec![whole.pack] })
    }
}

impl Drop for Intake<'_> {
    /// Removes what was not promoted. What cannot be removed is swept by the next `retain` or `recover`.
    fn drop(&mut self) {
        self.taken.iter().for_each(|taken| remove(&taken.stem));
        let _ = fs::remove_dir(&self.store.quarantine);
    }
}

/// A file that ends in SHA-1 over all that stands before, and so holds what was written.
struct Checked {
    /// Its checksum.
    sum: [u8; 20],
    /// The twenty bytes before: in an index, the checksum of its pack.
    before: [u8; 20],
}

impl Checked {
    /// Reads a file; `None` if it is not there, cannot be read from the medium, or does not match its checksum.
    fn read(path: &Path) -> Result<Option<Self>> {
        match Self::try_read(path) {
            Ok(checked) => Ok(checked),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) if rustix::io::Errno::from_io_error(&e) == Some(rustix::io::Errno::IO) => Ok(None),
            Err(e) => Err(failed("read", path)(e)),
        }
    }

    fn try_read(path: &Path) -> io::Result<Option<Self>> {
        let mut file = File::open(path)?;
        let Some(mut left) = file.metadata()?.len().checked_sub(20) else { return Ok(None) };
        let (mut hash, mut buffer) = (gix::hash::hasher(gix::hash::Kind::Sha1), [0; 16 << 10]);
        let mut before = [0; 20];
        while left > 0 {
            let count = left.min(buffer.len() as u64) as usize;
            let bytes = &mut buffer[..count];
            file.read_exact(bytes)?;
            hash.update(bytes);
            let tail = count.min(20);
            before.copy_within(tail.., 0);
            before[20 - tail..].copy_from_slice(&bytes[count - tail..]);
            left -= count as u64;
        }
        let mut sum = [0; 20];
        file.read_exact(&mut sum)?;
        Ok(hash.try_finalize().is_ok_and(|hash| hash.as_slice() == sum).then_some(Self { sum, before }))
    }
}

/// Removes what a quarantined pack may have left. What stays is swept later.
fn remove(stem: &Path) {
    for extension in ["pack", "idx"] {
        let _ = fs::remove_file(stem.with_extension(extension));
    }
}

/// Makes a folder that only its owner can enter, and the folders above it, where there is none.
fn make_folder(path: &Path) -> Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed("make", path))
}

fn sync_folder(path: &Path) -> Result<()> {
    File::open(path).and_then(|folder| folder.sync_all()).map_err(failed("sync", path))
}

fn failed<'a>(verb: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> Error + use<'a> {
    move |e| Error::state(format!("cannot {verb} {}", path.display()), e)
}
