//! `giterctl hook install` and `giterctl init --hub`.

use std::{fs, os::unix::fs::PermissionsExt};

use super::super::support::{OPS_PUB, World, golden};

fn world() -> World {
    let world = World::new();
    world.write("root.keys", format!("ops@plant-7 {OPS_PUB}"));
    world
}

#[test]
fn a_hub_is_made_with_its_hook() {
    let world = world();
    let made = world.giterctl(&["init", "--hub", "hub.git", "--root", "root.keys", "--branch", "live"]).good();
    golden("init-hub.txt", world.without_dir(&made));
    assert_eq!(world.git(&["-C", "hub.git", "symbolic-ref", "HEAD"]), "refs/heads/live");
    assert_eq!(world.read("hub.git/giter/root.keys"), world.read("root.keys"));
    let hook = world.path("hub.git/hooks/pre-receive");
    assert_eq!(fs::metadata(hook).unwrap().permissions().mode() & 0o777, 0o755);
    assert_eq!(world.git(&["-C", "hub.git", "config", "receive.fsckObjects"]), "true");
    let again = world.giterctl(&["init", "--hub", "hub.git"]);
    assert_eq!(again.code, Some(2), "{}", again.stderr);
}

#[test]
fn a_second_time_changes_nothing() {
    let world = world();
    world.git(&["init", "-q", "--bare", "--initial-branch=main", "hub.git"]);
    let first = world.giterctl(&["hook", "install", "hub.git", "--root", "root.keys"]).good();
    golden("hook-install.txt", world.without_dir(&first));
    let look = || (world.read("hub.git/config"), world.read("hub.git/hooks/pre-receive"));
    let before = look();
    assert_eq!(
        world.giterctl(&["-C", "hub.git", "hook", "install", "--root", "root.keys"]).good().lines().count(),
        first.lines().count()
    );
    assert_eq!(look(), before);
    world.giterctl(&["hook", "install", "hub.git", "--status-prefix", "refs/heads/status"]).good();
    assert_eq!(world.git(&["-C", "hub.git", "config", "giter.statusPrefix"]), "refs/heads/status");
    assert!(world.path("hub.git/giter/root.keys").exists(), "the root file stays");
}

#[test]
fn another_hook_is_not_replaced_unasked() {
    let world = world();
    world.git(&["init", "-q", "--bare", "hub.git"]);
    world.write("hub.git/hooks/pre-receive", "#!/bin/sh\nexit 0\n");
    let ran = world.giterctl(&["hook", "install", "hub.git"]);
    assert!(
        ran.code == Some(2) && ran.stderr.contains("is another hook") && ran.stderr.contains("--force"),
        "{}",
        ran.stderr
    );
    assert_eq!(world.read("hub.git/hooks/pre-receive"), "#!/bin/sh\nexit 0\n");
    assert!(!world.read("hub.git/config").contains("fsckObjects"), "nothing was changed");
    world.giterctl(&["hook", "install", "hub.git", "--force"]).good();
    assert!(world.read("hub.git/hooks/pre-receive").contains("hook pre-receive"));
}

#[test]
fn what_cannot_be_a_hub_is_refused() {
    let world = world();
    world.git(&["init", "-q", "work"]);
    world.git(&["init", "-q", "--bare", "--object-format=sha256", "sha256.git"]);
    world.git(&["init", "-q", "--bare", "hub.git"]);
    world.write("empty.keys", "# nobody\n");
    world.write("broken.keys", "ops ssh-ed25519 AAAA\n");
    for (args, reason) in [
        (&["work"][..], "RepositoryUnsupported"),
        (&["sha256.git"], "RepositoryUnsupported"),
        (&["hub.git/objects"], "RepositoryUnsupported"),
        (&["nowhere"], "RepositoryNotFound"),
        (&["hub.git", "--root", "empty.keys"], "BadSigners"),
        (&["hub.git", "--root", "broken.keys"], "BadSigners"),
        (&["hub.git", "--root", "nowhere"], "BadSigners"),
        (&["hub.git", "--status-prefix", "giter"], "Usage"),
        (&["hub.git", "--status-prefix", "refs/a..b"], "Usage"),
        (&["hub.git", "--status-prefix", "refs/heads/"], "Usage"),
        (&["hub.git", "--status-prefix", "refs/giter/enroll"], "Usage"),
    ] {
        let ran = world.giterctl(&[&["hook", "install"], args].concat());
        assert!(
            ran.code == Some(2) && ran.stderr.ends_with(&format!("reason: {reason}\n")),
            "{args:?}: {}",
            ran.stderr
        );
        assert_eq!(ran.stdout, "");
    }
    world.git(&["-C", "hub.git", "config", "core.hooksPath", "/elsewhere"]);
    let ran = world.giterctl(&["hook", "install", "hub.git"]);
    assert!(ran.stderr.contains("core.hooksPath") && ran.stderr.ends_with("reason: BadConfig\n"), "{}", ran.stderr);
    assert!(!world.path("hub.git/hooks/pre-receive").exists());
    let ran = world.giterctl(&["init", "x", "--root", "root.keys"]);
    assert!(ran.code == Some(2) && ran.stderr.ends_with("reason: BadKeyFile\n"), "{}", ran.stderr);
}

#[test]
fn a_hook_whose_program_is_gone_lets_nothing_in() {
    let site = super::Site::new();
    let hook = site.world().path("guarded.git/hooks/pre-receive");
    let text = fs::read_to_string(&hook).unwrap().replace("giterctl='", "giterctl='/gone");
    fs::write(&hook, text).unwrap();
    site.commit("good");
    let said = site.refused(|| site.push(&["main"]));
    assert!(said.contains("giterctl is gone\n") && said.contains("hook install --force"), "{said}");
}

#[test]
fn the_only_branch_of_a_repository_is_the_one_of_the_specs() {
    let site = super::Site::new();
    site.hub(&["symbolic-ref", "HEAD", "refs/heads/master"]);
    let said = site.world().giterctl(&["hook", "install", "guarded.git"]).good();
    assert!(said.contains("HEAD: refs/heads/main"), "{said}");
}

#[test]
fn what_is_no_push_is_no_push() {
    let site = super::Site::new();
    let ran = site.world().giterctl_with(&["-C", "guarded.git", "hook", "pre-receive"], b"hello\n");
    assert!(ran.code == Some(2) && ran.stderr.ends_with("reason: Usage\n"), "{}", ran.stderr);
    assert_eq!(site.world().giterctl_with(&["-C", "guarded.git", "hook", "pre-receive"], b"").code, Some(0));
}
