//! What the exchange says of a device itself (`kind: Device`): the keys that speak for it, and for whom it carries.

use super::{DeviceId, Name};

/// How the principals of devices end.
pub const PLACE: &str = "@giter";

/// Who a device is in its commits and in an allowed_signers file: `<device>@giter`.
pub fn principal(device: &DeviceId) -> String {
    format!("{device}{PLACE}")
}

/// What a `Device` resource says. The texts are as its publisher wrote them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// `metadata.name`: the last part of the device's name.
    pub name: Name,
    /// The keys that may sign the device's statuses.
    pub status_keys: Vec<DeviceKey>,
    /// The keys with which the device logs in to the hub, as `ssh-ed25519 AAAA... comment`.
    pub ssh_keys: Vec<Box<str>>,
    /// The devices that it carries for: it may hand on their statuses and requests.
    pub relays: Vec<DeviceId>,
}

/// A key of a device, and from when until when it counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceKey {
    /// The key, as `ssh-ed25519 AAAA... comment`.
    pub key: Box<str>,
    /// The first day on which the key counts.
    pub valid_after: Option<Box<str>>,
    /// The first day on which it counts no more.
    pub valid_before: Option<Box<str>>,
}
