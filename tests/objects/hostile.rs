//! Packs made to cost more than they weigh, and packs with every bit turned.

use std::{io::Read, path::Path};

use giter_edge::{
    api::{Reason, Result, ledger::Generation, limits},
    git::{PackStore, pack},
    reconcile::ports::Store,
};

use crate::{
    support::{
        blob, device,
        packfile::{REF_DELTA, entry, number, sealed},
        snapshot,
    },
    thin::{deep_one, repository, thin},
};

const BLOB: u8 = 3;
const OFS_DELTA: u8 = 6;

/// A pack by hand.
struct Forge {
    bytes: Vec<u8>,
    count: u32,
}

impl Forge {
    fn new() -> Self {
        Self { bytes: b"PACK\0\0\0\x02\0\0\0\0".to_vec(), count: 0 }
    }

    /// Adds an entry that says `size` and holds `data`; returns where it begins.
    fn entry(&mut self, kind: u8, size: u64, base: &[u8], data: &[u8]) -> u64 {
        let at = self.bytes.len() as u64;
        entry(&mut self.bytes, kind, size, base, data);
        self.count += 1;
        at
    }

    fn blob(&mut self, data: &[u8]) -> u64 {
        self.entry(BLOB, data.len() as u64, b"", data)
    }

    /// Adds a delta on the entry at `base`.
    fn delta(&mut self, base: u64, delta: &[u8]) -> u64 {
        let mut distance = self.bytes.len() as u64 - base;
        let mut bytes = vec![(distance & 0x7f) as u8];
        while distance >> 7 > 0 {
            distance = (distance >> 7) - 1;
            bytes.insert(0, 0x80 | (distance & 0x7f) as u8);
        }
        self.entry(OFS_DELTA, delta.len() as u64, &bytes, delta)
    }

    fn seal(mut self) -> Vec<u8> {
        self.bytes[8..12].copy_from_slice(&self.count.to_be_bytes());
        sealed(self.bytes)
    }
}

/// A delta that says its sizes and copies the first 64 KiB of its base so many times, then adds one byte.
fn copies(base: u64, result: u64, times: usize, last: u8) -> Vec<u8> {
    let mut delta = [number(base), number(result)].concat();
    delta.extend(std::iter::repeat_n(0x80, times));
    delta.extend([1, last]);
    delta
}

fn ingest(folder: &Path, pack: &mut dyn Read) -> Result<()> {
    let mut store = PackStore::open(folder).unwrap();
    let mut quarantine = store.quarantine(&Generation::default()).unwrap();
    let taken = quarantine.ingest(pack);
    drop(quarantine);
    assert!(!folder.join("quarantine").exists(), "files are left in the quarantine");
    taken
}

#[track_caller]
fn assert_refused(pack: &[u8], reason: Reason) {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(ingest(folder.path(), &mut &*pack).unwrap_err().reason(), reason);
}

#[test]
fn the_forge_makes_packs_that_are_taken() {
    let folder = tempfile::tempdir().unwrap();
    let mut forge = Forge::new();
    let base = forge.blob(&[7; 65536]);
    let next = forge.delta(base, &copies(65536, 131_073, 2, 0));
    forge.delta(next, &copies(131_073, 65537, 1, 1));
    ingest(folder.path(), &mut forge.seal().as_slice()).unwrap();
}

#[test]
fn a_delta_bomb_is_refused_by_its_header() {
    let mut forge = Forge::new();
    let base = forge.blob(&[0; 65536]);
    forge.delta(base, &copies(65536, 60_000 * 65536 + 1, 60_000, 0));
    assert_refused(&forge.seal(), Reason::PackTooLarge);
}

#[test]
fn a_delta_that_lies_about_its_size_is_refused() {
    for result in [1, 65536, 65538] {
        let mut forge = Forge::new();
        let base = forge.blob(&[0; 65536]);
        forge.delta(base, &copies(65536, result, 1, 0));
        assert_refused(&forge.seal(), Reason::PackInvalid);
    }
}

#[test]
fn a_chain_that_would_be_held_in_memory_is_refused() {
    let size = limits::OBJECT_BYTES as u64 - 65535;
    let times = (size / 65536) as usize;
    let mut forge = Forge::new();
    let mut base = forge.blob(&[0; 65536]);
    let mut length = 65536;
    for link in 0..=limits::DELTA_CHAIN_BYTES / size {
        let result = times as u64 * 65536 + 1;
        let next = forge.delta(base, &copies(length, result, times, link as u8));
        forge.delta(base, &copies(length, result, times, 255));
        (base, length) = (next, result);
    }
    assert_refused(&forge.seal(), Reason::PackTooLarge);
}

#[test]
fn a_chain_named_by_objects_is_left_out() {
    let times = 63;
    let result = times as u64 * 65536 + 1;
    let mut forge = Forge::new();
    let mut content = vec![0; 65536];
    forge.blob(&content);
    for link in 0..=limits::DELTA_CHAIN_BYTES / result {
        let base = blob(&content);
        let delta = copies(content.len() as u64, result, times, link as u8);
        forge.entry(REF_DELTA, delta.len() as u64, base.id.as_bytes(), &delta);
        content = [content[..65536].repeat(times), vec![link as u8]].concat();
    }
    let folder = tempfile::tempdir().unwrap();
    ingest(folder.path(), &mut forge.seal().as_slice()).unwrap();
}

/// A delta that says its sizes and keeps nothing of its base.
fn anew(base: usize, text: &str) -> Vec<u8> {
    [&number(base as u64)[..], &number(text.len() as u64), &[text.len() as u8], text.as_bytes()].concat()
}

#[test]
fn deltas_on_what_is_not_here_are_left_out_and_the_rest_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = PackStore::open(folder.path()).unwrap();
    let known = snapshot(b"known", &[]);
    let mut quarantine = store.quarantine(&Generation::default()).unwrap();
    quarantine.ingest(&mut pack::write(&known).unwrap().as_slice()).unwrap();
    let base = quarantine.promote(known[2].id, device()).unwrap();

    let (foreign, here) = (blob(&[7; 200]).id, known[0].id);
    let mut forge = Forge::new();
    let lost = forge.entry(REF_DELTA, anew(200, "lost").len() as u64, foreign.as_bytes(), &anew(200, "lost"));
    let first = forge.blob(b"first");
    let lost_too = forge.delta(lost, &anew(4, "lost too"));
    let second = forge.delta(first, &anew(5, "second"));
    forge.delta(lost_too, &anew(8, "and this"));
    forge.entry(REF_DELTA, anew(5, "third").len() as u64, here.as_bytes(), &anew(5, "third"));
    forge.blob(&[9; 3000]);
    forge.delta(second, &anew(6, "fourth"));
    forge.entry(REF_DELTA, anew(200, "gone").len() as u64, foreign.as_bytes(), &anew(200, "gone"));
    let mut quarantine = store.quarantine(&base).unwrap();
    quarantine.ingest(&mut forge.seal().as_slice()).unwrap();
    for text in ["first", "second", "third", "fourth"] {
        let object = blob(text.as_bytes());
        assert_eq!(quarantine.read(object.id, 100).unwrap(), Some(object.object), "{text}");
    }
    for text in ["lost", "lost too", "and this", "gone"] {
        assert!(!quarantine.has(blob(text.as_bytes()).id).unwrap(), "{text}");
    }
    assert!(quarantine.has(blob(&[9; 3000]).id).unwrap());

    // A pack of nothing else is as an empty one, and what is malformed in it is refused all the same.
    let mut forge = Forge::new();
    forge.entry(REF_DELTA, anew(200, "lost").len() as u64, foreign.as_bytes(), &anew(200, "lost"));
    let sound = forge.seal();
    quarantine.ingest(&mut sound.as_slice()).unwrap();
    let mut damaged = sound.clone();
    *damaged.last_mut().unwrap() ^= 1;
    assert_eq!(quarantine.ingest(&mut damaged.as_slice()).unwrap_err().reason(), Reason::PackInvalid);
    let trailing = [&sound[..], b"x"].concat();
    assert_eq!(quarantine.ingest(&mut trailing.as_slice()).unwrap_err().reason(), Reason::PackInvalid);
}

#[test]
fn packs_are_bounded_together() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = PackStore::open(folder.path()).unwrap();
    let mut quarantine = store.quarantine(&Generation::default()).unwrap();
    let blobs: Vec<_> = (0..limits::PACK_OBJECTS / 2 + 1).map(|at| blob(at.to_string().as_bytes())).collect();
    let whole = pack::write(&blobs).unwrap();
    quarantine.ingest(&mut whole.as_slice()).unwrap();
    assert_eq!(quarantine.ingest(&mut whole.as_slice()).unwrap_err().reason(), Reason::PackTooLarge);
}

#[test]
fn a_chain_of_tiny_objects_ends_too() {
    let mut forge = Forge::new();
    let mut base = forge.blob(b"x");
    for link in 0..9000u32 {
        let delta = [&[if link == 0 { 1 } else { 4 }, 4, 4][..], &link.to_be_bytes()].concat();
        base = forge.delta(base, &delta);
    }
    assert_refused(&forge.seal(), Reason::PackTooLarge);
}

#[test]
fn entries_that_are_not_what_they_say_are_refused() {
    let zeros = vec![0; 100_000];
    for size in [0, 1, 99_999, 100_001] {
        let mut forge = Forge::new();
        forge.entry(BLOB, size, b"", &zeros);
        assert_refused(&forge.seal(), Reason::PackInvalid);
    }
    let mut forge = Forge::new();
    forge.entry(BLOB, u64::MAX >> 8, b"", &zeros);
    assert_refused(&forge.seal(), Reason::PackTooLarge);
    for kind in [0, 5] {
        let mut forge = Forge::new();
        forge.entry(kind, 3, b"", b"abc");
        assert_refused(&forge.seal(), Reason::PackInvalid);
    }
}

#[test]
fn a_size_with_needless_digits_is_refused() {
    for (head, sound) in [(&[0x33][..], true), (&[0xb3, 0x00], false), (&[0xb3, 0x80, 0x80, 0x00], false)] {
        let mut forge = Forge::new();
        forge.blob(b"first");
        forge.bytes.extend(head);
        forge.bytes.extend([0x78, 0x01, 0x01, 3, 0, 0xfc, 0xff, b'a', b'b', b'c', 0x02, 0x4d, 0x01, 0x27]);
        forge.count += 1;
        forge.blob(b"last");
        let folder = tempfile::tempdir().unwrap();
        let taken = ingest(folder.path(), &mut forge.seal().as_slice());
        assert_eq!(taken.err().map(|e| e.reason()), (!sound).then_some(Reason::PackInvalid), "{head:x?}");
    }
}

#[test]
fn a_stream_that_runs_on_for_nothing_is_refused() {
    for (blocks, sound) in [(1, true), (10_000, false)] {
        let mut forge = Forge::new();
        forge.bytes.extend([0x31, 0x78, 0x01]);
        forge.bytes.extend([0, 0, 0, 0xff, 0xff].repeat(blocks));
        forge.bytes.extend([1, 1, 0, 0xfe, 0xff, b'a', 0x00, 0x62, 0x00, 0x62]);
        forge.count = 1;
        let folder = tempfile::tempdir().unwrap();
        let taken = ingest(folder.path(), &mut forge.seal().as_slice());
        assert_eq!(taken.err().map(|e| e.reason()), (!sound).then_some(Reason::PackInvalid), "{blocks} blocks");
    }
}

#[test]
fn too_many_objects_are_refused_by_the_count() {
    let count = (limits::PACK_OBJECTS as u32 + 1).to_be_bytes();
    assert_refused(&[b"PACK\0\0\0\x02", &count[..]].concat(), Reason::PackTooLarge);
    assert_refused(b"PACK\0\0\0\x02\xff\xff\xff\xff", Reason::PackTooLarge);
    assert_refused(b"PACK\0\0\0\x02\0\0\0\x01", Reason::PackInvalid);
    assert_refused(b"PACK\0\0\0\x07\0\0\0\0", Reason::PackInvalid);
}

#[test]
fn an_endless_pack_is_refused_at_its_limit() {
    let mut forge = Forge::new();
    let mut noise = 1u32;
    let mut data = vec![0; 1 << 20];
    for byte in &mut data {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *byte = (noise >> 24) as u8;
    }
    forge.blob(&data);
    let entry = forge.bytes.split_off(12);
    let head = [b"PACK\0\0\0\x02", &1000u32.to_be_bytes()[..]].concat();
    let mut endless = head.chain(Cycle { bytes: entry, at: 0 });
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(ingest(folder.path(), &mut endless).unwrap_err().reason(), Reason::PackTooLarge);
}

struct Cycle {
    bytes: Vec<u8>,
    at: usize,
}

impl Read for Cycle {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = buffer.len().min(self.bytes.len() - self.at);
        buffer[..count].copy_from_slice(&self.bytes[self.at..self.at + count]);
        self.at = (self.at + count) % self.bytes.len();
        Ok(count)
    }
}

#[test]
fn no_turned_bit_is_taken_for_sound_or_panics() {
    let folder = tempfile::tempdir().unwrap();
    let commits = repository(folder.path(), 3);
    let mut store = PackStore::open(&folder.path().join("store")).unwrap();
    let mut quarantine = store.quarantine(&Generation::default()).unwrap();
    quarantine.ingest(&mut deep_one(folder.path(), commits[0]).as_slice()).unwrap();
    let base = quarantine.promote(commits[0], device()).unwrap();
    let pack = thin(folder.path(), commits[2], commits[0], &["--delta-base-offset"]);
    for at in 0..pack.len() {
        let mut turned = pack.clone();
        turned[at] ^= 1 << (at % 8);
        let mut quarantine = store.quarantine(&base).unwrap();
        assert!(quarantine.ingest(&mut turned.as_slice()).is_err(), "byte {at}");
        // With the checksum made right again only what it holds can give it away.
        turned.truncate(pack.len() - 20);
        if quarantine.ingest(&mut sealed(turned).as_slice()).is_ok() {
            let _ = quarantine.promote(commits[2], device());
        }
    }
}
