//! The [`Outbox`] on the simulated disk.

use giter_edge::{
    api::{Error, Reason, Result},
    git::outbox,
    reconcile::{outbox::Statuses, ports::Outbox},
};

use super::Shared;
use crate::publisher::STATUS_REF;

const FOLDER: &str = "state";
const PATH: &str = "state/outbox.bundle";
const TEMPORARY: &str = "state/outbox.bundle.tmp";

pub(crate) struct SimOutbox(Shared);

impl SimOutbox {
    pub(crate) fn new(world: &Shared) -> Self {
        Self(world.clone())
    }
}

impl Outbox for SimOutbox {
    fn load(&mut self) -> Result<Statuses> {
        let world = self.0.powered()?;
        let Some(bytes) = world.disk.read(PATH) else { return Ok(Statuses::default()) };
        outbox::decode(bytes, STATUS_REF)
            .map_err(|error| Error::new(Reason::StateFailed, "the outbox is damaged").caused_by(error))
    }

    fn save(&mut self, statuses: &Statuses) -> Result<()> {
        match outbox::encode(statuses, STATUS_REF)? {
            Some(bytes) => {
                self.0.disk_effect("write", TEMPORARY)?.disk.write(TEMPORARY, &bytes);
                self.0.disk_effect("sync", TEMPORARY)?.disk.sync(TEMPORARY);
                self.0.disk_effect("rename to", PATH)?.disk.rename(TEMPORARY, PATH);
            }
            None if self.0.powered()?.disk.read(PATH).is_none() => return Ok(()),
            None => self.0.disk_effect("remove", PATH)?.disk.remove(PATH),
        }
        self.0.disk_effect("sync", FOLDER)?.disk.sync_folder(FOLDER);
        Ok(())
    }
}
