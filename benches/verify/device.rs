//! A device as far as it verifies: its store, its floor, and what git sent it.

use std::{fs::File, path::Path};

use giter_edge::{
    api::{
        Oid,
        ledger::{Accepted, Generation},
    },
    codec::signers::Keyring,
    git::PackStore,
    reconcile::{
        ports::{Objects, Store},
        verify::{Policy, Reads, Trust, verify},
    },
};

use crate::{Result, exchange::Exchange};

/// A device with the root file of an exchange.
pub(crate) struct Device {
    store: PackStore,
    keyring: Keyring,
}

impl Device {
    /// The device with its state in a folder.
    pub(crate) fn open(dir: &Path, root_file: &Path) -> Result<Self> {
        let keyring = Keyring::parse("root.keys", &std::fs::read(root_file)?)?;
        Ok(Self { store: PackStore::open(dir)?, keyring })
    }

    /// Takes in a pack on top of what is there, and keeps it.
    pub(crate) fn keep(&mut self, pack: &Path, base: &Generation, tip: Oid) -> Result<Generation> {
        let mut quarantine = self.store.quarantine(base)?;
        quarantine.ingest(&mut File::open(pack)?)?;
        Ok(quarantine.promote(tip, &Exchange::DEVICE.parse()?)?)
    }

    /// Takes in a pack on top of what is there, and drops it.
    pub(crate) fn take_in(&mut self, pack: &Path, base: &Generation) -> Result<()> {
        Ok(self.store.quarantine(base)?.ingest(&mut File::open(pack)?)?)
    }

    /// The objects that are kept.
    pub(crate) fn objects(&self, generation: &Generation) -> Result<Box<dyn Objects + '_>> {
        Ok(self.store.objects(generation)?)
    }

    /// Verifies a tip on top of a floor, as a device does that polls.
    pub(crate) fn verify(&self, tip: Oid, floor: Option<&Accepted>, objects: &dyn Objects) -> Result<Accepted> {
        let device = Exchange::DEVICE.parse()?;
        let trust = Trust {
            floor,
            previous: None,
            policy: Policy::Range,
            keyring: &self.keyring,
            exchange: None,
            reads: Reads::Device(&device),
            now: None,
        };
        Ok(verify(tip, &trust, objects)?.accepted().clone())
    }
}
