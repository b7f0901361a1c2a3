//! Which commits of the exchange descend from which: git's word, each question asked once.

use std::collections::HashMap;

use giter_edge::api::{Oid, Result};

use crate::git::Git;

/// The history of the branch that devices follow.
pub(crate) struct Lineage<'a> {
    git: &'a Git,
    tip: String,
    answers: HashMap<(Oid, Option<Oid>), bool>,
}

impl<'a> Lineage<'a> {
    /// The history that ends at a commit.
    pub(crate) fn of(git: &'a Git, tip: String) -> Self {
        Self { git, tip, answers: HashMap::new() }
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

    fn leads(&mut self, from: Oid, to: Option<Oid>) -> Result<bool> {
        if let Some(answer) = self.answers.get(&(from, to)) {
            return Ok(*answer);
        }
        let end = to.map_or_else(|| self.tip.clone(), |to| to.to_string());
        // A commit that is not there is not of the history either.
        let answer = self.git.ask(&["merge-base", "--is-ancestor", &from.to_string(), &end])?.is_ok();
        self.answers.insert((from, to), answer);
        Ok(answer)
    }
}
