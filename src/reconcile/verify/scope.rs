//! What of a tree is read, and what two of them differ in.
//!
//! Of every commit only the root tree is read; the trees on the way to a device's folder only as far as they changed,
//! and only where the signer may not change all that is in the folder.

use std::collections::BTreeMap;

use gix::objs::{TreeRefIter, tree::EntryKind as GitKind};

use super::Reads;
use crate::{
    api::{Error, Oid, Reason, Result, limits},
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

/// What a root tree has of that which is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Scope {
    pub(super) papers: Papers,
    pub(super) resets: Resets,
    /// The tree itself.
    root: Option<Leaf>,
    /// The folder of the specs.
    specs: Option<Leaf>,
}

impl Scope {
    /// Finds it in a tree.
    ///
    /// # Errors
    ///
    /// `PackInvalid` if the tree is missing, `BadTreeEntry` if it is malformed.
    pub(super) fn of_tree(objects: &dyn Objects, root: Oid) -> Result<Self> {
        let names = [charter::PATH, charter::SIGNATURE_PATH, reset::PATH, reset::SIGNATURE_PATH, SPECS];
        let [charter, charter_signatures, reset, reset_signatures, specs] = find(objects, root, names)?;
        Ok(Self {
            papers: Papers { charter, signatures: charter_signatures },
            resets: Resets { reset, signatures: reset_signatures },
            root: Some(Leaf { kind: EntryKind::Folder, id: root }),
            specs,
        })
    }
}

/// What stands at a path of a tree.
///
/// # Errors
///
/// Those of [`Scope::of_tree`].
pub(super) fn at(objects: &dyn Objects, root: Oid, path: &str) -> Result<Option<Leaf>> {
    let root = Leaf { kind: EntryKind::Folder, id: root };
    path.split('/').try_fold(Some(root), |leaf, name| inside(objects, leaf, name))
}

/// What stands in a folder under a name.
fn inside(objects: &dyn Objects, folder: Option<Leaf>, name: &str) -> Result<Option<Leaf>> {
    match folder {
        Some(Leaf { kind: EntryKind::Folder, id }) => Ok(find(objects, id, [name])?[0]),
        _ => Ok(None),
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

/// A folder or file that is taken from one parent of a merge or another, never mixed.
pub(super) struct Place {
    /// Its path.
    pub(super) path: String,
    /// What stands there.
    pub(super) now: Option<Leaf>,
    /// What stood there in each of the trees that are compared.
    pub(super) before: Vec<Option<Leaf>>,
}

/// The places in which a tree differs from one of those before: a device's folder, or, where everything is read, the
/// outermost folders that hold manifests, and the files that stand in none. The charter has rules of its own.
///
/// # Errors
///
/// `TooMany` if there is more to compare than is compared; `PackInvalid`, `BadTreeEntry`.
pub(super) fn places(objects: &dyn Objects, reads: Reads<'_>, before: &[Scope], now: &Scope) -> Result<Vec<Place>> {
    let place = |path: &str, side: fn(&Scope) -> Option<Leaf>| Place {
        path: path.into(),
        now: side(now),
        before: before.iter().map(side).collect(),
    };
    match reads {
        Reads::Device(device) => {
            let mut place = place(SPECS, |scope| scope.specs);
            for name in device.as_str().split('/') {
                if place.is_unchanged() {
                    break;
                }
                place = place.inside(objects, name)?;
            }
            Ok(Some(place).filter(|place| !place.is_unchanged()).into_iter().collect())
        }
        Reads::Everything => folders(objects, place("", |scope| scope.root)),
    }
}

/// The places below the root.
fn folders(objects: &dyn Objects, root: Place) -> Result<Vec<Place>> {
    let (mut places, mut left) = (Vec::new(), limits::CHANGED_ENTRIES);
    let mut open = vec![root];
    while let Some(place) = open.pop() {
        if place.is_unchanged() {
            continue;
        }
        if !place.is_folder() {
            places.push(place);
            continue;
        }
        if place.depth() >= limits::FOLDER_DEPTH {
            return Err(too_many(&place.path));
        }
        let entries = place.open(objects, &mut left)?;
        if place.path.starts_with("specs/") && entries.iter().any(Place::is_manifest) {
            places.push(place);
        } else {
            open.extend(entries.into_iter().filter(|entry| !PAPERS.contains(&&*entry.path)));
        }
    }
    Ok(places)
}

/// The folder of the specs.
pub(super) const SPECS: &str = "specs";
/// What step 5 judges.
const PAPERS: [&str; 2] = [charter::PATH, charter::SIGNATURE_PATH];

impl Place {
    /// Calls `visit` with the path of every file in which the place differs from one of those before.
    ///
    /// # Errors
    ///
    /// The visitor's; those of [`places`].
    pub(super) fn changes(&self, objects: &dyn Objects, visit: &mut dyn FnMut(&str) -> Result<()>) -> Result<()> {
        self.before.iter().try_for_each(|before| self.since(*before).differences(objects, visit))
    }

    fn since(&self, before: Option<Leaf>) -> Self {
        Self { path: self.path.clone(), now: self.now, before: vec![before] }
    }

    fn differences(self, objects: &dyn Objects, visit: &mut dyn FnMut(&str) -> Result<()>) -> Result<()> {
        let (depth, mut left, mut open) = (self.depth(), limits::CHANGED_ENTRIES, vec![self]);
        while let Some(place) = open.pop() {
            if place.is_unchanged() {
                continue;
            }
            if place.sides().any(|side| side.is_some() && !is_folder(&side)) {
                visit(&place.path)?;
            }
            if !place.sides().any(|side| is_folder(&side)) {
                continue;
            }
            if place.depth() - depth >= limits::FOLDER_DEPTH {
                return Err(too_many(&place.path));
            }
            open.extend(place.open(objects, &mut left)?);
        }
        Ok(())
    }

    /// What stands in it under a name. Each side is read, even if another one is missing.
    fn inside(&self, objects: &dyn Objects, name: &str) -> Result<Self> {
        let sides: Vec<_> = self.sides().map(|side| inside(objects, side, name)).collect();
        let mut sides = sides.into_iter().collect::<Result<Vec<_>>>()?;
        let before = sides.split_off(1);
        Ok(Self { path: format!("{}/{name}", self.path), now: sides[0], before })
    }

    fn sides(&self) -> impl Iterator<Item = Option<Leaf>> {
        std::iter::once(self.now).chain(self.before.iter().copied())
    }

    fn is_unchanged(&self) -> bool {
        self.before.iter().all(|before| *before == self.now)
    }

    /// Whether there is nothing there but folders.
    fn is_folder(&self) -> bool {
        self.sides().flatten().all(|leaf| leaf.kind == EntryKind::Folder)
    }

    fn is_manifest(&self) -> bool {
        let is_file = self.sides().flatten().any(|leaf| leaf.kind != EntryKind::Folder);
        is_file && [".yaml", ".yml"].iter().any(|ending| self.path.ends_with(ending))
    }

    fn depth(&self) -> usize {
        self.path.matches('/').count()
    }

    /// What stands in its folders.
    fn open(&self, objects: &dyn Objects, left: &mut usize) -> Result<Vec<Self>> {
        let mut entries: BTreeMap<String, Vec<Option<Leaf>>> = BTreeMap::new();
        for (at, side) in self.sides().enumerate().filter(|(_, side)| is_folder(side)) {
            for entry in list(objects, &self.path, side)? {
                // Two names could show as the same.
                if entry.name.contains(char::REPLACEMENT_CHARACTER) {
                    let what = format!("{} has a name that is not UTF-8", self.path);
                    return Err(Error::new(Reason::BadTreeEntry, what).hint("rename the file"));
                }
                let sides = entries.entry(entry.name).or_insert_with(|| vec![None; self.before.len() + 1]);
                sides[at] = Some(Leaf { kind: entry.kind, id: entry.id });
            }
        }
        let sides = self.before.len() + 1;
        *left = left.checked_sub(entries.len() * sides / 2).ok_or_else(|| too_many(&self.path))?;
        let folder = if self.path.is_empty() { String::new() } else { format!("{}/", self.path) };
        let entry = |(name, mut sides): (String, Vec<Option<Leaf>>)| {
            let before = sides.split_off(1);
            Self { path: format!("{folder}{name}"), now: sides[0], before }
        };
        Ok(entries.into_iter().map(entry).collect())
    }
}

fn is_folder(leaf: &Option<Leaf>) -> bool {
    leaf.is_some_and(|leaf| leaf.kind == EntryKind::Folder)
}

fn too_many(path: &str) -> Error {
    Error::new(Reason::TooMany, format!("{path} holds more, or deeper folders, than is compared"))
        .hint("change it in several commits, or keep fewer files there")
}

fn list(objects: &dyn Objects, path: &str, folder: Option<Leaf>) -> Result<Vec<Entry>> {
    let Some(Leaf { kind, id }) = folder else { return Ok(vec![]) };
    let folder = Entry { name: String::new(), kind, id };
    Ok(GitTree::new(objects, id).list(path, &folder)?)
}
