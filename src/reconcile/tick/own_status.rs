//! The device's own last status at the hub, where the ledger does not know it: after the state folder was lost or put
//! back, the ledger's newest slot has rotted, or the hub was restored from a backup.
//!
//! What the device itself has signed it goes on from: the chain with the numbers in it, and the tip that it says was
//! accepted, which is the floor then. It does so once in a start. Two boards with one key would else take the ref from
//! each other for ever.

use sha2::{Digest, Sha256};

use super::{
    Agent, Ports,
    going_back::may_be_allowed,
    recover::gone,
    sync::{prove_with, with_tip},
};
use crate::{
    api::{
        Error, Oid, Reason, Result,
        ledger::{Accepted, Record},
    },
    codec::pubkey::PublicKey,
    reconcile::{
        chain::Own,
        decode::decode,
        ports::{Listing, Want},
        verify::prove,
    },
};

impl Agent {
    /// Brings back a floor, or the objects of one, that were lost here. Where the hub has lost them too, a reset at the
    /// branch's tip may allow to go on from there: the tip that was accepted then.
    pub(super) fn recover_floor(&mut self, ports: &mut Ports<'_>, listing: Listing) -> Result<Option<Accepted>> {
        let own = self.own_status(ports, listing)?;
        let unknown = own.as_ref().filter(|own| self.knows_less_than(own)).cloned();
        if let (Some(own), None) = (&own, &unknown) {
            self.take_up(ports, own)?;
        }
        if unknown.is_some() {
            // A status that contradicted the one at the hub would bury what that one knows.
            (self.listing, self.carried) = (None, None);
        }
        let restored = if self.damaged { self.restore(ports) } else { Ok(()) };
        let recovered = restored.and_then(|()| unknown.as_ref().map_or(Ok(()), |own| self.accept_again(ports, own)));
        let accepted = match recovered {
            Ok(()) => None,
            Err(error) if error.reason() == Reason::CommitNotFound || may_be_allowed(&error) => {
                Some(self.go_back(ports, listing.branch, unknown.as_ref(), error)?)
            }
            Err(error) => return Err(error),
        };
        (self.listing, self.carried) = (Some(listing), ports.link.carried());
        Ok(accepted)
    }

    /// The status that the ref shows, if the record does not know it, and it is the device's own and may be taken up.
    fn own_status(&mut self, ports: &mut Ports<'_>, listing: Listing) -> Result<Option<Own>> {
        let Some(hub) = listing.status.filter(|_| !self.knows_status(&listing)) else { return Ok(None) };
        if self.carried.is_some() {
            return self.carried_status(ports, hub);
        }
        let stranger = digest_of(hub, &ports.seal.key());
        if self.twin == Some(hub) || self.record.stranger == Some(stranger) {
            return Ok(None);
        }
        match self.fetch_status(ports, hub) {
            Ok(own) if !self.has_taken_up => return Ok(Some(own)),
            Ok(_) => self.twin = Some(hub),
            Err(error) if error.reason() == Reason::StatusRefMoved => {
                log::warn!("{}", error.one_line());
                self.save(ports, Record { stranger: Some(stranger), ..self.record.clone() })?;
            }
            Err(error) => return Err(error),
        }
        Ok(None)
    }

    /// The status that a stick brings along, if it is the device's own and what was accepted is lost: nobody can tell how
    /// old it is, so it says nothing of the hub. Of a device that has begun anew it takes the place of all that was said
    /// since, which the hub could not follow; where there still is a record, it has to know more.
    fn carried_status(&self, ports: &mut Ports<'_>, id: Oid) -> Result<Option<Own>> {
        if self.record.tip.is_some() && !self.damaged {
            return Ok(None);
        }
        let sequence = self.record.status.as_ref().map_or(0, |status| status.sequence);
        match self.fetch_status(ports, id) {
            Ok(own) => {
                let is_of_use = self.record.tip.is_none() || own.claim.sequence > sequence;
                Ok(Some(own).filter(|_| is_of_use && !self.has_taken_up))
            }
            Err(error) if error.reason() == Reason::StatusRefMoved => {
                log::warn!("{}", error.one_line());
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn fetch_status(&self, ports: &mut Ports<'_>, hub: Oid) -> Result<Own> {
        let mut quarantine = ports.store.quarantine(&Default::default())?;
        if let Err(error) = ports.link.fetch(Want::Whole(hub), &mut *quarantine) {
            // Who may write the ref must not keep the specs from being followed by what he puts there.
            let is_its_fault = |reason| {
                use Reason::{BadCommit, BadTreeEntry, CommitNotFound, FileTooLarge, PackInvalid, PackTooLarge};
                matches!(reason, BadCommit | BadTreeEntry | CommitNotFound | FileTooLarge | PackInvalid | PackTooLarge)
            };
            if !is_its_fault(error.reason()) {
                return Err(error);
            }
            ports.link.list()?;
            let what = format!("{} cannot be fetched", hub.short());
            return Err(Error::new(Reason::StatusRefMoved, what).caused_by(error));
        }
        Own::prove(hub, &self.settings.device, &ports.seal.key(), &*quarantine)
    }

    /// Whether a status tells of a tip that was accepted after the record's.
    fn knows_less_than(&self, own: &Own) -> bool {
        let tip = self.record.tip.as_ref().map(|tip| tip.commit);
        let is_later = tip.is_none() || own.claim.advances > self.record.advances;
        is_later && own.claim.observed_revision.is_some_and(|observed| Some(observed) != tip)
    }

    /// Fetches the tip that the device says it had accepted, and judges it as any other: on top of the record's tip, or
    /// as a first one. What it asks for is not judged; it is the floor all the same.
    fn accept_again(&mut self, ports: &mut Ports<'_>, own: &Own) -> Result<()> {
        let Some(tip) = own.claim.observed_revision else { return Ok(()) };
        let floor = self.record.tip.as_ref().map(|tip| tip.commit);
        let mut quarantine = ports.store.quarantine(&self.record.generation)?;
        ports.link.fetch(self.want(tip, floor), &mut *quarantine).map_err(|error| gone(tip, error))?;
        let proven = prove_with(ports.link, &mut *quarantine, |objects| prove(tip, &self.trust(), objects));
        let verified = match proven {
            Ok(verified) => verified,
            // What the record has is the later one.
            Err(error) if error.reason() == Reason::Rewound => {
                drop(quarantine);
                return self.take_up(ports, own);
            }
            Err(error) => return Err(not_accepted_again(own, tip, error)),
        };
        let desired = decode(&verified, &*quarantine, &self.settings.device).ok();
        let exchange = desired.and_then(|desired| desired.exchange);
        if exchange.is_some() {
            self.check_is_of_exchange(exchange.as_ref())?;
        }
        let generation = quarantine.promote(tip, &self.settings.device)?;
        let record = follow(with_tip(self.record.clone(), &verified, generation, exchange), own);
        self.reinstate(ports, record)?;
        self.has_taken_up = true;
        self.heard = Some(own.commit);
        Ok(())
    }

    /// Goes on from a status of its own.
    fn take_up(&mut self, ports: &mut Ports<'_>, own: &Own) -> Result<()> {
        self.save(ports, follow(self.record.clone(), own))?;
        self.has_taken_up = true;
        self.heard = Some(own.commit);
        Ok(())
    }
}

/// The record, so that what is said next follows a status that it did not know.
pub(super) fn follow(record: Record, own: &Own) -> Record {
    let Own { commit, claim, .. } = own;
    let (sequence, commit) = (claim.sequence, commit.short());
    log::warn!(
        "the ledger did not know status {sequence} at {commit}, which this device signed: it goes on from there"
    );
    let status = Some(own.as_last(record.status.as_ref()));
    Record { status, advances: record.advances.max(claim.advances), ..record }
}

/// Tells one status, held against one key, from another.
fn digest_of(status: Oid, key: &PublicKey) -> [u8; 16] {
    let digest = Sha256::new().chain_update(status.as_bytes()).chain_update(key.to_blob()).finalize();
    let mut short = [0; 16];
    short.copy_from_slice(&digest[..16]);
    short
}

fn not_accepted_again(own: &Own, tip: Oid, error: Error) -> Error {
    let (status, tip) = (own.commit.short(), tip.short());
    let what = format!("{tip}, which the status {status} of this device says was accepted, is refused");
    let hint = match error.get_hint() {
        Some(hint) => format!("{hint}; or delete the status ref at the hub, and the device begins anew"),
        None => "delete the status ref at the hub, and the device begins anew".into(),
    };
    Error::new(error.reason(), what).hint(hint).caused_by(error)
}
