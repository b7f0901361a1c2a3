//! Going back on purpose: the one way from the floor to a commit that does not descend from it.

use super::{
    Reads, Trust, Verified,
    authority::{Authority, blob},
    history::History,
    lacks::{Noted, Unproven},
    prove,
    scope::Resets,
};
use crate::{
    api::{DeviceId, Error, Oid, Reason, Reset, Result, ledger::Accepted, limits},
    codec::reset,
    reconcile::ports::Objects,
};

/// A reset that counts on this device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permit {
    /// What it says.
    pub reset: Reset,
    /// The root that signed it.
    pub signer: Box<str>,
}

impl Permit {
    /// Step 10: the reset at the tip, if it counts; `None` if there is none. Of the history the tip alone is read. Whom it
    /// names is looked at for a device; who reads everything knows better which devices there are.
    ///
    /// # Errors
    ///
    /// `PackInvalid` if the tip is not there; `UntrustedKey`, `ExchangeMismatch`, `DeviceNotFound`, `Rewound`; what is
    /// wrong with the manifest; what reading the objects fails with.
    pub fn at(tip: Oid, trust: &Trust<'_>, objects: &dyn Objects) -> Result<Option<Self>> {
        let noted = Noted::new(objects);
        let mut history = History::new(&noted, trust.reads);
        let missing = || Error::new(Reason::PackInvalid, format!("the tip {} was not sent", tip.short()));
        let commit = history.commit(tip)?.cloned().ok_or_else(missing)?;
        let resets = history.scope_of_tree(commit.tree)?.resets;
        let mut authority = Authority::at_floor(trust, objects)?;
        let at = trust.floor.map_or(0, |floor| floor.time).max(commit.date).max(trust.now.unwrap_or(0));
        if let Some(floor) = trust.floor
            && objects.has(floor.tree)?
        {
            authority.resume(history.scope_of_tree(floor.tree)?.papers, at, objects)?;
        }
        let Some((reset, signer)) = read(resets, &authority, at, objects)? else { return Ok(None) };
        let permit = Self { reset, signer };
        if let Reads::Device(device) = trust.reads {
            permit.check_names(device)?;
        }
        let seen = trust.floor.map_or(0, |floor| floor.reset);
        let Reset { name, serial, .. } = &permit.reset;
        if *serial <= seen {
            let what = format!("the reset {name} has serial {serial}, and {seen} was seen already");
            return Err(Error::new(Reason::Rewound, what));
        }
        Ok(Some(permit))
    }

    /// Step 10: that the reset names a device.
    ///
    /// # Errors
    ///
    /// `DeviceNotFound`.
    pub fn check_names(&self, device: &DeviceId) -> Result<()> {
        if reset::names(&self.reset, device) {
            return Ok(());
        }
        let what = format!("the reset {} does not name {device}", self.reset.name);
        Err(Error::new(Reason::DeviceNotFound, what))
    }

    /// Step 11: proves the tip from where the reset leads, with the dates and the charter of the floor. Where nothing
    /// is known of a floor, the commit that is gone back to is proven as a first tip is.
    ///
    /// # Errors
    ///
    /// Those of [`prove`].
    pub fn prove(&self, tip: Oid, trust: &Trust<'_>, objects: &dyn Objects) -> Result<Verified, Unproven> {
        let Reset { commit, serial, .. } = self.reset;
        let known = match trust.floor {
            Some(floor) => floor.clone(),
            None => prove(commit, trust, objects)?.accepted().clone(),
        };
        let missing = || Error::new(Reason::PackInvalid, format!("commit {} was not sent", commit.short()));
        let noted = Noted::new(objects);
        let mut history = History::new(&noted, trust.reads);
        let read = history.commit(commit).and_then(|commit| Ok(commit.ok_or_else(missing)?.tree));
        let tree = read.map_err(Unproven::Refused)?;
        let floor = Accepted { commit, tree, reset: serial, ..known };
        prove(tip, &Trust { floor: Some(&floor), previous: None, ..*trust }, objects)
    }
}

/// Step 9: the serial of the reset at an accepted tip, if a root in force signed it; 0 for none that counts.
///
/// # Errors
///
/// What reading the objects fails with.
pub(super) fn serial(resets: Resets, authority: &Authority, at: i64, objects: &dyn Objects) -> Result<u64> {
    match read(resets, authority, at, objects) {
        Ok(reset) => Ok(reset.map_or(0, |(reset, _)| reset.serial)),
        Err(error) if super::is_verdict(&error) => Ok(0),
        Err(error) => Err(error),
    }
}

fn read(resets: Resets, authority: &Authority, at: i64, objects: &dyn Objects) -> Result<Option<(Reset, Box<str>)>> {
    let (Some(leaf), Some(signatures)) = (resets.reset, resets.signatures) else { return Ok(None) };
    let bytes = blob(objects, reset::PATH, leaf, limits::MANIFEST_BYTES)?;
    let signatures = blob(objects, reset::SIGNATURE_PATH, signatures, limits::CHARTER_SIGNATURE_BYTES)?;
    let (reset, signer) = reset::read(authority.roots(), &bytes, &signatures, at)?;
    match authority.exchange() {
        Some(exchange) if *exchange != reset.exchange => {
            let what = format!("the reset {} is for exchange {}, this is {exchange}", reset.name, reset.exchange);
            Err(Error::new(Reason::ExchangeMismatch, what))
        }
        _ => Ok(Some((reset, signer.into()))),
    }
}
