//! `giterctl demo`, to its end.

use std::{fs, process::Command};

use super::support::{World, golden, without_dates, without_names, without_short_fingerprints};

#[test]
fn the_story_is_told_and_every_claim_is_proven() {
    let world = World::new();
    let ran = world.giterctl(&["demo", "--keep", "play"]);
    let told = without_short_fingerprints(&without_dates(&without_names(&world.without_dir(&ran.all()))));
    golden("demo.txt", told);
    assert_eq!(ran.code, Some(0));
}

#[test]
fn the_users_settings_do_not_matter_and_nothing_is_left_behind() {
    let world = World::new();
    world.write("tmp/it's a folder/.keep", "");
    world.write("odd", "[commit]\n\tgpgsign = true\n[gpg]\n\tprogram = /nonexistent\n[init]\n\tdefaultBranch = odd\n");
    let mut command = world.command(env!("CARGO_BIN_EXE_giterctl"));
    command.env("GIT_CONFIG_GLOBAL", world.path("odd")).env("GIT_DIR", "/nonexistent").env("GITERD_DEVICE", "other");
    let output = command.env("TMPDIR", world.path("tmp/it's a folder")).arg("demo").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let left: Vec<_> =
        fs::read_dir(world.path("tmp/it's a folder")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(left, [world.path("tmp/it's a folder/.keep")]);
}

#[test]
fn a_folder_with_something_in_it_is_not_played_in() {
    let world = World::new();
    world.write("play/mine", "");
    let ran = world.giterctl(&["demo", "--keep", "play"]);
    assert_eq!((ran.code, ran.stderr.lines().last()), (Some(2), Some("reason: Usage")));
    assert_eq!(fs::read_dir(world.path("play")).unwrap().count(), 1);
}

#[test]
fn without_the_agent_it_says_how_to_build_it() {
    let world = World::new();
    fs::copy(env!("CARGO_BIN_EXE_giterctl"), world.path("giterctl")).unwrap();
    let output = Command::new(world.path("giterctl")).arg("demo").output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("there is no giterd in ") && stderr.contains("hint: build both programs: cargo build\n"));
}

#[test]
fn an_agent_that_does_not_do_as_told_fails_the_demo() {
    let world = World::new();
    fs::copy(env!("CARGO_BIN_EXE_giterctl"), world.path("giterctl")).unwrap();
    world.write("giterd", "#!/bin/sh\nexit 0\n");
    world.command("chmod").args(["+x", "giterd"]).status().unwrap();
    let output = world.command(world.path("giterctl")).arg("demo").output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(4), "{stderr}");
    assert!(stderr.starts_with("error: step 4 (The device fetches, proves, applies and answers): "), "{stderr}");
    assert!(stderr.ends_with("reason: NotAsTold\n"), "{stderr}");
}
