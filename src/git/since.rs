//! What commits bring to one who has another: every object of theirs that does not lie at the same place there.
//!
//! ```text
//! base   root - specs - site-a - pump-07 - relay.yaml        what each path held
//! commit root'- specs'- site-a'- pump-07'- relay.yaml'       what it holds, where that differs, and what it may be a delta on
//! ```
//!
//! A device has of the base what lies at its own paths, and nothing that is older or another's. So an object that stands
//! elsewhere in the base, or stood there before, is brought all the same; and a delta is on what lay at the same path, which
//! who reads the one has of the other.

use std::collections::{HashMap, HashSet};

use super::graph::{self, Entry};
use crate::{
    api::{Oid, Result},
    reconcile::ports::{ObjectKind, Objects},
};

/// An object that is brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct New {
    /// Its name.
    pub id: Oid,
    /// Its kind.
    pub kind: ObjectKind,
    /// What of the same kind lies in its place in the base, and is not brought itself.
    pub base: Option<Oid>,
}

/// What the commits bring to one who has the base; each object once, in an order that is always the same.
///
/// # Errors
///
/// `PackInvalid` if a commit or tree is missing; those of [`graph::root`] and [`graph::entries`].
pub fn since(objects: &dyn Objects, base: Oid, commits: &[Oid]) -> Result<Vec<New>> {
    let mut walk = Walk { objects, found: Vec::new(), at: HashMap::new(), compared: HashSet::new() };
    let tree = graph::root(objects, base)?;
    for &commit in commits {
        walk.find(commit, ObjectKind::Commit, Some(base));
        let root = graph::root(objects, commit)?;
        walk.compare(root, tree)?;
    }
    let Walk { mut found, at, .. } = walk;
    for new in &mut found {
        new.base = new.base.filter(|base| !at.contains_key(base));
    }
    Ok(found)
}

struct Walk<'a> {
    objects: &'a dyn Objects,
    found: Vec<New>,
    /// Where in `found` an object stands.
    at: HashMap<Oid, usize>,
    /// Trees that were looked through, each with the one in its place.
    compared: HashSet<(Oid, Option<Oid>)>,
}

impl Walk<'_> {
    /// Notes an object. One that lies in several places is no delta, unless the same lay in all of them.
    fn find(&mut self, id: Oid, kind: ObjectKind, base: Option<Oid>) {
        match self.at.get(&id).map(|at| &mut self.found[*at]) {
            Some(new) if new.base != base => new.base = None,
            Some(_) => {}
            None => {
                self.at.insert(id, self.found.len());
                self.found.push(New { id, kind, base });
            }
        }
    }

    /// Notes what a tree has, and another one in its place has not.
    fn compare(&mut self, root: Oid, base: Oid) -> Result<()> {
        if root == base {
            return Ok(());
        }
        self.find(root, ObjectKind::Tree, Some(base));
        let mut open = vec![(root, Some(base))];
        while let Some((tree, base)) = open.pop() {
            if !self.compared.insert((tree, base)) {
                continue;
            }
            let before = base.map(|base| graph::tree(self.objects, base).map(|data| (base, data))).transpose()?;
            let before = before.as_ref().map(|(base, data)| graph::by_name(*base, data));
            let before = before.transpose()?.unwrap_or_default();
            for entry in graph::entries(tree, &graph::tree(self.objects, tree)?) {
                let Entry { name, id, kind } = entry?;
                let base = before.get(name).filter(|before| before.kind == kind).map(|before| before.id);
                if base == Some(id) {
                    continue;
                }
                self.find(id, kind, base);
                if kind == ObjectKind::Tree {
                    open.push((id, base));
                }
            }
        }
        Ok(())
    }
}
