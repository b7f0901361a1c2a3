//! What a device is sent of a fleet by the real git, with filters and without.

use std::{cell::Cell, fmt::Write, fs, path::PathBuf, rc::Rc, time::Duration};

use giter_edge::{
    api::{DeviceId, Oid, Reason, ledger::Generation},
    git::{PackStore, graph, reads::Reads},
    reconcile::ports::{Link, Quarantine, Store, Upstream, Want},
};

use crate::support::{git, git_oid, git_with, pipe};

/// An exchange of many devices, `specs/<site>/<device>` with three files each, in a repository that git serves.
struct Fleet {
    folder: tempfile::TempDir,
    device: DeviceId,
    store: PackStore,
    generation: Generation,
}

const SITES: usize = 30;
const DEVICES: usize = 30;

impl Fleet {
    fn new(filters: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        git(folder.path(), &["init", "-q", "--bare", "-b", "main", "hub.git"]);
        let store = PackStore::open(&folder.path().join("store")).unwrap();
        let device = "site-07/device-03".parse().unwrap();
        let fleet = Self { folder, device, store, generation: Generation::default() };
        git(&fleet.hub(), &["config", "uploadpack.allowFilter", &filters.to_string()]);
        let mut files = vec![("exchange.yaml".to_owned(), "kind: Exchange".to_owned())];
        for (site, device, file) in (0..SITES * DEVICES * 3).map(|at| (at / 3 / DEVICES, at / 3 % DEVICES, at % 3)) {
            let text = format!("kind: File of {site} {device} {file}\n{}", text_of(site * 1000 + device * 10 + file));
            files.push((format!("specs/site-{site:02}/device-{device:02}/{file}.yaml"), text));
        }
        fleet.commit(&files);
        fleet
    }

    fn hub(&self) -> PathBuf {
        self.folder.path().join("hub.git")
    }

    /// Puts a commit on the branch that writes these files; one without text is removed.
    fn commit(&self, files: &[(String, String)]) -> Oid {
        let mut stream = String::from("commit refs/heads/main\ncommitter Ops <ops@x> 1700000000 +0000\ndata 3\nset\n");
        let is_first = git(&self.hub(), &["for-each-ref", "refs/heads/main"]).is_empty();
        stream.push_str(if is_first { "" } else { "from refs/heads/main^0\n" });
        for (path, text) in files {
            match text.len() {
                0 => writeln!(stream, "D {path}").unwrap(),
                size => write!(stream, "M 100644 inline {path}\ndata {size}\n{text}\n").unwrap(),
            }
        }
        git_with(&self.hub(), &["fast-import", "--quiet"], stream.as_bytes());
        git_oid(&self.hub(), &["rev-parse", "main"])
    }

    fn change(&self, path: &str, text: &str) -> Oid {
        self.commit(&[(path.into(), text.into())])
    }

    /// Fetches a tip on top of one, and promotes it; the bytes that passed.
    fn fetch(&mut self, link: &mut dyn Link, traffic: &Cell<usize>, have: Option<Oid>) -> (Oid, usize) {
        let tip = link.list().unwrap().branch;
        let before = traffic.get();
        let mut quarantine = self.store.quarantine(&self.generation).unwrap();
        link.fetch(Want::Tip { tip, have, device: &self.device }, &mut *quarantine).unwrap();
        let cost = traffic.get() - before;
        has_every_commit(&*quarantine, tip, have);
        self.generation = quarantine.promote(tip, &self.device).unwrap();
        self.is_git(tip);
        self.store.retain(&[&self.generation]).unwrap();
        (tip, cost)
    }

    /// The store has of the tip what git has of the device's folder.
    fn is_git(&self, tip: Oid) {
        let objects = self.store.objects(&self.generation).unwrap();
        let reads = Reads::of(&*objects, tip, &self.device).unwrap().whole().unwrap();
        let folder = format!("specs/{}", self.device);
        let list = git(&self.hub(), &["ls-tree", "-r", "-t", &tip.to_string(), &folder, "exchange.yaml"]);
        let list = String::from_utf8(list).unwrap();
        let mut expected: Vec<Oid> = list.lines().map(|line| line[12..52].parse().unwrap()).collect();
        expected.extend([tip, git_oid(&self.hub(), &["rev-parse", &format!("{tip}^{{tree}}")])]);
        let mut found: Vec<Oid> = reads.into_iter().map(|(id, _)| id).collect();
        found.sort();
        expected.sort();
        expected.dedup();
        assert_eq!(found, expected);
    }
}

fn text_of(seed: usize) -> String {
    crate::thin::text(seed as u32, 0)[..100].to_owned()
}

/// Every commit from one to the tip is there, with its root tree.
fn has_every_commit(objects: &dyn Quarantine, tip: Oid, have: Option<Oid>) {
    let mut at = tip;
    while have.is_some() && have != Some(at) {
        let lineage = graph::lineage(objects, at).unwrap().expect("a commit between is missing");
        assert!(objects.has(lineage.tree).unwrap(), "a root tree is missing");
        at = lineage.parents[0];
    }
}

/// Bytes of the trees on the way, as git packs them.
const WAY: usize = 2 * SITES * 30;

#[test]
fn a_first_sync_does_not_pay_for_the_fleet() {
    let mut fleet = Fleet::new(true);
    let (mut link, traffic) = pipe::link(fleet.hub());
    let (_, cost) = fleet.fetch(&mut link, &traffic, None);
    assert!(cost < WAY + 2000, "{cost} bytes");
}

#[test]
fn a_change_costs_what_changed() {
    let mut fleet = Fleet::new(true);
    let (mut link, traffic) = pipe::link(fleet.hub());
    let (first, _) = fleet.fetch(&mut link, &traffic, None);
    fleet.change("specs/site-07/device-03/1.yaml", "kind: changed");
    let (own, cost) = fleet.fetch(&mut link, &traffic, Some(first));
    assert!(cost < 1200, "our own change: {cost} bytes");
    fleet.change("specs/site-22/device-03/1.yaml", &text_of(7).repeat(50));
    let (other, cost) = fleet.fetch(&mut link, &traffic, Some(own));
    assert!(cost < 900, "a change elsewhere: {cost} bytes");
    fleet.change("exchange.yaml", "kind: Exchange 2");
    let (_, cost) = fleet.fetch(&mut link, &traffic, Some(other));
    assert!(cost < 900, "a new charter: {cost} bytes");
}

#[test]
fn many_changes_elsewhere_cost_their_proof_and_the_way() {
    let mut fleet = Fleet::new(true);
    let (mut link, traffic) = pipe::link(fleet.hub());
    let (first, _) = fleet.fetch(&mut link, &traffic, None);
    let commits = 60;
    for at in 0..commits {
        fleet.change(&format!("specs/site-{:02}/device-{:02}/0.yaml", at % 30, at / 2), &text_of(at).repeat(100));
    }
    // A link that never listed the branch does not know that few commits are new.
    let (mut link, traffic) = pipe::link(fleet.hub());
    let (_, cost) = fleet.fetch(&mut link, &traffic, Some(first));
    let proof = commits * 250;
    assert!(cost < proof + WAY + 1500, "{cost} bytes");
}

#[test]
fn a_few_changes_that_a_device_was_away_for_come_as_deltas_where_the_way_is_long() {
    let mut fleet = Fleet::new(true);
    let many = (100..700).map(|device| (format!("specs/site-07/device-{device}/0.yaml"), text_of(device)));
    fleet.commit(&many.collect::<Vec<_>>());
    let (mut link, traffic) = pipe::link(fleet.hub());
    let (mut have, _) = fleet.fetch(&mut link, &traffic, None);
    // Of 600 folders no name can be compressed.
    let whole = 600 * 20;
    for (path, is_long) in
        [("specs/site-07/device-03/1.yaml", true), ("specs/site-07/device-104/0.yaml", true), ("specs/x.yaml", false)]
    {
        fleet.change("specs/site-07/device-105/0.yaml", path);
        fleet.change(path, &text_of(7).repeat(50));
        let (mut link, traffic) = pipe::link(fleet.hub());
        let cost;
        (have, cost) = fleet.fetch(&mut link, &traffic, Some(have));
        assert_eq!(cost < whole / 3, is_long, "{path}: {cost} bytes");
    }
}

#[test]
fn one_commit_that_changes_every_device_costs_what_the_device_reads() {
    let mut fleet = Fleet::new(true);
    let (mut link, traffic) = pipe::link(fleet.hub());
    let (first, _) = fleet.fetch(&mut link, &traffic, None);
    let path = |site, device| format!("specs/site-{site:02}/device-{device:02}/0.yaml");
    let all = (0..SITES).flat_map(|site| (0..DEVICES).map(move |device| (path(site, device), text_of(site + device))));
    fleet.commit(&all.collect::<Vec<_>>());
    let (mut link, traffic) = pipe::link(fleet.hub());
    let (_, cost) = fleet.fetch(&mut link, &traffic, Some(first));
    assert!(cost < WAY + 3000, "{cost} bytes");
}

#[test]
fn a_file_beside_the_way_is_not_brought_to_a_device_that_was_away() {
    let mut fleet = Fleet::new(true);
    let (mut link, traffic) = pipe::link(fleet.hub());
    let (mut have, _) = fleet.fetch(&mut link, &traffic, None);
    for path in ["manual.pdf", "tools/manual.pdf", "specs/manual.pdf", "specs/site-22/manual.pdf"] {
        let huge: String = (0..20_000).map(text_of).collect();
        fleet.change(path, &huge);
        let (mut link, traffic) = pipe::link(fleet.hub());
        let cost;
        (have, cost) = fleet.fetch(&mut link, &traffic, Some(have));
        assert!(cost < WAY + 2000, "{path}: {cost} bytes");
    }
}

#[test]
fn a_hub_without_filters_brings_the_same() {
    let mut fleet = Fleet::new(false);
    let (mut link, traffic) = pipe::link(fleet.hub());
    let (first, whole) = fleet.fetch(&mut link, &traffic, None);
    fleet.change("specs/site-07/device-03/1.yaml", "kind: changed");
    let (own, _) = fleet.fetch(&mut link, &traffic, Some(first));
    for at in 0..40 {
        fleet.change(&format!("specs/site-{:02}/device-{:02}/0.yaml", at % 30, at / 2), &text_of(at));
    }
    let (_, cost) = fleet.fetch(&mut link, &traffic, Some(own));
    assert!(cost * 5 < whole, "{cost} bytes for forty changes, {whole} for everything");
}

#[test]
fn a_hub_that_refuses_some_filters_brings_the_same() {
    for (key, value, is_cheap) in [("allow", "false", false), ("maxDepth", "0", true), ("maxDepth", "2", true)] {
        let mut fleet = Fleet::new(true);
        git(&fleet.hub(), &["config", &format!("uploadpackfilter.tree.{key}"), value]);
        let (mut link, traffic) = pipe::link(fleet.hub());
        let (first, cost) = fleet.fetch(&mut link, &traffic, None);
        assert_eq!(cost < WAY + 5000, is_cheap, "{key} {value}: {cost} bytes");
        fleet.change("specs/site-07/device-03/1.yaml", "kind: changed");
        let (own, _) = fleet.fetch(&mut link, &traffic, Some(first));
        for at in 0..10 {
            fleet.change(&format!("specs/site-{at:02}/device-03/0.yaml"), &text_of(at));
        }
        let (mut link, traffic) = pipe::link(fleet.hub());
        fleet.fetch(&mut link, &traffic, Some(own));
        let (mut link, _) = pipe::link(fleet.hub());
        link.list().unwrap();
        assert_eq!(link.sends_all().unwrap(), !is_cheap, "{key} {value}");
        link.list().unwrap();
    }
}

#[test]
fn packs_of_an_earlier_version_are_read_and_replaced() {
    let mut fleet = Fleet::new(true);
    let first = git_oid(&fleet.hub(), &["rev-parse", "main"]);
    let second = fleet.change("specs/site-07/device-03/1.yaml", "kind: changed");
    // It kept whole trees, and added a pack for each tip.
    let packs = fleet.folder.path().join("store/packs");
    let pack = |range: String| -> Oid {
        let stem = packs.join("pack").display().to_string();
        let args = ["-c", "pack.writeReverseIndex=false", "pack-objects", "-q", "--revs", &stem];
        String::from_utf8(git_with(&fleet.hub(), &args, range.as_bytes())).unwrap().trim().parse().unwrap()
    };
    fleet.generation.packs = vec![pack(format!("{first}\n")), pack(format!("{second}\n^{first}\n"))];
    assert_eq!(fleet.store.recover(&[&fleet.generation]).unwrap(), [true]);
    fleet.is_git(second);
    fleet.change("specs/site-22/device-03/1.yaml", &text_of(7));
    let (mut link, traffic) = pipe::link(fleet.hub());
    fleet.fetch(&mut link, &traffic, Some(second));
    assert_eq!(fleet.generation.packs.len(), 1);
    assert_eq!(fs::read_dir(packs).unwrap().count(), 2, "a pack and its index");
}

#[test]
fn a_folder_that_comes_and_goes_is_followed() {
    for filters in [true, false] {
        let mut fleet = Fleet::new(filters);
        let (mut link, traffic) = pipe::link(fleet.hub());
        let (mut have, _) = fleet.fetch(&mut link, &traffic, None);
        let own = "specs/site-07/device-03/";
        let mut goes: Vec<_> = (0..3).map(|file| (format!("{own}{file}.yaml"), String::new())).collect();
        goes.push(("specs/site-07/device-30/0.yaml".into(), "moved".into()));
        fleet.commit(&goes);
        (have, _) = fleet.fetch(&mut link, &traffic, Some(have));
        fleet.commit(&[(format!("{own}deep/er/0.yaml"), "moved".into()), (format!("{own}1.yaml"), text_of(1))]);
        (have, _) = fleet.fetch(&mut link, &traffic, Some(have));
        // What is now another device's folder is in this one's, and the charter is the content of another file.
        fleet.device = "site-07".parse().unwrap();
        fleet.commit(&[("exchange.yaml".into(), text_of(4)), ("specs/site-07/0.yaml".into(), text_of(4))]);
        (have, _) = fleet.fetch(&mut link, &traffic, Some(have));
        fleet.device = "site-07/device-03/deep".parse().unwrap();
        fleet.change("specs/site-07/device-03/deep/1.yaml", "kind: one");
        fleet.fetch(&mut link, &traffic, Some(have));
    }
}

#[test]
fn the_store_is_as_large_after_many_changes_as_after_few() {
    let mut fleet = Fleet::new(true);
    let (mut link, traffic) = pipe::link(fleet.hub());
    let (mut have, _) = fleet.fetch(&mut link, &traffic, None);
    let size = |fleet: &Fleet| -> Vec<u64> {
        let packs = fs::read_dir(fleet.folder.path().join("store/packs")).unwrap();
        let mut sizes: Vec<_> = packs.map(|entry| entry.unwrap().metadata().unwrap().len()).collect();
        sizes.sort_unstable();
        sizes
    };
    let first = size(&fleet);
    assert_eq!(first.len(), 2, "a pack and its index");
    for round in 0..20 {
        let path = format!("specs/site-07/device-{:02}/1.yaml", 3 + round % 2);
        fleet.change(&path, &text_of(round));
        (have, _) = fleet.fetch(&mut link, &traffic, Some(have));
        let now = size(&fleet);
        assert!(now[1].abs_diff(first[1]) < 100 && now[0].abs_diff(first[0]) < 100 && now.len() == 2, "{now:?}");
    }
}

#[test]
fn a_person_looks_inside_with_git() {
    let mut fleet = Fleet::new(true);
    let (mut link, traffic) = pipe::link(fleet.hub());
    let (tip, _) = fleet.fetch(&mut link, &traffic, None);
    let look = fleet.folder.path().join("look");
    git(fleet.folder.path(), &["init", "-q", "--bare", "look"]);
    for pack in fs::read_dir(fleet.folder.path().join("store/packs")).unwrap().map(Result::unwrap) {
        fs::copy(pack.path(), look.join("objects/pack").join(pack.file_name())).unwrap();
    }
    let file = format!("{tip}:specs/{}/1.yaml", fleet.device);
    assert_eq!(git(&look, &["cat-file", "blob", &file]), git(&fleet.hub(), &["cat-file", "blob", &file]));
    let folder = format!("specs/{}/", fleet.device);
    let list = |repository| git(repository, &["ls-tree", "-r", &tip.to_string(), &folder]);
    assert_eq!(list(&look), list(&fleet.hub()));
}

/// Where git was told that a history ends, it says so for ever.
#[test]
fn what_a_gateway_fetches_for_others_does_not_spoil_what_it_fetches_itself() {
    for filters in [true, false] {
        let mut fleet = Fleet::new(filters);
        let path = "specs/site-07/device-03/0.yaml";
        let own = fleet.change(path, "own");
        let [between, others, tip] = ["between", "others", "tip"].map(|text| fleet.change(path, text));
        let other: DeviceId = "site-08/device-04".parse().unwrap();
        let seed = |hub: &mut dyn Upstream, into: &mut dyn Quarantine| {
            hub.fetch(Want::Tip { tip: others, have: None, device: &other }, into).unwrap();
        };
        let since = |hub: &mut dyn Upstream, into: &mut dyn Quarantine| {
            assert!(hub.pack(others, tip, &mut |pack| into.ingest(pack)).unwrap());
        };
        for carry in [&seed as &dyn Fn(&mut dyn Upstream, &mut dyn Quarantine), &since] {
            let (mut link, traffic) = pipe::with(fleet.hub(), Duration::MAX, &Rc::default());
            link.list().unwrap();
            link.rest();
            let mut theirs = PackStore::open(&fleet.folder.path().join("theirs")).unwrap();
            carry(link.upstream().unwrap(), &mut *theirs.quarantine(&Generation::default()).unwrap());
            link.rest();
            link.list().unwrap();
            let mut quarantine = fleet.store.quarantine(&Generation::default()).unwrap();
            link.fetch(Want::Tip { tip, have: Some(own), device: &fleet.device }, &mut *quarantine).unwrap();
            for commit in [between, others, tip] {
                assert!(quarantine.has(commit).unwrap(), "{commit}");
            }
            // What was fetched for nobody else goes on as it is.
            let before = traffic.get();
            link.rest();
            link.list().unwrap();
            assert!(traffic.get() - before < 200, "{}", traffic.get() - before);
        }
    }
}

/// A hub that gives up over a base is told from one that is lost.
#[test]
fn a_lost_connection_does_not_say_that_a_base_leads_nowhere() {
    let fleet = Fleet::new(true);
    let base = git_oid(&fleet.hub(), &["rev-parse", "main"]);
    let tip = fleet.change("specs/site-07/device-03/0.yaml", "two");
    let cut = Rc::new(Cell::new(false));
    let (mut link, _) = pipe::with(fleet.hub(), Duration::ZERO, &cut);
    link.list().unwrap();
    let mut pack = |is_cut| {
        link.upstream().unwrap().refs(&[]).unwrap();
        cut.set(is_cut);
        link.upstream().unwrap().pack(base, tip, &mut |pack| {
            std::io::copy(pack, &mut std::io::sink()).unwrap();
            Ok(())
        })
    };
    assert_eq!(pack(true).unwrap_err().reason(), Reason::RepositoryNotFound, "as the pipe calls it");
    assert!(pack(false).unwrap());
}
