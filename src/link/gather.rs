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
//! * *catching up*: commits and root trees alone, whatever is new beside the way. Then each tree of the way once, whole.
//! * *first*: the same of the tip alone.
//!
//! The folder comes by its name, without a filter: as deltas on what the device has, and without what did not change.
//! The hub takes who has a commit for one who has its whole tree, and holds back what moved from another device's folder
//! to this one's: what then is still lacking is asked for by somebody who has nothing.

use std::{
    collections::HashSet,
    io::{Read, Write},
};

use crate::{
    api::{DeviceId, Error, Oid, Reason, Result, limits},
    git::{
        fetch::{Ask, UploadPack},
        graph::{self, Lineage},
        reads::{Reads, way},
    },
    reconcile::ports::{Quarantine, Want},
};

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
            let depth = match have {
                Some(_) if have == stood => way(device).count(),
                _ => 1,
            };
            let depth = hub.filters().map(|most| most.min(depth));
            hub.fetch(&Ask { wants: &[tip], have, is_alone: have.is_none(), depth }, into)?;
            if depth == Some(0) {
                single(hub, &roots(&*into, tip)?, into)?;
            }
            complete(hub, tip, have, device, into)
        }
    }
}

/// The root trees that are not there, of the tip and of the commits behind it: no more than are read of a range.
fn roots(objects: &dyn Quarantine, tip: Oid) -> Result<Vec<Oid>> {
    let (mut commits, mut at) = (vec![tip], 0);
    let mut trees = Vec::new();
    let mut seen = HashSet::from([tip]);
    while at < commits.len().min(limits::RANGE_COMMITS) {
        if let Some(Lineage { tree, parents }) = graph::lineage(objects, commits[at])? {
            if !objects.has(tree)? && seen.insert(tree) {
                trees.push(tree);
            }
            commits.extend(parents.into_iter().filter(|&parent| seen.insert(parent)));
        }
        at += 1;
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
