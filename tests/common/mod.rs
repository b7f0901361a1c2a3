//! What the programs' tests share: real git and a real sshd on loopback.

pub(crate) mod hub;
pub(crate) mod sshd;
