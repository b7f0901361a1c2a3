//! What a device reads of a commit: the least that a link has to bring of it, and all that a store keeps.
//!
//! ```text
//! commit -> root -+- exchange.yaml, reset.yaml, their signatures          the papers
//!                 `- specs -> site-a -> pump-07 -> all that is below it
//!                    `---- the way ---'    the folder
//! ```
//!
//! What stands beside the way belongs to other devices; its names are seen, and nothing of it is looked at.

use std::collections::HashSet;

use super::graph::{self, Entry};
use crate::{
    api::{DeviceId, Error, Oid, Reason, Result},
    codec::{charter, reset},
    reconcile::ports::{ObjectKind, Objects},
};

/// The folder of the specs.
const SPECS: &str = "specs";
/// The files at the root that every device reads.
pub const PAPERS: [&str; 4] = [charter::PATH, charter::SIGNATURE_PATH, reset::PATH, reset::SIGNATURE_PATH];

/// What a device reads of a commit, as far as the objects are there.
#[derive(Debug, Default)]
pub struct Reads {
    /// What is there, each once, and a tree before what it names.
    pub there: Vec<(Oid, ObjectKind)>,
    /// Trees of the way that are not there. What is behind them is not known.
    pub lacks_on_way: Vec<Oid>,
    /// Papers, and what belongs to the folder, that are not there.
    pub lacks: Vec<Oid>,
    seen: HashSet<Oid>,
}

impl Reads {
    /// Looks for it, from the commit down.
    ///
    /// # Errors
    ///
    /// `PackInvalid` if the commit is not there; `BadCommit`; those of [`graph::entries`] and [`Objects::read`].
    pub fn of(objects: &dyn Objects, commit: Oid, device: &DeviceId) -> Result<Self> {
        let tree = graph::root(objects, commit)?;
        let mut reads = Self::default();
        reads.there.push((commit, ObjectKind::Commit));
        let mut level = vec![tree];
        for (depth, name) in way(device).enumerate() {
            for tree in std::mem::take(&mut level) {
                let Some(data) = reads.open(objects, tree)? else { continue };
                for entry in graph::entries(tree, &data) {
                    let Entry { name: found, id, kind } = entry?;
                    if kind == ObjectKind::Tree && found == name.as_bytes() {
                        level.push(id);
                    } else if kind == ObjectKind::Blob && depth == 0 && str::from_utf8(found).is_ok_and(is_paper) {
                        reads.find(objects, id, kind)?;
                    }
                }
            }
        }
        let first = reads.there.len();
        for folder in level {
            reads.find(objects, folder, ObjectKind::Tree)?;
        }
        reads.look_below(objects, first)?;
        Ok(reads)
    }

    /// Whether all of it is there.
    pub fn is_whole(&self) -> bool {
        self.lacks_on_way.is_empty() && self.lacks.is_empty()
    }

    /// Refuses it where something is missing.
    ///
    /// # Errors
    ///
    /// `PackInvalid`.
    pub fn whole(self) -> Result<Vec<(Oid, ObjectKind)>> {
        match self.lacks_on_way.iter().chain(&self.lacks).next() {
            Some(id) => Err(Error::new(Reason::PackInvalid, format!("object {id} is missing"))),
            None => Ok(self.there),
        }
    }

    /// Reads a tree of the way, once.
    fn open(&mut self, objects: &dyn Objects, tree: Oid) -> Result<Option<Vec<u8>>> {
        if !self.seen.insert(tree) {
            return Ok(None);
        }
        if !objects.has(tree)? {
            self.lacks_on_way.push(tree);
            return Ok(None);
        }
        self.there.push((tree, ObjectKind::Tree));
        graph::tree(objects, tree).map(Some)
    }

    fn find(&mut self, objects: &dyn Objects, id: Oid, kind: ObjectKind) -> Result<()> {
        match (kind, self.seen.insert(id)) {
            (_, false) => {}
            (_, true) if objects.has(id)? => self.there.push((id, kind)),
            (_, true) => self.lacks.push(id),
        }
        Ok(())
    }

    /// Finds what is below the trees from the `next`th on that is there.
    fn look_below(&mut self, objects: &dyn Objects, mut next: usize) -> Result<()> {
        while let Some(&(id, kind)) = self.there.get(next) {
            next += 1;
            if kind == ObjectKind::Tree {
                for entry in graph::entries(id, &graph::tree(objects, id)?) {
                    let Entry { id, kind, .. } = entry?;
                    self.find(objects, id, kind)?;
                }
            }
        }
        Ok(())
    }
}

/// The trees of the way with their bytes, from a root on, as far as they are there.
///
/// # Errors
///
/// Those of [`graph::entries`] and [`Objects::read`].
pub fn way_trees(objects: &dyn Objects, root: Oid, device: &DeviceId) -> Result<Vec<(Oid, Vec<u8>)>> {
    let (mut trees, mut next) = (Vec::new(), Some(root));
    for name in way(device) {
        let Some(id) = next.take() else { break };
        if !objects.has(id)? {
            break;
        }
        let data = graph::tree(objects, id)?;
        for entry in graph::entries(id, &data) {
            let Entry { name: found, id, kind } = entry?;
            if kind == ObjectKind::Tree && found == name.as_bytes() {
                next = Some(id);
            }
        }
        trees.push((id, data));
    }
    Ok(trees)
}

/// Whether every device reads the file of that name at the root.
pub fn is_paper(name: &str) -> bool {
    PAPERS.contains(&name)
}

/// The names of the folders from the root to a device's own.
pub fn way(device: &DeviceId) -> impl Iterator<Item = &str> {
    std::iter::once(SPECS).chain(device.as_str().split('/'))
}
