//! The forms that older versions of the agent left on a device: read, and never written.

use serde::{Deserialize, de::DeserializeOwned};

use super::framed::{self, Frame};
use crate::api::{
    DeviceId, ExchangeId, Oid,
    ledger::{Accepted, Floor, Generation, HubTraits, LastStatus, Owned, Record, Refused},
};

/// Reads a record in the form of a frame, or in the first one there was.
///
/// # Errors
///
/// What is wrong with the bytes.
pub(super) fn either<Old, New>(frame: &Frame, bytes: &[u8]) -> Result<New, &'static str>
where
    Old: DeserializeOwned + Into<New>,
    New: DeserializeOwned,
{
    match framed::version(bytes) {
        Some(1) => Frame { version: 1, ..*frame }.decode::<Old>(bytes).map(Into::into),
        _ => frame.decode(bytes),
    }
}

/// A ledger record before heartbeats were replaced.
#[derive(Deserialize)]
pub(super) struct RecordV1 {
    serial: u64,
    tip: Option<Accepted>,
    generation: Generation,
    previous: Option<(Accepted, Generation)>,
    advances: u64,
    exchange: Option<ExchangeId>,
    owned: Vec<Owned>,
    status: Option<LastStatusV1>,
    refused: Option<Refused>,
    stranger: Option<[u8; 16]>,
    hub: HubTraits,
}

/// The second copy of a floor from then.
#[derive(Deserialize)]
pub(super) struct FloorV1 {
    device: DeviceId,
    exchange: Option<ExchangeId>,
    tip: Accepted,
    advances: u64,
    status: Option<LastStatusV1>,
}

/// A status from then: whether it was a heartbeat nobody kept, so it stays.
#[derive(Deserialize)]
struct LastStatusV1 {
    commit: Oid,
    parent: Option<Oid>,
    sequence: u64,
    digest: [u8; 16],
}

impl From<RecordV1> for Record {
    fn from(old: RecordV1) -> Self {
        let RecordV1 { serial, tip, generation, previous, advances, exchange, owned, status, refused, stranger, hub } =
            old;
        let status = status.map(LastStatus::from);
        Self {
            serial,
            tip,
            generation,
            previous,
            advances,
            exchange,
            owned,
            status,
            refused,
            stranger,
            hub,
            pushes: None,
        }
    }
}

impl From<FloorV1> for Floor {
    fn from(old: FloorV1) -> Self {
        let FloorV1 { device, exchange, tip, advances, status } = old;
        Self { device, exchange, tip, advances, status: status.map(LastStatus::from) }
    }
}

impl From<LastStatusV1> for LastStatus {
    fn from(old: LastStatusV1) -> Self {
        let LastStatusV1 { commit, parent, sequence, digest } = old;
        Self { commit, parent, replaces: None, sequence, digest, heartbeat: false }
    }
}
