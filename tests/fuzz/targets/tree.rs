//! Tree walking: whatever the trees are, the device's folder is read or refused, only sound names are passed on, and a
//! publisher gets no change through outside his paths.
//!
//! The input is cut into objects at the bytes `ff ff`; the first is the root tree that was accepted, the second the
//! next one. A tree names an object by twenty bytes: the first is its number, so that every tree can lead anywhere,
//! itself included; the second, where odd, makes it a blob. From number 240 on stand the objects of [`FIXED`].

use std::{collections::HashMap, sync::LazyLock};

use giter_edge::{
    api::{DeviceId, Oid, Result, ledger::Accepted},
    codec::{
        keyfile::SecretKey,
        signers::{Keyring, Signer},
        sshsig::{self, EXCHANGE, GIT},
    },
    git::graph,
    reconcile::{
        decode::{self, EntryKind, GitTree, Source},
        ports::{Object, ObjectKind, Objects},
        verify::{Policy, Reads, Trust, verify},
    },
};

pub(crate) fn check(data: &[u8]) {
    let objects = Pieces::of(data);
    let root = number(0);
    let _ = decode::read(&GitTree::new(&objects, root), &device());
    let _ = graph::below(&objects, root, &mut Default::default());
    let folders = [0, 1].map(|tree| find(&GitTree::new(&objects, number(tree)), &["specs", "d"]));
    // A signature takes longer than all else.
    if folders[0] != folders[1] && judge(number(NEXT), Some(&FIXED.floor), &objects).is_ok() {
        check_paths(&objects, "specs/d", folders);
    }
}

/// That two folders differ in what the publisher may change alone.
fn check_paths(objects: &Pieces, path: &str, sides: [Option<decode::Entry>; 2]) {
    let [old, new] = sides.each_ref().map(|side| side.as_ref().map(|entry| (entry.kind, entry.id)));
    if old == new || path.starts_with("specs/d/mine/") {
        return;
    }
    let is_file = |side: &Option<decode::Entry>| side.as_ref().is_some_and(|entry| entry.kind != EntryKind::Folder);
    assert!(!sides.iter().any(is_file), "{path} is not the publisher's");
    let entries = sides.map(|side| match side {
        Some(folder) => GitTree::new(objects, folder.id).list(path, &folder).unwrap(),
        None => Vec::new(),
    });
    for name in entries.iter().flatten().map(|entry| &entry.name) {
        let side = |at: usize| entries[at].iter().find(|entry| entry.name == *name).cloned();
        check_paths(objects, &format!("{path}/{name}"), [side(0), side(1)]);
    }
}

/// What stands at a path.
fn find(tree: &GitTree<'_>, path: &[&str]) -> Option<decode::Entry> {
    path.iter().try_fold(tree.root(), |folder, name| {
        let entries = tree.list(name, &folder).ok().filter(|_| folder.kind == EntryKind::Folder)?;
        entries.into_iter().find(|entry| entry.name == *name)
    })
}

/// The objects of an input, over the fixed ones.
struct Pieces(Vec<Vec<u8>>);

impl Pieces {
    fn of(data: &[u8]) -> Self {
        let mut pieces = vec![Vec::new()];
        let mut rest = data;
        while let Some(at) = rest.windows(2).position(|pair| pair == b"\xff\xff") {
            pieces.last_mut().unwrap().extend_from_slice(&rest[..at]);
            pieces.push(Vec::new());
            rest = &rest[at + 2..];
        }
        pieces.last_mut().unwrap().extend_from_slice(rest);
        Self(pieces)
    }
}

impl Objects for Pieces {
    fn read(&self, id: Oid, limit: usize) -> Result<Option<Object>> {
        let [place, kind, ..] = *id.as_bytes();
        if let Some(object) = FIXED.objects.get(&id) {
            return Ok(Some(object.clone()));
        }
        let kind = if kind % 2 == 0 { ObjectKind::Tree } else { ObjectKind::Blob };
        let data = self.0.get(usize::from(place)).filter(|data| data.len() <= limit);
        Ok(data.map(|data| Object { kind, data: data.clone() }))
    }

    fn has(&self, id: Oid) -> Result<bool> {
        Ok(FIXED.objects.contains_key(&id) || usize::from(id.as_bytes()[0]) < self.0.len())
    }
}

const CHARTER: u8 = 240;
const SIGNATURES: u8 = 241;
/// The tree and the commit of which the charter is accepted.
const FIRST_TREE: u8 = 242;
const FIRST: u8 = 243;
/// The commits of the first and of the second piece of the input.
const FLOOR: u8 = 244;
const NEXT: u8 = 245;

/// What no input can make, because it is signed.
struct Fixed {
    objects: HashMap<Oid, Object>,
    /// From where [`NEXT`] is judged.
    floor: Accepted,
}

static FIXED: LazyLock<Fixed> = LazyLock::new(|| {
    let (root, ops) = (key(1), key(2));
    let charter = format!(
        "apiVersion: edge.giter.dev/v1alpha1\nkind: Exchange\nmetadata: {{name: plant-7}}\nspec:\n  \
         id: 5f0c1f0e3d5b4d0e9a7c2b6e8f1a4c3d\n  branch: main\n  serial: 1\n  roots: [\"{} root\"]\n  \
         publishers: [{{principal: ops, key: \"{}\", paths: [specs/d/mine/**]}}]\n",
        root.public().to_openssh(),
        ops.public().to_openssh()
    );
    let signatures = sshsig::sign(&root, EXCHANGE, charter.as_bytes());
    let mut objects = HashMap::new();
    let mut put = |at: u8, kind, data: Vec<u8>| objects.insert(number(at), Object { kind, data });
    let mut papers = Vec::new();
    for (at, name) in [(CHARTER, "exchange.yaml"), (SIGNATURES, "exchange.yaml.sig")] {
        papers.extend([format!("100644 {name}\0").as_bytes(), number(at).as_bytes()].concat());
    }
    put(CHARTER, ObjectKind::Blob, charter.into());
    put(SIGNATURES, ObjectKind::Blob, signatures.into());
    put(FIRST_TREE, ObjectKind::Tree, papers);
    put(FIRST, ObjectKind::Commit, commit(&root, FIRST_TREE, None));
    put(FLOOR, ObjectKind::Commit, commit(&root, 0, None));
    put(NEXT, ObjectKind::Commit, commit(&ops, 1, Some(FLOOR)));
    let first = judge(number(FIRST), None, &Alone(&objects)).unwrap();
    Fixed { floor: Accepted { commit: number(FLOOR), tree: number(0), ..first }, objects }
});

/// The fixed objects while they are made.
struct Alone<'a>(&'a HashMap<Oid, Object>);

impl Objects for Alone<'_> {
    fn read(&self, id: Oid, _: usize) -> Result<Option<Object>> {
        Ok(self.0.get(&id).cloned())
    }

    fn has(&self, id: Oid) -> Result<bool> {
        Ok(self.0.contains_key(&id))
    }
}

/// The root file.
static ROOTS: LazyLock<Keyring> = LazyLock::new(|| {
    let (principals, key) = ("root".into(), key(1).public());
    Keyring::new(vec![Signer { principals, key, namespaces: None, valid_after: None, valid_before: None }])
});

fn judge(tip: Oid, floor: Option<&Accepted>, objects: &dyn Objects) -> Result<Accepted> {
    let (policy, device) = (Policy::Range, device());
    let reads = Reads::Device(&device);
    let trust = Trust { floor, previous: None, policy, keyring: &ROOTS, exchange: None, reads, now: None };
    Ok(verify(tip, &trust, objects)?.accepted().clone())
}

fn commit(by: &SecretKey, tree: u8, parent: Option<u8>) -> Vec<u8> {
    let parent = parent.map_or(String::new(), |parent| format!("parent {}\n", number(parent)));
    let head = format!("tree {}\n{parent}author A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n", number(tree));
    let armour = sshsig::sign(by, GIT, format!("{head}\nx\n").as_bytes());
    format!("{head}gpgsig {}\n\nx\n", armour.trim_end().replace('\n', "\n ")).into()
}

/// The name of a piece of the input, or of a fixed object.
fn number(at: u8) -> Oid {
    let mut name = [0; 20];
    name[0] = at;
    Oid::new(name)
}

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32])
}

fn device() -> DeviceId {
    "d".parse().unwrap()
}
