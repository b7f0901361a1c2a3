//! The commits between the floor and a tip, and the order in which they are judged.
//!
//! ```text
//! floor --- o ... o --- end --- o ... o --- end --- o ... o --- tip      along first parents
//!           [   a step    ]     [  a step    ]     [   the last   ]
//! ```
//!
//! A long range is taken in steps along the branch, so that what is known of it at a time does not grow with it. A step
//! has what its end reaches and no earlier end does. Taken one after the other, the steps so have the same commits in
//! the same order as the whole range. Where dates lie, at worst a commit of an earlier step is judged once more.

use std::collections::HashSet;

use super::{
    Policy,
    history::History,
    painting::{Painting, Side},
};
use crate::api::{Error, Oid, Reason, Result, ledger::Accepted, limits};

/// A range, step by step.
pub(super) struct Steps {
    /// The floor and the ends of the steps, of which the tip is the last.
    ends: Vec<Oid>,
    /// How many steps were taken.
    taken: usize,
    /// How many commits those to come may have together.
    left: usize,
}

/// One step of a range.
pub(super) struct Range {
    end: Oid,
    painting: Painting,
}

impl Steps {
    /// Step 3. Where the first parents do not lead from the tip to the floor, the range is one step.
    pub(super) fn plan(tip: Oid, floor: &Accepted, history: &mut History<'_>) -> Result<Self> {
        let ends = ends(tip, floor.commit, history)?;
        let leads = ends.is_some();
        let ends = ends.unwrap_or_else(|| vec![floor.commit, tip]);
        let steps = Self { ends, taken: 0, left: limits::RANGE_COMMITS };
        if !leads {
            steps.walk(history)?;
        }
        Ok(steps)
    }

    /// The next step; `None` after the last.
    ///
    /// # Errors
    ///
    /// `RangeTooLong`, where that shows only now; those of reading.
    pub(super) fn next(&mut self, history: &mut History<'_>) -> Result<Option<Range>> {
        if self.taken + 1 == self.ends.len() {
            return Ok(None);
        }
        let range = self.walk(history)?;
        self.taken += 1;
        self.left = self.left.checked_sub(range.painting.count()).ok_or_else(|| self.too_long())?;
        Ok(Some(range))
    }

    /// Paints history down from the next end and from all before it, until nothing is left that only the next reaches.
    /// Where dates lie, at worst a commit that the floor reaches stays unmarked, and has to be proven.
    fn walk(&self, history: &mut History<'_>) -> Result<Range> {
        let (before, end) = (&self.ends[..=self.taken], self.ends[self.taken + 1]);
        let mut painting = Painting::new(end, before, history)?;
        while painting.is_one_open() && painting.advance(history)? {}
        let floor = self.ends[self.taken];
        if painting.is_too_large() {
            Err(self.too_long())
        } else if painting.side(end) == Some(Side::Both) {
            Err(rewound(end, floor))
        } else if painting.side(floor) == Some(Side::Others) {
            Err(not_fast_forward(end, floor))
        } else {
            Ok(Range { end, painting })
        }
    }

    fn too_long(&self) -> Error {
        let [floor, .., tip] = &self.ends[..] else { unreachable!("a range has a floor and a tip") };
        let (tip, floor, most) = (tip.short(), floor.short(), limits::RANGE_COMMITS);
        Error::new(Reason::RangeTooLong, format!("more than {most} commits lie between the accepted {floor} and {tip}"))
            .hint("let the device follow in steps: push an earlier commit first")
    }
}

/// The floor, every [`limits::RANGE_STEP`]th commit from it on, and the tip, along first parents; `None` where these do
/// not lead from the tip to the floor, or too far.
fn ends(tip: Oid, floor: Oid, history: &mut History<'_>) -> Result<Option<Vec<Oid>>> {
    let (mut ends, mut at) = (Vec::new(), tip);
    for behind in 0..limits::RANGE_COMMITS {
        if at == floor {
            ends.push(floor);
            ends.reverse();
            return Ok(Some(ends));
        }
        if behind % limits::RANGE_STEP == 0 {
            ends.push(at);
        }
        let Some(&parent) = history.parents(at)?.first() else { break };
        at = parent;
    }
    Ok(None)
}

impl Range {
    fn is_new(&self, id: Oid, history: &mut History<'_>) -> Result<bool> {
        Ok(self.painting.side(id) == Some(Side::One) && history.commit(id)?.is_some())
    }

    /// Step 4: the commits as the branch took them in, the oldest first: a commit comes after its first parent with all
    /// that lies behind that, then after what its other parents bring.
    pub(super) fn line(&self, history: &mut History<'_>) -> Result<Vec<Oid>> {
        let (mut line, mut seen) = (Vec::new(), HashSet::new());
        let mut stack = vec![(self.end, false)];
        while let Some((id, has_parents)) = stack.pop() {
            if has_parents {
                line.push(id);
            } else if seen.insert(id) {
                stack.push((id, true));
                for parent in history.parents(id)?.into_iter().rev() {
                    if self.is_new(parent, history)? {
                        stack.push((parent, false));
                    }
                }
            }
        }
        Ok(line)
    }

    /// Step 4: which of the commits have to be proven, on the way to a tip.
    pub(super) fn to_prove(
        &self,
        line: &[Oid],
        tip: Oid,
        policy: Policy,
        history: &mut History<'_>,
    ) -> Result<HashSet<Oid>> {
        match policy {
            Policy::Tip => Ok(line.iter().copied().filter(|id| *id == tip).collect()),
            Policy::Range => Ok(line.iter().copied().collect()),
            Policy::FirstParent => {
                let (mut chosen, mut at) = (HashSet::from([self.end]), self.end);
                while let Some(&parent) = history.parents(at)?.first()
                    && self.is_new(parent, history)?
                {
                    chosen.insert(parent);
                    at = parent;
                }
                Ok(chosen)
            }
        }
    }
}

const FORWARD: &str = "push a new commit on top of the accepted one; to go back to older specs, use git revert; where \
    the accepted commit is lost, a root can allow it: giterctl reset";

pub(super) fn rewound(tip: Oid, floor: Oid) -> Error {
    let what = format!("the branch was rewound from {} to the older {}", floor.short(), tip.short());
    Error::new(Reason::Rewound, what).hint(FORWARD)
}

fn not_fast_forward(tip: Oid, floor: Oid) -> Error {
    let what = format!("the tip {} does not descend from the accepted {}", tip.short(), floor.short());
    Error::new(Reason::NotFastForward, what).hint(FORWARD)
}
