//! Ways to the hub: adapters behind the [`Link`](crate::reconcile::ports::Link) port.
//!
//! A link moves bytes and refs. It trusts nobody and decides nothing: what it fetched is proven elsewhere, before it
//! counts.

pub mod file;

pub use file::FileLink;
