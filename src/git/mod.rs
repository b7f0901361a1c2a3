//! Git's objects, packs and protocols, by gix's plumbing.
//!
//! gix lives here: its types do not pass this folder's border.

mod convert;
pub mod fetch;
pub mod pack;
pub mod push;
pub(crate) mod wire;
