//! Hubs that `giterd sync` cannot reach, that will not have it, or that will not have its status.

use std::{fs, net::TcpListener, rc::Rc};

use super::{WAY, sync::world};
use crate::common::{
    case::{Case, Retries, World, check_all},
    exchange::{MANIFEST, status_ref},
    sshd::{Sshd, url},
};

#[test]
fn keys_and_hosts() {
    let sshd = Rc::new(WAY.start());
    let file = |key: &'static str, name: &'static str| {
        let path = sshd.file(name).display().to_string();
        move |world: &World| world.device.set(key, &path)
    };
    let cases = [
        Case::link("nobody listens", ("HubUnreachable", 3), "no connection to ssh://", |world| {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            world.device.set("LINK_URL", url(port, &world.exchange.hub.path()));
        }),
        Case::link("no such host", ("HubUnreachable", 3), "no connection to ssh://git@hub.invalid", |world| {
            world.device.set("LINK_URL", "ssh://git@hub.invalid/exchange.git");
        }),
        Case::link(
            "an unknown host key",
            ("HostKeyRefused", 2),
            "the host key of ",
            file("LINK_KNOWN_HOSTS", "no_hosts"),
        ),
        Case::link(
            "another host key",
            ("HostKeyRefused", 2),
            "the host key of ",
            file("LINK_KNOWN_HOSTS", "other_hosts"),
        ),
        Case::link("a refused key", ("SshKeyRefused", 2), "does not accept this", file("LINK_IDENTITY", "other_key")),
        Case::link("a missing key", ("BadKeyFile", 2), "cannot read the SSH key ", file("LINK_IDENTITY", "absent")),
    ];
    check_all(cases, || world(&sshd));
    assert_eq!(fs::read_to_string(sshd.file("no_hosts")).unwrap(), "", "a host key was learned");
}

#[test]
fn repositories() {
    let sshd = Rc::new(WAY.start());
    let elsewhere = |name: &'static str| {
        let sshd = Rc::clone(&sshd);
        move |world: &World| world.device.set("LINK_URL", sshd.url(&world.exchange.beside(name)))
    };
    let empty = elsewhere("empty.git");
    let cases = [
        Case::link("missing", ("RepositoryNotFound", 2), "{beside}/absent.git", elsewhere("absent.git")),
        Case::link("empty", ("RepositoryEmpty", 3), "the repository has no commits", move |world| {
            world.exchange.git(&["init", "--quiet", "--bare", "../empty.git"]);
            empty(world);
        }),
        Case::link("no such branch", ("BranchNotFound", 2), "the repository has no branch `live`", |world| {
            world.device.set("LINK_BRANCH", "live");
        }),
        Case::tip("a manifest of 10 MB", "PackTooLarge", "more than", |world| {
            world.exchange.write(MANIFEST, "#".repeat(10 << 20));
            world.exchange.publish();
        }),
    ];
    check_all(cases, || world(&sshd));
}

/// Another server takes the first one's place, on which a script is run instead of what the device asks for.
pub(crate) fn forced(script: impl Into<String>) -> impl Fn(&World) {
    let script = script.into();
    move |world| served_by(WAY.start_forced(&script), world)
}

/// A server takes the first one's place, until all is put right.
pub(crate) fn served_by(sshd: Sshd, world: &World) {
    world.device.set("LINK_URL", sshd.url(&world.exchange.hub.path()));
    for (key, name) in [("IDENTITY", "user_key"), ("KNOWN_HOSTS", "known_hosts"), ("PROGRAM", "ssh")] {
        world.device.set(&format!("LINK_{key}"), sshd.file(name).display());
    }
    world.held.borrow_mut().push(Box::new(sshd));
}

#[test]
fn servers() {
    const OLD: &str = "unset GIT_PROTOCOL; eval \"${SSH_ORIGINAL_COMMAND#GIT_PROTOCOL=version=2 }\"";
    let hang = forced("exec cat > /dev/null");
    let cases = [
        Case::link("an old protocol", ("ProtocolV2Required", 2), "an old version of git's protocol", forced(OLD)),
        Case::link("no git", ("ProtocolError", 3), "ended with status 127", forced("exec git-no-such-program")),
        Case::link("a login that talks", ("ProtocolError", 3), "the hub sent", forced("echo Welcome to this hub")),
        Case::link("a server that hangs", ("HubTimeout", 3), "the hub was silent for 1 seconds", move |world| {
            hang(world);
            world.device.set("LINK_TIMEOUT", "1s");
        }),
    ];
    let sshd = WAY.start();
    check_all(cases, || world(&sshd));
}

#[test]
fn statuses() {
    let delete = |world: &World| {
        world.exchange.hub.git(&["update-ref", "-d", &status_ref()]);
    };
    let moved = ("StatusRefMoved", 1);
    let rejected = ("PushRejected", 3);
    let cases = [
        Case::link("moved by somebody else", moved, "the status ref of pump-07 is at ", |world| {
            world.exchange.hub.git(&["update-ref", &status_ref(), &world.accepted.get().to_string()]);
        })
        .mended(delete),
        Case::link("declined by a hook", rejected, "pre-receive hook declined (not on a Sunday)", |world| {
            world.exchange.hub.hook("pre-receive", "echo 'not on a Sunday' >&2; exit 1");
        })
        .retrying(Retries::Push)
        .mended(|world| fs::remove_file(world.exchange.hub.path().join("hooks/pre-receive")).unwrap()),
        Case::link("hidden", rejected, "deny updating a hidden ref", |world| {
            world.exchange.hub.git(&["config", "transfer.hideRefs", "refs/giter"]);
        })
        .retrying(Retries::Push)
        .mended(|world| {
            world.exchange.hub.git(&["config", "--unset", "transfer.hideRefs"]);
        }),
    ];
    let sshd = WAY.start();
    check_all(cases, || world(&sshd));
}

#[test]
fn a_status_ref_that_was_deleted_begins_a_new_chain() {
    let sshd = WAY.start();
    let world = world(&sshd);
    world.exchange.hub.git(&["update-ref", "-d", &status_ref()]);
    let out = world.device.sync_well();
    assert!(out.starts_with("status 2 pushed as "), "{out}");
    assert_eq!(world.status().sequence, 2);
    assert_eq!(world.exchange.hub.git(&["rev-list", "--count", &status_ref()]), "1");
}
