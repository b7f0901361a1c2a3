//! `giterd` by its command line, on the simulated board and by `file://`.

use super::support::{OPS_KEY, OPS_PUB, World, golden, without_names};

/// An exchange with one device, its hub, and the device's configuration; nothing was synced yet.
fn world() -> World {
    let world = World::new();
    world.identify();
    world.write_key("ops.key", OPS_KEY);
    world.write("ops.key.pub", OPS_PUB);
    let files = world.path("files").display().to_string();
    world.giterctl(&["init", "exchange", "--device", "pump-07", "--key", "ops.key", "--files", &files]).good();
    world.git(&["init", "-q", "--bare", "--initial-branch=main", "hub.git"]);
    world.git(&["-C", "exchange", "remote", "add", "origin", "../hub.git"]);
    world.write_key("device.key", OPS_KEY);
    world.write("files/.keep", "");
    let at = |path: &str| world.path(path).display().to_string();
    world.write(
        "giterd.toml",
        format!(
            "device = \"pump-07\"\nstate = {:?}\nboard = \"sim\"\n[link]\nurl = \"file://{}\"\n[trust]\nroot = {:?}\n\
             [status]\nkey = {:?}\n[files]\nroots = [{files:?}]\n[sim]\nfile = {:?}\n",
            at("state"),
            at("hub.git"),
            at("exchange/root.keys"),
            at("device.key"),
            at("sim.toml")
        ),
    );
    world
}

/// The same, with the specs at the hub.
pub(crate) fn published() -> World {
    let world = world();
    world.git(&["-C", "exchange", "push", "-q", "origin", "main"]);
    world
}

/// Syncs through drift, a change of the specs, a tip that is refused, and the way out of it.
pub(crate) fn live(world: &World) {
    let relay = "exchange/specs/pump-07/pump-relay.yaml";
    let publish = |message: &str, sign: &str| {
        world.git(&["-C", "exchange", "commit", "-q", "-a", "--allow-empty", sign, "-m", message]);
        world.git(&["-C", "exchange", "push", "-q", "-f", "origin", "main"]);
    };
    let sync = |code| {
        let ran = world.giterd(&["--config", "giterd.toml", "sync"]);
        assert_eq!(ran.code, Some(code), "{}", ran.stderr);
    };
    sync(0);
    for value in [3, 4] {
        world.write("sim.toml", format!("[gpio]\nGPIO17 = \"high\"\n[led]\nACT = {value}\n"));
        sync(0);
    }
    world.write(relay, world.read(relay).replace("value: high", "value: low"));
    publish("stop the pump", "-S");
    sync(0);
    publish("unsigned", "--no-gpg-sign");
    sync(1);
    world.git(&["-C", "exchange", "reset", "-q", "--hard", "HEAD~"]);
    std::fs::remove_file(world.path("exchange/specs/pump-07/activity.yaml")).unwrap();
    publish("without the LED", "-S");
    sync(0);
}

/// Everything that giterd says, without what differs from run to run.
fn giterd(world: &World, args: &[&str]) -> String {
    let ran = world.giterd(&[&["--config", "giterd.toml"], args].concat());
    let mut text = without_names(&world.without_dir(&ran.all()));
    for name in ["uptimeSeconds", "bootId", "owner"] {
        text = without_value(&text, name);
    }
    text
}

/// The text with the value of a YAML or JSON key as `[..]`.
fn without_value(text: &str, name: &str) -> String {
    let line = |line: &str| match line.split_once(&format!("{name}: ")).or(line.split_once(&format!("{name}\": "))) {
        Some((before, after)) if before.trim_matches([' ', '"', '-']).is_empty() => {
            let comma = if after.ends_with(',') { "," } else { "" };
            let key = &line[..line.len() - after.len()];
            format!("{key}[..]{comma}\n")
        }
        _ => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

/// A table without what its width owes to the user who runs it.
fn without_owner(text: &str) -> String {
    let words = |line: &str| {
        let word = |word: &str| if word.starts_with("owner=") { "owner=[..]".into() } else { word.to_owned() };
        line.split(' ').filter(|word| !word.is_empty()).map(word).collect::<Vec<_>>().join(" ") + "\n"
    };
    text.lines().map(words).collect()
}

#[test]
fn a_sync_says_what_it_did() {
    let world = published();
    golden("sync.txt", giterd(&world, &["sync"]));
    golden("sync-again.txt", giterd(&world, &["sync"]));
    world.write("sim.toml", "[gpio]\nGPIO17 = \"low\"\n[led]\nACT = 3\n");
    golden("sync-drift.json", giterd(&world, &["sync", "-o", "json"]));
    golden("sync-again.json", giterd(&world, &["sync", "-o", "json"]));
}

#[test]
fn a_sync_in_the_other_forms() {
    for form in ["yaml", "name", "wide"] {
        let world = published();
        let said = giterd(&world, &["sync", "-o", form]);
        match form {
            "yaml" => golden("sync.yaml", said),
            "name" => golden("sync-name.txt", said),
            _ => golden("sync-wide.txt", said),
        }
    }
}

#[test]
fn a_refused_sync_says_why_and_keeps_what_was_accepted() {
    let world = published();
    giterd(&world, &["sync"]);
    world.git(&["-C", "exchange", "commit", "-q", "--allow-empty", "--no-gpg-sign", "-m", "unsigned"]);
    world.git(&["-C", "exchange", "push", "-q", "origin", "main"]);
    golden("sync-refused.txt", giterd(&world, &["sync"]));
    golden("sync-refused.json", giterd(&world, &["sync", "-o", "json"]));
    golden("status-refused.txt", giterd(&world, &["status"]));
}

#[test]
fn a_plan_says_what_a_sync_would_do() {
    let world = published();
    golden("plan-nothing-accepted.txt", giterd(&world, &["plan"]));
    giterd(&world, &["sync"]);
    golden("plan-nothing.txt", giterd(&world, &["plan"]));
    world.write("sim.toml", "[gpio]\nGPIO17 = \"low\"\n[led]\nACT = 255\n[fail]\nACT = \"failed\"\n");
    golden("plan.txt", giterd(&world, &["plan"]));
    golden("plan.json", giterd(&world, &["plan", "-o", "json"]));
    golden("plan.yaml", giterd(&world, &["plan", "-o", "yaml"]));
    golden("plan-name.txt", giterd(&world, &["plan", "-o", "name"]));
}

#[test]
fn a_status_says_what_the_device_knows_of_itself() {
    let world = published();
    golden("status-nothing-accepted.txt", giterd(&world, &["status"]));
    giterd(&world, &["sync"]);
    golden("status.txt", giterd(&world, &["status"]));
    golden("status-wide.txt", without_owner(&giterd(&world, &["status", "-o", "wide"])));
    golden("status.yaml", giterd(&world, &["status", "-o", "yaml"]));
    golden("status.json", giterd(&world, &["status", "-o", "json"]));
    golden("status-name.txt", giterd(&world, &["status", "-o", "name"]));
}

#[test]
fn a_check_finds_what_would_keep_the_status_from_being_heard() {
    let world = published();
    giterd(&world, &["sync"]);
    world.write_key("ssh.key", OPS_KEY);
    let config = world.read("giterd.toml").replace("[link]\n", "[link]\nidentity = \"ssh.key\"\n");
    world.write("giterd.toml", config);
    let said = giterd(&world, &["check"]);
    assert!(said.contains("\nssh key         yes   ") && said.ends_with("--- ended with 0\n"), "{said}");
    world.git(&["-C", "hub.git", "update-ref", "refs/giter/status/pump-07", "main"]);
    std::fs::set_permissions(world.path("ssh.key"), std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let said = giterd(&world, &["check"]);
    assert!(said.contains("can be read by others (mode 0644)\nhint: chmod 600 "), "{said}");
    assert!(said.contains("error: the status ref of pump-07 is at [ID], where this device did not put it\n"), "{said}");
    assert!(said.ends_with("reason: StatusRefMoved\n--- ended with 2\n"), "{said}");
}

#[test]
fn a_check_looks_at_the_second_copy_of_the_floor() {
    let world = published();
    std::fs::create_dir(world.path("boot")).unwrap();
    let copy = world.path("boot/giter.floor").display().to_string();
    world.write("giterd.toml", world.read("giterd.toml").replace("[trust]\n", &format!("[trust]\nfloor = {copy:?}\n")));
    let floor = |world: &World| {
        let said = giterd(world, &["check"]);
        said.lines().find(|line| line.starts_with("floor ")).unwrap().split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let path = "[DIR]/boot/giter.floor";
    assert_eq!(floor(&world), format!("floor yes {path} is written with the first accepted commit"));
    giterd(&world, &["sync"]);
    assert_eq!(floor(&world), format!("floor yes {path} holds [ID], the last of 1 accepted"));
    std::fs::remove_file(world.path("boot/giter.floor")).unwrap();
    assert!(floor(&world).starts_with(&format!("floor no FloorDamaged: {path} is behind the ledger")));
    world.write("boot/giter.floor", "x");
    assert_eq!(floor(&world), format!("floor no FloorDamaged: the floor {path} is damaged: it is too short"));
    // The next start writes it, though nothing else is new.
    giterd(&world, &["sync"]);
    assert_eq!(floor(&world), format!("floor yes {path} holds [ID], the last of 1 accepted"));
    world.write("giterd.toml", world.read("giterd.toml").replace("device = \"pump-07\"", "device = \"pump-08\""));
    assert!(floor(&world).starts_with("floor no FloorDamaged: the floor's copy is of the device pump-07"));
}

#[test]
fn a_check_names_each_problem_with_its_cure() {
    let world = world();
    golden("check-empty-hub.txt", giterd(&world, &["check"]));
    world.git(&["-C", "exchange", "push", "-q", "origin", "main"]);
    golden("check.txt", giterd(&world, &["check"]));
    golden("check.json", giterd(&world, &["check", "-o", "json"]));
    std::fs::remove_file(world.path("device.key")).unwrap();
    std::fs::remove_dir_all(world.path("files")).unwrap();
    std::fs::remove_dir_all(world.path("hub.git")).unwrap();
    golden("check-broken.txt", giterd(&world, &["check"]));
}
