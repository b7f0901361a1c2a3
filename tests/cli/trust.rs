//! `giterctl trust`: what its verbs print, make of the charter, and refuse without changing anything.

use std::{
    fs,
    os::unix::net::UnixStream,
    process::{Child, Command, Stdio},
};

use super::support::{OPS_KEY, OPS_PUB, Ran, World, golden, without_dates, without_names};

/// An exchange whose root and only signer is `ops.key`; beside it the keys `ana`, `ben` and `next`.
pub(crate) fn founded() -> World {
    let world = World::new();
    world.identify();
    world.write_key("ops.key", OPS_KEY);
    world.write("ops.key.pub", OPS_PUB);
    for name in ["ana", "ben", "next"] {
        keygen(&world, name, "ed25519");
    }
    world.giterctl(&["init", "exchange", "--name", "plant-7", "--device", "pump-07", "--key", "ops.key"]).good();
    world
}

pub(crate) fn keygen(world: &World, name: &str, kind: &str) {
    world.run("ssh-keygen", &["-q", "-t", kind, "-N", "", "-C", &format!("{name}@plant-7"), "-f", name]);
}

/// Runs a verb in the exchange.
pub(crate) fn trust(world: &World, args: &[&str]) -> Ran {
    world.giterctl(&[&["-C", "exchange", "trust"], args].concat())
}

/// What a verb prints, without what differs from run to run.
fn told(world: &World, args: &[&str]) -> String {
    let text = world.without_dir(&without_dates(&without_names(&trust(world, args).good())));
    let keys = ["ops.key", "ana", "ben", "next"].map(|name| (name, public(world, name)));
    keys.iter().fold(text, |text, (name, key)| text.replace(key.split(' ').nth(1).unwrap(), &format!("[{name}]")))
}

fn public(world: &World, name: &str) -> String {
    world.read(&format!("{name}.pub")).trim_end().into()
}

fn fingerprint(world: &World, name: &str) -> String {
    let key = public(world, name);
    giter_edge::codec::pubkey::PublicKey::from_openssh(&key).unwrap().fingerprint()
}

fn charter(world: &World) -> String {
    world.read("exchange/exchange.yaml")
}

/// HEAD, the index and the working tree.
fn state(world: &World) -> [String; 4] {
    let git = |args: &[&str]| world.git(&[&["-C", "exchange"], args].concat());
    [git(&["rev-parse", "HEAD"]), git(&["status", "--porcelain"]), charter(world), git(&["ls-files", "-s"])]
}

/// Sees that a verb is refused for its reason with a hint, and that nothing changed.
#[track_caller]
fn refused(world: &World, args: &[&str], reason: &str) -> Ran {
    let before = state(world);
    let ran = trust(world, args);
    assert_ne!(ran.code, Some(0), "{args:?}: {}", ran.stdout);
    assert!(ran.stderr.ends_with(&format!("reason: {reason}\n")), "{args:?}: {}", ran.stderr);
    assert_eq!(ran.stdout, "", "{args:?}");
    assert!(ran.stderr.contains("\nhint: "), "{args:?}: {}", ran.stderr);
    assert_eq!(state(world), before, "{args:?}");
    ran
}

#[test]
fn publishers_and_roots_come_and_go() {
    let world = founded();
    let with_path = ["--path", "specs/pump-07/**", "--path", "groups/**", "--valid-before", "2090-01-01"];
    let add = [&["add", "publisher", "ana@plant-7", "ana.pub"], &with_path[..]].concat();
    golden("trust-add.txt", told(&world, &add));
    world.git(&["-C", "exchange", "verify-commit", "HEAD"]);
    assert_eq!(world.git(&["-C", "exchange", "status", "--porcelain"]), "");
    let later = ["add", "publisher", "ben@plant-7", "ben.pub", "--valid-after", "2089-01-01T06:00:00Z"];
    trust(&world, &later).good();
    for form in ["table", "wide", "yaml", "json", "name"] {
        let name = match form {
            "table" => "trust-list.txt".into(),
            "wide" | "name" => format!("trust-list-{form}.txt"),
            _ => format!("trust-list.{form}"),
        };
        golden(&name, told(&world, &["list", "-o", form]));
    }
    golden("trust-export.txt", told(&world, &["export"]));
    golden("trust-rotate-root.txt", told(&world, &["rotate", "root", "ops@plant-7", "next"]));
    golden("trust-list-rotated.txt", told(&world, &["list"]));
    let roots = trust(&world, &["export", "--roots"]).good();
    let key = public(&world, "next");
    let key = key.rsplit_once(' ').unwrap().0;
    assert_eq!(roots, format!("next@plant-7 namespaces=\"git,giter-exchange\" {key}\n"));
    let bare = trust(&world, &["export", "--namespace-less"]).good();
    assert!(bare.starts_with(&format!("next@plant-7 {key}\n")) && !bare.contains("namespaces"), "{bare}");
    golden("trust-revoke.txt", told(&world, &["revoke", "ana@plant-7", "--key", "next", "-m", "Ana left"]));
    assert_eq!(world.git(&["-C", "exchange", "log", "-1", "--format=%B"]), "Ana left");
    let before = world.giterctl(&["-C", "exchange", "trust", "list", "-o", "name", "--revision", "HEAD~"]).good();
    assert_eq!(before, "Root/next@plant-7\nPublisher/ana@plant-7\nPublisher/ben@plant-7\n");
    assert_eq!(trust(&world, &["list", "-o", "name"]).good(), "Root/next@plant-7\nPublisher/ben@plant-7\n");
}

#[test]
fn all_that_need_not_change_stays_byte_for_byte() {
    let world = founded();
    let text = charter(&world)
        .replace("  serial: 1\n", "  serial: 1      # raise me\n\n")
        .replace("  roots:\n", "  publishers: [] # nobody yet\n  roots:\n  # ops has it on a token\n")
        + "# the end";
    world.write("exchange/exchange.yaml", &text);
    trust(&world, &["sign", "--key", "ops.key"]).good();
    let text = text.replace("serial: 1 ", "serial: 2 ");
    assert_eq!(charter(&world), text);
    trust(&world, &["add", "publisher", "ana@plant-7", "ana.pub"]).good();
    let text = text.replace("serial: 2 ", "serial: 3 ");
    let entry = format!("\n  - principal: ana@plant-7\n    key: \"{}\" # nobody yet\n", public(&world, "ana"));
    let text = text.replace(" [] # nobody yet\n", &entry);
    assert_eq!(charter(&world), text);
    trust(&world, &["rotate", "publisher", "ana@plant-7", "ben.pub"]).good();
    let text = text.replace("serial: 3 ", "serial: 4 ").replace(&public(&world, "ana"), &public(&world, "ben"));
    assert_eq!(charter(&world), text);
    trust(&world, &["revoke", "ana@plant-7"]).good();
    let (before, after) = (text.find("publishers:").unwrap(), text.find("  roots:").unwrap());
    let text = format!("{}publishers: [] # nobody yet\n{}", &text[..before], &text[after..]);
    assert_eq!(charter(&world), text.replace("serial: 4 ", "serial: 5 "));
}

#[test]
fn a_dry_run_shows_the_difference_and_makes_none() {
    let world = founded();
    let before = state(&world);
    golden("trust-dry-run.txt", told(&world, &["add", "publisher", "ana@plant-7", "ana.pub", "--dry-run"]));
    assert_eq!(state(&world), before);
}

#[test]
fn keys_are_read_from_files_stdin_and_the_call() {
    let world = founded();
    trust(&world, &["add", "publisher", "ana@plant-7", &public(&world, "ana")]).good();
    let args = ["-C", "exchange", "trust", "add", "root", "-"];
    world.giterctl_with(&args, world.read("next.pub").as_bytes()).good();
    // A private key's public half is what is added.
    trust(&world, &["add", "publisher", "ben@plant-7", "ben"]).good();
    for name in ["ana", "ben", "next"] {
        assert!(charter(&world).contains(&public(&world, name)), "{name}");
    }
    assert!(!charter(&world).contains("PRIVATE"));
}

#[test]
fn keys_that_devices_do_not_take_are_refused_by_name() {
    let world = founded();
    keygen(&world, "rsa", "rsa");
    keygen(&world, "ecdsa", "ecdsa");
    world.run("ssh-keygen", &["-q", "-s", "ops.key", "-I", "ana", "ana.pub"]);
    world.write("two.pub", world.read("ana.pub") + &world.read("ben.pub"));
    world.write("weak.pub", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n");
    world.write("large.pub", "x".repeat(1 << 20));
    world.write("garbage.pub", [0xff, 0xfe, 0]);
    for (file, what) in [
        ("rsa.pub", "ssh-rsa keys are not accepted"),
        ("ecdsa.pub", "ecdsa-sha2-nistp256 keys are not accepted"),
        ("ana-cert.pub", "ssh-ed25519-cert-v01@openssh.com keys are not accepted"),
        ("weak.pub", "small order"),
        ("two.pub", "more than one line"),
        ("large.pub", "too long for a key"),
        ("garbage.pub", "cannot read the key"),
        ("missing.pub", "cannot read the key"),
        ("ssh-ed25519 AAAA", "not a public key"),
    ] {
        for args in
            [&["add", "publisher", "x", file][..], &["add", "root", file], &["rotate", "root", "ops@plant-7", file]]
        {
            let ran = refused(&world, args, "BadKeyFile");
            assert!(ran.stderr.contains(what), "{}", ran.stderr);
        }
    }
}

#[test]
fn what_cannot_be_asked_is_refused_and_changes_nothing() {
    let world = founded();
    trust(&world, &["add", "publisher", "ops@plant-7", "ana.pub"]).good();
    trust(&world, &["add", "publisher", "ben@plant-7", "ben.pub", "--valid-before", "2090-01-01"]).good();
    keygen(&world, "x", "ed25519");
    let (root, nobody) = (fingerprint(&world, "ops.key"), fingerprint(&world, "next"));
    for (args, reason) in [
        // The name of a root and of a publisher.
        (&["revoke", "ops@plant-7"][..], "Usage"),
        (&["revoke", &root], "Usage"),
        (&["revoke", "nobody@plant-7"], "SignerNotFound"),
        (&["revoke", &nobody], "SignerNotFound"),
        (&["rotate", "root", "ben@plant-7", "x.pub"], "SignerNotFound"),
        (&["rotate", "publisher", "nobody", "x.pub"], "SignerNotFound"),
        (&["add", "publisher", "more@plant-7", "ana.pub"], "Usage"),
        (&["add", "root", "ops.key.pub"], "Usage"),
        (&["rotate", "publisher", "ben@plant-7", "ben.pub"], "Usage"),
        (&["rotate", "publisher", "ben@plant-7", "x.pub", "--overlap-until", "2020-01-01"], "Usage"),
        (&["rotate", "publisher", "ben@plant-7", "x.pub", "--overlap-until", "2090-01-02"], "Usage"),
        (&["add", "publisher", "x", "x.pub", "--valid-after", "2027-01-01", "--valid-before", "2027-01-01"], "Usage"),
        (&["add", "publisher", "x", "x.pub", "--key", "ben"], "KeyNotAllowed"),
        (&["add", "publisher", "two\nlines", "x.pub"], "ManifestNotEditable"),
    ] {
        refused(&world, args, reason);
    }
    let ran = world.giterctl(&["-C", "exchange/.git", "trust", "revoke", "ben@plant-7"]);
    assert!(ran.stderr.ends_with("reason: Usage\n") && ran.stderr.contains("clone"), "{}", ran.stderr);
    assert!(world.giterctl(&["-C", "exchange/.git", "trust", "list"]).good().contains("ben@plant-7"));
}

#[test]
fn a_name_means_the_key_that_counts_now() {
    let world = founded();
    keygen(&world, "x", "ed25519");
    trust(&world, &["add", "publisher", "ana@plant-7", "ana.pub", "--valid-before", "2020-01-01"]).good();
    trust(&world, &["add", "publisher", "ana@plant-7", "ben.pub"]).good();
    trust(&world, &["rotate", "publisher", "ana@plant-7", "next.pub", "--overlap-until", "2090-01-01"]).good();
    let (ben, next) = (fingerprint(&world, "ben"), fingerprint(&world, "next"));
    let ran = refused(&world, &["rotate", "publisher", "ana@plant-7", "x.pub"], "Usage");
    assert!(ran.stderr.contains(&format!("hint: name one by its fingerprint: {ben} or {next}\n")), "{}", ran.stderr);
    // Its end does not pass to the key that follows it.
    trust(&world, &["rotate", "publisher", &ben, "x.pub"]).good();
    assert!(!charter(&world).contains("2090-01-01"), "{}", charter(&world));
    trust(&world, &["revoke", "ana@plant-7"]).good();
    assert!(charter(&world).ends_with("  publishers: []\n"), "{}", charter(&world));
}

#[test]
fn a_form_that_cannot_be_changed_in_place_is_left_to_a_person() {
    let world = founded();
    let root = public(&world, "ops.key");
    let text = charter(&world)
        .replace(&format!("- \"{root}\""), &format!("- &ops \"{root}\"\n  - \"{}\"", public(&world, "next")));
    world.write("exchange/exchange.yaml", text + "  publishers: [{principal: ops, key: *ops}]\n");
    trust(&world, &["sign"]).good();
    refused(&world, &["rotate", "root", "ops@plant-7", "ana.pub"], "ManifestNotEditable");
    let ran = refused(&world, &["revoke", "ops@plant-7", "--key", "next"], "ManifestNotEditable");
    assert!(ran.stderr.contains("giterctl trust sign"), "{}", ran.stderr);
}

#[test]
fn changes_by_hand_are_not_swept_along() {
    let world = founded();
    world.write("exchange/exchange.yaml", charter(&world) + "# mine\n");
    let ran = refused(&world, &["add", "root", "next.pub"], "NotCommitted");
    assert!(ran.stderr.contains("giterctl trust sign"), "{}", ran.stderr);
    world.git(&["-C", "exchange", "add", "exchange.yaml"]);
    refused(&world, &["add", "root", "next.pub"], "NotCommitted");
    world.git(&["-C", "exchange", "reset", "-q", "--hard"]);
    // What is not the charter's stays as it is, staged or not.
    world.write("exchange/README.md", "mine");
    world.write("exchange/staged", "mine");
    world.git(&["-C", "exchange", "add", "staged"]);
    trust(&world, &["add", "root", "next.pub"]).good();
    assert_eq!(world.git(&["-C", "exchange", "status", "--porcelain"]), " M README.md\nA  staged");
    let changed = world.git(&["-C", "exchange", "show", "--format=", "--name-only", "HEAD"]);
    assert_eq!(changed, "exchange.yaml\nexchange.yaml.sig");
}

#[test]
fn a_charter_that_no_root_signed_is_changed_by_nobody() {
    let world = founded();
    let commit = |message: &str| {
        world.git(&["-C", "exchange", "commit", "-q", "-a", "-m", message]);
    };
    world.git(&["-C", "exchange", "rm", "-q", "exchange.yaml.sig"]);
    commit("unsigned");
    refused(&world, &["add", "root", "next.pub"], "CharterUnsigned");
    let listed = trust(&world, &["list"]);
    assert_eq!(listed.code, Some(1));
    assert!(listed.stdout.contains("ops@plant-7") && listed.stderr.contains("reason: CharterUnsigned"), "{listed:?}");
    refused(&world, &["export"], "CharterUnsigned");
    let signed = trust(&world, &["sign"]).good();
    assert!(signed.contains("whose root file names who signed"), "{signed}");
    trust(&world, &["list"]).good();

    world.write("exchange/exchange.yaml", charter(&world) + "# changed, and not signed again\n");
    commit("not signed again");
    let ran = refused(&world, &["add", "root", "next.pub"], "CharterUntrusted");
    assert!(ran.stderr.contains("as a root: giterctl trust sign\n"), "{}", ran.stderr);
    let listed = trust(&world, &["list"]);
    assert!(listed.stdout.contains("a signature proves nothing: it is not this key's"), "{}", listed.stdout);

    // Somebody makes himself the root.
    world.git(&["-C", "exchange", "reset", "-q", "--hard", "HEAD^"]);
    let text =
        charter(&world).replace(&public(&world, "ops.key"), &public(&world, "ana")).replace("serial: 1", "serial: 9");
    world.write("exchange/exchange.yaml", text);
    refused(&world, &["sign", "--key", "ana"], "KeyNotAllowed");
    fs::remove_file(world.path("exchange/exchange.yaml.sig")).unwrap();
    world.run("ssh-keygen", &["-q", "-Y", "sign", "-n", "giter-exchange", "-f", "ana", "exchange/exchange.yaml"]);
    commit("ana is the root");
    let listed = trust(&world, &["list"]);
    assert!(listed.stderr.contains("not signed by a root that was trusted"), "{}", listed.stderr);
    // A second one by him does not make it better, nor does naming the true root beside himself.
    let text = charter(&world).replace("serial: 9", "serial: 10");
    let both = format!("  - \"{}\"\n  - \"{}\"", public(&world, "ops.key"), public(&world, "ana"));
    world.write("exchange/exchange.yaml", text.replace(&format!("  - \"{}\"", public(&world, "ana")), &both));
    fs::remove_file(world.path("exchange/exchange.yaml.sig")).unwrap();
    world.run("ssh-keygen", &["-q", "-Y", "sign", "-n", "giter-exchange", "-f", "ana", "exchange/exchange.yaml"]);
    commit("ana is a root beside ops");
    assert!(trust(&world, &["list"]).stderr.contains("reason: CharterUntrusted"));
    refused(&world, &["add", "root", "next.pub"], "CharterUntrusted");
}

#[test]
fn an_older_charter_that_was_put_back_is_not_built_upon() {
    let world = founded();
    trust(&world, &["add", "publisher", "ana@plant-7", "ana.pub"]).good();
    trust(&world, &["revoke", "ana@plant-7"]).good();
    let put_back = ["-C", "exchange", "checkout", "-q", "HEAD^", "--", "exchange.yaml", "exchange.yaml.sig"];
    world.git(&put_back);
    world.git(&["-C", "exchange", "commit", "-q", "-m", "put back"]);
    let ran = refused(&world, &["add", "root", "next.pub"], "CharterRollback");
    assert!(ran.stderr.contains("has serial 2, and 3 was in force"), "{}", ran.stderr);
    assert!(trust(&world, &["list"]).stderr.ends_with("reason: CharterRollback\n"));
    // A root who wants just that says so.
    trust(&world, &["sign"]).good();
    assert!(charter(&world).contains("serial: 4\n") && charter(&world).contains("ana@plant-7"));
    trust(&world, &["list"]).good();
}

#[test]
fn a_failure_leaves_everything_as_it_was() {
    let world = founded();
    // The public half alone does not sign.
    world.write("lone.pub", OPS_PUB);
    let ran = refused(&world, &["add", "root", "next.pub", "--key", "lone.pub"], "BadKeyFile");
    assert!(ran.stderr.contains("cannot sign exchange.yaml with SHA256:"), "{}", ran.stderr);
    // Somebody else is at the branch.
    world.write("exchange/.git/refs/heads/main.lock", "");
    refused(&world, &["add", "root", "next.pub"], "GitFailed");
    fs::remove_file(world.path("exchange/.git/refs/heads/main.lock")).unwrap();
    // Nobody knows who commits.
    world.write("gitconfig", "[user]\n\tuseConfigOnly = true\n");
    refused(&world, &["add", "root", "next.pub"], "BadConfig");
    world.identify();
    // No root's key is here.
    world.git(&["-C", "exchange", "config", "--unset", "user.signingkey"]);
    let ran = refused(&world, &["add", "root", "next.pub"], "BadKeyFile");
    assert!(ran.stderr.contains("no root's key is here"), "{}", ran.stderr);
    world.write_key(".ssh/any", OPS_KEY);
    world.write(".ssh/any.pub", OPS_PUB);
    trust(&world, &["add", "root", "next.pub"]).good();
    // Which of two is for the person to say.
    fs::copy(world.path("next"), world.path(".ssh/next")).unwrap();
    fs::copy(world.path("next.pub"), world.path(".ssh/next.pub")).unwrap();
    let ran = refused(&world, &["add", "publisher", "ana", "ana.pub"], "Usage");
    assert!(ran.stderr.contains("--key ") && ran.stderr.contains("/.ssh/next.pub"), "{}", ran.stderr);
    // Who is to leave does not sign where another can.
    let revoked = trust(&world, &["revoke", "ops@plant-7"]).good();
    assert!(revoked.contains("signed by next@plant-7 "), "{revoked}");
}

#[test]
fn roots_sign_one_after_the_other() {
    let world = founded();
    trust(&world, &["add", "root", "next.pub"]).good();
    let head = world.git(&["-C", "exchange", "rev-parse", "HEAD"]);
    golden("trust-no-commit.txt", told(&world, &["add", "publisher", "ana@plant-7", "ana.pub", "--no-commit"]));
    trust(&world, &["add", "publisher", "ben@plant-7", "ben.pub", "--no-commit"]).good();
    assert!(charter(&world).contains("serial: 3\n"), "once for both");
    let listed = trust(&world, &["list", "-o", "name"]);
    assert_eq!(listed.stdout, "Root/ops@plant-7\nRoot/next@plant-7\n");
    assert_eq!(listed.stderr, "exchange.yaml was changed in the working tree; this is what is committed\n");
    trust(&world, &["sign", "--key", "next", "--no-commit"]).good();
    assert_eq!(world.git(&["-C", "exchange", "rev-parse", "HEAD"]), head);
    trust(&world, &["sign", "--key", "ops.key"]).good();
    golden("trust-list-signed-twice.txt", told(&world, &["list"]));
    let again = trust(&world, &["sign"]).good();
    assert!(!again.contains("committed"), "{again}");
}

#[test]
fn a_serial_that_was_forgotten_is_raised_and_an_id_stays() {
    let world = founded();
    world.write("exchange/exchange.yaml", charter(&world) + "  verify: first-parent\n");
    trust(&world, &["sign"]).good();
    assert!(charter(&world).contains("serial: 2\n"));
    let id = charter(&world).lines().find_map(|line| line.strip_prefix("  id: ").map(str::to_owned)).unwrap();
    world.write("exchange/exchange.yaml", charter(&world).replace(&id, "5f0c1f0e3d5b4d0e9a7c2b6e8f1a4c3d"));
    let ran = refused(&world, &["sign"], "ExchangeMismatch");
    assert!(ran.stderr.contains("devices would refuse this change, so it was not committed"), "{}", ran.stderr);
    world.write("exchange/exchange.yaml", "kind: Exchange\n");
    refused(&world, &["sign"], "MissingField");
}

#[test]
fn the_program_that_git_signs_with_signs_and_is_not_believed() {
    use std::os::unix::fs::PermissionsExt;
    let world = founded();
    let program = |line: &str| {
        world.write("signer", format!("#!/bin/sh\necho \"$@\" >> {}\n{line}\n", world.path("log").display()));
        fs::set_permissions(world.path("signer"), fs::Permissions::from_mode(0o755)).unwrap();
    };
    let path = world.path("signer").display().to_string();
    world.git(&["-C", "exchange", "config", "gpg.ssh.program", &path]);
    program("exec ssh-keygen \"$@\"");
    trust(&world, &["add", "publisher", "ana@plant-7", "ana.pub"]).good();
    let log = world.read("log");
    assert!(log.contains("-Y sign -n giter-exchange ") && log.contains("-Y sign -n git "), "{log}");
    program(&format!("exec ssh-keygen -Y sign -n \"$4\" -f {} \"$7\"", world.path("next").display()));
    let ran = refused(&world, &["revoke", "ana@plant-7"], "BadKeyFile");
    assert!(ran.stderr.contains(&format!("it signed with {}", fingerprint(&world, "next"))), "{}", ran.stderr);
    program("exit 0");
    refused(&world, &["revoke", "ana@plant-7"], "BadKeyFile");
    fs::remove_file(world.path("signer")).unwrap();
    let ran = refused(&world, &["revoke", "ana@plant-7"], "BadKeyFile");
    assert!(ran.stderr.contains("cannot start"), "{}", ran.stderr);
}

/// `ssh-agent`, until the test ends.
struct Agent(Child);

impl Drop for Agent {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn an_agent_signs_for_a_key_that_is_nowhere_else() {
    let world = founded();
    let socket = world.path("agent.sock");
    let mut agent = Command::new("ssh-agent");
    agent.arg("-D").arg("-a").arg(&socket).stdout(Stdio::null()).stderr(Stdio::null());
    let mut agent = Agent(agent.spawn().expect("ssh-agent is on the PATH"));
    while UnixStream::connect(&socket).is_err() {
        assert_eq!(agent.0.try_wait().unwrap(), None, "ssh-agent ended");
        std::thread::yield_now();
    }
    let with_agent = |program: &str, args: &[&str]| {
        let output = world.command(program).env("SSH_AUTH_SOCK", &socket).args(args).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    with_agent("ssh-add", &["-q", "ops.key"]);
    fs::remove_file(world.path("ops.key")).unwrap();
    world.git(&["-C", "exchange", "config", "--unset", "user.signingkey"]);
    let giterctl = env!("CARGO_BIN_EXE_giterctl");
    with_agent(giterctl, &["-C", "exchange", "trust", "add", "publisher", "ana@plant-7", "ana.pub"]);
    let literal = format!("key::{}", public(&world, "ops.key"));
    with_agent(giterctl, &["-C", "exchange", "trust", "add", "publisher", "ben@plant-7", "ben.pub", "--key", &literal]);
    world.git(&["-C", "exchange", "verify-commit", "HEAD"]);
    refused(&world, &["add", "root", "next.pub"], "BadKeyFile");
}
