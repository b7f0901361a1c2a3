//! The second copy of the floor, on the simulated disk and outside the state folder.

use giter_edge::{
    api::{
        Error, Reason, Result,
        ledger::{Floor, Record},
    },
    codec::floor,
    reconcile::ports::FloorCopy,
};

use super::{Shared, disk::Disk};

const FOLDER: &str = "boot";
/// Where it lies.
pub(crate) const PATH: &str = "boot/giter.floor";
const TEMPORARY: &str = "boot/giter.floor.tmp";

pub(crate) struct SimFloor(Shared);

impl SimFloor {
    pub(crate) fn new(world: &Shared) -> Self {
        Self(world.clone())
    }
}

/// The record that counts, by both copies of its floor.
pub(crate) fn raised(disk: &Disk, record: Record) -> Record {
    match disk.read(PATH).and_then(|bytes| floor::decode(bytes).ok()) {
        Some(floor) if floor.advances > record.advances => record.raised(floor),
        _ => record,
    }
}

impl FloorCopy for SimFloor {
    fn load(&mut self) -> Result<Option<Floor>> {
        let world = self.0.powered()?;
        let decode = |bytes| floor::decode(bytes).map_err(|why| Error::new(Reason::FloorDamaged, why));
        world.disk.read(PATH).map(decode).transpose()
    }

    fn save(&mut self, floor: &Floor) -> Result<()> {
        let bytes = floor::encode(floor)?;
        self.0.disk_effect("write", TEMPORARY)?.disk.write(TEMPORARY, &bytes);
        self.0.disk_effect("sync", TEMPORARY)?.disk.sync(TEMPORARY);
        self.0.disk_effect("rename to", PATH)?.disk.rename(TEMPORARY, PATH);
        self.0.disk_effect("sync", FOLDER)?.disk.sync_folder(FOLDER);
        Ok(())
    }
}
