//! From YAML text to trees: one document after the other, each within its bounds.
//!
//! A document that cannot be read is reported and left behind at the next `---`, so that it does not hide what is wrong
//! in those after it. Tags and merge keys are refused; anchors and aliases are read, within the bounds that hold for
//! what they expand to.

use std::{collections::HashMap, rc::Rc};

use granit_parser::{ErrorKind, Event, Marker, Parser, ScalarStyle, ScanError, Span, StrInput};

use super::{
    node::{Entry, NODE_WEIGHT, Node, Value},
    place::{Mark, Path, Sink, clipped},
};
use crate::api::{Reason, limits};

/// Calls `visit` with each document that can be read.
pub(super) fn each_document(text: &str, sink: &Sink<'_>, mut visit: impl FnMut(Rc<Node>)) {
    let options = granit_parser::options! {
        flow_nesting_limit: limits::MANIFEST_DEPTH,
        block_nesting_limit: limits::MANIFEST_DEPTH,
    };
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut composer = Composer {
        parser: Parser::new_from_str_with_options(text, options),
        sink,
        anchors: HashMap::new(),
        left: limits::MANIFEST_WEIGHT,
    };
    loop {
        match composer.document() {
            Ok(Some(root)) => visit(root),
            Ok(None) | Err(Stop::File) => return,
            Err(Stop::Document) => match composer.parser.proceed_next_document() {
                Ok(true) => {}
                Ok(false) | Err(_) => return,
            },
        }
    }
}

/// How far the reading goes no further. What is wrong is said already.
enum Stop {
    Document,
    File,
}

struct Composer<'t> {
    parser: Parser<'t, StrInput<'t>>,
    sink: &'t Sink<'t>,
    anchors: HashMap<usize, Rc<Node>>,
    /// The weight that the file's documents may still take.
    left: usize,
}

impl<'t> Composer<'t> {
    fn document(&mut self) -> Result<Option<Rc<Node>>, Stop> {
        self.anchors.clear();
        self.sink.begin();
        loop {
            match self.event()? {
                (Event::StreamEnd, _) => return Ok(None),
                (event, span) if event.is_node() => return self.node(event, span, Path::Root, 0).map(Some),
                _ => {}
            }
        }
    }

    fn event(&mut self) -> Result<(Event<'t>, Span), Stop> {
        match self.parser.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(self.broken(&error)),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn node(&mut self, event: Event<'t>, span: Span, path: Path<'_>, depth: usize) -> Result<Rc<Node>, Stop> {
        let mark = mark(span.start);
        if let Some(tag) = event.tag() {
            let message = format!("the tag {} is not read; write the value alone", clipped(&tag.original()));
            self.sink.say(Reason::InvalidValue, mark, path, message);
        }
        let anchor = event.anchor_id();
        let node = match event {
            Event::Alias(id) => return self.alias(id, mark, path, depth),
            Event::Scalar(text, style, ..) => self.scalar(&text, style, mark)?,
            Event::SequenceStart(..) => self.list(mark, path, depth)?,
            Event::MappingStart(..) => self.mapping(mark, path, depth)?,
            _ => return Err(self.unreadable(mark, path, "a value is missing")),
        };
        let node = Rc::new(node);
        if let Some(id) = anchor {
            self.anchors.insert(id, Rc::clone(&node));
        }
        Ok(node)
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, mark: Mark) -> Result<Node, Stop> {
        let weight = self.spend(NODE_WEIGHT + text.len(), mark)?;
        let value = Value::Scalar { text: text.into(), plain: style == ScalarStyle::Plain };
        Ok(Node { mark, value, weight, height: 0 })
    }

    fn list(&mut self, mark: Mark, path: Path<'_>, depth: usize) -> Result<Node, Stop> {
        self.check_depth(depth + 1, mark, path)?;
        let (mut items, mut weight, mut height) = (Vec::new(), self.spend(NODE_WEIGHT, mark)?, 0);
        loop {
            let (event, span) = self.event()?;
            if event == Event::SequenceEnd {
                return Ok(Node { mark, value: Value::List(items), weight, height: height + 1 });
            }
            let item = self.node(event, span, path.item(items.len()), depth + 1)?;
            weight += item.weight;
            height = height.max(item.height);
            items.push(item);
        }
    }

    fn mapping(&mut self, mark: Mark, path: Path<'_>, depth: usize) -> Result<Node, Stop> {
        self.check_depth(depth + 1, mark, path)?;
        let (mut entries, mut weight, mut height) = (Vec::new(), self.spend(NODE_WEIGHT, mark)?, 0);
        let mut lines = HashMap::new();
        loop {
            let (event, span) = self.event()?;
            if event == Event::MappingEnd {
                return Ok(Node { mark, value: Value::Mapping(entries), weight, height: height + 1 });
            }
            let key = self.key(event, span, path)?;
            let (event, span) = self.event()?;
            let value = self.node(event, span, path.field(&key.text), depth + 1)?;
            weight += NODE_WEIGHT + key.text.len() + value.weight;
            height = height.max(value.height);
            if key.is_merge {
                let message = "merge keys are not read; write the fields out";
                self.sink.say(Reason::UnknownField, key.mark, path.field(&key.text), message);
            } else if let Some(line) = lines.get(&key.text) {
                let message = format!("the key stands on line {line} already");
                self.sink.say(Reason::DuplicateKey, key.mark, path.field(&key.text), message);
            } else {
                lines.insert(key.text.clone(), key.mark.line);
                entries.push(Entry { key: key.text, mark: key.mark, value });
            }
        }
    }

    fn key(&mut self, event: Event<'t>, span: Span, path: Path<'_>) -> Result<Key, Stop> {
        let node = self.node(event, span, path, 0)?;
        match &node.value {
            Value::Scalar { text, plain } => {
                Ok(Key { text: text.clone(), mark: mark(span.start), is_merge: *plain && **text == *"<<" })
            }
            Value::List(_) | Value::Mapping(_) => {
                self.sink.say(Reason::InvalidValue, mark(span.start), path, "a key is text, not a list or a mapping");
                Err(Stop::Document)
            }
        }
    }

    /// An alias costs what writing its anchor's node out would.
    fn alias(&mut self, id: usize, mark: Mark, path: Path<'_>, depth: usize) -> Result<Rc<Node>, Stop> {
        let Some(node) = self.anchors.get(&id).map(Rc::clone) else {
            self.sink.say(Reason::YamlTooComplex, mark, path, "an alias cannot stand inside what it stands for");
            return Err(Stop::Document);
        };
        self.check_depth(depth + node.height, mark, path)?;
        self.spend(node.weight, mark)?;
        Ok(node)
    }

    fn check_depth(&self, depth: usize, mark: Mark, path: Path<'_>) -> Result<(), Stop> {
        if depth <= limits::MANIFEST_DEPTH {
            return Ok(());
        }
        self.sink.say(Reason::YamlTooComplex, mark, path, too_deep());
        Err(Stop::Document)
    }

    fn spend(&mut self, weight: usize, mark: Mark) -> Result<usize, Stop> {
        if let Some(left) = self.left.checked_sub(weight) {
            self.left = left;
            return Ok(weight);
        }
        let message = "the file holds too many values, or aliases that expand to too many; split it";
        self.sink.say(Reason::YamlTooComplex, mark, Path::Root, message);
        Err(Stop::File)
    }

    fn broken(&self, error: &ScanError) -> Stop {
        let (reason, message) = match error.kind() {
            ErrorKind::RecursionLimitExceeded => (Reason::YamlTooComplex, too_deep()),
            kind => (Reason::YamlSyntax, kind.to_string()),
        };
        self.sink.say(reason, mark(*error.marker()), Path::Root, message);
        Stop::Document
    }

    fn unreadable(&self, mark: Mark, path: Path<'_>, message: &str) -> Stop {
        self.sink.say(Reason::YamlSyntax, mark, path, message);
        Stop::Document
    }
}

struct Key {
    text: Box<str>,
    mark: Mark,
    is_merge: bool,
}

fn too_deep() -> String {
    format!("lists and mappings nest deeper than {} levels", limits::MANIFEST_DEPTH)
}

fn mark(marker: Marker) -> Mark {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Mark { line: number(marker.line()), column: number(marker.col() + 1) }
}
