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
//! * *catching up*: commits and root trees alone, whatever is new beside the way. Where that turns out to be little, the
//!   same is asked for once more with the way, as when following. Else each tree of the way once, whole.
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
        graph::{self, Lineage},
        reads::{self, Reads, way},
    },
    reconcile::ports::{Quarantine, Want},
};

/// What a request costs by itself, up and down.
const REQUEST_BYTES: usize = 350;
/// What a signed commit costs with its root tree and with what it changes of the way.
const COMMIT_BYTES: usize = 450;

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
            if let Some(have) = have
                && !follows
                && is_cheaper_again(hub, tip, have, device, &*into)?
            {
                begin(hub, tip, Some(have), way(device).count(), into)?;
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

/// Whether it costs less to have the commits that are new sent once more, with the way as deltas, than trees of it whole.
fn is_cheaper_again<S: Read + Write>(
    hub: &UploadPack<S>,
    tip: Oid,
    have: Oid,
    device: &DeviceId,
    objects: &dyn Quarantine,
) -> Result<bool> {
    if hub.filters() < Some(way(device).count()) || Reads::of(objects, tip, device)?.lacks_on_way.is_empty() {
        return Ok(false);
    }
    let trees = reads::way_lengths(objects, have, device)?.into_iter().skip(1);
    // Two thirds of a tree that is all names of folders cannot be compressed.
    let whole: usize = trees.map(|length| REQUEST_BYTES + length / 3 * 2).sum();
    let most = whole.saturating_sub(REQUEST_BYTES) / COMMIT_BYTES;
    Ok(commits(objects, tip, Some(have), most + 1)?.len() <= most)
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
