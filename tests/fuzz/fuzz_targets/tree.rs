//! Tree walking: whatever the trees are, the device's folder is read or refused, and only sound names are passed on.
//!
//! The input is cut into objects at the bytes `ff ff`; the first is the root tree. A tree names an object by twenty
//! bytes of which the first is its number, so that every tree can lead anywhere, itself included.

#![no_main]

use giter_edge::{
    api::{Oid, Result},
    git::graph,
    reconcile::{
        decode::{self, GitTree},
        ports::{Object, ObjectKind, Objects},
    },
};
use libfuzzer_sys::fuzz_target;

struct Pieces(Vec<Vec<u8>>);

impl Objects for Pieces {
    fn read(&self, id: Oid, limit: usize) -> Result<Option<Object>> {
        let number = usize::from(id.as_bytes()[0]);
        let kind = if id.as_bytes()[1] % 2 == 0 { ObjectKind::Tree } else { ObjectKind::Blob };
        let data = self.0.get(number).filter(|data| data.len() <= limit);
        Ok(data.map(|data| Object { kind, data: data.clone() }))
    }

    fn has(&self, id: Oid) -> Result<bool> {
        Ok(usize::from(id.as_bytes()[0]) < self.0.len())
    }
}

fuzz_target!(|data: &[u8]| {
    let mut pieces = vec![Vec::new()];
    let mut rest = data;
    while let Some(at) = rest.windows(2).position(|pair| pair == b"\xff\xff") {
        pieces.last_mut().unwrap().extend_from_slice(&rest[..at]);
        pieces.push(Vec::new());
        rest = &rest[at + 2..];
    }
    pieces.last_mut().unwrap().extend_from_slice(rest);
    let objects = Pieces(pieces);
    let root = Oid::new([0; 20]);
    let _ = decode::read(&GitTree::new(&objects, root), &"d".parse().unwrap());
    let _ = graph::below(&objects, root, &mut Default::default());
});
