//! The state folder: the ledger on two slots, the copy of its floor outside, the lock that keeps a second agent out, why the
//! last stick was not taken, and the one way in which a whole file is replaced.
//!
//! It does not know what a record means, and leaves the objects to the store.

pub mod atomic;
mod floor;
pub mod folder;
mod ledger;
mod lock;
mod refusal;

pub use floor::FloorFile;
pub use ledger::SlotLedger;
pub use lock::StateLock;
pub use refusal::{Refusal, RefusalFile};
