//! How the device's own records lie on its media: a magic, a version, the length, the record as postcard, and SHA-256
//! over all before it.
//!
//! ```text
//! 0      4        5           9              9+length      9+length+32
//! magic  version  length, LE  postcard       SHA-256
//! ```

use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

const HEAD: usize = 9;
const SUM: usize = 32;

/// A kind of record.
pub(super) struct Frame {
    pub(super) magic: &'static [u8; 4],
    pub(super) version: u8,
    /// The most bytes that a record can have.
    pub(super) limit: usize,
}

/// Where the version stands.
const VERSION: usize = 4;

/// The version that a record says it has.
pub(super) fn version(bytes: &[u8]) -> Option<u8> {
    bytes.get(VERSION).copied()
}

impl Frame {
    /// The bytes of a record; `None` if there are more than the limit.
    ///
    /// # Errors
    ///
    /// Postcard cannot write it.
    pub(super) fn encode(&self, record: &impl Serialize) -> postcard::Result<Option<Vec<u8>>> {
        let body = postcard::to_allocvec(record)?;
        if HEAD + body.len() + SUM > self.limit {
            return Ok(None);
        }
        let mut bytes = Vec::with_capacity(HEAD + body.len() + SUM);
        bytes.extend_from_slice(self.magic);
        bytes.push(self.version);
        bytes.extend_from_slice(&(body.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&body);
        let sum = Sha256::digest(&bytes);
        bytes.extend_from_slice(&sum);
        Ok(Some(bytes))
    }

    /// Decodes a record; the error says what is wrong with the bytes.
    ///
    /// # Errors
    ///
    /// The bytes are not exactly one record of this version with the right checksum.
    pub(super) fn decode<T: DeserializeOwned>(&self, bytes: &[u8]) -> Result<T, &'static str> {
        if bytes.len() > self.limit {
            return Err("it is longer than any record");
        }
        let (signed, sum) = bytes.split_last_chunk::<SUM>().ok_or("it is too short")?;
        let (head, body) = signed.split_first_chunk::<HEAD>().ok_or("it is too short")?;
        if !head.starts_with(self.magic) {
            return Err("it begins as another kind of file");
        }
        if head[VERSION] != self.version {
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
}
