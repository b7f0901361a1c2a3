//! Requests to be let in: the one thing that anybody may push.

use giter_edge::{
    api::{DeviceId, Error, Oid, Reason, Result, limits, object::ObjectKind},
    codec::{commit, device::status_keys, enrolment, pubkey::PublicKey},
    reconcile::{ports::Objects, verify},
};

use super::{
    hub::{Hub, Sort},
    login::Login,
    push::{Brings, Update, check_may_take_away},
};

/// Judges a device's request: one commit without a parent, which holds the device's word and is signed by the key in it.
///
/// # Errors
///
/// `EnrolmentInvalid`; `UntrustedKey` where another key asked before; `DeletionRefused` where it is not answered yet;
/// what is wrong with the signature.
pub(super) fn judge(hub: &Hub<'_>, login: &Login, update: &Update, device: &DeviceId) -> Result<Brings> {
    let before = update.old.map(|old| asks(hub, device, old));
    let Some(new) = update.new else {
        let is_answered = matches!(before, Some(Ok(key)) if is_known(hub, device, &key)?);
        if !is_answered {
            check_may_take_away(login, &format!("no Device resource of {device} names the key that asks"))?;
        }
        return Ok(Brings::Little);
    };
    let key = asks(hub, device, new)?;
    match before {
        Some(Ok(first)) if first != key => {
            let what = format!("{first} asks to be {device} already, and this is signed by {key}");
            return Err(Error::new(Reason::UntrustedKey, what)
                .hint("let a publisher answer the first request, or take it away, before another key asks"));
        }
        _ => {}
    }
    Ok(Brings::Little)
}

/// Bounds how many requests wait, with those that a push brings.
///
/// # Errors
///
/// `TooMany`.
pub(super) fn check_count(hub: &Hub<'_>, updates: &[Update]) -> Result<()> {
    let comes = |update: &&Update| update.old.is_none() && update.new.is_some();
    let is_request = |update: &&Update| matches!(hub.sort(&update.name), Sort::Request(_));
    let new = updates.iter().filter(comes).filter(is_request).count();
    if new == 0 {
        return Ok(());
    }
    let most = limits::ENROLMENTS;
    let count = format!("--count={most}");
    let waiting = hub.git.run(&["for-each-ref", &count, "--format=%(objectname)", enrolment::REFS])?.lines().count();
    if waiting + new <= most {
        return Ok(());
    }
    let what = format!("{waiting} requests wait for an answer already, it brings {new}, and at most {most} may wait");
    Err(Error::new(Reason::TooMany, what)
        .hint(format!("let a publisher look through {}, and take away what nobody needs", enrolment::REFS)))
}

/// The key that asks to be the device.
fn asks(hub: &Hub<'_>, device: &DeviceId, id: Oid) -> Result<PublicKey> {
    let invalid = |why: &str| {
        Error::new(Reason::EnrolmentInvalid, format!("{} is not a request of {device}: {why}", id.short()))
            .hint("make it with: giterd enroll")
    };
    let read = |id: Oid, kind: ObjectKind, limit: usize| match hub.objects.read(id, limit) {
        Ok(Some(object)) if object.kind == kind => Ok(object.data),
        Ok(_) => Err(invalid("it is not a commit that holds a file")),
        Err(error) if error.reason() == Reason::FileTooLarge => Err(invalid("it is too large")),
        Err(error) => Err(error),
    };
    let data = read(id, ObjectKind::Commit, limits::COMMIT_BYTES)?;
    let made = commit::parse(&data).map_err(invalid)?;
    if !enrolment::is_by(device, &data) {
        return Err(invalid("its author is not the device"));
    }
    if !made.parents.is_empty() {
        return Err(invalid("its commit has a parent"));
    }
    let tree = read(made.tree, ObjectKind::Tree, limits::COMMIT_BYTES)?;
    let file = enrolment::only_file(&tree).ok_or_else(|| invalid("it is not exactly one file, device.yaml"))?;
    let bytes = read(file, ObjectKind::Blob, limits::REQUEST_BYTES)?;
    let says = enrolment::read(device, &bytes).map_err(|error| error.hint("make it with: giterd enroll"))?;
    let key = verify::signature(id, hub.objects)?;
    if status_keys(device, &says)?.signers().iter().all(|signer| signer.key != key) {
        return Err(invalid(&format!("it is signed by {key}, and asks for another key")));
    }
    Ok(key)
}

/// Whether the branch's tip names the key as the device's.
fn is_known(hub: &Hub<'_>, device: &DeviceId, key: &PublicKey) -> Result<bool> {
    let keys = hub.device(device)?.map(|says| status_keys(device, &says)).transpose()?;
    Ok(keys.is_some_and(|keys| keys.signers().iter().any(|signer| signer.key == *key)))
}
