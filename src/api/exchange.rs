//! The charter of an exchange (`exchange.yaml`): what it is called, which branch counts, and whom to trust.

use serde::{Deserialize, Serialize};

use super::{ExchangeId, Name};

/// What `exchange.yaml` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// `metadata.name`.
    pub name: Name,
    /// The random id that devices pin.
    pub id: ExchangeId,
    /// Rises with every change of the charter; 0 if not given.
    pub serial: u64,
    /// The short name of the branch that devices follow.
    pub branch: Box<str>,
    /// How strict devices are at least; theirs to say if not given.
    pub verify: Option<Policy>,
    /// The keys that may sign the charter, as `ssh-ed25519 AAAA... comment`.
    pub roots: Vec<Box<str>>,
    /// Who may sign commits.
    pub publishers: Vec<Publisher>,
}

/// Who may sign commits, and what these may change. The texts are as the charter writes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publisher {
    /// Who it is.
    pub principal: Box<str>,
    /// The key, as `ssh-ed25519 AAAA... comment`.
    pub key: Box<str>,
    /// The paths, as git's patterns; none allow all.
    pub paths: Vec<Box<str>>,
    /// The first day on which the key counts.
    pub valid_after: Option<Box<str>>,
    /// The first day on which it counts no more.
    pub valid_before: Option<Box<str>>,
}

/// How much of the history between the last accepted tip and a new one has to be signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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
