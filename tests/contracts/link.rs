//! What every [`Link`] keeps to, whatever the hub is made of.

use giter_edge::{
    api::{Oid, Reason, ledger::Generation, limits},
    git::{graph, reads::Reads},
    reconcile::ports::{Link, NewObject, Quarantine, Store, Want},
};

use crate::support::{device, reads, snapshot};

/// A hub, from the other side.
pub(crate) trait Hub {
    /// A new link to the branch `main` and the status ref `refs/giter/status/dev`.
    fn link(&self) -> Box<dyn Link + '_>;

    /// Puts one more commit on a branch, with these files (path, content) and no others.
    fn commit(&mut self, branch: &str, files: &[(&str, &str)]) -> Oid;

    /// Moves the branch `main` to a commit that the hub has.
    fn rewind(&mut self, to: Oid);

    /// Where the status ref stands.
    fn status(&self) -> Option<Oid>;

    /// Whether what comes first comes with all that was before it.
    fn brings_history(&self) -> bool {
        false
    }
}

/// Holds a link to its contract; `hub` makes an empty hub each time, `store` an empty store.
pub(crate) fn check<H: Hub, S: Store>(hub: &mut dyn FnMut() -> H, store: &mut dyn FnMut() -> S) {
    check_carried(hub, store);
    what_is_not_there_is_said(&mut hub());
    a_status_is_published_by_compare_and_swap(&mut hub());
    statuses_that_follow_each_other_on_one_link_arrive_whole(&mut hub(), &mut store());
}

/// Holds a link to as much of its contract as a stick can keep. A stick cannot say of a hub that it is empty or has no such
/// branch: it has no bundle, or none with it. It cannot compare and swap: it has no ref, and nobody to ask. How deep is
/// what it brings first, and which branches, is for who bundled it.
pub(crate) fn check_carried<H: Hub, S: Store>(hub: &mut dyn FnMut() -> H, store: &mut dyn FnMut() -> S) {
    a_listing_is_fresh_each_time(&mut hub());
    the_first_fetch_is_one_commit_deep(&mut hub(), &mut store());
    a_later_fetch_brings_every_commit_between(&mut hub(), &mut store());
    what_others_read_is_not_needed(&mut hub(), &mut store());
    single_objects_are_brought_by_name(&mut hub(), &mut store());
    what_moved_here_from_elsewhere_is_brought(&mut hub(), &mut store());
    a_rewound_tip_is_brought_too(&mut hub(), &mut store());
    a_status_is_fetched_by_its_name(&mut hub(), &mut store());
    what_the_hub_lacks_is_said(&mut hub(), &mut store());
}

fn what_is_not_there_is_said(hub: &mut dyn Hub) {
    assert_eq!(hub.link().list().unwrap_err().reason(), Reason::RepositoryEmpty);
    hub.commit("other", &[("exchange.yaml", "one")]);
    assert_eq!(hub.link().list().unwrap_err().reason(), Reason::BranchNotFound);
}

fn a_listing_is_fresh_each_time(hub: &mut dyn Hub) {
    let tips = [hub.commit("main", &[("exchange.yaml", "one")]), hub.commit("main", &[("exchange.yaml", "two")])];
    assert_ne!(tips[0], tips[1]);
    let mut seen = hub.link().list().unwrap();
    assert_eq!((seen.branch, seen.status), (tips[1], None));
    let third = hub.commit("main", &[("exchange.yaml", "three")]);
    seen = hub.link().list().unwrap();
    assert_eq!(seen.branch, third);
}

fn the_first_fetch_is_one_commit_deep(hub: &mut dyn Hub, store: &mut dyn Store) {
    let first = hub.commit("main", &[("exchange.yaml", "one")]);
    let tip = hub.commit("main", &[("exchange.yaml", "two"), ("specs/dev/motd.yaml", "kind: File\n")]);
    let mut link = hub.link();
    assert_eq!(link.list().unwrap().branch, tip);
    let mut quarantine = store.quarantine(&Generation::default()).unwrap();
    link.fetch(reads(tip, None), &mut *quarantine).unwrap();
    assert_eq!(quarantine.has(first).unwrap(), hub.brings_history());
    assert_eq!(read(&*quarantine, tip), ["two", "kind: File\n"]);
    quarantine.promote(tip, device()).unwrap();
}

fn a_later_fetch_brings_every_commit_between(hub: &mut dyn Hub, store: &mut dyn Store) {
    hub.commit("main", &[("specs/dev/a", "before")]);
    let have = hub.commit("main", &[("specs/dev/a", "one"), ("specs/dev/b", "same")]);
    let mut link = hub.link();
    link.list().unwrap();
    let mut quarantine = store.quarantine(&Generation::default()).unwrap();
    link.fetch(reads(have, None), &mut *quarantine).unwrap();
    let base = quarantine.promote(have, device()).unwrap();
    link.close();
    drop(link);
    let between = hub.commit("main", &[("specs/dev/a", "two"), ("specs/dev/b", "same")]);
    let tip = hub.commit("main", &[("specs/dev/a", "three"), ("specs/dev/b", "same")]);
    let mut link = hub.link();
    assert_eq!(link.list().unwrap().branch, tip);
    let mut quarantine = store.quarantine(&base).unwrap();
    link.fetch(reads(tip, Some(have)), &mut *quarantine).unwrap();
    assert_eq!(graph::lineage(&*quarantine, tip).unwrap().unwrap().parents, [between]);
    assert_eq!(graph::lineage(&*quarantine, between).unwrap().unwrap().parents, [have]);
    let root = graph::lineage(&*quarantine, between).unwrap().unwrap().tree;
    assert!(quarantine.has(root).unwrap(), "the root tree of a commit between is not there");
    assert_eq!(read(&*quarantine, tip), ["three", "same"]);
    quarantine.promote(tip, device()).unwrap();
}

/// Fetches a tip on top of what is there, and promotes it.
fn advance(hub: &dyn Hub, store: &mut dyn Store, base: &Generation, tip: Oid, have: Option<Oid>) -> Generation {
    let mut link = hub.link();
    assert_eq!(link.list().unwrap().branch, tip);
    let mut quarantine = store.quarantine(base).unwrap();
    link.fetch(reads(tip, have), &mut *quarantine).unwrap();
    quarantine.promote(tip, device()).unwrap()
}

fn what_others_read_is_not_needed(hub: &mut dyn Hub, store: &mut dyn Store) {
    let files = |other, own| [("specs/dev/a", own), ("specs/other/a", other), ("specs/zone/deep/a", other)];
    let (mut base, mut have) = (Generation::default(), None);
    for (other, own) in [("one", "mine"), ("two", "mine"), ("two", "mine too"), ("three", "mine")] {
        let tip = hub.commit("main", &files(other, own));
        base = advance(hub, store, &base, tip, have);
        let objects = store.objects(&base).unwrap();
        let names = Reads::of(&*objects, tip, device()).unwrap().whole().unwrap();
        assert_eq!(names.len(), 5, "commit, root, specs, folder, file: {names:?}");
        have = Some(tip);
    }
}

fn single_objects_are_brought_by_name(hub: &mut dyn Hub, store: &mut dyn Store) {
    let tip = hub.commit("main", &[("specs/other/a", "one"), ("specs/other/b", "two")]);
    let mut link = hub.link();
    link.list().unwrap();
    let mut quarantine = store.quarantine(&Generation::default()).unwrap();
    link.fetch(reads(tip, None), &mut *quarantine).unwrap();
    let named = |objects: &dyn Quarantine, tree| -> Vec<Oid> {
        let data = graph::tree(objects, tree).unwrap();
        graph::entries(tree, &data).map(|entry| entry.unwrap().id).collect()
    };
    let root = graph::lineage(&*quarantine, tip).unwrap().unwrap().tree;
    let specs = named(&*quarantine, root)[0];
    let other = named(&*quarantine, specs);
    link.fetch(Want::Objects(&other), &mut *quarantine).unwrap();
    let files = named(&*quarantine, other[0]);
    assert_eq!(files.len(), 2);
    link.fetch(Want::Objects(&files), &mut *quarantine).unwrap();
    assert!(files.iter().all(|&file| quarantine.has(file).unwrap()));
    let absent = snapshot(b"absent", &[])[0].id;
    let error = link.fetch(Want::Objects(&[absent]), &mut *quarantine).unwrap_err();
    assert_eq!(error.reason(), Reason::CommitNotFound);
}

fn what_moved_here_from_elsewhere_is_brought(hub: &mut dyn Hub, store: &mut dyn Store) {
    let before = [("specs/dev/a", "mine"), ("specs/other/b", "other"), ("specs/other/folder/c", "deep")];
    let have = hub.commit("main", &before);
    let base = advance(hub, store, &Generation::default(), have, None);
    // A hub takes this device for one that has all that was there before.
    let after = [("specs/dev/a", "mine"), ("specs/dev/b", "other"), ("specs/dev/folder/c", "deep")];
    let tip = hub.commit("main", &after);
    let base = advance(hub, store, &base, tip, Some(have));
    let renamed = hub.commit("main", &[("specs/gone/a", "mine")]);
    let base = advance(hub, store, &base, renamed, Some(tip));
    let back = hub.commit("main", &after);
    advance(hub, store, &base, back, Some(renamed));
}

fn a_rewound_tip_is_brought_too(hub: &mut dyn Hub, store: &mut dyn Store) {
    let old = hub.commit("main", &[("exchange.yaml", "one")]);
    let have = hub.commit("main", &[("exchange.yaml", "two")]);
    let mut link = hub.link();
    link.list().unwrap();
    let mut quarantine = store.quarantine(&Generation::default()).unwrap();
    link.fetch(reads(have, None), &mut *quarantine).unwrap();
    let base = quarantine.promote(have, device()).unwrap();
    drop(link);
    hub.rewind(old);
    let mut link = hub.link();
    assert_eq!(link.list().unwrap().branch, old);
    let mut quarantine = store.quarantine(&base).unwrap();
    link.fetch(reads(old, Some(have)), &mut *quarantine).unwrap();
    assert!(quarantine.has(old).unwrap());
}

fn a_status_is_published_by_compare_and_swap(hub: &mut dyn Hub) {
    hub.commit("main", &[("exchange.yaml", "one")]);
    let first = snapshot(b"status one", &[]);
    publish(hub, None, &first).unwrap();
    assert_eq!(hub.status(), Some(first[2].id));
    assert_eq!(hub.link().list().unwrap().status, Some(first[2].id));
    let second = snapshot(b"status two", &[first[2].id]);
    assert_eq!(publish(hub, None, &second).unwrap_err().reason(), Reason::StatusRefMoved);
    assert_eq!(publish(hub, Some(second[2].id), &second).unwrap_err().reason(), Reason::StatusRefMoved);
    assert_eq!(hub.status(), Some(first[2].id));
    publish(hub, Some(first[2].id), &second).unwrap();
    assert_eq!(hub.status(), Some(second[2].id));
}

fn statuses_that_follow_each_other_on_one_link_arrive_whole(hub: &mut dyn Hub, store: &mut dyn Store) {
    hub.commit("main", &[("exchange.yaml", "one")]);
    let (mut link, mut last) = (hub.link(), None);
    for number in 0..3 {
        link.list().unwrap();
        let said = format!("{number}: {}", "much that does not change ".repeat(20));
        let objects = snapshot(said.as_bytes(), last.as_slice());
        link.publish(last, objects[2].id, &objects).unwrap();
        last = Some(objects[2].id);
        let mut quarantine = store.quarantine(&Generation::default()).unwrap();
        link.fetch(Want::Whole(objects[2].id), &mut *quarantine).unwrap();
        assert_eq!(read(&*quarantine, objects[2].id), [said]);
    }
    assert_eq!(hub.status(), last);
}

fn a_status_is_fetched_by_its_name(hub: &mut dyn Hub, store: &mut dyn Store) {
    hub.commit("main", &[("exchange.yaml", "one")]);
    let first = snapshot(b"status one", &[]);
    let second = snapshot(b"status two", &[first[2].id]);
    publish(hub, None, &first).unwrap();
    publish(hub, Some(first[2].id), &second).unwrap();
    let mut link = hub.link();
    let status = link.list().unwrap().status.unwrap();
    let mut quarantine = store.quarantine(&Generation::default()).unwrap();
    link.fetch(Want::Whole(status), &mut *quarantine).unwrap();
    assert_eq!(read(&*quarantine, status), ["status two"]);
    assert_eq!(quarantine.has(first[2].id).unwrap(), hub.brings_history());
}

fn what_the_hub_lacks_is_said(hub: &mut dyn Hub, store: &mut dyn Store) {
    let tip = hub.commit("main", &[("exchange.yaml", "one")]);
    let absent = snapshot(b"absent", &[])[2].id;
    let mut link = hub.link();
    link.list().unwrap();
    let mut quarantine = store.quarantine(&Generation::default()).unwrap();
    for have in [None, Some(tip)] {
        assert_eq!(link.fetch(reads(absent, have), &mut *quarantine).unwrap_err().reason(), Reason::CommitNotFound);
        link.list().unwrap();
    }
    // A tip comes whole to a device whose last commit the hub lacks.
    link.fetch(reads(tip, Some(absent)), &mut *quarantine).unwrap();
    assert_eq!(read(&*quarantine, tip), ["one"]);
}

fn publish(hub: &dyn Hub, old: Option<Oid>, objects: &[NewObject; 3]) -> giter_edge::api::Result<()> {
    let mut link = hub.link();
    link.list().unwrap();
    link.publish(old, objects[2].id, objects)
}

/// The contents of all files of a commit that the device reads: papers, then those of its folder and its subfolders.
fn read(objects: &dyn Quarantine, commit: Oid) -> Vec<String> {
    let names = Reads::of(objects, commit, device()).unwrap().whole().unwrap();
    let contents = names.iter().filter_map(|&(id, _)| objects.read(id, limits::OBJECT_BYTES).unwrap());
    let blobs = contents.filter(|object| object.kind == giter_edge::reconcile::ports::ObjectKind::Blob);
    blobs.map(|blob| String::from_utf8(blob.data).unwrap()).collect()
}
