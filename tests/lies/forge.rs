//! Git objects and packs by hand, as wrong as they have to be; their names are always right.

use std::{fs, path::Path};

use giter_edge::api::Oid;

use crate::{
    packfile::{REF_DELTA, deflated, entry, number, sealed, sha1},
    recipe::PackTrick,
};

/// The kinds of objects; each is its number in a pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Commit = 1,
    Tree = 2,
    Blob = 3,
    Tag = 4,
}

/// An object.
#[derive(Clone)]
pub(crate) struct Object {
    pub(crate) id: Oid,
    pub(crate) kind: Kind,
    pub(crate) data: Vec<u8>,
}

impl Object {
    pub(crate) fn new(kind: Kind, data: Vec<u8>) -> Self {
        let id = Oid::new(sha1(&[head(kind, data.len()).as_bytes(), &data]));
        Self { id, kind, data }
    }

    /// Writes it as a loose object of the repository.
    pub(crate) fn write(&self, repository: &Path) {
        let name = self.id.to_string();
        let folder = repository.join("objects").join(&name[..2]);
        fs::create_dir_all(&folder).unwrap();
        let bytes = deflated(&[head(self.kind, self.data.len()).as_bytes(), &self.data]);
        fs::write(folder.join(&name[2..]), bytes).unwrap();
    }
}

/// The bytes of a tree object of these entries: mode, name, object.
pub(crate) fn tree(entries: &[(Vec<u8>, Vec<u8>, Oid)]) -> Vec<u8> {
    let entry = |(mode, name, id): &(Vec<u8>, Vec<u8>, Oid)| [&mode[..], b" ", name, b"\0", id.as_bytes()].concat();
    entries.iter().flat_map(entry).collect()
}

/// A pack of the objects, without deltas but for the trick's.
pub(crate) fn pack(objects: &[&Object], trick: &PackTrick) -> Vec<u8> {
    let mut pack = b"PACK\0\0\0\x02\0\0\0\0".to_vec();
    let mut count = objects.len() as u32;
    for object in objects {
        entry(&mut pack, object.kind as u8, object.data.len() as u64, b"", &object.data);
    }
    if let Some(size) = trick.bomb {
        let base = Object::new(Kind::Blob, vec![0; 65536]);
        entry(&mut pack, Kind::Blob as u8, 65536, b"", &base.data);
        // Copies of the base's first 64 KiB, one byte of delta each.
        let delta = [number(65536), number(size), vec![0x80; (size / 65536) as usize]].concat();
        entry(&mut pack, REF_DELTA, delta.len() as u64, base.id.as_bytes(), &delta);
        count += 2;
    }
    pack[8..12].copy_from_slice(&trick.count.unwrap_or(count).to_be_bytes());
    if let Some(at) = trick.turn {
        pack[at] ^= 0xff;
    }
    let mut pack = sealed(pack);
    pack.truncate(pack.len() - trick.cut);
    pack.extend_from_slice(trick.trailing.as_bytes());
    pack
}

fn head(kind: Kind, size: usize) -> String {
    format!("{} {size}\0", format!("{kind:?}").to_lowercase())
}
