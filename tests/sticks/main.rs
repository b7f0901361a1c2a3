//! Sticks that are real file systems of a kernel: `giterd sync --stick` on loop devices and on a tmpfs that is full.
//!
//! It needs root, loop devices, /dev/fuse, what makes and mounts ext4, FAT and exFAT, and systemd-analyze; where one of them
//! is missing it fails. Mounts are in a namespace of the device's own.

#[path = "../common/mod.rs"]
mod common;

mod full;
mod loops;
mod site;
mod systemd;
