//! What was given for which key, in the file or in the environment, and where.

use std::{collections::BTreeMap, path::PathBuf, str::FromStr, time::Duration};

use toml::de::{DeTable, DeValue};

use super::{ENV_PREFIX, values::any_duration};
use crate::api::{Error, Reason, Result, limits};

/// Every key there is.
pub(super) const KEYS: &[&str] = &[
    "device",
    "state",
    "board",
    "link.url",
    "link.branch",
    "link.identity",
    "link.known_hosts",
    "link.ssh",
    "link.program",
    "link.algorithms",
    "link.hold",
    "link.watch",
    "link.interval",
    "link.splay",
    "link.timeout",
    "trust.root",
    "trust.verify",
    "trust.exchange",
    "trust.floor",
    "status.key",
    "status.format",
    "status.heartbeat",
    "status.coalesce",
    "status.budget",
    "status.prefix",
    "relay.devices",
    "relay.folder",
    "relay.bytes",
    "files.roots",
    "stick.watch",
    "stick.mount",
    "stick.at",
    "stick.led",
    "led.sysfs",
    "gpio.dev",
    "drift.interval",
    "sim.file",
];

/// Those of them that are lists.
pub(super) const LISTS: &[&str] = &["relay.devices", "files.roots", "stick.watch"];

/// A value and where it was given.
pub(super) struct Value {
    pub(super) parts: Vec<String>,
    place: String,
}

impl Value {
    /// That it is wrong.
    pub(super) fn wrong(&self, why: &str) -> Error {
        bad(&self.place, why)
    }
}

/// All that was given; what came last counts.
#[derive(Default)]
pub(super) struct Given(BTreeMap<&'static str, Value>);

impl Given {
    pub(super) fn take_file(&mut self, name: &str, text: &str) -> Result<()> {
        if text.len() > limits::CONFIG_BYTES {
            return Err(bad(name, &format!("it is longer than {} bytes", limits::CONFIG_BYTES)));
        }
        let place = |at: usize| {
            let (line, column) = line_and_column(text, at);
            format!("{name}:{line}:{column}")
        };
        let table = DeTable::parse(text).map_err(|error| {
            bad(&place(error.span().map_or(0, |span| span.start)), error.message().lines().next().unwrap_or("not TOML"))
        })?;
        for (key, value) in table.get_ref() {
            match value.get_ref() {
                DeValue::Table(section) => {
                    for (inner, value) in section {
                        let path = format!("{}.{}", key.get_ref(), inner.get_ref());
                        self.take(&path, place(inner.span().start), parts(&path, value.get_ref()))?;
                    }
                }
                value => self.take(key.get_ref(), place(key.span().start), parts(key.get_ref(), value))?,
            }
        }
        Ok(())
    }

    pub(super) fn take_environment(&mut self, environment: impl IntoIterator<Item = (String, String)>) -> Result<()> {
        for (variable, value) in environment {
            let Some(rest) = variable.strip_prefix(ENV_PREFIX).filter(|rest| *rest != "LOG") else { continue };
            let key = KEYS.iter().find(|key| key.to_uppercase().replace('.', "_") == rest);
            let key = key.ok_or_else(|| {
                bad(&variable, "no such key").hint(known_keys(&rest.to_lowercase().replacen('_', ".", 1)))
            })?;
            let parts = match LISTS.contains(key) {
                true if value.is_empty() => vec![],
                true => value.split(':').map(Into::into).collect(),
                false => vec![value],
            };
            self.take(key, variable, Some(parts))?;
        }
        Ok(())
    }

    fn take(&mut self, key: &str, place: String, parts: Option<Vec<String>>) -> Result<()> {
        let Some(known) = KEYS.iter().find(|known| **known == key) else {
            return Err(bad(&place, &format!("unknown key '{key}'")).hint(known_keys(key)));
        };
        let form = if LISTS.contains(known) {
            "a list of texts in quotes, such as [\"a\", \"b\"]"
        } else {
            "one text, in quotes"
        };
        let parts = parts.ok_or_else(|| bad(&place, &format!("{key} is {form}")))?;
        self.0.insert(known, Value { parts, place });
        Ok(())
    }

    pub(super) fn value(&self, key: &str) -> Option<&Value> {
        self.0.get(key)
    }

    pub(super) fn get<T>(&self, key: &str, read: impl Fn(&str) -> Result<T, String>) -> Result<Option<T>> {
        let Some(value) = self.value(key) else { return Ok(None) };
        read(&value.parts[0]).map(Some).map_err(|why| value.wrong(&format!("{key}: {why}")))
    }

    pub(super) fn maybe<T: FromStr<Err: ToString>>(&self, key: &str) -> Result<Option<T>> {
        self.get(key, |text| text.parse().map_err(|error: T::Err| error.to_string()))
    }

    pub(super) fn or<T: FromStr<Err: ToString>>(&self, key: &str, default: &str) -> Result<T> {
        let built_in = |error: T::Err| Error::new(Reason::Bug, format!("the default of {key}: {}", error.to_string()));
        self.maybe(key)?.map_or_else(|| default.parse().map_err(built_in), Ok)
    }

    pub(super) fn required<T: FromStr<Err: ToString>>(&self, name: &str, key: &str, what: &str) -> Result<T> {
        self.maybe(key)?.ok_or_else(|| missing(name, key, what))
    }

    pub(super) fn duration(&self, key: &str, default: &str) -> Result<Duration> {
        let positive = |text: &str| {
            any_duration(text).and_then(|duration| match duration.is_zero() {
                true => Err("it is longer than nothing".into()),
                false => Ok(duration),
            })
        };
        let built_in = |why| Error::new(Reason::Bug, format!("the default of {key}: {why}"));
        self.get(key, positive)?.map_or_else(|| any_duration(default).map_err(built_in), Ok)
    }

    pub(super) fn folders(&self, key: &str) -> Result<Option<Vec<PathBuf>>> {
        let Some(value) = self.value(key) else { return Ok(None) };
        let absolute = |part: &String| {
            let path = PathBuf::from(part);
            let why = format!("{key}: '{part}' is not an absolute path");
            if path.is_absolute() { Ok(path) } else { Err(value.wrong(&why)) }
        };
        value.parts.iter().map(absolute).collect::<Result<_>>().map(Some)
    }
}

/// The texts of a value, if it has the form that its key wants.
fn parts(key: &str, value: &DeValue<'_>) -> Option<Vec<String>> {
    match (LISTS.contains(&key), value) {
        (false, DeValue::String(text)) => Some(vec![text.to_string()]),
        (true, DeValue::Array(list)) => list.iter().map(|part| part.get_ref().as_str().map(Into::into)).collect(),
        _ => None,
    }
}

pub(super) fn variable(key: &str) -> String {
    format!("{ENV_PREFIX}{}", key.to_uppercase().replace('.', "_"))
}

fn known_keys(key: &str) -> String {
    let section = key.split_once('.').map(|(section, _)| section);
    let near: Vec<_> =
        KEYS.iter().filter(|known| known.split_once('.').map(|(section, _)| section) == section).copied().collect();
    let list = if near.is_empty() { KEYS.to_vec() } else { near };
    format!("the keys are {}", list.join(", "))
}

pub(super) fn missing(name: &str, key: &str, what: &str) -> Error {
    let hint = format!("set {key} ({what}) there, or {} in the environment", variable(key));
    bad(name, &format!("{key} is missing")).hint(hint)
}

fn bad(place: &str, why: &str) -> Error {
    Error::new(Reason::BadConfig, format!("{place}: {why}"))
}

/// Line and column, from 1, of a byte of the text.
pub fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    let before = &text.as_bytes()[..at.min(text.len())];
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    (line, String::from_utf8_lossy(&before[start..]).chars().count() + 1)
}
