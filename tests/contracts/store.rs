//! What every [`Store`] keeps to, whatever it is made of.

use std::io::Read;

use giter_edge::{
    api::{Error, Oid, Reason, Result, ledger::Generation, limits},
    reconcile::ports::{NewObject, Store},
};

use crate::support::{FILE, blob, commit, device, snapshot, tree};

/// Makes the bytes that the store's quarantine takes in.
pub(crate) type Pack<'a> = &'a dyn Fn(&[NewObject]) -> Vec<u8>;

/// Holds a store to its contract; `fresh` makes an empty one each time.
pub(crate) fn check<S: Store>(fresh: &mut dyn FnMut() -> S, pack: Pack<'_>) {
    what_is_promoted_is_read(&mut fresh(), pack);
    what_is_dropped_is_gone(&mut fresh(), pack);
    a_quarantine_sees_its_base(&mut fresh(), pack);
    nothing_new_is_the_base(&mut fresh(), pack);
    what_is_missing_is_refused(&mut fresh(), pack);
    what_others_read_is_not_kept(&mut fresh(), pack);
    what_is_no_pack_is_refused(&mut fresh(), pack);
    a_name_that_leads_elsewhere_is_refused(&mut fresh(), pack);
    the_readers_error_comes_out(&mut fresh());
    sizes_are_refused_by_the_limit(&mut fresh(), pack);
    generations_stay_few_and_old_ones_live_until_retain(&mut fresh(), pack);
    recover_keeps_what_is_named(&mut fresh(), pack);
}

/// Takes in objects over a base and promotes the tip.
pub(crate) fn advance(
    store: &mut dyn Store,
    pack: Pack<'_>,
    base: &Generation,
    new: &[NewObject],
    tip: Oid,
) -> Result<Generation> {
    let mut quarantine = store.quarantine(base)?;
    quarantine.ingest(&mut pack(new).as_slice())?;
    quarantine.promote(tip, device())
}

fn assert_holds(store: &dyn Store, generation: &Generation, objects: &[NewObject]) {
    let reader = store.objects(generation).unwrap();
    for new in objects {
        assert!(reader.has(new.id).unwrap());
        assert_eq!(reader.read(new.id, limits::OBJECT_BYTES).unwrap().as_ref(), Some(&new.object));
    }
}

fn what_is_promoted_is_read(store: &mut dyn Store, pack: Pack<'_>) {
    let objects = snapshot(b"one", &[]);
    assert!(!store.objects(&Generation::default()).unwrap().has(objects[0].id).unwrap());
    let generation = advance(store, pack, &Generation::default(), &objects, objects[2].id).unwrap();
    assert_holds(store, &generation, &objects);
    let reader = store.objects(&generation).unwrap();
    let absent = blob(b"absent").id;
    assert!(!reader.has(absent).unwrap());
    assert_eq!(reader.read(absent, limits::OBJECT_BYTES).unwrap(), None);
}

fn what_is_dropped_is_gone(store: &mut dyn Store, pack: Pack<'_>) {
    let objects = snapshot(b"one", &[]);
    let mut quarantine = store.quarantine(&Generation::default()).unwrap();
    quarantine.ingest(&mut pack(&objects).as_slice()).unwrap();
    assert!(quarantine.has(objects[0].id).unwrap());
    drop(quarantine);
    let quarantine = store.quarantine(&Generation::default()).unwrap();
    assert!(!quarantine.has(objects[0].id).unwrap());
}

fn a_quarantine_sees_its_base(store: &mut dyn Store, pack: Pack<'_>) {
    let old = snapshot(b"one", &[]);
    let base = advance(store, pack, &Generation::default(), &old, old[2].id).unwrap();
    let second = blob(b"two");
    let both = tree(&[("100644", FILE, old[0].id), ("100644", "reset.yaml", second.id)]);
    let tip = commit(both.id, &[old[2].id], "two");
    let new = [second, both, tip];
    let mut quarantine = store.quarantine(&base).unwrap();
    quarantine.ingest(&mut pack(&new).as_slice()).unwrap();
    for object in old.iter().chain(&new) {
        assert_eq!(quarantine.read(object.id, limits::OBJECT_BYTES).unwrap().as_ref(), Some(&object.object));
    }
    let generation = quarantine.promote(new[2].id, device()).unwrap();
    assert_holds(store, &generation, &new);
    assert_holds(store, &generation, &old[..1]);
    assert_holds(store, &base, &old);
}

fn nothing_new_is_the_base(store: &mut dyn Store, pack: Pack<'_>) {
    let objects = snapshot(b"one", &[]);
    let base = advance(store, pack, &Generation::default(), &objects, objects[2].id).unwrap();
    assert_eq!(advance(store, pack, &base, &[], objects[2].id).unwrap(), base);
    assert_eq!(advance(store, pack, &base, &objects, objects[2].id).unwrap(), base);
    assert_holds(store, &base, &objects);
}

fn what_is_missing_is_refused(store: &mut dyn Store, pack: Pack<'_>) {
    let objects = snapshot(b"one", &[]);
    let tip = objects[2].id;
    let base = Generation::default();
    for missing in 0..3 {
        let mut some = objects.to_vec();
        some.remove(missing);
        let error = advance(store, pack, &base, &some, tip).unwrap_err();
        assert_eq!(error.reason(), Reason::PackInvalid, "without object {missing}");
    }
    // A tree that names a blob as a tree on the device's way cannot be walked.
    let wrong = tree(&[("40000", "specs", objects[0].id)]);
    let bad = commit(wrong.id, &[], "wrong");
    let error = advance(store, pack, &base, &[objects[0].clone(), wrong, bad.clone()], bad.id).unwrap_err();
    assert_eq!(error.reason(), Reason::BadTreeEntry);
    // What was refused does not stand in the way of what is whole.
    let generation = advance(store, pack, &base, &objects, tip).unwrap();
    assert_holds(store, &generation, &objects);
    // A tree that came without its blob cannot be leaned on by a later tip.
    let absent = blob(b"absent").id;
    let hollow = tree(&[("100644", FILE, absent)]);
    let mut two = snapshot(b"two", &[tip]).to_vec();
    two.push(hollow.clone());
    let generation = advance(store, pack, &generation, &two, two[2].id).unwrap();
    let later = commit(hollow.id, &[two[2].id], "later");
    let error = advance(store, pack, &generation, std::slice::from_ref(&later), later.id).unwrap_err();
    assert_eq!(error.reason(), Reason::PackInvalid);
}

fn what_others_read_is_not_kept(store: &mut dyn Store, pack: Pack<'_>) {
    let [charter, own, nested, other] = [&b"charter"[..], b"own", b"nested", b"other"].map(blob);
    let inner = tree(&[("100644", "deep.yaml", nested.id)]);
    let dev = tree(&[("100644", "a.yaml", own.id), ("40000", "files", inner.id)]);
    let foreign = tree(&[("100644", "a.yaml", other.id)]);
    let specs = tree(&[("40000", "dev", dev.id), ("40000", "dev2", foreign.id), ("100644", "note", other.id)]);
    let root = tree(&[("100644", "README", other.id), ("100644", FILE, charter.id), ("40000", "specs", specs.id)]);
    let tip = commit(root.id, &[blob(b"not here").id], "tip");
    let read = [charter, own, nested, inner, dev, specs, root, tip.clone()];
    // What others read may come or not.
    for more in [&[][..], &[other.clone(), foreign.clone()]] {
        let objects = [&read[..], more].concat();
        let generation = advance(store, pack, &Generation::default(), &objects, tip.id).unwrap();
        assert_holds(store, &generation, &read);
        let reader = store.objects(&generation).unwrap();
        assert!(!reader.has(other.id).unwrap() && !reader.has(foreign.id).unwrap());
        drop(reader);
    }
    // Each object that is read is missed.
    for missing in 0..read.len() {
        let mut some = read.to_vec();
        some.remove(missing);
        let error = advance(store, pack, &Generation::default(), &some, tip.id).unwrap_err();
        assert_eq!(error.reason(), Reason::PackInvalid, "without object {missing}");
    }
    // A device whose folder is not there reads what leads to it.
    let specs = tree(&[("40000", "dev2", foreign.id)]);
    let root = tree(&[("40000", "specs", specs.id)]);
    let tip = commit(root.id, &[], "without");
    let objects = [specs, root, tip.clone()];
    let generation = advance(store, pack, &Generation::default(), &objects, tip.id).unwrap();
    assert_holds(store, &generation, &objects);
}

fn what_is_no_pack_is_refused(store: &mut dyn Store, pack: Pack<'_>) {
    let objects = snapshot(b"one", &[]);
    let whole = pack(&objects);
    let mut quarantine = store.quarantine(&Generation::default()).unwrap();
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    let trailing = [&whole[..], b"x"].concat();
    for bad in
        [&b""[..], b"not a pack at all", &whole[..whole.len() - 1], &whole[..whole.len() / 2], &flipped, &trailing]
    {
        assert_eq!(quarantine.ingest(&mut &*bad).unwrap_err().reason(), Reason::PackInvalid);
        assert!(!quarantine.has(objects[0].id).unwrap());
    }
    quarantine.ingest(&mut whole.as_slice()).unwrap();
    let generation = quarantine.promote(objects[2].id, device()).unwrap();
    assert_holds(store, &generation, &objects);
}

fn a_name_that_leads_elsewhere_is_refused(store: &mut dyn Store, pack: Pack<'_>) {
    let file = blob(b"evil");
    for name in ["..", ".git", "a/b"] {
        let bad = tree(&[("100644", name, file.id)]);
        let tip = commit(bad.id, &[], "bad");
        let error =
            advance(store, pack, &Generation::default(), &[file.clone(), bad, tip.clone()], tip.id).unwrap_err();
        assert_eq!(error.reason(), Reason::BadTreeEntry, "{name}");
    }
    // A submodule's commit is another repository's, a symbolic link is a blob: neither is followed.
    let odd = tree(&[("120000", "link", file.id), ("160000", "module", blob(b"elsewhere").id)]);
    let specs = tree(&[("40000", "dev", odd.id)]);
    let root = tree(&[("40000", "specs", specs.id)]);
    let tip = commit(root.id, &[], "odd");
    let objects = [file, odd, specs, root, tip];
    let generation = advance(store, pack, &Generation::default(), &objects, objects[4].id).unwrap();
    assert_holds(store, &generation, &objects);
}

struct Failing;

impl Read for Failing {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        Err(std::io::Error::other(Error::new(Reason::HubTimeout, "too slow")))
    }
}

fn the_readers_error_comes_out(store: &mut dyn Store) {
    let mut quarantine = store.quarantine(&Generation::default()).unwrap();
    assert_eq!(quarantine.ingest(&mut Failing).unwrap_err().reason(), Reason::HubTimeout);
}

fn sizes_are_refused_by_the_limit(store: &mut dyn Store, pack: Pack<'_>) {
    let objects = snapshot(&[b'x'; 1000], &[]);
    let generation = advance(store, pack, &Generation::default(), &objects, objects[2].id).unwrap();
    let reader = store.objects(&generation).unwrap();
    assert!(reader.read(objects[0].id, 1000).unwrap().is_some());
    assert_eq!(reader.read(objects[0].id, 999).unwrap_err().reason(), Reason::FileTooLarge);
    let huge = snapshot(&vec![0; limits::OBJECT_BYTES + 1], &[]);
    drop(reader);
    let error = advance(store, pack, &generation, &huge, huge[2].id).unwrap_err();
    assert_eq!(error.reason(), Reason::PackTooLarge);
}

fn generations_stay_few_and_old_ones_live_until_retain(store: &mut dyn Store, pack: Pack<'_>) {
    let mut generations = Vec::new();
    let (mut base, mut parents) = (Generation::default(), vec![]);
    for round in 0..5 {
        let objects = snapshot(format!("round {round}").as_bytes(), &parents);
        base = advance(store, pack, &base, &objects, objects[2].id).unwrap();
        assert_eq!(base.packs.len(), 1, "{} packs side by side", base.packs.len());
        parents = vec![objects[2].id];
        generations.push((base.clone(), objects));
    }
    for (generation, objects) in &generations {
        assert_holds(store, generation, objects);
    }
    let (previous, newest) = (&generations[generations.len() - 2], &generations[generations.len() - 1]);
    store.retain(&[&newest.0, &previous.0]).unwrap();
    assert_holds(store, &newest.0, &newest.1);
    assert_holds(store, &previous.0, &previous.1);
    assert_eq!(store.objects(&generations[0].0).err().map(|e| e.reason()), Some(Reason::StateFailed));
}

fn recover_keeps_what_is_named(store: &mut dyn Store, pack: Pack<'_>) {
    assert!(store.recover(&[]).unwrap().is_empty());
    let old = snapshot(b"one", &[]);
    let kept = advance(store, pack, &Generation::default(), &old, old[2].id).unwrap();
    let new = snapshot(b"two", &[old[2].id]);
    let unrecorded = advance(store, pack, &kept, &new, new[2].id).unwrap();
    assert_eq!(store.recover(&[&kept]).unwrap(), [true]);
    assert_holds(store, &kept, &old);
    assert!(store.objects(&unrecorded).is_err());
    assert_eq!(store.recover(&[&kept, &unrecorded]).unwrap(), [true, false]);
    let unrecorded = advance(store, pack, &kept, &new, new[2].id).unwrap();
    assert_holds(store, &unrecorded, &new);
}
