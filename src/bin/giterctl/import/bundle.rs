//! A bundle from a device, up to objects that git may have.
//!
//! It is taken in as a device takes in what comes over a link: into a quarantine of its own, in bounded memory and time,
//! each object hashed. Git sees nothing of it but what was proven later.

use std::{collections::HashSet, io::Cursor};

use giter_edge::{
    api::{
        Error, Oid, Reason, Result,
        ledger::Generation,
        limits,
        object::{NewObject, Object, ObjectKind},
    },
    git::{PackStore, bundle, graph},
    reconcile::ports::{Objects, Quarantine, Store},
};
use tempfile::TempDir;

use crate::objects::GitObjects;

/// Where bundles are taken in.
pub(super) struct Customs<'a> {
    store: PackStore,
    _folder: TempDir,
    objects: &'a GitObjects,
}

/// What a bundle brings that the repository does not have.
pub(super) struct Brought {
    /// Where its ref is.
    pub(super) tip: Oid,
    pub(super) objects: Vec<NewObject>,
}

impl<'a> Customs<'a> {
    /// Beside the objects of a repository.
    ///
    /// # Errors
    ///
    /// `DiskFull`, `StateFailed`.
    pub(super) fn beside(objects: &'a GitObjects) -> Result<Self> {
        let folder = tempfile::tempdir();
        let folder = folder.map_err(|e| Error::io(Reason::StateFailed, "cannot make a temporary folder", e))?;
        Ok(Self { store: PackStore::open(&folder.path().join("store"))?, _folder: folder, objects })
    }

    /// The commits that a ref of a bundle leads to and the repository does not have, with their trees and files.
    ///
    /// # Errors
    ///
    /// `BundleInvalid`, `PackInvalid`, `PackTooLarge`; `BundleBaseMissing` if it builds on what the repository lacks;
    /// `PushTooLarge` if it brings more than a hub takes at once.
    pub(super) fn take(&mut self, bytes: &[u8], name: &str) -> Result<Brought> {
        let taken = self.look(bytes, name);
        // Whatever it was, the next one finds the quarantine empty.
        self.store.retain(&[])?;
        taken
    }

    fn look(&mut self, bytes: &[u8], name: &str) -> Result<Brought> {
        let mut bytes = Cursor::new(bytes);
        let header = bundle::header(&mut bytes, [name])?;
        let [Some(tip)] = header.refs else {
            return Err(Error::new(Reason::BundleInvalid, format!("the bundle does not bring {name}"))
                .hint("it is another device's, or of another exchange"));
        };
        if let Some(missing) = lacks(self.objects, &header.prerequisites)? {
            let what = format!("the bundle builds on {}, which is not in this repository", missing.short());
            return Err(Error::new(Reason::BundleBaseMissing, what).hint(
                "bring the sticks in the order in which they left the device; where one is lost, export for this device and \
                 carry that to it: it then begins where the hub stands",
            ));
        }
        let (objects, nothing) = (self.objects, Generation { packs: Vec::new() });
        let mut quarantine = self.store.quarantine(&nothing)?;
        let known = witnesses(objects, &header.prerequisites)?;
        if !known.is_empty() {
            // What git makes may be a delta on what was there before.
            quarantine.ingest(&mut Cursor::new(giter_edge::git::pack::write(&known)?))?;
        }
        quarantine.ingest(&mut bytes)?;
        Ok(Brought { tip, objects: brought(&*quarantine, objects, tip)? })
    }
}

fn lacks(objects: &dyn Objects, names: &[Oid]) -> Result<Option<Oid>> {
    for name in names {
        if !objects.has(*name)? {
            return Ok(Some(*name));
        }
    }
    Ok(None)
}

/// The commits before, their trees and files, as far as they are statuses.
fn witnesses(objects: &dyn Objects, commits: &[Oid]) -> Result<Vec<NewObject>> {
    let mut known = Vec::new();
    for commit in commits.iter().take(limits::STATUS_WITNESSES) {
        known.extend(snapshot(objects, *commit)?.unwrap_or_default());
    }
    Ok(known)
}

/// A commit with its tree and files; `None` if some of it is not there.
fn snapshot(objects: &dyn Objects, commit: Oid) -> Result<Option<Vec<NewObject>>> {
    let Some(lineage) = graph::lineage(objects, commit)? else { return Ok(None) };
    let (Some(head), Some(tree)) = (read(objects, commit)?, read(objects, lineage.tree)?) else { return Ok(None) };
    let mut files = Vec::new();
    for entry in graph::entries(lineage.tree, &tree.data).take(limits::STATUS_WITNESSES) {
        let entry = entry?;
        let Some(file) = read(objects, entry.id)? else { return Ok(None) };
        files.push(NewObject { id: entry.id, object: file });
    }
    let own = [NewObject { id: commit, object: head }, NewObject { id: lineage.tree, object: tree }];
    Ok(Some(own.into_iter().chain(files).collect()))
}

fn read(objects: &dyn Objects, id: Oid) -> Result<Option<Object>> {
    objects.read(id, limits::STATUS_FILE_BYTES)
}

/// What the quarantine has from a commit down, along first parents, up to what the repository has.
fn brought(quarantine: &dyn Quarantine, objects: &dyn Objects, tip: Oid) -> Result<Vec<NewObject>> {
    let (mut found, mut seen, mut bytes) = (Vec::new(), HashSet::new(), 0);
    let (mut next, mut count) = (Some(tip), 0);
    while let Some(commit) = next {
        if objects.has(commit)? {
            break;
        }
        let missing =
            || Error::new(Reason::PackInvalid, format!("the bundle leaves out {} or what it holds", commit.short()));
        let snapshot = snapshot(quarantine, commit)?.ok_or_else(missing)?;
        next = graph::lineage(quarantine, commit)?.and_then(|lineage| lineage.parents.first().copied());
        count += 1;
        for new in snapshot {
            if new.object.kind == ObjectKind::Commit || seen.insert(new.id) {
                bytes += new.object.data.len();
                found.push(new);
            }
        }
        if count > limits::PUSH_STATUSES || bytes > limits::STATUSES_BYTES {
            let (most, bytes) = (limits::PUSH_STATUSES, limits::STATUSES_BYTES);
            let what = format!("the bundle brings more than {most} statuses, or more than {bytes} bytes of them");
            return Err(Error::new(Reason::PushTooLarge, what).hint("a device keeps fewer: see who made it"));
        }
    }
    Ok(found)
}
