//! `giterd sync` as a program, against a hub that real git makes and reads, on this machine's disk.
//!
//! It needs git and ssh-keygen, and for what a disk can do wrong util-linux's `unshare` and `nsenter`, and GNU
//! time; where one of them is missing it fails. What needs an sshd is in `tests/ssh`.

#[path = "../common/mod.rs"]
mod common;
#[path = "../support/packfile.rs"]
mod packfile;

mod charter;
mod device;
mod disk;
mod hostile_stick;
mod hub;
mod manifests;
mod outbox;
mod stick;
mod tips;
mod trees;
