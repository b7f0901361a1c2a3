//! What the programs' tests share: real git, a real sshd on loopback, an exchange with its publisher, a device on which
//! `giterd` is run as a program, and the shape of a test that gives it bad input.

// Each test program uses its part.
#![allow(dead_code)]

pub(crate) mod case;
pub(crate) mod device;
pub(crate) mod dropbear;
pub(crate) mod exchange;
pub(crate) mod hub;
pub(crate) mod sshd;
pub(crate) mod stick;
