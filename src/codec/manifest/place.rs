//! Places in a manifest, and the findings about them.

use std::{
    cell::{Cell, RefCell},
    fmt,
};

use crate::api::{Finding, Findings, Reason};

/// A position in a file: line and column, both from 1; a column is a character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The line.
    pub line: u32,
    /// The column.
    pub column: u32,
}

/// The way from a document's root to a field, as Kubernetes writes it: `spec.publishers[0].key`.
#[derive(Clone, Copy)]
pub(super) enum Path<'a> {
    /// The document itself.
    Root,
    /// A field of a mapping.
    Field(&'a Path<'a>, &'a str),
    /// An item of a list, from 0.
    Item(&'a Path<'a>, usize),
}

impl<'a> Path<'a> {
    pub(super) fn field(&'a self, name: &'a str) -> Self {
        Path::Field(self, name)
    }

    pub(super) fn item(&'a self, index: usize) -> Self {
        Path::Item(self, index)
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_plain = |name: &str| name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
        match self {
            Path::Root => Ok(()),
            Path::Field(Path::Root, name) => write!(f, "{}", clipped(name)),
            Path::Field(parent, name) if is_plain(name) => write!(f, "{parent}.{}", clipped(name)),
            Path::Field(parent, name) => write!(f, "{parent}[{}]", clipped(name)),
            Path::Item(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

/// As much of an untrusted text as a message shows, without control characters.
pub(super) fn clipped(text: &str) -> String {
    const SHOWN: usize = 48;
    let mut shown: String = text.chars().take(SHOWN).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

/// Takes the findings about one file.
pub(super) struct Sink<'a> {
    file: &'a str,
    findings: RefCell<Findings>,
    /// How many there were when the current document began.
    before: Cell<usize>,
}

impl<'a> Sink<'a> {
    pub(super) fn new(file: &'a str) -> Self {
        Self { file, findings: RefCell::default(), before: Cell::new(0) }
    }

    pub(super) fn say(&self, reason: Reason, at: Mark, field: Path<'_>, message: impl Into<String>) {
        self.findings.borrow_mut().push(Finding {
            reason,
            path: self.file.into(),
            at: Some((at.line, at.column)),
            field: field.to_string(),
            message: message.into(),
        });
    }

    /// A document begins.
    pub(super) fn begin(&self) {
        self.before.set(self.count());
    }

    /// Whether nothing was said about the current document.
    pub(super) fn is_clean(&self) -> bool {
        self.count() == self.before.get()
    }

    pub(super) fn into_findings(self) -> Findings {
        self.findings.into_inner()
    }

    fn count(&self) -> usize {
        let findings = self.findings.borrow();
        findings.iter().len() + findings.more()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_read_as_kubernetes_writes_them() {
        let (root, spec, annotations) = (Path::Root, Path::Root.field("spec"), Path::Root.field("annotations"));
        assert_eq!(root.to_string(), "");
        assert_eq!(spec.field("publishers").item(0).field("key").to_string(), "spec.publishers[0].key");
        assert_eq!(annotations.field("edge.giter.dev/after").to_string(), "annotations[edge.giter.dev/after]");
    }

    #[test]
    fn hostile_text_is_clipped_and_cleaned() {
        assert_eq!(clipped("a\x1b[1m"), "a\u{fffd}[1m");
        assert_eq!(clipped(&"ä".repeat(100)), "ä".repeat(48) + "…");
    }
}
