//! The walk over one device's record, from its first status to its last.
//!
//! Each status is taken in steps, and the first that fails ends them, since what is not proven says nothing:
//!
//! 1. it is a commit with at most one parent, and the bytes are what its name stands for;
//! 2. its signature is by a key that is the device's, valid at the latest date so far;
//! 3. it holds one status that can be read;
//! 4. the status is of the device that the ref is named after;
//! 5. its number, boot and uptime follow from the statuses before. Numbers may be missing before a heartbeat alone, one
//!    that says what its parent says: those before it gave way to it. What says something new is put on top of the
//!    heartbeat that stands there, so that nothing is missing before it;
//! 6. the commit of the exchange that it observed is of the branch, and descends from the one observed before; unless a
//!    reset of the branch, signed by a root, lets this device go back from there.
//!
//! No wall clock is asked. A record that was cut off at its end cannot be told from one that ends there, but by
//! the ref's own log.

use std::collections::HashMap;

use giter_edge::{
    api::device::PLACE,
    api::{DeviceId, DeviceStatus, Oid, Reason, Result},
    codec::{
        calendar::Utc,
        commit,
        pubkey::PublicKey,
        signers::{Distrust, Keyring},
        sshsig,
        status::uuid,
    },
    reconcile::report,
};

use super::{
    finding::{Finding, Findings},
    lineage::Lineage,
};
use crate::chain::{Entry, Flaw};

/// The walk, as far as it has come.
pub(crate) struct Audit<'a> {
    device: &'a str,
    /// The keys that are the device's.
    own: Keyring,
    /// The keys of all devices, to name the holder of a wrong one.
    fleet: &'a Keyring,
    /// The commit before the first one, where the repository lacks it.
    missing: Option<Oid>,
    record: Record,
    /// The latest date of any commit so far: each vouches for those before it.
    latest: i64,
    before: Option<Said>,
    boots: HashMap<[u8; 16], Moment>,
    /// The serial of the last reset that the device has followed.
    reset: u64,
    /// The heartbeats of the record, by the status that each repeats.
    heartbeats: HashMap<Oid, Heartbeat>,
    /// Commits since `before` that are the device's and cannot be read.
    unread: u64,
}

/// What the walk found.
#[derive(Default)]
pub(crate) struct Record {
    /// What is wrong.
    pub(crate) findings: Findings,
    /// The numbers of the first and the last status that are proven.
    pub(crate) numbers: Option<(u64, u64)>,
    /// The date of the last proven commit, in seconds since 1970.
    pub(crate) last: Option<i64>,
    /// What the last proven status observed.
    pub(crate) revision: Option<Oid>,
    /// The key that signed the last one.
    pub(crate) key: Option<PublicKey>,
}

/// What of a status the next one is held against.
struct Said {
    commit: Oid,
    parent: Option<Oid>,
    sequence: u64,
    boot_id: [u8; 16],
    uptime: u64,
    revision: Option<Oid>,
    /// All in it that is worth a status.
    digest: [u8; 16],
}

impl Said {
    fn of(entry: &Entry, status: &DeviceStatus) -> Result<Self> {
        let DeviceStatus { sequence, boot_id, uptime, observed_revision: revision, .. } = *status;
        let (commit, parent, digest) = (entry.commit, entry.parents.first().copied(), report::digest(status)?);
        Ok(Self { commit, parent, sequence, boot_id, uptime, revision, digest })
    }

    /// Whether it is a heartbeat on top of that one.
    fn repeats(&self, before: &Self) -> bool {
        (self.parent, self.digest) == (Some(before.commit), before.digest)
    }
}

/// A heartbeat, by which those that gave way to it are known again.
struct Heartbeat {
    sequence: u64,
    digest: [u8; 16],
}

/// Where a boot stood when it was last heard of.
#[derive(Clone, Copy)]
struct Moment {
    sequence: u64,
    uptime: u64,
}

/// What is wrong with a status, before it is known which one it is.
type Wrong = (Reason, String);

impl<'a> Audit<'a> {
    /// The walk over the record of a device with these keys, whose first commit names one that is missing, or none.
    pub(crate) fn new(device: &'a str, own: Keyring, fleet: &'a Keyring, missing: Option<Oid>) -> Self {
        Self {
            device,
            own,
            fleet,
            missing,
            record: Record::default(),
            latest: 0,
            before: None,
            boots: HashMap::new(),
            reset: 0,
            heartbeats: HashMap::new(),
            unread: 0,
        }
    }

    /// Takes a status for said that was let in before, as what the next ones are held against.
    ///
    /// # Errors
    ///
    /// `Bug`.
    pub(crate) fn remember(&mut self, entry: &Entry) -> Result<()> {
        self.latest = self.latest.max(entry.date);
        if let Ok(status) = &entry.status
            && status.device.as_str() == self.device
        {
            self.note(Said::of(entry, status)?);
        }
        Ok(())
    }

    /// Whether a commit that is not in the record was a heartbeat of the device's, to which one that is in it was put in
    /// its place: on top of the same status, with a higher number, and nothing else to say.
    pub(crate) fn gave_way(&self, entry: &Entry) -> bool {
        let (Ok(status), Ok(key), [parent]) = (&entry.status, signer(entry), &entry.parents[..]) else { return false };
        let is_own = match self.own.signers() {
            [] => self.record.key == Some(key),
            _ => self.own.judge(&key, sshsig::GIT, entry.date).is_ok(),
        };
        is_own
            && status.device.as_str() == self.device
            && self.heartbeats.get(parent).is_some_and(|heartbeat| {
                heartbeat.sequence > status.sequence && report::digest(status).is_ok_and(|is| is == heartbeat.digest)
            })
    }

    /// Takes the next commit. Step 6 is left out where there is no history to ask.
    ///
    /// # Errors
    ///
    /// The exchange's history cannot be asked.
    pub(crate) fn take(
        &mut self,
        commit: Oid,
        entry: Result<Entry, Flaw>,
        lineage: Option<&mut Lineage<'_>>,
    ) -> Result<()> {
        let entry = match entry {
            Ok(entry) => entry,
            Err(Flaw { reason, what }) => {
                self.add(commit, None, None, (reason, what));
                return Ok(());
            }
        };
        let date = Some(entry.date);
        self.latest = self.latest.max(entry.date);
        if let Err(wrong) = self.prove(&entry) {
            self.add(commit, None, date, wrong);
            return Ok(());
        }
        self.record.last = date;
        match &entry.status {
            Err(Flaw { reason, what }) => {
                self.unread += 1;
                self.add(commit, None, date, (*reason, what.clone()));
            }
            Ok(status) if status.device.as_str() != self.device => {
                let what = format!("it is a status of {}, at the ref of {}", status.device, self.device);
                self.add(commit, Some(status.sequence), date, (Reason::WrongDevice, what));
            }
            Ok(status) => self.follow(&entry, status, lineage)?,
        }
        Ok(())
    }

    /// Takes what the ref itself shows, beside its commits.
    pub(crate) fn add(&mut self, commit: Oid, sequence: Option<u64>, date: Option<i64>, (reason, message): Wrong) {
        self.record.findings.add(Finding { reason, commit, sequence, date, message });
    }

    /// Ends the walk.
    pub(crate) fn finish(self) -> Record {
        self.record
    }

    /// Steps 1 and 2.
    fn prove(&mut self, entry: &Entry) -> Result<(), Wrong> {
        if entry.parents.len() > 1 {
            return Err((Reason::BadCommit, format!("it has {} parents, and a status has one", entry.parents.len())));
        }
        let key = signer(entry)?;
        let at = self.latest;
        match self.own.judge(&key, sshsig::GIT, at) {
            Ok(_) => {}
            Err(_) if self.own.signers().is_empty() => self.meet(entry, &key)?,
            Err(distrust) => return Err((distrust.reason(), self.distrusted(&key, distrust, at))),
        }
        self.record.key = Some(key);
        Ok(())
    }

    /// The key of a device that nobody named a key of: the first one that is met has to sign all.
    fn meet(&mut self, entry: &Entry, key: &PublicKey) -> Result<(), Wrong> {
        match self.record.key {
            Some(known) if known == *key => {}
            Some(known) => {
                return Err((Reason::UntrustedKey, format!("it is signed by {key}, those before by {known}")));
            }
            None => {
                let line = format!("{}{PLACE} namespaces=\"git\" {}", self.device, key.to_openssh());
                let what = format!("no line says which key is the device's; it is signed by {key}: {line}");
                self.add(entry.commit, None, Some(entry.date), (Reason::DeviceKeyUnknown, what));
            }
        }
        Ok(())
    }

    fn distrusted(&self, key: &PublicKey, distrust: Distrust, at: i64) -> String {
        match distrust {
            Distrust::Unknown => match self.fleet.judge(key, sshsig::GIT, at) {
                Ok(holder) => format!("it is signed by {key}, the key of {holder}"),
                Err(_) => format!("it is signed by {key}, which is no key of {}", self.device),
            },
            Distrust::Namespace => format!("the key {key} of {} is not for git", self.device),
            Distrust::NotYet(first) => format!("the key {key} is valid from {}", Utc::of_seconds(first)),
            Distrust::NoLonger(last) => format!("the key {key} was valid until {}", Utc::of_seconds(last)),
        }
    }

    /// Steps 5 and 6.
    fn follow(&mut self, entry: &Entry, status: &DeviceStatus, lineage: Option<&mut Lineage<'_>>) -> Result<()> {
        let said = Said::of(entry, status)?;
        let moved = lineage.map_or(Ok(None), |lineage| self.revision(&status.device, &said, lineage))?;
        for wrong in [self.order(&said), moved].into_iter().flatten() {
            self.add(entry.commit, Some(said.sequence), Some(entry.date), wrong);
        }
        let first = self.record.numbers.map_or(said.sequence, |(first, _)| first);
        self.record.numbers = Some((first, said.sequence));
        self.record.revision = said.revision;
        if let Some(before) = self.before.as_ref().filter(|before| said.repeats(before)) {
            self.heartbeats.insert(before.commit, Heartbeat { sequence: said.sequence, digest: said.digest });
        }
        self.note(said);
        Ok(())
    }

    fn note(&mut self, said: Said) {
        self.boots.insert(said.boot_id, Moment { sequence: said.sequence, uptime: said.uptime });
        self.before = Some(said);
        self.unread = 0;
    }

    /// Step 5: what is wrong with a status's place in the record.
    fn order(&self, said: &Said) -> Option<Wrong> {
        let known = self.boots.get(&said.boot_id);
        let Some(before) = &self.before else { return self.beginning(said) };
        let same_boot = before.boot_id == said.boot_id;
        let boot = uuid(&said.boot_id);
        let (sequence, last) = (said.sequence, before.sequence);
        match known {
            Some(known) if !same_boot && said.uptime > known.uptime && sequence > known.sequence => Some((
                Reason::StatusForked,
                format!("boot {boot} goes on after another boot spoke, so that two boards take turns"),
            )),
            Some(known) if !same_boot => Some((
                Reason::StatusReplayed,
                format!("boot {boot} is back after another boot spoke, at status {sequence} after {}", known.sequence),
            )),
            Some(_) if sequence <= last => {
                Some((Reason::StatusReplayed, format!("status {sequence} follows status {last} within one boot")))
            }
            None if sequence <= last => Some((
                Reason::StatusForked,
                format!("status {sequence} follows status {last}, told by another boot, {boot}"),
            )),
            _ => Some(last).filter(|_| !said.repeats(before)).and_then(|last| self.gap(last, sequence)).or_else(|| {
                (same_boot && said.uptime < before.uptime).then(|| {
                    let what = format!("its uptime is {} s, and {} s before, in one boot", said.uptime, before.uptime);
                    (Reason::StatusImplausible, what)
                })
            }),
        }
    }

    fn beginning(&self, said: &Said) -> Option<Wrong> {
        match self.missing {
            Some(missing) => {
                let what = format!("the commit before it, {}, is not in this repository", missing.short());
                Some((Reason::ObjectMissing, what))
            }
            None => self.gap(0, said.sequence),
        }
    }

    /// What is missing between two numbers. Statuses that are there and cannot be read are not missing.
    fn gap(&self, last: u64, sequence: u64) -> Option<Wrong> {
        let (first, missing) = (last.saturating_add(1), sequence.saturating_sub(last).saturating_sub(1));
        let what = match missing.saturating_sub(self.unread) {
            0 => return None,
            1 if missing == 1 => format!("status {first} is not in the record"),
            lost if lost < missing => {
                format!("{lost} of the statuses {first} to {} are not in the record", sequence - 1)
            }
            _ => format!("statuses {first} to {} are not in the record", sequence - 1),
        };
        let begins = if self.before.is_none() { ", which begins here" } else { "" };
        Some((Reason::StatusGap, what + begins))
    }

    /// Step 6.
    fn revision(&mut self, device: &DeviceId, said: &Said, lineage: &mut Lineage<'_>) -> Result<Option<Wrong>> {
        let before = self.before.as_ref().and_then(|before| before.revision);
        let Some(now) = said.revision.filter(|now| before != Some(*now)) else {
            let lost = before.filter(|_| said.revision.is_none());
            return Ok(lost.map(|before| unproven(format!("it has observed nothing, and {} before", before.short()))));
        };
        if !lineage.holds(now)? {
            // A branch that went back has lost what devices are to leave.
            let is_left = lineage.way_back(device, now, None, self.reset)?.is_some();
            return Ok((!is_left)
                .then(|| unproven(format!("it observed {}, which is not in the branch's history", now.short()))));
        }
        let Some(before) = before else { return Ok(None) };
        if lineage.is_forward(before, now)? {
            return Ok(None);
        }
        if let Some(serial) = lineage.way_back(device, before, Some(now), self.reset)? {
            self.reset = serial;
            return Ok(None);
        }
        // Of one that the branch never held it was said already.
        let was_known = lineage.holds(before)? || lineage.way_back(device, before, None, self.reset)?.is_some();
        let what =
            format!("it observed {}, which does not descend from {}, observed before", now.short(), before.short());
        Ok(was_known.then(|| unproven(what)))
    }
}

fn unproven(what: String) -> Wrong {
    (Reason::RevisionUnproven, what)
}

/// The key that signed a status.
pub(crate) fn signer(entry: &Entry) -> Result<PublicKey, Wrong> {
    let seal = commit::seal(&entry.data).map_err(|why| (Reason::BadSignature, why.into()))?;
    let seal = seal.ok_or_else(|| (Reason::UnsignedCommit, "it is not signed".into()))?;
    sshsig::verify(&seal.armour, sshsig::GIT, &seal.payload).map_err(|error| {
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
        (error.reason(), format!("its signature proves nothing: {error}{cause}"))
    })
}
