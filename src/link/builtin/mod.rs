//! The way to a hub by an SSH client of our own, on sunset: no program on the device, and one connection for all that is
//! said in a conversation, on a channel for each of git's programs.
//!
//! ```text
//! Builtin --keeps--> session::Session --asks--> door::Door     whose key is whose
//!    ^                      |
//!    `--gives back-- BuiltinStream      socket::Socket         every wait ends
//! ```
//!
//! ssh's configuration files do not count here, nor agents or keys that nobody named: there is one key, one known_hosts
//! file, one list of algorithms (curve25519, ed25519, chacha20-poly1305 or AES-CTR). What the crate cannot do decides
//! three things. It sends no environment, so version 2 of git's protocol is asked for in the command, which wants a
//! shell at the hub. It has room for four channels in a connection's life. Its receive window is about 1,000 bytes, right
//! for the few kB of a poll and slow for megabytes over a long line.

mod door;
mod session;
mod socket;

use std::{
    io::{self, Read, Write},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use self::session::Session;
use super::{
    cancel::Cancel,
    diagnosis,
    remote::Remote,
    ssh::SshConfig,
    stream::{Connector, Service, Stream, Version2},
    url::SshUrl,
};
use crate::api::{Error, Reason, Result, ledger::HubTraits};

/// How long a program at the hub may take to say why it gave up.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// The link to a git hub by the client inside the agent.
pub type BuiltinLink = Remote<Builtin>;

impl BuiltinLink {
    /// A link that nothing was said on yet.
    ///
    /// # Errors
    ///
    /// `BadConfig` if the user, the key or the known_hosts file is not named: nothing is guessed.
    pub fn open(config: SshConfig, cancel: Cancel) -> Result<Self> {
        let (branch, status_ref) = (config.branch.clone(), config.status_ref.clone());
        let connector = Builtin { place: Place::new(config)?, cancel, kept: Kept::default() };
        Ok(Self::over(connector, &branch, &status_ref, HubTraits { protocol_in_command: true }))
    }
}

/// Where the hub is, and what proves both sides.
#[derive(Clone, Debug)]
struct Place {
    url: SshUrl,
    user: String,
    identity: PathBuf,
    known_hosts: PathBuf,
    timeout: Duration,
}

impl Place {
    fn new(config: SshConfig) -> Result<Self> {
        let SshConfig { url, identity, known_hosts, timeout, .. } = config;
        let missing = |key: &str, hint: &str| {
            Error::new(Reason::BadConfig, format!("`link.ssh = \"builtin\"` needs {key}")).hint(hint.to_owned())
        };
        let user = url.user().ok_or_else(|| missing("a user in `link.url`", "write `ssh://git@host/path`"))?.to_owned();
        let identity = identity
            .ok_or_else(|| missing("`link.identity`", "make a key with `ssh-keygen -t ed25519 -N ''`, and name it"))?;
        let known_hosts =
            known_hosts.ok_or_else(|| missing("`link.known_hosts`", "name a file with the hub's ed25519 host key"))?;
        Ok(Self { url, user, identity, known_hosts, timeout })
    }
}

/// The connection that is kept for the next stream.
type Kept = Arc<Mutex<Option<Box<Session>>>>;

fn kept(kept: &Kept) -> std::sync::MutexGuard<'_, Option<Box<Session>>> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes streams on one connection, and a new one where that is used up or gone.
pub struct Builtin {
    place: Place,
    cancel: Cancel,
    kept: Kept,
}

impl Builtin {
    fn session(&self, command: &str) -> Result<Box<Session>> {
        let old = kept(&self.kept).take().filter(|session| session.has_room());
        if let Some(mut session) = old {
            match session.run(command) {
                Err(error) if error.reason() == Reason::HubUnreachable => {}
                result => return result.map(|()| session),
            }
        }
        Session::open(&self.place, command, &self.cancel).map(Box::new)
    }
}

impl Connector for Builtin {
    type Stream = BuiltinStream;

    fn connect(&mut self, service: Service, version: Version2) -> Result<BuiltinStream> {
        let prefix = if version == Version2::InCommand { "GIT_PROTOCOL=version=2 " } else { "" };
        let command = format!("{prefix}{} {}", service.program(), self.place.url.quoted_path());
        match self.session(&command) {
            Ok(session) => Ok(BuiltinStream { session, kept: Arc::clone(&self.kept), url: self.place.url.clone() }),
            Err(error) if error.reason() == Reason::HubUnreachable => Err(unreachable(error, &self.place.url)),
            Err(error) => Err(error),
        }
    }

    fn hang_up(&mut self) {
        *kept(&self.kept) = None;
    }
}

/// A program at the hub, on a channel.
pub struct BuiltinStream {
    session: Box<Session>,
    kept: Kept,
    url: SshUrl,
}

impl Read for BuiltinStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.session.read(buffer).map_err(io::Error::other)
    }
}

impl Write for BuiltinStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.session.write(bytes).map_err(io::Error::other)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.session.flush().map_err(io::Error::other)
    }
}

impl Stream for BuiltinStream {
    /// Gives the connection back. The program at the hub ends with it.
    fn close(mut self) {
        self.session.leave();
        *kept(&self.kept) = Some(self.session);
    }

    /// Ends the connection too: whatever went wrong on it does not follow.
    fn explain(mut self, error: Error) -> Error {
        if error.reason() == Reason::ProtocolV2Required {
            return error.hint("give the account at the hub a login shell, or set `link.ssh` to \"system\"");
        }
        if !diagnosis::is_open(&error) {
            return error;
        }
        match self.session.finish(LAST_WORDS) {
            (Some(status), words) => diagnosis::of_git(error, status, &words, &self.url),
            _ if error.reason() == Reason::HubUnreachable => unreachable(error, &self.url),
            _ => error,
        }
    }
}

/// No connection, or it broke.
fn unreachable(error: Error, url: &SshUrl) -> Error {
    let hint = error.get_hint().map(str::to_owned);
    let explained = Error::new(Reason::HubUnreachable, format!("no connection to {url}")).caused_by(error);
    match hint {
        Some(hint) => explained.hint(hint),
        None => explained,
    }
}
