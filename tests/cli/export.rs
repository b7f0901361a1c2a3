//! `giterctl export`: what lies on the stick afterwards, read by git, and by a device's own store.

use std::{fs, io::BufReader, path::Path};

use giter_edge::{
    api::{DeviceId, Oid, Reason, ledger::Generation},
    codec::stick::{Paper, read_ack},
    git::{PackStore, bundle},
    reconcile::ports::Store,
};
use serde_json::Value;

use super::{
    plant::{Board, Plant, files},
    support::{golden, without_names},
};

/// What a row says of a device.
fn row<'a>(said: &'a Value, board: &Board) -> &'a Value {
    let rows = said["devices"].as_array().unwrap();
    rows.iter().find(|row| row["device"] == board.id.as_str()).unwrap()
}

/// Brings the board's next status to the hub, as SSH would.
fn heard(plant: &Plant, board: &mut Board, revision: Oid) {
    board.say(revision);
    plant.carry(board);
    plant.giterctl(&["import", "stick"]).good();
    fs::remove_file(plant.world.path(&plant.place(Paper::Statuses, board))).unwrap();
    board.is_heard();
}

/// Takes a bundle into a device's store on top of what it has; what it then has of the tip.
fn take(store: &mut PackStore, base: &Generation, bundle_file: &Path, device: &DeviceId) -> Generation {
    let mut file = BufReader::new(fs::File::open(bundle_file).unwrap());
    let header = bundle::header(&mut file, ["refs/heads/main"]).unwrap();
    let mut quarantine = store.quarantine(base).unwrap();
    quarantine.ingest(&mut file).unwrap();
    quarantine.promote(header.refs[0].unwrap(), device).unwrap()
}

#[test]
fn a_device_goes_from_nothing_to_the_tip_and_on() {
    let mut board = Board::new("site-a/pump-07", 1);
    let plant = Plant::new(&[&board]);
    let first = plant.tip();
    let file = plant.world.path(&plant.place(Paper::Specs, &board));

    let said = plant.export(&["site-a/pump-07"]);
    assert_eq!((&row(&said, &board)["result"], &row(&said, &board)["from"]), (&"Seed".into(), &Value::Null));
    assert_eq!(row(&said, &board)["bytes"], fs::metadata(&file).unwrap().len());
    assert!(!plant.world.path(&plant.place(Paper::Ack, &board)).exists());
    let dir = tempfile::tempdir().unwrap();
    let mut store = PackStore::open(dir.path()).unwrap();
    let seed = take(&mut store, &Generation { packs: vec![] }, &file, &board.id);

    heard(&plant, &mut board, first);
    let said = plant.export(&["--site", "site-a"]);
    assert_eq!(row(&said, &board)["result"], "UpToDate");
    assert!(!file.exists(), "a seed that nobody needs is gone");
    let ack = plant.world.read(&plant.place(Paper::Ack, &board));
    assert_eq!(read_ack(ack.as_bytes()).ok(), board.tip);

    plant.set(&board, "another word");
    let second = plant.publish("another word");
    let said = plant.export(&["--all"]);
    let says = row(&said, &board);
    assert_eq!((&says["result"], &says["from"]), (&"Incremental".into(), &first.to_string().into()));
    assert_eq!(says["to"], second.to_string());
    take(&mut store, &seed, &file, &board.id);
}

#[test]
fn git_reads_what_lies_between_two_commits() {
    let board = Board::new("site-a/pump-07", 1);
    let plant = Plant::new(&[&board]);
    let base = plant.tip();
    let world = &plant.world;
    world.git(&["clone", "-q", "hub.git", "whole"]);
    let hub = format!("file://{}", world.path("hub.git").display());
    world.git(&["clone", "-q", "--depth", "1", &hub, "shallow"]);
    plant.set(&board, "one");
    plant.publish("one");
    // What only an older commit has, and what another path has, is not what a shallow clone can be taken to have.
    plant.set(&board, "motd");
    world.write("exchange/specs/site-a/pump-07/copy.txt", world.read("exchange/specs/first/motd.yaml"));
    plant.git(&["mv", "specs/first/activity.yaml", "specs/site-a/pump-07/moved.txt"]);
    let tip = plant.publish("moved");

    plant.export(&["site-a/pump-07", "--base", &base.to_string()]);
    let file = world.path(&plant.place(Paper::Specs, &board)).display().to_string();
    for clone in ["whole", "shallow"] {
        world.git(&["-C", clone, "bundle", "verify", "-q", &file]);
        world.git(&["-C", clone, "fetch", "-q", &file, "main:new"]);
        assert_eq!(world.git(&["-C", clone, "rev-parse", "new"]), tip.to_string());
        world.git(&["-C", clone, "fsck", "--full", "--strict"]);
    }
    world.git(&["init", "-q", "stranger"]);
    let refused = super::support::run(world.command("git").args(["-C", "stranger", "bundle", "verify", &file]), b"");
    assert_ne!(refused.code, Some(0), "without the base it is of no use");
}

#[test]
fn a_device_resolves_what_it_reads_with_its_own_paths_alone() {
    let board = Board::new("site-a/pump-07", 1);
    let other = Board::new("site-b/pump-08", 2);
    let plant = Plant::new(&[&board, &other]);
    let base = plant.tip();
    plant.export(&["--all"]);
    let dir = tempfile::tempdir().unwrap();
    let mut store = PackStore::open(dir.path()).unwrap();
    let file = plant.world.path(&plant.place(Paper::Specs, &board));
    let seed = take(&mut store, &Generation { packs: vec![] }, &file, &board.id);
    // The two change places, and one object comes to lie in both folders.
    let [mine, its] = [&board, &other].map(|board| format!("exchange/specs/{}/notes.txt", board.id));
    let text = (0..200).map(|line| format!("line {line} of some notes\n")).collect::<String>();
    plant.world.write(&its, &text);
    plant.publish("its notes");
    plant.world.write(&mine, &text);
    plant.publish("my notes");
    plant.world.write(&mine, text.replace("line 7 ", "line seven "));
    plant.set(&board, "motd two");
    plant.publish("changed");
    plant.world.write(&its, text.replace("line 7 ", "line seven "));
    plant.publish("in both");
    plant.export(&["site-a/pump-07", "--base", &base.to_string()]);
    take(&mut store, &seed, &file, &board.id);
}

#[test]
fn ten_devices_of_one_stick_share_what_is_the_same_for_them() {
    let mut boards: Vec<Board> = (0..10).map(|n| Board::new(&format!("site-a/pump-{n:02}"), n + 1)).collect();
    let plant = Plant::new(&boards.iter().collect::<Vec<_>>());
    let first = plant.tip();
    for board in &mut boards[..8] {
        board.say(first);
    }
    boards[..8].iter().for_each(|board| plant.carry(board));
    plant.giterctl(&["import", "stick"]).good();
    plant.set(&boards[0], "two");
    let second = plant.publish("two");
    // Files of others, some with names like ours.
    let folder = format!("stick/GITER/{}/to-device", plant.exchange);
    let others = [
        format!("{folder}/_{}-{}.bundle", &"a".repeat(12), &first.short()),
        format!("{folder}/_all.bundle"),
        format!("{folder}/site-a/readme.txt"),
        "stick/GITER/other/to-device/x.bundle".into(),
        "stick/photo.jpg".into(),
    ];
    others.iter().for_each(|path| plant.world.write(path, "mine"));

    let said = plant.export(&["--site", "site-a"]);
    let shared = format!("_{}-{}.bundle", second.short(), first.short());
    let rows = said["devices"].as_array().unwrap();
    assert_eq!(rows.iter().filter(|row| row["shared"] == 8).count(), 8);
    assert_eq!(rows.iter().filter(|row| row["result"] == "Seed").count(), 2);
    let is_ours = |name: &String| !name.contains("aaaa") && *name != "_all.bundle";
    let ours = |plant: &Plant| plant.bundles().into_iter().filter(is_ours).collect::<Vec<_>>();
    assert_eq!(ours(&plant), [shared.clone(), "site-a/pump-08.bundle".into(), "site-a/pump-09.bundle".into()]);
    for board in &boards[..8] {
        let ack = plant.world.read(&plant.place(Paper::Ack, board));
        assert_eq!(read_ack(ack.as_bytes()).ok(), board.tip);
    }

    // One alone gets its own, and what is shared stays for the others; a newer one takes the place of an older one.
    plant.export(&["site-a/pump-00"]);
    assert!(ours(&plant).contains(&"site-a/pump-00.bundle".into()));
    assert!(!ours(&plant).contains(&shared), "the newer one from the same commit serves all who have that");
    plant.set(&boards[0], "three");
    let third = plant.publish("three");
    let said = plant.export(&["site-a/pump-00", "site-a/pump-01"]);
    assert_eq!(said["removed"].as_array().unwrap().len(), 1, "{said}");
    assert!(ours(&plant).contains(&format!("_{}-{}.bundle", third.short(), first.short())));
    for path in others {
        assert_eq!(plant.world.read(&path), "mine");
    }
}

#[test]
fn a_whole_history_is_cloned_by_git() {
    let board = Board::new("site-a/pump-07", 1);
    let plant = Plant::new(&[&board]);
    let said = plant.export(&["--all", "--full"]);
    assert_eq!(row(&said, &board)["result"], "Full");
    let [file] = &plant.bundles()[..] else { panic!("{:?}", plant.bundles()) };
    let file = plant.world.path(&format!("stick/GITER/{}/to-device/{file}", plant.exchange));
    plant.world.git(&["clone", "-q", "-b", "main", &file.display().to_string(), "clone"]);
    assert_eq!(plant.world.git(&["-C", "clone", "rev-parse", "HEAD"]), plant.tip().to_string());
    assert_eq!(
        plant.world.git(&["-C", "clone", "rev-list", "--count", "HEAD"]),
        plant.git(&["rev-list", "--count", "HEAD"])
    );
    let dir = tempfile::tempdir().unwrap();
    take(&mut PackStore::open(dir.path()).unwrap(), &Generation { packs: vec![] }, &file, &board.id);
}

#[test]
fn a_seed_brings_the_devices_own_last_status() {
    let mut board = Board::new("site-a/pump-07", 1);
    let plant = Plant::new(&[&board]);
    heard(&plant, &mut board, plant.tip());
    plant.export(&["--all", "--seed"]);
    let file = fs::File::open(plant.world.path(&plant.place(Paper::Specs, &board))).unwrap();
    let refs = ["refs/heads/main", "refs/giter/status/site-a/pump-07"];
    let header = bundle::header(&mut BufReader::new(file), refs).unwrap();
    assert_eq!(header.refs, [Some(plant.tip()), board.tip]);
}

#[test]
fn a_device_that_lost_its_state_goes_on_from_where_it_was() {
    let board = Board::new("site-a/pump-07", 1);
    let plant = Plant::new(&[&board]);
    plant.install("pump", &board, "");
    let publish = |content: &str| {
        plant.set_motd("pump", &board, content);
        plant.publish(content)
    };
    let first = publish("one").to_string();
    plant.export(&["--all"]);
    plant.meets("pump", "stick").good();
    publish("two");
    plant.export(&["--all", "--base", &first]);
    plant.meets("pump", "stick").good();
    plant.import(&[]);
    publish("three");
    publish("four");
    fs::remove_dir_all(plant.world.path("pump/state")).unwrap();

    plant.export(&["--all"]);
    let ran = plant.meets("pump", "stick");
    assert!(ran.stderr.contains("reason: BundleBaseMissing"), "{}", ran.all());
    plant.export(&["--all", "--seed", "--revision", &first]);
    let ran = plant.meets("pump", "stick");
    assert!(ran.stderr.contains("reason: CommitNotFound"), "{}", ran.all());
    assert_eq!(plant.motd("pump"), "two");

    let said = plant.export(&["--all", "--seed"]);
    assert_eq!(row(&said, &board)["result"], "Seed");
    let ran = plant.meets("pump", "stick");
    assert!(ran.stderr.contains("did not know status 2"), "{}", ran.all());
    assert_eq!((ran.code, &*plant.motd("pump")), (Some(0), "four"), "{}", ran.all());
    let (said, _) = plant.import(&[]);
    assert_eq!(said["files"][0]["result"], "New", "{said}");
    let count = plant.git(&["rev-list", "--count", "refs/giter/status/site-a/pump-07"]);
    assert_eq!(count.trim(), "3");
}

#[test]
fn a_device_that_has_begun_anew_goes_on_by_a_seed_too() {
    let board = Board::new("site-a/pump-07", 1);
    let plant = Plant::new(&[&board]);
    plant.install("pump", &board, "");
    plant.set_motd("pump", &board, "one");
    plant.publish("one");
    plant.export(&["--all"]);
    plant.meets("pump", "stick").good();
    plant.import(&[]);
    for content in ["two", "three"] {
        plant.set_motd("pump", &board, content);
        plant.publish(content);
    }
    fs::remove_dir_all(plant.world.path("pump/state")).unwrap();
    plant.export(&["--all"]);
    // It has said as much as the hub has heard before, and more.
    for tries in 1..=3 {
        let ran = plant.meets("pump", "stick");
        assert!(ran.stderr.contains("reason: BundleBaseMissing"), "{tries}: {}", ran.all());
        plant.set_motd("pump", &board, &format!("four {tries}"));
        plant.publish("four");
        plant.export(&["--all"]);
    }
    plant.export(&["--all", "--seed"]);
    let ran = plant.meets("pump", "stick");
    assert_eq!((ran.code, &*plant.motd("pump")), (Some(0), "four 3"), "{}", ran.all());
    let (said, code) = plant.import(&[]);
    assert_eq!((&said["files"][0]["result"], code), (&"New".into(), Some(0)), "{said}");
}

#[test]
fn what_is_shown_is_what_would_be_written_and_nothing_is() {
    let board = Board::new("site-a/pump-07", 1);
    let plant = Plant::new(&[&board]);
    let shown = plant.export(&["--all", "--dry-run"]);
    assert_eq!(files(&plant.world.path("stick")).len(), 0);
    let said = plant.export(&["--all"]);
    assert_eq!((&shown["devices"], &shown["bytes"]), (&said["devices"], &said["bytes"]));
}

#[test]
fn what_cannot_be_exported_is_named() {
    let board = Board::new("site-a/pump-07", 1);
    let plant = Plant::new(&[&board]);
    let elsewhere = plant.git(&["commit-tree", "-m", "elsewhere", "HEAD^{tree}"]);
    for (args, code, reason) in [
        (&["--to", "nowhere", "--all"][..], 3, Reason::StickFailed),
        (&["--to", "stick", "site-a/pump-08"], 1, Reason::DeviceNotFound),
        (&["--to", "stick", "--site", "site-b"], 1, Reason::DeviceNotFound),
        (&["--to", "stick", "--all", "--base", &elsewhere], 1, Reason::NotFastForward),
        (&["--to", "stick", "--all", "--base", "nothing"], 2, Reason::BranchNotFound),
        (&["--to", "stick"], 2, Reason::Usage),
        (&["--to", "stick", "--all", "--remote", "nowhere"], 2, Reason::GitFailed),
    ] {
        let ran = plant.giterctl(&[&["export"], args].concat());
        assert_eq!(ran.code, Some(code), "{args:?} {}", ran.all());
        assert!(ran.stderr.ends_with(&format!("reason: {reason}\n")), "{args:?} {}", ran.all());
    }
    plant.git(&["commit", "-q", "--no-gpg-sign", "--allow-empty", "-m", "unsigned"]);
    let ran = plant.giterctl(&["export", "--to", "stick", "--all"]);
    assert!(ran.stderr.contains("warning: main is at "), "{}", ran.all());
    assert!(
        ran.stderr.contains("warning: devices will refuse") && ran.stderr.contains("[UnsignedCommit]"),
        "{}",
        ran.all()
    );
    assert_eq!(ran.code, Some(0));
}

#[test]
fn a_status_that_is_not_the_devices_is_not_believed() {
    let mut board = Board::new("site-a/pump-07", 1);
    let plant = Plant::new(&[&board]);
    board.key = Board::new("x", 9).key;
    board.say(plant.tip());
    plant.world.write("forged.bundle", board.bundle());
    plant.git(&["fetch", "-q", "../forged.bundle", "refs/giter/*:refs/giter/*"]);
    let said = plant.export(&["--all", "--offline"]);
    let says = row(&said, &board);
    assert_eq!((&says["result"], &says["acknowledged"]), (&"Seed".into(), &Value::Null));
    assert!(says["message"].as_str().unwrap().contains("UntrustedKey"), "{says}");
}

#[test]
fn a_link_in_the_way_leads_nowhere() {
    let board = Board::new("site-a/pump-07", 1);
    let plant = Plant::new(&[&board]);
    fs::create_dir(plant.world.path("outside")).unwrap();
    std::os::unix::fs::symlink(plant.world.path("outside"), plant.world.path("stick/GITER")).unwrap();
    let ran = plant.giterctl(&["export", "--to", "stick", "--all"]);
    assert!(ran.stderr.ends_with("reason: StickFailed\n"), "{}", ran.all());
    assert_eq!(files(&plant.world.path("outside")).len(), 0);
}

#[test]
fn the_tables() {
    let mut board = Board::new("site-a/pump-07", 1);
    let other = Board::new("site-a/pump-08", 2);
    let plant = Plant::new(&[&board, &other]);
    heard(&plant, &mut board, plant.tip());
    let said = |plant: &Plant, args: &[&str]| {
        let ran = plant.giterctl(&[&["export", "--to", "stick"], args].concat());
        let text = without_names(&ran.all().replace(&plant.exchange, "[EXCHANGE]"));
        // How many bytes a pack has is zlib's affair.
        text.split_inclusive([' ', '\n'])
            .map(|word| match word.trim_end_matches([' ', '\n', ',']).parse::<u64>() {
                Ok(number) if number > 99 => word.replace(&number.to_string(), "[N]"),
                _ => word.to_owned(),
            })
            .collect::<String>()
    };
    golden("export.txt", said(&plant, &["--all"]));
    plant.set(&board, "two");
    plant.publish("two");
    golden("export-again-wide.txt", said(&plant, &["--all", "-o", "wide"]));
    golden("export-name.txt", said(&plant, &["--all", "-o", "name"]));
    golden("export-dry.json", said(&plant, &["site-a/pump-07", "--dry-run", "-o", "json"]));
}
