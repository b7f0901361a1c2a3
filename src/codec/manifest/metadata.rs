//! `metadata`: the name, and labels and annotations in Kubernetes' syntax.

use super::{
    fields::{Fields, text, word},
    node::{Node, Value},
    place::{Path, Sink},
};
use crate::api::{Name, Reason, ResourceKey, limits, name::NotAName};

/// The annotation that names the resources which are applied before this one: `Kind/name,Kind/name`.
pub const AFTER: &str = "edge.giter.dev/after";

/// What the agent reads of `metadata`.
pub(super) struct Metadata {
    pub(super) name: Option<Name>,
    pub(super) after: Vec<ResourceKey>,
}

/// Reads `metadata`.
pub(super) fn read(node: &Node, sink: &Sink<'_>) -> Option<Metadata> {
    let path = Path::Root.field("metadata");
    let mut fields = Fields::of(node, path, sink)?;
    let name = fields.required("name", word);
    if let Some(labels) = fields.node("labels") {
        check_map(labels, path.field("labels"), sink, is_label_value);
    }
    let mut after = Vec::new();
    if let Some(annotations) = fields.node("annotations") {
        check_map(annotations, path.field("annotations"), sink, |_| true);
        if let Some(names) = annotations.get(AFTER) {
            after = read_after(names, path.field("annotations").field(AFTER), sink);
        }
    }
    fields.finish();
    Some(Metadata { name, after })
}

fn check_map(node: &Node, path: Path<'_>, sink: &Sink<'_>, is_value: fn(&str) -> bool) {
    let Value::Mapping(entries) = &node.value else {
        let message = format!("expected a mapping, not {}", node.meaning().describe());
        return sink.say(Reason::InvalidValue, node.mark, path, message);
    };
    if entries.len() > limits::LABELS {
        sink.say(Reason::TooMany, node.mark, path, format!("there are more than {} keys", limits::LABELS));
        return;
    }
    for entry in entries {
        let path = path.field(&entry.key);
        if !is_qualified_name(&entry.key) {
            let message = "a key is at most 63 letters, digits, '-', '_' and '.', perhaps after a domain and '/'";
            sink.say(Reason::InvalidValue, entry.mark, path, message);
        }
        let wrong = match text(&entry.value) {
            Ok(value) if is_value(value) => continue,
            Ok(_) => "a label is at most 63 letters, digits, '-', '_' and '.', or empty".into(),
            Err(wrong) => wrong,
        };
        sink.say(Reason::InvalidValue, entry.value.mark, path, wrong);
    }
}

fn read_after(node: &Node, path: Path<'_>, sink: &Sink<'_>) -> Vec<ResourceKey> {
    let Some(names) = node.scalar() else { return Vec::new() };
    if names.split(',').count() > limits::AFTER {
        sink.say(Reason::TooMany, node.mark, path, format!("at most {} resources can stand here", limits::AFTER));
        return Vec::new();
    }
    let keys: Result<Vec<ResourceKey>, _> = names.split(',').map(|name| name.trim().parse()).collect();
    keys.unwrap_or_else(|wrong: NotAName| {
        sink.say(Reason::InvalidValue, node.mark, path, format!("expected Kind/name, several joined by ',': {wrong}"));
        Vec::new()
    })
}

/// A label's or annotation's key: a name, perhaps after a DNS subdomain and `/`.
fn is_qualified_name(key: &str) -> bool {
    let (prefix, name) = key.split_once('/').map_or((None, key), |(prefix, name)| (Some(prefix), name));
    let is_prefix = |text: &str| text.len() <= 253 && text.split('.').all(|part| part.parse::<Name>().is_ok());
    !name.is_empty() && is_label_value(name) && prefix.is_none_or(is_prefix)
}

fn is_label_value(text: &str) -> bool {
    let edge = |byte: Option<&u8>| byte.is_none_or(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    text.len() <= 63
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(b))
        && edge(bytes.first())
        && edge(bytes.last())
}
