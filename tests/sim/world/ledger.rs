//! The [`Ledger`] on the simulated disk: two slots that take turns, as on a real one.

use giter_edge::{
    api::{Error, Reason, Result, ledger::Record},
    codec::record,
    reconcile::ports::Ledger,
};

use super::{Shared, disk::Disk};

const FOLDER: &str = "state";
const SLOTS: [&str; 2] = ["state/ledger.a", "state/ledger.b"];
const TEMPORARY: &str = "state/ledger.tmp";

pub(crate) struct SimLedger {
    world: Shared,
    /// The slot and the serial of the newest record that was loaded, or saved without an error; (1, 0) on a new device.
    newest: Option<(usize, u64)>,
}

impl SimLedger {
    pub(crate) fn new(world: &Shared) -> Self {
        Self { world: world.clone(), newest: None }
    }
}

/// The newest sound record; `None` if there were records and none is sound.
pub(crate) fn newest(disk: &Disk) -> Option<Record> {
    match sound(disk) {
        Some((_, record)) => Some(record),
        None if SLOTS.iter().all(|slot| disk.read(slot).is_none()) => Some(Record::default()),
        None => None,
    }
}

/// The slot of the newest sound record.
pub(crate) fn newest_slot(disk: &Disk) -> Option<&'static str> {
    sound(disk).map(|(slot, _)| SLOTS[slot])
}

fn sound(disk: &Disk) -> Option<(usize, Record)> {
    let read = |slot: usize| Some((slot, record::decode(disk.read(SLOTS[slot])?).ok()?));
    (0..SLOTS.len()).filter_map(read).max_by_key(|(_, record)| record.serial)
}

impl Ledger for SimLedger {
    fn load(&mut self) -> Result<Record> {
        let world = self.world.powered()?;
        let record = newest(&world.disk).ok_or_else(|| Error::new(Reason::LedgerDamaged, "no sound record is left"))?;
        self.newest = Some((sound(&world.disk).map_or(1, |(slot, _)| slot), record.serial));
        Ok(record)
    }

    fn save(&mut self, record: &Record) -> Result<()> {
        let bytes = record::encode(record)?;
        let (newest, serial) = match self.newest {
            Some(newest) => newest,
            None => {
                self.load()?;
                return self.save(record);
            }
        };
        if record.serial <= serial {
            return Err(Error::new(Reason::Bug, format!("the serial went from {serial} to {}", record.serial)));
        }
        let slot = 1 - newest;
        self.world.disk_effect("write", TEMPORARY)?.disk.write(TEMPORARY, &bytes);
        self.world.disk_effect("sync", TEMPORARY)?.disk.sync(TEMPORARY);
        self.world.disk_effect("rename to", SLOTS[slot])?.disk.rename(TEMPORARY, SLOTS[slot]);
        self.world.disk_effect("sync", FOLDER)?.disk.sync_folder(FOLDER);
        self.newest = Some((slot, record.serial));
        Ok(())
    }
}
