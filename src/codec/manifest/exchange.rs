//! `kind: Exchange`: the charter, `exchange.yaml` at the root of the exchange.

use super::{
    credentials::{item, key, one_line, time},
    fields::{Fields, choice, number, word},
    node::Node,
    place::{Path, Sink},
};
use crate::{
    api::{ExchangeId, Policy, exchange::Publisher, limits},
    codec::pattern::PathPattern,
};

/// What the spec of the charter says.
pub(super) struct Spec {
    pub(super) id: ExchangeId,
    pub(super) serial: u64,
    pub(super) branch: Box<str>,
    pub(super) verify: Option<Policy>,
    pub(super) roots: Vec<Box<str>>,
    pub(super) publishers: Vec<Publisher>,
}

/// Reads the spec of the charter.
pub(super) fn read(spec: &mut Fields<'_>, sink: &Sink<'_>) -> Option<Spec> {
    const POLICIES: &[(&str, Policy)] =
        &[("range", Policy::Range), ("first-parent", Policy::FirstParent), ("tip", Policy::Tip)];
    let id = spec.required("id", id);
    let serial = spec.optional("serial", |node| number(node, limits::SERIAL));
    let branch = spec.required("branch", branch);
    let verify = spec.optional("verify", |node| choice(node, POLICIES));
    let roots = spec.items("roots", limits::SIGNERS, |node, path| item(node, path, sink, key));
    let publishers = spec.items("publishers", limits::SIGNERS, |node, path| publisher(node, path, sink));
    Some(Spec { id: id?, serial: serial.unwrap_or(0), branch: branch?, verify, roots, publishers })
}

fn publisher(node: &Node, path: Path<'_>, sink: &Sink<'_>) -> Option<Publisher> {
    let mut fields = Fields::of(node, path, sink)?;
    let principal = fields.required("principal", one_line);
    let key = fields.required("key", key);
    let paths = fields.items("paths", limits::PUBLISHER_PATHS, |node, path| item(node, path, sink, pattern));
    let valid_after = fields.optional("validAfter", time);
    let valid_before = fields.optional("validBefore", time);
    fields.finish();
    Some(Publisher { principal: principal?, key: key?, paths, valid_after, valid_before })
}

/// The id is hexadecimal, so it may look like a number; it is read as it is written.
pub(super) fn id(node: &Node) -> Result<ExchangeId, String> {
    match node.scalar() {
        Some(id) => id.parse::<ExchangeId>().map_err(|wrong| wrong.to_string()),
        None => word(node),
    }
}

fn branch(node: &Node) -> Result<Box<str>, String> {
    let name = one_line(node)?;
    if name.starts_with("refs/") || name.contains(char::is_whitespace) {
        return Err("expected a branch's short name, such as main".into());
    }
    Ok(name)
}

/// A pattern in a list of them.
pub(super) fn patterns(node: &Node, path: Path<'_>, sink: &Sink<'_>) -> Option<Box<str>> {
    item(node, path, sink, pattern)
}

fn pattern(node: &Node) -> Result<Box<str>, String> {
    let pattern = one_line(node)?;
    PathPattern::new(&pattern).map(|_| pattern).map_err(|wrong| wrong.to_string())
}
