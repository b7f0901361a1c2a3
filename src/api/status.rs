//! What a device says of itself and its resources.

use serde::{Deserialize, Serialize};

use super::{Condition, DeviceId, Oid, ResourceKey, condition::Text};

/// The status of one device, as it travels in `status.postcard`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceStatus {
    /// Who speaks.
    pub device: DeviceId,
    /// The board's name.
    pub board: Text<48>,
    /// The agent's version.
    pub agent: Text<24>,
    /// The kernel's boot id: changes with every start of the board.
    pub boot_id: [u8; 16],
    /// Rises with every status; a gap or a repetition shows a lost or replayed one.
    pub sequence: u64,
    /// Seconds since the board started.
    pub uptime: u64,
    /// Whether the board's clock can be believed.
    pub clock: Clock,
    /// The last accepted commit of the exchange.
    pub observed_revision: Option<Oid>,
    /// How many times the tip advanced since the device was set up; stands still when the exchange is frozen.
    pub advances: u64,
    /// `Synced` and `Ready` of the device as a whole.
    pub conditions: heapless::Vec<Condition, 4>,
    /// Its resources, by kind and name.
    pub resources: Vec<ResourceStatus>,
    /// How many resources did not fit.
    pub lost: u32,
}

/// Whether the board's clock can be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Clock {
    /// It stands well before the newest commit that was accepted, so it is wrong.
    Behind,
    /// Nothing speaks against it.
    Plausible,
}

/// The status of one resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceStatus {
    /// Which resource.
    pub key: ResourceKey,
    /// The blob of the manifest that this speaks of.
    pub observed_digest: Oid,
    /// `Ready`, and `Drifted` or `Degraded` where there is something to say.
    pub conditions: heapless::Vec<Condition, 3>,
    /// What was seen, such as `value: high`.
    pub observed: heapless::Vec<Field, 4>,
}

impl ResourceStatus {
    /// The condition of the given type.
    pub fn condition(&self, kind: super::ConditionType) -> Option<&Condition> {
        self.conditions.iter().find(|condition| condition.kind == kind)
    }
}

/// One observed value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// Its name, in camelCase.
    pub name: Text<16>,
    /// Its value as text.
    pub value: Text<80>,
}

impl Field {
    /// A named value.
    pub fn new(name: &str, value: impl ToString) -> Self {
        Self { name: Text::new(name), value: Text::new(&value.to_string()) }
    }
}
