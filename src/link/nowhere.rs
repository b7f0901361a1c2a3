//! No way to the hub: a device that meets sticks alone.

use std::path::{Path, PathBuf};

use crate::{
    api::{Error, Oid, Reason, Result, ledger::HubTraits},
    reconcile::ports::{Link, Listing, NewObject, Quarantine, Want},
};

/// The link of a configuration that names no hub.
pub struct Nowhere {
    config: PathBuf,
    traits: HubTraits,
}

impl Nowhere {
    /// The link of the configuration in this file.
    pub fn new(config: &Path, traits: HubTraits) -> Self {
        Self { config: config.to_owned(), traits }
    }

    fn refusal(&self) -> Error {
        Error::new(Reason::BadConfig, format!("{}: link.url is missing: where the exchange is", self.config.display()))
            .hint("set it; or bring the exchange on a stick: giterd sync --stick DIR")
    }
}

impl Link for Nowhere {
    fn list(&mut self) -> Result<Listing> {
        Err(self.refusal())
    }

    fn fetch(&mut self, _: Want<'_>, _: &mut dyn Quarantine) -> Result<()> {
        Err(self.refusal())
    }

    fn publish(&mut self, _: Option<Oid>, _: Oid, _: &[NewObject]) -> Result<()> {
        Err(self.refusal())
    }

    fn rest(&mut self) {}

    fn close(&mut self) {}

    fn traits(&self) -> HubTraits {
        self.traits
    }
}
