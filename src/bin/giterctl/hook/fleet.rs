//! Every device's manifests at one commit: the list of them, and which devices a key is named by.

use std::collections::BTreeSet;

use giter_edge::{
    api::{Device, DeviceId, Error, Oid, Reason, Result, limits},
    codec::pubkey::PublicKey,
    reconcile::{
        decode::{self, GitTree, Refused},
        ports::{Object, Objects},
    },
};

use crate::{git::Git, layout, objects::GitObjects};

/// The manifests below `specs/`.
pub(crate) struct Fleet {
    tree: Oid,
    manifests: Vec<(Oid, String)>,
}

impl Fleet {
    /// The manifests of a tree.
    ///
    /// # Errors
    ///
    /// `GitFailed`.
    pub(crate) fn of(git: &Git, tree: Oid) -> Result<Self> {
        let listing = git.run(&["ls-tree", "-r", "-z", "--full-tree", &tree.to_string(), "specs/"])?;
        let entry = |entry: &str| {
            let (about, path) = entry.split_once('\t')?;
            let id = about.rsplit(' ').next()?.parse().ok()?;
            layout::is_manifest(path).then(|| (id, path.to_owned()))
        };
        Ok(Self { tree, manifests: listing.split_terminator('\0').filter_map(entry).collect() })
    }

    /// The devices whose manifests lie in these folders, and the names of folders that no device can have.
    ///
    /// # Errors
    ///
    /// The repository cannot be read.
    pub(super) fn devices_in(
        &self,
        places: &BTreeSet<&str>,
        objects: &GitObjects,
    ) -> Result<(Vec<DeviceId>, Vec<String>)> {
        let is_in = |path: &str| path.match_indices('/').any(|(at, _)| places.contains(&path[..at]));
        let mut manifests = Vec::new();
        for (id, path) in self.manifests.iter().filter(|(_, path)| is_in(path)) {
            // What cannot be read as a manifest still makes its folder a device's, which will be judged.
            let bytes = blob(objects, *id)?.unwrap_or_default();
            manifests.push(layout::Manifest::read(path.clone(), &bytes));
        }
        let (mut devices, mut others) = (Vec::new(), Vec::new());
        for name in layout::by_device(manifests).into_keys() {
            match name.parse() {
                Ok(device) => devices.push(device),
                Err(_) => others.push(name),
            }
        }
        Ok((devices, others))
    }

    /// The devices that name one of the keys as theirs, for statuses or for SSH.
    ///
    /// # Errors
    ///
    /// The repository cannot be read.
    pub(crate) fn holders(&self, objects: &GitObjects, keys: &[PublicKey]) -> Result<Vec<(DeviceId, PublicKey)>> {
        let words: Vec<(String, PublicKey)> = keys.iter().map(|key| (base64(key), *key)).collect();
        let mut found = BTreeSet::new();
        for (id, path) in &self.manifests {
            let bytes = blob(objects, *id)?.unwrap_or_default();
            if words.iter().any(|(word, _)| contains(&bytes, word.as_bytes())) {
                found.insert(path.rsplit_once('/').map_or("", |(folder, _)| folder));
            }
        }
        let mut holders = Vec::new();
        for device in found.iter().filter_map(|folder| folder.strip_prefix("specs/")?.parse::<DeviceId>().ok()) {
            let says = match decode::itself(&GitTree::new(objects, self.tree), &device) {
                Ok(says) => says,
                Err(Refused::Wrong(_)) => None,
                Err(Refused::Unread(error)) => return Err(error),
            };
            let named = says.iter().flat_map(named).collect::<Vec<_>>();
            holders.extend(keys.iter().filter(|key| named.contains(key)).map(|key| (device.clone(), *key)));
        }
        Ok(holders)
    }

    /// Whether a device's manifests name a key letter by letter, so that it can be found there.
    ///
    /// # Errors
    ///
    /// The repository cannot be read.
    pub(super) fn spells(&self, objects: &GitObjects, device: &DeviceId, key: &PublicKey) -> Result<bool> {
        let (word, folder) = (base64(key), format!("specs/{device}"));
        for (id, path) in &self.manifests {
            let is_its = path.rsplit_once('/').is_some_and(|(of, _)| of == folder);
            if is_its && blob(objects, *id)?.is_some_and(|bytes| contains(&bytes, word.as_bytes())) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// The keys that a device is known by.
pub(crate) fn named(says: &Device) -> Vec<PublicKey> {
    let status_keys = says.status_keys.iter().map(|key| &key.key);
    let keys = says.ssh_keys.iter().chain(status_keys);
    keys.filter_map(|key| PublicKey::from_openssh(key).ok()).collect()
}

/// A manifest's bytes, unless they are too many for one, or no file's.
fn blob(objects: &GitObjects, id: Oid) -> Result<Option<Vec<u8>>> {
    match objects.read(id, limits::MANIFEST_BYTES) {
        Ok(object) => Ok(object.map(|Object { data, .. }| data)),
        Err(error) if error.reason() == Reason::FileTooLarge => Ok(None),
        Err(error) => Err(error),
    }
}

fn base64(key: &PublicKey) -> String {
    key.to_openssh().split(' ').nth(1).unwrap_or_default().to_owned()
}

fn contains(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|window| window == word)
}

/// The error where two devices would have one key.
pub(crate) fn shared(device: &DeviceId, other: &DeviceId, key: &PublicKey) -> Error {
    Error::new(Reason::KeyShared, format!("{device} and {other} would both have the key {key}"))
        .hint("give each device a key of its own: giterd enroll on one of them")
}
