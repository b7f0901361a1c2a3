//! The left half of a tick: a new tip is fetched, judged, and accepted or refused.

use super::{Agent, Ports, going_back::may_be_allowed, own_status::follow};
use crate::{
    api::{
        Class, Device, Error, ExchangeId, Oid, Reason, Result,
        ledger::{Accepted, Generation, Record, Refused},
    },
    codec::pubkey::PublicKey,
    reconcile::{
        apply::{self, Bound},
        approval,
        chain::Own,
        decode::decode,
        ports::{Board, Link, Objects, Quarantine, Want},
        verify::{Permit, Reads, Trust, Unproven, Verified, prove},
    },
};

impl Agent {
    pub(super) fn sync(&mut self, ports: &mut Ports<'_>) -> Result<Option<Accepted>> {
        let listed = ports.link.list();
        self.carried = ports.link.carried();
        let listing = match listed {
            Err(error) if error.reason() == Reason::BundleNotFound => return self.refusal().map_or(Ok(None), Err),
            listed => {
                self.is_brought = true;
                listed?
            }
        };
        self.listing = Some(listing);
        self.check_exchange()?;
        if let Some(accepted) = self.recover_floor(ports, listing)? {
            return Ok(Some(accepted));
        }
        let floor = self.record.tip.as_ref().map(|tip| tip.commit);
        if floor == Some(listing.branch) {
            if self.record.refused.is_some() {
                self.save(ports, Record { refused: None, ..self.record.clone() })?;
            }
            return self.approval(&ports.seal.key()).map(|_| None);
        }
        // What a stick leaves out, the hub may have: its bundle is looked at each time, and says nothing of the tip.
        if self.carried.is_some() {
            return self.consider(ports, listing.branch, floor).map(Some);
        }
        if let Some(refused) = &self.record.refused
            && (refused.tip, refused.inputs) == (listing.branch, self.settings.inputs)
            && let Some(error) = verdict_of(refused)
        {
            return Err(error);
        }
        let verdict = self.consider(ports, listing.branch, floor);
        if let Err(error) = &verdict
            && matches!(error.reason().class(), Class::FixManifest | Class::FixKeys)
        {
            // Without a record of it the tip is only looked at again.
            if let Err(unsaved) = self.refuse(ports, listing.branch, error) {
                log::warn!("cannot record that {} was refused: {}", listing.branch.short(), unsaved.one_line());
            }
        }
        verdict.map(Some)
    }

    /// Takes a new tip through quarantine; when this returns well, it is accepted and durable.
    fn consider(&mut self, ports: &mut Ports<'_>, tip: Oid, floor: Option<Oid>) -> Result<Accepted> {
        let mut quarantine = ports.store.quarantine(&self.beneath())?;
        let fetched = ports.link.fetch(self.want(tip, floor), &mut *quarantine);
        let is_there = fetched.is_ok();
        let judged = fetched.and_then(|()| {
            let verified = prove_with(ports.link, &mut *quarantine, |objects| prove(tip, &self.trust(), objects))?;
            self.judge(verified, &*quarantine, &ports.seal.key(), ports.board)
        });
        match judged {
            Err(error) if may_be_allowed(&error) => {
                if is_there && matches!(Permit::at(tip, &self.trust(), &*quarantine), Ok(None)) {
                    return Err(error);
                }
                drop(quarantine);
                self.go_back(ports, tip, None, error)
            }
            judged => {
                let judged = judged?;
                let generation = quarantine.promote(tip, &self.settings.device)?;
                self.accept(ports, judged, generation, None)
            }
        }
    }

    /// What a quarantine sees beneath: the objects of the accepted tip, and of the one before where a stick brings what
    /// builds on that.
    fn beneath(&self) -> Generation {
        let base = self.record.previous.as_ref().filter(|previous| self.builds_on(previous));
        let packs = base.into_iter().flat_map(|(_, generation)| &generation.packs).chain(&self.record.generation.packs);
        Generation { packs: packs.copied().collect() }
    }

    /// Whether a stick brings what builds on this tip.
    fn builds_on(&self, (accepted, _): &(Accepted, Generation)) -> bool {
        self.carried.is_some_and(|carried| carried.base == Some(accepted.commit))
    }

    /// A commit as far as this device reads it, and how it follows from one that it has.
    pub(super) fn want(&self, tip: Oid, have: Option<Oid>) -> Want<'_> {
        Want::Tip { tip, have, device: &self.settings.device }
    }

    /// Makes a tip that was judged the accepted one; when this returns well, that is durable. It is the last that the
    /// device's own status at the hub knew of, too, if that is given.
    pub(super) fn accept(
        &mut self,
        ports: &mut Ports<'_>,
        judged: Judged,
        generation: Generation,
        own: Option<&Own>,
    ) -> Result<Accepted> {
        let Judged { verified, exchange, bound, named } = judged;
        let known = own.map_or(self.record.clone(), |own| follow(self.record.clone(), own));
        let owned = apply::take_in_hand(&known.owned, &bound);
        let base = known.previous.clone().filter(|previous| self.builds_on(previous));
        let advanced = with_tip(known, &verified, generation, exchange);
        // More may come that builds on it: bundles made in a row, before the hub heard of the first.
        let previous = base.or(advanced.previous.clone());
        self.save(ports, Record { owned, previous, ..advanced })?;
        self.has_taken_up |= own.is_some();
        self.heard = own.map(|own| own.commit).or(self.heard);
        (self.bound, self.named) = (Some(bound), named);
        (self.decode_error, self.damaged) = (None, false);
        self.sweep(ports);
        Ok(verified.accepted().clone())
    }

    /// The exchange that was pinned is the one that the operator names.
    fn check_exchange(&self) -> Result<()> {
        match (&self.record.exchange, &self.settings.exchange) {
            (Some(pinned), Some(named)) if pinned != named => {
                let what = format!("trust.exchange is {named}, and this device belongs to exchange {pinned}");
                Err(Error::new(Reason::ExchangeMismatch, what)
                    .hint("to move the device, stop giterd and remove the state folder and the file of trust.floor"))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn check_is_of_exchange(&self, found: Option<&ExchangeId>) -> Result<()> {
        match self.pinned() {
            Some(pinned) if Some(pinned) != found => Err(not_the_exchange(pinned, found)),
            _ => Ok(()),
        }
    }

    fn pinned(&self) -> Option<&ExchangeId> {
        self.record.exchange.as_ref().or(self.settings.exchange.as_ref())
    }

    /// What a tip is held against.
    pub(super) fn trust(&self) -> Trust<'_> {
        let Self { settings, record, .. } = self;
        Trust {
            floor: record.tip.as_ref(),
            previous: record.previous.as_ref().map(|(accepted, _)| accepted.commit),
            policy: settings.policy,
            keyring: &settings.keyring,
            exchange: self.pinned(),
            reads: Reads::Device(&settings.device),
            now: None,
        }
    }

    /// What a tip that is proven asks for, if all of it can be understood and done here.
    pub(super) fn judge(
        &self,
        verified: Verified,
        objects: &dyn Objects,
        key: &PublicKey,
        board: &dyn Board,
    ) -> Result<Judged> {
        let settings = &self.settings;
        let desired = decode(&verified, objects, &settings.device)?;
        self.check_is_of_exchange(desired.exchange.as_ref())?;
        if let Some(branch) = desired.branch.as_deref().filter(|branch| **branch != *settings.branch) {
            let what = format!("exchange.yaml is for the branch {branch}, this device follows {}", settings.branch);
            return Err(Error::new(Reason::ExchangeMismatch, what).hint("set link.branch to the exchange's branch"));
        }
        approval::check(&settings.device, desired.device.as_ref(), key, verified.accepted().time)?;
        let bound = apply::bind(desired.resources, board)?;
        Ok(Judged { verified, exchange: desired.exchange, bound, named: desired.device })
    }

    fn refuse(&mut self, ports: &mut Ports<'_>, tip: Oid, error: &Error) -> Result<()> {
        let refused = Some(Refused {
            tip,
            inputs: self.settings.inputs,
            reason: error.reason().as_str().into(),
            message: error.one_line().into(),
            hint: error.get_hint().map(Into::into),
        });
        let record = Record { refused, ..self.record.clone() };
        self.save(ports, record)?;
        self.sweep(ports);
        Ok(())
    }
}

/// Proves a tip, and fetches what the proof lacks until it is found or the tip is refused. Each time something is
/// brought that was not there, within the bounds of the quarantine.
pub(super) fn prove_with(
    link: &mut dyn Link,
    quarantine: &mut dyn Quarantine,
    prove: impl Fn(&dyn Objects) -> Result<Verified, Unproven>,
) -> Result<Verified> {
    loop {
        match prove(&*quarantine) {
            Err(Unproven::Lacks(ids, _)) => link.fetch(Want::Objects(&ids), quarantine)?,
            proven => return Ok(proven?),
        }
    }
}

/// A tip that may be accepted.
pub(super) struct Judged {
    verified: Verified,
    exchange: Option<ExchangeId>,
    bound: Vec<Bound>,
    /// What is said of the device itself.
    named: Option<Device>,
}

/// The record with one more accepted tip.
pub(super) fn with_tip(record: Record, tip: &Verified, generation: Generation, exchange: Option<ExchangeId>) -> Record {
    Record {
        tip: Some(tip.accepted().clone()),
        generation,
        previous: record.tip.zip(Some(record.generation)),
        advances: record.advances.saturating_add(1),
        exchange: exchange.or(record.exchange),
        refused: None,
        ..record
    }
}

/// The error that a remembered refusal was; `None` if another version of the agent had that reason.
pub(super) fn verdict_of(refused: &Refused) -> Option<Error> {
    let error = Error::new(Reason::named(&refused.reason)?, &*refused.message);
    Some(match &refused.hint {
        Some(hint) => error.hint(&**hint),
        None => error,
    })
}

fn not_the_exchange(mine: &ExchangeId, found: Option<&ExchangeId>) -> Error {
    let what = match found {
        Some(found) => format!("the branch belongs to exchange {found}, this device to {mine}"),
        None => format!("the branch has no exchange.yaml, this device belongs to exchange {mine}"),
    };
    Error::new(Reason::ExchangeMismatch, what)
        .hint("check link.url and trust.exchange; exchange.yaml must keep the id it was made with")
}
