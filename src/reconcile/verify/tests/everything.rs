//! Reading everything: what a hub lets in, every device accepts.

use super::{
    charters::{Branch, MINE, SITE_A, SITE_B, THEIRS, charter, exchange, file, sealed},
    *,
};

/// What two devices and a hub say of a tip.
fn verdicts(branch: &Branch, tip: u32, floor: &Accepted) -> [Option<Reason>; 3] {
    let keyring = Keyring::new(vec![ops()]);
    let devices = ["site-a/pump", "site-b/pump"].map(|device| device.parse::<DeviceId>().unwrap());
    [Reads::Device(&devices[0]), Reads::Device(&devices[1]), Reads::Everything].map(|reads| {
        let trust = Trust { reads, ..trust(Some(floor), Policy::Range, &keyring) };
        verify(id(tip), &trust, &branch.world).err().map(|error| error.reason())
    })
}

const REFUSED: Option<Reason> = Some(Reason::KeyNotAllowed);

#[test]
fn a_publisher_keeps_to_his_paths_everywhere() {
    let (mut branch, floor) = exchange(&[(2, SITE_A), (3, "")]);
    branch.commit(2, &[1], 2, file(MINE, "two"));
    branch.commit(3, &[1], 2, file(THEIRS, "two"));
    branch.commit(4, &[1], 2, file("README.md", "two"));
    branch.commit(5, &[1], 3, file("README.md", "two"));
    branch.commit(6, &[1], 2, file(MINE, ""));
    branch.commit(7, &[1], 2, file(THEIRS, ""));
    assert_eq!(verdicts(&branch, 2, &floor), [None; 3]);
    assert_eq!(verdicts(&branch, 3, &floor), [None, REFUSED, REFUSED]);
    assert_eq!(verdicts(&branch, 4, &floor), [None, None, REFUSED], "no device reads it");
    assert_eq!(verdicts(&branch, 5, &floor), [None; 3]);
    assert_eq!(verdicts(&branch, 6, &floor), [None; 3]);
    assert_eq!(verdicts(&branch, 7, &floor), [None, REFUSED, REFUSED]);
}

#[test]
fn all_specs_are_not_all_files() {
    let (mut branch, floor) = exchange(&[(2, "paths: [specs/**]"), (3, "paths: [\"**\"]")]);
    for (number, path, specs) in [(2, MINE, None), (4, THEIRS, None), (6, "README.md", REFUSED)] {
        branch.commit(number, &[1], 2, file(path, "two"));
        branch.commit(number + 1, &[1], 3, file(path, "two"));
        assert_eq!(verdicts(&branch, number, &floor), [None, None, specs], "{path}");
        assert_eq!(verdicts(&branch, number + 1, &floor), [None; 3], "{path}");
    }
    for signer in [2, 3] {
        branch.commit(2, &[1], signer, sealed(&charter(2, &[1], &[(signer, "")]), &[1]));
        assert_eq!(verdicts(&branch, 2, &floor), [REFUSED; 3], "the charter is not among them");
    }
}

#[test]
fn a_merge_takes_each_device_from_the_side_that_changed_it() {
    let (mut branch, floor) = exchange(&[(2, SITE_A), (3, SITE_B)]);
    branch.commit(2, &[1], 2, file(MINE, "two"));
    branch.commit(3, &[1], 3, file(THEIRS, "three"));
    branch.commit(4, &[2, 3], 2, file(THEIRS, "three"));
    assert_eq!(verdicts(&branch, 4, &floor), [None; 3]);
    branch.commit(5, &[2, 3], 2, file(THEIRS, "another"));
    assert_eq!(verdicts(&branch, 5, &floor), [None, REFUSED, REFUSED], "a conflict takes its right");
    // What the side changed is taken back.
    branch.commit(6, &[2, 3], 2, file(THEIRS, "one"));
    assert_eq!(verdicts(&branch, 6, &floor), [None, REFUSED, REFUSED]);
}

#[test]
fn a_merge_does_not_mix_the_files_of_one_device() {
    const OTHER: &str = "specs/site-b/pump/y.yaml";
    let (mut branch, floor) = exchange(&[(2, SITE_A), (3, SITE_B)]);
    branch.commit(2, &[1], 3, file(THEIRS, "two"));
    branch.commit(3, &[1], 3, file(OTHER, "three"));
    branch.commit(4, &[2, 3], 2, file(OTHER, "three"));
    assert_eq!(verdicts(&branch, 4, &floor), [None, REFUSED, REFUSED]);
    branch.commit(5, &[2, 3], 3, file(OTHER, "three"));
    assert_eq!(verdicts(&branch, 5, &floor), [None; 3]);
}

#[test]
fn a_charter_is_the_roots_everywhere() {
    let (mut branch, floor) = exchange(&[(2, "")]);
    branch.commit(2, &[1], 2, sealed(&charter(2, &[1], &[(2, "")]), &[1]));
    assert_eq!(verdicts(&branch, 2, &floor), [REFUSED; 3]);
    branch.commit(3, &[1], 1, sealed(&charter(2, &[1], &[]), &[1]));
    branch.commit(4, &[3], 2, file(MINE, "two"));
    assert_eq!(verdicts(&branch, 4, &floor), [Some(Reason::UntrustedKey); 3]);
    branch.commit(5, &[1], 1, sealed(&charter(2, &[1], &[]), &[2]));
    assert_eq!(verdicts(&branch, 5, &floor), [Some(Reason::CharterUntrusted); 3]);
}

#[test]
fn a_branch_stands_for_itself() {
    let (mut branch, floor) = exchange(&[(2, SITE_A)]);
    branch.commit(2, &[1], 2, file(MINE, "two"));
    let nobody = Keyring::default();
    let standing = Standing::at(Some(id(1)), &nobody, &branch.world).unwrap();
    let own = standing.floor().unwrap();
    assert_eq!((own.commit, own.tree, own.time), (floor.commit, floor.tree, floor.time));
    assert_eq!(own.charter.as_ref().unwrap().serial, 1);
    assert_eq!(&*standing.verify(id(2), 50).unwrap().accepted().signer, "pub2");
    assert_eq!(standing.holder(&key(2).public(), 50), Some("pub2"));
    assert_eq!(standing.holder(&key(3).public(), 50), None);
    branch.commit(3, &[2], 3, file(MINE, "three"));
    let standing = Standing::at(Some(id(1)), &nobody, &branch.world).unwrap();
    assert!(standing.vouches(id(2), 50).is_ok());
    assert_eq!(standing.vouches(id(3), 50).unwrap_err().reason(), Reason::UntrustedKey);
}

#[test]
fn a_branch_that_is_not_there_has_the_root_file() {
    let (branch, _) = exchange(&[]);
    let (roots, nobody) = (Keyring::new(vec![ops()]), Keyring::default());
    let first = |roots| Standing::at(None, roots, &branch.world).unwrap().verify(id(1), 50).map(|_| ());
    assert!(first(&roots).is_ok());
    assert_eq!(first(&nobody).unwrap_err().reason(), Reason::CharterUntrusted);
}

#[test]
fn by_the_clock_an_expired_key_has_no_past() {
    const DAY: u32 = 86_400;
    let (mut branch, _) = exchange(&[(2, "validAfter: \"1970-01-02\", validBefore: \"1970-01-03\"")]);
    branch.commit(DAY + 1, &[1], 2, file(MINE, "two"));
    branch.commit(2, &[1], 2, file(MINE, "two"));
    let keyring = Keyring::new(vec![ops()]);
    let standing = Standing::at(Some(id(1)), &keyring, &branch.world).unwrap();
    let reason = |tip, now: u32| standing.verify(id(tip), now.into()).err().map(|error| error.reason());
    assert_eq!(reason(DAY + 1, DAY + 2), None);
    assert_eq!(reason(DAY + 1, 2 * DAY), Some(Reason::KeyNotValid));
    // The clock would believe it, and no device will.
    assert_eq!(reason(2, DAY + 2), Some(Reason::KeyNotValid));
}
