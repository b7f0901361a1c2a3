//! From fetched to verified: is this tip signed by whom the device trusts, and does it descend from the last one?
//!
//! [`Verified`] is the proof: only this module can make one, and `decode` takes nothing else. The steps, which the code
//! quotes by number:
//!
//! 1. The tip is the floor, the last accepted tip: there is nothing to prove.
//! 2. The tip is known to have been accepted before the floor: `Rewound`.
//! 3. The tip is a commit, well formed, and proven as in step 6. Without a floor (the first sync) that is all.
//! 4. History is walked from the tip to the floor. The tip is an ancestor of the floor: `Rewound`. The floor is not
//!    reached: `NotFastForward`. More than [`limits::RANGE_COMMITS`] commits: `RangeTooLong`.
//! 5. Of the commits that the tip reaches and the floor does not, the [`Policy`] says which have to be proven.
//! 6. A commit is proven by exactly one signature, an SSH signature in the namespace `git`, whose key the keyring
//!    trusts at the largest of the commit's date, its parents' dates and the highest date accepted before. So neither
//!    a back-dated commit nor a clock that was set back gives an expired key its force again.
//! 7. What is accepted has the highest of the dates seen so far: the next floor.
//!
//! Only commit objects are read, each at most [`limits::COMMIT_BYTES`] long; no tree, no blob, no clock.
//!
//! A device keeps no history. Where a commit's parent is not there, the walk takes it for older than the floor: such is
//! the parent of a side branch that left the branch before the floor. Whoever withholds objects can so hide what lies
//! below the fork of a branch that a trusted signer merged. They cannot hide anything on the way from the tip to the
//! floor, nor change a byte of the tree that the tip's signer signed.

use std::collections::{BinaryHeap, HashMap, HashSet};

use super::ports::{ObjectKind, Objects};
use crate::{
    api::{Error, Oid, Reason, Result, ledger::Accepted, limits},
    codec::{
        calendar::Utc,
        commit::{self, Commit},
        pubkey::PublicKey,
        signers::{Distrust, Keyring},
        sshsig,
    },
};

pub use crate::api::exchange::Policy;

/// What a tip is held against.
#[derive(Clone, Copy, Debug)]
pub struct Trust<'a> {
    /// The last accepted tip; `None` before the first sync.
    pub floor: Option<&'a Accepted>,
    /// A tip known to be older than the floor.
    pub previous: Option<Oid>,
    /// How much has to be signed.
    pub policy: Policy,
    /// By whom.
    pub keyring: &'a Keyring,
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

/// Proves a tip, by the steps above.
///
/// # Errors
///
/// `PackInvalid` if the tip is not there, `BadCommit`, `UnsignedCommit`, `BadSignature`, `UnsupportedKey`,
/// `UntrustedKey`, `KeyNotValid`, `Rewound`, `NotFastForward`, `RangeTooLong`; what reading the objects fails with.
pub fn verify(tip: Oid, trust: &Trust<'_>, objects: &dyn Objects) -> Result<Verified> {
    let mut history = History { objects, read: HashMap::new() };
    if let Some(floor) = trust.floor {
        // Step 1.
        if tip == floor.commit {
            return Ok(Verified::by_ledger(floor));
        }
        // Step 2.
        let known = trust.previous == Some(tip);
        if known || history.commit(floor.commit)?.is_some_and(|floor| floor.parents.contains(&tip)) {
            return Err(rewound(tip, floor));
        }
    }

    // Step 3.
    let Some(Commit { tree, .. }) = history.commit(tip)?.cloned() else {
        return Err(Error::new(Reason::PackInvalid, format!("the tip {} was not sent", tip.short())));
    };
    let proven = history.prove(tip, trust)?;
    let mut time = proven.date;

    if let Some(floor) = trust.floor {
        // Step 4.
        let range = Range::walk(tip, floor, &mut history)?;
        // Step 5.
        for id in range.to_prove(tip, trust.policy, &mut history)? {
            time = time.max(history.prove(id, trust)?.date);
        }
        // Step 7.
        time = time.max(floor.time);
    }
    Ok(Verified { accepted: Accepted { commit: tip, tree, time, signer: proven.signer } })
}

/// A commit whose signature counts.
struct Proven {
    /// The committer's date.
    date: i64,
    /// The principal of the key.
    signer: Box<str>,
}

/// The commits that were read so far.
struct History<'a> {
    objects: &'a dyn Objects,
    read: HashMap<Oid, Option<Commit>>,
}

impl History<'_> {
    /// The commit; `None` if it is not there.
    fn commit(&mut self, id: Oid) -> Result<Option<&Commit>> {
        if !self.read.contains_key(&id) {
            let commit = match self.bytes(id)? {
                Some(data) => Some(commit::parse(&data).map_err(|how| bad_commit(id, how))?),
                None => None,
            };
            self.read.insert(id, commit);
        }
        Ok(self.read[&id].as_ref())
    }

    /// The date of a commit; `None` if it is not there.
    fn date(&mut self, id: Oid) -> Result<Option<i64>> {
        Ok(self.commit(id)?.map(|commit| commit.date))
    }

    /// The parents of a commit; none if it is not there.
    fn parents(&mut self, id: Oid) -> Result<Vec<Oid>> {
        Ok(self.commit(id)?.map(|commit| commit.parents.clone()).unwrap_or_default())
    }

    /// The bytes of a commit object; `None` if it is not there.
    fn bytes(&self, id: Oid) -> Result<Option<Vec<u8>>> {
        match self.objects.read(id, limits::COMMIT_BYTES) {
            Ok(Some(object)) if object.kind == ObjectKind::Commit => Ok(Some(object.data)),
            Ok(Some(_)) => Err(bad_commit(id, "it is another kind of object")),
            // An annotated tag is none of the kinds that are read.
            Ok(None) if self.objects.has(id)? => Err(bad_commit(id, "it is another kind of object")),
            Ok(None) => Ok(None),
            Err(error) if error.reason() == Reason::FileTooLarge => {
                Err(bad_commit(id, "it is longer than any commit that is read").caused_by(error))
            }
            Err(error) => Err(error),
        }
    }

    /// Step 6.
    fn prove(&mut self, id: Oid, trust: &Trust<'_>) -> Result<Proven> {
        let data = self.bytes(id)?.ok_or_else(|| bad_commit(id, "it is gone"))?;
        let seal = commit::seal(&data).map_err(|how| {
            Error::new(Reason::BadSignature, format!("commit {} has no signature of its own: {how}", id.short()))
                .hint(SIGN)
        })?;
        let seal = seal.ok_or_else(|| {
            Error::new(Reason::UnsignedCommit, format!("commit {} is not signed", id.short())).hint(SIGN)
        })?;
        let key = sshsig::verify(&seal.armour, sshsig::GIT, &seal.payload).map_err(|error| {
            let what = format!("the signature of commit {} is refused", id.short());
            Error::new(error.reason(), what).hint(SIGN).caused_by(error)
        })?;

        let Commit { parents, date, .. } = commit::parse(&data).map_err(|how| bad_commit(id, how))?;
        let mut at = trust.floor.map_or(date, |floor| floor.time.max(date));
        for parent in parents {
            at = at.max(self.date(parent)?.unwrap_or(at));
        }
        match trust.keyring.judge(&key, sshsig::GIT, at) {
            Ok(principal) => Ok(Proven { date, signer: principal.into() }),
            Err(distrust) => Err(distrusted(id, &key, distrust, at)),
        }
    }
}

/// What the walk found between a tip and the floor.
struct Range {
    marks: HashMap<Oid, u8>,
    /// The commits that the tip reaches, newest first.
    order: Vec<Oid>,
}

/// Reached from the tip.
const NEW: u8 = 1;
/// Reached from the floor.
const OLD: u8 = 2;

impl Range {
    /// Step 4: paints history down from both ends at once, newest commit first, until nothing is left that only the tip
    /// reaches. Where dates lie, at worst a commit that the floor reaches stays unmarked, and has to be proven.
    fn walk(tip: Oid, floor: &Accepted, history: &mut History<'_>) -> Result<Self> {
        let mut marks = HashMap::from([(tip, NEW), (floor.commit, OLD)]);
        let mut queue = BinaryHeap::new();
        for end in [tip, floor.commit] {
            queue.extend(history.date(end)?.map(|date| (date, end)));
        }
        let mut open = HashSet::from([tip]);
        let mut order = Vec::new();
        while !open.is_empty() {
            let Some((_, id)) = queue.pop() else { break };
            let mark = marks[&id];
            if open.remove(&id) {
                order.push(id);
            }
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
        let range = Self { marks, order };
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

    /// Step 5: the commits below the tip that have to be proven, the oldest first.
    fn to_prove(&self, tip: Oid, policy: Policy, history: &mut History<'_>) -> Result<Vec<Oid>> {
        let mut chosen = Vec::new();
        match policy {
            Policy::Tip => {}
            Policy::Range => {
                chosen.extend(self.order.iter().copied().filter(|id| *id != tip && self.mark(*id) == NEW));
            }
            Policy::FirstParent => {
                let mut at = history.parents(tip)?.first().copied();
                while let Some(id) = at.filter(|id| self.mark(*id) == NEW)
                    && history.commit(id)?.is_some()
                {
                    chosen.push(id);
                    at = history.parents(id)?.first().copied();
                }
            }
        }
        chosen.reverse();
        Ok(chosen)
    }
}

const SIGN: &str = "sign it: git config gpg.format ssh, then git commit --amend -S, or git rebase -f -S for commits \
    below the tip; and push again";
const FORWARD: &str = "push a new commit on top of the accepted one; to go back to older specs, use git revert";

fn bad_commit(id: Oid, how: &str) -> Error {
    Error::new(Reason::BadCommit, format!("{} is not a commit that can be verified: {how}", id.short()))
        .hint("push a branch made by git itself")
}

fn rewound(tip: Oid, floor: &Accepted) -> Error {
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

fn distrusted(id: Oid, key: &PublicKey, distrust: Distrust, at: i64) -> Error {
    let at = Utc::of_seconds(at);
    let how = match distrust {
        Distrust::Unknown => "which is not trusted".into(),
        Distrust::Namespace => "which is trusted, but not for the namespace git".into(),
        Distrust::NotYet(first) => format!("which is valid from {}, not at {at}", Utc::of_seconds(first)),
        Distrust::NoLonger(last) => format!("which was valid until {}, not at {at}", Utc::of_seconds(last)),
    };
    Error::new(distrust.reason(), format!("commit {} is signed by {key}, {how}", id.short()))
        .hint("sign with a key that the device's root file (allowed_signers) trusts, or add this one there")
}

#[cfg(test)]
mod tests;
