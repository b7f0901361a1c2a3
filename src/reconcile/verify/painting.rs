//! What is behind one commit and what behind others: history painted down from both, the newest commit first.

use std::collections::{BinaryHeap, HashMap, HashSet};

use super::history::History;
use crate::api::{Oid, Result, limits};

/// From where a commit is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// From the one commit alone.
    One,
    /// From the others alone.
    Others,
    /// From both.
    Both,
}

impl Side {
    fn with(self, other: Self) -> Self {
        if self == other { self } else { Self::Both }
    }
}

/// One commit and others, and what was seen to be reached from them so far.
pub(super) struct Painting {
    sides: HashMap<Oid, Side>,
    /// What was reached and not looked behind, by date.
    queue: BinaryHeap<(i64, Oid)>,
    /// What of it was reached from the one alone, and from the others alone.
    open: [HashSet<Oid>; 2],
    /// What is not there, and was reached from one side alone.
    missing: HashSet<Oid>,
}

impl Painting {
    /// Before anything is looked at but the commits themselves.
    pub(super) fn new(one: Oid, others: &[Oid], history: &mut History<'_>) -> Result<Self> {
        let open = [HashSet::new(), HashSet::new()];
        let (sides, queue, missing) = (HashMap::new(), BinaryHeap::new(), HashSet::new());
        let mut painting = Self { sides, queue, open, missing };
        painting.reach(one, Side::One, history)?;
        for other in others {
            painting.reach(*other, Side::Others, history)?;
        }
        Ok(painting)
    }

    /// Looks behind the newest commit that was not looked behind; false if there is none, or if enough was looked at.
    pub(super) fn advance(&mut self, history: &mut History<'_>) -> Result<bool> {
        if self.is_too_large() {
            return Ok(false);
        }
        let Some((_, id)) = self.queue.pop() else { return Ok(false) };
        self.close(id);
        let side = self.sides[&id];
        for parent in history.parents(id)? {
            self.reach(parent, side, history)?;
        }
        Ok(true)
    }

    fn reach(&mut self, id: Oid, side: Side, history: &mut History<'_>) -> Result<()> {
        let known = self.sides.get(&id).copied();
        let side = known.map_or(side, |known| known.with(side));
        if known == Some(side) {
            return Ok(());
        }
        self.sides.insert(id, side);
        self.close(id);
        let date = history.date(id)?;
        self.queue.extend(date.map(|date| (date, id)));
        let open = match (side, date) {
            (Side::Both, _) => return Ok(()),
            (_, None) => &mut self.missing,
            (Side::One, Some(_)) => &mut self.open[0],
            (Side::Others, Some(_)) => &mut self.open[1],
        };
        open.insert(id);
        Ok(())
    }

    fn close(&mut self, id: Oid) {
        for open in self.open.iter_mut().chain([&mut self.missing]) {
            open.remove(&id);
        }
    }

    /// From where a commit is reached, as far as that was seen.
    pub(super) fn side(&self, id: Oid) -> Option<Side> {
        self.sides.get(&id).copied()
    }

    /// How many commits are reached from the one alone, those that are not there included.
    pub(super) fn count(&self) -> usize {
        self.sides.values().filter(|side| **side == Side::One).count()
    }

    /// Whether more may be reached from the one alone.
    pub(super) fn is_one_open(&self) -> bool {
        !self.open[0].is_empty()
    }

    /// Whether more may be reached from one side alone.
    pub(super) fn is_open(&self) -> bool {
        self.open.iter().any(|open| !open.is_empty())
    }

    /// Whether something is reached from one side alone and not there.
    pub(super) fn is_cut(&self) -> bool {
        !self.missing.is_empty()
    }

    /// Whether more was reached than is looked at.
    pub(super) fn is_too_large(&self) -> bool {
        self.sides.len() > limits::RANGE_COMMITS
    }

    /// What is reached from both sides, without the parents of such commits.
    pub(super) fn partings(&self, history: &mut History<'_>) -> Result<HashSet<Oid>> {
        let common = || self.sides.iter().filter(|(_, side)| **side == Side::Both).map(|(id, _)| *id);
        let mut partings: HashSet<Oid> = common().collect();
        for id in common() {
            for parent in history.parents(id)? {
                partings.remove(&parent);
            }
        }
        Ok(partings)
    }
}
