//! For which devices there is to be something on the stick.

use std::collections::{BTreeMap, BTreeSet};

use giter_edge::api::{DeviceId, Error, Oid, Reason, Result, limits};

use crate::{
    git::{Batch, Git},
    layout::{self, Manifest},
    repository::blob,
};

/// Who is meant.
pub(super) enum Select<'a> {
    /// These.
    Named(&'a [DeviceId]),
    /// Those below a folder of `specs/`.
    Site(&'a DeviceId),
    /// Every device.
    All,
}

impl Select<'_> {
    /// The devices of a commit that are meant, by name.
    ///
    /// # Errors
    ///
    /// `DeviceNotFound` if one that is named has no specs, or there is none at all; `GitFailed`.
    pub(super) fn of(&self, git: &Git, commit: &str) -> Result<Vec<DeviceId>> {
        let devices = devices(git, commit)?;
        let none = |what: String| {
            Err(Error::new(Reason::DeviceNotFound, what)
                .hint("see: giterctl get devices; --revision names another commit"))
        };
        match self {
            Select::Named(names) => match names.iter().find(|name| !devices.contains(name)) {
                Some(name) => none(format!("the exchange has no specs for {name}")),
                None => Ok(names.iter().cloned().collect::<BTreeSet<_>>().into_iter().collect()),
            },
            Select::Site(site) => {
                let folder = format!("{site}/");
                let there: Vec<_> = devices.into_iter().filter(|id| id.as_str().starts_with(&folder)).collect();
                if there.is_empty() {
                    none(format!("the exchange has no device below specs/{site}"))
                } else {
                    Ok(there)
                }
            }
            Select::All if devices.is_empty() => none("the exchange has specs for no device".into()),
            Select::All => Ok(devices.into_iter().collect()),
        }
    }
}

/// The folders with manifests. What is in them is looked at only where one lies in another, as content may.
fn devices(git: &Git, commit: &str) -> Result<BTreeSet<DeviceId>> {
    let listing = git.run(&["ls-tree", "-r", "-z", "--full-tree", commit, "specs/"])?;
    let mut folders: BTreeMap<&str, Vec<(Oid, &str)>> = BTreeMap::new();
    for (id, path) in listing.split_terminator('\0').filter_map(blob).filter(|(_, path)| layout::is_manifest(path)) {
        let folder = path.rsplit_once('/').and_then(|(folder, _)| folder.strip_prefix("specs/"));
        folders.entry(folder.unwrap_or_default()).or_default().push((id, path));
    }
    folders.remove("");
    let above = |folder: &str| folder.match_indices('/').map(|(at, _)| folder[..at].to_owned()).collect::<Vec<_>>();
    let nested: BTreeSet<String> = folders
        .keys()
        .flat_map(|folder| above(folder).into_iter().filter(|above| folders.contains_key(&**above)))
        .collect();
    let is_alone = |folder: &str| !nested.contains(folder) && above(folder).iter().all(|above| !nested.contains(above));
    let mut batch = git.batch()?;
    let mut names: BTreeSet<String> = BTreeSet::new();
    let mut manifests = Vec::new();
    for (folder, files) in &folders {
        if is_alone(folder) {
            names.insert((*folder).into());
        } else {
            manifests.extend(files.iter().map(|file| read(&mut batch, *file)).collect::<Result<Vec<_>>>()?);
        }
    }
    names.extend(layout::by_device(manifests).into_keys());
    Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
}

/// What cannot be read as a manifest still makes its folder a device's.
fn read(batch: &mut Batch, (id, path): (Oid, &str)) -> Result<Manifest> {
    let bytes = batch.read(&id.to_string(), limits::MANIFEST_BYTES)?.unwrap_or_default();
    Ok(Manifest::read(path.into(), &bytes))
}
