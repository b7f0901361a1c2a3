//! What a commit and a tree name, and what hangs below a tree.
//!
//! A name that is no path component (`..`, one with a slash, `.git` and what HFS+ and NTFS take for it) is refused
//! wherever it stands, so that nobody behind this module can walk out of a folder by following a tree. Symbolic links and
//! submodules are not followed: a link is a blob like any other, and the commit of a submodule is another repository's.

use std::collections::{HashMap, HashSet};

use gix::{
    hash::Kind as HashKind,
    objs::{CommitRefIter, TreeRefIter, commit::ref_iter::Token, tree::EntryKind},
    validate::path::component,
};

use crate::{
    api::{Error, Oid, Reason, Result, limits},
    reconcile::ports::{ObjectKind, Objects},
};

/// What a commit names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lineage {
    /// Its tree.
    pub tree: Oid,
    /// The commits it follows, in its order.
    pub parents: Vec<Oid>,
    /// How many bytes it has.
    pub length: usize,
}

/// Reads what a commit names; `None` if it is not there.
///
/// # Errors
///
/// `BadCommit` if it is no commit, or one that is too long; those of [`Objects::read`].
pub fn lineage(objects: &dyn Objects, id: Oid) -> Result<Option<Lineage>> {
    let invalid = || {
        Error::new(Reason::BadCommit, format!("object {id} is not a commit that can be verified"))
            .hint("push a branch made by git itself")
    };
    let object = match objects.read(id, limits::COMMIT_BYTES) {
        Ok(Some(object)) if object.kind == ObjectKind::Commit => object,
        Ok(None) if !objects.has(id)? => return Ok(None),
        Ok(_) => return Err(invalid()),
        Err(error) if error.reason() == Reason::FileTooLarge => return Err(invalid().caused_by(error)),
        Err(error) => return Err(error),
    };
    let (mut tree, mut parents) = (None, Vec::new());
    for token in CommitRefIter::from_bytes(&object.data, HashKind::Sha1) {
        match token.map_err(|e| invalid().caused_by(e))? {
            Token::Tree { id } => tree = Some(id.into()),
            Token::Parent { id } => parents.push(id.into()),
            _ => break,
        }
    }
    let length = object.data.len();
    tree.map(|tree| Some(Lineage { tree, parents, length })).ok_or_else(invalid)
}

/// The root tree of a commit that has to be there.
///
/// # Errors
///
/// `PackInvalid` if it is not; those of [`lineage`].
pub fn root(objects: &dyn Objects, commit: Oid) -> Result<Oid> {
    let missing = || Error::new(Reason::PackInvalid, format!("commit {commit} is missing"));
    Ok(lineage(objects, commit)?.ok_or_else(missing)?.tree)
}

/// What a tree names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// As what.
    pub name: &'a [u8],
    /// The object.
    pub id: Oid,
    /// Its kind.
    pub kind: ObjectKind,
}

/// The objects that a tree names, in its order.
///
/// # Errors
///
/// `BadTreeEntry` for a name that is no path component, and for bytes that are no tree.
pub fn entries(id: Oid, data: &[u8]) -> impl Iterator<Item = Result<Entry<'_>>> {
    let checked = move |entry: gix::objs::tree::EntryRef<'_>| {
        let options = component::Options { protect_windows: false, protect_hfs: true, protect_ntfs: true };
        gix::validate::path::component(entry.filename, None, options).map_err(|e| {
            let mut name = entry.filename.to_string();
            name.truncate(name.floor_char_boundary(limits::NAME_BYTES));
            let what = format!("tree {id} has an entry named {name:?}");
            Error::new(Reason::BadTreeEntry, what).hint("remove that entry from the exchange").caused_by(e)
        })?;
        Ok(match entry.mode.kind() {
            EntryKind::Tree => Some(ObjectKind::Tree),
            EntryKind::Blob | EntryKind::BlobExecutable | EntryKind::Link => Some(ObjectKind::Blob),
            EntryKind::Commit => None,
        })
    };
    TreeRefIter::from_bytes(data, HashKind::Sha1)
        .map(move |entry| match entry {
            Ok(entry) => {
                let named = |kind| Entry { name: entry.filename, id: entry.oid.into(), kind };
                checked(entry).map(|kind| kind.map(named))
            }
            Err(e) => Err(Error::new(Reason::BadTreeEntry, format!("tree {id} is malformed")).caused_by(e)),
        })
        .filter_map(Result::transpose)
}

/// The same by their names.
///
/// # Errors
///
/// Those of [`entries`].
pub fn by_name(id: Oid, data: &[u8]) -> Result<HashMap<&[u8], Entry<'_>>> {
    entries(id, data).map(|entry| entry.map(|entry| (entry.name, entry))).collect()
}

/// A tree, its subtrees and their blobs, each once and a tree before what it names; without what is in `seen`, which
/// then has them too. Blobs are named, not looked at.
///
/// # Errors
///
/// Those of [`entries`] and [`tree`].
pub fn below(objects: &dyn Objects, root: Oid, seen: &mut HashSet<Oid>) -> Result<Vec<(Oid, ObjectKind)>> {
    let mut found = Vec::new();
    if seen.insert(root) {
        found.push((root, ObjectKind::Tree));
    }
    let mut next = 0;
    while let Some(&(id, kind)) = found.get(next) {
        next += 1;
        if kind == ObjectKind::Tree {
            for entry in entries(id, &tree(objects, id)?) {
                let Entry { id, kind, .. } = entry?;
                if seen.insert(id) {
                    found.push((id, kind));
                }
            }
        }
    }
    Ok(found)
}

/// Reads a tree.
///
/// # Errors
///
/// `BadTreeEntry` if it is none, `PackInvalid` if it is missing; those of [`Objects::read`].
pub fn tree(objects: &dyn Objects, id: Oid) -> Result<Vec<u8>> {
    match objects.read(id, limits::OBJECT_BYTES)? {
        Some(object) if object.kind == ObjectKind::Tree => Ok(object.data),
        Some(_) => Err(Error::new(Reason::BadTreeEntry, format!("object {id} is named as a tree and is none"))),
        None => Err(Error::new(Reason::PackInvalid, format!("tree {id} is missing"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(mode: &str, name: &[u8]) -> Vec<u8> {
        [mode.as_bytes(), b" ", name, b"\0", &[7; 20]].concat()
    }

    #[test]
    fn links_are_blobs_and_submodules_are_passed_over() {
        let id = Oid::new([7; 20]);
        let data = [bytes("40000", b"d"), bytes("100755", b"x"), bytes("120000", b"l"), bytes("160000", b"m")].concat();
        let named: Vec<_> = entries(id, &data).map(Result::unwrap).collect();
        let entry = |name, kind| Entry { name, id, kind };
        let expected = [entry(b"d", ObjectKind::Tree), entry(b"x", ObjectKind::Blob), entry(b"l", ObjectKind::Blob)];
        assert_eq!(named, expected);
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        for name in [&b".."[..], b".", b"", b".git", b".GIT", ".g\u{200c}it".as_bytes(), b"GIT~1", b".git. ", b"a/b"] {
            let data = bytes("100644", name);
            let entry = entries(Oid::new([0; 20]), &data).next().unwrap();
            assert_eq!(entry.unwrap_err().reason(), Reason::BadTreeEntry, "{name:?}");
        }
    }

    #[test]
    fn bytes_that_are_no_tree_are_refused() {
        let data = bytes("100644", b"x");
        for bad in [&data[..data.len() - 1], b"junk", b"999999 x\0aaaaaaaaaaaaaaaaaaaa"] {
            let entry = entries(Oid::new([0; 20]), bad).next().unwrap();
            assert_eq!(entry.unwrap_err().reason(), Reason::BadTreeEntry);
        }
    }
}
