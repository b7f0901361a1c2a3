//! What is wrong on the device itself: its configuration, its keys, another agent.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use giter_edge::disk::StateLock;

use super::common::{
    case::{Case, World, check_all},
    exchange::keygen,
};

/// Replaces something beside the hub, and keeps it to be put back by [`restore`].
fn replace(world: &World, name: &str, by: impl FnOnce(&Path)) {
    let path = world.exchange.beside(name);
    fs::rename(&path, world.exchange.beside("kept")).unwrap();
    by(&path);
}

fn restore(world: &World, name: &str) {
    fs::rename(world.exchange.beside("kept"), world.exchange.beside(name)).unwrap();
}

fn key(name: &'static str, says: &str, by: impl Fn(&Path) + 'static) -> Case {
    Case::start(name, ("BadKeyFile", 2), says, move |world| replace(world, "device", &by))
        .mended(|world| restore(world, "device"))
}

fn write_private(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn keys() {
    let cases = [
        key("missing", "cannot read the device's key at {beside}/device: No such file", |_| ()),
        key("the public half", "{beside}/device is the public half of a key", |path| {
            fs::copy(path.with_extension("pub"), path).unwrap();
        }),
        key("none", "{beside}/device is not an OpenSSH private key", |path| write_private(path, "hello\n")),
        key("with a passphrase", "{beside}/device is protected by a passphrase", |path| {
            fs::remove_file(path.with_extension("pub")).unwrap();
            keygen(path, "secret");
        }),
        Case::start("readable by others", ("BadKeyFile", 2), "can be read by others (mode 0640)", |world| {
            fs::set_permissions(world.exchange.beside("device"), fs::Permissions::from_mode(0o640)).unwrap();
        })
        .mended(|world| {
            fs::set_permissions(world.exchange.beside("device"), fs::Permissions::from_mode(0o600)).unwrap();
        }),
    ];
    check_all(cases, World::by_file);
}

fn root(name: &'static str, says: &str, text: Option<&'static str>) -> Case {
    Case::start(name, ("BadSigners", 2), says, move |world| {
        replace(world, "root.keys", |path| text.iter().for_each(|text| fs::write(path, text).unwrap()));
    })
    .mended(|world| restore(world, "root.keys"))
}

#[test]
fn roots() {
    let cases = [
        root("missing", "cannot read the root keys at {beside}/root.keys: No such file", None),
        root("garbage", "{beside}/root.keys:1", Some("what is this\n")),
        root("no key", "{beside}/root.keys names no key", Some("# nobody yet\n")),
        root("half a key", "{beside}/root.keys:2", Some("# ours\nops ssh-ed25519 AAAAC3NzaC1lZDI1NTE5\n")),
    ];
    check_all(cases, World::by_file);
}

#[test]
fn configurations() {
    let config = |name, says: &str, change: fn(String) -> String| {
        Case::start(name, ("BadConfig", 2), says, move |world| {
            world.device.write_config(&change(world.device.config()))
        })
    };
    let variable = |name, says: &str, key: &'static str, value: &'static str| {
        Case::start(name, ("BadConfig", 2), says, move |world| world.device.set(key, value))
    };
    let cases = [
        config("no TOML", "{board}/giterd.toml:1", |text| text.replacen("device =", "device", 1)),
        config("an unknown key", "{board}/giterd.toml:5", |text| text.replace("url =", "uri =")),
        config("a missing key", "device", |text| text.replace("device =", "# device =")),
        config("a wrong name", "{board}/giterd.toml:1", |text| text.replace("\"pump-07\"", "\"Pump 7\"")),
        variable("an unknown variable", "GITERD_LINK_URI", "LINK_URI", "x"),
        variable("a wrong duration", "GITERD_LINK_TIMEOUT", "LINK_TIMEOUT", "soon"),
        variable("a wrong policy", "GITERD_TRUST_VERIFY", "TRUST_VERIFY", "none"),
        variable("a wrong URL", "http://hub/exchange.git", "LINK_URL", "http://hub/exchange.git"),
        variable("a wrong log level", "GITERD_LOG: there is no level 'loud'", "LOG", "loud"),
        variable("a wrong branch", "GITERD_LINK_BRANCH: link.branch: not a branch name", "LINK_BRANCH", "a..b"),
    ];
    check_all(cases, World::by_file);
    let cases = [
        Case::start("an unknown board", ("UnknownBoard", 2), "there is no board toaster", |world| {
            world.device.set("BOARD", "toaster");
        }),
        Case::start("another agent at work", ("StateLocked", 2), "another giterd works on {board}/state", |world| {
            let lock = StateLock::take(&world.device.path("state")).unwrap();
            world.held.borrow_mut().push(Box::new(lock));
        }),
    ];
    check_all(cases, World::by_file);
}

#[test]
fn a_configuration_that_is_missing() {
    let world = World::by_file();
    fs::remove_file(world.device.path("giterd.toml")).unwrap();
    let run = world.device.sync();
    assert_eq!((run.said("reason"), run.exit), ("BadConfig", Some(2)));
    assert!(run.said("error").starts_with("cannot read the configuration at "), "{}", run.err);
}
