//! The [`Store`] on the simulated disk.
//!
//! A pack is the objects one after the other and a checksum; its name is that of a git blob with its bytes. A promoted
//! pack has what the device reads of the tip.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Read,
};

use giter_edge::{
    api::{DeviceId, Error, Oid, Reason, Result, ledger::Generation, limits},
    git::{pack, reads::Reads},
    reconcile::ports::{NewObject, Object, ObjectKind, Objects, Quarantine, Store},
};

use super::{Shared, disk::Disk};

const PACKS: &str = "state/packs";
const QUARANTINE: &str = "state/quarantine";
const SUM: usize = 20;

pub(crate) struct SimStore(Shared);

impl SimStore {
    pub(crate) fn new(world: &Shared) -> Self {
        Self(world.clone())
    }

    /// Removes every file that no generation names.
    fn sweep(&self, keep: &[&Generation]) -> Result<()> {
        let world = self.0.powered()?;
        let mut files = paths(&world.disk, QUARANTINE);
        files.extend(paths(&world.disk, PACKS));
        drop(world);
        let named: BTreeSet<_> = keep.iter().flat_map(|generation| &generation.packs).map(|&pack| path(pack)).collect();
        for file in files.iter().filter(|file| !named.contains(*file)) {
            self.0.disk_effect("remove", file)?.disk.remove(file);
        }
        Ok(())
    }
}

/// The objects of a generation; `None` if a pack is missing or damaged.
pub(crate) fn load(disk: &Disk, generation: &Generation) -> Option<SimObjects> {
    let mut objects = SimObjects::default();
    for &pack in &generation.packs {
        let bytes = disk.read(&path(pack)).filter(|bytes| name(bytes) == pack)?;
        objects.0.extend(parse(bytes)?.into_iter().map(|new| (new.id, new.object)));
    }
    Some(objects)
}

/// The files of the packs that these generations name.
pub(crate) fn files_of<'a>(generations: impl IntoIterator<Item = &'a Generation>) -> BTreeSet<String> {
    generations.into_iter().flat_map(|generation| &generation.packs).map(|&pack| path(pack)).collect()
}

/// The files of all packs, promoted or not.
pub(crate) fn files(disk: &Disk) -> BTreeSet<String> {
    [PACKS, QUARANTINE].iter().flat_map(|folder| paths(disk, folder)).collect()
}

/// The bytes that a link hands to a quarantine.
pub(crate) fn write(objects: &[NewObject]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for NewObject { object, .. } in objects {
        bytes.push(object.kind as u8);
        bytes.extend((object.data.len() as u32).to_le_bytes());
        bytes.extend(&object.data);
    }
    let sum = name(&bytes);
    bytes.extend(sum.as_bytes());
    bytes
}

fn parse(bytes: &[u8]) -> Option<Vec<NewObject>> {
    let (mut rest, sum) = bytes.split_last_chunk::<SUM>()?;
    if name(rest).as_bytes() != sum {
        return None;
    }
    let mut objects = Vec::new();
    while let Some((&[kind, ref size @ ..], after)) = rest.split_first_chunk::<5>() {
        let kind = [ObjectKind::Commit, ObjectKind::Tree, ObjectKind::Blob][usize::from(kind)];
        let (data, after) = after.split_at(u32::from_le_bytes(*size) as usize);
        rest = after;
        let id = pack::id_of(kind, data).unwrap();
        objects.push(NewObject { id, object: Object { kind, data: data.to_vec() } });
    }
    Some(objects)
}

fn name(bytes: &[u8]) -> Oid {
    pack::id_of(ObjectKind::Blob, bytes).unwrap()
}

/// The file of a pack.
pub(crate) fn path(pack: Oid) -> String {
    format!("{PACKS}/{pack}")
}

fn paths(disk: &Disk, folder: &str) -> Vec<String> {
    disk.list(folder).iter().map(|name| format!("{folder}/{name}")).collect()
}

fn damaged() -> Error {
    Error::new(Reason::StateFailed, "a pack is missing or damaged")
}

impl Store for SimStore {
    fn recover(&mut self, keep: &[&Generation]) -> Result<Vec<bool>> {
        self.sweep(keep)?;
        let world = self.0.powered()?;
        Ok(keep.iter().map(|generation| load(&world.disk, generation).is_some()).collect())
    }

    fn objects(&self, generation: &Generation) -> Result<Box<dyn Objects + '_>> {
        let world = self.0.powered()?;
        Ok(Box::new(load(&world.disk, generation).ok_or_else(damaged)?))
    }

    fn quarantine(&mut self, base: &Generation) -> Result<Box<dyn Quarantine + '_>> {
        let world = self.0.powered()?;
        let below = load(&world.disk, base).ok_or_else(damaged)?;
        Ok(Box::new(Intake { world: self.0.clone(), all: below, taken: 0 }))
    }

    fn retain(&mut self, keep: &[&Generation]) -> Result<()> {
        self.sweep(keep)
    }
}

/// Objects in memory.
#[derive(Clone, Default)]
pub(crate) struct SimObjects(pub(crate) BTreeMap<Oid, Object>);

impl Objects for SimObjects {
    fn read(&self, id: Oid, limit: usize) -> Result<Option<Object>> {
        match self.0.get(&id) {
            Some(object) if object.data.len() > limit => {
                Err(Error::new(Reason::FileTooLarge, format!("{id} has more than {limit} bytes")))
            }
            object => Ok(object.cloned()),
        }
    }

    fn has(&self, id: Oid) -> Result<bool> {
        Ok(self.0.contains_key(&id))
    }
}

struct Intake {
    world: Shared,
    /// The base's objects, and those that were taken in.
    all: SimObjects,
    taken: usize,
}

impl Objects for Intake {
    fn read(&self, id: Oid, limit: usize) -> Result<Option<Object>> {
        self.all.read(id, limit)
    }

    fn has(&self, id: Oid) -> Result<bool> {
        self.all.has(id)
    }
}

impl Quarantine for Intake {
    fn ingest(&mut self, pack: &mut dyn Read) -> Result<()> {
        let mut bytes = Vec::new();
        let unread = |e| pack::unwrap(e, |e| Error::new(Reason::HubUnreachable, "the hub broke off").caused_by(e));
        pack.read_to_end(&mut bytes).map_err(unread)?;
        let objects = parse(&bytes).ok_or_else(|| Error::new(Reason::PackInvalid, "the pack cannot be read"))?;
        if objects.iter().any(|new| new.object.data.len() > limits::OBJECT_BYTES) {
            return Err(Error::new(Reason::PackTooLarge, "the pack has an object that is too large"));
        }
        let path = format!("{QUARANTINE}/{}", self.taken);
        self.world.disk_effect("write", &path)?.disk.write(&path, &bytes);
        self.taken += 1;
        self.all.0.extend(objects.into_iter().map(|new| (new.id, new.object)));
        Ok(())
    }

    fn promote(self: Box<Self>, tip: Oid, device: &DeviceId) -> Result<Generation> {
        let names = Reads::of(&self.all, tip, device)?.whole()?;
        let objects = pack::pick(&self.all, &names, limits::OBJECT_BYTES).collect::<Result<Vec<_>>>()?;
        let new: Vec<_> = names.iter().zip(objects).map(|(&(id, _), object)| NewObject { id, object }).collect();
        let bytes = write(&new);
        let pack = name(&bytes);
        let (from, to) = (format!("{QUARANTINE}/new"), path(pack));
        self.world.disk_effect("write", &from)?.disk.write(&from, &bytes);
        self.world.disk_effect("sync", &from)?.disk.sync(&from);
        self.world.disk_effect("rename to", &to)?.disk.rename(&from, &to);
        self.world.disk_effect("sync", PACKS)?.disk.sync_folder(PACKS);
        Ok(Generation { packs: vec![pack] })
    }
}

impl Drop for Intake {
    /// What is left is swept later if the power is gone.
    fn drop(&mut self) {
        if let Ok(mut world) = self.world.powered() {
            for path in paths(&world.disk, QUARANTINE) {
                world.disk.remove(&path);
            }
        }
    }
}
