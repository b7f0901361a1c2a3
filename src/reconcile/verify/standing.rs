//! A branch's tip as the floor of who keeps no ledger: what the branch says now was let in before, so it counts.

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};

use super::{
    Permit, Reads, Trust, Verified,
    authority::{Authority, blob, short_digest},
    distrusted,
    history::History,
    lacks::Noted,
    scope::{Papers, Place, Scope, places},
    verify,
};
use crate::{
    api::{DeviceId, Error, ExchangeId, Oid, Policy, Reason, Result, ledger, ledger::Accepted, limits},
    codec::{
        charter::{self, Charter},
        pubkey::PublicKey,
        signers::Keyring,
    },
    reconcile::{decode::EntryKind, ports::Objects},
};

/// Who is trusted on a branch as it stands: by its charter, if that is signed, else by a root file.
pub struct Standing<'a> {
    objects: &'a dyn Objects,
    keyring: &'a Keyring,
    floor: Option<Accepted>,
    authority: Authority,
}

impl<'a> Standing<'a> {
    /// The standing at a branch's tip, or of a branch that is not there yet.
    ///
    /// # Errors
    ///
    /// `PackInvalid` if the tip is not there, `BadCommit`, `BadTreeEntry`; what is wrong with its charter.
    pub fn at(tip: Option<Oid>, keyring: &'a Keyring, objects: &'a dyn Objects) -> Result<Self> {
        let floor = tip.map(|tip| accepted(tip, keyring, objects)).transpose()?;
        let authority = Authority::at_floor(&everything(floor.as_ref(), keyring, None), objects)?;
        Ok(Self { objects, keyring, floor, authority })
    }

    /// The branch's tip.
    pub fn floor(&self) -> Option<&Accepted> {
        self.floor.as_ref()
    }

    /// Proves a new tip of the branch, every commit of it: as any device will, and again by the clock, after which an
    /// expired key cannot sign with an older date.
    ///
    /// # Errors
    ///
    /// Those of [`verify`].
    pub fn verify(&self, tip: Oid, now: i64) -> Result<Verified> {
        let floor = self.floor.as_ref();
        verify(tip, &everything(floor, self.keyring, None), self.objects)?;
        verify(tip, &everything(floor, self.keyring, Some(now)), self.objects)
    }

    /// Proves a new tip that goes back where a reset at it lets all who follow: steps 10 and 11 for each of them, likewise
    /// twice. `None` where the tip has no reset.
    ///
    /// # Errors
    ///
    /// `DeviceNotFound` if the reset does not name one of them; those of [`Permit::at`] and [`Permit::prove`].
    pub fn go_back(&self, tip: Oid, followers: &Followers, now: i64) -> Result<Option<Verified>> {
        let Followers { devices, exchange, seen } = followers;
        let Some(floor) = self.floor.clone() else { return Ok(None) };
        let floor = Accepted { reset: *seen, ..floor };
        let mut verified = None;
        for now in [None, Some(now)] {
            let trust = Trust { exchange: exchange.as_ref(), ..everything(Some(&floor), self.keyring, now) };
            let Some(permit) = Permit::at(tip, &trust, self.objects)? else { return Ok(None) };
            devices.iter().try_for_each(|device| permit.check_names(device))?;
            verified = Some(permit.prove(tip, &trust, self.objects)?);
        }
        Ok(verified)
    }

    /// Whether a commit is signed with a key that is trusted at a time, whatever it changes.
    ///
    /// # Errors
    ///
    /// `UnsignedCommit`, `BadSignature`, `UnsupportedKey`, `UntrustedKey`, `KeyNotValid`, `BadCommit`.
    pub fn vouches(&self, commit: Oid, at: i64) -> Result<()> {
        let key = History::new(&Noted::new(self.objects), Reads::Everything).signature(commit)?;
        self.authority.holder(&key, at).map_err(|distrust| distrusted(commit, &key, distrust, at))?;
        Ok(())
    }

    /// The root or publisher whose key it is, if the key counts at that time.
    pub fn holder(&self, key: &PublicKey, at: i64) -> Option<&str> {
        self.authority.holder(key, at).ok().map(|holder| holder.name)
    }
}

/// Who follows a branch, and what they hold a reset against: a branch keeps no ledger.
pub struct Followers {
    /// The devices that may have accepted its tip.
    pub devices: BTreeSet<DeviceId>,
    /// The exchange that they belong to, if that is known.
    pub exchange: Option<ExchangeId>,
    /// The highest serial of a reset that one of them may have seen.
    pub seen: u64,
}

/// What two trees differ in, place by place.
pub struct Change {
    /// The folder with the manifests of a device, and what is below it; or a file that stands in none.
    pub place: String,
    /// What stands there now, if anything does.
    pub kind: Option<EntryKind>,
    /// The files of it that differ.
    pub files: Vec<String>,
}

/// What differs between two trees, the charter aside; all of the second one, where there is no first.
///
/// # Errors
///
/// `TooMany` if there is more to compare than is compared; `PackInvalid`, `BadTreeEntry`.
pub fn changes(before: Option<Oid>, now: Oid, objects: &dyn Objects) -> Result<Vec<Change>> {
    let scope = |tree| Scope::of_tree(objects, tree);
    let before = before.map_or(Ok(Scope::default()), scope)?;
    let change = |place: Place| {
        let mut files = Vec::new();
        place.changes(objects, &mut |path| {
            files.push(path.to_owned());
            Ok(())
        })?;
        Ok(Change { kind: place.now.map(|leaf| leaf.kind), place: place.path, files })
    };
    places(objects, Reads::Everything, &[before], &scope(now)?)?.into_iter().map(change).collect()
}

/// The key that signed a commit, whoever holds it.
///
/// # Errors
///
/// `UnsignedCommit`, `BadSignature`, `UnsupportedKey`; `BadCommit` if it is none, or is not there.
pub fn signature(commit: Oid, objects: &dyn Objects) -> Result<PublicKey> {
    History::new(&Noted::new(objects), Reads::Everything).signature(commit)
}

fn everything<'a>(floor: Option<&'a Accepted>, keyring: &'a Keyring, now: Option<i64>) -> Trust<'a> {
    Trust { floor, previous: None, policy: Policy::Range, keyring, exchange: None, reads: Reads::Everything, now }
}

fn accepted(tip: Oid, keyring: &Keyring, objects: &dyn Objects) -> Result<Accepted> {
    let objects = &Noted::new(objects);
    let mut history = History::new(objects, Reads::Everything);
    let missing = || Error::new(Reason::PackInvalid, format!("the branch's tip {} is not there", tip.short()));
    let commit = history.commit(tip)?.cloned().ok_or_else(missing)?;
    let mut time = commit.date;
    for parent in &commit.parents {
        time = time.max(history.date(*parent)?.unwrap_or(time));
    }
    let papers = history.scope_of_tree(commit.tree)?.papers;
    let charter = in_force(papers, keyring, objects)?;
    Ok(Accepted { commit: tip, tree: commit.tree, time, signer: Box::default(), charter, reset: 0 })
}

/// The charter of papers that count: it has signatures, whosever they are.
fn in_force(papers: Papers, keyring: &Keyring, objects: &dyn Objects) -> Result<Option<ledger::Charter>> {
    let (Some(leaf), Some(_)) = (papers.charter, papers.signatures) else { return Ok(None) };
    let bytes = blob(objects, charter::PATH, leaf, limits::MANIFEST_BYTES)?;
    let serial = Charter::read(&bytes)?.serial;
    let sha256 = Sha256::digest(&bytes).into();
    Ok(Some(ledger::Charter { serial, blob: leaf.id, sha256, anchor: short_digest(keyring) }))
}
