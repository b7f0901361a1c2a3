//! What goes to a device that has nothing yet: what it reads of a commit, and its own last status at the hub. By that, a
//! device that lost its state finds the commit below which it must not go, as it does at the hub.

use super::{
    graph::{self, Entry},
    reads::Reads,
};
use crate::{
    api::{DeviceId, Error, Oid, Reason, Result, limits},
    codec::status::Claim,
    reconcile::ports::{NewObject, Object, ObjectKind, Objects},
};

/// The objects of a seed, each before what it names; `heard` is the device's last status at the hub.
///
/// # Errors
///
/// `PackInvalid` if something is missing that the device reads, `ObjectMissing` if its status is; those of [`Reads::of`].
pub fn names(objects: &dyn Objects, tip: Oid, device: &DeviceId, heard: Option<Oid>) -> Result<Vec<(Oid, ObjectKind)>> {
    let mut names = Reads::of(objects, tip, device)?.whole()?;
    if let Some(status) = heard {
        let (tree, data) = tree_of(objects, status)?;
        names.extend([(status, ObjectKind::Commit), (tree, ObjectKind::Tree)]);
        for entry in graph::entries(tree, &data) {
            names.extend(entry.map(|entry| (entry.id, entry.kind)));
        }
    }
    Ok(names)
}

/// What a status says of its place. It proves nothing.
///
/// # Errors
///
/// `ObjectMissing`; `StatusInvalid` if it cannot be read.
pub fn claim(objects: &dyn Objects, status: Oid) -> Result<Claim> {
    let (tree, data) = tree_of(objects, status)?;
    let file = graph::entries(tree, &data).next().transpose()?;
    let blob = file.map(|file| objects.read(file.id, limits::STATUS_FILE_BYTES)).transpose()?.flatten();
    read(status, file, blob.as_ref())
}

/// The same of a status with all its objects: blob, tree, commit.
///
/// # Errors
///
/// `StatusInvalid`, `BadTreeEntry`.
pub fn claim_in([blob, tree, commit]: &[NewObject; 3]) -> Result<Claim> {
    let file = graph::entries(tree.id, &tree.object.data).next().transpose()?;
    read(commit.id, file, Some(&blob.object))
}

fn read(status: Oid, file: Option<Entry<'_>>, blob: Option<&Object>) -> Result<Claim> {
    let invalid = |why: &str| Error::new(Reason::StatusInvalid, format!("{} is no status: {why}", status.short()));
    let (file, blob) = file.zip(blob).ok_or_else(|| invalid("it holds no file"))?;
    Claim::read(&String::from_utf8_lossy(file.name), &blob.data).map_err(invalid)
}

fn tree_of(objects: &dyn Objects, status: Oid) -> Result<(Oid, Vec<u8>)> {
    let tree = graph::lineage(objects, status)?.ok_or_else(|| lost(status))?.tree;
    Ok((tree, graph::tree(objects, tree)?))
}

fn lost(status: Oid) -> Error {
    Error::new(Reason::ObjectMissing, format!("the status {} is not there", status.short()))
}
