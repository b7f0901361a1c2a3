//! Charters: who may sign what, and how one charter follows another.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::*;
use crate::{api::ledger::Charter, codec::sshsig::EXCHANGE};

pub(super) const ID: &str = "5f0c1f0e3d5b4d0e9a7c2b6e8f1a4c3d";

/// The files of a commit, by path.
pub(super) type Files = BTreeMap<String, String>;

/// A history whose commits have trees.
pub(super) struct Branch {
    pub(super) world: World,
    pub(super) files: HashMap<u32, Files>,
}

/// The text of a charter: `roots` and publishers are seeds of keys.
pub(super) fn charter(serial: u64, roots: &[u8], publishers: &[(u8, &str)]) -> String {
    let open = |seed: u8| key(seed).public().to_openssh();
    let roots: String = roots.iter().map(|seed| format!("  - {} root{seed}\n", open(*seed))).collect();
    let publisher = |(seed, rest): &(u8, &str)| {
        let rest = if rest.is_empty() { String::new() } else { format!(", {rest}") };
        format!("  - {{principal: pub{seed}, key: {}{rest}}}\n", open(*seed))
    };
    let publishers: String = publishers.iter().map(publisher).collect();
    let publishers = if publishers.is_empty() { String::new() } else { format!("  publishers:\n{publishers}") };
    format!(
        "apiVersion: edge.giter.dev/v1alpha1\nkind: Exchange\nmetadata: {{name: plant-7}}\nspec:\n  id: {ID}\n  \
         serial: {serial}\n  branch: main\n  roots:\n{roots}{publishers}"
    )
}

pub(super) fn sealed(text: &str, by: &[u8]) -> Files {
    let seals: String = by.iter().map(|seed| sshsig::sign(&key(*seed), EXCHANGE, text.as_bytes())).collect();
    [("exchange.yaml".into(), text.into()), ("exchange.yaml.sig".into(), seals)].into()
}

pub(super) fn file(path: &str, text: &str) -> Files {
    [(path.into(), text.into())].into()
}

pub(super) const MINE: &str = "specs/site-a/pump/x.yaml";
pub(super) const THEIRS: &str = "specs/site-b/pump/x.yaml";
pub(super) const SITE_A: &str = "paths: [specs/site-a/**]";
pub(super) const SITE_B: &str = "paths: [specs/site-b/**]";

impl Branch {
    pub(super) fn new() -> Self {
        Self { world: World::default(), files: HashMap::new() }
    }

    fn blob(&mut self, kind: ObjectKind, data: Vec<u8>) -> Oid {
        let mut name = [0; 20];
        name.copy_from_slice(&Sha256::digest(&data)[..20]);
        self.world.objects.insert(Oid::new(name), Object { kind, data });
        Oid::new(name)
    }

    fn tree(&mut self, files: &Files) -> Oid {
        let mut folders: BTreeMap<&str, Files> = BTreeMap::new();
        let mut entries: BTreeMap<&str, (&str, Oid)> = BTreeMap::new();
        for (path, text) in files {
            match path.split_once('/') {
                Some((folder, rest)) => drop(folders.entry(folder).or_default().insert(rest.into(), text.clone())),
                None => drop(entries.insert(path, ("100644", self.blob(ObjectKind::Blob, text.clone().into())))),
            }
        }
        for (name, files) in &folders {
            entries.insert(name, ("40000", self.tree(files)));
        }
        let mut data = Vec::new();
        for (name, (mode, id)) in entries {
            data.extend([mode.as_bytes(), b" ", name.as_bytes(), b"\0", id.as_bytes()].concat());
        }
        self.blob(ObjectKind::Tree, data)
    }

    /// A commit of key `by` with the files of its first parent and these; one without text is removed. Its date is its
    /// number.
    pub(super) fn commit(&mut self, number: u32, parents: &[u32], by: u8, change: Files) {
        self.commit_at(number, parents, number.into(), by, change);
    }

    pub(super) fn commit_at(&mut self, number: u32, parents: &[u32], date: i64, by: u8, change: Files) {
        let mut files = parents.first().and_then(|parent| self.files.get(parent)).cloned().unwrap_or_default();
        files.extend(change);
        files.retain(|_, text| !text.is_empty());
        let tree = self.tree(&files);
        self.files.insert(number, files);
        let (head, tail) = payload(parents, date);
        let head = head.replace(TREE, &tree.to_string());
        let armour = sshsig::sign(&key(by), "git", format!("{head}{tail}").as_bytes());
        self.world.put(number, ObjectKind::Commit, format!("{head}{}{tail}", gpgsig(&armour)).into_bytes());
    }

    /// Key 1 is the root file's.
    pub(super) fn verify(&self, tip: u32, floor: Option<&Accepted>, policy: Policy) -> Result<Accepted> {
        let keyring = Keyring::new(vec![ops()]);
        let trust = trust(floor, policy, &keyring);
        let whole = verify(id(tip), &trust, &self.world).map_err(|error| error.reason());
        assert_eq!(
            self.world.brought(tip, &trust).map_err(|error| error.reason()),
            whole,
            "with as little as is needed"
        );
        verify(id(tip), &trust, &self.world).map(|verified| verified.accepted().clone())
    }

    pub(super) fn first(&self, tip: u32) -> Accepted {
        self.verify(tip, None, Policy::Range).unwrap()
    }

    /// What each policy says: the reason, or who signed.
    fn verdicts(&self, tip: u32, floor: &Accepted) -> [String; 3] {
        [Policy::Tip, Policy::FirstParent, Policy::Range].map(|policy| match self.verify(tip, Some(floor), policy) {
            Ok(accepted) => accepted.signer.into(),
            Err(error) => error.reason().to_string(),
        })
    }

    pub(super) fn is(&self, tip: u32, floor: &Accepted, expected: &str) {
        assert_eq!(self.verdicts(tip, floor), [expected; 3]);
    }
}

/// An exchange with the charter in force, at commit 1.
pub(super) fn exchange(publishers: &[(u8, &str)]) -> (Branch, Accepted) {
    let mut branch = Branch::new();
    let mut files = sealed(&charter(1, &[1], publishers), &[1]);
    files.extend(file(MINE, "one"));
    files.extend(file(THEIRS, "one"));
    branch.commit(1, &[], 1, files);
    let floor = branch.first(1);
    (branch, floor)
}

#[test]
fn a_charter_says_who_may_sign() {
    let (mut branch, floor) = exchange(&[(2, "")]);
    let charter = floor.charter.as_ref().unwrap();
    assert_eq!((charter.serial, &*floor.signer), (1, "root1"));
    branch.commit(2, &[1], 2, file(MINE, "two"));
    branch.is(2, &floor, "pub2");
    assert_eq!(branch.verify(2, Some(&floor), Policy::Range).unwrap().charter, floor.charter);
    branch.commit(2, &[1], 3, file(MINE, "two"));
    branch.is(2, &floor, "UntrustedKey");
}

#[test]
fn without_a_signed_charter_the_root_file_alone_counts() {
    let mut branch = Branch::new();
    branch.commit(1, &[], 1, file("exchange.yaml", &charter(1, &[2], &[(2, "")])));
    let floor = branch.first(1);
    assert_eq!(floor.charter, None);
    branch.commit(2, &[1], 2, file(MINE, "two"));
    branch.is(2, &floor, "UntrustedKey");
    // The root may change the file, and may sign it at last.
    branch.commit(2, &[1], 1, file("exchange.yaml", "anything"));
    branch.is(2, &floor, "ops");
    branch.commit(3, &[2], 1, sealed(&charter(2, &[1], &[(2, "")]), &[1]));
    branch.commit(4, &[3], 2, file(MINE, "four"));
    branch.is(4, &floor, "pub2");
}

#[test]
fn the_first_tip_is_signed_by_a_root_or_by_who_may_change_the_whole_folder() {
    for (paths, expected) in [
        ("", None),
        (SITE_A, None),
        ("paths: [\"**\"]", None),
        (SITE_B, Some(Reason::KeyNotAllowed)),
        ("paths: [specs/site-a/pump/x.yaml]", Some(Reason::KeyNotAllowed)),
    ] {
        let mut branch = exchange(&[(2, paths)]).0;
        branch.commit(2, &[1], 2, file("specs/site-a/pump/sub/y.yaml", "two"));
        let found = branch.verify(2, None, Policy::Range).err().map(|error| error.reason());
        assert_eq!(found, expected, "{paths}");
    }
    // A charter that a stranger signed makes nobody anything, though its commit be a root's.
    let mut branch = Branch::new();
    branch.commit(1, &[], 1, sealed(&charter(1, &[3], &[]), &[3]));
    assert_eq!(branch.verify(1, None, Policy::Range).unwrap_err().reason(), Reason::CharterUntrusted);
    // A root of the root file that the charter has let go signs nothing any more.
    branch.commit(1, &[], 1, sealed(&charter(2, &[2], &[]), &[1, 2]));
    assert_eq!(branch.verify(1, None, Policy::Range).unwrap_err().reason(), Reason::UntrustedKey);
}

#[test]
fn a_publisher_changes_his_paths_only() {
    let (mut branch, floor) = exchange(&[(2, SITE_A), (3, SITE_B)]);
    branch.commit(2, &[1], 2, file(MINE, "two"));
    branch.is(2, &floor, "pub2");
    let turned: Files = [(MINE.into(), String::new()), ("specs/site-a/pump".into(), "x".into())].into();
    for change in [file(MINE, "two"), file(MINE, ""), file("specs/site-a/pump/new", "x"), turned.clone()] {
        branch.commit(2, &[1], 3, change);
        branch.is(2, &floor, "KeyNotAllowed");
    }
    // What this device does not read is not asked for: any key that is trusted will do.
    for change in [file(THEIRS, "two"), file("specs/site-c/x.yaml", "two"), file("README", "x"), Files::new()] {
        branch.commit(2, &[1], 3, change.clone());
        branch.is(2, &floor, "pub3");
        branch.commit(2, &[1], 2, change);
        branch.is(2, &floor, "pub2");
    }
}

#[test]
fn a_change_that_is_taken_back_was_one() {
    let (mut branch, floor) = exchange(&[(2, SITE_A), (3, SITE_B)]);
    branch.commit(2, &[1], 3, file(MINE, "two"));
    branch.commit(3, &[2], 3, file(MINE, "one"));
    assert_eq!(branch.verdicts(3, &floor), ["pub3", "KeyNotAllowed", "KeyNotAllowed"]);
    // Whoever may change it may also take over what another one did; under tip he does so alone.
    branch.commit(3, &[2], 2, Files::new());
    assert_eq!(branch.verdicts(3, &floor), ["pub2", "KeyNotAllowed", "KeyNotAllowed"]);
}

#[test]
fn a_publisher_cannot_change_the_charter() {
    let (mut branch, floor) = exchange(&[(2, "")]);
    let good = sealed(&charter(2, &[1], &[(2, ""), (3, "")]), &[1]);
    let mine = sealed(&charter(2, &[2], &[]), &[2]);
    for change in [good, mine, file("exchange.yaml", "x"), file("exchange.yaml.sig", "x"), file("exchange.yaml", "")] {
        branch.commit(2, &[1], 2, change);
        branch.is(2, &floor, "KeyNotAllowed");
    }
}

#[test]
fn a_charter_is_followed_by_what_a_root_signed() {
    let (mut branch, floor) = exchange(&[(2, "")]);
    let of = |serial| charter(serial, &[1], &[]);
    for (change, expected) in [
        (sealed(&of(2), &[1]), "root1"),
        (sealed(&of(2), &[2, 3, 1]), "root1"),
        (sealed(&of(2), &[2]), "CharterUntrusted"),
        (sealed(&of(2), &[]), "CharterUnsigned"),
        (file("exchange.yaml", &of(2)), "CharterUntrusted"),
        (file("exchange.yaml.sig", ""), "CharterUnsigned"),
        (file("exchange.yaml", ""), "CharterUnsigned"),
        (sealed(&of(1), &[1]), "CharterRollback"),
        (sealed(&of(0), &[1]), "CharterRollback"),
        (sealed(&of(2).replace(ID, &ID.replace('5', "6")), &[1]), "ExchangeMismatch"),
        (sealed("junk", &[1]), "InvalidValue"),
        (sealed(&charter(2, &[], &[]).replace("  roots:\n", ""), &[1]), "MissingField"),
    ] {
        branch.commit(2, &[1], 1, change.clone());
        branch.is(2, &floor, expected);
        // A sound commit on top does not heal it.
        branch.commit(3, &[2], 1, file(MINE, "three"));
        branch.is(3, &floor, expected);
    }
}

#[test]
fn a_lost_publisher_is_revoked_from_the_next_charter_on() {
    let (mut branch, floor) = exchange(&[(2, "")]);
    branch.commit(2, &[1], 2, file(MINE, "two"));
    branch.commit(3, &[2], 1, sealed(&charter(2, &[1], &[(3, "")]), &[1]));
    branch.commit(4, &[3], 3, file(MINE, "four"));
    branch.is(4, &floor, "pub3");
    let revoked = branch.verify(4, Some(&floor), Policy::Range).unwrap();
    // The thief signs on, with today's date and with an old one.
    for date in [5, 2] {
        branch.commit_at(5, &[4], date, 2, file(MINE, "stolen"));
        branch.is(5, &floor, "UntrustedKey");
        branch.is(5, &revoked, "UntrustedKey");
    }
    // He leaves the branch before he was revoked, and a publisher merges that.
    branch.commit_at(6, &[2], 2, 2, file(MINE, "stolen"));
    branch.commit(7, &[4, 6], 3, file(MINE, "stolen"));
    for floor in [&floor, &revoked] {
        assert_eq!(branch.verify(7, Some(floor), Policy::Range).unwrap_err().reason(), Reason::UntrustedKey);
    }
}

#[test]
fn what_was_merged_before_a_revocation_stays() {
    // The charter was written on a side branch while the old publisher still worked on main.
    let (mut branch, floor) = exchange(&[(2, "")]);
    branch.commit(2, &[1], 1, sealed(&charter(2, &[1], &[(3, "")]), &[1]));
    branch.commit(3, &[1], 2, file(MINE, "three"));
    let mut change = branch.files[&2].clone();
    change.remove(MINE);
    branch.commit(4, &[3, 2], 1, change);
    branch.is(4, &floor, "root1");
}

#[test]
fn roots_rotate_in_a_chain() {
    let (mut branch, floor) = exchange(&[]);
    // 1 -> 2 -> 3 -> 4, each signed by the one before; the device was away for all of it.
    branch.commit(2, &[1], 1, sealed(&charter(2, &[2], &[]), &[1]));
    branch.commit(3, &[2], 2, sealed(&charter(5, &[3], &[]), &[2]));
    branch.commit(4, &[3], 3, sealed(&charter(6, &[4], &[(5, "")]), &[3]));
    branch.commit(5, &[4], 5, file(MINE, "five"));
    branch.is(5, &floor, "pub5");
    let accepted = branch.verify(5, Some(&floor), Policy::Range).unwrap();
    assert_eq!(accepted.charter.as_ref().unwrap().serial, 6);
    // An old root signs nothing any more, and the chain has no gap.
    for (by, expected) in [(1, "UntrustedKey"), (3, "UntrustedKey"), (4, "root4")] {
        branch.commit(6, &[5], by, file(MINE, "six"));
        branch.is(6, &floor, expected);
        branch.is(6, &accepted, expected);
    }
    branch.commit(6, &[5], 4, sealed(&charter(7, &[1], &[]), &[1]));
    branch.is(6, &accepted, "CharterUntrusted");
    branch.commit(2, &[1], 1, sealed(&charter(6, &[4], &[]), &[3]));
    branch.is(2, &floor, "CharterUntrusted");
}

#[test]
fn signatures_of_two_roots_bridge() {
    // The root file has key 1, the charter is of key 2 and signed by both: whoever comes late finds the way.
    let mut branch = Branch::new();
    branch.commit(1, &[], 1, file(MINE, "one"));
    let floor = branch.first(1);
    branch.commit(2, &[1], 2, sealed(&charter(4, &[2], &[]), &[2, 1]));
    branch.is(2, &floor, "root2");
    branch.commit(3, &[2], 2, file(MINE, "three"));
    branch.is(3, &floor, "root2");
    assert_eq!(&*branch.first(3).signer, "root2");
}

#[test]
fn a_key_counts_from_when_until_when() {
    let (mut branch, floor) = exchange(&[(2, "validAfter: \"1970-01-02\", validBefore: \"1970-01-03\"")]);
    for (date, expected) in [(86_399, "KeyNotValid"), (86_400, "pub2"), (172_799, "pub2"), (172_800, "KeyNotValid")] {
        branch.commit_at(2, &[1], date, 2, file(MINE, "two"));
        branch.is(2, &floor, expected);
    }
    // Once later was proven, an older date is none.
    branch.commit_at(2, &[1], 172_800, 1, file(MINE, "two"));
    branch.commit_at(3, &[2], 90_000, 2, file(MINE, "three"));
    branch.is(3, &floor, "KeyNotValid");
    branch.commit_at(4, &[1], 90_000, 2, Files::new());
    branch.commit_at(5, &[2, 4], 172_801, 1, Files::new());
    assert_eq!(branch.verify(5, Some(&floor), Policy::Range).unwrap_err().reason(), Reason::KeyNotValid);
}

#[test]
fn a_merge_brings_what_others_signed() {
    let (mut branch, floor) = exchange(&[(2, SITE_A), (3, SITE_B)]);
    // 2 works on site-a, 3 on site-b; whoever comes second merges the other's work, as git pull does.
    branch.commit(2, &[1], 2, file(MINE, "two"));
    branch.commit(3, &[1], 3, file(THEIRS, "three"));
    branch.commit(4, &[3, 2], 3, file(MINE, "two"));
    branch.commit(5, &[2, 3], 3, file(THEIRS, "three"));
    // Under first-parent and tip whoever merges vouches for what comes in.
    assert_eq!(branch.verdicts(4, &floor), ["KeyNotAllowed", "KeyNotAllowed", "pub3"]);
    assert_eq!(branch.verdicts(5, &floor), ["KeyNotAllowed", "pub3", "pub3"]);
}

#[test]
fn a_merge_puts_nothing_back() {
    let (mut branch, floor) = exchange(&[(2, SITE_A), (3, SITE_B)]);
    branch.commit(2, &[1], 2, file(MINE, "two"));
    branch.commit(3, &[1], 3, file(THEIRS, "three"));
    // Takes site-a as it was before 2 changed it, from either side.
    branch.commit(4, &[3, 2], 3, Files::new());
    assert_eq!(branch.verdicts(4, &floor), ["pub3", "KeyNotAllowed", "KeyNotAllowed"]);
    branch.commit(5, &[2, 3], 3, file(MINE, "one"));
    assert_eq!(branch.verdicts(5, &floor), ["pub3", "KeyNotAllowed", "KeyNotAllowed"]);
    // And against a floor that has the change.
    let later = branch.verify(2, Some(&floor), Policy::Range).unwrap();
    for tip in [4, 5] {
        branch.is(tip, &later, "KeyNotAllowed");
    }
    // Nor does it bring anything of its own.
    branch.commit(6, &[2, 3], 3, file(MINE, "six"));
    branch.is(6, &floor, "KeyNotAllowed");
}

#[test]
fn a_merge_puts_nothing_back_from_behind_the_floor() {
    let (mut branch, _) = exchange(&[(2, SITE_A), (3, SITE_B)]);
    // 2 changed site-a and took that back; a branch of 3 that left before both was merged: the floor.
    branch.commit(2, &[1], 2, file(MINE, "two"));
    branch.commit(3, &[2], 2, file(MINE, "one"));
    branch.commit(4, &[1], 3, file(THEIRS, "three"));
    branch.commit(5, &[3, 4], 1, file(THEIRS, "three"));
    let floor = branch.first(5);
    // 3 merges what 2 took back, by way of a branch that never saw it taken back.
    branch.commit(6, &[2, 4], 3, file(THEIRS, "three"));
    branch.commit(7, &[5, 6], 3, file(MINE, "two"));
    branch.is(7, &floor, "KeyNotAllowed");
    // What a device with no history is not shown cannot speak for the merge.
    branch.world.objects.remove(&id(3));
    branch.is(7, &floor, "KeyNotAllowed");
}

#[test]
fn a_merge_cannot_put_an_old_charter_back() {
    let (mut branch, floor) = exchange(&[(2, "")]);
    let old = sealed(&charter(1, &[1], &[(2, "")]), &[1]);
    branch.commit(2, &[1], 1, sealed(&charter(2, &[1], &[(3, "")]), &[1]));
    branch.commit(3, &[1], 1, file(MINE, "three"));
    for parents in [[2, 3], [3, 2]] {
        for by in [1, 3] {
            branch.commit(4, &parents, by, old.clone());
            assert_eq!(branch.verify(4, Some(&floor), Policy::Range).unwrap_err().reason(), Reason::CharterRollback);
        }
    }
}

#[test]
fn charters_beside_one_another_are_taken_by_their_serials() {
    let (mut branch, floor) = exchange(&[]);
    let newer = sealed(&charter(3, &[1], &[(3, "")]), &[1]);
    branch.commit(2, &[1], 1, newer.clone());
    branch.commit(3, &[1], 1, sealed(&charter(2, &[1], &[(2, "")]), &[1]));
    for (tip, parents) in [(4, [2, 3]), (5, [3, 2])] {
        branch.commit(tip, &parents, 1, newer.clone());
        branch.commit(6, &[tip], 3, file(MINE, "six"));
        branch.is(6, &floor, "pub3");
        branch.commit(6, &[tip], 2, file(MINE, "six"));
        branch.is(6, &floor, "UntrustedKey");
    }
}

#[test]
fn a_charter_can_ask_for_more_than_the_operator() {
    let (mut branch, _) = exchange(&[]);
    let strict = charter(2, &[1], &[]).replace("  branch", "  verify: range\n  branch");
    branch.commit(2, &[1], 1, sealed(&strict, &[1]));
    let floor = branch.first(2);
    branch.commit(3, &[2], 9, file(MINE, "three"));
    branch.commit(4, &[3], 1, file(MINE, "four"));
    branch.is(4, &floor, "UntrustedKey");
}

#[test]
fn another_root_file_begins_another_chain_and_not_an_older_one() {
    let (mut branch, _) = exchange(&[]);
    branch.commit(2, &[1], 1, sealed(&charter(5, &[2], &[]), &[1]));
    branch.commit(3, &[2], 2, Files::new());
    let floor = branch.verify(3, Some(&branch.first(1)), Policy::Range).unwrap();
    // All roots are lost; the operator writes key 7 into the device's root file.
    let keyring = Keyring::new(vec![Signer { key: key(7).public(), ..ops() }]);
    let mut verdict = |change: Files| {
        branch.commit(4, &[3], 7, change);
        verify(id(4), &trust(Some(&floor), Policy::Range, &keyring), &branch.world).err().map(|error| error.reason())
    };
    assert_eq!(verdict(file(MINE, "four")), Some(Reason::CharterUntrusted));
    assert_eq!(verdict(sealed(&charter(4, &[7], &[]), &[7])), Some(Reason::CharterRollback));
    assert_eq!(verdict(sealed(&charter(6, &[7], &[]), &[7])), None);
    // One more key in the root file changes nothing, if one of them signed what is in force.
    let (mut branch, floor) = exchange(&[(2, "")]);
    branch.commit(2, &[1], 2, file(MINE, "two"));
    let keyring = Keyring::new(vec![Signer { key: key(7).public(), ..ops() }, ops()]);
    let verified = verify(id(2), &trust(Some(&floor), Policy::Range, &keyring), &branch.world).unwrap();
    assert_eq!(&*verified.accepted().signer, "pub2");
    assert_ne!(verified.accepted().charter, floor.charter);
}

#[test]
fn a_charter_that_was_lost_from_the_store_is_no_reason_to_trust_less() {
    let (mut branch, floor) = exchange(&[(2, "")]);
    branch.commit(2, &[1], 2, file(MINE, "two"));
    let lost =
        Accepted { charter: floor.charter.clone().map(|charter| Charter { sha256: [0; 32], ..charter }), ..floor };
    branch.is(2, &lost, "StateFailed");
    branch.world.objects.remove(&lost.charter.as_ref().unwrap().blob);
    branch.is(2, &lost, "StateFailed");
}

#[test]
fn papers_that_are_no_files_are_refused() {
    let (mut branch, floor) = exchange(&[]);
    branch.commit(2, &[1], 1, [("exchange.yaml".into(), String::new()), ("exchange.yaml/x".into(), "x".into())].into());
    branch.is(2, &floor, "BadTreeEntry");
    let huge = "#".repeat(limits::MANIFEST_BYTES + 1);
    branch.commit(2, &[1], 1, file("exchange.yaml", &huge));
    branch.is(2, &floor, "FileTooLarge");
}

#[test]
fn the_highest_serial_is_the_last() {
    let (mut branch, floor) = exchange(&[(2, "")]);
    let of = |serial| sealed(&charter(serial, &[1], &[]), &[1]);
    branch.commit(2, &[1], 1, of(limits::SERIAL));
    branch.is(2, &floor, "root1");
    for (serial, expected) in [(3, "CharterRollback"), (limits::SERIAL + 1, "InvalidValue"), (u64::MAX, "InvalidValue")]
    {
        branch.commit(3, &[2], 1, of(serial));
        branch.is(3, &floor, expected);
    }
}
