//! What a spec means on this board ([`Goal`]), what is there ([`Observed`]), and what to do ([`Step`]).
//!
//! A [`Step`] leaves no choice to the driver that carries it out. What is owed when a resource goes is
//! [`Release`](crate::api::ledger::Release), which stands in the ledger from before the resource is first applied.

use std::sync::Arc;

use crate::api::{
    board::{LedState, Level, LineConfig},
    resource::{FilePath, Mode},
};

/// A spec bound to this board: names resolved, targets known to exist and to be allowed.
#[derive(Clone, Debug, PartialEq)]
pub enum Goal {
    /// A regular file.
    File {
        /// Where.
        path: FilePath,
        /// What is in it.
        content: Arc<[u8]>,
        /// Permissions.
        mode: Mode,
        /// Numeric user; `None` leaves it.
        uid: Option<u32>,
        /// Numeric group; `None` leaves it.
        gid: Option<u32>,
    },
    /// A GPIO line, by the board's name for it.
    Line {
        /// The line.
        line: Box<str>,
        /// How it is requested.
        config: LineConfig,
    },
    /// An LED, by the board's name for it.
    Led {
        /// The LED.
        led: Box<str>,
        /// What it does.
        state: LedState,
    },
}

/// What is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Observed {
    /// No such file.
    NoFile,
    /// Something that is not a regular file stands at the path.
    NotAFile {
        /// What it is, for people: `a directory`, `a symbolic link`.
        what: &'static str,
    },
    /// A regular file.
    File {
        /// SHA-256 of its content; `None` where it is larger than any source can be, and so differs from each.
        sha256: Option<[u8; 32]>,
        /// Bytes.
        size: u64,
        /// Permissions (the lower twelve bits).
        mode: u32,
        /// User.
        uid: u32,
        /// Group.
        gid: u32,
    },
    /// A GPIO line.
    Line {
        /// How this agent holds it; `None` if it does not.
        held: Option<LineConfig>,
        /// The logical level under the goal's polarity; `None` if it cannot be read without holding the line.
        level: Option<Level>,
    },
    /// An LED.
    Led(LedState),
}

/// One effect on the board.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Replaces or makes the file, whole: temporary file beside it, fsync, rename, fsync of the folder.
    WriteFile {
        /// Where.
        path: FilePath,
        /// What is in it.
        content: Arc<[u8]>,
        /// Permissions.
        mode: Mode,
        /// User, if given.
        uid: Option<u32>,
        /// Group, if given.
        gid: Option<u32>,
    },
    /// Sets permissions and owner of a file whose content is right.
    SetFileMode {
        /// Where.
        path: FilePath,
        /// Permissions.
        mode: Mode,
        /// User, if given.
        uid: Option<u32>,
        /// Group, if given.
        gid: Option<u32>,
    },
    /// Removes the file, if it is there and a regular file.
    RemoveFile {
        /// Where.
        path: FilePath,
    },
    /// Requests the line, or reconfigures it where it is held already.
    HoldLine {
        /// The line.
        line: Box<str>,
        /// How.
        config: LineConfig,
    },
    /// Lets go of the line.
    ReleaseLine {
        /// The line.
        line: Box<str>,
        /// What is driven before it is let go.
        last: Option<LineConfig>,
    },
    /// Sets the LED.
    SetLed {
        /// The LED.
        led: Box<str>,
        /// To what.
        state: LedState,
    },
}
