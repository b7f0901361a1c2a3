//! Power cuts and failing disks, for the real program on the real kernel.
//!
//! ```text
//! giterd sync under strace -> steps on the disk -> every disk that a power cut may leave -> giterd status, giterd sync
//! giterd sync under strace, one call of it fails -> a reason, nothing half-done          -> giterd sync
//! giterd sync --stick under strace               -> every stick that pulling may leave   -> giterctl import, the next visit
//! ```
//!
//! `cargo test --test crash`; it needs git, ssh-keygen and strace, and fails where they are missing. What a cut may leave
//! is decided by two models (`states`); that they notice a missing fsync is itself tested.

// How many states there were is part of what a run has to say.
#![allow(clippy::print_stdout)]

#[path = "../common/mod.rs"]
mod common;

mod cuts;
mod disk;
mod faults;
mod promises;
mod recording;
mod states;
mod story;
mod strace;
mod trip;
