//! From desired to outcome: observe, decide, carry out, observe again, one resource after the other.
//!
//! A resource that fails does not stop the others, except those that are to come `after` it.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    goal::{Goal, Observed},
    plan::{self, Change, Decision, Why},
    ports::Board,
};
use crate::api::{
    Drift, Error, Findings, Oid, Reason, Resource, ResourceKey, Result, Spec, finding::Finding, ledger::Owned,
};

/// A resource with its goal on this board.
#[derive(Clone, Debug, PartialEq)]
pub struct Bound {
    /// What is asked.
    pub resource: Resource,
    /// What that means here.
    pub goal: Goal,
}

/// Binds every resource to the board, and sees to it that no two drive the same target: all of them, or none.
///
/// # Errors
///
/// What the board refuses, with the manifest's place; `TargetConflict`.
pub fn bind(resources: Vec<Resource>, board: &dyn Board) -> Result<Vec<Bound>, Findings> {
    let (bound, findings) = bind_each(resources, board);
    findings.or(bound)
}

/// Binds those resources that fit the board, and says what is wrong with the others.
pub fn bind_each(resources: Vec<Resource>, board: &dyn Board) -> (Vec<Bound>, Findings) {
    let mut findings = Findings::default();
    let mut bound: Vec<Bound> = Vec::with_capacity(resources.len());
    for resource in resources {
        match board.bind(&resource.spec) {
            Ok(goal) => bound.push(Bound { resource, goal }),
            Err(error) => {
                let cure = error.get_hint().map(|hint| format!("; {hint}")).unwrap_or_default();
                findings.push(finding(&resource, error.reason(), error.one_line() + &cure));
            }
        }
    }
    let mut targets: BTreeMap<_, &Resource> = BTreeMap::new();
    let mut is_alone = Vec::with_capacity(bound.len());
    for Bound { resource, goal } in &bound {
        let other = targets.get(&goal.target()).copied();
        is_alone.push(other.is_none());
        if let Some(Resource { key, origin, .. }) = other {
            let message = format!("{} is driven by {key} ({origin}) too", goal.target());
            findings.push(finding(resource, Reason::TargetConflict, message));
        } else {
            targets.insert(goal.target(), resource);
        }
    }
    drop(targets);
    let mut is_alone = is_alone.into_iter();
    bound.retain(|_| is_alone.next() == Some(true));
    (bound, findings)
}

fn finding(resource: &Resource, reason: Reason, message: String) -> Finding {
    let field = match &resource.spec {
        Spec::File(_) if reason == Reason::UnknownOwner => "spec.owner",
        Spec::File(_) => "spec.path",
        Spec::GpioLine(_) => "spec.line",
        Spec::Led(_) => "spec.led",
    };
    let (path, at) = (resource.origin.path.to_string(), Some(resource.origin.field(field)));
    Finding { reason, path, at, field: field.into(), message }
}

/// The owned list once these resources are in hand: what stood there, and each new target. Nothing is dropped: what
/// no resource names any more is released first.
pub fn take_in_hand(owned: &[Owned], bound: &[Bound]) -> Vec<Owned> {
    let mut list = owned.to_vec();
    for Bound { resource, goal } in bound {
        let release = plan::release_of(&resource.spec, goal);
        match list.iter_mut().find(|owned| owned.is_for(&resource.key, goal)) {
            Some(owned) => owned.release = release,
            None => list.push(Owned { key: resource.key.clone(), release, applied: None, corrected: 0 }),
        }
    }
    list
}

/// Whether two owned lists are the same as far as the record is concerned: what another program drifts again and again
/// must not wear out the flash, so a count is worth a record only where it is told otherwise.
pub fn is_same_record(one: &[Owned], other: &[Owned]) -> bool {
    let same = |(one, other): (&Owned, &Owned)| {
        (&one.key, &one.release, one.applied, told(one.corrected))
            == (&other.key, &other.release, other.applied, told(other.corrected))
    };
    one.len() == other.len() && one.iter().zip(other).all(same)
}

/// How a count of corrections is told: exactly below eight, then the power of two that it has reached. So a fight over a
/// target, however long, makes a handful of records and statuses.
pub fn told(corrected: u32) -> u32 {
    if corrected < 8 { corrected } else { 1 << corrected.ilog2() }
}

/// Leaves out the resources that are not in hand: of older specs than the accepted ones, those that the accepted ones
/// let go of, or never had there.
pub fn keep_in_hand(bound: &mut Vec<Bound>, owned: &[Owned]) {
    bound.retain(|bound| owned.iter().any(|owned| owned.is_for(&bound.resource.key, &bound.goal)));
}

impl Owned {
    fn is_for(&self, key: &ResourceKey, goal: &Goal) -> bool {
        self.key == *key && self.release.target() == goal.target()
    }
}

/// What became of one resource, or of a target that was let go.
#[derive(Debug)]
pub struct Outcome {
    /// Whose.
    pub key: ResourceKey,
    /// Its manifest's blob; `None` for what was released.
    pub digest: Option<Oid>,
    /// The change that was made or tried.
    pub change: Option<Change>,
    /// What was found, where drift is only reported.
    pub reported: Option<String>,
    /// Why it is not as it should be.
    pub error: Option<Error>,
    /// What was seen last.
    pub observed: Option<Observed>,
    /// How many times drift was corrected since the spec last changed.
    pub corrected: u32,
}

impl Outcome {
    fn of(key: &ResourceKey, digest: Option<Oid>) -> Self {
        let key = key.clone();
        Self { key, digest, change: None, reported: None, error: None, observed: None, corrected: 0 }
    }

    /// Whether the resource is as the spec says.
    pub fn is_ready(&self) -> bool {
        self.error.is_none() && self.reported.is_none()
    }
}

/// Whether what no resource names is let go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Releases {
    /// It is: the specs are those of the accepted tip.
    Due,
    /// It is not: the specs are not known, or are older than the accepted tip.
    Withheld,
}

/// Which of the owned targets are to be released, with the change for each.
pub fn releases(owned: &[Owned], bound: &[Bound]) -> Vec<(usize, Change)> {
    let targets: BTreeSet<_> = bound.iter().map(|bound| bound.goal.target()).collect();
    let stale = |owned: &Owned| !bound.iter().any(|bound| owned.is_for(&bound.resource.key, &bound.goal));
    let with_change = |(at, owned): (usize, &Owned)| {
        stale(owned).then(|| (at, plan::release(owned, targets.contains(&owned.release.target()))))
    };
    owned.iter().enumerate().filter_map(with_change).collect()
}

/// What a reconciliation would change, without changing it.
///
/// # Errors
///
/// In each pair: why the resource cannot be observed.
pub fn preview(
    bound: &[Bound],
    due: Releases,
    owned: &[Owned],
    board: &mut dyn Board,
) -> Vec<(ResourceKey, Result<Decision>)> {
    let released = releases(owned, bound).into_iter().filter(|_| due == Releases::Due);
    let mut list: Vec<_> = released.map(|(_, change)| (change.key.clone(), Ok(Decision::Change(change)))).collect();
    for Bound { resource, goal } in bound {
        let owned = owned.iter().find(|owned| owned.is_for(&resource.key, goal));
        let decision = board
            .observe(goal)
            .map(|observed| plan::decide(&resource.key, goal, resource.spec.drift(), owned, &observed));
        list.push((resource.key.clone(), decision));
    }
    list
}

/// What there is to say of each resource from looking alone: whatever a reconciliation would change is reported.
pub fn look(bound: &[Bound], owned: &[Owned], board: &mut dyn Board) -> Vec<Outcome> {
    let look_at = |Bound { resource, goal }: &Bound| {
        let mut outcome = Outcome::of(&resource.key, Some(resource.digest));
        let owned = owned.iter().find(|owned| owned.is_for(&resource.key, goal));
        outcome.corrected = owned.map_or(0, |owned| owned.corrected);
        match board.observe(goal) {
            Ok(observed) => {
                let decision = plan::decide(&resource.key, goal, resource.spec.drift(), owned, &observed);
                outcome.observed = Some(observed);
                outcome.reported = match decision {
                    Decision::Change(change) if change.why != Why::Adopt => Some(change.found),
                    Decision::Report(found) => Some(found),
                    _ => None,
                };
            }
            Err(error) => outcome.error = Some(error),
        }
        outcome
    };
    bound.iter().map(look_at).collect()
}

/// Releases what is gone and brings every resource to its goal. `owned` is brought up to date.
pub fn reconcile(bound: &[Bound], due: Releases, owned: &mut Vec<Owned>, board: &mut dyn Board) -> Vec<Outcome> {
    let mut outcomes = match due {
        Releases::Due => release_stale(bound, owned, board),
        Releases::Withheld => Vec::new(),
    };
    let known: BTreeSet<_> = bound.iter().map(|bound| &bound.resource.key).collect();
    let mut failed = BTreeSet::new();
    for Bound { resource, goal } in bound {
        let is_awaited = |key: &&ResourceKey| failed.contains(*key) || !known.contains(*key);
        let outcome = match resource.after.iter().find(is_awaited) {
            Some(other) => {
                let what = format!("{} waits for {other}, which is not ready", resource.key);
                let error = Some(Error::new(Reason::DependencyNotReady, what));
                Outcome { error, ..Outcome::of(&resource.key, Some(resource.digest)) }
            }
            None => match owned.iter_mut().find(|owned| owned.is_for(&resource.key, goal)) {
                Some(owned) => reconcile_one(resource, goal, owned, board),
                None => {
                    let error = Error::new(Reason::Bug, format!("{} was never taken in hand", resource.key));
                    Outcome { error: Some(error), ..Outcome::of(&resource.key, Some(resource.digest)) }
                }
            },
        };
        if !outcome.is_ready() {
            failed.insert(&resource.key);
        }
        outcomes.push(outcome);
    }
    outcomes
}

/// Lets go of what is gone; what could not be let go stays owned and is tried again.
fn release_stale(bound: &[Bound], owned: &mut Vec<Owned>, board: &mut dyn Board) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for (at, change) in releases(owned, bound).into_iter().rev() {
        let done = change.steps.iter().try_for_each(|step| board.apply(step));
        if done.is_ok() {
            owned.remove(at);
        }
        let key = change.key.clone();
        outcomes.push(Outcome { change: Some(change), error: done.err(), ..Outcome::of(&key, None) });
    }
    outcomes.reverse();
    outcomes
}

fn reconcile_one(resource: &Resource, goal: &Goal, owned: &mut Owned, board: &mut dyn Board) -> Outcome {
    let mut outcome = Outcome::of(&resource.key, Some(resource.digest));
    if let Err(error) = converge(resource, goal, owned, board, &mut outcome) {
        outcome.error = Some(error);
    }
    outcome.corrected = owned.corrected;
    outcome
}

fn converge(
    resource: &Resource,
    goal: &Goal,
    owned: &mut Owned,
    board: &mut dyn Board,
    outcome: &mut Outcome,
) -> Result<()> {
    let observed = board.observe(goal)?;
    let decision = plan::decide(&resource.key, goal, resource.spec.drift(), Some(owned), &observed);
    outcome.observed = Some(observed);
    let why = match decision {
        Decision::InSync => None,
        Decision::Report(found) => {
            outcome.reported = Some(found);
            return Ok(());
        }
        Decision::Change(change) => {
            let why = change.why;
            let change = outcome.change.insert(change);
            change.steps.iter().try_for_each(|step| board.apply(step))?;
            let observed = board.observe(goal)?;
            let again = plan::decide(&resource.key, goal, Drift::Correct, Some(owned), &observed);
            outcome.observed = Some(observed);
            if let Decision::Change(still) = again {
                let what = format!("{} did not take: found {} after it was applied", resource.key, still.found);
                return Err(Error::new(Reason::NotConverged, what));
            }
            Some(why)
        }
    };
    if why == Some(Why::Drift) {
        owned.corrected = owned.corrected.saturating_add(1);
    } else if owned.applied != Some(goal.digest()) {
        owned.corrected = 0;
    }
    owned.applied = Some(goal.digest());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::ledger::Release;

    #[test]
    fn a_count_is_told_exactly_at_first_and_then_by_powers_of_two() {
        let counts = [0, 1, 2, 7, 8, 9, 15, 16, 1000, u32::MAX];
        assert_eq!(counts.map(told), [0, 1, 2, 7, 8, 8, 8, 16, 512, 1 << 31]);
    }

    #[test]
    fn only_a_count_that_is_told_otherwise_is_worth_a_record() {
        let owned = |corrected, applied| {
            let release = Release::Led { led: "ACT".into(), brightness: None };
            vec![Owned { key: "Led/act".parse().unwrap(), release, applied, corrected }]
        };
        assert!(is_same_record(&owned(9, None), &owned(10, None)));
        assert!(!is_same_record(&owned(15, None), &owned(16, None)));
        assert!(!is_same_record(&owned(1, None), &owned(2, None)));
        assert!(!is_same_record(&owned(9, None), &owned(10, Some([1; 16]))));
        assert!(!is_same_record(&owned(9, None), &[]));
    }
}
