//! Resets: who may let a device go back, and how far.

use super::{
    charters::{Branch, Files, ID, MINE, SITE_A, charter, exchange, file, sealed},
    *,
};
use crate::codec::sshsig::EXCHANGE;

/// A reset with its signature by the key of this seed.
fn reset_by(seed: u8, text: &str) -> Files {
    let seal = sshsig::sign(&key(seed), EXCHANGE, text.as_bytes());
    [("reset.yaml".into(), text.into()), ("reset.yaml.sig".into(), seal)].into()
}

fn text(serial: u64, devices: &str, commit: u32) -> String {
    format!(
        "apiVersion: edge.giter.dev/v1alpha1\nkind: Reset\nmetadata: {{name: hub-restored}}\nspec:\n  \
         exchange: {ID}\n  serial: {serial}\n  devices: [{devices}]\n  commit: \"{}\"\n",
        id(commit)
    )
}

/// A device that has accepted commit 5, and a hub that lost 4 and 5: commit 3 is what it has. Key 1 is the root, 2 a
/// publisher.
fn restored() -> (Branch, Accepted) {
    let (mut branch, _) = exchange(&[(2, SITE_A)]);
    for number in 2..=5 {
        branch.commit(number, &[number - 1], 2, file(MINE, &number.to_string()));
    }
    let floor = branch.first(5);
    (branch, floor)
}

/// Whether the device goes back to a tip: who allowed it, or why not.
fn going_back(branch: &Branch, tip: u32, floor: Option<&Accepted>) -> Result<(Box<str>, Accepted)> {
    let keyring = Keyring::new(vec![ops()]);
    let trust = trust(floor, Policy::Range, &keyring);
    let permit = Permit::at(id(tip), &trust, &branch.world)?;
    let permit = permit.ok_or_else(|| Error::new(Reason::SourceNotFound, "there is no reset"))?;
    let verified = permit.prove(id(tip), &trust, &branch.world)?;
    Ok((permit.signer, verified.accepted().clone()))
}

fn refusal(branch: &Branch, tip: u32, floor: Option<&Accepted>) -> Reason {
    going_back(branch, tip, floor).unwrap_err().reason()
}

#[test]
fn a_root_lets_a_device_go_back() {
    let (mut branch, floor) = restored();
    branch.commit(6, &[3], 1, reset_by(1, &text(1, "site-b, \"site-a/**\"", 3)));
    branch.is(6, &floor, "NotFastForward");
    let (signer, accepted) = going_back(&branch, 6, Some(&floor)).unwrap();
    assert_eq!((&*signer, accepted.commit, accepted.reset), ("root1", id(6), 1));
    assert_eq!((accepted.time, &accepted.charter), (6, &floor.charter));
    // From there on it goes forward, and the reset is spent.
    branch.commit(7, &[6], 2, file(MINE, "seven"));
    branch.is(7, &accepted, "pub2");
    assert_eq!(branch.verify(7, Some(&accepted), Policy::Range).unwrap().reset, 1);
    let seven = branch.verify(7, Some(&accepted), Policy::Range).unwrap();
    branch.is(6, &seven, "Rewound");
    assert_eq!(refusal(&branch, 6, Some(&seven)), Reason::Rewound);
    branch.commit(8, &[6], 2, file(MINE, "eight"));
    branch.is(8, &seven, "NotFastForward");
    assert_eq!(refusal(&branch, 8, Some(&seven)), Reason::Rewound, "the serial was seen");
    branch.commit(9, &[6], 1, reset_by(1, &text(2, "site-a/pump", 3)));
    assert_eq!(going_back(&branch, 9, Some(&seven)).unwrap().1.reset, 2);
}

#[test]
fn commits_on_top_of_a_reset_are_judged_as_ever() {
    let (mut branch, floor) = restored();
    branch.commit(6, &[3], 1, reset_by(1, &text(1, "site-a/pump", 3)));
    branch.commit(7, &[6], 2, file(MINE, "seven"));
    assert_eq!(&*going_back(&branch, 7, Some(&floor)).unwrap().1.signer, "pub2");
    branch.commit(7, &[6], 4, file(MINE, "seven"));
    assert_eq!(refusal(&branch, 7, Some(&floor)), Reason::UntrustedKey);
    // Also those between the commit that is gone back to and the reset.
    branch.commit(6, &[3], 4, file(MINE, "six"));
    branch.commit(7, &[6], 1, reset_by(1, &text(1, "site-a/pump", 3)));
    assert_eq!(refusal(&branch, 7, Some(&floor)), Reason::UntrustedKey);
}

#[test]
fn a_reset_that_does_not_count_changes_nothing() {
    let (branch, floor) = restored();
    let mine = text(1, "site-a/pump", 3);
    let cut = reset_by(1, mine.split_once("  commit").unwrap().0);
    let mut unsigned = reset_by(1, &mine);
    unsigned.insert("reset.yaml.sig".into(), String::new());
    let mut garbled = reset_by(1, &mine);
    garbled.insert("reset.yaml.sig".into(), "-----BEGIN SSH SIGNATURE-----\nAAAA\n".into());
    let mut altered = reset_by(1, &mine);
    altered.insert("reset.yaml".into(), text(2, "site-a/pump", 3));
    let as_git =
        [("reset.yaml".into(), mine.clone()), ("reset.yaml.sig".into(), sshsig::sign(&key(1), "git", mine.as_bytes()))];
    let folder = [("reset.yaml/x".into(), "x".into()), ("reset.yaml.sig".into(), "x".into())];
    for (what, files, reason) in [
        ("there is none", Files::new(), Reason::SourceNotFound),
        ("unsigned", unsigned, Reason::SourceNotFound),
        ("a signature that is none", garbled, Reason::UntrustedKey),
        ("another device", reset_by(1, &text(1, "site-b/pump, \"site-a\", \"*\"", 3)), Reason::DeviceNotFound),
        ("a publisher's", reset_by(2, &mine), Reason::UntrustedKey),
        ("a stranger's", reset_by(4, &mine), Reason::UntrustedKey),
        ("altered", altered, Reason::UntrustedKey),
        ("for another purpose", as_git.into(), Reason::UntrustedKey),
        ("another exchange", reset_by(1, &mine.replace(ID, &"0".repeat(32))), Reason::ExchangeMismatch),
        ("cut", cut, Reason::MissingField),
        ("of another kind", reset_by(1, &mine.replace("Reset", "Exchange")), Reason::UnknownKind),
        ("no YAML", reset_by(1, "\0{"), Reason::YamlSyntax),
        ("too long", reset_by(1, &"#".repeat(limits::MANIFEST_BYTES + 1)), Reason::FileTooLarge),
        ("serial 0", reset_by(1, &text(0, "site-a/pump", 3)), Reason::InvalidValue),
        ("for nobody", reset_by(1, &text(1, "", 3)), Reason::InvalidValue),
        ("a pattern of two meanings", reset_by(1, &text(1, "\"[a]\"", 3)), Reason::InvalidValue),
        ("no commit", reset_by(1, &mine.replace(&id(3).to_string(), "main")), Reason::InvalidValue),
        ("a folder", folder.into(), Reason::BadTreeEntry),
        ("a commit that is not there", reset_by(1, &text(1, "site-a/pump", 99)), Reason::PackInvalid),
        ("a commit beside", reset_by(1, &text(1, "site-a/pump", 5)), Reason::NotFastForward),
    ] {
        let mut branch = Branch { world: World { objects: branch.world.objects.clone() }, files: branch.files.clone() };
        branch.commit(6, &[3], 1, files);
        assert_eq!(refusal(&branch, 6, Some(&floor)), reason, "{what}");
        branch.is(6, &floor, "NotFastForward");
    }
}

#[test]
fn a_root_that_was_let_go_lets_nobody_go_back() {
    // Commit 4 brought root 3 in place of root 1, and the hub lost it.
    let (mut branch, _) = exchange(&[(2, "")]);
    branch.commit(2, &[1], 2, file(MINE, "two"));
    branch.commit(3, &[2], 2, file(MINE, "three"));
    let new_charter = sealed(&charter(2, &[3], &[(2, "")]), &[1, 3]);
    branch.commit(4, &[3], 1, new_charter.clone());
    let old = branch.first(3);
    let floor = branch.verify(4, Some(&old), Policy::Range).unwrap();
    let with = |mut files: Files, more: Files| {
        files.extend(more);
        files
    };
    branch.commit(6, &[3], 1, reset_by(1, &text(1, "site-a/pump", 3)));
    assert_eq!(refusal(&branch, 6, Some(&floor)), Reason::UntrustedKey);
    // Nor does one that the tip's own charter brings.
    let newer = sealed(&charter(3, &[4], &[]), &[4]);
    branch.commit(6, &[3], 4, with(newer, reset_by(4, &text(1, "site-a/pump", 3))));
    assert_eq!(refusal(&branch, 6, Some(&floor)), Reason::UntrustedKey);
    // The root in force may, and has to bring back the charter in force.
    branch.commit(6, &[3], 3, reset_by(3, &text(1, "site-a/pump", 3)));
    assert_eq!(refusal(&branch, 6, Some(&floor)), Reason::CharterUntrusted);
    branch.commit(6, &[3], 3, with(new_charter, reset_by(3, &text(1, "site-a/pump", 3))));
    let (signer, accepted) = going_back(&branch, 6, Some(&floor)).unwrap();
    assert_eq!((&*signer, accepted.charter), ("root3", floor.charter.clone()));
    // Who was let go signs nothing on top of the older charter.
    branch.commit(6, &[3], 1, file(MINE, "six"));
    branch.commit(7, &[6], 3, with(branch.files[&4].clone(), reset_by(3, &text(1, "site-a/pump", 3))));
    assert_eq!(refusal(&branch, 7, Some(&floor)), Reason::UntrustedKey);
}

#[test]
fn a_charter_does_not_go_back_with_the_branch() {
    let (mut branch, first) = exchange(&[(2, "")]);
    branch.commit(2, &[1], 1, sealed(&charter(2, &[1], &[]), &[1]));
    let floor = branch.verify(2, Some(&first), Policy::Range).unwrap();
    branch.commit(3, &[1], 1, reset_by(1, &text(1, "site-a/pump", 1)));
    assert_eq!(refusal(&branch, 3, Some(&floor)), Reason::CharterRollback);
    // The publisher whom the charter in force has let go is not back on top of the older one.
    branch.commit(3, &[1], 2, file(MINE, "three"));
    let mut files = branch.files[&2].clone();
    files.extend(reset_by(1, &text(1, "site-a/pump", 1)));
    branch.commit(4, &[3], 1, files);
    assert_eq!(refusal(&branch, 4, Some(&floor)), Reason::UntrustedKey);
}

#[test]
fn without_a_charter_the_root_file_lets_go_back() {
    let mut branch = Branch::new();
    for number in 1..=3 {
        branch.commit(number, &[], 1, file(MINE, &number.to_string()));
    }
    let floor = branch.first(2);
    branch.commit(4, &[3], 1, reset_by(1, &text(1, "site-a/pump", 3)));
    assert_eq!(&*going_back(&branch, 4, Some(&floor)).unwrap().0, "ops");
    // As where nothing is known of the floor but that there was one.
    assert_eq!(&*going_back(&branch, 4, None).unwrap().0, "ops");
    branch.commit(4, &[3], 1, reset_by(2, &text(1, "site-a/pump", 3)));
    assert_eq!(refusal(&branch, 4, None), Reason::UntrustedKey);
}

#[test]
fn only_a_root_changes_a_reset() {
    let (mut branch, floor) = exchange(&[(2, "")]);
    let first = reset_by(1, &text(1, "site-b", 1));
    for files in [first.clone(), file("reset.yaml", "x"), file("reset.yaml.sig", "x")] {
        branch.commit(2, &[1], 2, files.clone());
        branch.is(2, &floor, "KeyNotAllowed");
        branch.commit(2, &[1], 1, files);
        branch.is(2, &floor, "root1");
    }
    branch.commit(2, &[1], 1, first);
    branch.commit(3, &[2], 2, file(MINE, "three"));
    branch.is(3, &floor, "pub2");
    // It was for others, and its serial is spent here too.
    assert_eq!(branch.verify(3, Some(&floor), Policy::Range).unwrap().reset, 1);
    assert_eq!(branch.first(3).reset, 1);
    branch.commit(3, &[2], 2, file("reset.yaml", ""));
    branch.is(3, &floor, "KeyNotAllowed");
}
