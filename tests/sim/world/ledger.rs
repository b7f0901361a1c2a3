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

pub(crate) struct SimLedger(Shared);

impl SimLedger {
    pub(crate) fn new(world: &Shared) -> Self {
        Self(world.clone())
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

fn sound(disk: &Disk) -> Option<(usize, Record)> {
    let read = |slot: usize| Some((slot, record::decode(disk.read(SLOTS[slot])?).ok()?));
    (0..SLOTS.len()).filter_map(read).max_by_key(|(_, record)| record.serial)
}

impl Ledger for SimLedger {
    fn load(&mut self) -> Result<Record> {
        let world = self.0.powered()?;
        newest(&world.disk).ok_or_else(|| Error::new(Reason::LedgerDamaged, "no sound record is left"))
    }

    fn save(&mut self, record: &Record) -> Result<()> {
        let bytes = record::encode(record)?;
        let newest = sound(&self.0.powered()?.disk);
        if newest.as_ref().is_some_and(|(_, newest)| record.serial <= newest.serial) {
            return Err(Error::new(Reason::Bug, format!("serial {} does not rise", record.serial)));
        }
        let slot = SLOTS[newest.map_or(0, |(slot, _)| 1 - slot)];
        self.0.disk_effect("write", TEMPORARY)?.disk.write(TEMPORARY, &bytes);
        self.0.disk_effect("sync", TEMPORARY)?.disk.sync(TEMPORARY);
        self.0.disk_effect("rename to", slot)?.disk.rename(TEMPORARY, slot);
        self.0.disk_effect("sync", FOLDER)?.disk.sync_folder(FOLDER);
        Ok(())
    }
}
