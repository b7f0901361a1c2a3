//! `giterctl init`: what it makes, and what it refuses without making anything.

use std::fs;

use giter_edge::drivers;

use super::support::{OPS_KEY, OPS_PUB, Ran, World, golden, without_names};

fn world() -> World {
    let world = World::new();
    world.identify();
    world.write_key("ops.key", OPS_KEY);
    world.write("ops.key.pub", OPS_PUB);
    world
}

fn refused(ran: &Ran, reason: &str) {
    assert_eq!((ran.code, &*ran.stdout), (Some(2), ""), "{}", ran.stderr);
    assert!(ran.stderr.ends_with(&format!("reason: {reason}\n")), "{}", ran.stderr);
    assert!(ran.stderr.contains("\nhint: "), "{}", ran.stderr);
}

#[test]
fn an_exchange_is_made_and_its_first_commit_signed() {
    let world = world();
    let made = world.giterctl(&["init", "plant-7", "--device", "site-a/pump-07", "--key", "ops.key.pub"]).good();
    golden("init.txt", without_names(&world.without_dir(&made)));
    let files = world.git(&["-C", "plant-7", "ls-files"]);
    golden("init-files.txt", files + "\n");
    golden("init-exchange.yaml", without_names(&world.read("plant-7/exchange.yaml")));
    golden("init-motd.yaml", world.read("plant-7/specs/site-a/pump-07/motd.yaml"));
    golden("init-readme.md", world.read("plant-7/README.md"));
    let key = OPS_PUB.rsplit_once(' ').unwrap().0;
    assert_eq!(world.read("plant-7/root.keys"), format!("ops@plant-7 namespaces=\"git,giter-exchange\" {key}\n"));
    world.git(&["-C", "plant-7/specs", "verify-commit", "HEAD"]);
    assert_eq!(world.git(&["-C", "plant-7", "status", "--porcelain"]), "");
}

#[test]
fn a_root_of_its_own_signs_the_charter_and_the_publisher_the_rest() {
    let world = world();
    world.run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", "root.key"]);
    let made = world.giterctl(&["init", "plant-7", "--key", "ops.key", "--root", "root.key"]).good();
    assert!(made.contains("root root@plant-7, publisher ops@plant-7\n"), "{made}");
    let listed = world.giterctl(&["-C", "plant-7", "trust", "list", "-o", "name"]).good();
    assert_eq!(listed, "Root/root@plant-7\nPublisher/ops@plant-7\n");
    assert!(world.read("plant-7/root.keys").starts_with("root@plant-7 namespaces=\"git,giter-exchange\" "));
    assert_eq!(world.read("plant-7/root.keys").lines().count(), 1);
    assert_eq!(world.read("plant-7/allowed_signers"), world.giterctl(&["-C", "plant-7", "trust", "export"]).good());
    world.git(&["-C", "plant-7", "commit", "-q", "--allow-empty", "-m", "by the publisher"]);
    let by = world.git(&["-C", "plant-7", "log", "--format=%GS"]);
    assert_eq!(by, "ops@plant-7\nroot@plant-7");
    // The charter calls the root otherwise than his file does.
    let told = world.giterctl(&["-C", "plant-7", "trust", "revoke", "ops@plant-7", "--key", "root.key"]).good();
    assert!(told.contains("serial 2, signed by root@plant-7 SHA256:"), "{told}");
}

#[test]
fn its_specs_are_good_on_every_board_that_has_a_pin_header_of_a_pi() {
    let world = world();
    world.giterctl(&["init", "x", "--key", "ops.key", "--device", "edge-01", "--device", "site/edge-02"]).good();
    let boards = drivers::boards().iter().map(|board| board.name);
    let pis: Vec<_> = boards.filter(|name| *name == "sim" || name.starts_with("raspberry-pi-")).collect();
    assert!(pis.len() >= 5, "{pis:?}");
    for board in pis {
        let text = world.giterctl(&["lint", "x", "--board", board]).good();
        assert_eq!(text, "2 devices, 6 resources: nothing to object to\n", "{board}");
    }
}

#[test]
fn names_that_yaml_would_take_for_something_else_are_quoted() {
    let world = world();
    world
        .giterctl(&["init", "x", "--key", "ops.key", "--name", "true", "--branch", "1.0", "--files", "/srv/a b"])
        .good();
    assert_eq!(world.giterctl(&["-C", "x", "lint"]).code, Some(0));
    assert!(world.read("x/exchange.yaml").contains("\n  branch: \"1.0\"\n"));
    assert_eq!(world.git(&["-C", "x", "symbolic-ref", "HEAD"]), "refs/heads/1.0");
}

#[test]
fn git_and_ssh_name_the_key_where_the_call_does_not() {
    let world = world();
    refused(&world.giterctl(&["init", "a"]), "BadKeyFile");
    world.write_key(".ssh/id_ed25519", OPS_KEY);
    world.write(".ssh/id_ed25519.pub", OPS_PUB);
    world.giterctl(&["init", "a"]).good();
    assert_eq!(
        world.git(&["-C", "a", "config", "user.signingkey"]),
        world.path(".ssh/id_ed25519.pub").canonicalize().unwrap().display().to_string()
    );
    world.git(&["config", "--file", "gitconfig", "gpg.format", "ssh"]);
    world.git(&["config", "--file", "gitconfig", "user.signingkey", "~/ops.key"]);
    assert!(world.giterctl(&["init", "b"]).good().contains("/ops.key:\n"));
}

#[test]
fn an_empty_folder_is_used_and_stays_the_same_one() {
    use std::os::unix::fs::MetadataExt;
    let world = world();
    fs::create_dir(world.path("x")).unwrap();
    let before = fs::metadata(world.path("x")).unwrap().ino();
    world.giterctl(&["init", "x", "--key", "ops.key"]).good();
    assert_eq!(fs::metadata(world.path("x")).unwrap().ino(), before);
    world.giterctl(&["init", "deep/er/y", "--key", "ops.key"]).good();
    assert!(world.path("deep/er/y/exchange.yaml").exists());
}

#[test]
fn nothing_is_overwritten() {
    let world = world();
    world.write("x/mine", "mine");
    refused(&world.giterctl(&["init", "x", "--key", "ops.key"]), "Usage");
    refused(&world.giterctl(&["init", "ops.key", "--key", "ops.key"]), "Usage");
    assert_eq!((world.read("x/mine"), fs::read_dir(world.path("x")).unwrap().count()), ("mine".into(), 1));
}

#[test]
fn a_refusal_leaves_nothing_half_made() {
    let world = world();
    world.write("rsa.pub", "ssh-rsa AAAAB3NzaC1yc2E= ops\n");
    world.write("garbage", "-----BEGIN nothing\n");
    world.run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", "lone"]);
    std::fs::rename(world.path("lone"), world.path("elsewhere")).unwrap();
    let before = fs::read_dir(world.path("")).unwrap().count();
    for (args, reason) in [
        (&["--key", "missing"][..], "BadKeyFile"),
        (&["--key", "rsa.pub"], "BadKeyFile"),
        (&["--key", "garbage"], "BadKeyFile"),
        // Its private half is nowhere, so nobody can sign.
        (&["--key", "lone.pub"], "BadKeyFile"),
        (&["--key", "ops.key", "--root", "lone.pub"], "BadKeyFile"),
        (&["--key", "ops.key", "--branch", "a..b"], "Usage"),
        (&["--key", "ops.key", "--branch=-x"], "Usage"),
    ] {
        refused(&world.giterctl(&[&["init", "x"], args].concat()), reason);
    }
    refused(&world.giterctl(&["init", "Not A Name", "--key", "ops.key"]), "Usage");
    world.write("gitconfig", "[user]\n\tuseConfigOnly = true\n");
    refused(&world.giterctl(&["init", "x", "--key", "ops.key"]), "BadConfig");
    assert_eq!(fs::read_dir(world.path("")).unwrap().count(), before, "something was left");
}

#[test]
fn without_git_it_says_so() {
    let world = world();
    let mut command = world.command(env!("CARGO_BIN_EXE_giterctl"));
    let output = command.env("PATH", "/nonexistent").args(["init", "x", "--key", "ops.key.pub"]).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr.ends_with("hint: install git and see that it is on PATH\nreason: GitNotFound\n"), "{stderr}");
}
