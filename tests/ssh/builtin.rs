//! What concerns the builtin client alone: its connection, its trust, and servers that fail it at every stage.

use std::{
    fs,
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    path::Path,
    process::Command,
    thread,
    time::Duration,
};

use giter_edge::{
    api::{Error, Reason},
    codec::config::SshClient,
    link::{BuiltinLink, Cancel, SshConfig},
    reconcile::ports::ObjectKind,
    reconcile::ports::Want,
};

use super::{
    Recorder, STATUS,
    common::{
        hub::{Hub, git_with},
        sshd::{Options, Server, Sshd, run, traffic, url},
    },
    object, reason, status,
    way::Way,
};

const WAY: Way = Way { client: SshClient::Builtin, server: Server::OpenSsh };

/// Why a listing fails, with the configuration changed.
fn refused(sshd: &Sshd, hub: &Hub, change: impl FnOnce(&mut SshConfig)) -> Error {
    let mut config = WAY.config(sshd, &hub.path());
    change(&mut config);
    WAY.link(config).list().unwrap_err()
}

/// A server with more lines of configuration.
fn configured(config: &str) -> Sshd {
    Sshd::with(&Options { config, accept_env: true, ..Options::default() })
}

#[test]
fn a_conversation_takes_one_connection() {
    for server in [Server::OpenSsh, Server::Dropbear] {
        let way = Way { server, ..WAY };
        let (sshd, hub) = (way.start(), Hub::with_files(20));
        let mut link = way.link(way.config(&sshd, &hub.path()));
        let tip = link.list().unwrap().branch;
        link.fetch(Want::Whole(tip), &mut Recorder::default()).unwrap();
        let (new, objects) = status(None, "one");
        link.publish(None, new, &objects).unwrap();
        assert_eq!(hub.value(STATUS), Some(new));
        link.close();
        assert_eq!(sshd.sessions(), 1, "listing, fetch and push take one connection");
        link.list().unwrap();
        assert_eq!(sshd.sessions(), 2, "a closed link keeps none");
    }
}

#[test]
fn a_connection_that_is_used_up_is_followed_by_another() {
    let (sshd, hub) = (WAY.start(), Hub::with_files(1));
    let mut link = WAY.link(WAY.config(&sshd, &hub.path()));
    for round in 0..9 {
        let tip = hub.commit("main", "specs/dev/0000.yaml", &round.to_string());
        assert_eq!(link.list().unwrap().branch, tip, "a listing is of this moment");
    }
    assert_eq!(sshd.sessions(), 3, "four channels to a connection");
}

#[test]
fn an_unchanged_poll_costs_less_than_two_thirds_of_the_systems() {
    let (sshd, hub) = (WAY.start(), Hub::with_files(20));
    let cost = |client| {
        let way = Way { client, ..WAY };
        traffic(sshd.port(), |port| {
            let mut link = way.link(way.config_at(&sshd, &url(port, &hub.path())));
            link.list().unwrap();
            link.close();
        })
    };
    let (builtin, system) = (cost(SshClient::Builtin), cost(SshClient::System));
    assert!(builtin * 3 < system * 2, "{builtin} bytes, the system's {system}");
}

/// What each client's unchanged poll on a held connection comes to, in bytes of TCP's payload: of so many that it does not
/// matter in how many pieces git's greeting came.
fn held_poll(sshd: &Sshd, hub: &Hub, client: SshClient) -> u64 {
    let way = Way { client, ..WAY };
    let polls = |count| {
        traffic(sshd.port(), |port| {
            let mut link = way.link(way.config_at(sshd, &url(port, &hub.path())));
            for _ in 0..count {
                link.list().unwrap();
                link.rest();
            }
            link.close();
        })
    };
    (polls(201) - polls(1)) / 200
}

#[test]
fn an_unchanged_poll_on_a_held_connection_fits_into_400_bytes() {
    // Two packets with bytes and one without, each with 52 bytes of IPv4 and TCP with timestamps.
    const HEADERS: u64 = 3 * 52;
    let (sshd, hub) = (WAY.start(), Hub::with_files(20));
    for client in [SshClient::Builtin, SshClient::System] {
        let bytes = held_poll(&sshd, &hub, client);
        assert!(bytes + HEADERS <= 400, "{client:?}: {bytes} bytes");
    }
}

#[test]
fn an_account_without_a_shell_needs_the_systems_client() {
    let forced = Some("exec git-shell -c \"$SSH_ORIGINAL_COMMAND\"");
    for accept_env in [true, false] {
        let (sshd, hub) = (Sshd::with(&Options { accept_env, forced, ..Options::default() }), Hub::with_files(1));
        let error = refused(&sshd, &hub, |_| {});
        assert_eq!(error.reason(), Reason::ProtocolV2Required, "{error:?}");
        assert!(error.get_hint().unwrap().contains("set `link.ssh` to \"system\""), "{error:?}");
    }
}

#[test]
fn nothing_is_guessed() {
    let sshd = WAY.start();
    let open = |url: &str, change: &dyn Fn(&mut SshConfig)| {
        let mut config = WAY.config_at(&sshd, url);
        change(&mut config);
        BuiltinLink::open(config, Cancel::new().unwrap()).map(|_| ())
    };
    assert_eq!(reason(open("ssh://git@hub/x", &|c| c.identity = None)), Reason::BadConfig);
    assert_eq!(reason(open("ssh://git@hub/x", &|c| c.known_hosts = None)), Reason::BadConfig);
    assert_eq!(reason(open("ssh://hub/x", &|_| {})), Reason::BadConfig);
    open("ssh://git@hub/x", &|_| {}).unwrap();
}

#[test]
fn known_hosts_as_ssh_keygen_makes_them() {
    let (sshd, hub) = (WAY.start(), Hub::with_files(1));
    let key = |name: &str| fs::read_to_string(sshd.file(name).with_extension("pub")).unwrap();
    let list = |lines: &str, hash: bool| {
        let file = sshd.file("made_hosts");
        fs::write(&file, lines).unwrap();
        if hash {
            run(Command::new("ssh-keygen").args(["-q", "-H", "-f"]).arg(&file));
        }
        let mut config = WAY.config(&sshd, &hub.path());
        config.known_hosts = Some(file);
        WAY.link(config).list()
    };
    let host = format!("[127.0.0.1]:{}", sshd.port());
    let (right, other) = (format!("{host} {}", key("host_key")), format!("{host} {}", key("other_key")));
    for hash in [false, true] {
        list(&right, hash).unwrap();
        list(&(other.clone() + &right), hash).unwrap();
        assert_eq!(reason(list(&other, hash)), Reason::HostKeyRefused);
        assert_eq!(reason(list(&right.replace(&host, "127.0.0.1"), hash)), Reason::HostKeyRefused);
    }
    let revoked = format!("{right}@revoked * {}", key("host_key"));
    let error = list(&revoked, false).unwrap_err();
    assert_eq!(error.reason(), Reason::HostKeyRefused);
    assert!(error.to_string().contains(" is revoked by ") && error.to_string().ends_with("made_hosts:2"), "{error}");
    let error = list(&format!("@cert-authority {right}"), false).unwrap_err();
    assert!(error.to_string().ends_with("which has a @cert-authority alone"), "{error}");
    let error = list(&format!("{host} ssh-rsa AAAA"), false).unwrap_err();
    assert!(error.to_string().ends_with("which has a key of type ssh-rsa alone"), "{error}");
    assert_eq!(reason(list("half", false)), Reason::BadConfig);
    let gone = refused(&sshd, &hub, |c| c.known_hosts = Some(sshd.file("gone")));
    assert_eq!(gone.reason(), Reason::HostKeyRefused);
}

#[test]
fn a_server_without_an_ed25519_key() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("ecdsa");
    run(Command::new("ssh-keygen").args(["-q", "-t", "ecdsa", "-N", "", "-f"]).arg(&key));
    let sshd = configured(&format!("HostKey {}\nHostKeyAlgorithms ecdsa-sha2-nistp256\n", key.display()));
    let error = refused(&sshd, &Hub::empty(), |_| {});
    assert_eq!(error.reason(), Reason::HostKeyRefused, "{error:?}");
    assert!(error.get_hint().unwrap().contains("ssh-keygen -A"), "{error:?}");
}

#[test]
fn a_server_of_other_algorithms() {
    for config in
        ["KexAlgorithms diffie-hellman-group14-sha1", "Ciphers aes128-cbc", "Ciphers aes256-ctr\nMACs hmac-sha1"]
    {
        let error = refused(&configured(&format!("{config}\n")), &Hub::empty(), |_| {});
        assert_eq!(error.reason(), Reason::HubUnreachable, "{config}: {error:?}");
        assert!(error.one_line().contains("no algorithm in common"), "{config}: {error:?}");
        assert!(error.get_hint().unwrap().contains("curve25519-sha256"), "{config}: {error:?}");
    }
    let (sshd, hub) = (configured("Ciphers aes256-ctr\nMACs hmac-sha2-256\n"), Hub::with_files(1));
    WAY.link(WAY.config(&sshd, &hub.path())).list().unwrap();
}

#[test]
fn a_server_that_takes_no_keys() {
    for config in [
        "PubkeyAuthentication no\nPasswordAuthentication yes\n",
        "PubkeyAuthentication no\nKbdInteractiveAuthentication yes\n",
        "AuthenticationMethods publickey,password\nPasswordAuthentication yes\n",
    ] {
        let error = refused(&configured(config), &Hub::empty(), |_| {});
        assert_eq!(error.reason(), Reason::SshKeyRefused, "{config}: {error:?}");
    }
}

#[test]
fn a_server_that_makes_new_keys_again_and_again() {
    let (sshd, hub) = (configured("RekeyLimit 16K\n"), Hub::empty());
    let mut seed = 1u32;
    let noise: String = std::iter::repeat_with(|| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(b'!' + (seed >> 24) as u8 % 90)
    })
    .take(200_000)
    .collect();
    let commit = format!(
        "commit refs/heads/main\ncommitter Ops <ops@example.org> 1700000000 +0000\ndata 3\nset\n\
         M 100644 inline noise\ndata {}\n{noise}\ndone\n",
        noise.len()
    );
    git_with(&hub.path(), &["fast-import", "--quiet"], commit.as_bytes());
    let mut link = WAY.link(WAY.config(&sshd, &hub.path()));
    let tip = link.list().unwrap().branch;
    let mut pack = Recorder::default();
    link.fetch(Want::Whole(tip), &mut pack).unwrap();
    assert!(pack.0.len() > 100_000);
    let (new, mut objects) = status(None, "one");
    objects.push(object(ObjectKind::Blob, noise));
    link.publish(None, new, &objects).unwrap();
    assert_eq!(hub.value(STATUS), Some(new));
}

#[test]
fn a_banner_is_borne_within_bounds() {
    let (folder, hub) = (tempfile::tempdir().unwrap(), Hub::with_files(1));
    let banner = folder.path().join("banner");
    let config = format!("Banner {}\n", banner.display());
    fs::write(&banner, "be careful\n".repeat(1000)).unwrap();
    let sshd = configured(&config);
    WAY.link(WAY.config(&sshd, &hub.path())).list().unwrap();
    fs::write(&banner, "be careful\n".repeat(10_000)).unwrap();
    assert_eq!(refused(&sshd, &hub, |_| {}).reason(), Reason::HubUnreachable);
}

/// What becomes of the server's bytes on their way.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// No more come.
    Silence,
    /// The stream ends.
    End,
    /// One has another value.
    Change,
}

/// A port behind which a server is, whose bytes meet a fault at a place.
fn through(port: u16, at: usize, fault: Fault) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let here = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for near in listener.incoming() {
            let (near, far) = (near.unwrap(), TcpStream::connect(("127.0.0.1", port)).unwrap());
            let (mut up, mut to) = (near.try_clone().unwrap(), far.try_clone().unwrap());
            thread::spawn(move || {
                let _ = std::io::copy(&mut up, &mut to);
                let _ = to.shutdown(Shutdown::Both);
            });
            thread::spawn(move || faulty(far, near, at, fault));
        }
    });
    here
}

fn faulty(mut from: TcpStream, mut to: TcpStream, at: usize, fault: Fault) {
    let (mut buffer, mut passed) = ([0; 4096], 0);
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        let bytes = &mut buffer[..count];
        let place = at.checked_sub(passed).filter(|place| *place < count);
        passed += count;
        let end = match (place, fault) {
            (Some(place), Fault::Change) => {
                bytes[place] ^= 1;
                count
            }
            (Some(place), _) => place,
            (None, _) => count,
        };
        if to.write_all(&bytes[..end]).is_err() {
            return;
        }
        match (place, fault) {
            (Some(_), Fault::Silence) => {
                // The client gives up first.
                let _ = from.read_to_end(&mut Vec::new());
                return;
            }
            (Some(_), Fault::End) => break,
            _ => {}
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}

/// Some places in what a server sends until a listing is done.
fn places() -> impl Iterator<Item = usize> {
    (0..2400).step_by(149)
}

fn listed_through(sshd: &Sshd, hub: &Hub, at: usize, fault: Fault, timeout: Duration) -> Option<Error> {
    let mut config = WAY.config_at(sshd, &url(through(sshd.port(), at, fault), &hub.path()));
    config.manner.silence = timeout;
    WAY.link(config).list().err()
}

#[test]
fn a_server_that_ends_at_any_stage() {
    let (sshd, hub) = (WAY.start(), Hub::with_files(1));
    for at in places() {
        let error = listed_through(&sshd, &hub, at, Fault::End, super::LONG);
        assert_eq!(error.map(|e| e.reason()), Some(Reason::HubUnreachable), "at byte {at}");
    }
}

#[test]
fn a_server_that_hangs_at_any_stage() {
    let (sshd, hub) = (WAY.start(), Hub::with_files(1));
    for at in places().step_by(3) {
        let error = listed_through(&sshd, &hub, at, Fault::Silence, Duration::from_secs(2));
        assert_eq!(error.map(|e| e.reason()), Some(Reason::HubTimeout), "at byte {at}");
    }
}

#[test]
fn a_byte_that_changes_on_the_way_is_noticed_and_nothing_worse() {
    let (sshd, hub) = (WAY.start(), Hub::with_files(1));
    for at in (0..2400).step_by(97) {
        let error = listed_through(&sshd, &hub, at, Fault::Change, Duration::from_secs(2));
        let reason = error.as_ref().map(Error::reason);
        // A byte of the greeting, or of a list of names that nothing comes of, is covered by the exchange's hash.
        let expected = [Reason::HubUnreachable, Reason::HubTimeout, Reason::HostKeyRefused];
        assert!(reason.is_some_and(|reason| expected.contains(&reason)), "at byte {at}: {error:?}");
    }
}

#[test]
fn a_cancellation_ends_every_wait() {
    let (sshd, hub) = (WAY.start(), Hub::with_files(1));
    for at in [0, 30, 600, 1500] {
        let port = through(sshd.port(), at, Fault::Silence);
        let cancel = Cancel::new().unwrap();
        let mut link = WAY.cancellable(WAY.config_at(&sshd, &url(port, &hub.path())), cancel.clone());
        let listing = thread::spawn(move || link.list());
        cancel.cancel();
        assert_eq!(reason(listing.join().unwrap()), Reason::Stopped, "at byte {at}");
    }
}

#[test]
fn a_key_with_a_passphrase_is_named() {
    let (sshd, hub) = (WAY.start(), Hub::empty());
    let vector = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/encrypted.key");
    fs::copy(vector, sshd.file("encrypted")).unwrap();
    run(Command::new("chmod").arg("600").arg(sshd.file("encrypted")));
    let error = refused(&sshd, &hub, |c| c.identity = Some(sshd.file("encrypted")));
    assert_eq!(error.reason(), Reason::BadKeyFile);
    assert!(error.get_hint().unwrap().contains("ssh-keygen -p"), "{error:?}");
}
