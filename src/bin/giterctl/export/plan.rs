//! From what commit each device is to go to the tip, and which files that takes.
//!
//! ```text
//! last status of the device -> its observedRevision -+- the tip itself         nothing but the acknowledgement
//!                                                    +- before the tip         one bundle for all that stand there
//!                                                    `- none, or elsewhere     a seed of its own
//! ```

use std::collections::BTreeMap;

use giter_edge::api::{DeviceId, Error, Oid, Reason, Result};

use crate::{
    chain::{self, Reader},
    git::Git,
    objects::GitObjects,
    statuses::{self, Word},
    verify::lineage::Lineage,
};

/// What is exported, and to which commit devices are to go.
pub(super) struct Target<'a> {
    pub(super) git: &'a Git,
    /// The commit.
    pub(super) tip: Oid,
    /// Its tree.
    pub(super) tree: Oid,
    /// The full name of the branch in the bundles.
    pub(super) branch: String,
    /// The folder of the status refs.
    pub(super) prefix: &'a str,
}

/// How the caller overrules what the statuses say.
#[derive(Clone, Copy)]
pub(super) enum From {
    /// Not at all.
    Statuses,
    /// All devices have this commit.
    Base(Oid),
    /// No device has anything.
    Nothing,
}

/// A device, and from where it is to go to the tip.
pub(super) struct Leg {
    pub(super) device: DeviceId,
    pub(super) start: Start,
    /// The status that the hub has of it.
    pub(super) heard: Option<Oid>,
    /// Why it starts there, where that is not plain.
    pub(super) why: Option<String>,
}

/// Where a device starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// At the tip.
    There,
    /// At a commit before it.
    Base(Oid),
    /// Nowhere any more, after a commit before the tip.
    Lost(Oid),
    /// Nowhere yet.
    Nowhere,
}

/// A bundle, and whom of the legs it is for, by their numbers.
pub(super) struct Bundle {
    pub(super) content: Content,
    pub(super) legs: Vec<usize>,
}

/// What is in a bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// What lies between a commit and the tip: good for whoever has the one.
    Since(Oid),
    /// What one device reads of the tip.
    Seed,
    /// The tip with its whole history: good for anybody, git too.
    Full,
}

impl Content {
    /// What one has to have to read it; `None` where it is one device's seed.
    pub(super) fn base(self) -> Option<Option<Oid>> {
        match self {
            Self::Since(base) => Some(Some(base)),
            Self::Full => Some(None),
            Self::Seed => None,
        }
    }
}

/// Asks of each device where it stands.
///
/// # Errors
///
/// `NotFastForward` if the given base does not lead to the tip; the repository cannot be read.
pub(super) fn legs(target: &Target<'_>, devices: Vec<DeviceId>, from: From) -> Result<Vec<Leg>> {
    let mut history = Lineage::of(target.git, target.tip.to_string());
    if let From::Base(base) = from
        && !history.holds(base)?
    {
        let what = format!("{} is not in the history of {}", base.short(), target.tip.short());
        return Err(
            Error::new(Reason::NotFastForward, what).hint("name a commit that devices have accepted, with --base")
        );
    }
    let refs = chain::refs(target.git, target.prefix)?;
    let tips: BTreeMap<_, _> = refs.into_iter().map(|status_ref| (status_ref.device, status_ref.tip)).collect();
    let (objects, mut reader) = (GitObjects::of(target.git)?, Reader::of(target.git)?);
    let mut start = |says| start(&mut history, target.tip, from, says);
    let mut leg = |device: DeviceId| {
        let Some(tip) = tips.get(device.as_str()).copied() else {
            return Ok(Leg { start: start(None)?, device, heard: None, why: None });
        };
        let own = statuses::keys(&objects, target.tree, &device)?;
        Ok(match Word::read(&mut reader, &device, &own, tip)? {
            Ok(word) => {
                let says = word.status.observed_revision;
                let start = start(says)?;
                let why = match (from, says) {
                    (From::Statuses, Some(says)) if start == Start::Nowhere => {
                        Some(format!("it has {}, which does not lead to {}", says.short(), target.tip.short()))
                    }
                    _ if !word.is_proven => {
                        Some("its status is signed by a key that the exchange does not name".into())
                    }
                    _ => None,
                };
                Leg { device, start, heard: Some(word.commit), why }
            }
            Err(flaw) => {
                let why = Some(format!("its status {} is not believed: {flaw} [{}]", tip.short(), flaw.reason));
                Leg { start: start(None)?, device, heard: None, why }
            }
        })
    };
    devices.into_iter().map(&mut leg).collect()
}

/// The fewest bundles that serve all of them. A bundle between two commits is one for all who have the first, since it is
/// the same for each; what a device reads is its alone. A device looks into so many bundles for several and no more: where
/// there is no room, those of the fewest devices are written for each.
pub(super) fn bundles(legs: &[Leg], is_full: bool, room: usize) -> Vec<Bundle> {
    let mut shared: BTreeMap<Option<Oid>, Vec<usize>> = BTreeMap::new();
    let mut bundles = Vec::new();
    for (at, leg) in legs.iter().enumerate() {
        match leg.start {
            Start::There => {}
            Start::Base(base) => shared.entry(Some(base)).or_default().push(at),
            Start::Lost(_) | Start::Nowhere if is_full => shared.entry(None).or_default().push(at),
            Start::Lost(_) | Start::Nowhere => bundles.push(Bundle { content: Content::Seed, legs: vec![at] }),
        }
    }
    let content = |base: Option<Oid>| base.map_or(Content::Full, Content::Since);
    let mut shared: Vec<_> = shared.into_iter().map(|(base, legs)| Bundle { content: content(base), legs }).collect();
    shared.sort_by_key(|bundle| std::cmp::Reverse(bundle.legs.len()));
    let crowded = shared.split_off(room.min(shared.len()));
    let each = |Bundle { content, legs }: Bundle| legs.into_iter().map(move |leg| Bundle { content, legs: vec![leg] });
    shared.into_iter().chain(crowded.into_iter().flat_map(each)).chain(bundles).collect()
}

/// Where one starts whose status says that it has a commit of the history that ends at the tip.
fn start(history: &mut Lineage<'_>, tip: Oid, from: From, says: Option<Oid>) -> Result<Start> {
    let had = match from {
        From::Statuses | From::Nothing => says,
        From::Base(base) => Some(base),
    };
    let had = had.map(|had| history.holds(had).map(|holds| holds.then_some(had))).transpose()?.flatten();
    Ok(match (from, had) {
        (From::Nothing, Some(had)) if had != tip => Start::Lost(had),
        (From::Nothing, _) | (_, None) => Start::Nowhere,
        (_, Some(had)) if had == tip => Start::There,
        (_, Some(had)) => Start::Base(had),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_stands_at_one_commit_shares_a_bundle() {
        let leg = |name: &str, start| Leg { device: name.parse().unwrap(), start, heard: None, why: None };
        let [one, two] = [1, 2].map(|byte| Oid::new([byte; 20]));
        let starts =
            [Start::Base(two), Start::Lost(one), Start::Base(one), Start::There, Start::Base(two), Start::Nowhere];
        let legs: Vec<_> = starts.into_iter().enumerate().map(|(at, start)| leg(&format!("d{at}"), start)).collect();
        let of = |is_full, room| -> Vec<_> {
            bundles(&legs, is_full, room).into_iter().map(|Bundle { content, legs }| (content, legs)).collect()
        };
        let (first, second) = ((Content::Since(one), vec![2]), (Content::Since(two), vec![0, 4]));
        let seeds = [(Content::Seed, vec![1]), (Content::Seed, vec![5])];
        assert_eq!(of(false, 9), [&[second.clone(), first.clone()][..], &seeds].concat());
        assert_eq!(of(true, 9), [(Content::Full, vec![1, 5]), second.clone(), first.clone()]);
        let each = [(Content::Since(two), vec![0]), (Content::Since(two), vec![4]), first];
        assert_eq!(of(true, 1), [&[(Content::Full, vec![1, 5])][..], &each].concat());
    }
}
