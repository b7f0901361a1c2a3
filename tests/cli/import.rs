//! `giterctl import`: statuses and requests that a stick brings, in and out of order, and sticks that lie.

use std::{fs, os::unix::fs::symlink};

use giter_edge::{
    api::Oid,
    codec::{enrolment, stick::Paper},
    git::bundle,
};
use serde_json::Value;

use super::{
    plant::{Board, Plant},
    support::{golden, without_names, without_short_fingerprints},
};

/// Device, result and count of each file.
fn results(said: &Value) -> Vec<(String, String, u64)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let rows = said["files"].as_array().unwrap();
    rows.iter().map(|row| (text(&row["device"]), text(&row["result"]), row["statuses"].as_u64().unwrap())).collect()
}

/// The only file's result and reason.
#[track_caller]
fn only(said: &Value) -> (&str, &str) {
    let [row] = &said["files"].as_array().unwrap()[..] else { panic!("{said}") };
    (row["result"].as_str().unwrap(), row["reason"].as_str().unwrap_or_default())
}

fn one() -> (Board, Plant) {
    let board = Board::new("site-a/pump-07", 1);
    let plant = Plant::new(&[&board]);
    (board, plant)
}

/// A board whose first status the hub has, and which knows that; and the tip.
fn heard_once() -> (Board, Plant, Oid) {
    let (mut board, plant) = one();
    let tip = plant.tip();
    board.say(tip);
    plant.carry(&board);
    plant.import(&[]);
    board.is_heard();
    (board, plant, tip)
}

#[test]
fn what_several_trips_bring_is_merged_in_order() {
    let (mut board, plant) = one();
    let tip = plant.tip();
    board.say(tip);
    let first = board.bundle();
    board.say(tip);
    board.say(tip);
    plant.carry(&board);
    let (said, code) = plant.import(&[]);
    assert_eq!((results(&said), code), (vec![("site-a/pump-07".into(), "New".into(), 3)], Some(0)));
    assert_eq!(said["files"][0]["sequence"], 3);
    assert_eq!(plant.at_hub(&board), board.tip.unwrap().to_string());
    plant.world.git(&["-C", "hub.git", "fsck", "--full", "--strict"]);

    // Met twice; then the stick that went before it, and was late.
    assert_eq!(only(&plant.import(&[]).0), ("AlreadyKnown", ""));
    plant.world.write(&plant.place(Paper::Statuses, &board), first);
    assert_eq!(only(&plant.import(&[]).0), ("AlreadyKnown", ""));
    assert_eq!(plant.at_hub(&board), board.tip.unwrap().to_string());

    // The device was heard of three, and says two more; another stick has one more on the same base.
    board.is_heard();
    board.say(tip);
    plant.carry(&board);
    assert_eq!(results(&plant.import(&[]).0)[0].2, 1);
    board.say(tip);
    plant.carry(&board);
    assert_eq!(results(&plant.import(&[]).0)[0].2, 1, "what both sticks have is counted once");
    plant.git(&["config", "gpg.ssh.allowedSignersFile", "/dev/null"]);
    let verified = plant.giterctl(&["verify"]);
    assert_eq!(verified.code, Some(0), "{}", verified.all());
}

#[test]
fn a_clone_that_fetches_statuses_has_them_moved_once() {
    let (mut board, plant, tip) = heard_once();
    plant.git(&["config", "--add", "remote.origin.fetch", "+refs/giter/status/*:refs/giter/status/*"]);
    board.say(tip);
    plant.carry(&board);
    let (said, code) = plant.import(&[]);
    assert_eq!((only(&said), code), (("New", ""), Some(0)));
    let here = plant.git(&["rev-parse", "refs/giter/status/site-a/pump-07"]);
    assert_eq!((here, plant.at_hub(&board)), (board.tip.unwrap().to_string(), board.tip.unwrap().to_string()));
}

#[test]
fn a_device_that_began_again_takes_the_place_of_what_it_gave_up() {
    let (mut board, plant, tip) = heard_once();
    let heard = board.clone();
    board.say(tip);
    board.say(tip);
    plant.carry(&board);
    plant.import(&[]);
    // It never learns that these came home, and gives them up.
    board.give_up();
    board.say(tip);
    plant.carry(&board);
    // To the hub's hook a record only goes on.
    assert_eq!(only(&plant.import(&[]).0), ("Refused", "PushRejected"));
    let (said, code) = plant.import(&["--offline"]);
    assert_eq!((results(&said)[0].2, &said["files"][0]["replaced"], code), (1, &2.into(), Some(0)));
    let here = plant.git(&["rev-parse", "refs/giter/status/site-a/pump-07"]);
    assert_eq!(here, board.tip.unwrap().to_string());

    // What was said before that is older, whoever carries it.
    let mut late = heard;
    late.say(tip);
    late.status.uptime += 1;
    plant.carry(&late);
    assert_eq!(only(&plant.import(&["--offline"]).0).0, "AlreadyKnown");
    assert_eq!(plant.git(&["rev-parse", "refs/giter/status/site-a/pump-07"]), here);
}

#[test]
fn a_stick_that_is_lost_is_missed_by_name() {
    let (mut board, plant) = one();
    let tip = plant.tip();
    board.say(tip);
    // It believes that this came home.
    board.is_heard();
    board.say(tip);
    plant.carry(&board);
    let (said, code) = plant.import(&[]);
    assert_eq!((only(&said), code), (("Refused", "BundleBaseMissing"), Some(1)));
    assert_eq!(plant.at_hub(&board), "");
}

#[test]
fn what_git_bundles_is_taken_too() {
    let (mut board, plant, tip) = heard_once();
    for _ in 0..3 {
        board.say(tip);
    }
    // A relay has them, and packs them by deltas on what the hub has.
    plant.world.git(&["clone", "-q", "--mirror", "hub.git", "relay.git"]);
    plant.world.write("new.bundle", board.bundle());
    plant.world.git(&["-C", "relay.git", "fetch", "-q", "../new.bundle", "+refs/giter/*:refs/giter/*"]);
    for version in ["2", "3"] {
        let (version, file) = (format!("--version={version}"), plant.place(Paper::Statuses, &board));
        let name = "refs/giter/status/site-a/pump-07";
        let not = format!("^{}", board.base.unwrap());
        plant.world.git(&["-C", "relay.git", "bundle", "create", "-q", &version, &format!("../{file}"), name, &not]);
        let (said, code) = plant.import(&["--dry-run"]);
        assert_eq!((results(&said)[0].2, code), (3, Some(0)), "{said}");
    }
    assert_eq!(results(&plant.import(&[]).0)[0].2, 3);
}

#[test]
fn a_hub_that_refuses_one_takes_the_others() {
    let mut boards: Vec<Board> = (0..5).map(|n| Board::new(&format!("pump-{n}"), n + 1)).collect();
    let plant = Plant::new(&boards.iter().collect::<Vec<_>>());
    let tip = plant.tip();
    for board in &mut boards {
        board.say(tip);
    }
    boards.iter().for_each(|board| plant.carry(board));
    // The hub's branch no longer names this one's key; the clone that imports is behind.
    plant.world.git(&["clone", "-q", "hub.git", "other"]);
    fs::remove_file(plant.world.path("other/specs/pump-3/device.yaml")).unwrap();
    for (key, value) in [("gpg.format", "ssh"), ("user.signingkey", &plant.world.path("ops.key").display().to_string())]
    {
        plant.world.git(&["-C", "other", "config", key, value]);
    }
    plant.world.git(&["-C", "other", "commit", "-q", "-S", "-a", "-m", "not this one"]);
    plant.world.git(&["-C", "other", "push", "-q", "origin", "main"]);
    let (said, code) = plant.import(&[]);
    let refused: Vec<_> = results(&said).into_iter().filter(|row| row.1 == "Refused").map(|row| row.0).collect();
    assert_eq!((refused, code), (vec!["pump-3".to_owned()], Some(1)));
    assert_eq!(said["files"][3]["reason"], "PushRejected");
    assert!(said["files"][3]["message"].as_str().unwrap().contains("DeviceNotApproved"), "{said}");
    for (number, board) in boards.iter().enumerate() {
        assert_eq!(plant.at_hub(board).is_empty(), number == 3, "pump-{number}");
    }
}

#[test]
fn a_hub_that_cannot_be_reached_leaves_all_as_it_was() {
    let (mut board, plant) = one();
    board.say(plant.tip());
    plant.carry(&board);
    plant.git(&["remote", "set-url", "--push", "origin", "../nowhere.git"]);
    let ran = plant.giterctl(&["import", "stick"]);
    assert_eq!(ran.code, Some(2), "{}", ran.all());
    assert_eq!(plant.git(&["for-each-ref", "refs/giter"]), "");
    plant.git(&["remote", "set-url", "--push", "origin", "../hub.git"]);
    assert_eq!(results(&plant.import(&[]).0)[0].1, "New");
}

#[test]
fn what_was_imported_here_alone_is_not_fetched_away() {
    let (mut board, plant) = one();
    let tip = plant.tip();
    for _ in 0..2 {
        board.say(tip);
        plant.carry(&board);
    }
    plant.import(&[]);
    board.say(tip);
    plant.carry(&board);
    plant.import(&["--offline"]);
    plant.export(&["--all"]);
    assert_eq!(plant.git(&["rev-parse", "refs/giter/status/site-a/pump-07"]), board.tip.unwrap().to_string());
}

#[test]
fn a_request_waits_at_the_hub_to_be_approved() {
    let (known, plant) = one();
    let board = Board::new("site-a/pump-08", 2);
    plant.world.write(&board.request_place(), board.request());
    let (said, code) = plant.import(&[]);
    assert_eq!((only(&said).0, code), ("Requested", Some(0)));
    let asks = plant.giterctl(&["approve", "-o", "name"]).good();
    assert_eq!(asks, "Device/site-a/pump-08\n");
    assert_eq!(only(&plant.import(&[]).0).0, "AlreadyKnown");
    // Seen from a stick before, it does not wait at the hub for that.
    let other = Board::new("site-a/pump-09", 4);
    plant.world.write(&other.request_place(), other.request());
    assert!(plant.giterctl(&["approve", "--stick", "stick"]).good().contains("site-a/pump-09   New"));
    let name = enrolment::ref_of(&other.id);
    let at_hub = || plant.world.git(&["-C", "hub.git", "for-each-ref", "--format=%(refname)", &name]);
    assert_eq!(at_hub(), "");
    assert!(results(&plant.import(&[]).0).contains(&("site-a/pump-09".into(), "Requested".into(), 0)));
    assert_eq!(at_hub(), name);
    // Who asks at the hub alone was first there, too.
    plant.git(&["update-ref", "-d", &name]);
    plant.world.write(&other.request_place(), Board::new("site-a/pump-09", 5).request());
    let (said, _) = plant.import(&[]);
    assert_eq!(said["files"][1]["reason"], "EnrolmentConflict", "{said}");
    fs::remove_file(plant.world.path(&other.request_place())).unwrap();
    // Another key under that name; and one that is approved already.
    plant.world.write(&board.request_place(), Board::new("site-a/pump-08", 3).request());
    assert_eq!(only(&plant.import(&[]).0), ("Refused", "EnrolmentConflict"));
    fs::remove_file(plant.world.path(&board.request_place())).unwrap();
    plant.world.write(&known.request_place(), known.request());
    assert_eq!(only(&plant.import(&[]).0).0, "AlreadyKnown");
}

#[test]
fn a_dry_run_changes_nothing() {
    let (mut board, plant) = one();
    board.say(plant.tip());
    plant.carry(&board);
    let other = Board::new("site-a/pump-08", 2);
    plant.world.write(&other.request_place(), other.request());
    let held = || [plant.git(&["for-each-ref"]), plant.git(&["count-objects", "-v"])];
    let before = held();
    let (said, code) = plant.import(&["--dry-run"]);
    let results: Vec<_> = results(&said).into_iter().map(|row| row.1).collect();
    assert_eq!((results, code), (vec!["New".to_owned(), "Requested".into()], Some(0)));
    assert_eq!(held(), before);
    assert_eq!(plant.at_hub(&board), "");
}

#[test]
fn what_others_say_in_a_devices_name_is_refused() {
    let (mut board, plant) = one();
    let tip = plant.tip();
    let place = plant.place(Paper::Statuses, &board);
    let refused = |what: &str, bytes: Vec<u8>, reason: &str| {
        plant.world.write(&place, bytes);
        let (said, code) = plant.import(&[]);
        assert_eq!((only(&said), code), (("Refused", reason), Some(1)), "{what}: {said}");
        let hint = said["files"][0]["hint"].as_str().unwrap_or_default();
        assert_eq!(hint.starts_with("let the device meet the stick once more"), reason == "PackInvalid", "{hint}");
        assert_eq!(plant.git(&["for-each-ref", "refs/giter"]), "", "{what}");
    };
    let mut forger = Board { key: Board::new("x", 9).key, ..board.clone() };
    forger.say(tip);
    refused("another key", forger.bundle(), "UntrustedKey");
    let mut other = Board::new("site-a/pump-08", 1);
    other.say(tip);
    refused("another device's", other.bundle(), "BundleInvalid");
    let name = "refs/giter/status/site-a/pump-07";
    let renamed = bundle::write(name, other.tip.unwrap(), None, &other.outbox).unwrap();
    refused("another device's under this name", renamed, "WrongDevice");
    board.say(tip);
    board.say(tip);
    let short = bundle::write(name, board.tip.unwrap(), None, &board.outbox[3..]).unwrap();
    refused("a bundle that leaves out the first", short, "PackInvalid");
    let blobless = bundle::write(name, board.tip.unwrap(), None, &board.outbox[1..]).unwrap();
    refused("a bundle without a status's file", blobless, "PackInvalid");
    plant.world.write("exchange/specs/site-a/pump-07/device.yaml", "");
    plant.publish("not approved any more");
    refused("not approved", board.bundle(), "DeviceNotApproved");
}

#[test]
fn no_damage_gets_in() {
    let (mut board, plant) = one();
    board.say(plant.tip());
    let (whole, place) = (board.bundle(), plant.place(Paper::Statuses, &board));
    let damaged = (0..whole.len()).step_by(97).flat_map(|at| {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x20;
        [whole[..at].to_vec(), flipped]
    });
    let text = String::from_utf8_lossy(&whole[..20]).into_owned();
    assert!(text.starts_with("# v2 git bundle\n"));
    let header = |text: &str| [text.as_bytes(), &whole[16..]].concat();
    let lies = [
        vec![],
        header("# v9 git bundle\n"),
        header("# v3 git bundle\n@object-format=sha256\n"),
        vec![b'\n'; 100_000],
        format!("# v2 git bundle\n{}", "-".repeat(100_000)).into_bytes(),
        vec![0; 4 << 20],
        header(&format!("# v2 git bundle\n-{} base\n", "1".repeat(40))),
    ];
    for bytes in damaged.chain(lies) {
        plant.world.write(&place, &bytes);
        let (said, code) = plant.import(&["--offline"]);
        assert_eq!((only(&said).0, code), ("Refused", Some(1)), "{said}");
    }
    assert_eq!(plant.git(&["for-each-ref", "refs/giter"]), "");
    let refs: String = (0..60_000).map(|n| format!("{} refs/x/{n}\n", "2".repeat(40))).collect();
    plant.world.write(&place, header(&format!("# v2 git bundle\n{refs}")));
    let (said, code) = plant.import(&["--offline"]);
    assert_eq!(
        (results(&said)[0].1.as_str(), code),
        ("New", Some(0)),
        "refs that nobody asked for take no room: {said}"
    );
}

#[test]
fn only_regular_files_of_a_bounded_size_are_read() {
    let (mut board, plant) = one();
    board.say(plant.tip());
    let place = plant.place(Paper::Statuses, &board);
    plant.world.write("elsewhere.bundle", board.bundle());
    let path = plant.world.path(&place);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let refused = |what: &str, reason: &str, make: &dyn Fn()| {
        make();
        let (said, code) = plant.import(&[]);
        assert_eq!((only(&said), code), (("Refused", reason), Some(1)), "{what}: {said}");
        if path.is_dir() { fs::remove_dir(&path).unwrap() } else { fs::remove_file(&path).unwrap() }
    };
    refused("a link", "StickFailed", &|| symlink(plant.world.path("elsewhere.bundle"), &path).unwrap());
    refused("a pipe", "StickFailed", &|| plant.world.run("mkfifo", &[&place]));
    refused("a folder", "StickFailed", &|| fs::create_dir(&path).unwrap());
    refused("4 GB of zeros", "FileTooLarge", &|| fs::File::create(&path).unwrap().set_len(4 << 30).unwrap());
    // A folder that is a link is none.
    let from = path.parent().unwrap().parent().unwrap().to_owned();
    fs::remove_dir_all(&from).unwrap();
    fs::create_dir_all(plant.world.path("away/site-a")).unwrap();
    fs::write(plant.world.path("away/site-a/pump-07.bundle"), board.bundle()).unwrap();
    symlink(plant.world.path("away"), &from).unwrap();
    assert_eq!(plant.import(&[]).0["files"], Value::Array(vec![]));
}

#[test]
fn another_exchange_on_the_stick_is_left_alone() {
    let (mut board, plant) = one();
    board.say(plant.tip());
    plant.carry(&board);
    let foreign = format!("stick/GITER/{}/from-device/site-a/pump-07.bundle", "0".repeat(32));
    plant.world.write(&foreign, "theirs");
    let ran = plant.giterctl(&["import", "stick", "-o", "name"]);
    assert_eq!((&*ran.stdout, ran.code), ("Device/site-a/pump-07\n", Some(0)));
    assert!(ran.stderr.contains("is another exchange's, and left alone"), "{}", ran.all());
    assert_eq!(plant.world.read(&foreign), "theirs");
}

#[test]
fn a_stick_that_is_none_says_so() {
    let (_, plant) = one();
    for (dir, code) in [("nowhere", 3), ("stick", 3)] {
        let ran = plant.giterctl(&["import", dir]);
        assert_eq!(ran.code, Some(code), "{}", ran.all());
        assert!(ran.stderr.ends_with("reason: StickFailed\n"), "{}", ran.all());
    }
}

#[test]
fn the_tables() {
    let mut board = Board::new("site-a/pump-07", 1);
    let silent = Board::new("site-a/pump-08", 2);
    let (asks, mut forged) = (Board::new("site-a/pump-09", 3), Board::new("site-b/fan", 4));
    let plant = Plant::new(&[&board, &silent, &forged]);
    board.say(plant.tip());
    forged.key = Board::new("x", 5).key;
    forged.say(plant.tip());
    for board in [&board, &forged] {
        plant.carry(board);
        plant.world.write(&plant.place(Paper::Report, board), "device: x\nresult: not shown beside news\n");
    }
    plant
        .world
        .write(&plant.place(Paper::Report, &silent), "device: site-a/pump-08\nresult: Accepted\n\nAll is well.\n");
    plant.world.write(&asks.request_place(), asks.request());
    let said = |args: &[&str]| {
        let ran = plant.giterctl(&[&["import", "stick"], args].concat());
        without_short_fingerprints(&without_names(&ran.all().replace(&plant.exchange, "[EXCHANGE]")))
    };
    golden("import-dry.txt", said(&["--dry-run"]));
    golden("import.json", said(&["-o", "json"]));
    golden("import-again-wide.txt", said(&["-o", "wide"]));
}
