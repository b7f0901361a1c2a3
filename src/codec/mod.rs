//! Bytes to words and back: bounded, and never a panic whatever the bytes are.
//!
//! Nothing here does I/O or decides anything; a codec says where the bytes are wrong.

pub mod calendar;
pub mod commit;
pub mod keyfile;
pub mod pubkey;
pub mod record;
pub mod signers;
pub mod sshsig;
mod sshwire;
