//! The branch of the specs: what every device will judge is judged here first, by the device's own code.

use std::collections::BTreeSet;

use giter_edge::{
    api::{Device, DeviceId, Error, Exchange, Finding, Findings, Oid, Reason},
    codec::{charter, device::status_keys, pubkey::PublicKey},
    reconcile::{
        decode::{self, EntryKind, GitTree, Refused},
        verify::{self, Change},
    },
};

use super::{
    fleet::{self, Fleet},
    going_back,
    hub::{Hub, ROOT_KEYS},
    push::{Brings, Update, stays},
    report::Refusal,
};
use crate::{layout, lint, statusfile};

/// Judges a push to the branch: each new commit by its signature and rights, then what the new tip asks for.
///
/// There is no way back here but a new commit, or a root's reset that every device follows.
///
/// # Errors
///
/// Those of [`verify::verify`]; `DeletionRefused`, `BadSigners`, `StatusInBranch`, `ExchangeMismatch`, `KeyShared`; what is
/// wrong with the manifests of devices whose folders changed.
pub(super) fn judge(hub: &Hub<'_>, update: &Update) -> Result<Brings, Refusal> {
    let new = update.new.ok_or_else(|| stays("devices follow this branch, so it stays"))?;
    check_roots(hub)?;
    let verified = match hub.standing.verify(new, hub.now) {
        Err(refusal) if going_back::may_be_allowed(&refusal) => going_back::judge(hub, new, refusal)?,
        verified => verified?,
    };
    let tree = verified.tree();
    let changes = verify::changes(hub.tree(), tree, hub.objects)?;
    check_files(&changes)?;
    check_charter(hub, tree)?;
    let fleet = Fleet::of(hub.git, tree)?;
    let devices = check_manifests(hub, tree, &fleet, &changes)?;
    check_keys(hub, tree, &fleet, &devices)?;
    let is_new = hub.standing.floor().is_none_or(|floor| floor.commit != new);
    Ok(if is_new { Brings::Specs } else { Brings::Little })
}

/// Until a signed charter is in force, the hub's own root file says who may sign.
fn check_roots(hub: &Hub<'_>) -> Result<(), Error> {
    let has_charter = hub.standing.floor().is_some_and(|floor| floor.charter.is_some());
    if has_charter || hub.has_roots {
        return Ok(());
    }
    let what = format!("no charter that a root signed is in force yet, and the hub has no {ROOT_KEYS}");
    Err(Error::new(Reason::BadSigners, what)
        .hint("on the hub, give it the devices' root file: giterctl hook install --root root.keys REPOSITORY"))
}

/// Statuses go to their own refs, and manifests into folders.
fn check_files(changes: &[Change]) -> Result<(), Refusal> {
    let mut findings = Findings::default();
    for Change { place, kind, .. } in changes {
        let is_link = matches!(kind, Some(EntryKind::Link | EntryKind::Submodule)) && place.starts_with("specs/");
        if is_link || place == "specs" && kind.is_some_and(|kind| kind != EntryKind::Folder) {
            let message = "specs hold folders and files; put the file or folder itself here";
            findings.push(finding(Reason::BadTreeEntry, place, message.into()));
        }
    }
    for path in changes.iter().flat_map(|change| &change.files) {
        let name = path.rsplit('/').next().unwrap_or_default();
        if statusfile::NAMES.contains(&name) {
            let what = format!("{path} is a device's status, and only the device writes that, to a ref of its own");
            return Err(Error::new(Reason::StatusInBranch, what).hint("take it out: git rm, then commit").into());
        }
        if layout::is_manifest(path) && layout::is_stray(path) {
            let message = "no device reads it here; move it into a device's folder, specs/<device>/";
            findings.push(finding(Reason::BadTreeEntry, path, message.into()));
        }
    }
    Ok(findings.or(())?)
}

/// The charter has to be one, for this branch, and of this exchange: signed or not, devices compare them.
fn check_charter(hub: &Hub<'_>, tree: Oid) -> Result<(), Refusal> {
    let now = exchange(hub, tree)?;
    let before = hub.tree().map(|tree| exchange(hub, tree)).transpose()?.flatten();
    let branch = hub.branch.trim_start_matches("refs/heads/");
    if let Some(Exchange { branch: other, .. }) = now.as_ref().filter(|exchange| *exchange.branch != *branch) {
        let what = format!("{} is for the branch {other}, and the hub's is {branch}", charter::PATH);
        let hint = format!("correct spec.branch; or, on the hub: git symbolic-ref HEAD refs/heads/{other}");
        return Err(Error::new(Reason::ExchangeMismatch, what).hint(hint).into());
    }
    match (before.map(|exchange| exchange.id), now.map(|exchange| exchange.id)) {
        (Some(before), now) if now.as_ref() != Some(&before) => {
            let now = now.map_or("has none".into(), |now| format!("is of exchange {now}"));
            let what = format!("the branch belongs to exchange {before}, and the new tip {now}");
            Err(Error::new(Reason::ExchangeMismatch, what).hint("exchange.yaml keeps the id it was made with").into())
        }
        _ => Ok(()),
    }
}

fn exchange(hub: &Hub<'_>, tree: Oid) -> Result<Option<Exchange>, Refusal> {
    decode::exchange(&GitTree::new(hub.objects, tree)).map_err(refusal)
}

/// The devices whose folders changed, each of which would take its manifests.
fn check_manifests(hub: &Hub<'_>, tree: Oid, fleet: &Fleet, changes: &[Change]) -> Result<Vec<DeviceId>, Refusal> {
    let places: BTreeSet<&str> = changes.iter().map(|change| &*change.place).collect();
    let (devices, others) = fleet.devices_in(&places, hub.objects)?;
    let board = lint::board(lint::ANY_BOARD)?;
    let mut findings = Findings::default();
    for name in others {
        let message = "no device can have this name; rename the folder".into();
        findings.push(finding(Reason::InvalidValue, &format!("specs/{name}"), message));
    }
    for device in &devices {
        match lint::judge(&GitTree::new(hub.objects, tree), device, &board) {
            Ok((_, wrong)) | Err(Refused::Wrong(wrong)) => findings.append(wrong),
            Err(Refused::Unread(error)) => return Err(error.into()),
        }
    }
    Ok(findings.or(devices)?)
}

/// Of two devices with one key, each could speak for the other.
fn check_keys(hub: &Hub<'_>, tree: Oid, fleet: &Fleet, devices: &[DeviceId]) -> Result<(), Refusal> {
    let mut new = Vec::new();
    for device in devices {
        let source = GitTree::new(hub.objects, tree);
        let Some(says) = decode::itself(&source, device).map_err(refusal)? else { continue };
        let before = hub.device(device).unwrap_or_default();
        for key in fleet::named(&says) {
            if !fleet.spells(hub.objects, device, &key)? {
                let message = format!("the key {key} is not written as it is; write it on one line, without escapes");
                return Err(Findings::from(finding(Reason::InvalidValue, &format!("specs/{device}"), message)).into());
            }
        }
        let is_new = |key: &PublicKey| !holds(device, before.as_ref(), key);
        new.extend(keys_of(device, &says)?.into_iter().filter(is_new).map(|key| (device, key)));
    }
    if new.is_empty() {
        return Ok(());
    }
    let keys: Vec<_> = new.iter().map(|(_, key)| *key).collect();
    for (holder, key) in fleet.holders(hub.objects, &keys)? {
        if let Some((device, _)) = new.iter().find(|(device, new)| *new == key && **device != holder) {
            return Err(fleet::shared(device, &holder, &key).into());
        }
    }
    Ok(())
}

fn keys_of(device: &DeviceId, says: &Device) -> Result<Vec<PublicKey>, Error> {
    Ok(status_keys(device, says)?.signers().iter().map(|signer| signer.key).collect())
}

fn holds(device: &DeviceId, says: Option<&Device>, key: &PublicKey) -> bool {
    says.is_some_and(|says| keys_of(device, says).is_ok_and(|keys| keys.contains(key)))
}

fn refusal(refused: Refused) -> Refusal {
    match refused {
        Refused::Wrong(findings) => findings.into(),
        Refused::Unread(error) => error.into(),
    }
}

fn finding(reason: Reason, path: &str, message: String) -> Finding {
    Finding { reason, path: path.into(), at: None, field: String::new(), message }
}
