//! The device's signature under its status: the status in the configured wire form, in a signed commit.

use super::commit::{StatusDraft, status_commit};
use crate::{
    api::{DeviceId, DeviceStatus, Oid, Result, object::NewObject},
    codec::{config::Format, keyfile::SecretKey, pubkey::PublicKey, status},
    reconcile::tick::Seal,
};

/// Seals one device's statuses.
pub struct StatusSeal {
    device: DeviceId,
    key: SecretKey,
    format: Format,
}

impl StatusSeal {
    /// The seal of a device with this key.
    pub fn new(device: DeviceId, key: SecretKey, format: Format) -> Self {
        Self { device, key, format }
    }
}

impl Seal for StatusSeal {
    fn key(&self) -> PublicKey {
        self.key.public()
    }

    fn seal(&self, status: &DeviceStatus, parent: Option<Oid>, time: i64, message: &str) -> Result<[NewObject; 3]> {
        let (file, content) = match self.format {
            Format::Compact => (status::FILES[0], status::encode(status)?),
            Format::Yaml => (status::FILES[1], status::to_yaml(status)?.into_bytes()),
        };
        status_commit(StatusDraft { device: &self.device, parent, time, message, file, content }, &self.key)
    }
}
