//! The next charter: what it says, and its text, changed side by side.

use giter_edge::{
    api::{Exchange, Result, exchange::Publisher},
    codec::yaml,
};

use super::edit::{Item, Text, not_editable};
use crate::charter;

const ROOTS: &str = "roots";
const PUBLISHERS: &str = "publishers";

/// A charter in the making.
pub(super) struct Draft {
    text: Text,
    exchange: Exchange,
}

impl Draft {
    /// As it is now.
    ///
    /// # Errors
    ///
    /// What keeps it from being read.
    pub(super) fn of(text: String) -> Result<Self> {
        Ok(Self { exchange: charter::parse(text.as_bytes())?, text: Text::new(text) })
    }

    /// Its text.
    pub(super) fn text(&self) -> &str {
        self.text.as_str()
    }

    /// What it says.
    pub(super) fn exchange(&self) -> &Exchange {
        &self.exchange
    }

    /// # Errors
    ///
    /// `ManifestNotEditable`, as for all that follow.
    pub(super) fn set_serial(&mut self, serial: u64) -> Result<()> {
        self.exchange.serial = serial;
        self.text.set("serial", &serial.to_string())
    }

    /// A root, as `type base64 comment`.
    pub(super) fn add_root(&mut self, line: &str) -> Result<()> {
        self.exchange.roots.push(line.into());
        self.text.push(ROOTS, &Item::Scalar(yaml::scalar(line)?))
    }

    pub(super) fn replace_root(&mut self, index: usize, line: &str) -> Result<()> {
        self.exchange.roots[index] = line.into();
        self.text.replace(ROOTS, index, &Item::Scalar(yaml::scalar(line)?))
    }

    pub(super) fn remove_root(&mut self, index: usize) -> Result<()> {
        self.exchange.roots.remove(index);
        self.text.remove(ROOTS, index)
    }

    pub(super) fn add_publisher(&mut self, publisher: Publisher) -> Result<()> {
        self.text.push(PUBLISHERS, &item(&publisher)?)?;
        self.exchange.publishers.push(publisher);
        Ok(())
    }

    /// A publisher's entry with another in its place. Where only the key is another one, only that is written.
    pub(super) fn replace_publisher(&mut self, index: usize, publisher: Publisher) -> Result<()> {
        let before = std::mem::replace(&mut self.exchange.publishers[index], publisher);
        let after = &self.exchange.publishers[index];
        if before == (Publisher { key: before.key.clone(), ..after.clone() }) {
            return self.text.set_of_item(PUBLISHERS, index, "key", &yaml::scalar(&after.key)?);
        }
        self.text.replace(PUBLISHERS, index, &item(after)?)
    }

    /// A publisher's key counts no more from a time on.
    pub(super) fn end_publisher(&mut self, index: usize, time: &str) -> Result<()> {
        self.exchange.publishers[index].valid_before = Some(time.into());
        self.text.set_of_item(PUBLISHERS, index, "validBefore", &yaml::scalar(time)?)
    }

    pub(super) fn remove_publisher(&mut self, index: usize) -> Result<()> {
        self.exchange.publishers.remove(index);
        self.text.remove(PUBLISHERS, index)
    }

    /// The text, if it says what it should.
    ///
    /// # Errors
    ///
    /// `ManifestNotEditable`.
    pub(super) fn finish(self) -> Result<(String, Exchange)> {
        let text = self.text.into_string();
        match charter::parse(text.as_bytes()) {
            Ok(said) if said == self.exchange => Ok((text, said)),
            Ok(_) => Err(not_editable()),
            Err(error) => Err(not_editable().caused_by(error)),
        }
    }
}

/// A publisher's entry; texts in quotes where they are of several words or dates.
fn item(publisher: &Publisher) -> Result<Item> {
    let Publisher { principal, key, paths, valid_after, valid_before } = publisher;
    let mut fields = vec![("principal", yaml::scalar(principal)?), ("key", yaml::scalar(key)?)];
    if !paths.is_empty() {
        let paths = paths.iter().map(|path| yaml::scalar(path)).collect::<Result<Vec<_>>>()?;
        fields.push(("paths", format!("[{}]", paths.join(", "))));
    }
    for (name, time) in [("validAfter", valid_after), ("validBefore", valid_before)] {
        if let Some(time) = time {
            fields.push((name, yaml::scalar(time)?));
        }
    }
    Ok(Item::Mapping(fields))
}
