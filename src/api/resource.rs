//! Resources: what a publisher asks of a device, one variant per kind.
//!
//! The serde forms of the specs are the manifest's fields; `codec::manifest` reads them, `giterctl` prints them.

use std::{fmt, path::Path, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize, de};

use super::{
    Oid, ResourceKey,
    board::{LedState, Level, LineConfig},
};

/// The kinds of resources. A new one is added at the end: its number is on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// A file on the device.
    File,
    /// A line of a GPIO chip.
    GpioLine,
    /// An LED of the kernel's LED class.
    Led,
}

impl Kind {
    /// Every kind.
    pub const ALL: &[Kind] = &[Kind::File, Kind::GpioLine, Kind::Led];
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl FromStr for Kind {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Kind::ALL.iter().copied().find(|kind| kind.to_string() == text).ok_or(())
    }
}

/// One resource of a device, as decoded from the exchange.
#[derive(Clone, Debug, PartialEq)]
pub struct Resource {
    /// Kind and name.
    pub key: ResourceKey,
    /// Where it stands: the manifest's path in the exchange and the line of its document.
    pub origin: Origin,
    /// The manifest's blob.
    pub digest: Oid,
    /// The resources that are applied before this one (`edge.giter.dev/after`).
    pub after: Vec<ResourceKey>,
    /// What is asked.
    pub spec: Spec,
}

/// A place in the exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The file.
    pub path: Arc<str>,
    /// The line, from 1.
    pub line: u32,
    /// Line and column of those fields that name something of the device, such as `spec.line`.
    pub fields: Box<[(&'static str, (u32, u32))]>,
}

impl Origin {
    /// Line and column of a field that names something of the device; those of the document where it has no such field.
    pub fn field(&self, name: &str) -> (u32, u32) {
        self.fields.iter().find(|(field, _)| *field == name).map_or((self.line, 1), |(_, at)| *at)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.path, self.line)
    }
}

/// What is asked, per kind.
#[derive(Clone, Debug, PartialEq)]
pub enum Spec {
    /// See [`FileSpec`].
    File(FileSpec),
    /// See [`GpioLineSpec`].
    GpioLine(GpioLineSpec),
    /// See [`LedSpec`].
    Led(LedSpec),
}

impl Spec {
    /// What to do about drift.
    pub fn drift(&self) -> Drift {
        match self {
            Spec::File(spec) => spec.drift,
            Spec::GpioLine(spec) => spec.drift,
            Spec::Led(spec) => spec.drift,
        }
    }
}

/// What to do when something changed a resource behind the agent's back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Drift {
    /// Put it right, and say so.
    #[default]
    Correct,
    /// Only say so.
    Report,
    /// Do not look.
    Ignore,
}

/// What to do with the target when the resource is deleted from the exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnDelete {
    /// Drive the failsafe value.
    Failsafe,
    /// Leave it as it is.
    Keep,
    /// Remove it.
    Remove,
}

/// A regular file with its content, mode and owner.
#[derive(Clone, Debug, PartialEq)]
pub struct FileSpec {
    /// Where, absolute.
    pub path: FilePath,
    /// What is in it.
    pub content: Content,
    /// Permissions; `0644` if not given.
    pub mode: Mode,
    /// Who owns it; the agent's user if not given.
    pub owner: Option<Owner>,
    /// What to do about drift.
    pub drift: Drift,
    /// `Remove` (the default) or `Keep`.
    pub on_delete: OnDelete,
}

/// The content of a `File`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// The bytes themselves.
    Bytes(Arc<[u8]>),
    /// A file of the exchange, relative to the manifest's folder; `reconcile::decode` replaces it by its bytes.
    Source(Box<str>),
}

/// A GPIO line.
#[derive(Clone, Debug, PartialEq)]
pub struct GpioLineSpec {
    /// The board's name for it.
    pub line: Box<str>,
    /// Direction, level, polarity and bias.
    pub config: LineConfig,
    /// The logical level that is driven when the resource is deleted; `None` for inputs.
    pub failsafe: Option<Level>,
    /// What to do about drift.
    pub drift: Drift,
    /// `Failsafe` (the default) or `Keep`.
    pub on_delete: OnDelete,
}

/// An LED.
#[derive(Clone, Debug, PartialEq)]
pub struct LedSpec {
    /// The board's name for it.
    pub led: Box<str>,
    /// What it does.
    pub state: LedState,
    /// The brightness that is set when the resource is deleted; 0 if not given.
    pub failsafe: u32,
    /// What to do about drift.
    pub drift: Drift,
    /// `Failsafe` (the default) or `Keep`.
    pub on_delete: OnDelete,
}

/// An absolute path without `.`, `..`, empty components or control characters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(transparent)]
pub struct FilePath(Box<str>);

impl FilePath {
    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path.
    pub fn as_path(&self) -> &Path {
        Path::new(&*self.0)
    }
}

impl fmt::Display for FilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for FilePath {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let components = text.strip_prefix('/').ok_or("a path is absolute, such as /etc/motd")?;
        let wrong = |part: &str| matches!(part, "" | "." | "..") || part.chars().any(char::is_control);
        if text.len() > 1024 || components.split('/').any(wrong) {
            return Err("a path has no '.', '..', empty or control parts, and at most 1024 bytes");
        }
        Ok(Self(text.into()))
    }
}

impl<'de> Deserialize<'de> for FilePath {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// Permission bits, written as four octal digits in quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode(u32);

impl Mode {
    /// `0644`.
    pub const DEFAULT: Mode = Mode(0o644);

    /// The bits.
    pub const fn bits(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

impl FromStr for Mode {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str = "a mode is three or four octal digits in quotes, such as \"0644\", at most \"0777\"";
        let octal = (3..=4).contains(&text.len()) && text.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
        match u32::from_str_radix(text, 8) {
            Ok(bits) if octal && bits <= 0o777 => Ok(Mode(bits)),
            _ => Err(FORM),
        }
    }
}

impl<'de> Deserialize<'de> for Mode {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// `user`, `user:group` or `:group`, by name or number, as chown(1) reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The user; `None` leaves it.
    pub user: Option<Box<str>>,
    /// The group; `None` leaves it.
    pub group: Option<Box<str>>,
}

impl FromStr for Owner {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (user, group) = match text.split_once(':') {
            Some((user, group)) => (user, Some(group)),
            None => (text, None),
        };
        let valid = |name: &str| {
            name.len() <= 64 && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
        };
        let empty = user.is_empty() && group.is_none_or(str::is_empty);
        if empty || group == Some("") || !valid(user) || !group.is_none_or(valid) {
            return Err("an owner is user, user:group or :group, by name or number");
        }
        let some = |name: &str| (!name.is_empty()).then(|| name.into());
        Ok(Self { user: some(user), group: group.and_then(some) })
    }
}

impl<'de> Deserialize<'de> for Owner {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_absolute_and_plain() {
        assert!("/etc/motd".parse::<FilePath>().is_ok());
        for bad in ["", "/", "etc/motd", "/etc/../shadow", "/etc//motd", "/etc/.", "/etc/motd/", "/etc/\n"] {
            assert!(bad.parse::<FilePath>().is_err(), "{bad}");
        }
    }

    #[test]
    fn modes_are_octal_without_special_bits() {
        assert_eq!("0644".parse(), Ok(Mode(0o644)));
        assert_eq!("755".parse::<Mode>().unwrap().to_string(), "0755");
        for bad in ["", "64", "4755", "0o644", "+644", "00644", "0888"] {
            assert!(bad.parse::<Mode>().is_err(), "{bad}");
        }
    }

    #[test]
    fn owners_read_as_chown_reads_them() {
        let owner = |user: Option<&str>, group: Option<&str>| Owner {
            user: user.map(Into::into),
            group: group.map(Into::into),
        };
        assert_eq!("root".parse(), Ok(owner(Some("root"), None)));
        assert_eq!("root:adm".parse(), Ok(owner(Some("root"), Some("adm"))));
        assert_eq!(":0".parse(), Ok(owner(None, Some("0"))));
        for bad in ["", ":", "a:", "a b", "a:b:c"] {
            assert!(bad.parse::<Owner>().is_err(), "{bad}");
        }
    }
}
