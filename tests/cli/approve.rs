//! `giterctl approve`: from a request to a status that the approval proves, and every request that is none.

use std::{fs, io::Write, process::Stdio};

use giter_edge::{
    api::{
        Oid,
        object::{NewObject, ObjectKind},
    },
    codec::{
        enrolment::{self, Notes},
        keyfile::SecretKey,
        sshsig,
    },
    git::{
        commit::object,
        enrolment::{Request, request_commit},
    },
};
use serde_json::Value;

use super::{
    enroll::{REQUEST, fixed_key, giterd, unenrolled},
    support::{Ran, World, golden, without_names},
};

/// The manifest that an approval writes.
const MANIFEST: &str = "exchange/specs/pump-07/device.yaml";

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32])
}

fn giterctl(world: &World, args: &[&str]) -> Ran {
    world.giterctl(&[&["-C", "exchange"], args].concat())
}

fn approve(world: &World, args: &[&str]) -> Ran {
    giterctl(world, &[&["approve"], args].concat())
}

fn said(world: &World, ran: &Ran) -> String {
    without_names(&world.without_dir(&ran.all()))
}

/// How a run ended, and for what reason.
fn end(ran: &Ran) -> (Option<i32>, &str) {
    (ran.code, ran.stderr.lines().find_map(|line| line.strip_prefix("reason: ")).unwrap_or_default())
}

fn sync(world: &World) -> Ran {
    giterd(world, &["sync"])
}

fn verdicts(world: &World) -> Vec<String> {
    world.git(&["-C", "exchange", "fetch", "-q", "origin", "+refs/giter/status/*:refs/giter/status/*"]);
    let report: Value = serde_json::from_str(&giterctl(world, &["verify", "-o", "json"]).stdout).unwrap();
    let verdict = |device: &Value| device["verdict"].as_str().unwrap().to_owned();
    report["devices"].as_array().unwrap().iter().map(verdict).collect()
}

fn statuses(world: &World) -> String {
    world.git(&["-C", "hub.git", "for-each-ref", "refs/giter/status"])
}

/// What a device with this key would ask, before anything of it is changed.
fn request(device: &str, seed: u8) -> [NewObject; 3] {
    let notes = Notes { board: "sim".into(), agent: "0.1.0".into() };
    let (device, key) = (device.parse().unwrap(), key(seed));
    request_commit(Request { device: &device, key: &key, ssh_key: None, notes, time: 1_795_000_000 }).unwrap()
}

/// Puts objects and a ref to the last of them at the hub, as whoever may write there can.
fn plant(world: &World, name: &str, objects: &[NewObject]) {
    for NewObject { id, object } in objects {
        let kind = format!("{:?}", object.kind).to_lowercase();
        let args = ["-C", "hub.git", "hash-object", "--literally", "-t", &kind, "-w", "--stdin"];
        assert_eq!(world.git_with(&args, &object.data), id.to_string());
    }
    world.git(&["-C", "hub.git", "update-ref", name, &objects.last().unwrap().id.to_string()]);
}

/// A commit over a tree, by an author, with parents, signed with a key.
fn commit(tree: Oid, author: &str, parents: &[Oid], signer: Option<&SecretKey>) -> NewObject {
    let parents: String = parents.iter().map(|parent| format!("parent {parent}\n")).collect();
    let who = format!("{author} <{author}@giter> 1795000000 +0000");
    let (header, message) = (format!("tree {tree}\n{parents}author {who}\ncommitter {who}\n"), "ask\n");
    let seal = signer.map(|key| {
        let armour = sshsig::sign(key, sshsig::GIT, format!("{header}\n{message}").as_bytes());
        format!("gpgsig {}\n", armour.trim_end().replace('\n', "\n "))
    });
    object(ObjectKind::Commit, format!("{header}{}\n{message}", seal.unwrap_or_default()).into_bytes()).unwrap()
}

fn blob(bytes: &[u8]) -> NewObject {
    object(ObjectKind::Blob, bytes.to_vec()).unwrap()
}

fn tree(entries: &[(&str, &str, Oid)]) -> NewObject {
    let entry = |(mode, name, id): &(&str, &str, Oid)| [format!("{mode} {name}\0").as_bytes(), id.as_bytes()].concat();
    object(ObjectKind::Tree, entries.iter().flat_map(entry).collect()).unwrap()
}

/// A request whose manifest is this text, signed with the key that grows from the seed.
fn asking(text: &[u8], seed: u8) -> Vec<NewObject> {
    let blob = blob(text);
    let tree = tree(&[("100644", "device.yaml", blob.id)]);
    let commit = commit(tree.id, "pump-07", &[], Some(&key(seed)));
    vec![blob, tree, commit]
}

fn manifest(seed: u8) -> String {
    enrolment::write(&"pump-07".parse().unwrap(), &key(seed).public(), None, &Notes::default()).unwrap()
}

#[test]
fn a_device_is_enrolled_and_its_statuses_are_proven_by_the_approval() {
    let world = unenrolled();
    fixed_key(&world, 21);
    giterd(&world, &["enroll"]).good();
    golden("approve-list.txt", said(&world, &approve(&world, &[])));
    golden("approve-list-wide.txt", said(&world, &approve(&world, &["-o", "wide"])));
    golden("approve-list.json", said(&world, &approve(&world, &["-o", "json"])));
    golden("approve-asks.txt", said(&world, &approve(&world, &["pump-07"])));
    assert!(!world.path(MANIFEST).exists(), "nobody said yes");

    golden("approve.txt", said(&world, &approve(&world, &["pump-07", "--yes"])));
    golden("approve-device.yaml", world.read(MANIFEST));
    world.git(&["-C", "exchange", "verify-commit", "HEAD"]);
    golden(
        "approve-commit.txt",
        without_names(&world.git(&["-C", "exchange", "log", "-1", "--format=%B%H", "--stat"])) + "\n",
    );
    golden("approve-again.txt", said(&world, &approve(&world, &["pump-07", "--yes", "--push"])));
    assert_eq!(world.git(&["-C", "hub.git", "for-each-ref", "refs/giter/enroll"]), "");
    assert_eq!(world.git(&["-C", "exchange", "for-each-ref", "refs/giter/enroll"]), "");
    golden("approve-none.txt", said(&world, &approve(&world, &[])));

    assert_eq!(giterctl(&world, &["lint"]).code, Some(0));
    assert_eq!(end(&sync(&world)), (Some(0), ""));
    let check = giterd(&world, &["check"]);
    assert!(
        check.stdout.contains("\napproval        yes   the exchange names 058a-akqn-m1e4-m999\n"),
        "{}",
        check.stdout
    );
    assert_eq!(verdicts(&world), ["Proven"]);
    world.write("exported", giterctl(&world, &["trust", "export"]).good());
    let signers = format!("gpg.ssh.allowedSignersFile={}", world.path("exported").display());
    world.git(&["-C", "hub.git", "-c", &signers, "verify-commit", "refs/giter/status/pump-07"]);
}

/// What a person at a terminal answers; `script` of util-linux has one to give.
fn answered(world: &World, answer: &str) -> Ran {
    let program = format!("'{}' -C exchange approve pump-07", env!("CARGO_BIN_EXE_giterctl"));
    let mut command = world.command("script");
    let mut child = command
        .args(["--quiet", "--return", "--command", &program, "/dev/null"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("script is installed: apt-get install bsdutils");
    child.stdin.take().unwrap().write_all(answer.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    Ran { stdout: shown, stderr: String::new(), code: output.status.code() }
}

#[test]
fn a_person_at_a_terminal_is_asked() {
    let world = unenrolled();
    plant(&world, REQUEST, &request("pump-07", 21));
    for (answer, code) in [("n\n", 1), ("\n", 1), ("y\n", 0)] {
        assert!(!world.path(MANIFEST).exists());
        let ran = answered(&world, answer);
        assert_eq!(ran.code, Some(code), "{answer:?}: {}", ran.stdout);
        assert!(ran.stdout.contains("Is this the fingerprint that the device shows? [y/N]"), "{}", ran.stdout);
        assert!(ran.stdout.contains("fingerprint   058a-akqn-m1e4-m999"), "{}", ran.stdout);
    }
    assert!(world.path(MANIFEST).exists());
}

#[test]
fn a_key_that_was_replaced_does_nothing_until_it_is_approved() {
    let world = unenrolled();
    fixed_key(&world, 21);
    giterd(&world, &["enroll"]).good();
    assert_eq!(approve(&world, &["pump-07", "--yes", "--push"]).code, Some(0));
    assert_eq!(end(&sync(&world)), (Some(0), ""));
    let before = statuses(&world);

    // The tip is the accepted one, and the device has another key since.
    fixed_key(&world, 22);
    golden("sync-not-approved.txt", said(&world, &sync(&world)));
    assert_eq!(statuses(&world), before, "who is not approved says nothing");
    golden("check-not-approved.txt", said(&world, &giterd(&world, &["check"])));
    // A tip that it has not seen yet changes nothing of that; drift is corrected all the same.
    let relay = "exchange/specs/pump-07/pump-relay.yaml";
    world.write(relay, world.read(relay).replace("value: high", "value: low"));
    world.git(&["-C", "exchange", "commit", "-q", "-a", "-S", "-m", "stop"]);
    world.git(&["-C", "exchange", "push", "-q", "origin", "main"]);
    world.write("sim.toml", "[gpio]\nGPIO17 = \"low\"\n");
    for _ in 0..2 {
        assert_eq!(end(&sync(&world)), (Some(1), "NotApproved"));
        assert!(world.read("sim.toml").contains("GPIO17 = \"high\""));
    }
    assert_eq!(statuses(&world), before);

    giterd(&world, &["enroll"]).good();
    golden("approve-different.txt", said(&world, &approve(&world, &[])));
    golden("approve-replace-asks.txt", said(&world, &approve(&world, &["pump-07", "--yes"])));
    golden(
        "approve-keep.txt",
        said(&world, &approve(&world, &["pump-07", "--yes", "--keep-until", "2036-01-01", "--push"])),
    );
    golden("approve-kept-device.yaml", world.read(MANIFEST));
    assert_eq!(end(&sync(&world)), (Some(0), ""));
    assert!(world.read("sim.toml").contains("GPIO17 = \"low\""));
    assert_ne!(statuses(&world), before);
    assert_eq!(verdicts(&world), ["Proven"], "the old key speaks for the old statuses");

    giterd(&world, &["enroll"]).good();
    assert_eq!(approve(&world, &["pump-07", "--yes", "--replace"]).code, Some(0));
    let text = world.read(MANIFEST);
    assert!(text.contains(&key(22).public().to_openssh()) && !text.contains(&key(21).public().to_openssh()), "{text}");
    // The keys count that the named commit names.
    assert_eq!(verdicts(&world), ["Forgery"]);
    assert_eq!(giterctl(&world, &["verify", "--revision", "HEAD~"]).code, Some(0));
}

#[test]
fn a_refused_device_goes_on_by_itself_once_its_old_key_is_back() {
    let world = unenrolled();
    fixed_key(&world, 21);
    giterd(&world, &["enroll"]).good();
    assert_eq!(approve(&world, &["pump-07", "--yes", "--push"]).code, Some(0));
    // The first tip that it sees names another key.
    fixed_key(&world, 22);
    for _ in 0..2 {
        assert_eq!(end(&sync(&world)), (Some(1), "NotApproved"));
    }
    assert_eq!((statuses(&world), world.path("files/motd").exists()), (String::new(), false));
    let check = giterd(&world, &["check"]);
    assert!(check.stdout.contains("\napproval        no    NotApproved: "), "{}", check.stdout);
    fixed_key(&world, 21);
    assert_eq!(end(&sync(&world)), (Some(0), ""));
}

#[test]
fn a_request_comes_by_stick() {
    let world = unenrolled();
    fixed_key(&world, 21);
    fs::create_dir(world.path("stick")).unwrap();
    let stick = world.path("stick").display().to_string();
    assert_eq!(end(&approve(&world, &["--stick", &stick])), (Some(3), "StickFailed"));
    fs::create_dir(world.path("stick/GITER")).unwrap();
    assert_eq!(end(&approve(&world, &["--stick", &stick])), (Some(1), "EnrolmentNotFound"));
    giterd(&world, &["enroll", "--stick", "stick"]).good();
    // What else lies there is passed over.
    world.write("stick/GITER/enroll/from-device/notes.txt", "x");
    world.write("stick/GITER/enroll/elsewhere/pump-07.enroll.bundle", "x");
    fs::rename(world.path("hub.git"), world.path("away.git")).unwrap();
    assert!(approve(&world, &["--stick", &stick]).good().contains("pump-07   New        058a-akqn-m1e4-m999   sim"));
    let said = approve(&world, &["pump-07", "--stick", &stick, "--yes"]).stdout;
    assert!(said.ends_with(&format!("\nnext:\n  git push\n  giterctl export --to {stick} pump-07\n")), "{said}");
    assert_eq!(approve(&world, &["--offline"]).good().lines().count(), 2);
    assert!(approve(&world, &["--offline"]).stdout.contains("   Same   "));
    world.write("stick/GITER/enroll/from-device/pump-07.enroll.bundle", "no bundle");
    assert_eq!(end(&approve(&world, &["--stick", &stick])), (Some(2), "GitFailed"));
    assert_eq!(end(&approve(&world, &[])), (Some(2), "GitFailed"));
}

#[test]
fn a_request_is_taken_from_where_it_is_named() {
    let world = unenrolled();
    plant(&world, "refs/heads/odd", &request("pump-07", 21));
    world.git(&["-C", "exchange", "fetch", "-q", "origin", "odd:refs/odd"]);
    assert_eq!(end(&approve(&world, &["pump-07", "--from", "refs/nowhere"])), (Some(1), "EnrolmentNotFound"));
    assert_eq!(end(&approve(&world, &["pump-07"])), (Some(1), "EnrolmentNotFound"));
    let ran = approve(&world, &["pump-07", "--from", "refs/odd", "--yes", "--no-commit", "-o", "json"]);
    let done: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(
        (&done["commit"], &done["pushed"], &done["file"]),
        (&Value::Null, &false.into(), &MANIFEST["exchange/".len()..].into())
    );
    assert_eq!(world.git(&["-C", "exchange", "status", "--porcelain"]), "?? specs/pump-07/device.yaml");
    // What was left uncommitted is committed by the next call.
    assert_eq!(approve(&world, &["pump-07", "--from", "refs/odd", "--yes", "-o", "name"]).stdout, "Device/pump-07\n");
    assert_eq!(world.git(&["-C", "exchange", "status", "--porcelain"]), "");
}

#[test]
fn every_request_that_is_none_is_refused() {
    let (good, other) = (manifest(21), request("pump-08", 21));
    let base = request("pump-07", 21);
    let (file, root) = (base[0].id, base[1].id);
    let two = tree(&[("100644", "a.yaml", file), ("100644", "device.yaml", file)]);
    let link = tree(&[("120000", "device.yaml", file)]);
    let folder = tree(&[("40000", "device.yaml", root)]);
    let with_base = |made: Vec<NewObject>| base.iter().cloned().chain(made).collect::<Vec<_>>();
    let over = |tree: NewObject| {
        let commit = commit(tree.id, "pump-07", &[], Some(&key(21)));
        with_base(vec![tree, commit])
    };
    let two_keys = good.trim_end().to_owned() + &format!("\n  - key: {}\n", key(22).public().to_openssh());
    let big = format!("{good}{}", "# \n".repeat(2000));
    let cases: Vec<(&str, Vec<NewObject>, &str)> = vec![
        ("signed by another key", asking(good.as_bytes(), 22), "and is signed by SHA256:"),
        ("unsigned", with_base(vec![commit(root, "pump-07", &[], None)]), "it is not signed"),
        (
            "with parents",
            with_base(vec![commit(root, "pump-07", &[base[2].id], Some(&key(21)))]),
            "its commit has parents",
        ),
        ("of another device", other.to_vec(), "its commit is not by pump-07"),
        (
            "of another site's namesake",
            with_base(vec![commit(root, "site-b/pump-07", &[], Some(&key(21)))]),
            "not by pump-07",
        ),
        ("for another name", asking(good.replace("name: pump-07", "name: pump-08").as_bytes(), 21), "names pump-08"),
        ("too large", asking(big.as_bytes(), 21), "too large"),
        ("two files", over(two), "its tree is not exactly one device.yaml"),
        ("a link", over(link), "its tree is not exactly one device.yaml"),
        ("a folder", over(folder), "its tree is not exactly one device.yaml"),
        ("not UTF-8", asking(b"\xff\xfe", 21), "not UTF-8"),
        ("no Device", asking(b"", 21), "is not one Device and nothing else"),
        ("two keys", asking(two_keys.as_bytes(), 21), "has 2 status keys"),
        ("a weak key", asking(weak().as_bytes(), 21), "small order"),
        ("no commit", vec![blob(b"x")], ""),
    ];
    let world = unenrolled();
    for (what, objects, why) in cases {
        plant(&world, REQUEST, &objects);
        let ran = approve(&world, &["pump-07", "--yes"]);
        let expected = if why.is_empty() { "EnrolmentNotFound" } else { "EnrolmentInvalid" };
        assert_eq!(end(&ran), (Some(1), expected), "{what}: {}", ran.all());
        assert!(ran.stderr.contains(why), "{what}: {}", ran.stderr);
        let listed = approve(&world, &["-o", "json"]);
        let listed: Value = serde_json::from_str(&listed.stdout).unwrap();
        assert_eq!(listed["requests"][0]["standing"], "Invalid", "{what}");
    }
    assert!(!world.path(MANIFEST).exists());
    plant(&world, "refs/giter/enroll/Not_A_Device", &request("pump-07", 21));
    plant(&world, REQUEST, &asking(good.as_bytes(), 22));
    golden("approve-list-invalid.txt", said(&world, &approve(&world, &[])));
    golden("approve-forged.txt", said(&world, &approve(&world, &["pump-07", "--yes"])));
    golden("approve-reject.txt", said(&world, &approve(&world, &["pump-07", "--reject"])));
    assert_eq!(world.git(&["-C", "hub.git", "for-each-ref", REQUEST]), "");
    assert_eq!(end(&approve(&world, &["pump-07", "--reject"])), (Some(1), "EnrolmentNotFound"));
}

/// A request for a key that lets anybody sign anything.
fn weak() -> String {
    let identity = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    manifest(21).replace(&key(21).public().to_openssh(), identity)
}

#[test]
fn what_a_stranger_writes_does_not_reach_a_terminal_or_the_manifest() {
    let world = unenrolled();
    let notes = Notes { board: "\u{1b}[31mred".into(), agent: "x".repeat(300) };
    let text = enrolment::write(&"pump-07".parse().unwrap(), &key(21).public(), None, &notes).unwrap();
    let public = key(21).public().to_openssh();
    let text = text.replace(&public, &format!("{public} a comment")).replace("spec:", "  labels: {a: b}\nspec:");
    plant(&world, REQUEST, &asking(text.as_bytes(), 21));
    for args in [&[][..], &["-o", "wide"], &["-o", "json"], &["-o", "yaml"], &["pump-07", "--yes"]] {
        let all = approve(&world, args).all();
        assert!(!all.contains('\u{1b}') && all.contains("[31mred") && !all.contains(&"x".repeat(65)), "{all}");
    }
    let written = world.read(MANIFEST);
    assert!(!written.contains("comment") && !written.contains("red") && !written.contains("labels"), "{written}");
}

#[test]
fn one_key_is_one_devices() {
    let world = unenrolled();
    plant(&world, REQUEST, &request("pump-07", 21));
    assert_eq!(approve(&world, &["pump-07", "--yes"]).code, Some(0));
    plant(&world, "refs/giter/enroll/site-a/pump-09", &request("site-a/pump-09", 21));
    let ran = approve(&world, &["site-a/pump-09", "--yes"]);
    assert_eq!(end(&ran), (Some(1), "EnrolmentConflict"), "{}", ran.all());
    assert!(ran.stderr.contains("is approved as that of pump-07\n"), "{}", ran.stderr);
    // A folder with nothing but the approval is a device's, too.
    plant(&world, "refs/giter/enroll/site-a/pump-09", &request("site-a/pump-09", 22));
    assert_eq!(approve(&world, &["site-a/pump-09", "--yes"]).code, Some(0));
    assert_eq!(giterctl(&world, &["lint"]).code, Some(0));
}

#[test]
fn what_people_wrote_is_theirs_to_change() {
    let world = unenrolled();
    plant(&world, REQUEST, &request("pump-07", 21));
    let mine = format!("# The pump in hall 7\n{}", manifest(22));
    world.write("exchange/specs/pump-07/about.yaml", &mine);
    world.git(&["-C", "exchange", "add", "."]);
    world.git(&["-C", "exchange", "commit", "-q", "-S", "-m", "by hand"]);
    golden("approve-by-hand.txt", said(&world, &approve(&world, &["pump-07", "--yes", "--replace"])));
    assert_eq!(world.read("exchange/specs/pump-07/about.yaml"), mine);
    assert!(!world.path(MANIFEST).exists());
}

#[test]
fn an_approval_that_cannot_be_signed_leaves_nothing() {
    let world = unenrolled();
    plant(&world, REQUEST, &request("pump-07", 21));
    world.write("exchange/staged", "mine");
    world.git(&["-C", "exchange", "add", "staged"]);
    let before = world.git(&["-C", "exchange", "rev-parse", "HEAD"]);
    world.git(&["-C", "exchange", "config", "user.signingkey", "/nonexistent"]);
    let ran = approve(&world, &["pump-07", "--yes"]);
    assert_eq!(end(&ran), (Some(2), "BadKeyFile"), "{}", ran.all());
    assert_eq!(world.git(&["-C", "exchange", "status", "--porcelain"]), "A  staged");
    assert_eq!(world.git(&["-C", "exchange", "rev-parse", "HEAD"]), before);
    assert_eq!(end(&approve(&world, &["pump-07", "--yes", "--key", "missing"])), (Some(2), "BadKeyFile"));
    assert!(!world.path(MANIFEST).exists());
    let ops = world.path("ops.key").display().to_string();
    assert_eq!(approve(&world, &["pump-07", "--yes", "--key", &ops]).code, Some(0));
    assert_eq!(world.git(&["-C", "exchange", "status", "--porcelain"]), "A  staged", "only the approval was committed");
    world.git(&["-C", "exchange", "verify-commit", "HEAD"]);
}

#[test]
fn a_wrong_call_is_the_callers_to_mend() {
    let world = unenrolled();
    for args in [
        &["pump-07", "--keep-until", "tomorrow"][..],
        &["pump-07", "--keep-until", "2036-01-01", "--replace"],
        &["--reject"],
        &["--from", "x"],
        &["pump-07", "--offline", "--push"],
        &["pump-07", "--stick", "x", "--from", "y"],
        &["Not_A_Device"],
    ] {
        assert_eq!(end(&approve(&world, args)), (Some(2), "Usage"), "{args:?}");
    }
    plant(&world, REQUEST, &request("pump-07", 21));
    world.git(&["-C", "exchange", "fetch", "-q", "origin", "+refs/giter/enroll/*:refs/giter/enroll/*"]);
    let bare = world.giterctl(&["-C", "hub.git", "approve", "pump-07", "--offline", "--yes"]);
    assert_eq!(end(&bare), (Some(2), "Usage"));
    assert_eq!(end(&approve(&world, &["--remote", "nowhere"])), (Some(2), "GitFailed"));
}
