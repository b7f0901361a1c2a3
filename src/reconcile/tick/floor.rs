//! The second copy of the rollback floor: read when the agent starts, written after a tip was accepted.
//!
//! Of the ledger and the copy the one counts that tells of more accepted tips. The copy is behind the ledger for a
//! moment each time, and for as long as it cannot be written; it can be ahead only where the ledger lost something.

use super::{Agent, Ports};
use crate::api::{DeviceId, Error, ExchangeId, Reason, Result, ledger::Floor};

/// What is known of the second copy.
#[derive(Debug, Default)]
pub(super) struct Copied {
    /// What it holds.
    last: Option<Floor>,
    /// It could not be written, and that was said.
    fails: bool,
}

impl Agent {
    /// Raises the record to the copy, if that is sound, this device's, and ahead.
    pub(super) fn raise_floor(&mut self, ports: &mut Ports<'_>) {
        let Some(copy) = ports.floor.as_deref_mut() else { return };
        let Self { settings, record, .. } = self;
        let pinned = settings.exchange.as_ref().or(record.exchange.as_ref());
        match copy.load().and_then(|copy| believable(copy, &settings.device, pinned)) {
            Ok(Some(floor)) => {
                if floor.advances > record.advances {
                    let commit = floor.tip.commit.short();
                    log::warn!(
                        "the ledger knows of {} accepted commits, the floor's copy of {}, the last {commit}: the \
                        copy counts",
                        record.advances,
                        floor.advances
                    );
                    self.record = std::mem::take(record).raised(floor.clone());
                }
                self.copied.last = Some(floor);
            }
            Ok(None) => {}
            Err(error) => log::warn!("{}; it is not believed", error.one_line()),
        }
    }

    /// Brings the copy up to the record. A failure costs the second line of defence, not the first: the agent goes on.
    pub(super) fn copy_floor(&mut self, ports: &mut Ports<'_>) {
        let Some(copy) = ports.floor.as_deref_mut() else { return };
        let Some(floor) = self.record.floor(&self.settings.device) else { return };
        if self.copied.last.as_ref().is_some_and(|last| last.is_as_high_as(&floor)) {
            return;
        }
        match copy.save(&floor) {
            Ok(()) => self.copied = Copied { last: Some(floor), fails: false },
            Err(_) if self.copied.fails => {}
            Err(error) => {
                log::warn!("{}: the floor has no second copy", error.one_line());
                self.copied.fails = true;
            }
        }
    }
}

/// The copy, unless it is of another device or exchange.
///
/// # Errors
///
/// `FloorDamaged`, and whose it is.
pub fn believable(copy: Option<Floor>, device: &DeviceId, exchange: Option<&ExchangeId>) -> Result<Option<Floor>> {
    let Some(floor) = copy else { return Ok(None) };
    let other = |what: String| {
        Error::new(Reason::FloorDamaged, what)
            .hint("if this board took over from that one, remove the file of trust.floor")
    };
    if floor.device != *device {
        return Err(other(format!("the floor's copy is of the device {}, this is {device}", floor.device)));
    }
    match (&floor.exchange, exchange) {
        (Some(its), Some(ours)) if its != ours => {
            Err(other(format!("the floor's copy is of the exchange {its}, this device belongs to {ours}")))
        }
        _ => Ok(Some(floor)),
    }
}
