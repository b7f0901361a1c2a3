//! The file link on repositories in every state that git leaves them in.

use std::{fmt::Write, fs, io, iter, path::Path};

use giter_edge::{
    api::{Oid, Reason, Result, ledger::Generation, limits},
    git::{PackStore, repository::local_path},
    link::FileLink,
    reconcile::ports::{Link, Listing, Store, Upstream},
};

use crate::{
    support::{FILE, blob, device, git, git_oid, git_with, reads, snapshot},
    thin::repository,
};

const STATUS: &str = "refs/giter/status/site-a/pump-07";

fn list(path: &Path) -> Result<Listing> {
    FileLink::open(path, "main", STATUS).unwrap().list()
}

/// Fetches the branch as a new device does, and counts the objects that came.
fn fetch(path: &Path, store: &Path) -> Result<usize> {
    let mut link = FileLink::open(path, "main", STATUS).unwrap();
    let tip = link.list()?.branch;
    let mut store = PackStore::open(store).unwrap();
    let mut quarantine = store.quarantine(&Generation::default())?;
    link.fetch(reads(tip, None), &mut *quarantine)?;
    let generation = quarantine.promote(tip, device())?;
    let reader = store.objects(&generation)?;
    let tree = giter_edge::git::graph::lineage(&*reader, tip)?.unwrap().tree;
    Ok(1 + giter_edge::git::graph::below(&*reader, tree, &mut Default::default())?.len())
}

#[test]
fn a_repository_is_read_loose_packed_bare_cloned_and_shared() {
    let folder = tempfile::tempdir().unwrap();
    let work = folder.path().join("work");
    fs::create_dir(&work).unwrap();
    let tip = *repository(&work, 3).last().unwrap();
    let check = |path: &Path, name: &str| {
        assert_eq!(list(path).unwrap(), Listing { branch: tip, status: None }, "{name}");
        assert_eq!(fetch(path, &folder.path().join(name)).unwrap(), 14, "{name}");
    };
    check(&work, "loose");
    git(folder.path(), &["clone", "-q", "--bare", "--no-local", "work", "bare.git"]);
    check(&folder.path().join("bare.git"), "bare");
    git(folder.path(), &["clone", "-q", "--bare", "--shared", "work", "shared.git"]);
    check(&folder.path().join("shared.git"), "shared");
    git(&work, &["gc", "-q", "--aggressive", "--prune=now"]);
    git(&work, &["pack-refs", "--all"]);
    assert!(!work.join(".git/refs/heads/main").exists());
    check(&work, "packed");
    git(&work, &["repack", "-q", "-a", "-d", "--write-midx"]);
    check(&work, "midx");
    git(&work, &["checkout", "-q", "--detach"]);
    git(&work, &["branch", "-m", "main", "real"]);
    git(&work, &["symbolic-ref", "refs/heads/main", "refs/heads/real"]);
    check(&work, "symbolic");
}

#[test]
fn what_cannot_be_read_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    assert_eq!(list(&at("absent")).unwrap_err().reason(), Reason::RepositoryNotFound);
    assert_eq!(list(folder.path()).unwrap_err().reason(), Reason::RepositoryNotFound);
    git(folder.path(), &["init", "-q", "--bare", "--object-format=sha256", "sha256.git"]);
    let error = list(&at("sha256.git")).unwrap_err();
    assert_eq!(error.reason(), Reason::RepositoryUnsupported);
    assert!(error.to_string().contains("sha256"), "{error}");
    git(folder.path(), &["init", "-q", "--bare", "--ref-format=reftable", "reftable.git"]);
    assert_eq!(list(&at("reftable.git")).unwrap_err().reason(), Reason::RepositoryUnsupported);
    git(folder.path(), &["init", "-q", "--bare", "circle.git"]);
    fs::write(at("circle.git/refs/heads/main"), "ref: refs/heads/main\n").unwrap();
    assert_eq!(list(&at("circle.git")).unwrap_err().reason(), Reason::ProtocolError);
    fs::write(at("circle.git/refs/heads/main"), "junk\n").unwrap();
    assert_eq!(list(&at("circle.git")).unwrap_err().reason(), Reason::ProtocolError);
    for (branch, status) in [("", STATUS), ("a..b", STATUS), ("main", "refs/giter/status/x.lock"), ("main", "status")] {
        assert_eq!(FileLink::open(&at("x"), branch, status).err().map(|e| e.reason()), Some(Reason::BadConfig));
    }
}

#[test]
fn a_damaged_hub_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let work = folder.path().join("work");
    fs::create_dir(&work).unwrap();
    repository(&work, 1);
    let id = git_oid(&work, &["rev-parse", "HEAD:specs/dev/3.yaml"]).to_string();
    let path = work.join(format!(".git/objects/{}/{}", &id[..2], &id[2..]));
    let sound = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    assert_eq!(fetch(&work, &folder.path().join("a")).unwrap_err().reason(), Reason::PackInvalid);
    fs::write(&path, &sound[..sound.len() / 2]).unwrap();
    assert_eq!(fetch(&work, &folder.path().join("b")).unwrap_err().reason(), Reason::ProtocolError);
    let other = git_oid(&work, &["rev-parse", "HEAD:specs/dev/4.yaml"]).to_string();
    fs::copy(work.join(format!(".git/objects/{}/{}", &other[..2], &other[2..])), path.with_extension("new")).unwrap();
    fs::rename(path.with_extension("new"), &path).unwrap();
    assert_eq!(fetch(&work, &folder.path().join("c")).unwrap_err().reason(), Reason::ProtocolError);
    fs::remove_file(&path).unwrap();
    fs::write(&path, sound).unwrap();
    fetch(&work, &folder.path().join("d")).unwrap();
}

#[test]
fn an_object_over_the_limit_is_refused_before_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let work = folder.path().join("work");
    fs::create_dir(&work).unwrap();
    git(&work, &["init", "-q", "-b", "main"]);
    fs::create_dir_all(work.join("specs/dev")).unwrap();
    fs::write(work.join("specs/dev/image"), vec![0; limits::OBJECT_BYTES + 1]).unwrap();
    git(&work, &["add", "."]);
    git(&work, &["commit", "-q", "-m", "large"]);
    assert_eq!(fetch(&work, &folder.path().join("store")).unwrap_err().reason(), Reason::PackTooLarge);
}

#[test]
fn a_merge_brings_both_sides() {
    let folder = tempfile::tempdir().unwrap();
    let work = folder.path().join("work");
    fs::create_dir(&work).unwrap();
    let have = *repository(&work, 2).last().unwrap();
    let store = folder.path().join("store");
    git(&work, &["checkout", "-q", "-b", "side"]);
    fs::write(work.join("side"), "side\n").unwrap();
    git(&work, &["add", "."]);
    git(&work, &["commit", "-q", "-m", "side"]);
    let side = git_oid(&work, &["rev-parse", "HEAD"]);
    git(&work, &["checkout", "-q", "main"]);
    git(&work, &["merge", "-q", "--no-ff", "-m", "merge", "side"]);
    let tip = git_oid(&work, &["rev-parse", "HEAD"]);

    let mut link = FileLink::open(&work, "main", STATUS).unwrap();
    link.list().unwrap();
    let mut store = PackStore::open(&store).unwrap();
    let mut quarantine = store.quarantine(&Generation::default()).unwrap();
    link.fetch(reads(have, None), &mut *quarantine).unwrap();
    let base = quarantine.promote(have, device()).unwrap();
    let mut quarantine = store.quarantine(&base).unwrap();
    link.fetch(reads(tip, Some(have)), &mut *quarantine).unwrap();
    let lineage = giter_edge::git::graph::lineage(&*quarantine, tip).unwrap().unwrap();
    assert_eq!(lineage.parents, [have, side]);
    assert!(quarantine.has(side).unwrap());
    quarantine.promote(tip, device()).unwrap();
}

fn publish(path: &Path, old: Option<Oid>, content: &[u8]) -> Result<Oid> {
    let parents: Vec<_> = old.into_iter().collect();
    let objects = snapshot(content, &parents);
    let mut link = FileLink::open(path, "main", STATUS).unwrap();
    link.list()?;
    link.publish(old, objects[2].id, &objects).map(|()| objects[2].id)
}

#[test]
fn a_published_status_is_gits_own() {
    let folder = tempfile::tempdir().unwrap();
    repository(folder.path(), 1);
    git(folder.path(), &["config", "core.logAllRefUpdates", "always"]);
    let first = publish(folder.path(), None, b"one").unwrap();
    assert_eq!(git_oid(folder.path(), &["rev-parse", STATUS]), first);
    git(folder.path(), &["pack-refs", "--all"]);
    let second = publish(folder.path(), Some(first), b"two").unwrap();
    assert_eq!(git_oid(folder.path(), &["rev-parse", STATUS]), second);
    git(folder.path(), &["fsck", "--strict", "--full"]);
    assert_eq!(git(folder.path(), &["show", &format!("{STATUS}:{FILE}")]), b"two");
    assert!(!folder.path().join(".git/logs").join(STATUS).exists());
}

#[test]
fn a_status_that_cannot_be_published_is_said() {
    let folder = tempfile::tempdir().unwrap();
    repository(folder.path(), 1);
    let first = publish(folder.path(), None, b"one").unwrap();
    let lock = folder.path().join(".git").join(format!("{STATUS}.lock"));
    fs::write(&lock, b"").unwrap();
    assert_eq!(publish(folder.path(), Some(first), b"two").unwrap_err().reason(), Reason::PushRejected);
    fs::remove_file(&lock).unwrap();
    git(folder.path(), &["update-ref", "-d", STATUS]);
    assert_eq!(publish(folder.path(), Some(first), b"two").unwrap_err().reason(), Reason::StatusRefMoved);
    git(folder.path(), &["update-ref", "refs/giter/status/site-a", "HEAD"]);
    assert_eq!(publish(folder.path(), None, b"two").unwrap_err().reason(), Reason::PushRejected);
    let mut link = FileLink::open(folder.path(), "main", "refs/giter/status/b").unwrap();
    let mut liar = blob(b"one");
    liar.id = first;
    assert_eq!(link.list().unwrap().status, None);
    assert_eq!(link.publish(None, first, &[liar]).unwrap_err().reason(), Reason::Bug);
}

#[test]
fn urls_that_name_this_machine() {
    for (url, path) in [
        ("file:///srv/hub.git", Some("/srv/hub.git")),
        ("/srv/hub.git", Some("/srv/hub.git")),
        ("../hub.git", Some("../hub.git")),
        ("ssh://git@hub/srv/hub.git", None),
        ("git@hub:hub.git", None),
        ("https://hub/hub.git", None),
    ] {
        assert_eq!(local_path(url).as_deref(), path.map(Path::new), "{url}");
    }
}

/// One who is too far behind is told so; one who is elsewhere is told that, however long the branch is.
#[test]
fn a_base_that_leads_nowhere_is_told_from_one_that_is_far() {
    let folder = tempfile::tempdir().unwrap();
    git(folder.path(), &["init", "-q", "--bare", "-b", "main"]);
    let mut stream = String::new();
    for branch in iter::repeat_n("main", limits::RANGE_COMMITS + 2).chain(["other"]) {
        let commit = format!("commit refs/heads/{branch}\ncommitter A <a@x> 1700000000 +0000\ndata {}\n", branch.len());
        writeln!(stream, "{commit}{branch}").unwrap();
    }
    git_with(folder.path(), &["fast-import", "--quiet"], stream.as_bytes());
    let commit = |name: &str| git_oid(folder.path(), &["rev-parse", name]);
    let (most, tip) = (limits::RANGE_COMMITS, commit("main"));
    let mut link = FileLink::open(folder.path(), "main", STATUS).unwrap();
    let mut pack =
        |base| link.pack(base, tip, &mut |pack| io::copy(pack, &mut io::sink()).map(drop).map_err(|e| panic!("{e}")));
    assert!(!pack(commit("other")).unwrap());
    assert!(pack(commit(&format!("main~{most}"))).unwrap());
    assert_eq!(pack(commit(&format!("main~{}", most + 1))).unwrap_err().reason(), Reason::RangeTooLong);
}
