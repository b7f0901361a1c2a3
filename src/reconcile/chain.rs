//! The device's own chain of statuses at the hub: is what the status ref shows a link of it?
//!
//! Anybody who may push there can move a ref; only the device can sign. What it signed itself, it can go on from.

use gix::objs::{TreeRefIter, tree::EntryKind};

use super::ports::{ObjectKind, Objects};
use crate::{
    api::{DeviceId, Error, Oid, Reason, Result, ledger::LastStatus, limits},
    codec::{
        commit,
        pubkey::PublicKey,
        sshsig,
        status::{self, Claim},
    },
};

/// A status that the device made, whatever its ledger says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Own {
    /// Its commit.
    pub commit: Oid,
    /// The status before it.
    pub parent: Option<Oid>,
    /// What it says.
    pub claim: Claim,
}

impl Own {
    /// Proves that a commit is a status of this device: one signature, by this key in git's namespace; at most one
    /// parent; one file, a status of this device.
    ///
    /// # Errors
    ///
    /// `StatusRefMoved`: it is not, and why; what reading the objects fails with.
    pub fn prove(id: Oid, device: &DeviceId, key: &PublicKey, objects: &dyn Objects) -> Result<Self> {
        let strange =
            |why: &str| Error::new(Reason::StatusRefMoved, format!("{} is not its own status: {why}", id.short()));
        let data = read(objects, id, ObjectKind::Commit, limits::COMMIT_BYTES)?.map_err(strange)?;
        let commit = commit::parse(&data).map_err(strange)?;
        let seal = commit::seal(&data).map_err(strange)?.ok_or_else(|| strange("it is not signed"))?;
        let signer = sshsig::verify(&seal.armour, sshsig::GIT, &seal.payload)
            .map_err(|error| strange("its signature is refused").caused_by(error))?;
        if signer != *key {
            return Err(strange(&format!("{signer} signed it")));
        }
        if commit.parents.len() > 1 {
            return Err(strange("it is a merge"));
        }
        let tree = read(objects, commit.tree, ObjectKind::Tree, limits::COMMIT_BYTES)?.map_err(strange)?;
        let (file, blob) = only_file(&tree).ok_or_else(|| strange("it does not hold one status and nothing else"))?;
        let bytes = read(objects, blob, ObjectKind::Blob, limits::STATUS_FILE_BYTES)?.map_err(strange)?;
        let claim = Claim::read(file, &bytes).map_err(strange)?;
        if claim.device != *device {
            return Err(strange(&format!("it is of the device {}", claim.device)));
        }
        Ok(Self { commit: id, parent: commit.parents.first().copied(), claim })
    }

    /// The status as the last one of a ledger that knew of `known`: numbers go on from the higher one, and whatever is
    /// said next is news.
    pub fn as_last(&self, known: Option<&LastStatus>) -> LastStatus {
        let sequence = known.map_or(0, |known| known.sequence).max(self.claim.sequence);
        LastStatus {
            commit: self.commit,
            parent: self.parent,
            replaces: None,
            sequence,
            digest: [0; 16],
            heartbeat: false,
        }
    }
}

/// An object's bytes, or what is wrong with it.
fn read(objects: &dyn Objects, id: Oid, kind: ObjectKind, limit: usize) -> Result<Result<Vec<u8>, &'static str>> {
    Ok(match objects.read(id, limit) {
        Ok(Some(object)) if object.kind == kind => Ok(object.data),
        Ok(Some(_)) => Err("an object of it is of another kind"),
        Ok(None) => Err("an object of it is missing"),
        Err(error) if error.reason() == Reason::FileTooLarge => Err("it is larger than any status"),
        Err(error) => return Err(error),
    })
}

fn only_file(tree: &[u8]) -> Option<(&'static str, Oid)> {
    let mut entries = TreeRefIter::from_bytes(tree, gix::hash::Kind::Sha1);
    let (Some(Ok(entry)), None) = (entries.next(), entries.next()) else { return None };
    let name = status::FILES.into_iter().find(|name| name.as_bytes() == &**entry.filename)?;
    (entry.mode.kind() == EntryKind::Blob).then_some((name, Oid::new(entry.oid.as_bytes().try_into().ok()?)))
}

#[cfg(test)]
mod tests;
