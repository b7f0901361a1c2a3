//! From fetched to verified: is this tip signed by whom the device trusts, and does it descend from the last one?
//!
//! [`Verified`] is the proof: only this module can make one, and `decode` takes nothing else.

pub use crate::api::Policy;
use crate::api::{Oid, ledger::Accepted};

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
