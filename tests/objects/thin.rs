//! Packs that the real git makes: with deltas, thin, and empty.

use std::{fs, path::Path};

use giter_edge::{
    api::{Oid, ledger::Generation, limits},
    git::{PackStore, graph, pack},
    reconcile::ports::{ObjectKind, Objects, Store},
};

use crate::support::{device, git, git_oid, git_with};

/// Text that does not compress away, in which one line differs by version.
pub(crate) fn text(seed: u32, version: u32) -> String {
    let mut state = seed;
    let mut line = |n| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        if n == 50 { format!("version {version}\n") } else { format!("line {n} {state:08x}\n") }
    };
    (0..100).map(&mut line).collect()
}

/// A repository in which each commit changes one line of one of the device's ten files.
pub(crate) fn repository(folder: &Path, commits: u32) -> Vec<Oid> {
    git(folder, &["init", "-q", "-b", "main"]);
    let own = folder.join("specs/dev");
    fs::create_dir_all(&own).unwrap();
    (0..commits)
        .map(|version| {
            for file in 0..10 {
                let version = if file == version % 10 { version } else { 0 };
                fs::write(own.join(format!("{file}.yaml")), text(file, version)).unwrap();
            }
            git(folder, &["add", "."]);
            git(folder, &["commit", "-q", "--allow-empty", "-m", &format!("version {version}")]);
            git_oid(folder, &["rev-parse", "HEAD"])
        })
        .collect()
}

/// A pack of one commit and its tree.
pub(crate) fn deep_one(folder: &Path, commit: Oid) -> Vec<u8> {
    let names = git(folder, &["rev-list", "--objects", "--no-walk", "--no-object-names", &commit.to_string()]);
    git_with(folder, &["pack-objects", "-q", "--stdout", "--delta-base-offset"], &names)
}

/// A thin pack of what `want` has and `have` has not.
pub(crate) fn thin(folder: &Path, want: Oid, have: Oid, options: &[&str]) -> Vec<u8> {
    let arguments = [&["pack-objects", "-q", "--thin", "--stdout", "--revs"], options].concat();
    git_with(folder, &arguments, format!("{want}\n^{have}\n").as_bytes())
}

fn assert_whole(objects: &dyn Objects, commit: Oid, folder: &Path) {
    let tree = graph::lineage(objects, commit).unwrap().unwrap().tree;
    let names = graph::below(objects, tree, &mut Default::default()).unwrap();
    assert_eq!(names.len(), 13);
    for (id, kind) in names {
        let object = objects.read(id, limits::OBJECT_BYTES).unwrap().unwrap();
        assert_eq!(object.kind, kind);
        let kind = if kind == ObjectKind::Tree { "tree" } else { "blob" };
        assert_eq!(object.data, git(folder, &["cat-file", kind, &id.to_string()]));
    }
}

#[test]
fn thin_packs_of_git_are_completed() {
    let folder = tempfile::tempdir().unwrap();
    let work = folder.path().join("work");
    fs::create_dir(&work).unwrap();
    let commits = repository(&work, 12);
    // A base outside the pack is named either way; the first range alone has none inside.
    for (options, ranges) in [(&["--delta-base-offset"][..], 3), (&[], 1)] {
        let mut store = PackStore::open(&folder.path().join(format!("store-{}", options.len()))).unwrap();
        let mut quarantine = store.quarantine(&Generation::default()).unwrap();
        quarantine.ingest(&mut deep_one(&work, commits[0]).as_slice()).unwrap();
        let mut base = quarantine.promote(commits[0], device()).unwrap();
        for range in [&commits[0..2], &commits[1..7], &commits[6..12]].into_iter().take(ranges) {
            let (have, want) = (range[0], range[range.len() - 1]);
            let pack = thin(&work, want, have, options);
            assert!(pack.len() < 400 * range.len(), "{} bytes are not thin", pack.len());
            let mut quarantine = store.quarantine(&base).unwrap();
            quarantine.ingest(&mut pack.as_slice()).unwrap();
            base = quarantine.promote(want, device()).unwrap();
            assert_whole(&*store.objects(&base).unwrap(), want, &work);
        }
        assert_eq!(store.recover(&[&base]).unwrap(), [true]);
    }
}

#[test]
fn what_builds_on_an_object_that_is_not_here_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let commits = repository(folder.path(), 2);
    let mut store = PackStore::open(&folder.path().join("store")).unwrap();
    let mut quarantine = store.quarantine(&Generation::default()).unwrap();
    let pack = thin(folder.path(), commits[1], commits[0], &[]);
    quarantine.ingest(&mut pack.as_slice()).unwrap();
    assert!(quarantine.has(commits[1]).unwrap());
    let root = git_oid(folder.path(), &["rev-parse", "HEAD^{tree}"]);
    let file = git_oid(folder.path(), &["rev-parse", "HEAD:specs/dev/1.yaml"]);
    assert!(!quarantine.has(root).unwrap() || !quarantine.has(file).unwrap());
    let error = quarantine.promote(commits[1], device()).unwrap_err();
    assert_eq!(error.reason(), giter_edge::api::Reason::PackInvalid);
}

#[test]
fn what_is_written_git_reads() {
    let folder = tempfile::tempdir().unwrap();
    git(folder.path(), &["init", "-q", "--bare", "hub.git"]);
    let hub = folder.path().join("hub.git");
    let objects = crate::support::snapshot(b"status", &[]);
    let bytes = pack::write(&objects).unwrap();
    assert!(bytes.len() < 400);
    git_with(&hub, &["index-pack", "--stdin", "--strict"], &bytes);
    for object in &objects {
        git(&hub, &["cat-file", "-e", &object.id.to_string()]);
    }
}
