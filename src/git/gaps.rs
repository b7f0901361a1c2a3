//! What devices lack of a pack that was made for whoever has all of a commit: they have of it what they read.
//!
//! ```text
//! base  specs - pump-07 - a.yaml           the pack leaves out b.yaml of pump-08: it is in the base,
//! tip   specs - pump-07 - a.yaml           though elsewhere
//!            `- pump-08 - a.yaml, as that
//! ```
//!
//! As in [`since`](super::since), an object is had where it lies at the same place in the base. The trees that lead there are
//! in the pack where they are new; those of the base have to be brought, and are asked for level by level.
//!
//! Nobody has proven the commits. So what is kept in mind is bounded by what a pack may have and what is read by bytes,
//! whatever the trees say.

use std::collections::{BTreeSet, HashSet};

use super::{
    graph::{self, Entry, Lineage},
    reads,
};
use crate::{
    api::{DeviceId, Error, Oid, Reason, Result, limits},
    reconcile::ports::{ObjectKind, Objects},
};

/// What is lacking.
#[derive(Debug, Default)]
pub struct Gaps {
    /// What devices read of the commits, and neither have nor are brought.
    pub lacks: Vec<(Oid, ObjectKind)>,
    /// Trees that have to be seen before all of it is known.
    pub unseen: Vec<Oid>,
}

/// The commits of a pack behind a tip, the base not among them; `None` if they do not lead to the base.
///
/// # Errors
///
/// `RangeTooLong` past [`limits::RANGE_COMMITS`]; those of [`graph::lineage`].
pub fn commits(brought: &dyn Objects, base: Oid, tip: Oid) -> Result<Option<Vec<Oid>>> {
    let (mut found, mut seen) = (vec![], HashSet::from([tip, base]));
    let (mut open, mut leads) = (vec![tip], false);
    while let Some(commit) = open.pop() {
        let Some(Lineage { parents, .. }) = graph::lineage(brought, commit)? else { continue };
        leads |= parents.contains(&base);
        found.push(commit);
        for parent in parents {
            // One that is not in the pack cost it a few bytes, and is not worth more here.
            if brought.has(parent)? && seen.insert(parent) {
                open.push(parent);
            }
        }
        if seen.len() > limits::RANGE_COMMITS + 1 {
            let what =
                format!("more than {} commits lie between {} and {}", limits::RANGE_COMMITS, base.short(), tip.short());
            return Err(Error::new(Reason::RangeTooLong, what));
        }
    }
    Ok(leads.then_some(found))
}

/// Looks for what the devices lack of these commits, as far as the trees are there: new ones among what is brought, and the
/// base's among what is known beside that.
///
/// # Errors
///
/// `PackInvalid` if the base or one of the commits is missing; `RangeTooLong` past [`limits::GAP_TREES`],
/// [`limits::GAP_BYTES`] or, of what is lacking, [`limits::PACK_OBJECTS`]; those of [`graph::entries`] and [`Objects::read`].
pub fn find(
    brought: &dyn Objects,
    known: &dyn Objects,
    base: Oid,
    commits: &[Oid],
    devices: &[&DeviceId],
) -> Result<Gaps> {
    let before = graph::root(known, base)?;
    let mut search = Search {
        brought,
        known,
        base,
        folders: devices.iter().map(|device| reads::way(device).collect::<Vec<_>>().join("/")).collect(),
        gaps: Gaps::default(),
        found: HashSet::new(),
        seen: HashSet::new(),
        open: Vec::new(),
        left: limits::GAP_BYTES,
    };
    for &commit in commits {
        search.open(Pair {
            tree: graph::root(brought, commit)?,
            before: Some(before),
            place: Place::Way(String::new()),
        })?;
    }
    while let Some(pair) = search.open.pop() {
        search.compare(pair)?;
    }
    Ok(search.gaps)
}

/// A tree, and the one at its place in the base.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Pair {
    tree: Oid,
    before: Option<Oid>,
    place: Place,
}

/// Where a tree lies.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Place {
    /// Above devices' folders, at this path.
    Way(String),
    /// In a device's folder, of which all is read.
    Folder,
}

impl Place {
    fn below(&self, name: &str) -> String {
        match self {
            Self::Way(path) if !path.is_empty() => format!("{path}/{name}"),
            _ => name.to_owned(),
        }
    }
}

struct Search<'a> {
    brought: &'a dyn Objects,
    known: &'a dyn Objects,
    base: Oid,
    /// The paths of the devices' folders.
    folders: BTreeSet<String>,
    gaps: Gaps,
    found: HashSet<Oid>,
    /// All that is or was open.
    seen: HashSet<Pair>,
    open: Vec<Pair>,
    /// How many bytes of trees may still be read.
    left: usize,
}

impl Search<'_> {
    /// Leaves two trees to be compared, unless they are one, or were here before.
    fn open(&mut self, pair: Pair) -> Result<()> {
        if Some(pair.tree) != pair.before && self.seen.insert(pair.clone()) {
            self.open.push(pair);
        }
        if self.seen.len() > limits::GAP_TREES {
            return Err(self.too_long(format!("more than {} trees", limits::GAP_TREES)));
        }
        Ok(())
    }

    /// Compares two trees, entry by entry, and leaves those below for later.
    fn compare(&mut self, Pair { tree, before, place }: Pair) -> Result<()> {
        self.need(tree, ObjectKind::Tree)?;
        let Some(data) = self.see(tree)? else { return Ok(()) };
        let Some(old) = before.map_or(Ok(Some(Vec::new())), |before| self.see(before))? else { return Ok(()) };
        let old = graph::by_name(before.unwrap_or(tree), &old)?;
        for entry in graph::entries(tree, &data) {
            let Entry { name, id, kind } = entry?;
            let places = self.places(&place, name, kind);
            if places.is_empty() {
                continue;
            }
            let before = old.get(name).filter(|old| old.kind == kind).map(|old| old.id);
            match kind {
                _ if before == Some(id) => {}
                ObjectKind::Tree => {
                    places.into_iter().try_for_each(|place| self.open(Pair { tree: id, before, place }))?;
                }
                _ => self.need(id, kind)?,
            }
        }
        Ok(())
    }

    /// What an entry is to the devices; nothing if none of them reads it. Where one device is named below another it is two
    /// things.
    fn places(&self, place: &Place, name: &[u8], kind: ObjectKind) -> Vec<Place> {
        let (Place::Way(above), Ok(name)) = (place, str::from_utf8(name)) else {
            return if matches!(place, Place::Folder) { vec![Place::Folder] } else { vec![] };
        };
        if kind != ObjectKind::Tree {
            return if above.is_empty() && reads::is_paper(name) { vec![Place::Folder] } else { vec![] };
        }
        let path = place.below(name);
        let folder = self.folders.contains(&path).then_some(Place::Folder);
        let below = format!("{path}/");
        let is_way = self.folders.range(below.clone()..).next().is_some_and(|folder| folder.starts_with(&below));
        folder.into_iter().chain(is_way.then_some(Place::Way(path))).collect()
    }

    /// Notes what is not brought.
    fn need(&mut self, id: Oid, kind: ObjectKind) -> Result<()> {
        if !self.brought.has(id)? && self.found.insert(id) {
            self.gaps.lacks.push((id, kind));
        }
        if self.found.len() > limits::PACK_OBJECTS {
            return Err(self.too_long(format!("more than {} objects that are not in it", limits::PACK_OBJECTS)));
        }
        Ok(())
    }

    fn see(&mut self, tree: Oid) -> Result<Option<Vec<u8>>> {
        for objects in [self.brought, self.known] {
            if objects.has(tree)? {
                let data = graph::tree(objects, tree)?;
                let left = self.left.checked_sub(data.len());
                self.left = left.ok_or_else(|| self.too_long(format!("more than {} bytes", limits::GAP_BYTES)))?;
                return Ok(Some(data));
            }
        }
        self.gaps.unseen.push(tree);
        Ok(None)
    }

    fn too_long(&self, what: String) -> Error {
        let what = format!("the trees of the commits that follow {} come to {what}", self.base.short());
        Error::new(Reason::RangeTooLong, what)
    }
}
