//! What is wrong with a device's record, what that means, and what to do.

use std::fmt;

use giter_edge::{
    api::{Oid, Reason, limits},
    codec::calendar::Utc,
};
use serde::Serialize;

/// What a device's record is worth: as much as the worst finding leaves of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) enum Verdict {
    /// Every status is the device's own, none is missing, and each follows from the one before.
    #[default]
    Proven,
    /// Something is missing; what is there is the device's own.
    Gap,
    /// The device says what cannot all be so.
    Doubtful,
    /// The device signed something that is not a status.
    Unreadable,
    /// Nobody has said which key is the device's.
    Unproven,
    /// An older status stands as a newer one.
    Replay,
    /// Two boards speak with one key.
    Fork,
    /// Somebody else wrote the ref.
    Forgery,
}

impl Verdict {
    /// The verdict that a finding of this reason leads to.
    pub(crate) fn of(reason: Reason) -> Self {
        match reason {
            Reason::StatusGap | Reason::ObjectMissing => Self::Gap,
            Reason::StatusImplausible | Reason::RevisionUnproven => Self::Doubtful,
            Reason::StatusInvalid => Self::Unreadable,
            Reason::DeviceKeyUnknown => Self::Unproven,
            Reason::StatusReplayed => Self::Replay,
            Reason::StatusForked => Self::Fork,
            _ => Self::Forgery,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// What sort of thing.
    pub(crate) reason: Reason,
    /// The commit in which it shows.
    pub(crate) commit: Oid,
    /// That status's number, where it says one that can be believed.
    pub(crate) sequence: Option<u64>,
    /// The commit's date, in seconds since 1970, where it has one.
    pub(crate) date: Option<i64>,
    /// What was found.
    pub(crate) message: String,
}

/// The findings about one record; so many are kept, and the rest counted.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// Those that are kept, in the order of the record.
    pub(crate) kept: Vec<Finding>,
    /// How many more there are.
    pub(crate) more: usize,
    /// The worst of all.
    pub(crate) verdict: Verdict,
}

impl Findings {
    /// Keeps a finding, or counts it.
    pub(crate) fn add(&mut self, finding: Finding) {
        self.verdict = self.verdict.max(Verdict::of(finding.reason));
        if self.kept.len() < limits::FINDINGS {
            self.kept.push(finding);
        } else {
            self.more += 1;
        }
    }

    /// The reason of the worst one that is kept, the first of equals.
    pub(crate) fn worst(&self) -> Option<Reason> {
        self.kept.iter().rev().map(|finding| finding.reason).max_by_key(|reason| Verdict::of(*reason))
    }
}

/// What a finding of this reason means, and what to do about it.
pub(crate) fn explain(reason: Reason) -> (&'static str, &'static str) {
    match reason {
        Reason::StatusGap => (
            "the device made them, and the hub does not show them: their pushes failed, the ref was deleted, or the hub \
             dropped them",
            "look in the device's log for pushes that failed then; if there are none, see who may delete refs at the hub",
        ),
        Reason::ObjectMissing => (
            "this repository has only a part of the record",
            "fetch all of it, with git fetch --unshallow where the clone is shallow",
        ),
        Reason::StatusImplausible => (
            "the uptime of one boot only rises: the board was put back to a snapshot, or shares its boot id with another",
            "see whether the board is a virtual machine or a container; then look for a second agent with its key",
        ),
        Reason::RevisionUnproven => (
            "a device accepts only what descends from what it accepted before, or what a reset leads to: the branch was \
             rewritten since, this repository is behind, or the device's state was put back",
            "fetch the branch, or name it with --revision; then compare with giterd status on the device",
        ),
        Reason::StatusInvalid => (
            "the device signed what this giterctl cannot read: its agent is newer, or broken",
            "try a newer giterctl; then see giterd status on the device",
        ),
        Reason::DeviceKeyUnknown => (
            "the signatures fit a key, and nobody has said that it is the device's",
            "let the device ask, with giterd enroll, and compare the fingerprints: giterctl approve DEVICE; or add the line to \
             the signers",
        ),
        Reason::StatusReplayed => (
            "an older status stands as a newer one: the ref was set back, or the device's state restored from a copy",
            "see who may write the ref at the hub; believe what the device says from the next status on that follows",
        ),
        Reason::StatusForked => (
            "two boards have the device's key, such as two copies of one card",
            "find the other board; give each a name and a key of its own, and delete the ref at the hub",
        ),
        Reason::UntrustedKey => (
            "somebody else wrote the ref, or the device has another key than those that are named",
            "believe nothing from here on; if the key is the device's, name it beside the old one, with giterctl approve \
             --keep-until, else see who may write the ref at the hub, then delete it, and the device begins a new chain",
        ),
        Reason::KeyNotValid => (
            "the key was not the device's at that time, so anybody who found it may have signed",
            "believe nothing from here on; give the device a new key, and approve that",
        ),
        _ => (
            "the device did not say this: somebody else wrote the ref, or the repository was edited",
            "believe nothing from here on; see who may write the ref at the hub, then delete it, and the device begins a \
             new chain",
        ),
    }
}

/// A finding as people read it, after the device's name.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (meaning, cure) = explain(self.reason);
        let sequence = self.sequence.map(|sequence| format!("status {sequence}, ")).unwrap_or_default();
        let date = self.date.map(|date| format!(" of {}", Utc::of_seconds(date))).unwrap_or_default();
        writeln!(f, "{sequence}commit {}{date}: {} [{}]", self.commit.short(), self.message, self.reason)?;
        write!(f, "  means: {meaning}\n  do:    {cure}\n")
    }
}

/// A finding as programs read it.
#[derive(Serialize)]
pub(crate) struct View<'a> {
    reason: &'static str,
    verdict: Verdict,
    commit: String,
    sequence: Option<u64>,
    date: Option<String>,
    message: &'a str,
    meaning: &'static str,
    cure: &'static str,
}

impl<'a> From<&'a Finding> for View<'a> {
    fn from(finding: &'a Finding) -> Self {
        let (meaning, cure) = explain(finding.reason);
        Self {
            reason: finding.reason.as_str(),
            verdict: Verdict::of(finding.reason),
            commit: finding.commit.to_string(),
            sequence: finding.sequence,
            date: finding.date.map(|date| Utc::of_seconds(date).to_string()),
            message: &finding.message,
            meaning,
            cure,
        }
    }
}
