//! Keys that are lost, stolen and rotated, from `giterctl trust` to what `giterd` makes of it.

use super::{
    charter::refusal,
    support::World,
    trust::{founded, keygen, trust},
};

/// A hub and two devices, `pump-07` and `pump-08`, whose root file names `ops.key`. The publisher `ana` may change all.
fn site() -> World {
    let world = founded();
    let exchange = |args: &[&str]| world.git(&[&["-C", "exchange"], args].concat());
    world.git(&["init", "-q", "--bare", "--initial-branch=main", "hub.git"]);
    exchange(&["remote", "add", "origin", "../hub.git"]);
    for device in ["pump-07", "pump-08"] {
        world.write(&format!("exchange/specs/{device}/motd.yaml"), MANIFEST);
        keygen(&world, &format!("{device}.key"), "ed25519");
        let at = |path: &str| world.path(path).display().to_string();
        let config = format!(
            "device = {device:?}\nstate = {:?}\nboard = \"sim\"\n[link]\nurl = \"file://{}\"\n[trust]\nroot = {:?}\n\
             [status]\nkey = {:?}\n[sim]\nfile = {:?}\n",
            at(&format!("{device}.state")),
            at("hub.git"),
            at("root.keys"),
            at(&format!("{device}.key")),
            at("sim.toml")
        );
        world.write(&format!("{device}.toml"), config);
    }
    world.write("giterd.toml", world.read("pump-07.toml"));
    world.write("root.keys", world.read("exchange/root.keys"));
    exchange(&["rm", "-q", "specs/pump-07/pump-relay.yaml", "specs/pump-07/activity.yaml"]);
    exchange(&["add", "."]);
    exchange(&["commit", "-q", "-m", "two devices"]);
    trust(&world, &["add", "publisher", "ana@plant-7", "ana.pub"]).good();
    push(&world);
    assert_eq!(refusal(&world), None);
    world
}

const MANIFEST: &str = "apiVersion: edge.giter.dev/v1alpha1\nkind: Led\nmetadata: {name: act}\nspec: {led: ACT, \
    brightness: 3, failsafe: 0}\n";

fn push(world: &World) {
    world.git(&["-C", "exchange", "push", "-q", "-f", "origin", "HEAD:main"]);
}

/// Changes the spec by a key, at a date of its own where one is given.
fn change(world: &World, by: &str, date: Option<&str>) {
    let file = "exchange/specs/pump-07/motd.yaml";
    world.write(file, world.read(file) + "# changed\n");
    commit(world, by, date, &["commit", "-q", "-a", "-m", by]);
}

fn commit(world: &World, by: &str, date: Option<&str>, args: &[&str]) {
    let sign = format!("--gpg-sign={}", world.path(by).display());
    let mut git = world.command("git");
    git.args(["-C", "exchange"]).args(args).arg(&sign);
    if let Some(date) = date {
        git.env("GIT_AUTHOR_DATE", date).env("GIT_COMMITTER_DATE", date);
    }
    let output = git.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Publishes a change by a key, and what the device makes of it. A change that is refused is taken back.
#[track_caller]
fn published(world: &World, by: &str, date: Option<&str>) -> Option<String> {
    change(world, by, date);
    push(world);
    let refusal = refusal(world);
    if refusal.is_some() {
        world.git(&["-C", "exchange", "reset", "-q", "--hard", "HEAD^"]);
        push(world);
    }
    refusal
}

fn refused(reason: &str) -> Option<String> {
    Some(reason.into())
}

#[test]
fn a_publisher_who_lost_his_key_gets_another() {
    let world = site();
    assert_eq!(published(&world, "ana", None), None);
    trust(&world, &["revoke", "ana@plant-7"]).good();
    trust(&world, &["add", "publisher", "ana@plant-7", "next.pub"]).good();
    push(&world);
    assert_eq!(refusal(&world), None);
    assert_eq!(published(&world, "ana", None), refused("UntrustedKey"));
    // The finder sets his clock back to when it was valid.
    assert_eq!(published(&world, "ana", Some("2020-01-01T00:00:00Z")), refused("UntrustedKey"));
    assert_eq!(published(&world, "next", None), None);
    let ran = trust(&world, &["add", "root", "ana.pub", "--key", "ana"]);
    assert!(ran.stderr.ends_with("reason: KeyNotAllowed\n"), "{}", ran.stderr);
}

#[test]
fn a_revoked_key_is_not_brought_back_by_a_merge() {
    let world = site();
    world.git(&["-C", "exchange", "branch", "side"]);
    trust(&world, &["revoke", "ana@plant-7"]).good();
    push(&world);
    assert_eq!(refusal(&world), None);
    world.git(&["-C", "exchange", "checkout", "-q", "side"]);
    change(&world, "ana", Some("2020-01-01T00:00:00Z"));
    world.git(&["-C", "exchange", "checkout", "-q", "main"]);
    commit(&world, "ops.key", None, &["merge", "-q", "--no-ff", "-m", "a trusted person merges", "side"]);
    push(&world);
    assert_eq!(refusal(&world), refused("UntrustedKey"));
    // What was merged before the key was revoked stays good.
    world.git(&["-C", "exchange", "reset", "-q", "--hard", "HEAD^"]);
    push(&world);
    assert_eq!(published(&world, "ops.key", None), None);
}

#[test]
fn a_root_is_rotated() {
    let world = site();
    trust(&world, &["rotate", "root", "ops@plant-7", "next"]).good();
    push(&world);
    assert_eq!(refusal(&world), None);
    assert_eq!(published(&world, "ana", None), None);
    assert_eq!(published(&world, "ops.key", None), refused("UntrustedKey"));
    let ran = trust(&world, &["add", "root", "ben.pub", "--key", "ops.key"]);
    assert!(ran.stderr.ends_with("reason: KeyNotAllowed\n"), "{}", ran.stderr);
    trust(&world, &["add", "root", "ben.pub", "--key", "next"]).good();
    push(&world);
    assert_eq!(refusal(&world), None);
    assert_eq!(published(&world, "ben", None), None);
}

#[test]
fn a_root_is_rotated_whose_successor_is_not_at_hand() {
    let world = site();
    let told = trust(&world, &["rotate", "root", "ops@plant-7", "next.pub", "--key", "ops.key"]).good();
    assert!(!told.contains("None of its own roots"), "its private half lies beside it: {told}");
    world.git(&["-C", "exchange", "reset", "-q", "--hard", "HEAD^"]);
    std::fs::rename(world.path("next"), world.path("elsewhere")).unwrap();
    let told = trust(&world, &["rotate", "root", "ops@plant-7", "next.pub"]).good();
    assert!(told.contains("None of its own roots has signed it yet; as one of them: giterctl trust sign\n"), "{told}");
    let listed = trust(&world, &["list"]).good();
    assert!(listed.contains("a root of the charter before"), "{listed}");
    push(&world);
    assert_eq!(refusal(&world), None);
    trust(&world, &["sign", "--key", "elsewhere"]).good();
    push(&world);
    assert_eq!(refusal(&world), None);
    assert_eq!(trust(&world, &["list"]).good().matches("\nsigned by ").count(), 2);
}

#[test]
fn both_keys_count_while_they_overlap() {
    let world = site();
    trust(&world, &["rotate", "publisher", "ana@plant-7", "next.pub", "--overlap-until", "2090-01-01"]).good();
    push(&world);
    assert_eq!(refusal(&world), None);
    assert_eq!(published(&world, "ana", Some("2089-12-31T23:59:59Z")), None);
    assert_eq!(published(&world, "next", Some("2089-12-31T23:59:59Z")), None);
    assert_eq!(published(&world, "ana", Some("2090-01-01T00:00:00Z")), refused("KeyNotValid"));
    assert_eq!(published(&world, "next", Some("2090-01-01T00:00:00Z")), None);
    // The branch is past the end now, whatever date the old key's holder writes.
    assert_eq!(published(&world, "ana", Some("2089-12-31T23:59:59Z")), refused("KeyNotValid"));
}

#[test]
fn a_device_that_was_off_follows_three_rotations_in_one_sync() {
    let world = site();
    trust(&world, &["rotate", "root", "ops@plant-7", "next"]).good();
    trust(&world, &["rotate", "publisher", "ana@plant-7", "ben.pub", "--key", "next"]).good();
    change(&world, "ben", None);
    keygen(&world, "third", "ed25519");
    trust(&world, &["rotate", "root", "next@plant-7", "third", "--key", "next"]).good();
    keygen(&world, "fourth", "ed25519");
    trust(&world, &["rotate", "root", "third@plant-7", "fourth", "--key", "third"]).good();
    change(&world, "ben", None);
    push(&world);
    assert_eq!(refusal(&world), None);
    for gone in ["ops.key", "ana", "next", "third"] {
        assert_eq!(published(&world, gone, None), refused("UntrustedKey"), "{gone}");
    }
    assert_eq!(published(&world, "fourth", None), None);
}

#[test]
fn a_new_device_starts_with_the_old_root_file_where_both_roots_signed() {
    let world = site();
    let start = |roots: &str| {
        let _ = std::fs::remove_dir_all(world.path("pump-08.state"));
        world.git(&["-C", "hub.git", "update-ref", "-d", "refs/giter/status/pump-08"]);
        world.write("root.keys", roots);
        let ran = world.giterd(&["--config", "pump-08.toml", "sync"]);
        ran.stderr.lines().find_map(|line| line.strip_prefix("reason: ")).map(str::to_owned)
    };
    let old = world.read("root.keys");
    trust(&world, &["rotate", "root", "ops@plant-7", "next"]).good();
    push(&world);
    let new = trust(&world, &["export", "--roots"]).good();
    assert_eq!([start(&old), start(&new)], [None, None]);
    // The next charter has the new root's signature alone, unless the old one is asked for, too.
    trust(&world, &["revoke", "ana@plant-7", "--key", "next"]).good();
    push(&world);
    assert_eq!([start(&old), start(&new)], [refused("CharterUntrusted"), None]);
    trust(&world, &["sign", "--key", "next", "--key", "ops.key"]).good();
    push(&world);
    assert_eq!([start(&old), start(&new)], [None, None]);
}

#[test]
fn another_root_signs_for_one_that_was_stolen() {
    let world = site();
    trust(&world, &["add", "root", "next.pub"]).good();
    keygen(&world, "third", "ed25519");
    let told = trust(&world, &["rotate", "root", "ops@plant-7", "third", "--key", "next"]).good();
    assert!(told.contains("signed by next@plant-7 ") && !told.contains("signed by ops@plant-7"), "{told}");
    push(&world);
    assert_eq!(refusal(&world), None);
    assert_eq!(published(&world, "ops.key", None), refused("UntrustedKey"));
    world.git(&["-C", "exchange", "reset", "-q", "--hard", "HEAD^"]);
    let keep = ["rotate", "root", "ops@plant-7", "third", "--key", "next", "--keep-signature"];
    let told = trust(&world, &keep).good();
    assert!(["next@plant-7 ", "ops@plant-7 ", "third@plant-7 "].iter().all(|name| told.contains(name)), "{told}");
}

#[test]
fn all_roots_are_lost_and_another_root_file_begins_anew() {
    let world = site();
    let charter = world.read("exchange/exchange.yaml");
    let root = |name: &str| world.read(&format!("{name}.pub")).trim_end().to_owned();
    let charter = charter.replace(&root("ops.key"), &root("next")).replace("serial: 2", "serial: 3");
    world.write("exchange/exchange.yaml", charter);
    let ran = trust(&world, &["sign", "--key", "next"]);
    assert!(ran.stderr.ends_with("reason: KeyNotAllowed\n"), "{}", ran.stderr);
    std::fs::remove_file(world.path("exchange/exchange.yaml.sig")).unwrap();
    world.run("ssh-keygen", &["-q", "-Y", "sign", "-n", "giter-exchange", "-f", "next", "exchange/exchange.yaml"]);
    commit(&world, "next", None, &["commit", "-q", "-a", "-m", "a new chain"]);
    push(&world);
    assert_eq!(refusal(&world), refused("CharterUntrusted"));
    world.write("root.keys", format!("next@plant-7 namespaces=\"git,giter-exchange\" {}\n", root("next")));
    assert_eq!(refusal(&world), None);
    assert!(trust(&world, &["list"]).stderr.ends_with("reason: CharterUntrusted\n"));
    // Whoever signed it himself may go on; nobody else.
    trust(&world, &["add", "root", "ben.pub", "--key", "next"]).good();
    push(&world);
    assert_eq!(refusal(&world), None);
    let ran = trust(&world, &["revoke", "ana@plant-7", "--key", "ben"]);
    assert!(ran.stderr.ends_with("reason: CharterUntrusted\n"), "{}", ran.stderr);
}

#[test]
fn git_with_the_exported_file_judges_as_the_device_does() {
    let world = site();
    let times = ["--valid-after", "2089-01-01T06:00:00Z", "--valid-before", "2090-01-01"];
    trust(&world, &[&["add", "publisher", "ben@plant-7", "ben.pub"], &times[..]].concat()).good();
    push(&world);
    assert_eq!(refusal(&world), None);
    world.write("exported", trust(&world, &["export"]).good());
    let file = format!("gpg.ssh.allowedSignersFile={}", world.path("exported").display());
    for (by, date, expected) in [
        ("ana", "2024-03-01T12:00:00Z", None),
        ("next", "2024-03-01T12:00:00Z", refused("UntrustedKey")),
        ("ben", "2089-01-01T05:59:59Z", refused("KeyNotValid")),
        ("ben", "2089-01-01T06:00:00Z", None),
        ("ben", "2089-12-31T23:59:59Z", None),
        ("ben", "2090-01-01T00:00:00Z", refused("KeyNotValid")),
        ("ops.key", "2090-01-01T00:00:00Z", None),
    ] {
        change(&world, by, Some(date));
        let verify = ["-C", "exchange", "-c", &file, "verify-commit", "HEAD"];
        let verified = world.command("git").args(verify).output().unwrap();
        world.git(&["-C", "exchange", "reset", "-q", "--hard", "HEAD^"]);
        assert_eq!(published(&world, by, Some(date)), expected, "{by} {date}");
        assert_eq!(verified.status.success(), expected.is_none(), "{by} {date}");
    }
    // A charter's signature is a root's to make, in its own namespace.
    let prove = |who: &str| {
        world.run("ssh-keygen", &["-q", "-Y", "sign", "-n", "giter-exchange", "-f", who, "hub.git/config"]);
        let principal = format!("{}@plant-7", who.trim_end_matches(".key"));
        let args =
            ["-Y", "verify", "-f", "exported", "-I", &principal, "-n", "giter-exchange", "-s", "hub.git/config.sig"];
        let config = std::fs::File::open(world.path("hub.git/config")).unwrap();
        let proven = world.command("ssh-keygen").args(args).stdin(config).output().unwrap().status.success();
        std::fs::remove_file(world.path("hub.git/config.sig")).unwrap();
        proven
    };
    assert_eq!([prove("ops.key"), prove("ana")], [true, false]);
}
