//! What the disk does to a store: cuts, rot, leftovers.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use giter_edge::{
    api::{Reason, ledger::Generation, limits},
    git::{PackStore, pack},
    reconcile::ports::{NewObject, Store},
};

use crate::support::{device, snapshot};

fn advance(store: &mut PackStore, base: &Generation, objects: &[NewObject]) -> Generation {
    let mut quarantine = store.quarantine(base).unwrap();
    quarantine.ingest(&mut pack::write(objects).unwrap().as_slice()).unwrap();
    quarantine.promote(objects[2].id, device()).unwrap()
}

fn files(store: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(store.join("packs")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// Bytes that do not compress, other for each seed.
fn noise(seed: u32, size: usize) -> Vec<u8> {
    let mut state = seed;
    let mut byte = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..size).map(|_| byte()).collect()
}

#[test]
fn every_kind_of_damage_is_found_and_mended_by_the_same_pack() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = PackStore::open(folder.path()).unwrap();
    let objects = snapshot(b"content", &[]);
    let generation = advance(&mut store, &Generation::default(), &objects);
    let paths = files(folder.path());
    assert_eq!(paths.len(), 2);
    for path in paths {
        let sound = fs::read(&path).unwrap();
        let mut damaged = vec![None, Some(vec![]), Some(sound[..sound.len() / 2].to_vec()), Some(vec![0; sound.len()])];
        damaged.extend((0..sound.len()).step_by(7).map(|at| {
            let mut flipped = sound.clone();
            flipped[at] ^= 0x10;
            Some(flipped)
        }));
        for bytes in damaged {
            match bytes {
                Some(bytes) => fs::write(&path, bytes).unwrap(),
                None => fs::remove_file(&path).unwrap(),
            }
            assert_eq!(store.recover(&[&generation]).unwrap(), [false]);
            assert_eq!(advance(&mut store, &Generation::default(), &objects), generation);
            assert_eq!(store.recover(&[&generation]).unwrap(), [true]);
        }
    }
}

#[test]
fn a_rotten_object_is_an_error_and_never_another_object() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = PackStore::open(folder.path()).unwrap();
    let objects = snapshot(&noise(7, 300), &[]);
    let generation = advance(&mut store, &Generation::default(), &objects);
    let path = files(folder.path()).into_iter().find(|path| path.extension().unwrap() == "pack").unwrap();
    let sound = fs::read(&path).unwrap();
    for at in 12..sound.len() - 20 {
        let mut rotten = sound.clone();
        rotten[at] ^= 1;
        fs::write(&path, rotten).unwrap();
        let reader = store.objects(&generation).unwrap();
        for new in &objects {
            match reader.read(new.id, limits::OBJECT_BYTES) {
                Ok(object) => assert_eq!(object.as_ref(), Some(&new.object), "byte {at}"),
                Err(error) => {
                    assert!(matches!(error.reason(), Reason::StateFailed | Reason::FileTooLarge), "{error:?}")
                }
            }
        }
    }
}

#[test]
fn files_of_another_pack_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = PackStore::open(folder.path()).unwrap();
    let [one, two] = [&b"content"[..], b"contour"].map(|content| snapshot(content, &[]));
    let [first, second] = [&one, &two].map(|objects| advance(&mut store, &Generation::default(), objects));
    let path = |generation: &Generation, extension| {
        folder.path().join("packs").join(format!("pack-{}.{extension}", generation.packs[0]))
    };
    let sound = fs::read(path(&first, "idx")).unwrap();
    fs::copy(path(&second, "idx"), path(&first, "idx")).unwrap();
    assert_eq!(store.recover(&[&first, &second]).unwrap(), [false, true]);
    fs::write(path(&first, "idx"), sound).unwrap();
    fs::copy(path(&second, "pack"), path(&first, "pack")).unwrap();
    assert_eq!(store.recover(&[&first, &second]).unwrap(), [false, true]);
    // Both packs are laid out alike, so that only the object's own hash tells.
    let reader = store.objects(&first).unwrap();
    assert_eq!(reader.read(one[0].id, 100).unwrap_err().reason(), Reason::StateFailed);
}

#[test]
fn leftovers_are_swept_and_a_clean_store_is_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("store");
    let mut store = PackStore::open(&root).unwrap();
    assert_eq!(fs::metadata(&root).unwrap().permissions().mode() & 0o777, 0o700);
    let objects = snapshot(b"content", &[]);
    let generation = advance(&mut store, &Generation::default(), &objects);
    let sound = files(&root);
    fs::create_dir(root.join("quarantine")).unwrap();
    fs::write(root.join("quarantine/0.pack"), b"half a pa").unwrap();
    fs::write(root.join("packs/pack-0123.pack"), b"never recorded").unwrap();
    fs::write(root.join("packs/.tmp"), b"").unwrap();
    let mut store = PackStore::open(&root).unwrap();
    assert_eq!(store.recover(&[&generation]).unwrap(), [true]);
    assert_eq!(files(&root), sound);
    assert!(!root.join("quarantine").exists());
    let times = || [&root, &root.join("packs")].map(|path| fs::metadata(path).unwrap().modified().unwrap());
    let before = times();
    let mut store = PackStore::open(&root).unwrap();
    assert_eq!(store.recover(&[&generation]).unwrap(), [true]);
    store.retain(&[&generation]).unwrap();
    drop(store.quarantine(&generation).unwrap());
    assert!(store.objects(&generation).unwrap().has(objects[0].id).unwrap());
    assert_eq!(times(), before);
}

#[test]
fn the_disk_holds_little_more_than_two_tips() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = PackStore::open(folder.path()).unwrap();
    let (mut base, mut previous, mut parents) = (Generation::default(), Generation::default(), vec![]);
    let size = 400 << 10;
    for round in 0..9 {
        let objects = snapshot(&noise(round, size), &parents);
        let next = advance(&mut store, &base, &objects);
        previous = std::mem::replace(&mut base, next);
        parents = vec![objects[2].id];
        store.retain(&[&base, &previous]).unwrap();
        let bytes: u64 = files(folder.path()).iter().map(|path| fs::metadata(path).unwrap().len()).sum();
        let bound = 2 * size as u64 + (1 << 16);
        assert!(bytes < bound, "round {round}: {bytes} bytes, bound {bound}");
    }
    assert_eq!(store.recover(&[&base, &previous]).unwrap(), [true, true]);
}
