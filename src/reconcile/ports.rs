//! The ports: everything the agent does to the world, and everything the world tells it, goes through these.
//!
//! Each port has a real adapter on floor 3 and a fake in the simulated world (`tests/sim`); one contract suite
//! (`tests/contracts`) holds both to what is written here.

use std::{io::Read, os::fd::OwnedFd, time::Duration};

use super::{
    goal::{Goal, Observed, Step},
    outbox::Statuses,
};
pub use crate::api::object::{NewObject, Object, ObjectKind};
use crate::api::{
    DeviceId, Oid, Result, Spec,
    ledger::{Floor, Generation, HubTraits, Record},
};

/// Reading git objects.
pub trait Objects {
    /// Reads an object and checks that its bytes hash to its name. `None` if it is not there.
    ///
    /// # Errors
    ///
    /// `FileTooLarge` if it inflates to more than `limit` bytes (found before it is inflated); `StateFailed` if the
    /// disk or the bytes are damaged.
    fn read(&self, id: Oid, limit: usize) -> Result<Option<Object>>;

    /// Whether the object is there, without reading it.
    ///
    /// # Errors
    ///
    /// `StateFailed` if the disk is damaged.
    fn has(&self, id: Oid) -> Result<bool>;
}

/// The objects on the device.
///
/// A pack is immutable once promoted. The store never decides which generation counts: the ledger's record does.
pub trait Store {
    /// Start-up: removes every file that the given generations do not name (an interrupted quarantine, a promoted
    /// pack whose record was never written), and tells of each generation whether all its packs are there with sound
    /// checksums.
    ///
    /// # Errors
    ///
    /// `StateReadOnly`, `StateFailed` if the folder cannot be read or swept.
    fn recover(&mut self, keep: &[&Generation]) -> Result<Vec<bool>>;

    /// The objects of a generation.
    ///
    /// # Errors
    ///
    /// `StateFailed` if a pack is missing or damaged.
    fn objects(&self, generation: &Generation) -> Result<Box<dyn Objects + '_>>;

    /// Opens a quarantine that sees the given generation beneath what it takes in. Dropping it leaves nothing that
    /// the next `recover` or `retain` does not remove.
    ///
    /// # Errors
    ///
    /// `StateReadOnly`, `DiskFull`, `StateFailed`.
    fn quarantine(&mut self, base: &Generation) -> Result<Box<dyn Quarantine + '_>>;

    /// Removes every pack that none of the given generations names.
    ///
    /// # Errors
    ///
    /// `StateReadOnly`, `StateFailed`.
    fn retain(&mut self, keep: &[&Generation]) -> Result<()>;
}

/// Objects that came over a link and are not accepted yet. Reads see the base generation as well.
pub trait Quarantine: Objects {
    /// Takes in one pack and indexes it. A delta on an object that is not here is left out, with all that builds on it.
    /// All packs together have at most [`limits::PACK_BYTES`](crate::api::limits).
    ///
    /// # Errors
    ///
    /// `PackTooLarge`, `PackInvalid`; `DiskFull`, `StateReadOnly`, `StateFailed`; what the reader fails with.
    fn ingest(&mut self, pack: &mut dyn Read) -> Result<()>;

    /// Checks that all is there which the device reads of the tip, makes it durable and part of the store, and returns
    /// the generation that holds it. When this returns, a power cut cannot lose it.
    ///
    /// # Errors
    ///
    /// `PackInvalid` if an object is missing that the device reads; `DiskFull`, `StateReadOnly`, `StateFailed`.
    fn promote(self: Box<Self>, tip: Oid, device: &DeviceId) -> Result<Generation>;
}

/// What the hub says of the two refs that concern this device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listing {
    /// The branch's tip.
    pub branch: Oid,
    /// The device's own status ref.
    pub status: Option<Oid>,
}

/// What a fetch is to bring.
#[derive(Clone, Copy, Debug)]
pub enum Want<'a> {
    /// A commit alone, with all that its tree holds.
    Whole(Oid),
    /// What a device reads of a commit, and how that follows from one it has.
    Tip {
        /// The commit. Of its tree come the papers (`exchange.yaml`, `reset.yaml` and their signatures), the trees on
        /// the way to `specs/<device>`, and all below that folder.
        tip: Oid,
        /// With it, all commits come that the tip reaches and it does not, each with its root tree.
        have: Option<Oid>,
        /// Who reads.
        device: &'a DeviceId,
    },
    /// Trees and blobs, each without what it names.
    Objects(&'a [Oid]),
}

/// What a hub had to say between two listings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Nothing that matters.
    Nothing,
    /// The branch may have moved.
    News,
    /// It will say no more: the connection is gone.
    Loss,
}

/// The way to the hub and back. One [`list`](Link::list) opens a conversation, [`close`](Link::close) ends it; one that
/// [`rest`](Link::rest)s may go on with the next `list`.
pub trait Link {
    /// Asks for the branch and the device's status ref. The branch is of this moment. The status ref is, too, where a
    /// conversation begins; where one goes on it is what it was then, or what was published since.
    ///
    /// # Errors
    ///
    /// `HubUnreachable`, `HubTimeout`, `HostKeyRefused`, `SshKeyRefused`, `SshNotFound`, `RepositoryNotFound`,
    /// `RepositoryEmpty`, `BranchNotFound`, `ProtocolV2Required`, `ProtocolError`, `Stopped`.
    fn list(&mut self) -> Result<Listing>;

    /// Fetches what is wanted into the quarantine, where more may come along and what is there already is not sent. The
    /// commit may be any that the hub has, one of the device's own statuses too; the one that the device has is there,
    /// with what the device reads of it. Only after `list`; after an error, only after another one.
    ///
    /// # Errors
    ///
    /// `CommitNotFound` if the hub does not have what is asked for by name; `PackInvalid` if it leaves out some of it;
    /// those of `list` and of [`Quarantine::ingest`].
    fn fetch(&mut self, want: Want<'_>, into: &mut dyn Quarantine) -> Result<()>;

    /// Whether the hub sends more than a device reads, as it leaves out nothing; it is asked for a little to learn that.
    /// Only after `list`, and before another one.
    ///
    /// # Errors
    ///
    /// Those of `list`.
    fn sends_all(&mut self) -> Result<bool> {
        Ok(false)
    }

    /// Sends the objects and moves the device's status ref from `old` to `new`, if it is still at `old`.
    ///
    /// # Errors
    ///
    /// `StatusRefMoved` if the ref is elsewhere; `PushRejected` with the hub's words; those of `list`.
    fn publish(&mut self, old: Option<Oid>, new: Oid, objects: &[NewObject]) -> Result<()>;

    /// Has done with the hub for now. The conversation ends, or is held for the next `list`.
    fn rest(&mut self);

    /// Ends the conversation. The next `list` begins a new one.
    fn close(&mut self);

    /// Between two listings: what becomes readable when there is something to be [`heard`](Link::heard); `None` where
    /// the hub says nothing unasked.
    fn listen(&mut self) -> Option<OwnedFd> {
        None
    }

    /// Takes in what the hub has said unasked, without waiting for it.
    fn heard(&mut self) -> Heard {
        Heard::Nothing
    }

    /// What was learned about the hub so far; kept in the ledger for the next start.
    fn traits(&self) -> HubTraits;

    /// What was carried here, where this is a stick and was found by `list`; `None` for a hub. A stick that has nothing
    /// for the device is listed with `BundleNotFound`, and takes statuses all the same. Those go along as they are: what
    /// is published there moves no ref, and `old` is what the hub has to have before.
    fn carried(&self) -> Option<Carried> {
        None
    }

    /// The hub, as a gateway asks it for those whom it carries for; `None` where there is none.
    fn upstream(&mut self) -> Option<&mut dyn Upstream> {
        None
    }
}

/// What a gateway asks of a hub for other devices, after a tick: it goes on with the conversation that rests, or begins one,
/// and so does [`fetch`](Link::fetch) then. [`rest`](Link::rest) is as after a tick; where objects were fetched, the next
/// [`list`](Link::list) begins a conversation of its own.
pub trait Upstream: Link {
    /// Where the branch was when it was listed last; `None` where that failed.
    fn branch(&self) -> Option<Oid>;

    /// All that is asked for from now on, until it rests, takes no longer than that together. What is not done by then
    /// fails with `HubTimeout`, as does all that is asked for later.
    fn within(&mut self, time: Duration);

    /// Where these refs stand, by their full names and in this order. Each is of the moment at which it was asked for first
    /// in a conversation, or what was pushed there since.
    ///
    /// # Errors
    ///
    /// Those of [`Link::list`].
    fn refs(&mut self, names: &[String]) -> Result<Vec<Option<Oid>>>;

    /// Has `take` read one pack of all that the commits bring which the tip reaches and the base does not, as far as it is
    /// not in the base's tree: what a clone lacks that has the base, without deltas on what is not in the pack. False
    /// where the hub does not have the base, or knows of no way from there to the tip; then nothing is read.
    ///
    /// # Errors
    ///
    /// Those of [`Link::fetch`] and of `take`.
    fn pack(&mut self, base: Oid, tip: Oid, take: &mut dyn FnMut(&mut dyn Read) -> Result<()>) -> Result<bool>;

    /// Sends the objects and moves any ref, as [`Link::publish`] does the device's own.
    ///
    /// # Errors
    ///
    /// Those of [`Link::publish`]; `BadConfig` if git would not take the name.
    fn push(&mut self, name: &str, old: Option<Oid>, new: Oid, objects: &[NewObject]) -> Result<()>;
}

/// What a stick says beside what it brings. Anybody may have written it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Carried {
    /// A status of this device that the hub had when the stick was there.
    pub heard: Option<Oid>,
    /// The commit, of those that the device has, on which that builds which is brought; `None` where it builds on none.
    pub base: Option<Oid>,
}

/// The hardware and files that the drivers may touch.
pub trait Board {
    /// The board's name.
    fn name(&self) -> &str;

    /// Resolves a spec on this board, without touching it.
    ///
    /// # Errors
    ///
    /// `UnknownLine`, `UnknownLed`, `PathNotAllowed`, `UnknownOwner`.
    fn bind(&self, spec: &Spec) -> Result<Goal>;

    /// Looks at the goal's target, without changing it.
    ///
    /// # Errors
    ///
    /// `NoGpioChip`, `LineBusy`, `GpioFailed`, `LedFailed`, `FileFailed`.
    fn observe(&mut self, goal: &Goal) -> Result<Observed>;

    /// Carries out one step. Each step can be repeated: done twice it is as done once.
    ///
    /// # Errors
    ///
    /// Those of `observe`, `UnknownTrigger`, `DiskFull`, `PathNotAllowed`.
    fn apply(&mut self, step: &Step) -> Result<()>;
}

/// The few hundred bytes that must survive.
pub trait Ledger {
    /// The newest sound record; the empty one where there never was any.
    ///
    /// # Errors
    ///
    /// `LedgerDamaged` if there were records and none is sound; `StateFailed`.
    fn load(&mut self) -> Result<Record>;

    /// Replaces the record. When this returns, a power cut cannot lose it; cut before, the old record stands.
    ///
    /// # Errors
    ///
    /// `DiskFull`, `StateReadOnly`, `StateFailed`.
    fn save(&mut self, record: &Record) -> Result<()>;
}

/// The second copy of the rollback floor, outside the state folder: what is left of the ledger where that is lost.
pub trait FloorCopy {
    /// The copy; `None` where there is none.
    ///
    /// # Errors
    ///
    /// `FloorDamaged` if there is one that is not sound; `StateFailed`, `StateReadOnly`.
    fn load(&mut self) -> Result<Option<Floor>>;

    /// Replaces the copy. When this returns, a power cut cannot lose it; cut before, the old copy stands.
    ///
    /// # Errors
    ///
    /// `DiskFull`, `StateReadOnly`, `StateFailed`.
    fn save(&mut self, floor: &Floor) -> Result<()>;
}

/// The statuses that wait for sticks, where they survive. Only a device that meets sticks ever writes one.
pub trait Outbox {
    /// What was saved last; the empty one where there never was any.
    ///
    /// # Errors
    ///
    /// `StateFailed` if it cannot be read, or is damaged.
    fn load(&mut self) -> Result<Statuses>;

    /// Replaces it. When this returns, a power cut cannot lose it; cut before, the old one stands.
    ///
    /// # Errors
    ///
    /// `DiskFull`, `StateReadOnly`, `StateFailed`.
    fn save(&mut self, statuses: &Statuses) -> Result<()>;
}
