//! `giterd` follows signed charters, each sync in a process of its own: what was trusted last is in its ledger.

use super::{
    device::published,
    support::{OPS_PUB, World},
};

/// Writes the next charter, has ssh-keygen sign it, and commits both by a root.
fn charter(world: &World, serial: u32, roots: &[&str], publishers: &str, by: &str) {
    let id = world.git(&["-C", "exchange", "show", "HEAD:exchange.yaml"]);
    let id = id.lines().find_map(|line| line.strip_prefix("  id: ")).unwrap().to_owned();
    let roots: String = roots.iter().map(|root| format!("  - {}\n", public(world, root))).collect();
    let text = format!(
        "apiVersion: edge.giter.dev/v1alpha1\nkind: Exchange\nmetadata: {{name: plant-7}}\nspec:\n  id: {id}\n  \
         branch: main\n  serial: {serial}\n  roots:\n{roots}{}",
        if publishers.is_empty() { String::new() } else { format!("  publishers:\n{publishers}") }
    );
    world.write("exchange/exchange.yaml", text);
    let _ = std::fs::remove_file(world.path("exchange/exchange.yaml.sig"));
    world.run("ssh-keygen", &["-q", "-Y", "sign", "-n", "giter-exchange", "-f", by, "exchange/exchange.yaml"]);
    commit(world, by);
}

/// Commits all that changed, and publishes it.
fn commit(world: &World, by: &str) {
    let key = world.path(by).display().to_string();
    world.git(&["-C", "exchange", "add", "."]);
    let sign = format!("--gpg-sign={key}");
    world.git(&["-C", "exchange", "-c", "gpg.format=ssh", "commit", "-q", "--allow-empty", &sign, "-m", by]);
    world.git(&["-C", "exchange", "push", "-q", "-f", "origin", "main"]);
}

fn public(world: &World, key: &str) -> String {
    world.read(&format!("{key}.pub")).trim_end().into()
}

/// The reason for which a sync refuses the tip; `None` where it takes it.
pub(crate) fn refusal(world: &World) -> Option<String> {
    let ran = world.giterd(&["--config", "giterd.toml", "sync"]);
    let reason = ran.stderr.lines().find_map(|line| line.strip_prefix("reason: ")).map(str::to_owned);
    assert_eq!(ran.code, Some(i32::from(reason.is_some())), "{}", ran.all());
    reason
}

/// A device with its first charter: `ops.key` is the root, `pub.key` may change all but the charter.
fn chartered() -> World {
    let world = published();
    for name in ["pub.key", "next.key"] {
        world.run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-C", name, "-f", name]);
    }
    assert_eq!(OPS_PUB.trim_end(), public(&world, "ops.key"));
    assert_eq!(refusal(&world), None);
    charter(&world, 2, &["ops.key"], &publisher(&world, "pub.key", ""), "ops.key");
    assert_eq!(refusal(&world), None);
    world
}

fn publisher(world: &World, key: &str, rest: &str) -> String {
    format!("  - {{principal: pub@plant-7, key: \"{}\"{rest}}}\n", public(world, key))
}

#[test]
fn a_publisher_is_followed_until_he_is_revoked() {
    let world = chartered();
    world.write("exchange/specs/pump-07/note.txt", "one");
    commit(&world, "pub.key");
    assert_eq!(refusal(&world), None);

    charter(&world, 3, &["ops.key"], &publisher(&world, "next.key", ", paths: [specs/pump-07/**]"), "ops.key");
    world.write("exchange/specs/pump-07/note.txt", "two");
    commit(&world, "next.key");
    assert_eq!(refusal(&world), None);

    let accepted = world.git(&["-C", "exchange", "rev-parse", "HEAD"]);
    for (path, by, reason) in [
        ("specs/pump-07/note.txt", "pub.key", "UntrustedKey"),
        ("exchange.yaml", "next.key", "KeyNotAllowed"),
        ("exchange.yaml", "ops.key", "CharterUntrusted"),
    ] {
        world.git(&["-C", "exchange", "reset", "-q", "--hard", &accepted]);
        world.write(&format!("exchange/{path}"), "three");
        commit(&world, by);
        // It is remembered, too.
        assert_eq!([refusal(&world), refusal(&world)], [Some(reason.into()), Some(reason.into())], "{path} {by}");
    }
    world.git(&["-C", "exchange", "reset", "-q", "--hard", &accepted]);
    commit(&world, "next.key");
    assert_eq!(refusal(&world), None);
}

#[test]
fn a_device_that_was_off_follows_a_rotated_root() {
    let world = chartered();
    charter(&world, 3, &["ops.key", "next.key"], "", "ops.key");
    charter(&world, 4, &["next.key"], "", "next.key");
    charter(&world, 5, &["pub.key"], "", "next.key");
    commit(&world, "pub.key");
    assert_eq!(refusal(&world), None);
    commit(&world, "ops.key");
    assert_eq!(refusal(&world), Some("UntrustedKey".into()));
    world.git(&["-C", "exchange", "reset", "-q", "--hard", "HEAD^"]);
    charter(&world, 4, &["pub.key"], "", "pub.key");
    assert_eq!(refusal(&world), Some("CharterRollback".into()));
}
