//! Listing and fetching.

use std::{fs, path::Path};

use giter_edge::api::{Oid, Reason};

use super::WAY;
use crate::{
    Recorder,
    common::hub::{Hub, git, git_agrees, git_with},
    support::reads,
};

/// A repository that takes packs in as a device does: it has what it fetched, and nothing before.
fn device(hub: &Hub) -> std::path::PathBuf {
    let path = hub.beside("device");
    fs::create_dir(&path).unwrap();
    git(&path, &["init", "--quiet", "--bare"]);
    path
}

/// Takes the pack in and makes `tip` the shallow boundary; the pack's size.
fn take_in(device: &Path, pack: &Recorder, tip: Oid) -> usize {
    git_with(device, &["index-pack", "--stdin", "--fix-thin"], &pack.0);
    fs::write(device.join("shallow"), format!("{tip}\n")).unwrap();
    assert!(git_agrees(device, &["archive", "--output=/dev/null", &tip.to_string()]), "the tip's tree is not complete");
    pack.0.len()
}

#[test]
fn a_first_fetch_is_the_tip_alone_and_the_next_one_what_came_after_it() {
    let (sshd, hub) = (WAY.start(), Hub::with_files(200));
    let before = hub.value("refs/heads/main").unwrap();
    let tip = hub.commit("main", "specs/dev/0000.yaml", "one");
    let device = device(&hub);
    let mut link = WAY.link(WAY.config(&sshd, &hub.path()));

    assert_eq!(link.list().unwrap().branch, tip);
    let mut pack = Recorder::default();
    link.fetch(reads(tip, None), &mut pack).unwrap();
    let whole = take_in(&device, &pack, tip);
    assert!(!git_agrees(&device, &["cat-file", "-e", &before.to_string()]), "the history came along");
    assert_eq!(sshd.sessions(), 1, "a listing and a fetch take one connection");

    let middle = hub.commit("main", "specs/dev/0001.yaml", "two");
    let next = hub.commit("main", "specs/dev/0002.yaml", "three");
    assert_eq!(link.list().unwrap().branch, next);
    let mut pack = Recorder::default();
    link.fetch(reads(next, Some(tip)), &mut pack).unwrap();
    let thin = take_in(&device, &pack, tip);
    let since = git(&device, &["rev-list", &next.to_string(), &format!("^{tip}")]);
    assert_eq!(since, format!("{next}\n{middle}"), "a commit in between is missing");
    assert!(thin * 5 < whole, "{thin} bytes for two changes, {whole} for everything");
    link.close();
}

#[test]
fn what_the_hub_lacks_is_told_from_what_it_cannot_do() {
    let (sshd, hub) = (WAY.start(), Hub::with_files(2));
    let tip = hub.value("refs/heads/main").unwrap();
    let absent = Oid::new([0x17; 20]);
    let mut link = WAY.link(WAY.config(&sshd, &hub.path()));
    for have in [None, Some(tip)] {
        link.list().unwrap();
        let error = link.fetch(reads(absent, have), &mut Recorder::default()).unwrap_err();
        assert_eq!(error.reason(), Reason::CommitNotFound, "{error:?}");
    }
    // A device whose last commit the hub lacks is sent the tip all the same.
    link.list().unwrap();
    let mut pack = Recorder::default();
    link.fetch(reads(tip, Some(absent)), &mut pack).unwrap();
    take_in(&device(&hub), &pack, tip);
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
    let error = link.fetch(reads(Oid::new([7; 20]), None), &mut Recorder::default()).unwrap_err();
    assert!(error.one_line().contains("not our ref 0707070707"), "{}", error.one_line());
}
