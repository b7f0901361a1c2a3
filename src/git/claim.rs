//! What a sealed status says of its device's place, read from its objects without proving them.

use super::graph::{self, Entry};
use crate::{
    api::{Error, Oid, Reason, Result, limits},
    codec::status::Claim,
    reconcile::ports::{NewObject, Object, Objects},
};

/// What a status says of its place. It proves nothing.
///
/// # Errors
///
/// `ObjectMissing`; `StatusInvalid` if it cannot be read.
pub fn of(objects: &dyn Objects, status: Oid) -> Result<Claim> {
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
pub fn among([blob, tree, commit]: &[NewObject; 3]) -> Result<Claim> {
    let file = graph::entries(tree.id, &tree.object.data).next().transpose()?;
    read(commit.id, file, Some(&blob.object))
}

fn read(status: Oid, file: Option<Entry<'_>>, blob: Option<&Object>) -> Result<Claim> {
    let invalid = |why: &str| Error::new(Reason::StatusInvalid, format!("{} is no status: {why}", status.short()));
    let (file, blob) = file.zip(blob).ok_or_else(|| invalid("it holds no file"))?;
    Claim::read(&String::from_utf8_lossy(file.name), &blob.data).map_err(invalid)
}

/// The tree of a status, and its bytes.
///
/// # Errors
///
/// `ObjectMissing`; those of [`graph::tree`].
pub(super) fn tree_of(objects: &dyn Objects, status: Oid) -> Result<(Oid, Vec<u8>)> {
    let tree = graph::lineage(objects, status)?.ok_or_else(|| lost(status))?.tree;
    Ok((tree, graph::tree(objects, tree)?))
}

fn lost(status: Oid) -> Error {
    Error::new(Reason::ObjectMissing, format!("the status {} is not there", status.short()))
}
