//! One visit of a stick: what it brings is taken as from a hub, what the device has to say is written next to it.

use std::path::{Path, PathBuf};

use giter_edge::{
    api::{Error, Reason, Result},
    reconcile::tick::{Agent, Moment, Tick},
};

use crate::device::Device;

/// What came of a visit.
pub struct Visit {
    /// What happened on the device.
    pub tick: Tick,
    /// The bundle that was looked into, from the top of the stick; `None` where there was none for this device.
    pub read: Option<PathBuf>,
    /// What was written, from the top of the stick; a file that was there already with the same bytes is not.
    pub wrote: Vec<PathBuf>,
    /// Why something could not be written, or is not known to be safe on the stick.
    pub failed: Option<Error>,
}

impl Visit {
    /// The error that decides the exit code, as [`Tick::error`]: the tick's first.
    pub fn error(&self) -> Option<Error> {
        self.tick.error().or_else(|| self.failed.as_ref().map(Error::flattened))
    }
}

/// One tick with the stick that is mounted at `root`. When this returns, what was written is synced: the stick can be
/// unmounted and pulled out.
///
/// # Errors
///
/// `StickFailed` if there is no such folder.
pub fn visit(device: &mut Device, agent: &mut Agent, root: &Path, now: Moment) -> Result<Visit> {
    let _ = (device, agent, now);
    Err(Error::new(Reason::StickFailed, format!("there is no stick at {}", root.display())))
}
