//! The border between git's protocols and whatever carries them: a pair of byte streams to one program at the hub.

use std::{
    io::{Read, Write},
    time::Duration,
};

use crate::api::{Error, Reason, Result};

/// One of git's two programs at the hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// `git-upload-pack`, which is fetched from.
    UploadPack,
    /// `git-receive-pack`, which is pushed to.
    ReceivePack,
}

impl Service {
    /// The program's name.
    pub const fn program(self) -> &'static str {
        match self {
            Self::UploadPack => "git-upload-pack",
            Self::ReceivePack => "git-receive-pack",
        }
    }
}

/// How the hub's program is told that version 2 of git's protocol is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version2 {
    /// It is not: there is no version 2 of pushing.
    Unsaid,
    /// By `GIT_PROTOCOL` in the environment, which the server must accept.
    InEnvironment,
    /// By `GIT_PROTOCOL` in the command, which wants a shell at the server.
    InCommand,
}

/// What makes connections.
pub trait Connector {
    /// A connection.
    type Stream: Stream;

    /// Connects to a program at the hub. What goes wrong on the way may show only when the stream is read.
    ///
    /// # Errors
    ///
    /// `SshNotFound`, `BadKeyFile`, `BadConfig`, `HubUnreachable`, `HubTimeout`, `HostKeyRefused`, `SshKeyRefused`,
    /// `Stopped`.
    fn connect(&mut self, service: Service, version: Version2) -> Result<Self::Stream>;

    /// Ends what is kept for the next connection.
    fn hang_up(&mut self);
}

/// A connection: what is written goes to the program, what it writes is read. An I/O error that wraps an
/// [`Error`] (`Stopped`, `HubTimeout`) means that one. Dropping it ends it at once.
pub trait Stream: Read + Write {
    /// Ends it in good order, after the program had its say.
    fn close(self);

    /// Ends it after an error, and says what was behind that, as far as the way to the hub knows.
    fn explain(self, error: Error) -> Error;
}

/// The wait was cancelled.
pub(super) fn stopped() -> Error {
    Error::new(Reason::Stopped, "stopped while waiting for the hub")
}

/// The wait was in vain.
pub(super) fn silent(patience: Duration) -> Error {
    Error::new(Reason::HubTimeout, format!("the hub was silent for {} seconds", patience.as_secs_f32()))
        .hint("see that the hub and the network are up")
}
