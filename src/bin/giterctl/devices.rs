//! What the exchange says of its devices themselves: the `Device` resources of one commit.

use std::collections::BTreeMap;

use giter_edge::{
    api::{Device, DeviceId, Findings, Oid, Result, limits},
    codec::{device, manifest, signers::Keyring},
};

use crate::{git::Git, layout, repository::blob};

/// The devices that a commit says anything of.
#[derive(Default)]
pub(crate) struct Devices(BTreeMap<DeviceId, Device>);

impl Devices {
    /// Reads the manifests of a commit. What is wrong in them is for `giterctl lint`: a device of which two resources
    /// speak, or one by another name, is left out, as the device itself would refuse them.
    ///
    /// # Errors
    ///
    /// `GitFailed`.
    pub(crate) fn at(git: &Git, commit: &str) -> Result<Self> {
        let listing = git.run(&["ls-tree", "-r", "-z", "--full-tree", commit, "specs/"])?;
        let (mut batch, mut found) = (git.batch()?, BTreeMap::<DeviceId, Vec<Device>>::new());
        for entry in listing.split_terminator('\0') {
            let Some((id, path)) = blob(entry).filter(|(_, path)| layout::is_manifest(path)) else { continue };
            let Some(device) = device_of(path) else { continue };
            if let Some(bytes) = batch.read(&id.to_string(), limits::MANIFEST_BYTES)? {
                found.entry(device).or_default().extend(declared(path, id, &bytes));
            }
        }
        let one = |(id, mut devices): (DeviceId, Vec<Device>)| match devices.len() {
            1 => devices.pop().filter(|device| last_part(&id) == device.name.as_str()).map(|device| (id, device)),
            _ => None,
        };
        Ok(Self(found.into_iter().filter_map(one).collect()))
    }

    /// What is said of a device.
    pub(crate) fn get(&self, device: &DeviceId) -> Option<&Device> {
        self.0.get(device)
    }

    /// All of which anything is said.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&DeviceId, &Device)> {
        self.0.iter()
    }
}

/// The keys that may sign the statuses of devices, each under the principal `<device>@giter`.
///
/// # Errors
///
/// `InvalidValue`, which a manifest that was read does not have.
pub(crate) fn device_signers(devices: &Devices) -> Result<Keyring> {
    let mut signers = Vec::new();
    for (id, says) in devices.iter() {
        signers.extend_from_slice(device::status_keys(id, says)?.signers());
    }
    Ok(Keyring::new(signers))
}

/// What a manifest says of devices, if anything. Most do not, and are not parsed.
fn declared(path: &str, id: Oid, bytes: &[u8]) -> Vec<Device> {
    const KIND: &[u8] = b"Device";
    if !bytes.windows(KIND.len()).any(|window| window == KIND) {
        return Vec::new();
    }
    let read = manifest::parse(path, id, bytes, &mut Findings::default());
    read.devices.into_iter().map(|declared| declared.device).collect()
}

/// What a device is called in its folder.
pub(crate) fn last_part(device: &DeviceId) -> &str {
    device.as_str().rsplit('/').next().unwrap_or_default()
}

/// The device in whose folder a manifest stands.
fn device_of(path: &str) -> Option<DeviceId> {
    path.strip_prefix("specs/")?.rsplit_once('/')?.0.parse().ok()
}
