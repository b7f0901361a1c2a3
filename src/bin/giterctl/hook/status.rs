//! A device's status ref: the steps 1 to 5 of `giterctl verify`, when they are pushed, or carried by a stick.

use giter_edge::{
    api::{DeviceId, Error, Oid, Reason, Result, limits},
    codec::{device::status_keys, signers::Keyring, sshsig},
    reconcile::report,
};

use super::{
    hub::Hub,
    push::{Brings, Update, stays},
};
use crate::{
    chain::Reader,
    verify::{
        audit::Audit,
        finding::{Finding, Findings},
    },
};

/// Judges new statuses of a device. Only the device's own folder is read, however large the fleet is, and the last of
/// its statuses, however long the record.
///
/// A gap is let in: the device cannot tell again what was lost. So is what is only doubtful.
///
/// # Errors
///
/// `DeviceNotApproved`, `DeletionRefused`, `NotFastForward`, `PushTooLarge`; the reason of the first commit that is not
/// the device's next status.
pub(super) fn judge(hub: &Hub<'_>, update: &Update, device: &DeviceId) -> Result<Brings> {
    let new = update.new.ok_or_else(|| stays("a device's record stays"))?;
    let own = keys(hub, device)?;
    let mut reader = Reader::of(hub.git)?;
    let commits = commits(&mut reader, update, new)?;
    prove(&mut reader, device, own, update.old, commits, hub.now)?;
    Ok(Brings::Little)
}

/// Proves that a device's statuses, the newest first, are its own and go on after one that was let in before.
///
/// # Errors
///
/// The reason of the first commit that is not the device's next status.
pub(crate) fn prove(
    reader: &mut Reader,
    device: &DeviceId,
    own: Keyring,
    after: Option<Oid>,
    commits: Vec<Oid>,
    now: i64,
) -> Result<()> {
    let fleet = Keyring::default();
    let mut audit = Audit::new(device.as_str(), own.clone(), &fleet, None);
    if let Some(after) = after {
        for witness in reader.last(after, limits::STATUS_WITNESSES)?.into_iter().rev() {
            if let Ok(entry) = reader.entry(witness)? {
                audit.remember(&entry)?;
            }
        }
    }
    let newest = commits.first().copied();
    for commit in commits.into_iter().rev() {
        audit.take(commit, reader.entry(commit)?, None)?;
    }
    let record = audit.finish();
    check(device, &record.findings)?;
    // The record's own dates may all be old.
    match (newest, record.key.map(|key| (key, own.judge(&key, sshsig::GIT, now)))) {
        (Some(newest), Some((key, Err(distrust)))) => {
            let what = format!("commit {} is signed by {key}, which counts no more today", newest.short());
            Err(Error::new(distrust.reason(), what).hint(format!("let a publisher give {device} a new key")))
        }
        _ => Ok(()),
    }
}

/// The keys that the branch's tip gives the device.
fn keys(hub: &Hub<'_>, device: &DeviceId) -> Result<Keyring> {
    let says = hub.device(device)?;
    let keys = says.map(|says| status_keys(device, &says)).transpose()?.unwrap_or_default();
    if keys.signers().is_empty() {
        return Err(not_approved(device));
    }
    Ok(keys)
}

/// The error where the exchange names no key of a device.
pub(crate) fn not_approved(device: &DeviceId) -> Error {
    let what = format!("no resource of kind Device in specs/{device} names a status key");
    Error::new(Reason::DeviceNotApproved, what)
        .hint(format!("let a publisher approve the device: giterctl approve {device}"))
}

/// The new commits, the newest first. They go on from the last status; or from the one before it, where both the last
/// and what takes its place are heartbeats.
fn commits(reader: &mut Reader, update: &Update, new: Oid) -> Result<Vec<Oid>> {
    let most = limits::PUSH_STATUSES;
    let before = update.old.map_or(Ok(None), |old| reader.before(old))?;
    let ends: Vec<Oid> = update.old.into_iter().chain(before).collect();
    if let Some((commits, end)) = reader.above(new, &ends, most)? {
        match (update.old, before, commits.last()) {
            (Some(old), Some(before), Some(first)) if end == Some(before) => {
                gives_way(reader, old, *first, before)?;
                return Ok(commits);
            }
            _ if end == update.old => return Ok(commits),
            _ => {}
        }
    }
    let old =
        update.old.map_or("the beginning of the record".into(), |old| format!("the last status, {}", old.short()));
    let what = format!("{} does not lead back to {old} in at most {most} statuses", new.short());
    Err(Error::new(Reason::NotFastForward, what).hint(
        "push in steps; a record only goes on, until who runs the hub deletes the ref there and the device begins anew",
    ))
}

/// Whether a status may take the place of another: both tell no more than the one before them, and no commit that the
/// exchange's branch had is forgotten.
fn gives_way(reader: &mut Reader, old: Oid, new: Oid, before: Oid) -> Result<()> {
    let [old_says, new_says, says] = [old, new, before].map(|commit| heartbeat(reader, commit));
    let (old_says, new_says, says) = (old_says?, new_says?, says?);
    let what = match (old_says, new_says, says) {
        (Some((old_digest, advances)), Some((digest, later)), Some((says, _))) if old_digest == says => {
            match digest == says && later >= advances {
                true => return Ok(()),
                false => format!("{} is no heartbeat, and would take the place of one, {}", new.short(), old.short()),
            }
        }
        _ => format!("the last status, {}, is no heartbeat, and {} would take its place", old.short(), new.short()),
    };
    Err(Error::new(Reason::NotFastForward, what)
        .hint("a heartbeat may take the place of a heartbeat; all else is put on top of the last status"))
}

/// What a status says, and how many commits it knew of, if it can be read.
fn heartbeat(reader: &mut Reader, commit: Oid) -> Result<Option<([u8; 16], u64)>> {
    let status = reader.entry(commit)?.ok().and_then(|entry| entry.status.ok());
    status.map(|status| Ok((report::digest(&status)?, status.advances))).transpose()
}

/// Whether there is nothing but what a hub lets in.
fn check(device: &DeviceId, findings: &Findings) -> Result<()> {
    let is_let_in = |reason| matches!(reason, Reason::StatusGap | Reason::StatusImplausible);
    if let Some(finding) = findings.kept.iter().find(|finding| !is_let_in(finding.reason)) {
        return Err(refused(device, finding));
    }
    if findings.more > 0 {
        // What is not kept may be anything.
        let what = format!("more than {} of these statuses do not follow from one another", limits::FINDINGS);
        return Err(Error::new(Reason::TooMany, what).hint("push them in several times"));
    }
    Ok(())
}

fn refused(device: &DeviceId, finding: &Finding) -> Error {
    let Finding { reason, commit, message, .. } = finding;
    let what = format!("commit {} is not the next status of {device}: {message}", commit.short());
    Error::new(*reason, what).hint(match reason {
        Reason::StatusReplayed | Reason::StatusForked => {
            "see whether two boards have the device's key, or its state was restored from a copy"
        }
        Reason::StatusInvalid => "see the version of giterd, and update giterctl on the hub",
        _ => "let the device itself push it, with a key that its Device resource names in statusKeys",
    })
}
