//! `giterd enroll`: the keys it makes and keeps, and where its request goes.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    process::Command,
};

use giter_edge::codec::{enrolment, keyfile::SecretKey};

use super::{
    device::published,
    support::{Ran, World, golden, without_names},
};

/// The ref on which the device asks.
pub(crate) const REQUEST: &str = "refs/giter/enroll/pump-07";

/// A published exchange whose device has no key yet.
pub(crate) fn unenrolled() -> World {
    let world = published();
    fs::remove_file(world.path("device.key")).unwrap();
    world
}

/// A key of the device that is the same in every run.
pub(crate) fn fixed_key(world: &World, seed: u8) -> SecretKey {
    let key = SecretKey::from_seed(&[seed; 32]);
    world.write_key("device.key", &key.to_openssh("").unwrap());
    key
}

pub(crate) fn giterd(world: &World, args: &[&str]) -> Ran {
    world.giterd(&[&["--config", "giterd.toml"], args].concat())
}

/// A program's words without what differs from run to run.
fn said(world: &World, ran: &Ran) -> String {
    without_names(&world.without_dir(&ran.all()))
}

fn reason(ran: &Ran) -> &str {
    ran.stderr.lines().find_map(|line| line.strip_prefix("reason: ")).unwrap_or_default()
}

fn reconfigure(world: &World, from: &str, to: &str) {
    let config = world.read("giterd.toml");
    assert!(config.contains(from), "{config}");
    world.write("giterd.toml", config.replace(from, to));
}

fn mode(world: &World, path: &str) -> u32 {
    fs::metadata(world.path(path)).unwrap().mode() & 0o7777
}

#[test]
fn a_request_goes_to_the_hub_once() {
    let world = unenrolled();
    fixed_key(&world, 21);
    golden("enroll.txt", said(&world, &giterd(&world, &["enroll"])));
    let sent = world.git(&["-C", "hub.git", "rev-parse", REQUEST]);
    golden("enroll-again.txt", said(&world, &giterd(&world, &["enroll"])));
    golden("enroll.json", said(&world, &giterd(&world, &["enroll", "-o", "json"])));
    assert_eq!(world.git(&["-C", "hub.git", "rev-parse", REQUEST]), sent);
    assert_eq!(giterd(&world, &["enroll", "-o", "name"]).good(), "Device/pump-07\n");
}

#[test]
fn another_request_is_replaced_when_that_is_said() {
    let world = unenrolled();
    fixed_key(&world, 21);
    giterd(&world, &["enroll"]).good();
    fixed_key(&world, 22);
    golden("enroll-conflict.txt", said(&world, &giterd(&world, &["enroll"])));
    let sent = giterd(&world, &["enroll", "--force"]);
    assert!(sent.good().contains(&format!("sent to {REQUEST}\n")));
    let commit = world.git(&["-C", "hub.git", "rev-list", REQUEST]);
    assert_eq!(commit.lines().count(), 1, "a request has no parents");
}

#[test]
fn git_reads_a_request_and_proves_it() {
    let world = unenrolled();
    let key = fixed_key(&world, 21);
    giterd(&world, &["enroll"]).good();
    assert_eq!(world.git(&["-C", "hub.git", "ls-tree", "--name-only", REQUEST]), enrolment::FILE);
    world.write("signers", format!("pump-07@giter namespaces=\"git\" {}\n", key.public().to_openssh()));
    let signers = format!("gpg.ssh.allowedSignersFile={}", world.path("signers").display());
    let shown = world.git(&[
        "-C",
        "hub.git",
        "-c",
        &signers,
        "log",
        "--format=%G? %GS %an <%ae> %s",
        "--show-signature",
        REQUEST,
    ]);
    assert!(shown.contains("Good \"git\" signature for pump-07@giter"), "{shown}");
    assert!(shown.ends_with("G pump-07@giter pump-07 <pump-07@giter> pump-07 asks to be enrolled"), "{shown}");
    assert_eq!(world.git(&["-C", "hub.git", "fsck", "--strict", "--no-dangling"]), "");
}

#[test]
fn keys_are_made_for_nobody_else_and_kept() {
    for umask in ["000", "022", "777"] {
        let world = unenrolled();
        reconfigure(&world, "[link]\n", "[link]\nidentity = \"keys/ssh_key\"\n");
        // What a power cut left of an earlier attempt.
        world.write(".device.key.giter-tmp", "half a k");
        let mut command = world.command("sh");
        command.args(["-c", &format!("mkdir -m 755 keys; umask {umask}; exec \"$0\" -c giterd.toml enroll -o json")]);
        let output = command.arg(env!("CARGO_BIN_EXE_giterd")).output().unwrap();
        // Under the last umask nobody but root can work with the folders that are made.
        if umask != "777" {
            assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        }
        assert_eq!((mode(&world, "device.key"), mode(&world, "keys/ssh_key")), (0o600, 0o600), "umask {umask}");
        assert!(!world.path(".device.key.giter-tmp").exists());
        let keys = || (fs::read(world.path("device.key")).unwrap(), fs::read(world.path("keys/ssh_key")).unwrap());
        let first = keys();
        assert_ne!(first.0, first.1);
        assert_eq!(giterd(&world, &["enroll"]).stderr, "");
        assert_eq!(keys(), first);
        // ssh-keygen reads what was made, and knows the public half.
        let public = Command::new("ssh-keygen").arg("-y").arg("-f").arg(world.path("device.key")).output().unwrap();
        let public = String::from_utf8(public.stdout).unwrap();
        let public = public.rsplit_once(' ').unwrap().0;
        assert!(giterd(&world, &["enroll"]).good().contains(&format!("\nkey           {public}\n")));
    }
}

#[test]
fn what_stands_where_a_key_should_is_never_overwritten() {
    let world = unenrolled();
    for content in ["", "not a key\n", "ssh-ed25519 AAAA\n"] {
        world.write_key("device.key", content);
        let ran = giterd(&world, &["enroll"]);
        assert_eq!((ran.code, reason(&ran)), (Some(2), "BadKeyFile"), "{}", ran.all());
        assert_eq!(world.read("device.key"), content);
    }
    fs::remove_file(world.path("device.key")).unwrap();
    symlink("nowhere", world.path("device.key")).unwrap();
    assert_eq!(reason(&giterd(&world, &["enroll"])), "BadKeyFile");
    assert!(!world.path("nowhere").exists());
    fs::remove_file(world.path("device.key")).unwrap();
    fixed_key(&world, 21);
    fs::set_permissions(world.path("device.key"), fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(reason(&giterd(&world, &["enroll"])), "BadKeyFile");
    assert!(world.git(&["-C", "hub.git", "for-each-ref", "refs/giter"]).is_empty(), "something was asked");
}

#[test]
fn an_ssh_key_that_a_request_cannot_hold_is_left_out_in_words() {
    let world = unenrolled();
    world.run("ssh-keygen", &["-q", "-t", "ecdsa", "-N", "", "-f", "ssh_key"]);
    reconfigure(&world, "[link]\n", "[link]\nidentity = \"ssh_key\"\n");
    let ran = giterd(&world, &["enroll"]);
    assert_eq!(ran.code, Some(0), "{}", ran.all());
    assert!(ran.stderr.contains("the SSH key is not in the request: "), "{}", ran.stderr);
    let text = world.git(&["-C", "hub.git", "show", &format!("{REQUEST}:device.yaml")]);
    assert!(!text.contains("sshKeys") && !text.contains("ecdsa"), "{text}");
}

#[test]
fn a_hub_that_is_away_leaves_the_key_and_is_asked_again() {
    let world = unenrolled();
    fs::rename(world.path("hub.git"), world.path("away.git")).unwrap();
    let ran = giterd(&world, &["enroll"]);
    assert_eq!((ran.code, reason(&ran)), (Some(2), "RepositoryNotFound"), "{}", ran.all());
    assert!(ran.stdout.contains("request       not sent\n"), "{}", ran.stdout);
    let key = world.read("device.key");
    world.write("ssh", "#!/bin/sh\nexit 255\n");
    fs::set_permissions(world.path("ssh"), fs::Permissions::from_mode(0o755)).unwrap();
    let ssh = format!("program = {:?}\nurl = \"ssh://hub.invalid", world.path("ssh"));
    reconfigure(&world, "url = \"file://", &ssh);
    let ran = giterd(&world, &["enroll"]);
    assert_eq!((ran.code, reason(&ran)), (Some(3), "HubUnreachable"), "{}", ran.all());
    reconfigure(&world, &ssh, "url = \"file://");
    fs::rename(world.path("away.git"), world.path("hub.git")).unwrap();
    assert!(giterd(&world, &["enroll"]).good().contains("request       sent to "));
    assert_eq!(world.read("device.key"), key);
}

#[test]
fn a_device_without_a_hub_says_where_to_carry_the_request() {
    let world = unenrolled();
    fixed_key(&world, 21);
    let url = world.read("giterd.toml").lines().find(|line| line.starts_with("url")).unwrap().to_owned();
    reconfigure(&world, &url, "");
    golden("enroll-nowhere.txt", said(&world, &giterd(&world, &["enroll"])));
    let ran = giterd(&world, &["sync"]);
    assert_eq!((ran.code, reason(&ran)), (Some(2), "BadConfig"), "{}", ran.all());
    assert!(ran.stderr.contains("link.url is missing"), "{}", ran.stderr);
}

#[test]
fn a_request_on_a_stick_is_a_bundle_of_gits() {
    let world = unenrolled();
    fixed_key(&world, 21);
    let missing = giterd(&world, &["enroll", "--stick", "stick"]);
    assert_eq!((missing.code, reason(&missing)), (Some(3), "StickFailed"), "{}", missing.all());
    fs::create_dir(world.path("stick")).unwrap();
    for _ in 0..2 {
        golden("enroll-stick.txt", said(&world, &giterd(&world, &["enroll", "--stick", "stick"])));
    }
    let bundle = world.path("stick/GITER/enroll/from-device/pump-07.enroll.bundle").display().to_string();
    assert_eq!(fs::read_dir(world.path("stick/GITER/enroll/from-device")).unwrap().count(), 1);
    world.git(&["init", "-q", "--bare", "empty.git"]);
    world.git(&["-C", "empty.git", "bundle", "verify", &bundle]);
    world.git(&["-C", "empty.git", "fetch", "-q", &bundle, &format!("{REQUEST}:{REQUEST}")]);
    world.git(&["-C", "empty.git", "fsck", "--strict"]);
    giterd(&world, &["enroll"]).good();
    let at = |repository| world.git(&["-C", repository, "rev-parse", REQUEST]);
    assert_eq!(at("empty.git"), at("hub.git"), "the same request by both ways");
    // Once the exchange is known, its id is the folder's name.
    assert_eq!(giterd(&world, &["sync"]).code, Some(0));
    giterd(&world, &["enroll", "--stick", "stick"]).good();
    let id = world.read("exchange/exchange.yaml");
    let id = id.lines().find_map(|line| line.strip_prefix("  id: ")).unwrap().to_owned();
    assert!(world.path(&format!("stick/GITER/{id}/from-device/pump-07.enroll.bundle")).is_file());
}

#[test]
fn the_private_key_never_leaves() {
    let world = unenrolled();
    reconfigure(&world, "[link]\n", "[link]\nidentity = \"ssh_key\"\n");
    fs::create_dir(world.path("stick")).unwrap();
    let mut said = String::new();
    for args in [
        &["enroll"][..],
        &["enroll", "-o", "yaml", "-vv"],
        &["enroll", "--stick", "stick"],
        &["sync", "-vv"],
        &["check"],
        &["status", "-o", "yaml"],
    ] {
        said += &giterd(&world, args).all();
    }
    let mut bytes = said.into_bytes();
    bytes.extend(all_objects(&world));
    for file in files_below(&world.path("stick")).into_iter().chain(files_below(&world.path("state"))) {
        bytes.extend(fs::read(file).unwrap());
    }
    for name in ["device.key", "ssh_key"] {
        let text = world.read(name);
        let key = SecretKey::from_openssh(name, text.as_bytes()).unwrap();
        let seed = seed_of(&key, &text);
        assert!(!bytes.windows(32).any(|window| window == seed), "the bytes of {name} are outside");
        // The lines that hold the private half, and not those of the public one.
        for line in text.lines().skip(3).filter(|line| !line.starts_with("-----")) {
            assert!(!String::from_utf8_lossy(&bytes).contains(line), "{name} is outside: {line}");
        }
    }
}

/// What git holds at the hub.
fn all_objects(world: &World) -> Vec<u8> {
    let mut command = world.command("git");
    let output = command.args(["-C", "hub.git", "cat-file", "--batch-all-objects", "--batch"]).output().unwrap();
    assert!(output.status.success() && output.stdout.windows(4).any(|window| window == b"enro"));
    output.stdout
}

/// The private half in a key file, which stands before a copy of the public half.
fn seed_of(key: &SecretKey, text: &str) -> [u8; 32] {
    use base64ct::{Base64, Encoding};
    let base64: String = text.lines().filter(|line| !line.starts_with("-----")).collect();
    let file = Base64::decode_vec(&base64).unwrap();
    let blob = key.public().to_blob();
    let public = &blob[blob.len() - 32..];
    let seeds = file.windows(64).filter(|pair| &pair[32..] == public).map(|pair| pair[..32].try_into().unwrap());
    seeds.into_iter().find(|seed| SecretKey::from_seed(seed).public() == key.public()).expect("the file holds its seed")
}

fn files_below(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}
