//! What both programs say of themselves, and of a call that is wrong.

use super::support::{World, golden};

#[test]
fn giterctl_says_what_it_can_do() {
    let world = World::new();
    golden("help-giterctl.txt", world.giterctl(&["--help"]).good());
    golden("help-init.txt", world.giterctl(&["init", "--help"]).good());
    golden("help-get.txt", world.giterctl(&["get", "--help"]).good());
    golden("help-lint.txt", world.giterctl(&["lint", "--help"]).good());
    golden("help-approve.txt", world.giterctl(&["approve", "--help"]).good());
    golden("help-verify.txt", world.giterctl(&["verify", "--help"]).good());
    golden("help-history.txt", world.giterctl(&["history", "--help"]).good());
    golden("help-trust.txt", world.giterctl(&["trust", "--help"]).good());
    for verb in [&["list"][..], &["add", "publisher"], &["add", "root"], &["revoke"], &["sign"], &["export"]] {
        let help = world.giterctl(&[&["trust"], verb, &["--help"]].concat()).good();
        golden(&format!("help-trust-{}.txt", verb.join("-")), help);
    }
    for whose in ["publisher", "root"] {
        let help = world.giterctl(&["trust", "rotate", whose, "--help"]).good();
        golden(&format!("help-trust-rotate-{whose}.txt"), help);
    }
    golden("help-reset.txt", world.giterctl(&["reset", "--help"]).good());
    golden("help-hook-install.txt", world.giterctl(&["hook", "install", "--help"]).good());
    golden("help-hook-pre-receive.txt", world.giterctl(&["hook", "pre-receive", "--help"]).good());
    for verb in ["serve", "watch", "authorized-keys"] {
        golden(&format!("help-{verb}.txt"), world.giterctl(&[verb, "--help"]).good());
    }
    golden("help-decode.txt", world.giterctl(&["decode", "--help"]).good());
    golden("help-demo.txt", world.giterctl(&["demo", "--help"]).good());
    let version = concat!("giterctl ", env!("CARGO_PKG_VERSION"), "\n");
    assert_eq!(world.giterctl(&["--version"]).good(), version);
}

#[test]
fn giterd_says_what_it_can_do() {
    let world = World::new();
    golden("help-giterd.txt", world.giterd(&["--help"]).good());
    assert_eq!(world.giterd(&["--version"]).good(), concat!("giterd ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn a_wrong_call_is_the_callers_to_mend() {
    let world = World::new();
    for args in [
        &[][..],
        &["nope"],
        &["get", "-o", "xml"],
        &["get", "Not_A_Device"],
        &["init"],
        &["lint", "a", "b"],
        &["verify", "Not_A_Device"],
        &["history"],
        &["trust"],
        &["trust", "add"],
        &["trust", "add", "publisher", "", "k"],
        &["trust", "add", "publisher", "a", "k", "--path", "/x"],
        &["trust", "add", "publisher", "a", "k", "--valid-before", "2026-02-30"],
        &["trust", "rotate", "publisher", "a", "k", "--overlap-until", "tomorrow"],
        &["trust", "sign", "--no-commit", "--dry-run"],
        &["serve"],
        &["serve", "Not_A_Device", "x.git"],
        &["watch"],
        &["authorized-keys", "x.git", "ssh-ed25519"],
    ] {
        let ran = world.giterctl(args);
        assert_eq!((ran.code, &*ran.stdout), (Some(2), ""), "{args:?}");
        assert!(ran.stderr.ends_with("reason: Usage\n"), "{args:?}: {}", ran.stderr);
        assert!(!ran.stderr.contains('\u{1b}'), "{args:?}: colour without a terminal");
    }
    for args in [&[][..], &["nope"], &["sync", "-o", "xml"], &["sync", "x"]] {
        let ran = world.giterd(args);
        assert_eq!((ran.code, &*ran.stdout), (Some(2), ""), "{args:?}");
        assert!(ran.stderr.ends_with("reason: Usage\n"), "{args:?}: {}", ran.stderr);
    }
}
