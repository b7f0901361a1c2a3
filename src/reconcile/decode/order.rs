//! The order in which resources are applied: each after those that its `edge.giter.dev/after` names, otherwise as they
//! stand.

use std::collections::{BTreeMap, BTreeSet};

use super::about;
use crate::{
    api::{Findings, Reason, ResourceKey},
    codec::manifest::Declared,
};

/// Puts the resources in order. Names that nobody declares are reported only where all was read.
pub(super) fn order(declared: Vec<Declared>, is_complete: bool, findings: &mut Findings) -> Vec<Declared> {
    let needs = needs(&declared, is_complete, findings);
    let mut missing: Vec<usize> = needs.iter().map(BTreeSet::len).collect();
    let mut needed_by = vec![Vec::new(); declared.len()];
    for (at, needs) in needs.iter().enumerate() {
        needs.iter().for_each(|&need| needed_by[need].push(at));
    }
    let mut ready: BTreeSet<usize> = (0..declared.len()).filter(|&at| missing[at] == 0).collect();
    let mut places = Vec::with_capacity(declared.len());
    while let Some(at) = ready.pop_first() {
        places.push(at);
        for &next in &needed_by[at] {
            missing[next] -= 1;
            if missing[next] == 0 {
                ready.insert(next);
            }
        }
    }
    if places.len() < declared.len() {
        report_circle(&declared, &needs, &places, findings);
        return declared;
    }
    let mut declared: Vec<Option<Declared>> = declared.into_iter().map(Some).collect();
    places.into_iter().filter_map(|at| declared[at].take()).collect()
}

/// The places of the resources that each resource waits for.
fn needs(declared: &[Declared], is_complete: bool, findings: &mut Findings) -> Vec<BTreeSet<usize>> {
    let place: BTreeMap<&ResourceKey, usize> =
        declared.iter().enumerate().map(|(at, declared)| (&declared.resource.key, at)).collect();
    let mut needs = Vec::with_capacity(declared.len());
    for declared in declared {
        let after = &declared.resource.after;
        for key in after.iter().filter(|key| is_complete && !place.contains_key(key)) {
            report(declared, format!("this device has no {key}"), findings);
        }
        needs.push(after.iter().filter_map(|key| place.get(key).copied()).collect());
    }
    needs
}

/// Names one circle among the resources that found no place. Each of them waits for another such one, so following
/// these comes round.
fn report_circle(declared: &[Declared], needs: &[BTreeSet<usize>], placed: &[usize], findings: &mut Findings) {
    let placed: BTreeSet<usize> = placed.iter().copied().collect();
    let is_stuck = |at: &usize| !placed.contains(at);
    let mut way: Vec<usize> = Vec::new();
    let mut next = (0..declared.len()).find(is_stuck);
    while let Some(at) = next {
        if let Some(begin) = way.iter().position(|seen| *seen == at) {
            let names: Vec<String> =
                way[begin..].iter().chain([&at]).map(|&at| declared[at].resource.key.to_string()).collect();
            return report(&declared[at], format!("the order is a circle: {}", names.join(" after ")), findings);
        }
        way.push(at);
        next = needs[at].iter().copied().find(is_stuck);
    }
}

fn report(declared: &Declared, message: String, findings: &mut Findings) {
    let at = declared.after_at.unwrap_or(declared.name_at);
    findings.push(about(declared, at, Reason::BadOrder, "metadata.annotations[edge.giter.dev/after]", message));
}
