//! What a gateway carries for others: between the hub and its folder, after each tick that reached the hub.

use std::path::Path;

use giter_edge::{
    api::{Error, ledger::Record},
    codec::{config::Config, stick},
    link::relay::{Carried, Passed, Relay},
    reconcile::tick::Agent,
};

use crate::device::{self, Device};

/// Lets everything pass, and tries `again` what was refused before. `None` where this device carries for nobody, knows of no
/// exchange yet, did not reach the hub, or was told to stop.
pub fn carry(device: &mut Device, agent: &Agent, again: bool) -> Option<Passed> {
    let exchange = exchange(&device.config, agent.record())?;
    if device.cancel.is_cancelled() {
        return None;
    }
    let (relay, link) = device.relay_and_link()?;
    let hub = link.upstream()?;
    hub.branch()?;
    let passed = relay.pass_hub(hub, &exchange, again);
    link.rest();
    Some(passed)
}

/// How each device is carried for, if for any.
pub fn carried(config: &Config, relay: &Relay, record: &Record) -> Vec<Carried> {
    let carried = exchange(config, record).map(|exchange| relay.carried(&exchange));
    carried
        .and_then(|carried| carried.map_err(|error| log::warn!("relay: {}", error.one_line())).ok())
        .unwrap_or_default()
}

/// The name of the exchange's folder, once the exchange is known.
fn exchange(config: &Config, record: &Record) -> Option<String> {
    let named = device::exchange(config, record);
    (named.is_some() || record.tip.is_some()).then(|| stick::folder_of(named).to_owned())
}

/// What passed, and the words for that.
pub fn moved(passed: Option<&Passed>) -> impl Iterator<Item = (&'static str, &Path)> {
    let (took, gave) = passed.map_or((&[][..], &[][..]), |passed| (&passed.took, &passed.gave));
    let lines = [("took for others", took), ("gave of others", gave)];
    lines.into_iter().flat_map(|(words, paths)| paths.iter().map(move |path| (words, path.as_path())))
}

/// What could not pass.
pub fn failed(passed: Option<&Passed>) -> Option<&Error> {
    passed.and_then(|passed| passed.failed.as_ref())
}
