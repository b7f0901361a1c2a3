//! The way to a hub by an SSH client of our own, on sunset: no program on the device, and one connection for all that is
//! said, on a channel for each program at the hub.
//!
//! ```text
//! Builtin --------.
//! BuiltinStream --+--> session::Session --asks--> door::Door     whose key is whose
//! BuiltinStream --'           `--waits for--> socket::Socket     every wait ends
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
    os::fd::OwnedFd,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use self::session::{ChannelId, Session};
use super::{
    cancel::Cancel,
    diagnosis,
    patience::{Deadline, Patience},
    remote::{Manner, Remote},
    ssh::SshConfig,
    stream::{Connector, Service, Stream, Version2},
    url::SshUrl,
};
use crate::api::{Error, Reason, Result, ledger::HubTraits, limits};

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
        let (branch, status_ref, manner) = (config.branch.clone(), config.status_ref.clone(), config.manner);
        let connector = Builtin { place: Place::new(config)?, cancel, session: None };
        Ok(Self::over(connector, &branch, &status_ref, manner, HubTraits { protocol_in_command: true }))
    }
}

/// Where the hub is, and what proves both sides.
#[derive(Clone, Debug)]
struct Place {
    url: SshUrl,
    user: String,
    identity: PathBuf,
    known_hosts: PathBuf,
    manner: Manner,
}

impl Place {
    fn new(config: SshConfig) -> Result<Self> {
        let SshConfig { url, identity, known_hosts, manner, .. } = config;
        let missing = |key: &str, hint: &str| {
            Error::new(Reason::BadConfig, format!("`link.ssh = \"builtin\"` needs {key}")).hint(hint.to_owned())
        };
        let user = url.user().ok_or_else(|| missing("a user in `link.url`", "write `ssh://git@host/path`"))?.to_owned();
        let identity = identity
            .ok_or_else(|| missing("`link.identity`", "make a key with `ssh-keygen -t ed25519 -N ''`, and name it"))?;
        let known_hosts =
            known_hosts.ok_or_else(|| missing("`link.known_hosts`", "name a file with the hub's ed25519 host key"))?;
        Ok(Self { url, user, identity, known_hosts, manner })
    }
}

/// A connection, of as many as use it.
type Shared = Arc<Mutex<Session>>;

fn of(session: &Shared) -> MutexGuard<'_, Session> {
    session.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes streams on one connection, and a new one where that is used up or gone.
pub struct Builtin {
    place: Place,
    cancel: Cancel,
    session: Option<Shared>,
}

impl Builtin {
    /// Runs a command. What was kept may be gone without anybody knowing, so it is not waited for as long as another.
    fn run(&mut self, command: &str) -> Result<(Shared, ChannelId)> {
        let silence = self.place.manner.silence;
        if let Some(session) = self.session.take().filter(|session| of(session).has_room()) {
            let deadline = Deadline::after(silence.min(limits::HELD_SILENCE));
            let started = of(&session).run(command, deadline);
            match started {
                Err(error) if matches!(error.reason(), Reason::HubUnreachable | Reason::HubTimeout) => {}
                started => return started.map(|channel| (session, channel)),
            }
        }
        let (session, channel) = Session::open(&self.place, command, Deadline::after(silence), &self.cancel)?;
        Ok((Arc::new(Mutex::new(session)), channel))
    }
}

impl Connector for Builtin {
    type Stream = BuiltinStream;

    fn connect(&mut self, service: Service, version: Version2) -> Result<BuiltinStream> {
        let prefix = if version == Version2::InCommand { "GIT_PROTOCOL=version=2 " } else { "" };
        let command = format!("{prefix}{} {}", service.program(), self.place.url.quoted_path());
        match self.run(&command) {
            Ok((session, channel)) => {
                self.session = Some(Arc::clone(&session));
                let Manner { silence, exchange, .. } = self.place.manner;
                let patience = Patience::new(silence, exchange);
                Ok(BuiltinStream { session, channel, patience, url: self.place.url.clone() })
            }
            Err(error) if error.reason() == Reason::HubUnreachable => Err(unreachable(error, &self.place.url)),
            Err(error) => Err(error),
        }
    }

    fn has_room(&self) -> bool {
        self.session.as_ref().is_some_and(|session| of(session).has_room())
    }

    fn hang_up(&mut self) {
        self.session = None;
    }
}

/// A program at the hub, on a channel.
pub struct BuiltinStream {
    session: Shared,
    channel: ChannelId,
    patience: Patience,
    url: SshUrl,
}

impl Read for BuiltinStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        of(&self.session).read(self.channel, buffer, self.patience.deadline()).map_err(io::Error::other)
    }
}

impl Write for BuiltinStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        of(&self.session).write(self.channel, bytes, self.patience.deadline()).map_err(io::Error::other)
    }

    fn flush(&mut self) -> io::Result<()> {
        of(&self.session).flush(self.channel, self.patience.deadline()).map_err(io::Error::other)
    }
}

impl Stream for BuiltinStream {
    fn begin(&mut self, silence: Duration, visit: Option<Deadline>) {
        self.patience.begin(silence, visit);
    }

    /// The connection's: what comes for others wakes up, too.
    fn descriptor(&self) -> io::Result<OwnedFd> {
        of(&self.session).descriptor().map_err(io::Error::other)
    }

    fn try_read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        of(&self.session).try_read(self.channel, buffer).map_err(io::Error::other)
    }

    fn close(self) {}

    /// The connection ends, too, so that what went wrong on it does not follow; but not where the program has ended by
    /// itself and others are at work.
    fn explain(self, error: Error) -> Error {
        let mut session = of(&self.session);
        let ending = diagnosis::is_open(&error).then(|| session.finish(self.channel, Deadline::after(LAST_WORDS)));
        if session.is_alone(self.channel) || matches!(ending, Some((None, _))) {
            session.end();
        }
        drop(session);
        match ending {
            Some((Some(status), words)) => diagnosis::of_git(error, status, &words, &self.url),
            _ if error.reason() == Reason::HubUnreachable => unreachable(error, &self.url),
            _ if error.reason() == Reason::ProtocolV2Required => {
                error.hint("give the account at the hub a login shell, or set `link.ssh` to \"system\"")
            }
            _ => error,
        }
    }
}

impl Drop for BuiltinStream {
    /// Leaves the channel. The program ends with its input, the connection's end at the latest.
    fn drop(&mut self) {
        of(&self.session).leave(self.channel);
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
