//! The steps of `verify` on histories made in memory; `tests/git` has them on git's own.

use std::{
    collections::{HashMap, HashSet},
    sync::LazyLock,
};

use super::*;
use crate::{
    api::limits,
    codec::{commit, keyfile::SecretKey, signers::Signer, sshsig},
    reconcile::ports::{Object, ObjectKind},
};

mod charters;
mod everything;
mod histories;
mod resets;
mod rights;

const TREE: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";

/// Objects in memory, named by number: these histories hang together by name, not by hash.
struct World {
    objects: HashMap<Oid, Object>,
}

impl Default for World {
    fn default() -> Self {
        let empty = Object { kind: ObjectKind::Tree, data: Vec::new() };
        Self { objects: HashMap::from([(TREE.parse().unwrap(), empty)]) }
    }
}

impl Objects for World {
    fn read(&self, id: Oid, limit: usize) -> Result<Option<Object>> {
        match self.objects.get(&id) {
            Some(object) if object.data.len() > limit => {
                Err(Error::new(Reason::FileTooLarge, "an object is too large"))
            }
            object => Ok(object.cloned()),
        }
    }

    fn has(&self, id: Oid) -> Result<bool> {
        Ok(self.objects.contains_key(&id))
    }
}

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32])
}

fn id(number: u32) -> Oid {
    let mut bytes = [0; 20];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    Oid::new(bytes)
}

/// The signed bytes of a commit, and where its signature belongs.
fn payload(parents: &[u32], date: i64) -> (String, String) {
    let parents: String = parents.iter().map(|parent| format!("parent {}\n", id(*parent))).collect();
    (
        format!("tree {TREE}\n{parents}author A <a@b> {date} +0000\ncommitter A <a@b> {date} +0000\n"),
        "\nmessage\n".into(),
    )
}

impl World {
    fn put(&mut self, number: u32, kind: ObjectKind, data: Vec<u8>) -> Oid {
        self.objects.insert(id(number), Object { kind, data });
        id(number)
    }

    fn with_header(&mut self, number: u32, parents: &[u32], date: i64, header: &str) -> Oid {
        let (head, tail) = payload(parents, date);
        self.put(number, ObjectKind::Commit, format!("{head}{header}{tail}").into_bytes())
    }

    fn unsigned(&mut self, number: u32, parents: &[u32], date: i64) -> Oid {
        self.with_header(number, parents, date, "")
    }

    fn signed_by(&mut self, number: u32, parents: &[u32], date: i64, signer: &SecretKey) -> Oid {
        let (head, tail) = payload(parents, date);
        let armour = sshsig::sign(signer, "git", format!("{head}{tail}").as_bytes());
        self.with_header(number, parents, date, &gpgsig(&armour))
    }

    /// A commit signed by key 1; its date is its number.
    fn signed(&mut self, number: u32, parents: &[u32]) -> Oid {
        self.signed_by(number, parents, number.into(), &key(1))
    }
}

impl World {
    /// The commits and their root trees.
    fn roots(&self) -> Self {
        let is_commit = |object: &&Object| object.kind == ObjectKind::Commit;
        let commits = self.objects.values().filter(is_commit).filter_map(|commit| commit::parse(&commit.data).ok());
        let roots: HashSet<_> = commits.map(|commit| commit.tree).collect();
        let is_known = |(id, object): &(&Oid, &Object)| object.kind == ObjectKind::Commit || roots.contains(*id);
        Self { objects: self.objects.iter().filter(is_known).map(|(id, object)| (*id, object.clone())).collect() }
    }

    /// Proves a tip as a device does, which begins with the commits and their root trees and is brought what is lacking.
    fn brought(&self, tip: u32, trust: &Trust<'_>) -> Result<Verified> {
        let mut here = self.roots();
        loop {
            let (ids, error) = match prove(id(tip), trust, &here) {
                Err(Unproven::Lacks(ids, error)) => (ids, error),
                proven => return Ok(proven?),
            };
            let known = here.objects.len();
            assert!(ids.iter().all(|id| !here.objects.contains_key(id)), "what is here is lacking");
            here.objects.extend(ids.into_iter().filter_map(|id| Some((id, self.objects.get(&id)?.clone()))));
            if here.objects.len() == known {
                return Err(error);
            }
        }
    }
}

fn gpgsig(armour: &str) -> String {
    format!("gpgsig {}\n", armour.trim_end().replace('\n', "\n "))
}

fn ops() -> Signer {
    Signer { principals: "ops".into(), key: key(1).public(), namespaces: None, valid_after: None, valid_before: None }
}

fn floor(number: u32) -> Accepted {
    Accepted {
        commit: id(number),
        tree: TREE.parse().unwrap(),
        time: number.into(),
        signer: "ops".into(),
        charter: None,
        reset: 0,
    }
}

fn verify_by(world: &World, tip: u32, floor: Option<&Accepted>, policy: Policy) -> Result<Verified> {
    let keyring = Keyring::new(vec![ops()]);
    verify(id(tip), &trust(floor, policy, &keyring), world)
}

fn trust<'a>(floor: Option<&'a Accepted>, policy: Policy, keyring: &'a Keyring) -> Trust<'a> {
    static DEVICE: LazyLock<DeviceId> = LazyLock::new(|| "site-a/pump".parse().unwrap());
    Trust { floor, previous: None, policy, keyring, exchange: None, reads: Reads::Device(&DEVICE), now: None }
}

/// The reasons under `tip`, `first-parent` and `range`; `None` where the tip is accepted.
fn verdicts(world: &World, tip: u32, from: u32) -> [Option<Reason>; 3] {
    [Policy::Tip, Policy::FirstParent, Policy::Range]
        .map(|policy| verify_by(world, tip, Some(&floor(from)), policy).err().map(|error| error.reason()))
}

fn alone(world: &World, tip: u32) -> Error {
    verify_by(world, tip, None, Policy::Range).unwrap_err()
}

#[test]
fn the_first_tip_stands_alone() {
    let mut world = World::default();
    world.signed(9, &[8]);
    let verified = verify_by(&world, 9, None, Policy::Range).unwrap();
    let expected =
        Accepted { commit: id(9), tree: TREE.parse().unwrap(), time: 9, signer: "ops".into(), charter: None, reset: 0 };
    assert_eq!(verified.accepted(), &expected);
}

#[test]
fn the_floor_needs_no_proof() {
    let accepted = floor(5);
    assert_eq!(verify_by(&World::default(), 5, Some(&accepted), Policy::Range).unwrap().accepted(), &accepted);
}

#[test]
fn a_line_on_top_of_the_floor_is_accepted() {
    let mut world = World::default();
    for number in 5..=8 {
        world.signed(number, &[number - 1]);
    }
    assert_eq!(verdicts(&world, 8, 5), [None; 3]);
}

#[test]
fn the_first_tip_has_to_be_proven() {
    let mut world = World::default();
    let sound = sshsig::sign(&key(1), "git", b"another object");
    world.unsigned(1, &[], 1);
    world.with_header(2, &[], 2, &gpgsig(&sound));
    world.with_header(3, &[], 3, &gpgsig(&sound[..sound.len() / 2]));
    world.with_header(4, &[], 4, "gpgsig -----BEGIN PGP SIGNATURE-----\n \n iQ==\n -----END PGP SIGNATURE-----\n");
    world.with_header(5, &[], 5, &gpgsig(&sound).repeat(2));
    world.with_header(6, &[], 6, &gpgsig(&sound).replace("gpgsig", "gpgsig-sha256"));
    world.signed_by(7, &[], 7, &key(2));
    let (head, tail) = payload(&[], 8);
    let file = sshsig::sign(&key(1), "file", format!("{head}{tail}").as_bytes());
    world.with_header(8, &[], 8, &gpgsig(&file));
    for (tip, reason, what) in [
        (1, Reason::UnsignedCommit, "commit 000000010000 is not signed"),
        (2, Reason::BadSignature, "not this key's signature"),
        (3, Reason::BadSignature, "does not end with its marker line"),
        (4, Reason::UnsupportedKey, "an OpenPGP signature"),
        (5, Reason::BadSignature, "more than one gpgsig"),
        (6, Reason::BadSignature, "gpgsig-sha256"),
        (7, Reason::UntrustedKey, "which is not trusted"),
        (8, Reason::BadSignature, "made for the namespace \"file\""),
    ] {
        let error = alone(&world, tip);
        assert_eq!(error.reason(), reason, "{error:?}");
        assert!(error.one_line().contains(what), "{error:?}");
        assert!(error.get_hint().is_some());
    }
}

#[test]
fn the_tip_has_to_be_a_commit_of_bounded_size() {
    let mut world = World::default();
    world.put(1, ObjectKind::Blob, Vec::new());
    world.put(2, ObjectKind::Commit, b"tree\n".to_vec());
    world.put(3, ObjectKind::Commit, vec![b'x'; limits::COMMIT_BYTES + 1]);
    for tip in 1..=3 {
        assert_eq!(alone(&world, tip).reason(), Reason::BadCommit);
    }
    assert_eq!(alone(&world, 4).reason(), Reason::PackInvalid);
}

#[test]
fn an_unsigned_commit_in_the_middle_is_found() {
    let mut world = World::default();
    world.signed(5, &[]);
    world.unsigned(6, &[5], 6);
    world.signed(7, &[6]);
    let unsigned = Some(Reason::UnsignedCommit);
    assert_eq!(verdicts(&world, 7, 5), [None, unsigned, unsigned]);
}

#[test]
fn an_unsigned_side_is_found_under_range_alone() {
    let mut world = World::default();
    world.signed(5, &[]);
    world.signed(6, &[5]);
    world.unsigned(7, &[5], 7);
    world.signed(8, &[6, 7]);
    assert_eq!(verdicts(&world, 8, 5), [None, None, Some(Reason::UnsignedCommit)]);
}

#[test]
fn what_the_floor_reaches_is_not_asked_again() {
    // 2 was never signed and 9 leaves the branch below the floor; both are history.
    let mut world = World::default();
    world.signed(1, &[]);
    world.unsigned(2, &[1], 2);
    world.signed(3, &[2]);
    world.signed(5, &[3]);
    world.signed(9, &[2]);
    world.signed(10, &[5, 9]);
    assert_eq!(verdicts(&world, 10, 5), [None; 3]);
}

#[test]
fn a_side_whose_fork_is_not_there_ends_there() {
    let mut world = World::default();
    world.signed(5, &[4]);
    world.signed(9, &[2]);
    world.signed(10, &[5, 9]);
    assert_eq!(verdicts(&world, 10, 5), [None; 3]);
    world.unsigned(9, &[2], 9);
    assert_eq!(verdicts(&world, 10, 5), [None, None, Some(Reason::UnsignedCommit)]);
}

#[test]
fn a_hole_between_tip_and_floor_is_no_way() {
    let mut world = World::default();
    world.signed(5, &[]);
    world.signed(7, &[6]);
    assert_eq!(verdicts(&world, 7, 5), [Some(Reason::NotFastForward); 3]);
}

#[test]
fn an_unrelated_or_forked_tip_is_refused() {
    let mut world = World::default();
    world.signed(4, &[]);
    world.signed(5, &[4]);
    world.signed(8, &[]);
    world.signed(9, &[4]);
    assert_eq!(verdicts(&world, 8, 5), [Some(Reason::NotFastForward); 3]);
    assert_eq!(verdicts(&world, 9, 5), [Some(Reason::NotFastForward); 3]);
}

#[test]
fn an_older_tip_is_a_rewind_where_that_can_be_known() {
    let mut world = World::default();
    for number in 1..=5 {
        world.signed(number, &[number - 1]);
    }
    for tip in 1..=4 {
        assert_eq!(verdicts(&world, tip, 5), [Some(Reason::Rewound); 3]);
    }
    // With the history gone, the parent's name and the ledger's memory are left.
    for gone in 2..=4 {
        world.objects.remove(&id(gone));
    }
    assert_eq!(verdicts(&world, 4, 5), [Some(Reason::Rewound); 3]);
    assert_eq!(verdicts(&world, 1, 5), [Some(Reason::NotFastForward); 3]);
    let keyring = Keyring::new(vec![ops()]);
    let floor = floor(5);
    let trust = Trust { previous: Some(id(1)), ..trust(Some(&floor), Policy::Range, &keyring) };
    assert_eq!(verify(id(1), &trust, &world).unwrap_err().reason(), Reason::Rewound);
}

#[test]
fn dates_that_lie_hide_nothing() {
    // Every commit above the floor is dated long before it.
    let mut world = World::default();
    world.signed(500, &[499]);
    world.unsigned(7, &[500], 7);
    world.signed(8, &[7]);
    world.signed(9, &[8]);
    let unsigned = Some(Reason::UnsignedCommit);
    assert_eq!(verdicts(&world, 9, 500), [None, unsigned, unsigned]);
    world.signed(7, &[500]);
    assert_eq!(verdicts(&world, 9, 500), [None; 3]);
    assert_eq!(verify_by(&world, 9, Some(&floor(500)), Policy::Range).unwrap().accepted().time, 500);
}

#[test]
fn what_the_floor_is_late_to_reach_is_not_asked_either() {
    // 90 was never signed; on the floor's side a commit dated long before it hides it until the side 151 is walked.
    let mut world = World::default();
    world.unsigned(90, &[], 90);
    world.signed(1, &[90]);
    world.signed(100, &[1]);
    world.signed(150, &[90]);
    world.signed_by(151, &[90], 0, &key(1));
    world.signed(200, &[100, 150, 151]);
    assert_eq!(verdicts(&world, 200, 100), [None; 3]);
}

#[test]
fn the_range_is_bounded() {
    let mut world = World::default();
    let most = limits::RANGE_COMMITS as u32;
    world.signed(1, &[]);
    for number in 2..=most + 1 {
        world.unsigned(number, &[number - 1], number.into());
    }
    world.signed(most, &[most - 1]);
    world.signed(most + 1, &[most]);
    let verdict = |tip| verify_by(&world, tip, Some(&floor(1)), Policy::Tip).err().map(|error| error.reason());
    assert_eq!(verdict(most), None);
    assert_eq!(verdict(most + 1), Some(Reason::RangeTooLong));
}

#[test]
fn a_key_is_judged_at_the_latest_date_that_is_known() {
    let expiring = Signer { valid_before: Some(10), ..ops() };
    let keyring = Keyring::new(vec![expiring, Signer { key: key(2).public(), ..ops() }]);
    let reason = |world: &World, tip, floor: Option<&Accepted>| {
        let trust = trust(floor, Policy::Range, &keyring);
        verify(id(tip), &trust, world).err().map(|error| error.reason())
    };
    let mut world = World::default();
    world.signed_by(1, &[], 9, &key(1));
    world.signed_by(2, &[1], 12, &key(2));
    world.signed_by(3, &[2], 9, &key(1));
    world.signed_by(4, &[1], 11, &key(1));
    world.signed_by(5, &[1], 10, &key(1));
    assert_eq!(reason(&world, 1, None), None);
    assert_eq!(reason(&world, 3, None), Some(Reason::KeyNotValid), "its parent is later");
    assert_eq!(reason(&world, 4, None), Some(Reason::KeyNotValid), "it says so itself");
    let accepted = Accepted { time: 9, ..floor(1) };
    assert_eq!(reason(&world, 5, Some(&accepted)), None);
    let accepted = Accepted { time: 11, ..floor(1) };
    assert_eq!(reason(&world, 5, Some(&accepted)), Some(Reason::KeyNotValid), "later was accepted before");
}

#[test]
fn the_floor_rises_with_the_latest_date() {
    let mut world = World::default();
    world.signed_by(1, &[], 1, &key(1));
    world.signed_by(2, &[1], 50, &key(1));
    world.signed_by(3, &[2], 40, &key(1));
    let time = |policy| verify_by(&world, 3, Some(&floor(1)), policy).unwrap().accepted().time;
    assert_eq!(time(Policy::Range), 50);
    assert_eq!(time(Policy::Tip), 40);
}
