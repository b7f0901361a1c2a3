//! What holds for every client with every server.

use super::WAY;

mod fetch;
mod held;
mod hostile;
mod hubs;
mod kept;
mod push;
mod refusals;
pub(crate) mod sync;
mod watch;
