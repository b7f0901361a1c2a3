//! From verified to desired: what the exchange asks of this device.

use crate::api::{ExchangeId, Oid, Resource};

/// Everything that a snapshot asks of this device.
#[derive(Clone, Debug, PartialEq)]
pub struct Desired {
    /// The commit it stands in.
    pub revision: Oid,
    /// The exchange's id, where `exchange.yaml` gives one.
    pub exchange: Option<ExchangeId>,
    /// The resources, each after those that its `after` names, otherwise in the order of the files' names.
    pub resources: Vec<Resource>,
}
