//! Bundles by somebody who means harm, or by a git that left something out: each is refused with its reason, costs little
//! memory and no disk, changes nothing, and leaves the device ready for the next sound one.

use std::{fs, path::Path};

use giter_edge::api::{Oid, limits};

use super::{
    common::{
        exchange::{By, DEVICE, Exchange, status_ref},
        hub::git,
        stick::Site,
    },
    packfile::{REF_DELTA, entry, number, sealed, sha1},
};

const BLOB: u8 = 3;
const OFS_DELTA: u8 = 6;

/// Most memory that a refusal may take, in KiB.
const PEAK: u64 = 32 << 10;
/// Most that the state folder may grow by when something is refused: the ledger, and the status that says so.
const GROWTH: usize = 64 << 10;

/// A site whose device has accepted one commit, and a sound bundle of the next.
struct Attack {
    site: Site,
    first: Oid,
    second: Oid,
    /// The pack of the sound bundle.
    pack: Vec<u8>,
}

impl Attack {
    fn new() -> Self {
        Self::of(Exchange::new())
    }

    fn of(exchange: Exchange) -> Self {
        let (site, first) = Site::begun_with(exchange);
        let second = site.commit("two");
        site.bundle(&site.own(), &[&format!("{first}..main")]);
        let bundle = fs::read(site.own()).unwrap();
        let pack = bundle.windows(4).position(|bytes| bytes == b"PACK").unwrap();
        Self { first, second, pack: bundle[pack..].to_vec(), site }
    }

    /// The sound header, with no words of git's in it, before a pack.
    fn with(&self, pack: &[u8]) -> Vec<u8> {
        let mut bundle = format!("# v2 git bundle\n-{}\n{} refs/heads/main\n\n", self.first, self.second).into_bytes();
        bundle.extend(pack);
        bundle
    }

    /// That a bundle is refused for one of these reasons, within its bounds, and that nothing is applied.
    fn refused(&self, what: &str, bundle: &[u8], reasons: &[&str]) {
        fs::write(self.site.own(), bundle).unwrap();
        self.check_refusal(what, reasons);
    }

    fn check_refusal(&self, what: &str, reasons: &[&str]) {
        let device = &self.site.device;
        let before = self.state_bytes();
        let own = self.site.own().display().to_string();
        let stick = self.site.exchange.beside("stick").display().to_string();
        for arguments in [["sync", "--stick", &stick], ["sync", "--bundle", &own]] {
            let run = device.run_by("/usr/bin/time", &["-q", "-f", "peak: %M"], &arguments);
            assert!(reasons.contains(&run.said("reason")), "{what}, {}: {}", arguments[1], run.err);
            let peak: u64 = run.said("peak").parse().unwrap();
            assert!(peak < PEAK, "{what}, {}: {peak} KiB", arguments[1]);
            self.check_unchanged(what);
        }
        assert!(self.state_bytes() < before + GROWTH, "{what}: {before} bytes became {}", self.state_bytes());
    }

    fn check_unchanged(&self, what: &str) {
        assert_eq!(self.site.says(), "one", "{what}");
        assert_eq!(self.site.device.record().tip.unwrap().commit, self.first, "{what}");
    }

    fn state_bytes(&self) -> usize {
        self.site.device.state().into_values().filter_map(|stamp| stamp.content).map(|content| content.len()).sum()
    }

    /// The control: the sound bundle is taken.
    fn end(&self) {
        fs::write(self.site.own(), self.with(&self.pack)).unwrap();
        self.site.taken(self.second, "two");
    }
}

/// A pack of entries that says how many it has.
fn pack(count: u32, entries: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut pack = [&b"PACK\0\0\0\x02"[..], &count.to_be_bytes()].concat();
    entries(&mut pack);
    sealed(pack)
}

/// Tries a bundle without each of its ends, and with each byte changed; `unchanged` says what has to stay as it is.
fn cut_and_changed(site: &Site, sound: &[u8], unchanged: impl Fn(&str)) {
    let file = site.exchange.beside("tried.bundle");
    let refused = |what: String, bundle: &[u8], reasons: &[&str]| {
        fs::write(&file, bundle).unwrap();
        let run = site.take(&file);
        assert!(reasons.contains(&run.said("reason")), "{what}: {}", run.err);
        unchanged(&what);
    };
    for end in 0..sound.len() {
        refused(format!("cut at {end}"), &sound[..end], &["BundleInvalid", "PackInvalid"]);
    }
    // Another tip, base or ref that is well-formed is not there; a count may be beyond what is taken.
    let header = ["BundleInvalid", "BundleBaseMissing", "BranchNotFound", "CommitNotFound"];
    let pack = sound.windows(4).position(|bytes| bytes == b"PACK").unwrap();
    for at in 0..sound.len() {
        let mut bundle = sound.to_vec();
        bundle[at] ^= 4;
        let reasons = if at < pack { &header[..] } else { &["PackInvalid", "PackTooLarge"] };
        refused(format!("changed at {at}"), &bundle, reasons);
    }
}

#[test]
fn cut_or_changed_at_every_byte() {
    let attack = Attack::of(Exchange::in_memory());
    cut_and_changed(&attack.site, &attack.with(&attack.pack), |what| attack.check_unchanged(what));
    attack.end();
}

#[test]
fn a_seed_that_is_cut_or_changed_at_every_byte() {
    let site = Site::with(Exchange::in_memory());
    let first = site.commit("one");
    let run =
        site.giterctl(&["export", "--offline", "--to", &site.exchange.beside("stick").display().to_string(), DEVICE]);
    assert_eq!(run.exit, Some(0), "{}", run.err);
    let seed = fs::read(site.own()).unwrap();
    assert!(
        seed.starts_with(format!("# v2 git bundle\n{first} ").as_bytes()),
        "it needs nothing that was there before"
    );
    cut_and_changed(&site, &seed, |what| {
        assert_eq!((site.says().as_str(), site.device.record().tip), ("", None), "{what}");
    });
    fs::write(site.own(), seed).unwrap();
    site.taken(first, "one");
}

/// The line of a seed by which a device that lost its state finds what it said last.
#[test]
fn a_seed_whose_status_is_changed_at_every_byte() {
    let site = Site::with(Exchange::in_memory());
    site.approve();
    let first = site.commit("one");
    let stick = site.exchange.beside("stick").display().to_string();
    let hub = |verb: &str, arguments: &[&str]| {
        let run = site.giterctl(&[&[verb, "--offline"], arguments].concat());
        assert_eq!(run.exit, Some(0), "{}", run.err);
    };
    hub("export", &["--to", &stick, DEVICE]);
    site.taken(first, "one");
    hub("import", &[&stick]);
    hub("export", &["--to", &stick, "--seed", DEVICE]);
    let seed = fs::read(site.own()).unwrap();
    let line = format!("{} {}\n", site.device.record().status.unwrap().commit, status_ref());
    let at = seed.windows(line.len()).position(|bytes| bytes == line.as_bytes()).unwrap();
    let after = |bundle: &[u8]| {
        fs::remove_dir_all(site.device.path("state")).unwrap();
        fs::write(site.own(), bundle).unwrap();
        let run = site.visit();
        (run, site.device.record())
    };
    let mut refused = 0;
    for at in at..at + line.len() {
        let mut bundle = seed.clone();
        bundle[at] ^= 4;
        // Where it names nothing of this device's, that is as if it were not there; what the commit is to prove holds as ever.
        match after(&bundle) {
            (run, record) if run.exit == Some(0) => {
                assert_eq!(record.tip.map(|tip| tip.commit), Some(first), "{at}");
                assert_eq!(record.status.unwrap().sequence, 1, "{at}");
            }
            (run, record) => {
                assert_eq!((run.said("reason"), record.tip), ("BundleInvalid", None), "{at}: {}", run.err);
                refused += 1;
            }
        }
    }
    assert!((1..line.len()).contains(&refused), "{refused} of {} are refused", line.len());
    let (run, record) = after(&seed);
    assert_eq!((run.exit, record.tip.map(|tip| tip.commit)), (Some(0), Some(first)), "{}", run.err);
    assert_eq!(record.status.unwrap().sequence, 2, "it goes on from what it said");
}

#[test]
fn a_header_that_never_ends_or_asks_for_more() {
    let attack = Attack::new();
    let refused = |what: &str, bundle: &[u8]| attack.refused(what, bundle, &["BundleInvalid"]);
    let id = attack.second.to_string();
    refused("no end of line", &[b"# v2 git bundle\n-", "x".repeat(8 << 20).as_bytes()].concat());
    refused(
        "a million refs",
        &[&b"# v2 git bundle\n"[..], format!("{id} refs/x\n").repeat(1_000_000).as_bytes()].concat(),
    );
    refused("a million bases", &[&b"# v2 git bundle\n"[..], format!("-{id}\n").repeat(1_000_000).as_bytes()].concat());
    for (from, to) in [
        ("# v2", "# v4"),
        ("# v2 git bundle\n", "# v3 git bundle\n@object-format=sha256\n"),
        ("# v2 git bundle\n", "# v3 git bundle\n@unheard-of\n"),
        ("# v2 git bundle\n", "# v2 git bundle\n@filter=blob:none\n"),
    ] {
        let header = String::from_utf8(attack.with(b"")).unwrap().replace(from, to);
        refused(to, &[header.as_bytes(), &attack.pack].concat());
    }
    attack.end();
}

#[test]
fn a_pack_that_lies() {
    let attack = Attack::new();
    let refused = |what: &str, pack: &[u8], reasons: &[&str]| attack.refused(what, &attack.with(pack), reasons);
    // The entry that is one too many is the checksum: how large that says to be is chance.
    let one_more = ["PackInvalid", "PackTooLarge"];
    for (by, reasons) in [(1, &one_more[..]), (u32::MAX, &one_more[..1]), (u32::MAX / 2, &one_more[1..])] {
        let mut lying = attack.pack[..attack.pack.len() - 20].to_vec();
        let count = u32::from_be_bytes(lying[8..12].try_into().unwrap()).wrapping_add(by);
        lying[8..12].copy_from_slice(&count.to_be_bytes());
        refused(&format!("a count of {count}"), &sealed(lying), reasons);
    }
    let zeros = [0; 65536];
    let base = sha1(&[b"blob 65536\0", &zeros]);
    let bomb = [number(65536), number(60_000 * 65536), vec![0x80; 60_000]].concat();
    let bomb = pack(2, |pack| {
        entry(pack, BLOB, 65536, b"", &zeros);
        entry(pack, REF_DELTA, bomb.len() as u64, &base, &bomb);
    });
    refused("a delta that explodes", &bomb, &["PackTooLarge"]);
    let copy = [number(1), number(1), vec![1, 0]].concat();
    let cycle = pack(2, |pack| {
        entry(pack, REF_DELTA, copy.len() as u64, &[1; 20], &copy);
        entry(pack, REF_DELTA, copy.len() as u64, &[2; 20], &copy);
    });
    refused("deltas on nothing", &cycle, &["CommitNotFound"]);
    let own = pack(1, |pack| entry(pack, OFS_DELTA, copy.len() as u64, &[0], &copy));
    refused("a delta on itself", &own, &["PackInvalid"]);
    attack.end();
}

#[test]
fn gigabytes_of_nothing() {
    let attack = Attack::new();
    let zeros = |bytes: u64| fs::File::options().write(true).open(attack.site.own()).unwrap().set_len(bytes).unwrap();
    fs::write(attack.site.own(), "").unwrap();
    zeros(4 << 30);
    attack.check_refusal("4 GiB of zeros", &["PackTooLarge"]);
    zeros(limits::BUNDLE_BYTES);
    attack.check_refusal("as many zeros as are read", &["BundleInvalid"]);
    fs::write(attack.site.own(), attack.with(b"")).unwrap();
    zeros(limits::BUNDLE_BYTES);
    attack.check_refusal("zeros for a pack", &["PackInvalid"]);
    fs::write(attack.site.own(), attack.with(&attack.pack)).unwrap();
    zeros(limits::PACK_BYTES);
    attack.check_refusal("zeros after the pack", &["PackInvalid", "PackTooLarge"]);
    attack.end();
}

#[test]
fn what_is_meant_for_somebody_else() {
    let attack = Attack::new();
    let other = Exchange::new();
    other.write("specs/pump-07/all.yaml", "");
    other.publish();
    let file = attack.site.own().display().to_string();
    other.hub.git(&["bundle", "create", "--quiet", &file, "main"]);
    attack.check_refusal("another exchange's", &["NotFastForward", "UntrustedKey"]);
    let pinned = "[trust]\nexchange = \"5f0c1f0e3d5b4d0e9a7c2b6e8f1a4c3d\"\n";
    let config = attack.site.device.config();
    attack.site.device.write_config(&config.replace("[trust]\n", pinned));
    fs::write(attack.site.own(), attack.with(&attack.pack)).unwrap();
    let run = attack.site.visit();
    assert_eq!((run.said("reason"), run.exit), ("", Some(0)), "the stick has another exchange's alone: {}", run.err);
    attack.check_unchanged("another exchange's folder");
    attack.site.device.write_config(&config);
    // It stands on a base that the device has, and does not lead to it.
    let third = attack.site.commit("three");
    attack.site.bundle(&attack.site.own(), &[&format!("{}..main", attack.second)]);
    let lying = fs::read(attack.site.own()).unwrap();
    let at = lying.windows(40).position(|bytes| bytes == attack.second.to_string().as_bytes()).unwrap();
    let lying = [&lying[..at], attack.first.to_string().as_bytes(), &lying[at + 40..]].concat();
    attack.refused("a base that is not its own", &lying, &["PackInvalid"]);
    attack.site.exchange.commit(By::Eve);
    attack.site.exchange.push();
    attack.site.bundle(&attack.site.own(), &[&format!("{}..main", attack.first)]);
    attack.check_refusal("somebody's", &["UntrustedKey"]);
    attack.site.exchange.reset(third);
    attack.site.exchange.push();
    attack.end();
}

/// A charter with an id.
fn charter(id: &str) -> String {
    format!(
        "apiVersion: edge.giter.dev/v1alpha1\nkind: Exchange\nmetadata: {{name: plant-7}}\n\
         spec: {{id: {id}, branch: main}}\n"
    )
}

#[test]
fn another_exchange_that_the_same_publisher_signed() {
    const MINE: &str = "5f0c1f0e3d5b4d0e9a7c2b6e8f1a4c3d";
    const OTHER: &str = "00000000000000000000000000000007";
    let site = Site::new();
    let stick = |exchange: &str| site.exchange.beside("stick/GITER").join(exchange).join("to-device/pump-07.bundle");
    let offer = |exchange: &str| {
        let bundle = stick(exchange);
        fs::create_dir_all(bundle.parent().unwrap()).unwrap();
        site.bundle(&bundle, &["main"]);
        bundle
    };
    site.exchange.write("exchange.yaml", charter(OTHER));
    let other = site.commit("other");
    let others = offer(OTHER);
    site.exchange.git(&["checkout", "--quiet", "--orphan", "mine"]);
    site.exchange.write("exchange.yaml", charter(MINE));
    let first = site.commit("one");
    let mine = offer(MINE);

    // The operator named the exchange: nothing else is looked at, and under its name nothing else is taken.
    site.device.set("TRUST_EXCHANGE", MINE);
    fs::remove_file(&mine).unwrap();
    assert_eq!(site.visit().said("reason"), "", "the stick has something of the other exchange alone");
    fs::copy(&others, &mine).unwrap();
    site.refused("ExchangeMismatch", 1);
    let refused = |reasons: &[&str]| {
        let run = site.take(&others);
        assert!(reasons.contains(&run.said("reason")), "{}", run.err);
    };
    refused(&["ExchangeMismatch"]);
    offer(MINE);
    site.taken(first, "one");

    // So it is with the one that the device has pinned by itself.
    site.device.unset();
    let second = site.commit("two");
    fs::copy(&others, &mine).unwrap();
    site.refused("NotFastForward", 1);
    refused(&["NotFastForward"]);
    // The other exchange goes on from this one's history.
    site.exchange.write("exchange.yaml", charter(OTHER));
    site.commit("other");
    offer(MINE);
    site.refused("ExchangeMismatch", 1);
    site.exchange.reset(second);
    site.exchange.push();
    offer(MINE);
    site.taken(second, "two");

    // And the other one is sound: a device of that exchange takes it.
    fs::remove_dir_all(site.device.path("state")).unwrap();
    fs::remove_file(&mine).unwrap();
    site.taken(other, "other");
}

/// What git says is whole, and is not: with bitmaps it takes for known whatever the history of a base had.
#[test]
fn what_a_hub_with_bitmaps_leaves_out_is_missed() {
    let site = Site::new();
    site.commit("one");
    let second = site.commit("two");
    site.bundle(&site.own(), &["main"]);
    let seed =
        site.giterctl(&["export", "--offline", "--to", &site.exchange.beside("stick").display().to_string(), DEVICE]);
    assert_eq!(seed.exit, Some(0), "{}", seed.err);
    site.taken(second, "two");
    // As a hub has it that was tidied up, and told to keep a pack.
    let third = site.commit("one");
    site.exchange.hub.git(&["repack", "--quiet", "-a", "-d", "--write-bitmap-index"]);
    site.exchange.hub.git(&["commit-graph", "write", "--reachable"]);
    let packs = fs::read_dir(site.exchange.hub.path().join("objects/pack")).unwrap();
    let pack = packs.map(|entry| entry.unwrap().path()).find(|path| path.extension().is_some_and(|e| e == "pack"));
    let pack = pack.unwrap();
    assert!(pack.with_extension("bitmap").exists());
    fs::write(pack.with_extension("keep"), "").unwrap();
    let since = format!("{second}..main");
    site.bundle(&site.own(), &[&since]);
    let run = site.refused("PackInvalid", 3);
    assert!(run.said("hint").contains("export again"), "{}", run.err);
    site.exchange.hub.git(&["config", "pack.useBitmaps", "false"]);
    site.bundle(&site.own(), &[&since]);
    site.taken(third, "one");
    // What is whole is taken, bitmaps or not.
    site.exchange.hub.git(&["config", "pack.useBitmaps", "true"]);
    fs::remove_dir_all(site.device.path("state")).unwrap();
    fs::remove_file(site.device.path("files/motd")).unwrap();
    site.bundle(&site.own(), &["main"]);
    site.taken(third, "one");
}

#[test]
fn what_git_leaves_out_is_missed() {
    let attack = Attack::new();
    let own = attack.site.own();
    let create = |repository: &Path, arguments: &[&str]| {
        let file = own.display().to_string();
        git(repository, &[&["bundle", "create", "--quiet", &file], arguments].concat());
    };
    create(&attack.site.exchange.hub.path(), &["--filter=blob:none", "main"]);
    attack.check_refusal("without blobs", &["PackInvalid"]);
    let clone = attack.site.exchange.beside("clone");
    let shallow = || {
        let hub = format!("file://{}", attack.site.exchange.hub.path().display());
        let target = clone.display().to_string();
        let clone = ["clone", "--quiet", "--bare", "--depth=1", "--branch=main", &hub, &target];
        git(&attack.site.exchange.hub.path(), &clone);
    };
    // The next after what is accepted needs nothing of what was cut off.
    shallow();
    create(&clone, &["main"]);
    attack.site.taken(attack.second, "two");
    attack.site.commit("three");
    let fourth = attack.site.commit("four");
    fs::remove_dir_all(&clone).unwrap();
    shallow();
    create(&clone, &["main"]);
    attack.site.refused("NotFastForward", 1);
    create(&attack.site.exchange.hub.path(), &[&format!("{}..main", attack.second)]);
    attack.site.taken(fourth, "four");
}
