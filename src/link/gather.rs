//! What is asked of a hub that runs git, and in which order, so that little comes along that the device does not read.
//!
//! ```text
//! commits, and root trees or the way -> trees of the way, level by level -> the folder -> what the hub held back
//! ```
//!
//! A filter (`tree:<depth>`) leaves out trees and blobs from a depth on; an object that is wanted by its name is sent
//! whatever the filter says, so that `tree:0` brings single ones; of a hub that takes no deeper one, the root trees come so
//! too. A hub without filters sends the whole of what it takes for new; what is not kept costs the transfer alone.
//!
//! Three ways begin, chosen by what is known. Bytes up and down, of one signed commit in a fleet of 10,000 devices in 100
//! sites:
//!
//! * *following*, where the branch stood at the device's commit when it was listed last, so that little is new: all trees
//!   of the way as deltas, in the first request (241 and about 900). By their names they would come whole: 2.4 kB each.
//! * *catching up*: commits and root trees alone, whatever is new beside the way. Then each tree of the way once, whole; or,
//!   where that is a long one and few places have changed, the same once more one level deeper: as deltas.
//! * *first*: the commit and the root tree of the tip alone, and each tree of the way, whole.
//!
//! The folder comes by its name, without a filter: as deltas on what the device has, and without what did not change.
//! The hub takes who has a commit for one who has its whole tree, and holds back what moved from another device's folder
//! to this one's: what then is still lacking is asked for by somebody who has nothing.

use std::{
    collections::{HashSet, VecDeque},
    io::{Read, Write},
};

use crate::{
    api::{DeviceId, Error, Oid, Reason, Result, limits},
    git::{
        fetch::{Ask, UploadPack},
        graph::{self, Entry, Lineage},
        reads::{self, Reads, way},
    },
    reconcile::ports::{ObjectKind, Quarantine, Want},
};

/// What a commit costs beside its own bytes: its root tree, and what it changes of the way.
const COMMIT_BYTES: usize = 150;
/// Less than this saved is not worth a pack more in the quarantine.
const WORTH_BYTES: usize = 4096;

/// Brings what is wanted. The branch `stood` at that commit when the hub was listed last.
///
/// # Errors
///
/// Those of [`Link::fetch`](crate::reconcile::ports::Link::fetch).
pub(super) fn gather<S: Read + Write>(
    hub: &mut UploadPack<S>,
    want: Want<'_>,
    stood: Option<Oid>,
    into: &mut dyn Quarantine,
) -> Result<()> {
    match want {
        Want::Whole(commit) => hub.fetch(&Ask { wants: &[commit], is_alone: true, ..Ask::default() }, into),
        Want::Objects(ids) => single(hub, ids, into),
        Want::Tip { tip, have, device } => {
            let follows = have.is_some() && have == stood;
            begin(hub, tip, have, if follows { way(device).count() } else { 1 }, into)?;
            if let Some(have) = have.filter(|_| !follows) {
                go_deeper(hub, tip, have, device, into)?;
            }
            complete(hub, tip, have, device, into)
        }
    }
}

/// Brings the commits, with their trees down to a depth, as far as the hub filters.
fn begin<S: Read + Write>(
    hub: &mut UploadPack<S>,
    tip: Oid,
    have: Option<Oid>,
    depth: usize,
    into: &mut dyn Quarantine,
) -> Result<()> {
    let depth = hub.filters().map(|most| most.min(depth));
    hub.fetch(&Ask { wants: &[tip], have, is_alone: have.is_none(), depth }, into)?;
    if depth == Some(0) {
        single(hub, &roots(&*into, tip, have)?, into)?;
    }
    Ok(())
}

/// Brings the trees of the way as deltas, level by level, while that costs much less than to have them whole.
fn go_deeper<S: Read + Write>(
    hub: &mut UploadPack<S>,
    tip: Oid,
    have: Oid,
    device: &DeviceId,
    into: &mut dyn Quarantine,
) -> Result<()> {
    for depth in 2..=way(device).count() {
        let is_asked = hub.filters() >= Some(depth)
            && !Reads::of(&*into, tip, device)?.lacks_on_way.is_empty()
            && has_changed_little(&*into, tip, have, device, depth - 2)?;
        if !is_asked {
            break;
        }
        begin(hub, tip, Some(have), depth, into)?;
    }
    Ok(())
}

/// Whether to have the commits sent once more, with all that is new one level below that of the way, costs much less than
/// the trees of the way from there on, whole. A filter takes every place alike. So it has to be seen beforehand that no
/// file comes which the device does not read, that no place beside the way is gone on with, and that each commit has
/// changed but one.
fn has_changed_little(objects: &dyn Quarantine, tip: Oid, have: Oid, device: &DeviceId, level: usize) -> Result<bool> {
    let Some(Lineage { tree: root, .. }) = graph::lineage(objects, have)? else { return Ok(false) };
    let trees = reads::way_trees(objects, root, device)?;
    let Some((id, old)) = trees.get(level) else { return Ok(false) };
    let old = graph::by_name(*id, old)?;
    // Two thirds of a tree that is all names of folders cannot be compressed.
    let whole: usize = trees[level + 1..].iter().map(|(_, tree)| tree.len() / 3 * 2).sum();
    let commits = commits(objects, tip, Some(have), limits::RANGE_COMMITS.min(whole / COMMIT_BYTES + 1))?;
    let (names, mut places) = (way(device).collect::<Vec<_>>(), HashSet::new());
    let is_last = level + 2 == names.len();
    for commit in &commits {
        // What is wrong with a tree is for others to say.
        let Ok(trees) = reads::way_trees(objects, commit.tree, device) else { return Ok(false) };
        let Some((id, tree)) = trees.get(level) else { return Ok(false) };
        for entry in graph::entries(*id, tree) {
            let Ok(Entry { name, id, kind }) = entry else { return Ok(false) };
            match kind {
                _ if old.get(name).is_some_and(|old| old.id == id) => {}
                ObjectKind::Tree if is_last || name == names[level].as_bytes() => drop(places.insert(id)),
                ObjectKind::Blob if level == 0 && str::from_utf8(name).is_ok_and(reads::is_paper) => {}
                _ => return Ok(false),
            }
        }
    }
    let again: usize = commits.iter().map(|commit| COMMIT_BYTES + commit.length / 3 * 2).sum();
    Ok(places.len() <= commits.len() && again + WORTH_BYTES < whole)
}

/// The commits that are there behind a tip and not behind the one that the device has, the tip among them; so many at most.
fn commits(objects: &dyn Quarantine, tip: Oid, have: Option<Oid>, most: usize) -> Result<Vec<Lineage>> {
    let (mut open, mut seen) = (VecDeque::from([tip]), HashSet::from([tip]));
    seen.extend(have);
    let mut found = Vec::new();
    while let Some(commit) = open.pop_front().filter(|_| found.len() < most) {
        if let Some(lineage) = graph::lineage(objects, commit)? {
            open.extend(lineage.parents.iter().filter(|&&parent| seen.insert(parent)));
            found.push(lineage);
        }
    }
    Ok(found)
}

/// The root trees that are not there, of the tip and of the commits behind it: no more than are read of a range.
fn roots(objects: &dyn Quarantine, tip: Oid, have: Option<Oid>) -> Result<Vec<Oid>> {
    let mut trees = Vec::new();
    let mut seen = HashSet::new();
    for Lineage { tree, .. } in commits(objects, tip, have, limits::RANGE_COMMITS)? {
        if !objects.has(tree)? && seen.insert(tree) {
            trees.push(tree);
        }
    }
    Ok(trees)
}

/// Brings what is still lacking of that which the device reads of a tip.
fn complete<S: Read + Write>(
    hub: &mut UploadPack<S>,
    tip: Oid,
    mut have: Option<Oid>,
    device: &DeviceId,
    into: &mut dyn Quarantine,
) -> Result<()> {
    for _ in 0..limits::FETCH_ROUNDS {
        let Reads { mut lacks_on_way, lacks, .. } = Reads::of(&*into, tip, device)?;
        if !lacks_on_way.is_empty() {
            lacks_on_way.extend(lacks);
            single(hub, &lacks_on_way, into)?;
        } else if lacks.is_empty() {
            return Ok(());
        } else if have.is_some() {
            ask(hub, &lacks, &Ask { have: have.take(), ..Ask::default() }, into)?;
        } else {
            ask(hub, &lacks, &Ask::default(), into)?;
            are_there(&lacks, into)?;
        }
    }
    let what = format!("the hub sends the objects of {} one by one", tip.short());
    Err(Error::new(Reason::PackInvalid, what))
}

/// Brings single objects; from a hub without filters, trees with all that is below them.
fn single<S: Read + Write>(hub: &mut UploadPack<S>, ids: &[Oid], into: &mut dyn Quarantine) -> Result<()> {
    let depth = hub.filters().map(|_| 0);
    ask(hub, ids, &Ask { depth, ..Ask::default() }, into)?;
    are_there(ids, into)
}

/// Asks for objects by their names, so many at a time as one request may name.
fn ask<S: Read + Write>(hub: &mut UploadPack<S>, ids: &[Oid], how: &Ask<'_>, into: &mut dyn Quarantine) -> Result<()> {
    ids.chunks(limits::WANTS).try_for_each(|wants| hub.fetch(&Ask { wants, ..*how }, into))
}

fn are_there(ids: &[Oid], objects: &dyn Quarantine) -> Result<()> {
    for &id in ids {
        if !objects.has(id)? {
            return Err(Error::new(Reason::PackInvalid, format!("the hub left out the object {id}")));
        }
    }
    Ok(())
}
