//! A commit's tree as the source of a snapshot.

use std::{cmp::Ordering, collections::BTreeSet};

use gix::objs::{
    TreeRefIter,
    tree::{EntryKind as GitKind, EntryRef, name_order},
};

use super::{Entry, EntryKind, Refused, Source};
use crate::{
    api::{Error, Oid, Reason, Result, limits},
    reconcile::ports::{ObjectKind, Objects},
};

/// The tree of a commit, read through the objects that hold it.
pub struct GitTree<'a> {
    objects: &'a dyn Objects,
    root: Oid,
}

impl<'a> GitTree<'a> {
    /// The tree of that name.
    pub fn new(objects: &'a dyn Objects, root: Oid) -> Self {
        Self { objects, root }
    }

    fn object(&self, path: &str, id: Oid, kind: ObjectKind, limit: usize) -> Result<Option<Vec<u8>>, Refused> {
        let missing = || {
            let what = format!("the snapshot leaves out the object {} of {}", id.short(), shown(path));
            Refused::Unread(Error::new(Reason::PackInvalid, what))
        };
        match self.objects.read(id, limit) {
            Ok(object) => {
                let object = object.ok_or_else(missing)?;
                if object.kind == kind {
                    return Ok(Some(object.data));
                }
                let message = "its folder lists it as another kind of object than it is";
                Err(Refused::wrong(Reason::BadTreeEntry, shown(path), message))
            }
            Err(error) if error.reason() == Reason::FileTooLarge => Ok(None),
            Err(error) => Err(Refused::Unread(error)),
        }
    }
}

impl Source for GitTree<'_> {
    fn root(&self) -> Entry {
        Entry { name: String::new(), kind: EntryKind::Folder, id: self.root }
    }

    fn list(&self, path: &str, folder: &Entry) -> Result<Vec<Entry>, Refused> {
        let wrong = |reason, message: &str| Refused::wrong(reason, shown(path), message);
        let too_large = || wrong(Reason::TooMany, "the folder has too many entries");
        let bytes = self.object(path, folder.id, ObjectKind::Tree, limits::OBJECT_BYTES)?.ok_or_else(too_large)?;
        let mut check = Check::default();
        let mut entries = Vec::new();
        for entry in TreeRefIter::from_bytes(&bytes, gix::hash::Kind::Sha1) {
            let entry = entry.map_err(|_| wrong(Reason::BadTreeEntry, "the folder's tree object is malformed"))?;
            check.next(&entry).map_err(|message| wrong(Reason::BadTreeEntry, message))?;
            if entries.len() == limits::TREE_ENTRIES {
                return Err(too_large());
            }
            entries.push(to_entry(&entry)?);
        }
        Ok(entries)
    }

    fn read(&self, path: &str, file: &Entry, limit: usize) -> Result<Option<Vec<u8>>, Refused> {
        self.object(path, file.id, ObjectKind::Blob, limit)
    }
}

fn to_entry(entry: &EntryRef<'_>) -> Result<Entry, Refused> {
    let kind = match entry.mode.kind() {
        GitKind::Tree => EntryKind::Folder,
        GitKind::Blob | GitKind::BlobExecutable => EntryKind::File,
        GitKind::Link => EntryKind::Link,
        GitKind::Commit => EntryKind::Submodule,
    };
    let id = entry.oid.as_bytes().try_into().map(Oid::new);
    let id = id.map_err(|_| Refused::Unread(Error::new(Reason::Bug, "a tree entry's object name is not SHA-1")))?;
    Ok(Entry { name: entry.filename.to_string(), kind, id })
}

/// What git's fsck calls treeNotSorted and duplicateEntries.
#[derive(Default)]
struct Check<'a> {
    last: Option<(&'a [u8], bool)>,
    names: BTreeSet<&'a [u8]>,
}

impl<'a> Check<'a> {
    fn next(&mut self, entry: &EntryRef<'a>) -> Result<(), &'static str> {
        let (name, is_tree): (&[u8], bool) = (entry.filename, entry.mode.is_tree());
        let order = self.last.map_or(Ordering::Less, |(last, was_tree)| name_order(last, was_tree, name, is_tree));
        if order == Ordering::Greater {
            return Err("the folder's tree object is not sorted");
        }
        // A folder sorts as if its name ended in '/', so the file of the same name may stand further up.
        if order == Ordering::Equal || !self.names.insert(name) {
            return Err("the folder has two entries of the same name");
        }
        self.last = Some((name, is_tree));
        Ok(())
    }
}

fn shown(path: &str) -> &str {
    if path.is_empty() { "/" } else { path }
}
