//! What is packed for a stick, by git: deltas of all shapes, and objects that changed places.

use std::io::Read;

use giter_edge::{
    api::{Oid, Result},
    git::{
        pack::{Stream, Tight},
        since::{New, since},
    },
    reconcile::ports::{NewObject, Object, Objects},
};

use super::support::{blob, commit, git, git_with, tree};

/// Objects that are all there.
struct Held(Vec<NewObject>);

impl Objects for Held {
    fn read(&self, id: Oid, _: usize) -> Result<Option<Object>> {
        Ok(self.0.iter().find(|held| held.id == id).map(|held| held.object.clone()))
    }

    fn has(&self, id: Oid) -> Result<bool> {
        Ok(self.0.iter().any(|held| held.id == id))
    }
}

/// A pack of the entries.
fn pack(entries: Vec<Tight>) -> Vec<u8> {
    let mut pack = Vec::new();
    Stream::tight(entries.len(), entries.into_iter().map(Ok)).unwrap().read_to_end(&mut pack).unwrap();
    pack
}

/// A text of which every line is another's neighbour in no other.
fn text(lines: std::ops::Range<usize>) -> Vec<u8> {
    lines.map(|line| format!("line {line} says {}\n", line * 7_919 % 1_009)).collect::<String>().into_bytes()
}

#[test]
fn git_resolves_every_delta() {
    let dir = tempfile::tempdir().unwrap();
    git(dir.path(), &["init", "-q", "--bare", "."]);
    let mut pairs = Vec::new();
    for round in 1..30usize {
        let base = text(0..round * round);
        let (at, end) = (base.len() * (round % 5) / 5, base.len() * (round % 7 + 1) / 8);
        let mut changed = base.clone();
        changed.splice(at.min(end)..end.max(at), text(5_000 + round..5_000 + 2 * round));
        let moved = [&base[at..], &text(9_000..9_000 + round), &base[..at]].concat();
        pairs.extend([(base.clone(), changed), (base.clone(), moved), (base.clone(), base.repeat(3))]);
    }
    let mut entries = Vec::new();
    for (base, target) in &pairs {
        git_with(dir.path(), &["hash-object", "-w", "--stdin"], base);
        let base = blob(base);
        entries.push(Tight { object: blob(target).object, base: Some((base.id, base.object)) });
    }
    let thin = pack(entries);
    let whole = pack(pairs.iter().map(|(_, target)| Tight { object: blob(target).object, base: None }).collect());
    assert!(thin.len() * 3 < whole.len(), "{} bytes, and {} without deltas", thin.len(), whole.len());
    git_with(dir.path(), &["index-pack", "--stdin", "--fix-thin", "--strict"], &thin);
    for (_, target) in &pairs {
        assert_eq!(git(dir.path(), &["cat-file", "blob", &blob(target).id.to_string()]), *target);
    }
}

#[test]
fn what_changed_places_is_no_delta_on_itself() {
    let (one, two, three) = (blob(&text(0..100)), blob(&text(1..101)), blob(&text(2..102)));
    let folder = |a: &NewObject, b: &NewObject| tree(&[("100644", "a", a.id), ("100644", "b", b.id)]);
    let (before, swapped, after) = (folder(&one, &two), folder(&two, &one), folder(&three, &two));
    let base = commit(before.id, &[], "before");
    let next = commit(swapped.id, &[base.id], "they change places");
    let last = commit(after.id, &[next.id], "one of them changes, the other goes back");
    let objects = [&one, &two, &three, &before, &swapped, &after, &base, &next, &last];
    let held = Held(objects.iter().map(|object| (*object).clone()).collect());

    let brought = since(&held, base.id, &[last.id, next.id]).unwrap();
    let base_of = |object: &NewObject| brought.iter().find(|new| new.id == object.id).map(|new| new.base);
    // Each lies where the other lay: a delta of both would be a circle.
    assert_eq!((base_of(&one), base_of(&two)), (Some(None), Some(None)));
    // Nothing is a delta on what is brought.
    assert_eq!(base_of(&three), Some(None));
    assert_eq!((base_of(&swapped), base_of(&after)), (Some(Some(before.id)), Some(Some(before.id))));
    assert_eq!(base_of(&base), None);

    let entry = |New { id, kind, base }: &New| {
        let object = held.read(*id, usize::MAX).unwrap().unwrap();
        assert_eq!(object.kind, *kind);
        Tight { object, base: base.map(|base| (base, held.read(base, usize::MAX).unwrap().unwrap())) }
    };
    let dir = tempfile::tempdir().unwrap();
    git(dir.path(), &["init", "-q", "--bare", "."]);
    for object in [&one, &two, &before, &base] {
        let kind = format!("{:?}", object.object.kind).to_lowercase();
        git_with(dir.path(), &["hash-object", "-w", "-t", &kind, "--stdin"], &object.object.data);
    }
    git_with(
        dir.path(),
        &["index-pack", "--stdin", "--fix-thin", "--strict"],
        &pack(brought.iter().map(entry).collect()),
    );
    git(dir.path(), &["update-ref", "refs/heads/main", &last.id.to_string()]);
    git(dir.path(), &["fsck", "--full", "--strict"]);
}

#[test]
fn a_side_branch_from_before_the_base_is_brought_whole() {
    let texts: Vec<_> = (0..4).map(|n| blob(&text(n..n + 50))).collect();
    let trees: Vec<_> = texts.iter().map(|blob| tree(&[("100644", "a", blob.id)])).collect();
    let old = commit(trees[0].id, &[], "old");
    let base = commit(trees[1].id, &[old.id], "base");
    // It has again what the base's parent had, and the base has not.
    let side = commit(trees[0].id, &[old.id], "side");
    let tip = commit(trees[2].id, &[base.id, side.id], "merge");
    let held = Held([&texts[..], &trees, &[old, base.clone(), side.clone(), tip.clone()]].concat());
    let brought = since(&held, base.id, &[tip.id, side.id]).unwrap();
    for needed in [texts[0].id, trees[0].id, side.id, texts[2].id, trees[2].id, tip.id] {
        assert!(brought.iter().any(|new| new.id == needed));
    }
    assert_eq!(brought.len(), 6);
}
