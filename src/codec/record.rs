//! The ledger record's bytes.

use super::{
    framed::Frame,
    old::{self, RecordV1},
};
use crate::api::{Error, Reason, Result, ledger::Record, limits};

const FRAME: Frame = Frame { magic: b"GITR", version: 2, limit: limits::RECORD_BYTES };

/// Encodes a record.
///
/// # Errors
///
/// `TooMany` if it passes [`limits::RECORD_BYTES`].
pub fn encode(record: &Record) -> Result<Vec<u8>> {
    let bytes =
        FRAME.encode(record).map_err(|e| Error::new(Reason::Bug, "cannot encode the ledger record").caused_by(e))?;
    bytes.ok_or_else(|| {
        let what = format!("the ledger record would take more than {} bytes", limits::RECORD_BYTES);
        Error::new(Reason::TooMany, what).hint("give this device fewer resources")
    })
}

/// Decodes a record, of an older form too; the error says what is wrong with the bytes.
///
/// # Errors
///
/// The bytes are not exactly one record of a known version with the right checksum.
pub fn decode(bytes: &[u8]) -> Result<Record, &'static str> {
    old::either::<RecordV1, _>(&FRAME, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::ledger::Accepted;

    fn record() -> Record {
        let oid = "0123456789abcdef0123456789abcdef01234567".parse().unwrap();
        let tip = Accepted {
            commit: oid,
            tree: oid,
            time: 1_795_000_000,
            signer: "ops@plant-7".into(),
            charter: None,
            reset: 0,
        };
        Record { serial: 7, tip: Some(tip), advances: 3, ..Record::default() }
    }

    #[test]
    fn what_is_written_is_read() {
        for record in [Record::default(), record()] {
            assert_eq!(decode(&encode(&record).unwrap()), Ok(record));
        }
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_found() {
        let bytes = encode(&record()).unwrap();
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
    fn a_record_beyond_its_limit_is_refused() {
        let mut record = record();
        record.generation.packs = vec![record.tip.as_ref().unwrap().commit; limits::RECORD_BYTES / 20 + 1];
        assert_eq!(encode(&record).unwrap_err().reason(), Reason::TooMany);
    }
}
