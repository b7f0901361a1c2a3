//! The ledger record's bytes: `GITR`, a version, the length, the record as postcard, and SHA-256 over all before it.
//!
//! ```text
//! 0       4        5           9              9+length      9+length+32
//! "GITR"  version  length, LE  postcard       SHA-256
//! ```

use sha2::{Digest, Sha256};

use crate::api::{Error, Reason, Result, ledger::Record, limits};

const MAGIC: &[u8; 4] = b"GITR";
const VERSION: u8 = 1;
const HEAD: usize = 9;
const SUM: usize = 32;

/// Encodes a record.
///
/// # Errors
///
/// `TooMany` if it passes [`limits::RECORD_BYTES`].
pub fn encode(record: &Record) -> Result<Vec<u8>> {
    let body = postcard::to_allocvec(record)
        .map_err(|e| Error::new(Reason::Bug, "cannot encode the ledger record").caused_by(e))?;
    if HEAD + body.len() + SUM > limits::RECORD_BYTES {
        let what = format!("the ledger record would take {} bytes, more than {}", body.len(), limits::RECORD_BYTES);
        return Err(Error::new(Reason::TooMany, what).hint("give this device fewer resources"));
    }
    let mut bytes = Vec::with_capacity(HEAD + body.len() + SUM);
    bytes.extend_from_slice(MAGIC);
    bytes.push(VERSION);
    bytes.extend_from_slice(&(body.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&body);
    let sum = Sha256::digest(&bytes);
    bytes.extend_from_slice(&sum);
    Ok(bytes)
}

/// Decodes a record; the error says what is wrong with the bytes.
///
/// # Errors
///
/// The bytes are not exactly one record of a known version with the right checksum.
pub fn decode(bytes: &[u8]) -> Result<Record, &'static str> {
    if bytes.len() > limits::RECORD_BYTES {
        return Err("it is longer than any record");
    }
    let (signed, sum) = bytes.split_last_chunk::<SUM>().ok_or("it is too short")?;
    let (head, body) = signed.split_first_chunk::<HEAD>().ok_or("it is too short")?;
    if !head.starts_with(MAGIC) {
        return Err("it does not begin with GITR");
    }
    if head[4] != VERSION {
        return Err("it has a version that this giterd does not know");
    }
    if Sha256::digest(signed)[..] != sum[..] {
        return Err("its checksum does not match");
    }
    if u32::from_le_bytes([head[5], head[6], head[7], head[8]]) as usize != body.len() {
        return Err("its length does not match");
    }
    match postcard::take_from_bytes(body) {
        Ok((record, [])) => Ok(record),
        Ok(_) => Err("bytes follow the record"),
        Err(_) => Err("it is not a record"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::ledger::Accepted;

    fn record() -> Record {
        let oid = "0123456789abcdef0123456789abcdef01234567".parse().unwrap();
        let tip = Accepted { commit: oid, tree: oid, time: 1_795_000_000, signer: "ops@plant-7".into(), charter: None };
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
