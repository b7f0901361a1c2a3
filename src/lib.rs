//! An edge agent: Kubernetes-style resources in a shared git repository (the *exchange*) are fetched, proven,
//! applied to a board's hardware and files, and answered with a signed status.
//!
//! ```text
//! Link::fetch -> Fetched -verify-> Verified -decode-> Desired -+- observe -> Observed
//!                                                              +- plan -> Plan -apply-> Outcome -observe-> Observed
//!                                               -report-> Status -sign-> Link::publish
//! ```
//!
//! The rooms, in floor order. A module uses only what stands above it in this list, or beside it in its own folder:
//!
//! * floor 0, words: [`api`], names and values that cannot be wrong;
//! * floor 1, bytes to words: [`codec`], bounded parsers that never panic;
//! * floor 2, decisions: [`reconcile`], the ports, the proof types and one tick, synchronous functions over values;
//! * floor 3, effects: [`git`], [`link`], [`drivers`], [`disk`], the real adapters behind the ports, and [`plug`], which
//!   notices sticks. They are strangers to each other and meet only through the ports (a link alone knows git's packs;
//!   all of them may replace a file by [`disk::atomic`]);
//! * floor 4, the programs: `bin/giterd` (the smol shell) and `bin/giterctl` (the publisher's side), and in [`cli`]
//!   what both say in the same way.
//!
//! gix lives in [`git`] (its pure object parsers also in [`codec::commit`], [`reconcile::verify`] and
//! [`reconcile::decode`], its URL parser in [`link::url`]), smol in `bin/giterd`, the wall clock in `bin/`. Time,
//! randomness and cancellation are arguments everywhere else.

pub mod api;
pub mod cli;
pub mod codec;
pub mod disk;
pub mod drivers;
pub mod git;
pub mod link;
pub mod plug;
pub mod reconcile;
