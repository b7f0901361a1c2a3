//! What devices lack of a pack, where somebody made it who means harm: that takes little memory and comes to an end.

use std::{cell::Cell, env, fmt::Write, iter, process::Command};

use giter_edge::{
    api::{DeviceId, Oid, Reason, Result, limits},
    git::gaps,
    reconcile::ports::{Object, ObjectKind, Objects},
};

/// Most memory that a test of this file may take, in KiB: the test program has about half of it for itself.
const PEAK: u64 = 48 << 10;

/// Set where a test runs in a process of its own.
const ALONE: &str = "GITER_TEST_ALONE";

/// Has a test of this file run in a process of its own, and measures that; true in there.
fn is_alone(test: &str) -> bool {
    if env::var_os(ALONE).is_some() {
        return true;
    }
    let mut command = Command::new("/usr/bin/time");
    command.args(["-q", "-f", "peak: %M"]).arg(env::current_exe().unwrap()).args(["--exact", &format!("gaps::{test}")]);
    let output = command.env(ALONE, "1").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}{said}", String::from_utf8_lossy(&output.stdout));
    let peak: u64 = said.lines().find_map(|line| line.strip_prefix("peak: ")).unwrap().parse().unwrap();
    assert!(peak < PEAK, "{peak} KiB");
    false
}

/// Objects that are made when they are read, by their numbers.
struct Made<F> {
    count: u64,
    make: F,
    read: Cell<u64>,
}

impl<F: Fn(u64) -> (ObjectKind, Vec<u8>)> Made<F> {
    fn new(count: u64, make: F) -> Self {
        Self { count, make, read: Cell::new(0) }
    }
}

impl<F: Fn(u64) -> (ObjectKind, Vec<u8>)> Objects for Made<F> {
    fn read(&self, id: Oid, _limit: usize) -> Result<Option<Object>> {
        if !self.has(id)? {
            return Ok(None);
        }
        self.read.set(self.read.get() + 1);
        let (kind, data) = (self.make)(number(id));
        Ok(Some(Object { kind, data }))
    }

    fn has(&self, id: Oid) -> Result<bool> {
        Ok(number(id) < self.count)
    }
}

/// The object of that number.
fn id(number: u64) -> Oid {
    let mut bytes = [0; 20];
    bytes[12..].copy_from_slice(&number.to_be_bytes());
    Oid::new(bytes)
}

fn number(id: Oid) -> u64 {
    u64::from_be_bytes(id.as_bytes()[12..].try_into().unwrap())
}

fn commit(tree: u64, parents: impl Iterator<Item = u64>) -> (ObjectKind, Vec<u8>) {
    let mut text = format!("tree {}\n", id(tree));
    parents.for_each(|parent| writeln!(text, "parent {}", id(parent)).unwrap());
    text.push_str("author A <a@x> 1700000000 +0000\ncommitter A <a@x> 1700000000 +0000\n\nx\n");
    (ObjectKind::Commit, text.into_bytes())
}

fn tree<'a>(entries: impl IntoIterator<Item = (&'a str, u64)>) -> (ObjectKind, Vec<u8>) {
    let mut data = Vec::new();
    for (name, to) in entries {
        data.extend([b"40000 ", name.as_bytes(), b"\0", id(to).as_bytes()].concat());
    }
    (ObjectKind::Tree, data)
}

/// What a device named `dev` lacks of the commit 0, whose tree is 1, after an empty base.
fn found(brought: &dyn Objects) -> Result<gaps::Gaps> {
    const BASE: u64 = 1 << 40;
    let known = Made::new(u64::MAX, |at| if at == BASE { commit(BASE + 1, [].into_iter()) } else { tree([]) });
    let device: DeviceId = "dev".parse().unwrap();
    gaps::find(brought, &known, id(BASE), &[id(0)], &[&device])
}

/// The objects of a commit whose tree leads to `dev`, the tree 3.
fn below_dev(at: u64) -> Option<(ObjectKind, Vec<u8>)> {
    match at {
        0 => Some(commit(1, [].into_iter())),
        1 => Some(tree([("specs", 2)])),
        2 => Some(tree([("dev", 3)])),
        _ => None,
    }
}

#[track_caller]
fn refused<T>(found: Result<T>, words: &str) {
    let error = found.err().expect("it is too much");
    assert!(error.reason() == Reason::RangeTooLong && error.one_line().contains(words), "{error:?}");
}

#[test]
fn parents_that_did_not_come_are_not_kept() {
    const COMMITS: u64 = 1_500;
    const PARENTS: u64 = 1_300;
    if !is_alone("parents_that_did_not_come_are_not_kept") {
        return;
    }
    let absent = |at: u64| (COMMITS + at * PARENTS..).take(PARENTS as usize);
    let brought = Made::new(COMMITS, |at| commit(0, [at + 1].into_iter().chain(absent(at))));
    let base = id(COMMITS);
    assert_eq!(gaps::commits(&brought, base, id(0)).unwrap().unwrap().len() as u64, COMMITS);
    assert_eq!(gaps::commits(&brought, id(u64::MAX), id(0)).unwrap(), None);
}

#[test]
fn commits_have_a_bound() {
    let most = limits::RANGE_COMMITS as u64;
    let line = |count| Made::new(count, |at| commit(0, [at + 1].into_iter()));
    assert_eq!(gaps::commits(&line(most), id(most), id(0)).unwrap().unwrap().len() as u64, most);
    refused(gaps::commits(&line(most + 1), id(most + 1), id(0)), "10000 commits");
}

#[test]
fn a_tree_that_is_named_again_and_again_is_looked_at_once() {
    const DEPTH: u64 = 40;
    if !is_alone("a_tree_that_is_named_again_and_again_is_looked_at_once") {
        return;
    }
    let brought =
        Made::new(4 + DEPTH, |at| below_dev(at).unwrap_or_else(|| tree(iter::repeat_n(("a", at + 1), 40_000))));
    let gaps = found(&brought).unwrap();
    assert_eq!((gaps.lacks, gaps.unseen), (vec![(id(4 + DEPTH), ObjectKind::Tree)], vec![]));
    assert_eq!(brought.read.get(), 4 + DEPTH);
}

#[test]
fn trees_have_a_bound() {
    let endless = Made::new(1 << 40, |at| below_dev(at).unwrap_or_else(|| tree([("a", at + 1)])));
    refused(found(&endless), "131072 trees");
    let name = "x".repeat(limits::OBJECT_BYTES / 2);
    let large = Made::new(1 << 40, |at| below_dev(at).unwrap_or_else(|| tree([(&*name, at + 1)])));
    refused(found(&large), "1073741824 bytes");
    // As many blobs as can never come.
    let blobs = |at: u64| {
        let mut data = Vec::new();
        (0..10_000).for_each(|to| data.extend([&b"100644 b\0"[..], id(1_000 + at * 10_000 + to).as_bytes()].concat()));
        data.extend(tree([("c", at + 1)]).1);
        (ObjectKind::Tree, data)
    };
    refused(found(&Made::new(1_000, |at| below_dev(at).unwrap_or_else(|| blobs(at)))), "131072 objects");
}

#[test]
fn of_a_large_fleet_only_the_devices_are_looked_at() {
    let names: Vec<String> = (0..10_000).map(|at| format!("dev-{at:05}")).collect();
    let fleet = |first: u64| tree(names.iter().enumerate().map(move |(at, name)| (&**name, first + at as u64)));
    let brought = Made::new(3, |at| match at {
        2 => fleet(1 << 20),
        at => below_dev(at).unwrap(),
    });
    let known = Made::new(u64::MAX, |at| match at {
        0 => commit(10, [].into_iter()),
        10 => tree([("specs", 11)]),
        11 => fleet(1 << 30),
        _ => tree([]),
    });
    let devices: Vec<DeviceId> = ["dev-00007", "dev-09999", "dev-10000"].map(|name| name.parse().unwrap()).into();
    let found = gaps::find(&brought, &known, id(0), &[id(0)], &devices.iter().collect::<Vec<_>>()).unwrap();
    let mut lacks: Vec<u64> = found.lacks.iter().map(|(id, _)| number(*id)).collect();
    lacks.sort();
    assert_eq!(lacks, [(1 << 20) + 7, (1 << 20) + 9_999]);
}
