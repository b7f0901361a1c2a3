//! What keeps a device from its hub: each with its reason.

use std::{fs, net::TcpListener, process::Command, thread, time::Duration};

use giter_edge::{
    api::Reason,
    link::{Cancel, SshConfig},
};

use super::WAY;
use crate::{
    common::{
        hub::Hub,
        sshd::{Sshd, url},
    },
    reason,
};

/// The reason for which a listing fails, with the configuration changed.
fn refused(sshd: &Sshd, hub: &Hub, change: impl FnOnce(&mut SshConfig)) -> Reason {
    let mut config = WAY.config(sshd, &hub.path());
    change(&mut config);
    reason(WAY.link(config).list())
}

#[test]
fn keys_and_hosts() {
    let (sshd, hub) = (WAY.start(), Hub::with_files(1));
    let reason = |change: &dyn Fn(&mut SshConfig)| refused(&sshd, &hub, change);
    assert_eq!(reason(&|c| c.known_hosts = Some(sshd.file("no_hosts"))), Reason::HostKeyRefused);
    assert_eq!(reason(&|c| c.known_hosts = Some(sshd.file("other_hosts"))), Reason::HostKeyRefused);
    assert_eq!(reason(&|c| c.identity = Some(sshd.file("other_key"))), Reason::SshKeyRefused);
    assert_eq!(reason(&|c| c.identity = Some(sshd.file("absent_key"))), Reason::BadKeyFile);
    fs::write(sshd.file("broken_key"), "not a key").unwrap();
    assert_eq!(reason(&|c| c.identity = Some(sshd.file("broken_key"))), Reason::BadKeyFile);
    assert_eq!(fs::read_to_string(sshd.file("no_hosts")).unwrap(), "", "a host key was learned");
}

#[test]
fn a_port_on_which_nobody_listens() {
    let (sshd, hub) = (WAY.start(), Hub::with_files(1));
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let listed = WAY.link(WAY.config_at(&sshd, &url(port, &hub.path()))).list();
    assert_eq!(reason(listed), Reason::HubUnreachable);
}

#[test]
fn repositories_and_branches() {
    let (sshd, hub) = (WAY.start(), Hub::with_files(1));
    let missing = WAY.link(WAY.config(&sshd, &hub.beside("none.git"))).list();
    assert_eq!(reason(missing), Reason::RepositoryNotFound);
    assert_eq!(refused(&sshd, &hub, |c| c.branch = "absent".to_owned()), Reason::BranchNotFound);
    hub.git(&["symbolic-ref", "HEAD", "refs/heads/unborn"]);
    assert_eq!(refused(&sshd, &hub, |c| c.branch = "absent".to_owned()), Reason::BranchNotFound);
    assert_eq!(refused(&sshd, &Hub::empty(), |_| {}), Reason::RepositoryEmpty);
}

#[test]
fn a_server_that_speaks_an_old_protocol_alone() {
    let forced = "unset GIT_PROTOCOL; eval \"${SSH_ORIGINAL_COMMAND#GIT_PROTOCOL=version=2 }\"";
    let (sshd, hub) = (WAY.start_forced(forced), Hub::with_files(1));
    assert_eq!(refused(&sshd, &hub, |_| {}), Reason::ProtocolV2Required);
    assert_eq!(refused(&sshd, &hub, |c| c.protocol_in_command = true), Reason::ProtocolV2Required);
    assert_eq!(refused(&sshd, &Hub::empty(), |_| {}), Reason::ProtocolV2Required);
}

#[test]
fn a_hub_without_git_and_one_that_talks() {
    let hub = Hub::with_files(1);
    for script in ["exec git-no-such-program", "echo This account is currently not available.", "exit 0"] {
        let sshd = WAY.start_forced(script);
        assert_eq!(refused(&sshd, &hub, |_| {}), Reason::ProtocolError, "{script}");
    }
}

#[test]
fn a_hub_that_hangs_is_given_up_after_its_silence() {
    let (sshd, hub) = (WAY.start_forced("exec cat >/dev/null"), Hub::empty());
    assert_eq!(refused(&sshd, &hub, |c| c.manner.silence = Duration::from_secs(1)), Reason::HubTimeout);
    for client in sshd.clients() {
        assert!(!std::path::Path::new("/proc").join(&client).exists(), "{client} is still there");
    }
}

#[test]
fn a_hub_that_hangs_does_not_hold_up_a_stop() {
    let hub = Hub::empty();
    let fifo = hub.beside("reached");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let forced = format!("echo > {}; exec cat >/dev/null", fifo.display());
    let sshd = WAY.start_forced(&forced);
    let cancel = Cancel::new().unwrap();
    let mut link = WAY.cancellable(WAY.config(&sshd, &hub.path()), cancel.clone());
    let listing = thread::spawn(move || link.list());
    fs::read(&fifo).unwrap();
    cancel.cancel();
    assert_eq!(reason(listing.join().unwrap()), Reason::Stopped);
}
