//! Which commits of the exchange descend from which, and where a root let devices go back: git's word, each question asked
//! once.

use std::collections::HashMap;

use giter_edge::{
    api::{DeviceId, Oid, Reason, Result},
    codec::reset,
};

use crate::{
    git::Git,
    resets::{self, Allowed},
};

/// The history of the branch that devices follow.
pub(crate) struct Lineage<'a> {
    git: &'a Git,
    tip: String,
    answers: HashMap<(Oid, Option<Oid>), bool>,
    /// The resets of this history, once one is asked for.
    resets: Option<Vec<Allowed>>,
}

impl<'a> Lineage<'a> {
    /// The history that ends at a commit.
    pub(crate) fn of(git: &'a Git, tip: String) -> Self {
        Self { git, tip, answers: HashMap::new(), resets: None }
    }

    /// Whether a commit is of this history.
    ///
    /// # Errors
    ///
    /// `GitNotFound`.
    pub(crate) fn holds(&mut self, commit: Oid) -> Result<bool> {
        self.leads(commit, None)
    }

    /// Whether the way from one commit to another leads forward.
    ///
    /// # Errors
    ///
    /// `GitNotFound`.
    pub(crate) fn is_forward(&mut self, from: Oid, to: Oid) -> Result<bool> {
        self.leads(from, Some(to))
    }

    /// The serial of a reset that lets a device go back from a commit to another, or to any that this history holds: one
    /// with a serial above those that it has followed, and above those on the way that it leaves.
    ///
    /// # Errors
    ///
    /// `GitFailed`.
    pub(crate) fn way_back(
        &mut self,
        device: &DeviceId,
        from: Oid,
        to: Option<Oid>,
        followed: u64,
    ) -> Result<Option<u64>> {
        let resets = match self.resets.take() {
            Some(resets) => resets,
            None => resets::allowed(self.git, &self.tip)?,
        };
        let seen = if resets.is_empty() { followed } else { followed.max(self.seen(from)?) };
        let mut serial = None;
        for Allowed { commit, reset } in &resets {
            let counts = reset::names(reset, device) && reset.serial > seen;
            if counts && to.map_or(Ok(true), |to| self.is_forward(*commit, to))? {
                serial = serial.max(Some(reset.serial));
            }
        }
        self.resets = Some(resets);
        Ok(serial)
    }

    /// The highest serial of a reset that whoever accepted a commit may have seen; 0 where the commit is lost.
    fn seen(&self, commit: Oid) -> Result<u64> {
        match resets::highest_serial(self.git, &[&commit.to_string()]) {
            Err(lost) if lost.reason() == Reason::GitFailed => Ok(0),
            seen => seen,
        }
    }

    fn leads(&mut self, from: Oid, to: Option<Oid>) -> Result<bool> {
        if let Some(answer) = self.answers.get(&(from, to)) {
            return Ok(*answer);
        }
        let end = to.map_or_else(|| self.tip.clone(), |to| to.to_string());
        let answer = self.git.leads(&from.to_string(), &end)?;
        self.answers.insert((from, to), answer);
        Ok(answer)
    }
}
