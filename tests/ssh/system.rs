//! What concerns the system's client alone: its program, and the environment that it passes on.

use std::path::Path;

use giter_edge::{api::Reason, codec::config::SshClient};

use super::{
    common::{
        hub::{Hub, git},
        sshd::{Options, Server, Sshd, traffic, url},
    },
    reason,
    way::Way,
};

const WAY: Way = Way { client: SshClient::System, server: Server::OpenSsh };

#[test]
fn a_program_that_is_not_there() {
    let (sshd, hub) = (WAY.start(), Hub::empty());
    let mut config = WAY.config(&sshd, &hub.path());
    config.program = "/nonexistent/ssh".into();
    assert_eq!(reason(WAY.link(config).list()), Reason::SshNotFound);
}

#[test]
fn no_client_is_left_behind() {
    let (sshd, hub) = (WAY.start(), Hub::with_files(1));
    let mut closed = WAY.link(WAY.config(&sshd, &hub.path()));
    closed.list().unwrap();
    closed.close();
    let mut dropped = WAY.link(WAY.config(&sshd, &hub.path()));
    dropped.list().unwrap();
    drop(dropped);
    assert_eq!(sshd.clients().len(), 2);
    for client in sshd.clients() {
        assert!(!Path::new("/proc").join(&client).exists(), "{client} is still there");
    }
}

#[test]
fn a_server_that_drops_the_environment_is_remembered() {
    let (sshd, hub) = (Sshd::with(&Options::default()), Hub::with_files(1));
    let mut first = WAY.link(WAY.config(&sshd, &hub.path()));
    first.list().unwrap();
    assert!(first.traits().protocol_in_command);
    assert_eq!(sshd.sessions(), 2);

    let mut config = WAY.config(&sshd, &hub.path());
    config.protocol_in_command = first.traits().protocol_in_command;
    WAY.link(config).list().unwrap();
    assert_eq!(sshd.sessions(), 3, "what was learned saves a connection");
}

#[test]
fn an_account_without_a_shell_is_asked_by_the_environment() {
    let forced = Some("exec git-shell -c \"$SSH_ORIGINAL_COMMAND\"");
    let (sshd, hub) = (Sshd::with(&Options { accept_env: true, forced, ..Options::default() }), Hub::with_files(1));
    let mut config = WAY.config(&sshd, &hub.path());
    config.protocol_in_command = true;
    let mut link = WAY.link(config);
    link.list().unwrap();
    assert!(!link.traits().protocol_in_command);
}

#[test]
fn an_unchanged_poll_costs_no_more_than_gits() {
    let (sshd, hub) = (WAY.start(), Hub::with_files(20));
    let clone = hub.beside("clone");
    git(
        hub.path().parent().unwrap(),
        &["clone", "--quiet", "--depth=1", &format!("file://{}", hub.path().display()), "clone"],
    );
    let ssh = format!(
        "core.sshCommand={} -i {} -o UserKnownHostsFile={}",
        sshd.file("ssh").display(),
        sshd.file("user_key").display(),
        sshd.file("known_hosts").display()
    );
    let gits = traffic(sshd.port(), |port| {
        git(&clone, &["-c", &ssh, "fetch", "--quiet", "--depth=1", &url(port, &hub.path()), "main"]);
    });
    let ours = traffic(sshd.port(), |port| {
        let mut link = WAY.link(WAY.config_at(&sshd, &url(port, &hub.path())));
        link.list().unwrap();
        link.close();
    });
    assert!(ours <= gits, "{ours} bytes, git's {gits}");
}

#[test]
fn an_account_that_drops_the_environment_and_has_no_shell() {
    let forced = Some("exec git-shell -c \"$SSH_ORIGINAL_COMMAND\"");
    let (sshd, hub) = (Sshd::with(&Options { forced, ..Options::default() }), Hub::with_files(1));
    assert_eq!(reason(WAY.link(WAY.config(&sshd, &hub.path())).list()), Reason::ProtocolV2Required);
}
