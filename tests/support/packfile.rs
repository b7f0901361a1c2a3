//! Packs by hand (gitformat-pack(5)), as wrong as they have to be.

use std::io::Write;

use gix::{
    hash::{Kind, hasher},
    zlib::{Compression, stream::deflate},
};

/// The kind of a delta on an object that its name follows.
pub(crate) const REF_DELTA: u8 = 7;

/// Adds an entry that says `size` and holds `data`; `base` is what names the base of a delta.
pub(crate) fn entry(pack: &mut Vec<u8>, kind: u8, size: u64, base: &[u8], data: &[u8]) {
    let (mut byte, mut rest) = ((kind << 4) | (size & 15) as u8, size >> 4);
    while rest > 0 {
        pack.push(byte | 0x80);
        (byte, rest) = ((rest & 0x7f) as u8, rest >> 7);
    }
    pack.push(byte);
    pack.extend_from_slice(base);
    pack.extend(deflated(&[data]));
}

/// A number as a delta's head has it: seven bits a byte, the lowest first.
pub(crate) fn number(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >> 7 > 0 {
        bytes.push(0x80 | (value & 0x7f) as u8);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// The parts as one zlib stream.
pub(crate) fn deflated(parts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut stream = deflate::Write::new(&mut bytes, Compression::BEST_SPEED);
    parts.iter().for_each(|part| stream.write_all(part).unwrap());
    stream.flush().unwrap();
    drop(stream);
    bytes
}

/// Adds the right checksum.
pub(crate) fn sealed(mut pack: Vec<u8>) -> Vec<u8> {
    let sum = sha1(&[&pack]);
    pack.extend_from_slice(&sum);
    pack
}

/// The SHA-1 of the parts together.
pub(crate) fn sha1(parts: &[&[u8]]) -> [u8; 20] {
    let mut hash = hasher(Kind::Sha1);
    parts.iter().for_each(|part| hash.update(part));
    hash.try_finalize().unwrap().as_slice().try_into().unwrap()
}
