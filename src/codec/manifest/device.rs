//! `kind: Device`: the keys that speak for a device, and for whom it carries.

use super::{
    credentials::{item, key, time},
    fields::{Fields, word},
    node::Node,
    place::{Path, Sink},
};
use crate::api::{DeviceId, DeviceKey, limits};

/// What the spec of a device says.
pub(super) struct Spec {
    pub(super) status_keys: Vec<DeviceKey>,
    pub(super) ssh_keys: Vec<Box<str>>,
    pub(super) relays: Vec<DeviceId>,
}

/// Reads the spec of a device.
pub(super) fn read(spec: &mut Fields<'_>, sink: &Sink<'_>) -> Spec {
    let status_keys = spec.items("statusKeys", limits::DEVICE_KEYS, |node, path| device_key(node, path, sink));
    let ssh_keys = spec.items("sshKeys", limits::DEVICE_KEYS, |node, path| item(node, path, sink, key));
    let relays = spec.items("relays", limits::RELAY_DEVICES, |node, path| item(node, path, sink, word));
    Spec { status_keys, ssh_keys, relays }
}

fn device_key(node: &Node, path: Path<'_>, sink: &Sink<'_>) -> Option<DeviceKey> {
    let mut fields = Fields::of(node, path, sink)?;
    let key = fields.required("key", key);
    let valid_after = fields.optional("validAfter", time);
    let valid_before = fields.optional("validBefore", time);
    fields.finish();
    Some(DeviceKey { key: key?, valid_after, valid_before })
}
