//! Listing and fetching.

use giter_edge::{
    api::{Oid, Reason, ledger::Generation},
    git::PackStore,
    reconcile::ports::{Store, Want},
};

use super::WAY;
use crate::{
    Recorder,
    common::hub::Hub,
    support::{device, reads},
};

/// The store of a new device beside the hub.
fn store(hub: &Hub) -> PackStore {
    PackStore::open(&hub.beside("store")).unwrap()
}

#[test]
fn a_first_fetch_is_the_tip_alone_and_the_next_one_what_came_after_it() {
    let (sshd, hub) = (WAY.start(), Hub::with_files(200));
    let before = hub.value("refs/heads/main").unwrap();
    let tip = hub.commit("main", "specs/dev/0000.yaml", "one");
    let mut store = store(&hub);
    let mut link = WAY.link(WAY.config(&sshd, &hub.path()));

    assert_eq!(link.list().unwrap().branch, tip);
    let mut quarantine = store.quarantine(&Generation::default()).unwrap();
    link.fetch(reads(tip, None), &mut *quarantine).unwrap();
    assert!(!quarantine.has(before).unwrap(), "the history came along");
    let base = quarantine.promote(tip, device()).unwrap();
    assert_eq!(sshd.sessions(), 1, "a listing and a fetch take one connection");

    let middle = hub.commit("main", "specs/dev/0001.yaml", "two");
    let next = hub.commit("main", "specs/dev/0002.yaml", "three");
    assert_eq!(link.list().unwrap().branch, next);
    let mut quarantine = store.quarantine(&base).unwrap();
    link.fetch(reads(next, Some(tip)), &mut *quarantine).unwrap();
    assert!(quarantine.has(middle).unwrap(), "a commit in between is missing");
    quarantine.promote(next, device()).unwrap();
    link.close();
}

#[test]
fn what_the_hub_lacks_is_told_from_what_it_cannot_do() {
    let (sshd, hub) = (WAY.start(), Hub::with_files(2));
    let tip = hub.value("refs/heads/main").unwrap();
    let absent = Oid::new([0x17; 20]);
    let mut store = store(&hub);
    let mut quarantine = store.quarantine(&Generation::default()).unwrap();
    let mut link = WAY.link(WAY.config(&sshd, &hub.path()));
    for have in [None, Some(tip)] {
        link.list().unwrap();
        let error = link.fetch(reads(absent, have), &mut *quarantine).unwrap_err();
        assert_eq!(error.reason(), Reason::CommitNotFound, "{error:?}");
    }
    // A device whose last commit the hub lacks is sent the tip all the same.
    link.list().unwrap();
    link.fetch(reads(tip, Some(absent)), &mut *quarantine).unwrap();
    quarantine.promote(tip, device()).unwrap();
    link.close();
}

#[test]
fn a_listing_has_the_branch_and_the_devices_own_status_alone() {
    let (sshd, hub) = (WAY.start(), Hub::with_files(1));
    let tip = hub.value("refs/heads/main").unwrap();
    hub.git(&["update-ref", "refs/heads/main-2", &tip.to_string()]);
    hub.git(&["update-ref", "refs/giter/status/dev-2", &tip.to_string()]);
    let mut link = WAY.link(WAY.config(&sshd, &hub.path()));
    assert_eq!(link.list().unwrap().status, None);
    let other = hub.commit("status", "status", "x");
    hub.git(&["update-ref", "refs/giter/status/dev", &other.to_string()]);
    let listing = link.list().unwrap();
    assert_eq!((listing.branch, listing.status), (tip, Some(other)));
}

#[test]
fn a_fetch_of_what_the_hub_does_not_have_quotes_the_hub() {
    let (sshd, hub) = (WAY.start(), Hub::with_files(1));
    let mut link = WAY.link(WAY.config(&sshd, &hub.path()));
    link.list().unwrap();
    let error = link.fetch(Want::Whole(Oid::new([7; 20])), &mut Recorder::default()).unwrap_err();
    assert!(error.one_line().contains("not our ref 0707070707"), "{}", error.one_line());
}
