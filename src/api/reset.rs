//! A reset (`reset.yaml`): a root's word that devices may go back, the only exception from going forward.

use super::{ExchangeId, Name, Oid};

/// What `reset.yaml` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reset {
    /// `metadata.name`.
    pub name: Name,
    /// The exchange it is for.
    pub exchange: ExchangeId,
    /// Rises with every reset: a device follows each serial once.
    pub serial: u64,
    /// The devices that go back, as patterns of their names.
    pub devices: Vec<Box<str>>,
    /// What they go back to: the tip descends from it.
    pub commit: Oid,
}
