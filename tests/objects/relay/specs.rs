//! What comes into the folder for devices, and what that costs.

use std::{fs, os::unix::fs::symlink, path::PathBuf};

use giter_edge::{
    api::{DeviceId, Oid, Reason, ledger::Generation, limits},
    git::{PackStore, bundle, gaps, graph, reads::Reads},
    reconcile::ports::{Link, Store, Want},
};

use super::{Device, EXCHANGE, FAN, PUMP, START, Site, each, files, taken};
use crate::support::{git, git_oid, git_with};

/// Letters that do not compress.
fn noise(mut seed: u32, length: usize) -> String {
    let letters = std::iter::repeat_with(|| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(b'a' + (seed >> 24) as u8 % 26)
    });
    letters.take(length).collect()
}

#[test]
fn devices_go_from_a_seed_to_what_is_new_and_a_quiet_hub_is_asked_for_nothing() {
    each(|site| {
        let (mut pump, mut fan) = (Device::new(PUMP), Device::new(FAN));
        let first = site.commit(&START);
        assert_eq!(site.passes(), [vec!["pump-07.bundle".to_owned(), "fan-01.bundle".into()], vec![]]);
        let mut store = PackStore::open(&site.dir.path().join("store")).unwrap();
        let seed = site.kept("to-device/site-a/pump-07.bundle");
        let before = taken(&mut store, &seed, &Generation::default()).promote(first, &pump.id).unwrap();
        for device in [&mut pump, &mut fan] {
            device.say(first);
            site.says(device);
        }
        let acks = vec!["pump-07.ack".to_owned(), "fan-01.ack".into()];
        assert_eq!(site.passes(), [acks.clone(), vec!["pump-07.bundle".into(), "fan-01.bundle".into()]]);
        assert_eq!((site.at_hub(&pump), site.at_hub(&fan)), (pump.tip, fan.tip));
        assert_eq!(
            fs::read_to_string(site.kept("to-device/site-a/pump-07.ack")).unwrap(),
            format!("{}\n", pump.tip.unwrap())
        );
        assert!(site.bundles().is_empty(), "who has the tip needs none");

        let clone = site.clone_of_hub("clone.git");
        site.commit(&[("specs/site-a/pump-07/x", "pump two"), ("specs/site-b/fan-01/x", "fan two")]);
        let tip = site.commit(&[("specs/site-c/other/x", "other two")]);
        let shared = format!("_{}-{}.bundle", tip.short(), first.short());
        assert_eq!(site.passes(), [vec![shared.clone()], vec![]]);
        assert_eq!(site.bundles(), std::slice::from_ref(&shared));
        let file = site.kept(&format!("to-device/{shared}"));
        let path = file.display().to_string();
        git(&clone, &["bundle", "verify", "-q", &path]);
        git(&clone, &["fetch", "-q", &path, "main:new"]);
        assert_eq!(git_oid(&clone, &["rev-parse", "new"]), tip);
        git(&clone, &["fsck", "--strict", "--no-dangling"]);
        let quarantine = taken(&mut store, &file, &before);
        Reads::of(&*quarantine, tip, &pump.id).unwrap().whole().unwrap();
        drop(quarantine);

        // What changed nothing costs nothing but the listing of the tick.
        let listing = |site: &mut Site| {
            let before = site.traffic.get();
            site.link.list().unwrap();
            site.link.rest();
            site.traffic.get() - before
        };
        let alone = listing(site);
        let before = site.traffic.get();
        assert_eq!(site.passes(), [const { Vec::<String>::new() }; 2]);
        assert_eq!(site.traffic.get() - before, alone);
        // One of them says more: that alone is asked about and handed on.
        pump.is_heard();
        pump.say(tip);
        site.says(&pump);
        assert_eq!(site.passes(), [vec![acks[0].clone()], vec!["pump-07.bundle".into()]]);
        assert_eq!((site.at_hub(&pump), site.served(PUMP).base), (pump.tip, Some(tip)));
        // The other one is alone now with what was for both.
        fan.is_heard();
        fan.say(first);
        site.says(&fan);
        site.passes();
        assert_eq!(site.bundles(), [shared]);
        let next = site.commit(&[("exchange.yaml", "two")]);
        site.passes();
        assert_eq!(site.bundles(), ["fan-01.bundle", "pump-07.bundle"], "each has another commit, up to {next}");
    });
}

#[test]
fn what_was_another_devices_comes_along() {
    each(|site| {
        let mut fan = Device::new(FAN);
        let first = site.commit(&[&START[..], &[("specs/site-a/pump-07/deep/notes", "the same")]].concat());
        site.passes();
        let mut store = PackStore::open(&site.dir.path().join("store")).unwrap();
        let seed = site.kept("to-device/site-b/fan-01.bundle");
        let before = taken(&mut store, &seed, &Generation::default()).promote(first, &fan.id).unwrap();
        fan.say(first);
        site.says(&fan);
        site.passes();
        // A commit between has it, too, and the tip has not.
        let between = site.commit(&[("specs/site-b/fan-01/deep/notes", "the same"), ("specs/site-b/fan-01/y", "pump")]);
        let tip = site.commit(&[("specs/site-b/fan-01/y", "y")]);
        site.passes();
        let file = site.kept("to-device/site-b/fan-01.bundle");
        let quarantine = taken(&mut store, &file, &before);
        for commit in [between, tip] {
            Reads::of(&*quarantine, commit, &fan.id).unwrap().whole().unwrap();
        }
        drop(quarantine);
        // git's own bundle leaves that out: this is what is put behind the hub's pack.
        let own = site.dir.path().join("own.bundle");
        git(&site.hub(), &["bundle", "create", "-q", &own.display().to_string(), "main", &format!("^{first}")]);
        let quarantine = taken(&mut store, &own, &before);
        assert!(!Reads::of(&*quarantine, tip, &fan.id).unwrap().is_whole());
        drop(quarantine);
        let clone = site.clone_of_hub("clone.git");
        git(&clone, &["bundle", "verify", "-q", &file.display().to_string()]);
    });
}

#[test]
fn who_comes_to_need_a_bundle_for_several_later_finds_in_it_what_it_lacks() {
    let mut site = Site::new(true);
    site.relay.devices.push("site-c/other".parse().unwrap());
    let mut devices = [PUMP, "site-c/other", FAN].map(Device::new);
    let first = site.commit(&START);
    devices[2].say(first);
    site.says(&devices[2]);
    let base = site.commit(&[("specs/site-a/pump-07/notes", "the same")]);
    for device in &mut devices[..2] {
        device.say(base);
        site.says(device);
    }
    site.passes();
    let mut store = PackStore::open(&site.dir.path().join("store")).unwrap();
    let generation = {
        let mut quarantine = store.quarantine(&Generation::default()).unwrap();
        site.link.list().unwrap();
        site.link.fetch(Want::Tip { tip: base, have: None, device: &devices[2].id }, &mut *quarantine).unwrap();
        quarantine.promote(base, &devices[2].id).unwrap()
    };
    let tip = site.commit(&[("specs/site-b/fan-01/notes", "the same")]);
    site.passes();
    let shared = format!("_{}-{}.bundle", tip.short(), base.short());
    assert_eq!(site.bundles(), [shared.clone(), "fan-01.bundle".into()]);
    // It took what it was given before, and has what the others have.
    devices[2].is_heard();
    devices[2].say(base);
    site.says(&devices[2]);
    assert_eq!(site.passes(), [["fan-01.ack"], ["fan-01.bundle"]]);
    assert_eq!(site.bundles(), std::slice::from_ref(&shared));
    let file = site.kept(&format!("to-device/{shared}"));
    let quarantine = taken(&mut store, &file, &generation);
    Reads::of(&*quarantine, tip, &devices[2].id).unwrap().whole().unwrap();
    drop(quarantine);
    // One that is carried for from now on has it made anew.
    let mut new = Device::new("site-d/new");
    site.relay.devices.push(new.id.clone());
    new.say(base);
    site.says(&new);
    assert_eq!(site.passes()[0], ["new.ack".to_owned(), shared]);
}

#[test]
fn gaps_are_found_for_those_who_have_them_alone() {
    let site = Site::new(true);
    let base = site.commit(&[&START[..], &[("specs/site-a/pump-07/notes", "the same")]].concat());
    let tip = site.commit(&[("specs/site-b/fan-01/notes", "the same")]);
    let store = |name: &str| PackStore::open(&site.dir.path().join(name)).unwrap();
    let (mut one, mut other) = (store("one"), store("other"));
    let pack = |args: &[&str]| {
        let objects = git(&site.hub(), &[&["rev-list", "--objects"], args].concat());
        git_with(&site.hub(), &["pack-objects", "-q", "--stdout"], &objects)
    };
    let mut brought = one.quarantine(&Generation::default()).unwrap();
    brought.ingest(&mut pack(&["main", &format!("^{base}")]).as_slice()).unwrap();
    let mut known = other.quarantine(&Generation::default()).unwrap();
    known.ingest(&mut pack(&[&base.to_string()]).as_slice()).unwrap();
    let commits = gaps::commits(&*brought, base, tip).unwrap().unwrap();
    assert_eq!(commits, [tip]);
    assert_eq!(gaps::commits(&*brought, tip, tip).unwrap(), None);
    assert_eq!(gaps::commits(&*known, tip, base).unwrap(), None);
    let find = |devices: &[&str]| {
        let devices: Vec<DeviceId> = devices.iter().map(|device| device.parse().unwrap()).collect();
        let found = gaps::find(&*brought, &*known, base, &commits, &devices.iter().collect::<Vec<_>>()).unwrap();
        assert!(found.unseen.is_empty());
        found.lacks.into_iter().map(|(id, _)| id).collect::<Vec<_>>()
    };
    let notes = git_oid(&site.hub(), &["rev-parse", "main:specs/site-b/fan-01/notes"]);
    assert_eq!(find(&[PUMP, FAN]), [notes]);
    // Named below another one, it is both that one's folder and a way.
    assert_eq!(find(&["site-b", FAN]), [notes]);
    assert_eq!(find(&["site-b"]), [notes]);
    for nobody in [&[PUMP][..], &["site-c/other"], &["site-b/fan"], &["site-d/new"], &[]] {
        assert!(find(nobody).is_empty(), "{nobody:?}");
    }
    let root = graph::lineage(&*known, base).unwrap().unwrap().tree;
    assert!(!brought.has(root).unwrap());
}

#[test]
fn a_base_that_the_hub_does_not_know_or_that_leads_elsewhere_takes_a_seed() {
    each(|site| {
        let (mut pump, mut fan) = (Device::new(PUMP), Device::new(FAN));
        let first = site.commit(&START);
        let gone = site.commit(&[("specs/site-b/fan-01/x", "gone")]);
        let also_gone = site.commit(&[("specs/site-b/fan-01/x", "gone, too")]);
        git(&site.hub(), &["update-ref", "refs/heads/main", &first.to_string()]);
        let tip = site.commit(&[("specs/site-b/fan-01/x", "another")]);
        pump.say("1".repeat(40).parse::<Oid>().unwrap());
        for elsewhere in [gone, also_gone] {
            fan.say(elsewhere);
            site.says(&pump);
            site.says(&fan);
            site.passes();
            assert_eq!(site.bundles(), ["fan-01.bundle", "pump-07.bundle"]);
            let mut store = PackStore::open(&site.dir.path().join("store")).unwrap();
            for device in [&pump, &fan] {
                let file = site.kept(&format!("to-device/{}.bundle", device.id));
                let bytes = fs::read(&file).unwrap();
                let names = ["refs/heads/main", &device.status_ref()];
                let header = bundle::header(&mut bytes.as_slice(), names).unwrap();
                // The first one's status was not at the hub yet when it was made.
                assert_eq!((header.refs[0], header.prerequisites), (Some(tip), vec![]));
                assert_eq!(header.refs[1], device.tip);
                let quarantine = taken(&mut store, &file, &Generation::default());
                assert!(quarantine.has(device.tip.unwrap()).unwrap());
                quarantine.promote(tip, &device.id).unwrap();
            }
            fs::remove_file(site.kept("to-device/site-b/fan-01.bundle")).unwrap();
        }
    });
}

#[test]
fn what_is_kept_has_a_bound_and_what_is_not_whole_is_not_kept() {
    each(|site| {
        let noise = noise(1, 20_000);
        site.commit(&START);
        site.relay.bytes = 3_000;
        site.passes();
        let kept = files(&site.relay.folder);
        let tip = site.commit(&[("specs/site-a/pump-07/x", &noise)]);
        site.refuses(Reason::DiskFull);
        assert!(site.relay.kept(EXCHANGE).unwrap().1 <= 3_000);
        assert_eq!(site.served(PUMP).failure.unwrap().reason, Reason::DiskFull);
        // Where the other one's part cannot be asked for alone, it is too much, too.
        let has_filters = git(&site.hub(), &["config", "uploadpack.allowFilter"]) == b"true\n";
        let reason = site.served(FAN).failure.map(|failure| failure.reason);
        assert_eq!(reason, (!has_filters).then_some(Reason::DiskFull));
        let now = files(&site.relay.folder);
        let seed = site.kept("to-device/site-a/pump-07.bundle");
        assert_eq!(now.get(&seed), kept.get(&seed), "what was there stays");
        assert_eq!(site.passes(), [const { Vec::<String>::new() }; 2], "it is not downloaded again");
        let mut fan = Device::new(FAN);
        fan.say(tip);
        site.says(&fan);
        assert_eq!(site.passes(), [["fan-01.ack"], ["fan-01.bundle"]], "nor when another one is due");
        assert_eq!(site.served(PUMP).failure.unwrap().reason, Reason::DiskFull);
        site.relay.bytes = 1 << 20;
        site.link.list().unwrap();
        let again = site.relay.pass_hub(site.link.upstream().unwrap(), EXCHANGE, true);
        assert!(again.failed.is_none() && again.took.len() == 1, "{:?}", again.failed);
        assert!(!site.relay.scratch.exists());
    });
}

#[test]
fn several_bundles_of_one_visit_have_one_bound() {
    let mut site = Site::new(true);
    let noises = [noise(1, 8_000), noise(2, 8_000)];
    site.commit(&[("specs/site-a/pump-07/x", &*noises[0]), ("specs/site-b/fan-01/x", &*noises[1])]);
    site.relay.bytes = 10_000;
    site.refuses(Reason::DiskFull);
    assert_eq!(site.bundles(), ["pump-07.bundle"]);
    assert!(site.relay.kept(EXCHANGE).unwrap().1 <= 10_000);
}

#[test]
fn a_bundle_that_is_damaged_is_made_anew() {
    let mut site = Site::new(true);
    let (mut pump, mut fan) = (Device::new(PUMP), Device::new(FAN));
    let base = site.commit(&START);
    pump.say(base);
    site.says(&pump);
    let tip = site.commit(&[("exchange.yaml", "two")]);
    site.passes();
    let damage = |site: &mut Site, name: &str| {
        let path = site.kept(name);
        let sound = fs::read(&path).unwrap();
        let pack = sound.windows(4).position(|bytes| bytes == b"PACK").unwrap();
        for (at, length) in (pack..sound.len()).step_by(19).map(|at| (at, sound.len())).chain([(pack, pack + 10)]) {
            let mut bytes = sound[..length].to_vec();
            bytes[at] ^= 0x10;
            fs::write(&path, bytes).unwrap();
            let [brought, handed_on] = site.passes();
            assert_eq!((brought.len(), handed_on.len()), (1, 0), "flipped at {at} of {length}");
            assert_eq!(fs::read(&path).unwrap(), sound, "flipped at {at} of {length}");
        }
        assert_eq!(site.passes(), [const { Vec::<String>::new() }; 2]);
    };
    damage(&mut site, "to-device/site-a/pump-07.bundle");
    damage(&mut site, "to-device/site-b/fan-01.bundle");
    fan.say(base);
    site.says(&fan);
    site.passes();
    let next = site.commit(&[("exchange.yaml", "three")]);
    site.passes();
    damage(&mut site, &format!("to-device/_{}-{}.bundle", next.short(), base.short()));
    // What does not lead to the tip counts for nothing, and is not this one's to look through.
    let old = format!("to-device/_{}-{}.bundle", tip.short(), base.short());
    fs::write(site.kept(&old), format!("# v2 git bundle\n{tip} refs/heads/main\n\nPACK")).unwrap();
    assert_eq!(site.passes(), [const { Vec::<String>::new() }; 2]);
    assert!(site.kept(&old).exists());
}

#[test]
fn a_poll_looks_through_so_much_and_the_next_one_goes_on() {
    let mut site = Site::new(true);
    site.relay.bytes = 16 << 20;
    let noises = [1, 2].map(|seed| noise(seed, 2 * limits::RELAY_CHECK_BYTES as usize));
    site.commit(&[("specs/site-a/pump-07/x", &*noises[0]), ("specs/site-b/fan-01/x", &*noises[1])]);
    site.passes();
    let names = ["to-device/site-a/pump-07.bundle", "to-device/site-b/fan-01.bundle"];
    let damage = |site: &Site| {
        for path in names.map(|name| site.kept(name)) {
            let mut bytes = fs::read(&path).unwrap();
            let last = bytes.len() - 30;
            bytes[last] ^= 1;
            fs::write(&path, bytes).unwrap();
        }
    };
    damage(&site);
    let brought = [site.passes()[0].clone(), site.passes()[0].clone()].concat();
    assert_eq!(brought, ["pump-07.bundle", "fan-01.bundle"]);
    // Who is asked by a person looks through all.
    damage(&site);
    site.link.list().unwrap();
    let passed = site.relay.pass_hub(site.link.upstream().unwrap(), EXCHANGE, true);
    assert_eq!(passed.took.len(), 2, "{:?}", passed.failed);
}

#[test]
fn what_a_power_cut_left_of_bundles_is_taken_away() {
    let mut site = Site::new(true);
    let left = ["to-device/._010101010101-020202020202.bundle.giter-tmp", "to-device/site-a/.pump-07.bundle.giter-tmp"];
    // The device itself may be writing that.
    let its_own = "from-device/site-a/.pump-07.bundle.giter-tmp";
    for path in [left[0], left[1], its_own] {
        fs::create_dir_all(site.kept(path).parent().unwrap()).unwrap();
        fs::write(site.kept(path), "half").unwrap();
    }
    site.commit(&START);
    site.passes();
    assert_eq!(left.map(|path| site.kept(path).exists()), [false; 2]);
    assert!(site.kept(its_own).exists());
}

#[test]
fn what_was_done_is_known_where_it_cannot_be_written() {
    let mut site = Site::new(true);
    site.commit(&START);
    // As a full disk: nothing can take the place of a folder.
    let served = site.kept("to-device/site-a/pump-07.served");
    fs::create_dir_all(&served).unwrap();
    site.refuses(Reason::StateFailed);
    assert_eq!(site.bundles(), ["fan-01.bundle", "pump-07.bundle"]);
    let listed = site.traffic.get();
    site.link.list().unwrap();
    let alone = site.traffic.get() - listed;
    let before = site.traffic.get();
    assert_eq!(site.passes(), [const { Vec::<String>::new() }; 2]);
    assert_eq!(site.traffic.get() - before, alone);
    fs::remove_dir(&served).unwrap();
    site.commit(&[("exchange.yaml", "two")]);
    site.passes();
    assert!(served.is_file() && site.relay.known.unwritten.is_empty());
}

#[test]
fn links_in_the_folder_lead_nowhere() {
    let mut site = Site::new(true);
    let outside = site.dir.path().join("outside");
    fs::create_dir_all(outside.join("site-a")).unwrap();
    fs::write(outside.join("site-a/pump-07.bundle"), "untouched").unwrap();
    let before = files(&outside);
    fs::create_dir_all(site.kept("to-device")).unwrap();
    symlink(outside.join("site-a"), site.kept("to-device/site-a")).unwrap();
    site.begun();
    let passed = site.visit();
    assert!(passed.failed.is_some(), "{:?}", passed.took);
    assert_eq!(files(&outside), before);
    let is_of_fan = |path: &PathBuf| path.ends_with("site-b/fan-01.bundle");
    assert!(passed.took.iter().any(is_of_fan), "{:?}", passed.took);
}
