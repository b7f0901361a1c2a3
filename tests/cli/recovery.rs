//! What `giterd` does about lost state and lost hubs, and `giterctl reset`: real git, real ssh-keygen, a process for
//! each sync.

use std::fs;

use super::{
    device::published,
    support::{Ran, World, golden, without_names},
};

fn sync(world: &World) -> Ran {
    world.giterd(&["--config", "giterd.toml", "sync"])
}

/// The reason for which a sync refuses the tip; `None` where it takes it.
fn refusal(world: &World) -> Option<String> {
    let ran = sync(world);
    let reason = ran.stderr.lines().find_map(|line| line.strip_prefix("reason: ")).map(str::to_owned);
    assert_eq!(ran.code, Some(i32::from(reason.is_some())), "{}", ran.all());
    reason
}

fn publish(world: &World, message: &str) {
    world.git(&["-C", "exchange", "commit", "-q", "-S", "--allow-empty", "-m", message]);
    world.git(&["-C", "exchange", "push", "-q", "-f", "origin", "main"]);
}

/// A device that has accepted two commits, and a clone that is back at the first, as the branch at the hub is.
fn gone_back() -> World {
    let world = published();
    assert_eq!(refusal(&world), None);
    world.write("exchange/specs/pump-07/motd.yaml", world.read("exchange/specs/pump-07/motd.yaml") + "# two\n");
    world.git(&["-C", "exchange", "add", "."]);
    publish(&world, "two");
    assert_eq!(refusal(&world), None);
    world.git(&["-C", "exchange", "reset", "-q", "--hard", "HEAD~"]);
    world.git(&["-C", "exchange", "push", "-q", "-f", "origin", "main"]);
    world
}

/// The hub as it is after it was restored from the publisher's clone: what that does not have is lost.
fn restore_hub(world: &World) {
    world.git(&["-C", "exchange", "fetch", "-q", "origin", "+refs/giter/status/*:refs/giter/status/*"]);
    world.git(&["clone", "-q", "--bare", "--no-local", "--mirror", "exchange", "new.git"]);
    fs::remove_dir_all(world.path("hub.git")).unwrap();
    fs::rename(world.path("new.git"), world.path("hub.git")).unwrap();
}

fn reset(world: &World, args: &[&str]) -> Ran {
    world.giterctl(&[&["-C", "exchange", "reset"], args].concat())
}

/// The verdict on the device's record of statuses.
fn verdict(world: &World) -> String {
    let signers = format!("pump-07@giter {}", world.read("ops.key.pub"));
    world.write("signers", signers);
    let ran = world.giterctl(&["-C", "hub.git", "verify", "--signers", &world.path("signers").display().to_string()]);
    ran.all()
}

#[test]
fn a_lost_state_folder_does_not_let_the_branch_go_back() {
    for floor in [true, false] {
        let world = published();
        fs::create_dir(world.path("boot")).unwrap();
        if floor {
            let copy = world.path("boot/giter.floor").display().to_string();
            let config = world.read("giterd.toml").replace("[trust]\n", &format!("[trust]\nfloor = {copy:?}\n"));
            world.write("giterd.toml", config);
        }
        assert_eq!(refusal(&world), None);
        publish(&world, "two");
        assert_eq!(refusal(&world), None);
        fs::remove_dir_all(world.path("state")).unwrap();
        let older = world.git(&["-C", "exchange", "rev-parse", "HEAD~"]);
        world.git(&["-C", "hub.git", "update-ref", "refs/heads/main", &older]);
        // Where nothing new was told of the second commit, the copy alone knows it.
        let expected = floor.then(|| "Rewound".to_owned());
        assert_eq!(refusal(&world), expected);
        publish(&world, "three");
        assert_eq!(refusal(&world), None);
        let said = verdict(&world);
        assert!(said.contains("Proven") && said.ends_with("ended with 0\n"), "{said}");
    }
}

#[test]
fn a_lost_state_folder_is_made_up_for_by_the_last_status() {
    let world = gone_back();
    let newer = world.git(&["-C", "exchange", "rev-parse", "ORIG_HEAD"]);
    fs::remove_dir_all(world.path("state")).unwrap();
    assert_eq!(refusal(&world).as_deref(), Some("Rewound"));
    assert_eq!(refusal(&world).as_deref(), Some("Rewound"));
    world.git(&["-C", "hub.git", "update-ref", "refs/heads/main", &newer]);
    assert_eq!(refusal(&world), None);
    let said = verdict(&world);
    assert!(said.contains("Proven") && said.ends_with("ended with 0\n"), "{said}");
}

#[test]
fn a_root_takes_devices_back() {
    let world = gone_back();
    restore_hub(&world);
    assert_eq!(refusal(&world).as_deref(), Some("Rewound"));
    assert!(verdict(&world).contains("reason: RevisionUnproven\n"), "nobody has allowed that yet");
    let ran = reset(&world, &["pump-07", "site-a/**", "--to", "HEAD", "--key", "ops.key", "--name", "hub-restored"]);
    golden("reset.txt", without_names(&world.without_dir(&ran.all())));
    golden("reset.yaml", without_names(&world.read("exchange/reset.yaml")));
    world.git(&["-C", "exchange", "push", "-q", "origin", "main"]);
    let ran = sync(&world);
    assert_eq!(ran.code, Some(0), "{}", ran.all());
    assert!(ran.stderr.contains("went back to "), "{}", ran.stderr);
    let told = world.git(&["-C", "hub.git", "log", "-1", "--format=%B", "refs/giter/status/pump-07"]);
    assert!(told.contains("as the reset hub-restored with serial 1 allows, signed by ops@plant-7"), "{told}");
    let said = verdict(&world);
    assert!(said.contains("Proven") && said.ends_with("ended with 0\n"), "{said}");
    publish(&world, "on top");
    assert_eq!(refusal(&world), None);
    // The serial is spent: what does not go forward from here is refused again.
    world.git(&["-C", "exchange", "reset", "-q", "--hard", "HEAD~"]);
    publish(&world, "beside");
    let ran = sync(&world);
    assert!(ran.stderr.contains("reason: NotFastForward"), "{}", ran.stderr);
    assert!(ran.stderr.contains("has serial 1, and 1 was seen already"), "{}", ran.stderr);
    let ran = reset(&world, &["pump-07", "--to", "HEAD", "--key", "ops.key"]);
    assert!(ran.stdout.starts_with("Reset reset-2, serial 2, back to "), "{}", ran.all());
    world.git(&["-C", "exchange", "push", "-q", "origin", "main"]);
    assert_eq!(refusal(&world), None);
}

#[test]
fn a_root_takes_back_a_device_that_lost_its_state_when_the_hub_lost_its_commits() {
    let world = gone_back();
    world.git(&["-C", "exchange", "fetch", "-q", "origin", "+refs/giter/status/*:refs/giter/status/*"]);
    restore_hub(&world);
    fs::remove_dir_all(world.path("state")).unwrap();
    let status = world.git(&["-C", "hub.git", "rev-parse", "refs/giter/status/pump-07"]);
    let ran = sync(&world);
    assert!(ran.stderr.contains("reason: CommitNotFound"), "{}", ran.all());
    assert!(ran.stderr.contains("let a root write a Reset"), "{}", ran.stderr);
    assert_eq!(world.git(&["-C", "hub.git", "rev-parse", "refs/giter/status/pump-07"]), status);
    reset(&world, &["pump-07", "--to", "HEAD", "--key", "ops.key"]);
    world.git(&["-C", "exchange", "push", "-q", "origin", "main"]);
    assert_eq!(refusal(&world), None);
    publish(&world, "on top");
    assert_eq!(refusal(&world), None);
}

#[test]
fn a_reset_that_would_not_help_is_not_made() {
    let world = published();
    publish(&world, "two");
    world.run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", "other.key"]);
    world.git(&["-C", "exchange", "branch", "side"]);
    publish(&world, "three");
    let head = world.git(&["-C", "exchange", "rev-parse", "HEAD"]);
    let all = |args: &[&str]| without_names(&world.without_dir(&reset(&world, args).all()));
    golden("reset-stranger.txt", all(&["pump-07", "--to", "HEAD", "--key", "other.key"]));
    golden("reset-no-commit.txt", all(&["pump-07", "--to", "nowhere", "--key", "ops.key"]));
    golden("reset-no-pattern.txt", all(&["pump-[07]", "--to", "HEAD", "--key", "ops.key"]));
    world.git(&["-C", "exchange", "checkout", "-q", "side"]);
    golden("reset-ahead.txt", all(&["pump-07", "--to", "main", "--key", "ops.key"]));
    world.git(&["-C", "exchange", "checkout", "-q", "main"]);
    assert!(all(&["pump-07", "--to", "HEAD", "--key", "nokey"]).contains("reason: BadKeyFile"));
    assert_eq!(world.git(&["-C", "exchange", "rev-parse", "HEAD"]), head);
    assert_eq!(world.git(&["-C", "exchange", "status", "--porcelain"]), "");
    assert!(all(&["pump-08", "--to", "HEAD", "--key", "ops.key"]).contains("warning: no device of this exchange"));
    // Another branch has a newer charter, which a tip without it would take back.
    world.run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-C", "root2@plant-7", "-f", "root2.key"]);
    world.git(&["-C", "exchange", "checkout", "-q", "-B", "newer"]);
    world.giterctl(&["-C", "exchange", "trust", "add", "root", "root2.key.pub", "--key", "ops.key"]).good();
    world.git(&["-C", "exchange", "checkout", "-q", "main"]);
    assert!(all(&["pump-07", "--to", "HEAD"]).contains("warning: newer has a charter with serial 2, "));
}

#[test]
fn an_exchange_that_is_named_after_another_was_pinned_is_refused() {
    let world = published();
    assert_eq!(refusal(&world), None);
    let other = format!("[trust]\nexchange = {:?}\n", "0".repeat(32));
    world.write("giterd.toml", world.read("giterd.toml").replace("[trust]\n", &other));
    let ran = sync(&world);
    assert!(ran.stderr.contains("reason: ExchangeMismatch"), "{}", ran.all());
    assert!(ran.stderr.contains("to move the device, stop giterd and remove the state folder"), "{}", ran.stderr);
}
