//! Both programs as programs: what they print, to the byte, and the code they end with.
//!
//! What is printed stands in `golden/`. `SNAPSHOTS=overwrite cargo test --test cli` writes it anew; the diff is then for
//! a person to judge.

mod approve;
mod charter;
mod decode;
mod demo;
mod device;
mod enroll;
mod export;
mod forge;
mod get;
mod going_back;
mod help;
mod history;
mod hub;
mod import;
mod init;
mod lint;
mod plant;
mod recovery;
mod relay;
mod rotation;
mod support;
mod trust;
mod verify;
