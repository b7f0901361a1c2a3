//! The border between git's protocols and whatever carries them: a pair of byte streams to one program at the hub.

use std::{
    io::{self, Read, Write},
    os::fd::OwnedFd,
    time::Duration,
};

pub use super::patience::Deadline;
use crate::api::{Error, Reason, Result};

/// A program at the hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// `git-upload-pack`, which is fetched from.
    UploadPack,
    /// `git-receive-pack`, which is pushed to.
    ReceivePack,
    /// `giterctl watch`, which tells of changes.
    Watch,
}

impl Service {
    /// The program's name; the repository's path follows.
    pub const fn program(self) -> &'static str {
        match self {
            Self::UploadPack => "git-upload-pack",
            Self::ReceivePack => "git-receive-pack",
            Self::Watch => "giterctl watch",
        }
    }
}

/// How the hub's program is told that version 2 of git's protocol is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version2 {
    /// It is not: there is no version 2 of pushing, and watching is none of git's.
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

    /// Whether what is kept has room for another program.
    fn has_room(&self) -> bool;

    /// Ends what is kept for the next connection.
    fn hang_up(&mut self);
}

/// A connection: what is written goes to the program, what it writes is read. An I/O error that wraps an
/// [`Error`] (`Stopped`, `HubTimeout`) means that one. Dropping it ends it at once.
pub trait Stream: Read + Write {
    /// Another exchange of words begins, in which the hub may be silent that long, and which ends with a visit that has an
    /// end of its own, if there is one.
    fn begin(&mut self, silence: Duration, visit: Option<Deadline>);

    /// What becomes readable when the hub has said something, or is gone.
    ///
    /// # Errors
    ///
    /// The kernel's, where this process has no descriptor left.
    fn descriptor(&self) -> io::Result<OwnedFd>;

    /// Reads what has come, without waiting for it: `None` if nothing has, 0 bytes at the end.
    ///
    /// # Errors
    ///
    /// Those of reading.
    fn try_read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>>;

    /// Ends it in good order, after the program had its say.
    fn close(self);

    /// Ends it after an error, and says what was behind that, as far as the way to the hub knows.
    fn explain(self, error: Error) -> Error;
}

/// The wait was cancelled.
pub(super) fn stopped() -> Error {
    Error::new(Reason::Stopped, "stopped while waiting for the hub")
}
