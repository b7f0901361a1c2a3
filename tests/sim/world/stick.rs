//! A stick in the world, and the [`Link`] to it: what a publisher put there of the hub, and what the device put next to it.

use giter_edge::{
    api::{
        DeviceId, Error, Oid, Reason, Result,
        ledger::{HubTraits, Record},
    },
    git::reads::Reads,
    link::stick::choose::{Have, Offer, best},
    reconcile::{
        outbox::Statuses,
        ports::{Carried, Link, Listing, NewObject, Quarantine, Want},
    },
};

use super::{Done, Shared, store};

/// What lies on it.
#[derive(Clone, Default)]
pub(crate) struct Stick {
    /// The bundles for the device, its own first.
    pub(crate) bundles: Vec<Offer<Vec<NewObject>>>,
    /// What the hub is said to have heard.
    pub(crate) ack: Option<Oid>,
    /// What the device wrote.
    pub(crate) statuses: Option<Statuses>,
    pub(crate) is_read_only: bool,
}

pub(crate) struct SimStick {
    world: Shared,
    have: Have,
    traits: HubTraits,
    chosen: Option<Offer<Vec<NewObject>>>,
}

impl SimStick {
    /// The stick that is plugged in, to a device with this record.
    pub(crate) fn new(world: &Shared, record: &Record) -> Self {
        let have = Have {
            accepted: record.tip.as_ref().map(|tip| tip.commit),
            previous: record.previous.as_ref().map(|(previous, _)| previous.commit),
        };
        Self { world: world.clone(), have, traits: record.hub, chosen: None }
    }
}

impl Link for SimStick {
    fn list(&mut self) -> Result<Listing> {
        let offers = self.world.powered()?.stick.bundles.clone();
        let nothing = || Error::new(Reason::BundleNotFound, "the stick has nothing for the device");
        let chosen = best(offers, &self.have)?.ok_or_else(nothing)?;
        let listing = Listing { branch: chosen.tip, status: chosen.status };
        self.chosen = Some(chosen);
        Ok(listing)
    }

    fn fetch(&mut self, want: Want<'_>, into: &mut dyn Quarantine) -> Result<()> {
        let offer = self.chosen.as_ref().expect("it was listed");
        if !into.has(offer.tip)? {
            into.ingest(&mut store::write(&offer.bundle).as_slice())?;
        }
        let wanted = match want {
            Want::Whole(commit) | Want::Tip { tip: commit, .. } => &[commit][..],
            Want::Objects(ids) => ids,
        };
        for &id in wanted {
            if !into.has(id)? {
                return Err(Error::new(Reason::CommitNotFound, "the bundle leaves it out"));
            }
        }
        match want {
            Want::Tip { tip, device, .. } => Reads::of(into, tip, device)?.whole().map(drop),
            _ => Ok(()),
        }
    }

    fn publish(&mut self, old: Option<Oid>, new: Oid, objects: &[NewObject]) -> Result<()> {
        let statuses = Statuses { base: old, links: objects.as_chunks::<3>().0.to_vec() };
        assert_eq!(statuses.tip(), Some(new), "the objects of a chain lead to its tip");
        if self.world.powered()?.stick.statuses.as_ref() == Some(&statuses) {
            return Ok(());
        }
        let mut world = self.world.effect(Reason::StickFailed, "write the statuses to the stick")?;
        if world.stick.is_read_only {
            return Err(Error::new(Reason::StickFailed, "the stick is read-only"));
        }
        world.stick.statuses = Some(statuses);
        world.did(Done::Carried { commit: new });
        Ok(())
    }

    fn rest(&mut self) {}

    fn close(&mut self) {}

    fn traits(&self) -> HubTraits {
        self.traits
    }

    fn carried(&self) -> Option<Carried> {
        let world = self.world.powered().ok()?;
        let base = self.chosen.as_ref().and_then(|offer| offer.base(&self.have));
        Some(Carried { heard: world.stick.ack, base })
    }
}

/// What a hub puts into a bundle for the device: what it reads, and with a base all commits since.
pub(crate) fn bundle(world: &Shared, base: Option<Oid>, device: &DeviceId) -> Offer<Vec<NewObject>> {
    let world = world.get();
    let tip = world.hub.branches[super::hub::BRANCH];
    let objects = world.hub.bundled(tip, base, device).expect("the hub has it");
    let status = world.hub.status.filter(|_| base.is_none());
    let own = status.map(|status| world.hub.bundled_status(status).expect("the hub has it"));
    let bundle = objects.into_iter().chain(own.into_iter().flatten()).collect();
    Offer { bundle, tip, status, prerequisites: base.into_iter().collect() }
}
