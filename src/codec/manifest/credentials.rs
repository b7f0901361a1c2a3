//! Keys and the times of their validity, as charters and devices write them.

use super::{
    fields::text,
    node::Node,
    place::{Path, Sink},
};
use crate::{
    api::Reason,
    codec::{calendar::Utc, pubkey::PublicKey},
};

/// One line of text.
pub(super) fn one_line(node: &Node) -> Result<Box<str>, String> {
    let line = text(node)?;
    if line.is_empty() || line.len() > 1024 || line.contains(char::is_control) {
        return Err("expected one line of 1 to 1024 bytes".into());
    }
    Ok(line.into())
}

/// A public key, as in a `.pub` file.
pub(super) fn key(node: &Node) -> Result<Box<str>, String> {
    let key = one_line(node)?;
    PublicKey::from_openssh(&key)
        .map(|_| key)
        .map_err(|wrong| format!("expected a public key as in a .pub file: {wrong}"))
}

/// A day, or a second.
pub(super) fn time(node: &Node) -> Result<Box<str>, String> {
    let time = one_line(node)?;
    match Utc::from_rfc3339(&time) {
        Some(_) => Ok(time),
        None => Err("expected a day such as \"2026-12-31\", or a second such as \"2026-12-31T23:59:59Z\"".into()),
    }
}

/// An item of a list of texts.
pub(super) fn item<T>(node: &Node, path: Path<'_>, sink: &Sink<'_>, read: fn(&Node) -> Result<T, String>) -> Option<T> {
    let wrong = match read(node) {
        Ok(value) => return Some(value),
        Err(wrong) => wrong,
    };
    sink.say(Reason::InvalidValue, node.mark, path, wrong);
    None
}
