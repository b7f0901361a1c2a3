//! The ledger on two slots, `ledger.a` and `ledger.b` in the state folder.
//!
//! A save replaces the slot that does not hold the newest record, whole and durably (see [`atomic`]); so the newest
//! one stands untouched until the next is on the disk, and stands by after that should the next one rot. Of two sound
//! records the one with the larger serial counts; who saves a record has raised its serial.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use super::atomic::{self, Access};
use crate::{
    api::{Error, Reason, Result, ledger::Record, limits},
    codec::record,
    reconcile::ports::Ledger,
};

const SLOTS: [&str; 2] = ["ledger.a", "ledger.b"];

/// The ledger of one state folder. Who saves holds the folder's [`StateLock`](super::StateLock).
#[derive(Debug)]
pub struct SlotLedger {
    state: PathBuf,
    newest: Option<Newest>,
}

/// Where the newest record is: what a save must not touch, and must surpass.
#[derive(Clone, Copy, Debug)]
struct Newest {
    slot: usize,
    serial: u64,
}

impl Newest {
    /// Without any record the first goes to the first slot.
    const NONE: Self = Self { slot: 1, serial: 0 };
}

impl SlotLedger {
    /// The ledger in the given state folder, which is not touched before the first `load` or `save`.
    pub fn new(state: &Path) -> Self {
        Self { state: state.to_owned(), newest: None }
    }

    /// The slot's record, if the slot was ever written, or what is wrong with it.
    fn read(&self, slot: &str) -> Result<Option<Result<Record, String>>> {
        let path = self.state.join(slot);
        let file = match File::open(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::state(format!("cannot read {}", path.display()), e)),
            Ok(file) => file,
        };
        let mut bytes = Vec::new();
        let read = file.take(limits::RECORD_BYTES as u64 + 1).read_to_end(&mut bytes);
        let record = read.map_err(|e| e.to_string()).and_then(|_| record::decode(&bytes).map_err(str::to_owned));
        Ok(Some(record))
    }

    fn newest(&mut self) -> Result<Newest> {
        match self.newest {
            Some(newest) => Ok(newest),
            None => {
                self.load()?;
                Ok(self.newest.unwrap_or(Newest::NONE))
            }
        }
    }
}

impl Ledger for SlotLedger {
    fn load(&mut self) -> Result<Record> {
        let mut sound: Option<(usize, Record)> = None;
        let mut damaged = Vec::new();
        for (slot, name) in SLOTS.iter().enumerate() {
            match self.read(name)? {
                None => {}
                Some(Ok(record)) if sound.as_ref().is_some_and(|(_, other)| other.serial >= record.serial) => {}
                Some(Ok(record)) => sound = Some((slot, record)),
                Some(Err(why)) => damaged.push(format!("{name} ({why})")),
            }
        }
        let damaged = damaged.join(" and ");
        let Some((slot, record)) = sound else {
            self.newest = damaged.is_empty().then_some(Newest::NONE);
            return if damaged.is_empty() { Ok(Record::default()) } else { Err(lost(&self.state, &damaged)) };
        };
        if !damaged.is_empty() {
            log::warn!("{} lost {damaged}; {} counts", self.state.display(), SLOTS[slot]);
        }
        self.newest = Some(Newest { slot, serial: record.serial });
        Ok(record)
    }

    fn save(&mut self, record: &Record) -> Result<()> {
        let newest = self.newest()?;
        if record.serial <= newest.serial {
            let what = format!("the ledger's serial went from {} to {}", newest.serial, record.serial);
            return Err(Error::new(Reason::Bug, what));
        }
        let slot = 1 - newest.slot;
        let bytes = record::encode(record)?;
        File::open(&self.state)
            .and_then(|folder| atomic::replace(folder, SLOTS[slot], &bytes, Access::PRIVATE))
            .map_err(|e| Error::state(format!("cannot write {}", self.state.join(SLOTS[slot]).display()), e))?;
        self.newest = Some(Newest { slot, serial: record.serial });
        Ok(())
    }
}

fn lost(state: &Path, damaged: &str) -> Error {
    Error::new(Reason::LedgerDamaged, format!("no sound record is left in {}: {damaged}", state.display())).hint(
        "remove ledger.a and ledger.b: which tip was accepted last is then taken from trust.floor, or from the device's \
         last status at the hub; what resources it had in hand is forgotten",
    )
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn record(serial: u64) -> Record {
        Record { serial, advances: serial * 10, ..Record::default() }
    }

    /// A ledger with records 1 to `saves`.
    fn ledger(state: &Path, saves: u64) -> SlotLedger {
        let mut ledger = SlotLedger::new(state);
        (1..=saves).for_each(|serial| ledger.save(&record(serial)).unwrap());
        ledger
    }

    #[test]
    fn the_slots_take_turns() {
        let dir = tempfile::tempdir().unwrap();
        for (saves, slot) in [(1, "ledger.a"), (2, "ledger.b"), (3, "ledger.a")] {
            let before = fs::read(dir.path().join(slot)).ok();
            SlotLedger::new(dir.path()).save(&record(saves)).unwrap();
            assert_ne!(fs::read(dir.path().join(slot)).ok(), before);
            assert_eq!(SlotLedger::new(dir.path()).load().unwrap(), record(saves));
        }
        assert_eq!(dir.path().read_dir().unwrap().count(), 2);
    }

    #[test]
    fn a_damaged_slot_falls_back_to_the_other_and_is_written_next() {
        let damages: [fn(&Path); 4] = [
            |slot| fs::write(slot, "").unwrap(),
            |slot| fs::write(slot, [0; 4096]).unwrap(),
            |slot| fs::write(slot, vec![0; limits::RECORD_BYTES + 4096]).unwrap(),
            |slot| {
                fs::remove_file(slot).unwrap();
                fs::create_dir(slot).unwrap();
            },
        ];
        for damage in damages {
            let dir = tempfile::tempdir().unwrap();
            ledger(dir.path(), 2);
            damage(&dir.path().join("ledger.b"));
            assert_eq!(SlotLedger::new(dir.path()).load().unwrap(), record(1));
        }
        let dir = tempfile::tempdir().unwrap();
        ledger(dir.path(), 2);
        damages[1](&dir.path().join("ledger.b"));
        SlotLedger::new(dir.path()).save(&record(2)).unwrap();
        damages[1](&dir.path().join("ledger.a"));
        assert_eq!(SlotLedger::new(dir.path()).load().unwrap(), record(2));
    }

    #[test]
    fn nothing_sound_is_an_error_and_nothing_at_all_is_a_new_device() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(SlotLedger::new(dir.path()).load().unwrap(), Record::default());
        assert_eq!(SlotLedger::new(&dir.path().join("missing")).load().unwrap(), Record::default());
        fs::write(dir.path().join("ledger.b"), "x").unwrap();
        let error = SlotLedger::new(dir.path()).load().unwrap_err();
        assert_eq!(error.reason(), Reason::LedgerDamaged);
        assert!(error.to_string().ends_with("ledger.b (it is too short)"), "{error}");
        assert_eq!(SlotLedger::new(dir.path()).save(&record(1)).unwrap_err().reason(), Reason::LedgerDamaged);
    }

    #[test]
    fn a_serial_that_does_not_rise_is_a_bug() {
        let dir = tempfile::tempdir().unwrap();
        let mut ledger = ledger(dir.path(), 3);
        assert_eq!(ledger.save(&record(3)).unwrap_err().reason(), Reason::Bug);
        assert_eq!(ledger.load().unwrap(), record(3));
    }

    #[test]
    fn what_a_failed_first_save_left_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let mut ledger = SlotLedger::new(dir.path());
        assert_eq!(ledger.load().unwrap(), Record::default());
        SlotLedger::new(dir.path()).save(&record(1)).unwrap();
        let again = Record { advances: 7, ..record(1) };
        ledger.save(&again).unwrap();
        assert_eq!(SlotLedger::new(dir.path()).load().unwrap(), again);
    }

    #[test]
    fn a_failed_save_leaves_the_newest_record() {
        let dir = tempfile::tempdir().unwrap();
        let mut ledger = ledger(dir.path(), 1);
        fs::create_dir(dir.path().join("ledger.b")).unwrap();
        assert_eq!(ledger.save(&record(2)).unwrap_err().reason(), Reason::StateFailed);
        assert_eq!(ledger.load().unwrap(), record(1));
        fs::remove_dir(dir.path().join("ledger.b")).unwrap();
        ledger.save(&record(2)).unwrap();
        assert_eq!(SlotLedger::new(dir.path()).load().unwrap(), record(2));
    }
}
