//! The device's signature under its status: the status in the configured wire form, in a signed commit.

use super::{
    commit::{StatusDraft, status_commit},
    pack,
};
use crate::{
    api::{DeviceId, DeviceStatus, Oid, Result, limits},
    codec::{config::Format, keyfile::SecretKey, pubkey::PublicKey, status},
    reconcile::tick::{Seal, Sealed},
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

    fn seal(&self, status: &DeviceStatus, parent: Option<Oid>, time: i64, message: String) -> Result<Sealed> {
        let (file, content) = match self.format {
            Format::Compact => (status::FILES[0], status::encode(status)?),
            Format::Yaml => (status::FILES[1], status::to_yaml(status)?.into_bytes()),
        };
        let draft = StatusDraft { device: &self.device, parent, time, message: &message, file, content };
        let objects = status_commit(draft, &self.key)?;
        drop(message);
        let bytes = limits::PUSH_OVERHEAD + pack::size(&objects)?;
        Ok(Sealed { objects, bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::{
            Condition, ConditionStatus, ConditionType, ResourceStatus,
            condition::Text,
            status::{Clock, Field},
        },
        reconcile::report,
    };

    fn status() -> DeviceStatus {
        let is = |kind, reason| Condition::new(kind, ConditionStatus::True, reason, "");
        let resource = ResourceStatus {
            key: "GpioLine/pump-relay".parse().unwrap(),
            observed_digest: Oid::new(
                *b"\x9f\x2c\x61\xd0\xa7\xb4\x11\xe3\x55\x0a\x7e\x90\xcc\x08\x3d\x42\x6b\xf1\x2e\x77",
            ),
            conditions: [is(ConditionType::Ready, "Applied")].into_iter().collect(),
            observed: [Field::new("value", "high")].into_iter().collect(),
        };
        DeviceStatus {
            device: "site-a/pump-07".parse().unwrap(),
            board: Text::new("raspberry-pi-4b"),
            agent: Text::new("0.1.0"),
            boot_id: *b"\x5f\x0c\x1f\x0e\x3d\x5b\x4d\x0e\x9a\x7c\x2b\x6e\x8f\x1a\x4c\x3d",
            sequence: 300,
            uptime: 86_400,
            clock: Clock::Plausible,
            observed_revision: Some(Oid::new(
                *b"\x1b\x7d\x58\x1a\x04\xb4\xe1\x37\x50\x61\x35\x4d\xab\x39\xf2\xb1\xc5\x1d\xe1\x7c",
            )),
            advances: 17,
            conditions: [is(ConditionType::Synced, "Accepted"), is(ConditionType::Ready, "AllReady")]
                .into_iter()
                .collect(),
            resources: vec![resource],
            lost: 0,
        }
    }

    #[test]
    fn a_status_of_one_resource_takes_little() {
        let seal = StatusSeal::new("site-a/pump-07".parse().unwrap(), SecretKey::from_seed(&[7; 32]), Format::Compact);
        let status = status();
        let message = report::message(&status, []);
        let parent =
            Some(Oid::new(*b"\x7a\x90\x1c\xee\x42\x0b\x6d\x13\xf8\x27\x95\x5e\x31\xa4\xc0\x66\x8b\xd9\x04\x72"));
        let sealed = seal.seal(&status, parent, 1_795_000_000, message).unwrap();
        let pack = pack::write(&sealed.objects).unwrap();
        assert_eq!(sealed.bytes, limits::PUSH_OVERHEAD + pack.len() as u64);
        assert!(pack.len() < 1_000, "{}", pack.len());
    }
}
