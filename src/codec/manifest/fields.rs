//! Reading the fields of a mapping: each is asked for by its name, and what nobody asked for is unknown.

use std::{fmt::Display, rc::Rc, str::FromStr};

use super::{
    node::{Entry, Meaning, Node, Value},
    place::{Mark, Path, Sink, clipped},
};
use crate::api::{Drift, Reason};

/// A mapping that is being read. Every problem goes to the sink; what is read of a mapping with problems is not used.
pub(super) struct Fields<'a> {
    sink: &'a Sink<'a>,
    path: Path<'a>,
    mark: Mark,
    entries: &'a [Entry],
    known: Vec<&'static str>,
    missing: Vec<Missing>,
}

/// Fields of which one must be there, and none is.
struct Missing {
    names: Vec<&'static str>,
    message: &'static str,
}

const STATUS: &str = "only the device writes its status, to a ref of its own; remove it here";

/// What is wrong with a value.
type Wrong = String;

impl<'a> Fields<'a> {
    /// Begins to read a node, which must be a mapping.
    pub(super) fn of(node: &'a Node, path: Path<'a>, sink: &'a Sink<'a>) -> Option<Self> {
        match &node.value {
            Value::Mapping(entries) => {
                Some(Self { sink, path, mark: node.mark, entries, known: Vec::new(), missing: Vec::new() })
            }
            _ => {
                let message = format!("expected a mapping, not {}", node.meaning().describe());
                sink.say(Reason::InvalidValue, node.mark, path, message);
                None
            }
        }
    }

    /// The value of a field as it stands.
    pub(super) fn node(&mut self, name: &'static str) -> Option<&'a Node> {
        if !self.known.contains(&name) {
            self.known.push(name);
        }
        self.entries.iter().find(|entry| *entry.key == *name).map(|entry| &*entry.value)
    }

    /// The value of a field that must be there.
    pub(super) fn required_node(&mut self, name: &'static str) -> Option<&'a Node> {
        let node = self.node(name);
        if node.is_none() {
            self.missing(&[name], "the field is required");
        }
        node
    }

    /// Reads a field that may be left out.
    pub(super) fn optional<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&'a Node) -> Result<T, Wrong>,
    ) -> Option<T> {
        let node = self.node(name)?;
        self.read(name, node, read)
    }

    /// Reads a field that must be there.
    pub(super) fn required<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&'a Node) -> Result<T, Wrong>,
    ) -> Option<T> {
        let node = self.required_node(name)?;
        self.read(name, node, read)
    }

    /// Reads each item of a list that may be left out.
    pub(super) fn items<T>(
        &mut self,
        name: &'static str,
        most: usize,
        mut read: impl FnMut(&'a Node, Path<'_>) -> Option<T>,
    ) -> Vec<T> {
        match self.node(name).map(|node| (node, &node.value)) {
            None => Vec::new(),
            Some((_, Value::List(items))) if items.len() <= most => {
                let path = self.path.field(name);
                let read = |(index, item): (usize, &'a Rc<Node>)| read(item, path.item(index));
                items.iter().enumerate().filter_map(read).collect()
            }
            Some((node, Value::List(_))) => {
                let message = format!("the list has more than {most} items");
                self.sink.say(Reason::TooMany, node.mark, self.path.field(name), message);
                Vec::new()
            }
            Some((node, _)) => {
                self.refuse(name, node.mark, format!("expected a list, not {}", node.meaning().describe()));
                Vec::new()
            }
        }
    }

    /// Says that a field's value is not what it can be.
    pub(super) fn refuse(&self, name: &str, at: Mark, message: impl Into<String>) {
        self.sink.say(Reason::InvalidValue, at, self.path.field(name), message);
    }

    /// Says that one of some fields is missing.
    pub(super) fn missing(&mut self, names: &[&'static str], message: &'static str) {
        self.missing.push(Missing { names: names.to_vec(), message });
    }

    /// Ends the reading: every field that was not asked for is unknown. What is missing is said here, and not where an
    /// unknown field is that one, misspelt.
    pub(super) fn finish(self) {
        let unknown = || self.entries.iter().filter(|entry| !self.known.contains(&&*entry.key));
        for Missing { names, message } in &self.missing {
            if unknown().any(|entry| names.iter().any(|name| is_alike(name, &entry.key))) {
                continue;
            }
            let path = if let [name] = names[..] { self.path.field(name) } else { self.path };
            self.sink.say(Reason::MissingField, self.mark, path, *message);
        }
        for entry in unknown() {
            let alike = self.known.iter().copied().find(|known| is_alike(known, &entry.key));
            let hint = alike.map(|name| format!("did you mean {name}? ")).unwrap_or_default();
            let message = match (&self.path, &*entry.key) {
                (Path::Root, "status") => STATUS.to_owned(),
                _ => format!("unknown field; {hint}there are {}", self.known.join(", ")),
            };
            self.sink.say(Reason::UnknownField, entry.mark, self.path.field(&entry.key), message);
        }
    }

    fn read<T>(&self, name: &str, node: &'a Node, read: impl FnOnce(&'a Node) -> Result<T, Wrong>) -> Option<T> {
        read(node).map_err(|wrong| self.refuse(name, node.mark, wrong)).ok()
    }
}

fn is_alike(known: &str, written: &str) -> bool {
    let near = || written.len() <= 2 * known.len() && strsim::damerau_levenshtein(known, written) <= 2;
    known.eq_ignore_ascii_case(written) || near()
}

/// Text; what other readers of YAML take for something else must stand in quotes.
pub(super) fn text(node: &Node) -> Result<&str, Wrong> {
    match node.meaning() {
        Meaning::Text(text) => Ok(text),
        Meaning::Null => Err("it has no value; give it one, or leave the field out".into()),
        Meaning::Number(text) | Meaning::Boolean(text) => {
            let text = clipped(text);
            Err(format!("expected text, and without quotes {text} is none; write it in quotes: \"{text}\""))
        }
        other => Err(format!("expected text, not {}", other.describe())),
    }
}

/// Text in the form of a word of [`api`](crate::api).
pub(super) fn word<T: FromStr<Err: Display>>(node: &Node) -> Result<T, Wrong> {
    text(node)?.parse().map_err(|wrong: T::Err| wrong.to_string())
}

/// One of several words.
pub(super) fn choice<T: Copy>(node: &Node, words: &[(&str, T)]) -> Result<T, Wrong> {
    let is_it = |(word, _): &&(&str, T)| node.scalar() == Some(word);
    words.iter().find(is_it).map(|(_, value)| *value).ok_or_else(|| {
        let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        format!("expected {}, not {}", words.join(" or "), node.meaning().describe())
    })
}

/// What to do about drift, of every kind.
pub(super) fn drift(node: &Node) -> Result<Drift, Wrong> {
    choice(node, &[("correct", Drift::Correct), ("report", Drift::Report), ("ignore", Drift::Ignore)])
}

/// `true` or `false`, and nothing that YAML 1.1 also takes for them.
pub(super) fn boolean(node: &Node) -> Result<bool, Wrong> {
    match node.meaning() {
        Meaning::Boolean("true") => Ok(true),
        Meaning::Boolean("false") => Ok(false),
        other => Err(format!("expected true or false, not {}", other.describe())),
    }
}

/// A whole number, in decimal digits without quotes.
pub(super) fn number<T: FromStr + Display + PartialOrd>(node: &Node, most: T) -> Result<T, Wrong> {
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    match node.meaning() {
        Meaning::Number(text) if digits(text) => {
            let number = text.parse().ok().filter(|number| *number <= most);
            number.ok_or_else(|| format!("expected a whole number of at most {most}, not {}", clipped(text)))
        }
        other => Err(format!("expected a whole number from 0 to {most}, not {}", other.describe())),
    }
}

/// A name that a board or the kernel gives to hardware: never more than one component of a path under sysfs.
pub(super) fn hardware_name(node: &Node) -> Result<Box<str>, Wrong> {
    let name = text(node)?;
    let wrong = |c: char| c == '/' || c.is_control();
    if name.is_empty() || name.len() > 64 || name.trim() != name || matches!(name, "." | "..") || name.contains(wrong) {
        return Err("a name of hardware is 1 to 64 bytes, without '/' and control characters".into());
    }
    Ok(name.into())
}
