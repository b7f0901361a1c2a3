//! What goes to a device that has nothing yet: what it reads of a commit, and its own last status at the hub. By that, a
//! device that lost its state finds the commit below which it must not go, as it does at the hub.

use super::{claim, graph, reads::Reads};
use crate::{
    api::{DeviceId, Oid, Result},
    reconcile::ports::{ObjectKind, Objects},
};

/// The objects of a seed, each before what it names; `heard` is the device's last status at the hub.
///
/// # Errors
///
/// `PackInvalid` if something is missing that the device reads, `ObjectMissing` if its status is; those of [`Reads::of`].
pub fn names(objects: &dyn Objects, tip: Oid, device: &DeviceId, heard: Option<Oid>) -> Result<Vec<(Oid, ObjectKind)>> {
    let mut names = Reads::of(objects, tip, device)?.whole()?;
    if let Some(status) = heard {
        let (tree, data) = claim::tree_of(objects, status)?;
        names.extend([(status, ObjectKind::Commit), (tree, ObjectKind::Tree)]);
        for entry in graph::entries(tree, &data) {
            names.extend(entry.map(|entry| (entry.id, entry.kind)));
        }
    }
    Ok(names)
}
