//! Words: names, ids, specs, status and errors whose values cannot be wrong once they exist.
//!
//! Nothing here does I/O or knows a wire form; `codec` turns bytes into these words and back.

pub mod board;
pub mod condition;
pub mod device;
pub mod error;
pub mod exchange;
pub mod finding;
pub mod ledger;
pub mod limits;
pub mod name;
pub mod object;
pub mod oid;
pub mod reset;
pub mod resource;
pub mod status;

pub use condition::{Condition, ConditionStatus, ConditionType};
pub use device::{Device, DeviceKey};
pub use error::{Class, Error, Exit, Reason, Result};
pub use exchange::{Exchange, Policy};
pub use finding::{Finding, Findings};
pub use name::{DeviceId, ExchangeId, Name, ResourceKey};
pub use oid::Oid;
pub use reset::Reset;
pub use resource::{Drift, Kind, Resource, Spec};
pub use status::{DeviceStatus, ResourceStatus};

/// The API group and version of every resource.
pub const API_VERSION: &str = "edge.giter.dev/v1alpha1";
