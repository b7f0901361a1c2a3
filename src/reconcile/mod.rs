//! Decisions: the ports to the world, the proof types, and the straight path of one tick.
//!
//! Everything here is a synchronous function over values, or calls a port. It does not know git's transport, YAML,
//! sysfs or a disk; it does not read a clock.

pub mod apply;
pub mod approval;
pub mod chain;
pub mod decode;
pub mod goal;
pub mod outbox;
pub mod plan;
pub mod ports;
pub mod relay;
pub mod report;
pub mod schedule;
pub mod tick;

pub mod verify;
