//! The hub: objects, branches and one device's status ref, and the [`Link`] to it.

use std::collections::{BTreeMap, HashSet};

use giter_edge::{
    api::{DeviceId, Error, Oid, Reason, Result, ledger::HubTraits},
    codec::commit,
    git::{
        graph::{self, Lineage},
        reads::Reads,
    },
    reconcile::ports::{Link, Listing, NewObject, Quarantine, Want},
};

use super::{
    Done, Shared,
    store::{self, SimObjects},
};

/// The branch that devices follow.
pub(crate) const BRANCH: &str = "main";

#[derive(Default)]
pub(crate) struct Hub {
    pub(crate) objects: SimObjects,
    pub(crate) branches: BTreeMap<String, Oid>,
    pub(crate) status: Option<Oid>,
    /// No link reaches it.
    pub(crate) unreachable: bool,
    /// The next push is taken, but the link breaks before the hub can say so.
    pub(crate) loses_reply: bool,
    /// It moves refs forward only, as with `receive.denyNonFastForwards`.
    pub(crate) is_forward_only: bool,
    /// It takes no status at all.
    pub(crate) declines: bool,
}

impl Hub {
    pub(crate) fn add(&mut self, objects: impl IntoIterator<Item = NewObject>) {
        self.objects.0.extend(objects.into_iter().map(|new| (new.id, new.object)));
    }

    /// All that it has.
    pub(crate) fn all(&self) -> Vec<NewObject> {
        self.objects.0.iter().map(|(&id, object)| NewObject { id, object: object.clone() }).collect()
    }

    /// A commit and all that is below its tree.
    fn whole(&self, commit: Oid) -> Result<Vec<Oid>> {
        let tree = self.lineage(commit)?.tree;
        let below = graph::below(&self.objects, tree, &mut HashSet::new())?;
        Ok(below.into_iter().map(|(id, _)| id).chain([commit]).collect())
    }

    /// What a device reads of a tip, and the commits since one that it has, each with its root tree.
    fn read(&self, tip: Oid, have: Option<Oid>, device: &DeviceId) -> Result<Vec<Oid>> {
        let known = have.map(|have| self.ancestors(have)).transpose()?.unwrap_or_default();
        let (mut names, mut commits) = (Vec::new(), vec![tip]);
        while let Some(commit) = commits.pop() {
            // A tip that the device had before is sent all the same, so that it can be judged.
            if (known.contains(&commit) && commit != tip) || names.contains(&commit) {
                continue;
            }
            let lineage = self.lineage(commit)?;
            names.extend([commit, lineage.tree]);
            if have.is_some() {
                commits.extend(lineage.parents);
            }
        }
        names.extend(Reads::of(&self.objects, tip, device)?.whole()?.into_iter().map(|(id, _)| id));
        Ok(names)
    }

    /// What a bundle for a device holds of a tip: all since a base, or the tip alone.
    pub(crate) fn bundled(&self, tip: Oid, base: Option<Oid>, device: &DeviceId) -> Result<Vec<NewObject>> {
        let mut names = self.read(tip, base, device)?;
        let mut seen = HashSet::new();
        names.retain(|name| seen.insert(*name));
        self.named(&names)
    }

    /// A status with what is below it.
    pub(crate) fn bundled_status(&self, status: Oid) -> Result<Vec<NewObject>> {
        self.named(&self.whole(status)?)
    }

    fn lineage(&self, commit: Oid) -> Result<Lineage> {
        let missing = || Error::new(Reason::CommitNotFound, "the hub has no such commit");
        graph::lineage(&self.objects, commit)?.ok_or_else(missing)
    }

    /// Single objects.
    fn named(&self, ids: &[Oid]) -> Result<Vec<NewObject>> {
        let missing = || Error::new(Reason::CommitNotFound, "the hub has no such object");
        let object = |&id| Ok(NewObject { id, object: self.objects.0.get(&id).ok_or_else(missing)?.clone() });
        ids.iter().map(object).collect()
    }

    /// A commit and all that it descends from.
    fn ancestors(&self, commit: Oid) -> Result<HashSet<Oid>> {
        let (mut found, mut next) = (HashSet::new(), vec![commit]);
        while let Some(commit) = next.pop() {
            if found.insert(commit) {
                next.extend(graph::lineage(&self.objects, commit)?.map(|lineage| lineage.parents).unwrap_or_default());
            }
        }
        Ok(found)
    }
}

pub(crate) struct SimLink {
    world: Shared,
    /// Whether a conversation is held from tick to tick.
    holds: bool,
    /// Where the status ref is to a conversation that rests.
    resting: Option<Option<Oid>>,
    /// Where it is to one that goes on.
    known: Option<Option<Oid>>,
}

impl SimLink {
    pub(crate) fn new(world: &Shared) -> Self {
        Self { world: world.clone(), holds: false, resting: None, known: None }
    }

    /// One that does not hear of what somebody else does to the status ref, until a conversation ends.
    pub(crate) fn holding(world: &Shared) -> Self {
        Self { holds: true, ..Self::new(world) }
    }
}

impl Link for SimLink {
    fn list(&mut self) -> Result<Listing> {
        let held = self.resting.take();
        self.known = None;
        let world = self.world.powered()?;
        if world.hub.unreachable {
            return Err(unreachable());
        }
        match world.hub.branches.get(BRANCH) {
            Some(&branch) => {
                let status = held.unwrap_or(world.hub.status);
                self.known = Some(status);
                Ok(Listing { branch, status })
            }
            None if world.hub.branches.is_empty() => Err(Error::new(Reason::RepositoryEmpty, "the hub has no commits")),
            None => Err(Error::new(Reason::BranchNotFound, "the hub has no branch main")),
        }
    }

    fn fetch(&mut self, want: Want<'_>, into: &mut dyn Quarantine) -> Result<()> {
        let known = self.known.take();
        let world = self.world.powered()?;
        if world.hub.unreachable {
            return Err(unreachable());
        }
        let names = match want {
            Want::Whole(commit) => world.hub.whole(commit)?,
            Want::Tip { tip, have, device } => world.hub.read(tip, have, device)?,
            Want::Objects(ids) => ids.to_vec(),
        };
        let pack = store::write(&world.hub.named(&names)?);
        drop(world);
        into.ingest(&mut pack.as_slice())?;
        self.known = known;
        Ok(())
    }

    fn publish(&mut self, old: Option<Oid>, new: Oid, objects: &[NewObject]) -> Result<()> {
        let is_held = self.known.take().is_some();
        let mut world = self.world.effect(Reason::HubUnreachable, "push the status")?;
        if world.hub.unreachable {
            return Err(unreachable());
        }
        if world.hub.status != old {
            return Err(Error::new(Reason::StatusRefMoved, "the status ref is elsewhere"));
        }
        if world.hub.declines || (world.hub.is_forward_only && !follows(objects, old)) {
            return Err(Error::new(Reason::PushRejected, "the hub does not move the ref"));
        }
        world.hub.add(objects.iter().cloned());
        world.hub.status = Some(new);
        world.did(Done::Pushed { commit: new });
        match std::mem::take(&mut world.hub.loses_reply) {
            true => Err(unreachable()),
            false => {
                self.known = is_held.then_some(Some(new));
                Ok(())
            }
        }
    }

    fn rest(&mut self) {
        self.resting = self.known.take().or(self.resting).filter(|_| self.holds);
    }

    fn close(&mut self) {
        (self.known, self.resting) = (None, None);
    }

    fn traits(&self) -> HubTraits {
        HubTraits::default()
    }
}

/// Whether the last of the objects is a commit on top of another.
fn follows(objects: &[NewObject], old: Option<Oid>) -> bool {
    let commit = objects.last().map(|new| commit::parse(&new.object.data).unwrap());
    old.is_none() || commit.is_some_and(|commit| commit.parents == Vec::from_iter(old))
}

fn unreachable() -> Error {
    Error::new(Reason::HubUnreachable, "no link reaches the hub")
}
