//! The ways to the hub and back.
//!
//! ```text
//! remote::Remote --git::fetch, git::push--> stream::Stream <--makes-- stream::Connector (ssh::SystemSsh)
//! ```
//!
//! A link knows git's protocols and nothing of what an exchange means.

pub mod cancel;
mod child;
mod diagnosis;
pub mod remote;
pub mod ssh;
pub mod stream;
pub mod url;

pub use cancel::Cancel;
pub use ssh::{SshConfig, SshLink};
pub use url::{SshUrl, Url};
//! Ways to the hub: adapters behind the [`Link`](crate::reconcile::ports::Link) port.
//!
//! A link moves bytes and refs. It trusts nobody and decides nothing: what it fetched is proven elsewhere, before it
//! counts.

pub mod file;

pub use file::FileLink;
