//! Whether statuses from a stick are the device's, and whether they are news.
//!
//! ```text
//! hub     s1 - s2 - s3
//! stick            `- s4 - s5     goes on: taken
//!         s1 - s2                 known
//!              `- s4'             begins again further down with a higher number: takes the place of s3
//!              `- s3'             no higher: known, an older word
//! ```
//!
//! A device begins again where it gave up statuses that no stick had brought home in time; it does not know that one had.

use giter_edge::{
    api::{DeviceId, Error, Oid, Reason, Result, limits},
    codec::signers::Keyring,
};

use super::bundle::Brought;
use crate::{chain::Reader, git::Git, hook::status};

/// What became of a bundle of statuses.
pub(super) enum Verdict {
    /// The hub has them.
    Known,
    /// They are older than what the hub has.
    Older,
    /// So many are new, and take the place of so many that the hub has.
    New { count: usize, gone: usize },
}

/// Judges what a bundle brings for a device whose status ref is at `old`, once the reader sees it.
///
/// # Errors
///
/// `DeviceNotApproved`; the reason of the first commit that is not the device's next status; the repository cannot be read.
pub(super) fn judge(
    git: &Git,
    reader: &mut Reader,
    (device, own): (&DeviceId, Keyring),
    old: Option<Oid>,
    brought: &Brought,
    now: i64,
) -> Result<Verdict> {
    if own.signers().is_empty() {
        return Err(status::not_approved(device));
    }
    let tip = brought.tip;
    if let Some(old) = old
        && brought.objects.is_empty()
        && is_before(git, tip, old)?
    {
        return Ok(Verdict::Known);
    }
    let (commits, base) = parting(git, reader, tip, old)?;
    status::prove(reader, device, own, base, commits.clone(), now)?;
    let Some(old) = old.filter(|old| Some(*old) != base) else {
        return Ok(Verdict::New { count: commits.len(), gone: 0 });
    };
    let [before, after] = [old, tip].map(|commit| number(reader, commit));
    if after? <= before? {
        return Ok(Verdict::Older);
    }
    let ends: Vec<Oid> = base.into_iter().collect();
    let gone = reader.above(old, &ends, usize::MAX)?.map_or(0, |(commits, _)| commits.len());
    Ok(Verdict::New { count: commits.len(), gone })
}

/// The commits of a chain above what it shares with the one that ends at `old`, the newest first, and what that is.
fn parting(git: &Git, reader: &mut Reader, tip: Oid, old: Option<Oid>) -> Result<(Vec<Oid>, Option<Oid>)> {
    let (mut commits, mut next) = (Vec::new(), Some(tip));
    while let Some(commit) = next {
        if let Some(old) = old
            && !reader.is_brought(commit)
            && is_before(git, commit, old)?
        {
            break;
        }
        if commits.len() == limits::PUSH_STATUSES {
            let what = format!("{} does not lead back to what the hub has in {} statuses", tip.short(), commits.len());
            return Err(Error::new(Reason::NotFastForward, what).hint("see who made the bundle"));
        }
        commits.push(commit);
        next = reader.before(commit)?;
    }
    Ok((commits, next))
}

fn is_before(git: &Git, commit: Oid, old: Oid) -> Result<bool> {
    git.leads(&commit.to_string(), &old.to_string())
}

/// The number of a status; 0 of one that cannot be read, which any other takes the place of.
fn number(reader: &mut Reader, commit: Oid) -> Result<u64> {
    let status = reader.entry(commit)?.ok().and_then(|entry| entry.status.ok());
    Ok(status.map_or(0, |status| status.sequence))
}
