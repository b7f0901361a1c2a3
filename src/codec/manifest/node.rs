//! A YAML document as a tree that knows where each part stands and how it was written.
//!
//! Scalars keep their text, and whether it stood without quotes, so that `mode: 0644` can be told from `mode: "0644"`.
//! Aliases share the node of their anchor.

use std::rc::Rc;

use serde::{Serialize, Serializer, ser::SerializeMap};

use super::place::{Mark, clipped};

/// One node of a document. Its serde form is the document itself, with the keys in the order of the file.
#[derive(Debug)]
pub struct Node {
    pub(super) mark: Mark,
    pub(super) value: Value,
    /// Text bytes and [`NODE_WEIGHT`] per node, of this node and all beneath it.
    pub(super) weight: usize,
    /// How many levels of lists and mappings it holds, itself included.
    pub(super) height: usize,
}

/// What a node weighs besides its text.
pub(super) const NODE_WEIGHT: usize = 8;

#[derive(Debug)]
pub(super) enum Value {
    Scalar { text: Box<str>, plain: bool },
    List(Vec<Rc<Node>>),
    Mapping(Vec<Entry>),
}

/// A key of a mapping, where it stands, and its value.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: Box<str>,
    pub(super) mark: Mark,
    pub(super) value: Rc<Node>,
}

impl Node {
    /// Where it begins.
    pub fn mark(&self) -> Mark {
        self.mark
    }

    /// The value of a key, if this is a mapping that has it.
    pub fn get(&self, key: &str) -> Option<&Node> {
        match &self.value {
            Value::Mapping(entries) => entries.iter().find(|entry| *entry.key == *key).map(|entry| &*entry.value),
            _ => None,
        }
    }

    /// The text of a scalar, however it is written.
    pub fn scalar(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// Whether nothing stands here, or an unquoted `null`.
    pub fn is_null(&self) -> bool {
        matches!(self.meaning(), Meaning::Null)
    }

    /// What the node is to a reader that takes unquoted scalars for what they look like.
    pub(super) fn meaning(&self) -> Meaning<'_> {
        match &self.value {
            Value::Scalar { text, plain: true } => Meaning::of_plain(text),
            Value::Scalar { text, plain: false } => Meaning::Text(text),
            Value::List(_) => Meaning::List,
            Value::Mapping(_) => Meaning::Mapping,
        }
    }
}

/// What a node is taken for.
pub(super) enum Meaning<'a> {
    Null,
    /// `true` and `false`, and what YAML 1.1 takes for them.
    Boolean(&'a str),
    Number(&'a str),
    Text(&'a str),
    List,
    Mapping,
}

impl<'a> Meaning<'a> {
    /// The core schema of YAML 1.2 (section 10.3.2), and the booleans of YAML 1.1, which many readers still know.
    fn of_plain(text: &'a str) -> Self {
        const BOOLEANS: [&str; 6] = ["true", "false", "yes", "no", "on", "off"];
        if matches!(text, "" | "~" | "null" | "Null" | "NULL") {
            Meaning::Null
        } else if BOOLEANS.iter().any(|word| word.eq_ignore_ascii_case(text)) {
            Meaning::Boolean(text)
        } else if is_number(text) {
            Meaning::Number(text)
        } else {
            Meaning::Text(text)
        }
    }

    /// The meaning in words, for messages.
    pub(super) fn describe(&self) -> String {
        match self {
            Meaning::Null => "nothing".into(),
            Meaning::Boolean(text) => format!("the boolean {text}"),
            Meaning::Number(text) => format!("the number {}", clipped(text)),
            Meaning::Text(text) => format!("'{}'", clipped(text)),
            Meaning::List => "a list".into(),
            Meaning::Mapping => "a mapping".into(),
        }
    }
}

fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let radix = |prefix: &str, radix: u32| {
        digits.strip_prefix(prefix).is_some_and(|rest| !rest.is_empty() && rest.chars().all(|c| c.is_digit(radix)))
    };
    let decimal = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') && digits.parse::<f64>().is_ok();
    let special = [".inf", ".nan"].iter().any(|word| word.eq_ignore_ascii_case(digits));
    decimal || special || radix("0x", 16) || radix("0o", 8)
}

impl Serialize for Node {
    /// A number that would print otherwise than it is written (`0644`, `1.0`) stays text.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match (&self.value, self.meaning()) {
            (Value::List(items), _) => serializer.collect_seq(items.iter().map(|item| &**item)),
            (Value::Mapping(entries), _) => {
                let mut map = serializer.serialize_map(Some(entries.len()))?;
                entries.iter().try_for_each(|entry| map.serialize_entry(&entry.key, &*entry.value))?;
                map.end()
            }
            (Value::Scalar { .. }, Meaning::Null) => serializer.serialize_unit(),
            (Value::Scalar { text, .. }, Meaning::Boolean("true" | "false")) => {
                serializer.serialize_bool(**text == *"true")
            }
            (Value::Scalar { text, .. }, Meaning::Number(_)) => match text.parse::<i64>() {
                Ok(number) if number.to_string() == **text => serializer.serialize_i64(number),
                _ => serializer.serialize_str(text),
            },
            (Value::Scalar { text, .. }, _) => serializer.serialize_str(text),
        }
    }
}
