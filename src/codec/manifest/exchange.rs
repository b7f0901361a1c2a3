//! `kind: Exchange`: the charter, `exchange.yaml` at the root of the exchange.

use super::{
    fields::{Fields, choice, number, text, word},
    node::Node,
    place::{Path, Sink},
};
use crate::{
    api::{ExchangeId, Policy, Reason, exchange::Publisher, limits},
    codec::{calendar::Utc, pattern::PathPattern, pubkey::PublicKey},
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
fn id(node: &Node) -> Result<ExchangeId, String> {
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

fn one_line(node: &Node) -> Result<Box<str>, String> {
    let line = text(node)?;
    if line.is_empty() || line.len() > 1024 || line.contains(char::is_control) {
        return Err("expected one line of 1 to 1024 bytes".into());
    }
    Ok(line.into())
}

fn key(node: &Node) -> Result<Box<str>, String> {
    let key = one_line(node)?;
    PublicKey::from_openssh(&key)
        .map(|_| key)
        .map_err(|wrong| format!("expected a public key as in a .pub file: {wrong}"))
}

fn pattern(node: &Node) -> Result<Box<str>, String> {
    let pattern = one_line(node)?;
    PathPattern::new(&pattern).map(|_| pattern).map_err(|wrong| wrong.to_string())
}

fn time(node: &Node) -> Result<Box<str>, String> {
    let time = one_line(node)?;
    match Utc::from_rfc3339(&time) {
        Some(_) => Ok(time),
        None => Err("expected a day such as \"2026-12-31\", or a second such as \"2026-12-31T23:59:59Z\"".into()),
    }
}

fn item(node: &Node, path: Path<'_>, sink: &Sink<'_>, read: fn(&Node) -> Result<Box<str>, String>) -> Option<Box<str>> {
    let wrong = match read(node) {
        Ok(text) => return Some(text),
        Err(wrong) => wrong,
    };
    sink.say(Reason::InvalidValue, node.mark, path, wrong);
    None
}
