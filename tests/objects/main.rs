//! The store and the file link against the real git, hostile packs and a damaged disk.

#[path = "../support/mod.rs"]
mod support;

mod damage;
mod deltas;
mod file_link;
mod gaps;
mod gather;
mod hostile;
mod relay;
mod thin;
