//! What holds for every client with every server.

use super::WAY;

mod fetch;
mod held;
mod hostile;
pub(crate) mod hubs;
mod kept;
mod push;
mod refusals;
mod rejections;
pub(crate) mod sync;
mod watch;
