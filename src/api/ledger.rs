//! The ledger as a value: the record that is the agent's one commit point.
//!
//! A tip counts as accepted when, and only when, a record that names it is durable. Nothing is driven and nothing is
//! acknowledged before that.

use serde::{Deserialize, Serialize};

use super::{DeviceId, ExchangeId, Oid, ResourceKey, board::LineConfig, resource::FilePath};

/// Everything that must survive a power cut.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Rises with every save; the larger of two sound records counts.
    pub serial: u64,
    /// The last accepted tip.
    pub tip: Option<Accepted>,
    /// The objects of `tip`.
    pub generation: Generation,
    /// The tip before, and its objects: what is fallen back to where the newest objects are damaged.
    pub previous: Option<(Accepted, Generation)>,
    /// How many tips were accepted, ever. Never falls.
    pub advances: u64,
    /// The id of the exchange, pinned at the first sync.
    pub exchange: Option<ExchangeId>,
    /// The resources that this device has taken in hand, each with what is owed when it goes.
    pub owned: Vec<Owned>,
    /// The last status that was made.
    pub status: Option<LastStatus>,
    /// The last tip that was refused, so that it is not downloaded again to be refused again.
    pub refused: Option<Refused>,
    /// A digest of the last status at the hub that is not this device's own, and of the key by which it would be: it is not
    /// fetched again to find that out again.
    pub stranger: Option<[u8; 16]>,
    /// What was learned about the hub.
    pub hub: HubTraits,
    /// What pushing statuses took so far; `None` before the first.
    pub pushes: Option<Pushes>,
}

/// What keeps a device from going back: the part of the record of which a second copy lies outside the state folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Floor {
    /// Whose it is.
    pub device: DeviceId,
    /// The exchange that it was accepted from.
    pub exchange: Option<ExchangeId>,
    /// The last accepted tip.
    pub tip: Accepted,
    /// How many tips were accepted, ever.
    pub advances: u64,
    /// The last status that had been made when the tip was accepted.
    pub status: Option<LastStatus>,
}

impl Floor {
    /// Whether both keep a device from the same. The status is not asked: it changes far more often than tips do.
    pub fn is_as_high_as(&self, other: &Self) -> bool {
        let what = |floor: &Self| (floor.device.clone(), floor.exchange.clone(), floor.tip.clone(), floor.advances);
        what(self) == what(other)
    }
}

impl Record {
    /// The floor of this device, once a tip was accepted.
    pub fn floor(&self, device: &DeviceId) -> Option<Floor> {
        let Self { exchange, advances, status, .. } = self.clone();
        Some(Floor { device: device.clone(), exchange, tip: self.tip.clone()?, advances, status })
    }

    /// The record with a floor that is above its own: the tip's objects are not there then, and what the record had
    /// accepted last is the tip before.
    #[must_use]
    pub fn raised(self, floor: Floor) -> Self {
        let Floor { exchange, tip, advances, status, .. } = floor;
        Self {
            tip: Some(tip),
            generation: Generation::default(),
            previous: self.tip.map(|tip| (tip, self.generation)),
            advances,
            exchange: exchange.or(self.exchange),
            status: [status, self.status].into_iter().flatten().max_by_key(|status| status.sequence),
            refused: None,
            ..self
        }
    }
}

/// A set of packs that together hold one accepted tip with its whole tree. The ledger names it; nothing else does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generation {
    /// The packs' checksums, oldest first.
    pub packs: Vec<Oid>,
}

/// A tip that was verified, decoded and made durable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// The commit.
    pub commit: Oid,
    /// Its tree.
    pub tree: Oid,
    /// The highest commit date accepted so far, in seconds since 1970.
    pub time: i64,
    /// Who signed it: the principal of the key.
    pub signer: Box<str>,
    /// The charter that was in force from it on; `None` where the root file says whom to trust.
    pub charter: Option<Charter>,
    /// The highest serial of a reset that was seen so far; 0 before the first.
    pub reset: u64,
}

/// A charter in force: enough to read it again from the accepted tip, and to know a step back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charter {
    /// Its serial.
    pub serial: u64,
    /// The blob of `exchange.yaml`.
    pub blob: Oid,
    /// SHA-256 of its bytes.
    pub sha256: [u8; 32],
    /// A digest of the root file that led to it. When that changes, the root file counts anew.
    pub anchor: [u8; 16],
}

/// A resource that this device has taken in hand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owned {
    /// Which.
    pub key: ResourceKey,
    /// What is owed when it goes.
    pub release: Release,
    /// The digest of the goal that was last applied whole; `None` until it was. Tells drift from a change.
    pub applied: Option<[u8; 16]>,
    /// How many times drift was corrected since the goal last changed.
    pub corrected: u32,
}

/// What is owed when a resource goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Release {
    /// The file is removed, or kept.
    File {
        /// Where.
        path: FilePath,
        /// Whether it is removed.
        remove: bool,
    },
    /// The line is let go, after `last` was driven.
    Line {
        /// The line.
        line: Box<str>,
        /// What is driven before.
        last: Option<LineConfig>,
    },
    /// The LED is set, or left.
    Led {
        /// The LED.
        led: Box<str>,
        /// The brightness it is set to.
        brightness: Option<u32>,
    },
}

/// The last status that was made, pushed or not: the hub's listing tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastStatus {
    /// Its commit.
    pub commit: Oid,
    /// That commit's parent: the status that it follows.
    pub parent: Option<Oid>,
    /// The heartbeat in whose place it is put, if there is one: it follows the same status.
    pub replaces: Option<Oid>,
    /// Its sequence number.
    pub sequence: u64,
    /// A digest of all in it that is worth a push.
    pub digest: [u8; 16],
    /// Whether it tells nothing that its parent does not, so that the next heartbeat may take its place.
    pub heartbeat: bool,
}

impl LastStatus {
    /// Where the ref stood when it was made.
    pub fn before(&self) -> Option<Oid> {
        self.replaces.or(self.parent)
    }
}

/// What pushing statuses took, and what was learned by it. Time is told by boots and their uptime, since no wall clock is
/// believed: what a board is switched off for does not count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pushes {
    /// The boot of the last one.
    pub boot_id: [u8; 16],
    /// When that was, in seconds since the boot.
    pub uptime: u64,
    /// The bytes that were sent, as far as time has not brought them back.
    pub spent: u64,
    /// The heartbeats that were appended since the hub refused to have one replaced; `None` where it does not refuse.
    pub appended: Option<u32>,
}

/// A tip that was refused, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// The tip.
    pub tip: Oid,
    /// A digest of what the verdict depends on besides the tip: the agent's version, the device's and the root keys, the board, the
    /// accounts, the configuration. When it changes the tip is looked at again.
    pub inputs: [u8; 16],
    /// Why, as the reason's text: a number could mean another reason to the next version.
    pub reason: Box<str>,
    /// Why, for people.
    pub message: Box<str>,
    /// What to do.
    pub hint: Option<Box<str>>,
}

/// What was learned about the hub, so that the next poll need not find out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HubTraits {
    /// The server does not take `GIT_PROTOCOL` from the environment; it is set in the remote command.
    pub protocol_in_command: bool,
}
