//! What every [`Upstream`] keeps to, whatever the hub is made of.

use std::time::Duration;

use giter_edge::{
    api::{Oid, Reason, Result, ledger::Generation, limits},
    git::graph,
    reconcile::ports::{Link, Quarantine, Store, Upstream},
};

use crate::{
    link::Hub,
    support::{blob, device, reads, snapshot},
};

const OTHERS: [&str; 2] = ["refs/giter/status/other", "refs/giter/status/other-2"];

/// A hub that can be kept otherwise.
pub(crate) trait Compact: Hub {
    /// Keeps what there is as compactly as can be.
    fn repack(&mut self);
}

/// Holds a link to its contract; `hub` makes an empty hub each time, `store` an empty store.
pub(crate) fn check<H: Compact, S: Store>(hub: &mut dyn FnMut() -> H, store: &mut dyn FnMut() -> S) {
    the_branch_is_what_was_listed(&mut hub());
    refs_are_moved_by_compare_and_swap(&mut hub());
    a_pack_has_what_a_clone_lacks(&mut hub(), &mut store());
    what_stood_there_before_the_base_comes_again(&mut hub(), &mut store());
    nothing_comes_for_a_base_that_does_not_lead_there(&mut hub());
    it_goes_on_after_a_tick_that_rests(&mut hub(), &mut store());
    a_visit_has_its_time_and_no_more(&mut hub(), &mut store());
}

fn the_branch_is_what_was_listed(hub: &mut dyn Hub) {
    let mut link = hub.link();
    assert!(link.list().is_err());
    assert_eq!(upstream(&mut *link).branch(), None);
    drop(link);
    let tip = hub.commit("main", &[("exchange.yaml", "one")]);
    let mut link = hub.link();
    link.list().unwrap();
    link.rest();
    assert_eq!(upstream(&mut *link).branch(), Some(tip));
}

fn refs_are_moved_by_compare_and_swap(hub: &mut dyn Hub) {
    hub.commit("main", &[("exchange.yaml", "one")]);
    let mut link = hub.link();
    let upstream = upstream(&mut *link);
    let names = OTHERS.map(str::to_owned);
    assert_eq!(upstream.refs(&names).unwrap(), [None, None]);
    let first = snapshot(b"status one", &[]);
    let second = snapshot(b"status two", &[first[2].id]);
    upstream.push(OTHERS[0], None, second[2].id, &[first.as_slice(), &second].concat()).unwrap();
    assert_eq!(upstream.refs(&names).unwrap(), [Some(second[2].id), None]);
    let third = snapshot(b"status three", &[second[2].id]);
    let moved = upstream.push(OTHERS[0], Some(first[2].id), third[2].id, &third);
    assert_eq!(moved.unwrap_err().reason(), Reason::StatusRefMoved);
    upstream.push(OTHERS[0], Some(second[2].id), third[2].id, &third).unwrap();
    upstream.push(OTHERS[1], None, first[2].id, &first).unwrap();
    assert_eq!(upstream.refs(&names).unwrap(), [Some(third[2].id), Some(first[2].id)]);
    drop(link);
    assert_eq!(hub.status(), None, "the device's own ref is another");
}

fn a_pack_has_what_a_clone_lacks(hub: &mut dyn Hub, store: &mut dyn Store) {
    let base = hub.commit("main", &[("specs/a/x", "one"), ("specs/b/y", "same")]);
    let between = hub.commit("main", &[("specs/a/x", "two"), ("specs/b/y", "same")]);
    let tip = hub.commit("main", &[("specs/a/x", "three"), ("specs/b/y", "same")]);
    let pack = pack(hub, base, tip).unwrap().expect("the base leads to the tip");
    let mut quarantine = store.quarantine(&Generation::default()).unwrap();
    quarantine.ingest(&mut pack.as_slice()).unwrap();
    assert_eq!(graph::lineage(&*quarantine, tip).unwrap().unwrap().parents, [between]);
    assert!(!quarantine.has(base).unwrap());
    for (commit, content) in [(between, "two"), (tip, "three")] {
        let root = graph::lineage(&*quarantine, commit).unwrap().unwrap().tree;
        let specs = entry(&*quarantine, root, "specs");
        assert!(!quarantine.has(entry(&*quarantine, specs, "b")).unwrap(), "it is in the base");
        let file = entry(&*quarantine, entry(&*quarantine, specs, "a"), "x");
        let found = quarantine.read(file, limits::OBJECT_BYTES).unwrap().unwrap();
        assert_eq!(found.data, content.as_bytes());
    }
}

fn what_stood_there_before_the_base_comes_again(hub: &mut dyn Compact, store: &mut dyn Store) {
    hub.commit("main", &[("specs/a/x", "one")]);
    let base = hub.commit("main", &[("specs/a/x", "two")]);
    let tip = hub.commit("main", &[("specs/a/x", "one")]);
    hub.repack();
    let pack = pack(hub, base, tip).unwrap().unwrap();
    let mut quarantine = store.quarantine(&Generation::default()).unwrap();
    quarantine.ingest(&mut pack.as_slice()).unwrap();
    let root = graph::lineage(&*quarantine, tip).unwrap().unwrap().tree;
    let specs = entry(&*quarantine, root, "specs");
    assert!(quarantine.has(entry(&*quarantine, entry(&*quarantine, specs, "a"), "x")).unwrap());
}

fn nothing_comes_for_a_base_that_does_not_lead_there(hub: &mut dyn Hub) {
    let old = hub.commit("main", &[("exchange.yaml", "one")]);
    // git takes who has a commit for one who has those before it, too.
    hub.commit("main", &[("exchange.yaml", "two")]);
    let new = hub.commit("main", &[("exchange.yaml", "three")]);
    let absent = snapshot(b"absent", &[])[2].id;
    let [blob, tree, _] = snapshot(b"one", &[]).map(|object| object.id);
    for nowhere in [absent, blob, tree] {
        assert_eq!(pack(hub, nowhere, new).unwrap(), None, "{nowhere}");
    }
    assert_eq!(pack(hub, new, old).unwrap(), None);
    assert!(pack(hub, old, new).unwrap().is_some());
}

fn it_goes_on_after_a_tick_that_rests(hub: &mut dyn Hub, store: &mut dyn Store) {
    let base = hub.commit("main", &[("specs/dev/a", "one")]);
    let tip = hub.commit("main", &[("specs/dev/a", "two")]);
    let mut link = hub.link();
    link.list().unwrap();
    link.rest();
    let upstream = upstream(&mut *link);
    assert_eq!(upstream.refs(&OTHERS.map(str::to_owned)).unwrap(), [None, None]);
    for nowhere in [snapshot(b"absent", &[])[2].id, blob(b"one").id] {
        assert!(!upstream.pack(nowhere, tip, &mut |_| panic!("nothing is to come")).unwrap());
    }
    let mut quarantine = store.quarantine(&Generation::default()).unwrap();
    upstream.fetch(reads(tip, None), &mut *quarantine).unwrap();
    assert!(upstream.pack(base, tip, &mut |pack| quarantine.ingest(pack)).unwrap());
    quarantine.promote(tip, device()).unwrap();
    upstream.rest();
    assert_eq!(link.list().unwrap().branch, tip);
}

fn a_visit_has_its_time_and_no_more(hub: &mut dyn Hub, store: &mut dyn Store) {
    let base = hub.commit("main", &[("specs/dev/a", "one")]);
    let tip = hub.commit("main", &[("specs/dev/a", "two")]);
    let (names, status) = (OTHERS.map(str::to_owned), snapshot(b"status", &[]));
    let mut quarantine = store.quarantine(&Generation::default()).unwrap();
    let mut link = hub.link();
    link.list().unwrap();
    link.rest();
    let hub = upstream(&mut *link);
    hub.within(Duration::from_secs(600));
    assert_eq!(hub.refs(&names).unwrap(), [None, None]);
    hub.within(Duration::ZERO);
    for late in [
        hub.pack(base, tip, &mut |_| panic!("nothing is to come")).map(drop),
        hub.fetch(reads(tip, None), &mut *quarantine),
        hub.push(OTHERS[0], None, status[2].id, &status),
    ] {
        let error = late.unwrap_err();
        assert_eq!(error.reason(), Reason::HubTimeout, "{error}");
    }
    // The device's own has time of its own, and so has the next visit.
    hub.rest();
    assert_eq!(link.list().unwrap().branch, tip);
    link.rest();
    let hub = upstream(&mut *link);
    hub.push(OTHERS[0], None, status[2].id, &status).unwrap();
    assert_eq!(hub.refs(&names).unwrap(), [Some(status[2].id), None]);
}

fn upstream<'a>(link: &'a mut (dyn Link + '_)) -> &'a mut dyn Upstream {
    link.upstream().expect("it is a hub")
}

fn pack(hub: &dyn Hub, base: Oid, tip: Oid) -> Result<Option<Vec<u8>>> {
    let (mut link, mut bytes) = (hub.link(), Vec::new());
    let is_given = upstream(&mut *link).pack(base, tip, &mut |pack| {
        pack.read_to_end(&mut bytes).unwrap();
        Ok(())
    })?;
    Ok(is_given.then_some(bytes))
}

fn entry(objects: &dyn Quarantine, tree: Oid, name: &str) -> Oid {
    let data = graph::tree(objects, tree).unwrap();
    graph::entries(tree, &data).map(Result::unwrap).find(|entry| entry.name == name.as_bytes()).unwrap().id
}
