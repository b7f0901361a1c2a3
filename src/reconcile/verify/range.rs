//! The commits between the floor and a tip, and the order in which they are judged.

use std::collections::{BinaryHeap, HashMap, HashSet};

use super::{Policy, history::History};
use crate::api::{Error, Oid, Reason, Result, ledger::Accepted, limits};

/// What the walk found between a tip and the floor.
pub(super) struct Range {
    tip: Oid,
    marks: HashMap<Oid, u8>,
}

/// Reached from the tip.
const NEW: u8 = 1;
/// Reached from the floor.
const OLD: u8 = 2;

impl Range {
    /// Step 3: paints history down from both ends at once, newest commit first, until nothing is left that only the tip
    /// reaches. Where dates lie, at worst a commit that the floor reaches stays unmarked, and has to be proven.
    pub(super) fn walk(tip: Oid, floor: &Accepted, history: &mut History<'_>) -> Result<Self> {
        let mut marks = HashMap::from([(tip, NEW), (floor.commit, OLD)]);
        let mut queue = BinaryHeap::new();
        for end in [tip, floor.commit] {
            queue.extend(history.date(end)?.map(|date| (date, end)));
        }
        let mut open = HashSet::from([tip]);
        while !open.is_empty() {
            let Some((_, id)) = queue.pop() else { break };
            let mark = marks[&id];
            open.remove(&id);
            for parent in history.parents(id)? {
                let known = marks.entry(parent).or_default();
                if *known | mark == *known {
                    continue;
                }
                *known |= mark;
                let only_new = *known == NEW;
                let Some(date) = history.date(parent)? else { continue };
                queue.push((date, parent));
                if only_new {
                    open.insert(parent)
                } else {
                    open.remove(&parent)
                };
            }
            if marks.len() > limits::RANGE_COMMITS {
                return Err(too_long(tip, floor));
            }
        }
        let range = Self { tip, marks };
        if range.mark(tip) & OLD != 0 {
            return Err(rewound(tip, floor));
        }
        if range.mark(floor.commit) & NEW == 0 {
            return Err(not_fast_forward(tip, floor));
        }
        Ok(range)
    }

    fn mark(&self, id: Oid) -> u8 {
        self.marks.get(&id).copied().unwrap_or_default()
    }

    fn is_new(&self, id: Oid, history: &mut History<'_>) -> Result<bool> {
        Ok(self.mark(id) == NEW && history.commit(id)?.is_some())
    }

    /// Step 4: the commits of the range as the branch took them in, the oldest first: a commit comes after its first
    /// parent with all that lies behind that, then after what its other parents bring.
    pub(super) fn line(&self, history: &mut History<'_>) -> Result<Vec<Oid>> {
        let (mut line, mut seen) = (Vec::new(), HashSet::from([self.tip]));
        let mut stack = vec![(self.tip, 0)];
        while let Some((id, next)) = stack.last_mut() {
            let (id, parent) = (*id, std::mem::replace(next, *next + 1));
            match history.parents(id)?.get(parent) {
                Some(&parent) if self.is_new(parent, history)? && seen.insert(parent) => stack.push((parent, 0)),
                Some(_) => {}
                None => {
                    line.push(id);
                    stack.pop();
                }
            }
        }
        Ok(line)
    }

    /// Step 4: the commits that have to be proven.
    pub(super) fn to_prove(&self, line: &[Oid], policy: Policy, history: &mut History<'_>) -> Result<HashSet<Oid>> {
        let mut chosen = HashSet::from([self.tip]);
        match policy {
            Policy::Tip => {}
            Policy::Range => chosen.extend(line),
            Policy::FirstParent => {
                let mut at = self.tip;
                while let Some(&parent) = history.parents(at)?.first()
                    && self.is_new(parent, history)?
                {
                    chosen.insert(parent);
                    at = parent;
                }
            }
        }
        Ok(chosen)
    }
}

const FORWARD: &str = "push a new commit on top of the accepted one; to go back to older specs, use git revert; where \
    the accepted commit is lost, a root can allow it: giterctl reset";

pub(super) fn rewound(tip: Oid, floor: &Accepted) -> Error {
    let what = format!("the branch was rewound from {} to the older {}", floor.commit.short(), tip.short());
    Error::new(Reason::Rewound, what).hint(FORWARD)
}

fn not_fast_forward(tip: Oid, floor: &Accepted) -> Error {
    let what = format!("the tip {} does not descend from the accepted {}", tip.short(), floor.commit.short());
    Error::new(Reason::NotFastForward, what).hint(FORWARD)
}

fn too_long(tip: Oid, floor: &Accepted) -> Error {
    let (tip, floor, most) = (tip.short(), floor.commit.short(), limits::RANGE_COMMITS);
    Error::new(Reason::RangeTooLong, format!("more than {most} commits lie between the accepted {floor} and {tip}"))
        .hint("let the device follow in steps: push an earlier commit first")
}
