//! Bytes to words and back: bounded, and never a panic whatever the bytes are.
//!
//! Nothing here does I/O or decides anything; a codec says where the bytes are wrong.

pub mod boardfile;
pub mod calendar;
pub mod charter;
pub mod commit;
pub mod config;
pub mod device;
pub mod enrolment;
pub mod floor;
mod framed;
pub mod keyfile;
pub mod known_hosts;
pub mod manifest;
pub mod mountinfo;
mod old;
mod paper;
pub mod pattern;
pub mod pubkey;
pub mod record;
pub mod reset;
pub mod signers;
pub mod sshsig;
mod sshwire;
pub mod status;
pub mod stick;
pub mod uevent;
pub mod yaml;
