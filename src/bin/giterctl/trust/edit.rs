//! A charter as text: what changes is replaced where it stands, and every other byte stays as it is.
//!
//! Places come from the parser's spans. The text is parsed again after each change, and whoever changes it compares what
//! it says in the end with what it should say (see [`draft`](super::draft)): a form that is not foreseen here, such as
//! an alias, leads to a refusal and not to another charter than was asked for.

use std::ops::Range;

use giter_edge::api::{Error, Reason, Result};
use granit_parser::{Event, Parser, Span, StrInput};

/// A text of YAML.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Text(String);

/// An item to be written into a list.
pub(super) enum Item {
    /// A scalar, as YAML writes it.
    Scalar(String),
    /// Fields with their values, as YAML writes these on one line.
    Mapping(Vec<(&'static str, String)>),
}

/// What stands where.
struct Tree {
    range: Range<usize>,
    /// Whether it is a list or mapping in brackets.
    is_flow: bool,
    shape: Shape,
}

enum Shape {
    Scalar,
    List { items: Vec<Tree> },
    Mapping { fields: Vec<Field> },
}

struct Field {
    name: String,
    key: Range<usize>,
    value: Tree,
}

impl Text {
    pub(super) fn new(text: String) -> Self {
        Self(text)
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn into_string(self) -> String {
        self.0
    }

    /// Sets a field of the spec.
    ///
    /// # Errors
    ///
    /// `ManifestNotEditable`, as all the others here.
    pub(super) fn set(&mut self, name: &str, value: &str) -> Result<()> {
        let root = self.parse()?;
        self.set_in(root.spec()?, name, value)
    }

    /// Sets a field of an item of one of the spec's lists.
    pub(super) fn set_of_item(&mut self, list: &str, index: usize, name: &str, value: &str) -> Result<()> {
        let root = self.parse()?;
        self.set_in(root.item(list, index)?, name, value)
    }

    /// Adds an item at the end of one of the spec's lists.
    pub(super) fn push(&mut self, list: &str, item: &Item) -> Result<()> {
        let root = self.parse()?;
        let spec = root.spec()?;
        let Some(field) = spec.field(list) else {
            let (at, before, after) = match spec.is_flow {
                true => (spec.last().ok_or_else(not_editable)?, ", ".to_owned(), format!("{list}: [{}]", item.flow())),
                false => {
                    let indent = self.indent(spec.range.start);
                    let block = format!("{list}:{}", self.dashed(&indent, item));
                    (self.line_end(spec.range.end), self.line(&indent), block)
                }
            };
            self.splice(at..at, &(before + &after));
            return Ok(());
        };
        match (field.value.items(), field.value.is_flow, spec.is_flow) {
            ([.., last], true, _) => self.splice(last.range.end..last.range.end, &format!(", {}", item.flow())),
            ([.., last], false, _) => {
                let indent = self.indent(self.dash(last)?);
                let at = self.line_end(last.range.end);
                self.splice(at..at, &self.dashed(&indent, item));
            }
            ([], _, true) => self.replace_value(field, &format!(" [{}]", item.flow()))?,
            ([], _, false) => {
                let indent = self.indent(field.key.start);
                self.replace_value(field, &self.dashed(&indent, item))?;
            }
        }
        Ok(())
    }

    /// Replaces an item of one of the spec's lists.
    pub(super) fn replace(&mut self, list: &str, index: usize, item: &Item) -> Result<()> {
        let root = self.parse()?;
        let old = root.item(list, index)?;
        let new = match old.is_flow {
            true => item.flow(),
            false => self.block(&self.indent(old.range.start), item),
        };
        self.splice(old.range.clone(), &new);
        Ok(())
    }

    /// Removes an item of one of the spec's lists.
    pub(super) fn remove(&mut self, list: &str, index: usize) -> Result<()> {
        let root = self.parse()?;
        let field = root.spec()?.field(list).ok_or_else(not_editable)?;
        let items = field.value.items();
        let item = items.get(index).ok_or_else(not_editable)?;
        match (field.value.is_flow, index.checked_sub(1).map(|before| &items[before]), items.get(index + 1)) {
            (_, None, None) => self.replace_value(field, " []")?,
            (true, Some(before), _) => self.splice(before.range.end..item.range.end, ""),
            (true, None, Some(after)) => self.splice(item.range.start..after.range.start, ""),
            (false, ..) => {
                let dash = self.dash(item)?;
                let start = self.0[..dash].rfind('\n').map_or(0, |newline| newline + 1);
                let end = self.0[item.range.end..].find('\n').map_or(self.0.len(), |at| item.range.end + at + 1);
                self.splice(start..end, "");
            }
        }
        Ok(())
    }

    fn set_in(&mut self, mapping: &Tree, name: &str, value: &str) -> Result<()> {
        if let Some(field) = mapping.field(name) {
            self.splice(field.value.range.clone(), value);
            return Ok(());
        }
        let last = mapping.last().ok_or_else(not_editable)?;
        match mapping.is_flow {
            true => self.splice(last..last, &format!(", {name}: {value}")),
            false => {
                let at = self.line_end(last);
                let line = self.line(&self.indent(mapping.range.start));
                self.splice(at..at, &format!("{line}{name}: {value}"));
            }
        }
        Ok(())
    }

    /// Replaces all that follows a key's colon.
    fn replace_value(&mut self, field: &Field, value: &str) -> Result<()> {
        let colon = self.0[field.key.end..].find(':').map(|at| field.key.end + at + 1).ok_or_else(not_editable)?;
        self.splice(colon..field.value.range.end.max(colon), value);
        Ok(())
    }

    fn splice(&mut self, range: Range<usize>, with: &str) {
        self.0.replace_range(range, with);
    }

    /// Where the dash of a block list's item stands.
    fn dash(&self, item: &Tree) -> Result<usize> {
        let before = self.0[..item.range.start].trim_end();
        let line = before.rsplit('\n').next().unwrap_or_default();
        if line.trim_start() == "-" { Ok(before.len() - 1) } else { Err(not_editable()) }
    }

    /// As much space as stands before a place in its line, dashes counted.
    fn indent(&self, at: usize) -> String {
        let line = self.0[..at].rsplit('\n').next().unwrap_or_default();
        " ".repeat(line.chars().count())
    }

    /// The end of the line of a place.
    fn line_end(&self, at: usize) -> usize {
        let end = self.0[at..].find('\n').map_or(self.0.len(), |newline| at + newline);
        end - usize::from(self.0[at..end].ends_with('\r'))
    }

    /// A line break and what the line begins with.
    fn line(&self, indent: &str) -> String {
        format!("{}{indent}", if self.0.contains("\r\n") { "\r\n" } else { "\n" })
    }

    /// An item of a block list, with the line break before it.
    fn dashed(&self, indent: &str, item: &Item) -> String {
        format!("{}- {}", self.line(indent), self.block(&format!("{indent}  "), item))
    }

    /// An item in lines of this indent, of which the first one begins somewhere already.
    fn block(&self, indent: &str, item: &Item) -> String {
        match item {
            Item::Scalar(text) => text.clone(),
            Item::Mapping(fields) => {
                let fields: Vec<_> = fields.iter().map(|(name, value)| format!("{name}: {value}")).collect();
                fields.join(&self.line(indent))
            }
        }
    }

    fn parse(&self) -> Result<Tree> {
        let mut reader = Reader { text: &self.0, parser: Parser::new_from_str(&self.0) };
        loop {
            let (event, span) = reader.event()?;
            if event.is_node() {
                return reader.node(&event, span);
            }
            if event == Event::StreamEnd {
                return Err(not_editable());
            }
        }
    }
}

impl Item {
    fn flow(&self) -> String {
        match self {
            Item::Scalar(text) => text.clone(),
            Item::Mapping(fields) => {
                let fields: Vec<_> = fields.iter().map(|(name, value)| format!("{name}: {value}")).collect();
                format!("{{{}}}", fields.join(", "))
            }
        }
    }
}

impl Tree {
    fn spec(&self) -> Result<&Tree> {
        self.field("spec").map(|field| &field.value).ok_or_else(not_editable)
    }

    fn item(&self, list: &str, index: usize) -> Result<&Tree> {
        let items = self.spec()?.field(list).map(|field| field.value.items()).unwrap_or_default();
        items.get(index).ok_or_else(not_editable)
    }

    fn field(&self, name: &str) -> Option<&Field> {
        match &self.shape {
            Shape::Mapping { fields } => fields.iter().find(|field| field.name == name),
            _ => None,
        }
    }

    fn items(&self) -> &[Tree] {
        match &self.shape {
            Shape::List { items } => items,
            _ => &[],
        }
    }

    /// The end of a mapping's last field.
    fn last(&self) -> Option<usize> {
        match &self.shape {
            Shape::Mapping { fields } => fields.last().map(|field| field.value.range.end.max(field.key.end)),
            _ => None,
        }
    }
}

struct Reader<'t> {
    text: &'t str,
    parser: Parser<'t, StrInput<'t>>,
}

impl<'t> Reader<'t> {
    fn event(&mut self) -> Result<(Event<'t>, Span)> {
        self.parser.next_event().and_then(|event| event.ok()).ok_or_else(not_editable)
    }

    fn node(&mut self, event: &Event<'t>, span: Span) -> Result<Tree> {
        let start = self.range(span)?;
        let is_flow = matches!(&self.text[start.clone()], "[" | "{");
        match event {
            Event::Scalar(..) | Event::Alias(_) => {
                let written = self.text[start.clone()].trim_end().len();
                Ok(Tree { range: start.start..start.start + written, is_flow, shape: Shape::Scalar })
            }
            Event::SequenceStart(..) => {
                let mut items: Vec<Tree> = Vec::new();
                let end = loop {
                    match self.event()? {
                        (Event::SequenceEnd, span) => break self.range(span)?,
                        (event, span) => items.push(self.node(&event, span)?),
                    }
                };
                let parts = items.first().zip(items.last());
                let parts = parts.map(|(first, last)| first.range.start..last.range.end);
                let range = if is_flow { start.start..end.end } else { parts.unwrap_or(start) };
                Ok(Tree { range, is_flow, shape: Shape::List { items } })
            }
            Event::MappingStart(..) => {
                let mut fields: Vec<Field> = Vec::new();
                let end = loop {
                    match self.event()? {
                        (Event::MappingEnd, span) => break self.range(span)?,
                        (event, span) => fields.push(self.field(&event, span)?),
                    }
                };
                let parts = fields.first().zip(fields.last());
                let parts = parts.map(|(first, last)| first.key.start..last.value.range.end.max(last.key.end));
                let range = if is_flow { start.start..end.end } else { parts.unwrap_or(start) };
                Ok(Tree { range, is_flow, shape: Shape::Mapping { fields } })
            }
            _ => Err(not_editable()),
        }
    }

    fn field(&mut self, event: &Event<'t>, span: Span) -> Result<Field> {
        let key = self.node(event, span)?.range;
        let name = self.text[key.clone()].trim_matches(['"', '\'']).to_owned();
        let (event, span) = self.event()?;
        Ok(Field { name, key, value: self.node(&event, span)? })
    }

    /// The bytes of a span, if they are of this text.
    fn range(&self, span: Span) -> Result<Range<usize>> {
        let range = span.byte_range().ok_or_else(not_editable)?;
        self.text.get(range.clone()).map(|_| range).ok_or_else(not_editable)
    }
}

/// What to do where a text is not foreseen.
pub(super) fn not_editable() -> Error {
    let what = "exchange.yaml is written in a form that cannot be changed here without rewriting the rest of it";
    Error::new(Reason::ManifestNotEditable, what).hint("change it with an editor, then run: giterctl trust sign")
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: &str = "# The charter.\nspec:\n  id: x   # random\n  serial: 1\n  roots:\n  - \"a\"  # of ops\n  \
                         # spare\n  - b\nmore: 1\n";

    fn changed(text: &str, change: impl FnOnce(&mut Text) -> Result<()>) -> String {
        let mut text = Text::new(text.into());
        change(&mut text).unwrap();
        text.0
    }

    fn publisher() -> Item {
        Item::Mapping(vec![("principal", "ops".into()), ("key", "\"k\"".into())])
    }

    #[test]
    fn a_scalar_is_replaced_where_it_stands() {
        let raised = changed(BLOCK, |text| text.set("serial", "2"));
        assert_eq!(raised, BLOCK.replace("serial: 1", "serial: 2"));
        let flow = "{kind: Exchange, spec: {id: x, serial: 1}} # all\n";
        assert_eq!(changed(flow, |text| text.set("serial", "2")), flow.replace("serial: 1", "serial: 2"));
    }

    #[test]
    fn a_missing_field_comes_last() {
        let text = "spec:\n  id: x # random\n\n# end\n";
        assert_eq!(changed(text, |text| text.set("serial", "1")), "spec:\n  id: x # random\n  serial: 1\n\n# end\n");
        assert_eq!(changed("spec: {id: x}", |text| text.set("serial", "1")), "spec: {id: x, serial: 1}");
        assert_eq!(
            changed("spec:\r\n  id: x\r\n", |text| text.set("serial", "1")),
            "spec:\r\n  id: x\r\n  serial: 1\r\n"
        );
    }

    #[test]
    fn items_are_added_in_the_form_of_the_list() {
        let root = Item::Scalar("c".into());
        let added = changed(BLOCK, |text| text.push("roots", &root));
        assert_eq!(added, BLOCK.replace("  - b\n", "  - b\n  - c\n"));
        let added = changed(BLOCK, |text| text.push("publishers", &publisher()));
        assert_eq!(added, BLOCK.replace("  - b\n", "  - b\n  publishers:\n  - principal: ops\n    key: \"k\"\n"));
        for (before, after) in [
            ("spec: {roots: [a, b]}", "spec: {roots: [a, b, {principal: ops, key: \"k\"}]}"),
            ("spec: {roots: []}", "spec: {roots: [{principal: ops, key: \"k\"}]}"),
            ("spec: {id: x}", "spec: {id: x, roots: [{principal: ops, key: \"k\"}]}"),
            ("spec:\n  roots: [ a ] # x\n", "spec:\n  roots: [ a, {principal: ops, key: \"k\"} ] # x\n"),
            ("spec:\n  roots: []\n", "spec:\n  roots:\n  - principal: ops\n    key: \"k\"\n"),
            ("spec:\n  roots:\n  id: x\n", "spec:\n  roots:\n  - principal: ops\n    key: \"k\"\n  id: x\n"),
            (
                "spec:\n  roots:\n    -   principal: a\n        key: k",
                "spec:\n  roots:\n    -   principal: a\n        key: k\n    - principal: ops\n      key: \"k\"",
            ),
        ] {
            assert_eq!(changed(before, |text| text.push("roots", &publisher())), after);
        }
    }

    #[test]
    fn items_are_taken_away_with_their_line() {
        let taken = changed(BLOCK, |text| text.remove("roots", 0));
        assert_eq!(taken, BLOCK.replace("  - \"a\"  # of ops\n", ""));
        let taken = changed(BLOCK, |text| text.remove("roots", 1));
        assert_eq!(taken, BLOCK.replace("  - b\n", ""));
        for (index, before, after) in [
            (0, "spec: {roots: [a, b]}", "spec: {roots: [b]}"),
            (1, "spec: {roots: [a, b]}", "spec: {roots: [a]}"),
            (0, "spec: {roots: [a]}", "spec: {roots: []}"),
            (0, "spec:\n  roots:\n  - a\n  id: x\n", "spec:\n  roots: []\n  id: x\n"),
            (1, "spec:\n  roots:\n  - p: a\n    k: b\n  - p: c\n    k: d\n", "spec:\n  roots:\n  - p: a\n    k: b\n"),
        ] {
            assert_eq!(changed(before, |text| text.remove("roots", index)), after);
        }
    }

    #[test]
    fn a_field_of_an_item_and_a_whole_item_are_replaced() {
        let block = "spec:\n  publishers:\n  - principal: a # who\n    key: k\n  - {principal: b, key: k}\n";
        let ended = changed(block, |text| text.set_of_item("publishers", 0, "validBefore", "\"d\""));
        assert_eq!(ended, block.replace("    key: k\n", "    key: k\n    validBefore: \"d\"\n"));
        let ended = changed(block, |text| text.set_of_item("publishers", 1, "validBefore", "\"d\""));
        assert_eq!(ended, block.replace("b, key: k}", "b, key: k, validBefore: \"d\"}"));
        let replaced = changed(block, |text| text.replace("publishers", 0, &publisher()));
        assert_eq!(replaced, block.replace("principal: a # who\n    key: k\n", "principal: ops\n    key: \"k\"\n"));
        let replaced = changed(block, |text| text.replace("publishers", 1, &publisher()));
        assert_eq!(replaced, block.replace("{principal: b, key: k}", "{principal: ops, key: \"k\"}"));
    }

    #[test]
    fn forms_that_are_not_foreseen_are_refused() {
        for text in ["", "spec: x\n", "a: [", "spec: {roots: *x}\n"] {
            let mut text = Text::new(text.into());
            assert_eq!(text.remove("roots", 0).unwrap_err().reason(), Reason::ManifestNotEditable, "{text:?}");
        }
    }
}
