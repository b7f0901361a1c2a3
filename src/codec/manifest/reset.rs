//! `kind: Reset`: `reset.yaml` at the root of the exchange.

use super::{
    exchange,
    fields::{Fields, number, word},
    node::Node,
    place::Sink,
};
use crate::api::{ExchangeId, Oid, limits};

/// What the spec of a reset says.
pub(super) struct Spec {
    pub(super) exchange: ExchangeId,
    pub(super) serial: u64,
    pub(super) devices: Vec<Box<str>>,
    pub(super) commit: Oid,
}

/// Reads the spec of a reset.
pub(super) fn read(spec: &mut Fields<'_>, sink: &Sink<'_>) -> Option<Spec> {
    let exchange = spec.required("exchange", exchange::id);
    let serial = spec.required("serial", |node| match number(node, u64::MAX) {
        Ok(0) => Err("serials begin at 1".into()),
        serial => serial,
    });
    let listed = spec.required_node("devices")?;
    let devices = spec.items("devices", limits::PUBLISHER_PATHS, |node, path| exchange::patterns(node, path, sink));
    if devices.is_empty() {
        spec.refuse("devices", listed.mark, "name at least one device");
    }
    let commit = spec.required("commit", commit);
    Some(Spec { exchange: exchange?, serial: serial?, devices, commit: commit? })
}

/// The name is hexadecimal, so it may look like a number; it is read as it is written.
fn commit(node: &Node) -> Result<Oid, String> {
    match node.scalar() {
        Some(id) => id.parse().map_err(|_| "expected a commit's whole name, 40 hexadecimal digits".into()),
        None => word(node),
    }
}
