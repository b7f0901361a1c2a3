//! How far is looked at what somebody changes who may not change everything.

use super::{
    charters::{Branch, MINE, SITE_A, SITE_B, THEIRS, exchange, file},
    *,
};

/// The folder of the device, but no file in its place.
const FOLDER: &str = "paths: [specs/site-a/pump/**]";

#[test]
fn what_is_compared_is_bounded() {
    let (mut branch, floor) = exchange(&[(2, FOLDER), (3, SITE_A), (4, "")]);
    let deep = |depth: usize| format!("specs/site-a/pump/{}x", "d/".repeat(depth));
    branch.commit(2, &[1], 2, file(&deep(limits::FOLDER_DEPTH - 1), "x"));
    branch.is(2, &floor, "pub2");
    branch.commit(2, &[1], 2, file(&deep(limits::FOLDER_DEPTH), "x"));
    branch.is(2, &floor, "TooMany");
    let verdict = |branch: &Branch| branch.verify(2, Some(&floor), Policy::Range).map_err(|error| error.reason());
    let many = |most: usize| (0..most).map(|n| (format!("specs/site-a/pump/{}/{n}", n % 2), "x".into())).collect();
    // The folder itself has three entries: both halves, and the file that was there.
    branch.commit(2, &[1], 2, many(limits::CHANGED_ENTRIES - 3));
    assert!(verdict(&branch).is_ok());
    branch.commit(2, &[1], 2, many(limits::CHANGED_ENTRIES - 2));
    assert_eq!(verdict(&branch), Err(Reason::TooMany));
    // Who may change all of it need not be compared.
    for signer in [3, 4] {
        branch.commit(2, &[1], signer, many(limits::CHANGED_ENTRIES - 2));
        assert!(verdict(&branch).is_ok(), "{signer}");
    }
}

#[test]
fn no_tree_below_the_root_is_asked_for_where_the_signer_may_change_all_of_the_folder() {
    let (mut branch, floor) = exchange(&[(2, FOLDER), (3, SITE_A), (4, SITE_B), (5, "paths: [specs/**]")]);
    let keyring = Keyring::new(vec![ops()]);
    let papers: Vec<_> = ["exchange.yaml", "exchange.yaml.sig"].map(|path| branch.files[&1][path].clone()).into();
    let mut lacks = |signer: u8, path: &str| {
        branch.commit(2, &[1], signer, file(path, "two"));
        let mut here = branch.world.roots();
        let is_paper = |object: &Object| papers.iter().any(|paper| paper.as_bytes() == object.data);
        let known = branch.world.objects.iter().filter(|(_, object)| is_paper(object));
        here.objects.extend(known.map(|(id, object)| (*id, object.clone())));
        match prove(id(2), &trust(Some(&floor), Policy::Range, &keyring), &here) {
            Err(Unproven::Lacks(ids, _)) => ids.len(),
            Err(Unproven::Refused(error)) => panic!("{error}"),
            Ok(_) => 0,
        }
    };
    // Of both commits the folder of the specs, to begin with.
    for (signer, path) in [(2, MINE), (4, MINE), (4, THEIRS)] {
        assert_eq!(lacks(signer, path), 2, "{signer} {path}");
    }
    for signer in [1, 3, 5] {
        assert_eq!(lacks(signer, MINE), 0, "{signer}");
    }
}

#[test]
fn a_file_in_place_of_the_folder_is_for_whom_the_folder_is_one_among_others() {
    let (mut branch, floor) = exchange(&[(2, FOLDER), (3, SITE_A), (4, SITE_B)]);
    let (mut by, mut merged) = (file("specs/site-a/pump", "a file"), file(THEIRS, "four"));
    by.insert(MINE.into(), String::new());
    branch.commit(2, &[1], 2, by.clone());
    branch.is(2, &floor, "KeyNotAllowed");
    branch.commit(3, &[1], 3, by.clone());
    branch.is(3, &floor, "pub3");
    branch.commit(4, &[1], 4, merged.clone());
    merged.extend(by);
    // Whoever may change all of the folder may also merge what others did elsewhere.
    branch.commit(5, &[4, 3], 3, merged);
    branch.is(5, &floor, "pub3");
}
