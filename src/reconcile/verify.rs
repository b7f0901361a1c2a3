//! From fetched to verified: is this tip signed by whom the device trusts, and does it descend from the last one?
//!
//! [`Verified`] is the proof: only this module can make one, and `decode` takes nothing else. The steps, which the code
//! quotes by number:
//!
//! 1. The tip is the floor, the last accepted tip: there is nothing to prove.
//! 2. The tip is known to have been accepted before the floor: `Rewound`.
//! 3. The tip is a commit, well formed. History is walked from it to the floor. The tip is an ancestor of the floor, as
//!    far as it is known: `Rewound`. The floor is not reached: `NotFastForward`. More than [`RANGE_COMMITS`] commits:
//!    `RangeTooLong`.
//! 4. The commits that the tip reaches and the floor does not are put in the order in which the branch took them in,
//!    and judged one by one. The [`Policy`], the stricter one of the operator's and of the charter's at the floor, says
//!    which of them have to be proven. On the first sync, without a floor, the tip stands alone.
//! 5. A commit that has an `exchange.yaml` and signatures which no commit before it had brings a charter. It is in force
//!    from this commit on if a root signed it that the charter before trusts (before the first one: the root file), and
//!    if its serial rises. A charter speaks for itself: those of commits that need no proof count too, and where one
//!    does not hold it is passed over; in a commit that has to be proven it is refused.
//! 6. A commit is proven by exactly one signature, an SSH signature in the namespace `git`, whose key the charter in
//!    force trusts at the largest of the commit's date, its parents' dates and the highest date proven before. So
//!    neither a back-dated commit nor a clock that was set back gives an expired or revoked key its force again.
//! 7. The key has the right to what the commit changes of that which the device reads: a root to everything, a publisher
//!    to the paths that the charter gives him, and never to `exchange.yaml`, `reset.yaml` and their signatures. A commit changes what is
//!    not as in each of its parents. A merge that takes the device's folder whole from one of them (from the first, under
//!    `first-parent`) changes nothing, if the others left it as it was where they parted from that one. Under `tip`, and
//!    on the first sync, what is not as at the floor counts as changed. Who reads [everything](Reads::Everything) judges
//!    so of each device's folder, and of each file that stands in none.
//! 8. The tip has the papers of the charter in force.
//! 9. What is accepted has the highest of the dates proven so far, the charter in force, and the highest serial of a
//!    `reset.yaml` that a root in force signed: the next floor.
//!
//! Going back on purpose begins where the tip does not descend from the floor (`Rewound`, `NotFastForward`,
//! `RangeTooLong`), or where the hub no longer has the floor:
//!
//! 10. The tip has a `reset.yaml`, which a root signed that the device trusts at its floor, or by its root file where it
//!     knows of no charter; never one that the tip itself brings. It is for the device's exchange, names the device, and
//!     its serial is above every one that the device has seen. Who reads everything asks that of all who follow.
//! 11. The tip descends from the commit that the reset names, and steps 4 to 9 hold from there on, with the dates and
//!     the charter of the floor: who was let go since stays so.
//!
//! A long range is taken in steps along the branch, each judged before the next one is looked at, so that what is kept in
//! memory does not grow with its length.
//!
//! Read are commit objects, each at most [`COMMIT_BYTES`] long; of their trees the root; where the signer may not change
//! all that the device reads, those on the way to its folder as far as they changed, and that one where it changed; the
//! charter, after its signatures. No other blob, and on a device no clock. A tree or a charter that is not here is no
//! verdict: [`Unproven::Lacks`] names it, with all others that are lacking as far as that can be seen, to be fetched.
//!
//! A device keeps no history. Where a commit's parent is not there, the walk takes it for older than the floor: such is
//! the parent of a side branch that left the branch before the floor. Whoever withholds objects can so hide what lies
//! below the fork of a branch that a trusted signer merged; the commit is then held to change all that it has. They
//! cannot hide anything on the way from the tip to the floor, nor change a byte of the tree that the tip's signer signed.
//!
//! [`RANGE_COMMITS`]: crate::api::limits::RANGE_COMMITS
//! [`COMMIT_BYTES`]: crate::api::limits::COMMIT_BYTES

mod authority;
mod going_back;
mod history;
mod lacks;
mod painting;
mod range;
mod scope;
mod standing;

use self::{
    authority::{Authority, Holder},
    history::History,
    lacks::Noted,
    range::{Range, Steps},
    scope::{Papers, Place, Scope},
};
use super::ports::Objects;
use crate::{
    api::{Class, DeviceId, Error, ExchangeId, Oid, Reason, Result, ledger::Accepted},
    codec::{
        calendar::Utc,
        charter,
        commit::Commit,
        pubkey::PublicKey,
        reset,
        signers::{Distrust, Keyring},
    },
};

pub use self::going_back::Permit;
pub use self::lacks::Unproven;
pub use self::standing::{Change, Followers, Standing, changes, signature};
pub use crate::api::exchange::Policy;

/// What a tip is held against.
#[derive(Clone, Copy, Debug)]
pub struct Trust<'a> {
    /// The last accepted tip; `None` before the first sync.
    pub floor: Option<&'a Accepted>,
    /// A tip known to be older than the floor.
    pub previous: Option<Oid>,
    /// How much has to be signed, at least.
    pub policy: Policy,
    /// By whom, where no charter is in force: the root file.
    pub keyring: &'a Keyring,
    /// The exchange that the device belongs to, if that is known.
    pub exchange: Option<&'a ExchangeId>,
    /// What of the exchange counts.
    pub reads: Reads<'a>,
    /// The time by a clock that can be believed, before which no key is judged. A device knows of none.
    pub now: Option<i64>,
}

/// What of an exchange somebody reads beside the charter, so that the right to change it is asked for.
#[derive(Clone, Copy, Debug)]
pub enum Reads<'a> {
    /// A device: its own folder.
    Device(&'a DeviceId),
    /// Who answers for all devices: every file.
    Everything,
}

impl Reads<'_> {
    /// The path of the folder that holds it all; the outermost one has no name.
    fn folder(self) -> String {
        match self {
            Self::Device(device) => format!("{}/{device}", scope::SPECS),
            Self::Everything => String::new(),
        }
    }
}

/// A tip that is proven: who signed it, that he may, and that it descends from the floor.
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

/// Proves a tip, by the steps above, where all objects are here.
///
/// # Errors
///
/// `PackInvalid` if the tip or a tree is not there, `BadCommit`, `BadTreeEntry`, `UnsignedCommit`, `BadSignature`,
/// `UnsupportedKey`, `UntrustedKey`, `KeyNotValid`, `KeyNotAllowed`, `CharterUnsigned`, `CharterUntrusted`,
/// `CharterRollback`, `ExchangeMismatch`, `Rewound`, `NotFastForward`, `RangeTooLong`; what is wrong with a charter's
/// manifest; what reading the objects fails with.
pub fn verify(tip: Oid, trust: &Trust<'_>, objects: &dyn Objects) -> Result<Verified> {
    Ok(prove(tip, trust, objects)?)
}

/// Proves a tip where perhaps not all trees and papers are here that the proof needs; those of the tip and the root
/// trees suffice for commits whose signers may change all that the device reads.
///
/// # Errors
///
/// [`Unproven`].
pub fn prove(tip: Oid, trust: &Trust<'_>, objects: &dyn Objects) -> Result<Verified, Unproven> {
    let objects = Noted::new(objects);
    judge(tip, trust, &objects).map_err(|error| objects.unproven(error))
}

fn judge(tip: Oid, trust: &Trust<'_>, objects: &Noted<'_>) -> Result<Verified> {
    let mut history = History::new(objects, trust.reads);
    if let Some(floor) = trust.floor {
        // Step 1.
        if tip == floor.commit {
            return Ok(Verified::by_ledger(floor));
        }
        // Step 2.
        let known = trust.previous == Some(tip);
        if known || history.commit(floor.commit)?.is_some_and(|floor| floor.parents.contains(&tip)) {
            return Err(range::rewound(tip, floor.commit));
        }
    }

    // Step 3.
    let Some(Commit { tree, .. }) = history.commit(tip)?.cloned() else {
        return Err(Error::new(Reason::PackInvalid, format!("the tip {} was not sent", tip.short())));
    };
    let steps = trust.floor.map(|floor| Steps::plan(tip, floor, &mut history)).transpose()?;

    // Step 4.
    let mut authority = Authority::at_floor(trust, objects)?;
    if let Some(floor) = trust.floor {
        authority.resume(history.scope_of_tree(floor.tree)?.papers, floor.time, objects)?;
    }
    let policy = trust.policy.max(authority.policy().unwrap_or(Policy::Tip));
    let time = trust.floor.map_or(0, |floor| floor.time).max(trust.now.unwrap_or(0));
    let floor = trust.floor;
    let mut judge =
        Judge { history, authority, tip, floor, policy, time, signer: Box::default(), lack: None, is_cut: false };
    match steps {
        Some(mut steps) => {
            while let Some(range) = steps.next(&mut judge.history)? {
                judge.judge(&range)?;
            }
        }
        None => judge.prove(tip)?,
    }
    match judge.lack.take() {
        Some(lack) => Err(lack),
        None => judge.accept(tree),
    }
}

/// Judges the commits of a line, one after the other.
struct Judge<'a> {
    history: History<'a>,
    authority: Authority,
    tip: Oid,
    floor: Option<&'a Accepted>,
    policy: Policy,
    /// The highest date proven so far.
    time: i64,
    /// Who signed the last commit that was proven.
    signer: Box<str>,
    /// What could not be judged for want of an object.
    lack: Option<Error>,
    /// What is lacking decides how the commits after it are judged.
    is_cut: bool,
}

/// A commit and what it is compared with.
struct Case {
    id: Oid,
    commit: Commit,
    scope: Scope,
    /// What the device reads of each parent; of nothing, if there is no parent.
    before: Vec<Scope>,
    /// Whether it brings papers of its own.
    brings: bool,
}

impl Judge<'_> {
    /// Step 4.
    fn judge(&mut self, range: &Range) -> Result<()> {
        let line = range.line(&mut self.history)?;
        let proven = range.to_prove(&line, self.tip, self.policy, &mut self.history)?;
        for id in line {
            let judged = match proven.contains(&id) {
                _ if self.is_cut => self.look_ahead(id),
                true => self.prove(id),
                false => self.pass(id),
            };
            self.is_cut |= self.put_off(judged)?;
        }
        Ok(())
    }

    /// Whether something could not be judged for want of an object. The proof goes on to find out what else is lacking.
    fn put_off(&mut self, judged: Result<()>) -> Result<bool> {
        let lacked = self.history.objects.has_lacked();
        match judged {
            Err(error) if lacked && !self.history.objects.is_full() => {
                self.lack.get_or_insert(error);
                Ok(true)
            }
            judged => judged.map(|()| false),
        }
    }

    /// Behind a charter that is not here: those that follow will be read too.
    fn look_ahead(&mut self, id: Oid) -> Result<()> {
        let case = self.case(id)?;
        let Papers { charter, signatures } = case.scope.papers;
        let papers = charter.into_iter().chain(signatures).filter(|_| case.brings);
        papers.into_iter().try_for_each(|leaf| self.history.objects.expect(leaf.id))
    }

    /// A commit that needs no proof: of it the charter counts, if it holds (step 5).
    fn pass(&mut self, id: Oid) -> Result<()> {
        match self.case(id).and_then(|case| self.follow(&case, self.time)) {
            Err(error) if is_verdict(&error) => Ok(()),
            followed => followed,
        }
    }

    /// Steps 5 to 7.
    fn prove(&mut self, id: Oid) -> Result<()> {
        let case = self.case(id)?;
        let key = self.history.signature(id)?;
        let mut at = self.time.max(case.commit.date);
        for parent in &case.commit.parents {
            at = at.max(self.history.date(*parent)?.unwrap_or(at));
        }

        let resets = self.changes_resets(&case)?;
        // A root may sign the very commit that lets him go, and a new one the commit that brings him.
        let is_succession = self.floor.is_some() && case.brings;
        let before = self.authority.holder(&key, at).ok().filter(|_| is_succession);
        if let Some(holder) = before.as_ref().filter(|holder| !holder.is_root()) {
            return Err(not_allowed(id, &key, holder.name, charter::PATH));
        }
        let leaving: Option<Box<str>> = before.map(|root| root.name.into());
        self.follow(&case, at)?;
        let mut rights = Ok(());
        self.signer = match (self.authority.holder(&key, at), leaving) {
            (_, Some(root)) => root,
            (Ok(holder), None) => {
                if is_succession && !holder.is_root() {
                    return Err(not_allowed(id, &key, holder.name, charter::PATH));
                }
                if resets && !holder.is_root() {
                    return Err(not_allowed(id, &key, holder.name, reset::PATH));
                }
                rights = case.check_rights(&key, &holder, self.policy, &mut self.history);
                holder.name.into()
            }
            (Err(distrust), None) => return Err(distrusted(id, &key, distrust, at)),
        };
        self.time = self.time.max(case.commit.date);
        self.put_off(rights).map(|_| ())
    }

    /// Step 7: whether a commit changes the reset or its signatures. Under `tip` too it answers for itself alone: what
    /// came before it was a root's to decide.
    fn changes_resets(&mut self, case: &Case) -> Result<bool> {
        let parents = match self.policy {
            Policy::FirstParent => &case.commit.parents[..case.commit.parents.len().min(1)],
            Policy::Tip | Policy::Range => &case.commit.parents[..],
        };
        for parent in parents {
            if self.history.scope(*parent)?.resets == case.scope.resets {
                return Ok(false);
            }
        }
        Ok(self.floor.is_some())
    }

    fn case(&mut self, id: Oid) -> Result<Case> {
        let history = &mut self.history;
        let missing = || Error::new(Reason::PackInvalid, format!("commit {} was not sent", id.short()));
        let commit = history.commit(id)?.cloned().ok_or_else(missing)?;
        let scope = history.scope_of_tree(commit.tree)?;
        let mut before = Vec::new();
        match (self.floor, self.policy) {
            (None, _) => {}
            (Some(floor), Policy::Tip) => before.push(history.scope_of_tree(floor.tree)?),
            (Some(_), Policy::FirstParent | Policy::Range) => {
                for parent in &commit.parents {
                    before.push(history.scope(*parent)?);
                }
            }
        }
        if before.is_empty() {
            before.push(Scope::default());
        }
        let compared = if self.policy == Policy::FirstParent { &before[..1] } else { &before[..] };
        let is_new = compared.iter().all(|before| before.papers != scope.papers);
        let brings = is_new && !self.authority.has_taken(scope.papers);
        Ok(Case { id, commit, scope, before, brings })
    }

    /// Step 5.
    fn follow(&mut self, case: &Case, at: i64) -> Result<()> {
        if !case.brings {
            return Ok(());
        }
        let beside = !case.before.iter().any(|before| self.authority.is_in_force(before.papers));
        let followed = self.authority.follow(case.scope.papers, beside, at, self.history.objects);
        followed.map_err(|error| of_charter(case.id, error))
    }

    /// Steps 8 and 9.
    fn accept(mut self, tree: Oid) -> Result<Verified> {
        let scope = self.history.scope_of_tree(tree)?;
        let settled = self.authority.settle(scope.papers, self.time, self.history.objects);
        settled.map_err(|error| of_charter(self.tip, error))?;
        let charter = self.authority.charter().cloned();
        let known = self.floor.map_or(0, |floor| floor.reset);
        let reset = going_back::serial(scope.resets, &self.authority, self.time, self.history.objects)?.max(known);
        let accepted = Accepted { commit: self.tip, tree, time: self.time, signer: self.signer, charter, reset };
        Ok(Verified { accepted })
    }
}

impl Case {
    /// Step 7.
    fn check_rights(
        &self,
        key: &PublicKey,
        holder: &Holder<'_>,
        policy: Policy,
        history: &mut History<'_>,
    ) -> Result<()> {
        if holder.may_all_of(&history.reads.folder()) {
            return Ok(());
        }
        for place in scope::places(history.objects, history.reads, &self.before, &self.scope)? {
            if self.takes_whole(&place, policy, history)? {
                continue;
            }
            place.changes(history.objects, &mut |path| match holder.may(path) {
                true => Ok(()),
                false => Err(not_allowed(self.id, key, holder.name, path)),
            })?;
        }
        Ok(())
    }

    /// Whether this is a merge that takes the place from one parent, as none of the others has changed it.
    fn takes_whole(&self, place: &Place, policy: Policy, history: &mut History<'_>) -> Result<bool> {
        let parents = &self.commit.parents;
        if parents.len() < 2 || parents.len() != place.before.len() {
            return Ok(false);
        }
        let sources = if policy == Policy::FirstParent { 1 } else { parents.len() };
        'sources: for source in 0..sources {
            if place.before[source] != place.now {
                continue;
            }
            for (other, before) in parents.iter().zip(&place.before) {
                if *before != place.now && !history.left(&place.path, *other, parents[source])? {
                    continue 'sources;
                }
            }
            return Ok(true);
        }
        Ok(false)
    }
}

/// Whether an error says that what was read is wrong, and not that it could not be read.
fn is_verdict(error: &Error) -> bool {
    matches!(error.reason().class(), Class::FixKeys | Class::FixManifest)
}

fn of_charter(id: Oid, error: Error) -> Error {
    let outer = Error::new(error.reason(), format!("the charter of commit {} is refused", id.short()));
    let outer = match error.get_hint() {
        Some(hint) => outer.hint(hint),
        None => outer,
    };
    outer.caused_by(error)
}

fn not_allowed(id: Oid, key: &PublicKey, name: &str, path: &str) -> Error {
    let what = format!("commit {} is signed by {key}, the key of {name}, which may not change {path}", id.short());
    let hint = if [charter::PATH, reset::PATH].contains(&path) {
        "let a root sign the commit; publishers cannot change exchange.yaml, reset.yaml and their signatures"
    } else {
        "let somebody sign the commit whom exchange.yaml gives this path; instead of merging, use git rebase"
    };
    Error::new(Reason::KeyNotAllowed, what).hint(hint)
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
        .hint("sign with a key that the signed exchange.yaml or, without one, the device's root file trusts there")
}

#[cfg(test)]
mod tests;
