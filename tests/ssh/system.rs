//! What concerns the system's client alone: its program, and the environment that it passes on.

use std::{fs, path::Path, process::Command, time::Duration};

use giter_edge::{
    api::Reason,
    codec::config::{Algorithms, SshClient},
    link::{Cancel, SshConfig, SshLink},
    reconcile::ports::{Link, Listing, Want},
};

use super::{
    Recorder, STATUS,
    common::{
        hub::{Hub, git},
        sshd::{Options, Server, Sshd, run, traffic, url, write_program},
    },
    reason, status,
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
fn one_connection_is_shared_where_there_is_a_place_for_its_socket() {
    let (sshd, hub) = (WAY.start(), Hub::with_files(1));
    let sessions = |sockets| {
        let before = sshd.sessions();
        let mut config = WAY.config(&sshd, &hub.path());
        config.sockets = sockets;
        let mut link = WAY.link(config);
        let last = link.list().unwrap().status;
        let (new, objects) = status(last, &before.to_string());
        link.publish(last, new, &objects).unwrap();
        link.close();
        sshd.sessions() - before
    };
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(sessions(Some(folder.path().to_owned())), 1);
    assert_eq!(folder.path().read_dir().unwrap().count(), 0, "a socket is left behind");
    assert_eq!(sessions(Some("/nonexistent".into())), 2);
    assert_eq!(sessions(None), 2);
}

#[test]
fn short_lists_of_algorithms_save_a_third_of_a_poll() {
    let (sshd, hub) = (WAY.start(), Hub::with_files(1));
    let cost = |algorithms| {
        traffic(sshd.port(), |port| {
            let mut config = WAY.config_at(&sshd, &url(port, &hub.path()));
            config.algorithms = algorithms;
            let mut link = WAY.link(config);
            link.list().unwrap();
            link.close();
        })
    };
    let (short, own) = (cost(Algorithms::Short), cost(Algorithms::Ssh));
    assert!(short * 3 < own * 2, "{short} bytes, by ssh's own lists {own}");
}

/// Has dropbear's client reach a server: its program, its key and its known_hosts file have its own forms.
fn by_dropbear(sshd: &Sshd, hub: &Hub) -> SshConfig {
    let mut config = WAY.config(sshd, &hub.path());
    config.program = sshd.file("dbclient");
    write_program(&config.program, "exec /usr/bin/dbclient \"$@\"");
    for key in ["user_key", "other_key"] {
        let converted = sshd.file(key).with_extension("dropbear");
        run(Command::new("dropbearconvert").args(["openssh", "dropbear"]).arg(sshd.file(key)).arg(converted));
    }
    config.identity = Some(sshd.file("user_key.dropbear"));
    let known_hosts = |folder: &str, key: &str| {
        fs::create_dir_all(sshd.file(folder).join(".ssh")).unwrap();
        let key = fs::read_to_string(sshd.file(key).with_extension("pub")).unwrap();
        let file = sshd.file(folder).join(".ssh/known_hosts");
        // As ssh-keyscan has it: dbclient takes a comment for a part of the key.
        let key = key.split(' ').take(2).collect::<Vec<_>>().join(" ");
        fs::write(&file, format!("127.0.0.1 {key}\n")).unwrap();
        file
    };
    known_hosts("stranger", "other_key");
    config.known_hosts = Some(known_hosts("known", "host_key"));
    config
}

#[test]
fn dropbears_client_lists_fetches_pushes_and_is_held() {
    for server in [Server::OpenSsh, Server::Dropbear] {
        let way = Way { server, ..WAY };
        let (sshd, hub) = (way.start(), Hub::with_files(3));
        let mut link = way.link(SshConfig { protocol_in_command: false, ..by_dropbear(&sshd, &hub) });
        let tip = link.list().unwrap().branch;
        let mut pack = Recorder::default();
        link.fetch(Want::Whole(tip), &mut pack).unwrap();
        assert_eq!(&pack.0[..4], b"PACK");
        let (new, objects) = status(None, "one");
        link.publish(None, new, &objects).unwrap();
        assert_eq!(hub.value(STATUS), Some(new));
        link.rest();
        let before = sshd.sessions();
        let tip = hub.commit("main", "specs/dev/0000.yaml", "two");
        assert_eq!(link.list().unwrap(), Listing { branch: tip, status: Some(new) });
        assert_eq!(sshd.sessions(), before);
    }
}

#[test]
fn what_dropbears_client_does_not_take_is_said() {
    let (sshd, hub) = (WAY.start(), Hub::with_files(1));
    let refused = |change: &dyn Fn(&mut SshConfig)| {
        let mut config = by_dropbear(&sshd, &hub);
        config.manner.silence = Duration::from_secs(5);
        change(&mut config);
        reason(SshLink::open(config, Cancel::new().unwrap()).and_then(|mut link| link.list()))
    };
    assert_eq!(refused(&|c| c.known_hosts = Some(sshd.file("known_hosts"))), Reason::BadConfig);
    assert_eq!(refused(&|c| c.known_hosts = None), Reason::BadConfig);
    assert_eq!(refused(&|c| c.identity = Some(sshd.file("user_key"))), Reason::BadKeyFile);
    assert_eq!(refused(&|c| c.identity = Some(sshd.file("other_key.dropbear"))), Reason::SshKeyRefused);
    assert_eq!(refused(&|c| c.known_hosts = Some(sshd.file("stranger/.ssh/known_hosts"))), Reason::HostKeyRefused);
    let unknown = |c: &mut SshConfig| {
        let file = sshd.file("known/.ssh/known_hosts");
        fs::write(&file, "").unwrap();
        c.known_hosts = Some(file);
    };
    assert_eq!(refused(&unknown), Reason::HostKeyRefused);
    assert_eq!(fs::read_to_string(sshd.file("known/.ssh/known_hosts")).unwrap(), "", "a host key was learned");
}

#[test]
fn an_account_that_drops_the_environment_and_has_no_shell() {
    let forced = Some("exec git-shell -c \"$SSH_ORIGINAL_COMMAND\"");
    let (sshd, hub) = (Sshd::with(&Options { forced, ..Options::default() }), Hub::with_files(1));
    assert_eq!(reason(WAY.link(WAY.config(&sshd, &hub.path())).list()), Reason::ProtocolV2Required);
}
