//! The newest status of each device, as this repository has it: brought up to date from the hub, and never set back.

use std::collections::HashMap;

use giter_edge::{
    api::{DeviceId, DeviceStatus, Error, Oid, Reason, Result},
    codec::{device::status_keys, signers::Keyring, sshsig},
    reconcile::decode::{self, GitTree, Refused},
};

use crate::{
    chain::{self, Flaw, Reader},
    git::Git,
    objects::GitObjects,
    verify::audit,
};

/// The remote that is asked: `None` where that was not wanted, or the repository has none, as the hub itself.
///
/// # Errors
///
/// `GitFailed`.
pub(crate) fn remote<'a>(git: &Git, name: &'a str, is_offline: bool) -> Result<Option<&'a str>> {
    Ok((!is_offline && !git.run(&["remote"])?.is_empty()).then_some(name))
}

/// What to do where a remote cannot be fetched from.
pub(crate) fn unreached(error: Error) -> Error {
    error.hint("see that the remote can be reached; --remote names another, --offline asks none")
}

/// Fetches the branches and statuses of a remote. A status ref that is ahead of the remote's stays where it is.
///
/// # Errors
///
/// `GitFailed`.
pub(crate) fn refresh(git: &Git, remote: &str, prefix: &str) -> Result<()> {
    let before: HashMap<_, _> =
        chain::refs(git, prefix)?.into_iter().map(|status_ref| (status_ref.name, status_ref.tip)).collect();
    let statuses = format!("+{prefix}/*:{prefix}/*");
    // With no branches named, those come that the remote is set up to bring.
    git.fetch(&[remote]).and_then(|()| git.fetch(&[remote, &statuses])).map_err(unreached)?;
    for status_ref in chain::refs(git, prefix)? {
        let Some(ours) = before.get(&status_ref.name).filter(|ours| **ours != status_ref.tip) else { continue };
        let (ours, theirs) = (ours.to_string(), status_ref.tip.to_string());
        if git.leads(&theirs, &ours)? {
            git.run(&["update-ref", &status_ref.name, &ours, &theirs])?;
        }
    }
    Ok(())
}

/// The keys that a tree of the exchange names as a device's; none where it names none, or what it says cannot be read.
///
/// # Errors
///
/// The repository cannot be read.
pub(crate) fn keys(objects: &GitObjects, tree: Oid, device: &DeviceId) -> Result<Keyring> {
    match decode::itself(&GitTree::new(objects, tree), device) {
        Ok(Some(says)) => status_keys(device, &says),
        Ok(None) | Err(Refused::Wrong(_)) => Ok(Keyring::default()),
        Err(Refused::Unread(error)) => Err(error),
    }
}

/// What a device said last.
pub(crate) struct Word {
    /// The status's commit.
    pub(crate) commit: Oid,
    /// What it says.
    pub(crate) status: DeviceStatus,
    /// Whether its signature is by a key that the exchange names as the device's, and not just sound.
    pub(crate) is_proven: bool,
}

impl Word {
    /// Reads a device's status at a commit. Where its keys are named, one of them has signed it.
    ///
    /// # Errors
    ///
    /// The repository cannot be read.
    pub(crate) fn read(
        reader: &mut Reader,
        device: &DeviceId,
        own: &Keyring,
        commit: Oid,
    ) -> Result<Result<Self, Flaw>> {
        let entry = match reader.entry(commit)? {
            Ok(entry) => entry,
            Err(flaw) => return Ok(Err(flaw)),
        };
        let key = match audit::signer(&entry) {
            Ok(key) => key,
            Err((reason, what)) => return Ok(Err(Flaw { reason, what })),
        };
        let is_proven = !own.signers().is_empty();
        if is_proven && let Err(distrust) = own.judge(&key, sshsig::GIT, entry.date) {
            let what = format!("it is signed by {key}, which is no key of {device} then");
            return Ok(Err(Flaw { reason: distrust.reason(), what }));
        }
        Ok(match entry.status {
            Ok(status) if status.device == *device => Ok(Self { commit, status, is_proven }),
            Ok(status) => {
                Err(Flaw { reason: Reason::WrongDevice, what: format!("it is a status of {}", status.device) })
            }
            Err(flaw) => Err(flaw),
        })
    }
}
