//! The bytes of the second copy of the rollback floor.

use super::{
    framed::Frame,
    old::{self, FloorV1},
};
use crate::api::{Error, Reason, Result, ledger::Floor, limits};

const FRAME: Frame = Frame { magic: b"GITF", version: 2, limit: limits::FLOOR_BYTES };

/// Encodes a floor.
///
/// # Errors
///
/// `TooMany` if it passes [`limits::FLOOR_BYTES`].
pub fn encode(floor: &Floor) -> Result<Vec<u8>> {
    let bytes = FRAME.encode(floor).map_err(|e| Error::new(Reason::Bug, "cannot encode the floor").caused_by(e))?;
    bytes.ok_or_else(|| {
        Error::new(Reason::TooMany, format!("the floor would take more than {} bytes", limits::FLOOR_BYTES))
            .hint("give the signer of the accepted commit a shorter name")
    })
}

/// Decodes a floor, of an older form too; the error says what is wrong with the bytes.
///
/// # Errors
///
/// The bytes are not exactly one floor of a known version with the right checksum.
pub fn decode(bytes: &[u8]) -> Result<Floor, &'static str> {
    old::either::<FloorV1, _>(&FRAME, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::ledger::{Accepted, LastStatus, Record},
        codec::record,
    };

    fn floor() -> Floor {
        let oid = "0123456789abcdef0123456789abcdef01234567".parse().unwrap();
        let tip = Accepted {
            commit: oid,
            tree: oid,
            time: 1_795_000_000,
            signer: "ops@plant-7".into(),
            charter: None,
            reset: 0,
        };
        let status = Some(LastStatus {
            commit: oid,
            parent: None,
            replaces: None,
            sequence: 8,
            digest: [3; 16],
            heartbeat: false,
        });
        Floor { device: "site-a/pump-07".parse().unwrap(), exchange: None, tip, advances: 7, status }
    }

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(decode(&encode(&floor()).unwrap()), Ok(floor()));
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_found() {
        let bytes = encode(&floor()).unwrap();
        for at in 0..bytes.len() {
            assert!(decode(&bytes[..at]).is_err(), "cut at {at}");
            for bit in 0..8 {
                let mut bytes = bytes.clone();
                bytes[at] ^= 1 << bit;
                assert!(decode(&bytes).is_err(), "bit {bit} of byte {at}");
            }
        }
        assert!(decode(&[0; 4096]).is_err());
        assert!(decode(&[&bytes[..], b"x"].concat()).is_err());
    }

    #[test]
    fn a_record_is_no_floor() {
        let bytes = record::encode(&Record::default()).unwrap();
        assert_eq!(decode(&bytes), Err("it begins as another kind of file"));
    }

    #[test]
    fn a_floor_beyond_its_limit_is_refused() {
        let mut floor = floor();
        floor.tip.signer = "x".repeat(limits::FLOOR_BYTES).into();
        assert_eq!(encode(&floor).unwrap_err().reason(), Reason::TooMany);
    }
}
