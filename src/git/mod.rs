//! Git's objects, packs and protocols, by gix's plumbing: how they are named, written, taken in, kept and read back.
//!
//! ```text
//! pack::Stream --bytes--> intake --files--> packs::Packs --objects--> reconcile
//!      ^                                        |
//!      +--------------- reads::Reads -----------+     (what the device reads of a tip, as one pack)
//!
//! since -> delta -> pack::Tight              what commits bring to one who has another, in few bytes
//! gaps                                      what of that devices lack who do not have all of the one
//! seed -> reads                             what goes to who has nothing
//! seal --status--> commit                   the signed status
//! claim                                     what one says, without its proof
//! enrolment -----> commit --> bundle        the signed request of a device that asks to be enrolled
//! outbox --------------------> bundle        the statuses that wait for sticks
//! fetch, push                               the wire: protocol v2 and send-pack over a pair of byte streams
//! ```
//!
//! gix lives here: its types do not pass this folder's border, except to a link, which speaks git's protocol. Nothing
//! here decides which objects count (the ledger's record does) or trusts a byte that came over a link: every number in
//! a pack is checked against [`limits`](crate::api::limits) before memory or time is spent on it.

pub mod bundle;
pub mod claim;
pub mod commit;
mod convert;
pub mod delta;
pub mod enrolment;
pub mod fetch;
pub mod gaps;
pub mod graph;
mod intake;
pub mod outbox;
pub mod pack;
mod packs;
pub mod push;
pub mod reads;
pub mod repository;
pub mod seal;
pub mod seed;
pub mod since;
pub mod store;
pub(crate) mod wire;

pub use outbox::OutboxFile;
pub use store::PackStore;
