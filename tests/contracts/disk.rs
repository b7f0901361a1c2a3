//! The state folder in a temporary one.

use giter_edge::{disk::SlotLedger, reconcile::ports::Ledger};

pub(crate) struct Disk(tempfile::TempDir);

impl Disk {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn ledger(&self) -> Box<dyn Ledger> {
        Box::new(SlotLedger::new(self.0.path()))
    }
}
