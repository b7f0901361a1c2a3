//! What of a tree the device reads, and what two of them differ in.
//!
//! Of every commit only the trees on the way to the device's folder are read; the folder itself only where it changed
//! and the signer may not change all of it.

use std::collections::BTreeMap;

use gix::objs::{TreeRefIter, tree::EntryKind as GitKind};

use crate::{
    api::{DeviceId, Error, Oid, Reason, Result, limits},
    codec::{charter, reset},
    reconcile::{
        decode::{Entry, EntryKind, GitTree, Source},
        ports::{ObjectKind, Objects},
    },
};

/// What stands at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Leaf {
    pub(super) kind: EntryKind,
    pub(super) id: Oid,
}

/// The charter and its signatures, each where it is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Papers {
    pub(super) charter: Option<Leaf>,
    pub(super) signatures: Option<Leaf>,
}

/// A reset and its signatures, each where it is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Resets {
    pub(super) reset: Option<Leaf>,
    pub(super) signatures: Option<Leaf>,
}

/// Everything in a tree that the device reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Scope {
    pub(super) papers: Papers,
    pub(super) resets: Resets,
    /// The device's folder.
    pub(super) folder: Option<Leaf>,
}

impl Scope {
    /// Finds it in a tree.
    ///
    /// # Errors
    ///
    /// `PackInvalid` if a tree on the way is missing, `BadTreeEntry` if one is malformed.
    pub(super) fn of_tree(objects: &dyn Objects, root: Oid, device: &DeviceId) -> Result<Self> {
        let names = [charter::PATH, charter::SIGNATURE_PATH, reset::PATH, reset::SIGNATURE_PATH, "specs"];
        let [charter, charter_signatures, reset, reset_signatures, mut folder] = find(objects, root, names)?;
        for name in device.as_str().split('/') {
            folder = match folder {
                Some(Leaf { kind: EntryKind::Folder, id }) => find(objects, id, [name])?[0],
                _ => None,
            };
        }
        Ok(Self {
            papers: Papers { charter, signatures: charter_signatures },
            resets: Resets { reset, signatures: reset_signatures },
            folder,
        })
    }
}

/// The entries of these names.
fn find<const N: usize>(objects: &dyn Objects, tree: Oid, names: [&str; N]) -> Result<[Option<Leaf>; N]> {
    let malformed = || Error::new(Reason::BadTreeEntry, format!("the tree {} is malformed", tree.short()));
    let object = objects.read(tree, limits::OBJECT_BYTES)?;
    let object = object.ok_or_else(|| {
        Error::new(Reason::PackInvalid, format!("the hub left out the tree {} of a new commit", tree.short()))
    })?;
    if object.kind != ObjectKind::Tree {
        return Err(malformed());
    }
    let mut found = [None; N];
    for entry in TreeRefIter::from_bytes(&object.data, gix::hash::Kind::Sha1) {
        let entry = entry.map_err(|e| malformed().caused_by(e))?;
        let Some(at) = names.iter().position(|name| name.as_bytes() == &**entry.filename) else { continue };
        let kind = match entry.mode.kind() {
            GitKind::Tree => EntryKind::Folder,
            GitKind::Blob | GitKind::BlobExecutable => EntryKind::File,
            GitKind::Link => EntryKind::Link,
            GitKind::Commit => EntryKind::Submodule,
        };
        let id = entry.oid.as_bytes().try_into().map(Oid::new).map_err(|_| malformed())?;
        found[at] = Some(Leaf { kind, id });
    }
    Ok(found)
}

/// Calls `visit` with the path of every file in the device's folder in which two scopes differ.
///
/// # Errors
///
/// The visitor's; `TooMany` if there is more to compare than is compared; `PackInvalid`, `BadTreeEntry`.
pub(super) fn changes(
    objects: &dyn Objects,
    device: &DeviceId,
    [old, new]: [&Scope; 2],
    visit: &mut dyn FnMut(&str) -> Result<()>,
) -> Result<()> {
    let mut open = vec![(format!("specs/{device}"), 0, [old.folder, new.folder])];
    let mut left = limits::CHANGED_ENTRIES;
    while let Some((path, depth, sides)) = open.pop() {
        if sides[0] == sides[1] {
            continue;
        }
        let is_folder = |leaf: &Option<Leaf>| leaf.is_some_and(|leaf| leaf.kind == EntryKind::Folder);
        if sides.iter().any(|side| side.is_some() && !is_folder(side)) {
            visit(&path)?;
        }
        if !sides.iter().any(is_folder) {
            continue;
        }
        let mut entries: BTreeMap<String, [Option<Leaf>; 2]> = BTreeMap::new();
        for (at, side) in sides.into_iter().enumerate().filter(|(_, side)| is_folder(side)) {
            for entry in list(objects, &path, side)? {
                // Two names could show as the same.
                if entry.name.contains(char::REPLACEMENT_CHARACTER) {
                    let what = format!("{path} has a name that is not UTF-8");
                    return Err(Error::new(Reason::BadTreeEntry, what).hint("rename the file"));
                }
                entries.entry(entry.name).or_default()[at] = Some(Leaf { kind: entry.kind, id: entry.id });
            }
        }
        left = left.checked_sub(entries.len()).filter(|_| depth < limits::FOLDER_DEPTH).ok_or_else(|| {
            Error::new(Reason::TooMany, format!("{path} holds more, or deeper folders, than is compared"))
                .hint("change it in several commits, or keep fewer files there")
        })?;
        open.extend(entries.into_iter().map(|(name, sides)| (format!("{path}/{name}"), depth + 1, sides)));
    }
    Ok(())
}

fn list(objects: &dyn Objects, path: &str, folder: Option<Leaf>) -> Result<Vec<Entry>> {
    let Some(Leaf { kind, id }) = folder else { return Ok(vec![]) };
    let folder = Entry { name: String::new(), kind, id };
    Ok(GitTree::new(objects, id).list(path, &folder)?)
}
