//! Bytes to words and back: bounded, and never a panic whatever the bytes are.
//!
//! Nothing here does I/O or decides anything; a codec says where the bytes are wrong.

pub mod boardfile;
pub mod config;
pub mod manifest;
pub mod record;
pub mod status;
