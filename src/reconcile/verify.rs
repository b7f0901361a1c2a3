//! From fetched to verified: is this tip signed by whom the device trusts, and does it descend from the last one?
//!
//! [`Verified`] is the proof: only this module can make one, and `decode` takes nothing else.

use crate::api::{Oid, ledger::Accepted};

/// How much of the history between the last accepted tip and a new one has to be signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Policy {
    /// Only the new tip.
    Tip,
    /// Every commit on the first-parent line: a signed merge vouches for what it brings in.
    FirstParent,
    /// Every commit, on every parent.
    #[default]
    Range,
}

/// A tip whose signature and descent are proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    accepted: Accepted,
}

impl Verified {
    /// The tip that the ledger says was accepted: it was verified before its record was written.
    pub fn by_ledger(accepted: &Accepted) -> Self {
        Self { accepted: accepted.clone() }
    }

    /// The commit.
    pub fn commit(&self) -> Oid {
        self.accepted.commit
    }

    /// Its tree.
    pub fn tree(&self) -> Oid {
        self.accepted.tree
    }

    /// What the ledger keeps of it.
    pub fn accepted(&self) -> &Accepted {
        &self.accepted
    }
}
