//! A device's keys, as `kind: Device` names them, and such a manifest as the programs write it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{
    signers::{Keyring, Signer},
    yaml,
};
use crate::api::{API_VERSION, Device, DeviceId, DeviceKey, Error, Reason, Result, device::principal};

/// The keys that speak for the device, each under the principal `<device>@giter` and in git's namespace alone.
///
/// # Errors
///
/// `InvalidValue` for a key or time that is none.
pub fn status_keys(device: &DeviceId, says: &Device) -> Result<Keyring> {
    let principal = principal(device);
    let signer = |DeviceKey { key, valid_after, valid_before }: &DeviceKey| {
        Signer::from_manifest(&principal, key, valid_after.as_deref(), valid_before.as_deref()).map_err(|wrong| {
            let what = format!("the Device of {device} has a status key that is none");
            Error::new(Reason::InvalidValue, what).caused_by(wrong)
        })
    };
    says.status_keys.iter().map(signer).collect::<Result<_>>().map(Keyring::new)
}

/// The manifest of a device, with annotations: one document, and nothing in it but what is given.
///
/// # Errors
///
/// `Bug` if it cannot be written.
pub fn to_yaml(device: &Device, annotations: &BTreeMap<&str, &str>) -> Result<String> {
    let Device { name, status_keys, ssh_keys, relays } = device;
    yaml::to_string(&View {
        api_version: API_VERSION,
        kind: "Device",
        metadata: MetadataView { name: name.as_str(), annotations },
        spec: SpecView { status_keys: status_keys.iter().map(KeyView::from).collect(), ssh_keys, relays },
    })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct View<'a> {
    api_version: &'a str,
    kind: &'a str,
    metadata: MetadataView<'a>,
    spec: SpecView<'a>,
}

#[derive(Serialize)]
struct MetadataView<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: &'a BTreeMap<&'a str, &'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SpecView<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    status_keys: Vec<KeyView<'a>>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    ssh_keys: &'a [Box<str>],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    relays: &'a [DeviceId],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct KeyView<'a> {
    key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    valid_after: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    valid_before: Option<&'a str>,
}

impl<'a> From<&'a DeviceKey> for KeyView<'a> {
    fn from(DeviceKey { key, valid_after, valid_before }: &'a DeviceKey) -> Self {
        Self { key, valid_after: valid_after.as_deref(), valid_before: valid_before.as_deref() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::{Findings, Oid},
        codec::{keyfile::SecretKey, manifest},
    };

    #[test]
    fn what_is_written_is_read_back() {
        let key = |seed: u8| SecretKey::from_seed(&[seed; 32]).public().to_openssh();
        let status_key = |seed, after: Option<&str>, before: Option<&str>| DeviceKey {
            key: format!("{} a # comment: \"it's\"", key(seed)).into(),
            valid_after: after.map(Into::into),
            valid_before: before.map(Into::into),
        };
        for name in ["pump-07", "007", "true", "null", "1e3", "0x7"] {
            let device = Device {
                name: name.parse().unwrap(),
                status_keys: vec![
                    status_key(1, None, Some("2026-11-21")),
                    status_key(2, Some("2026-11-21T05:17:09Z"), None),
                ],
                ssh_keys: vec![key(3).into()],
                relays: vec!["site-a/pump-08".parse().unwrap(), "true".parse().unwrap()],
            };
            let annotations = BTreeMap::from([("edge.giter.dev/board", "a: [b"), ("edge.giter.dev/agent", "1.0")]);
            let text = to_yaml(&device, &annotations).unwrap();
            let mut findings = Findings::default();
            let read = manifest::parse("device.yaml", Oid::new([0; 20]), text.as_bytes(), &mut findings);
            assert!(findings.is_empty(), "{findings:?}\n{text}");
            assert_eq!(read.devices[0].device, device, "{text}");
        }
    }
}
