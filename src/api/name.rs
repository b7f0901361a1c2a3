//! Names: of resources, devices and exchanges.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize, de};

use super::{limits, resource::Kind};

/// Why a text is not a name; says what a name is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotAName(&'static str);

impl fmt::Display for NotAName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for NotAName {}

/// RFC 1123 section 2.1 as Kubernetes reads it: 1 to 63 of `a-z`, `0-9` and `-`, with `-` neither first nor last.
fn is_label(text: &str) -> bool {
    let edge = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    (1..=63).contains(&bytes.len())
        && bytes.iter().all(|byte| edge(byte) || *byte == b'-')
        && bytes.first().is_some_and(edge)
        && bytes.last().is_some_and(edge)
}

macro_rules! text_word {
    ($(#[$doc:meta])* $name:ident, $valid:expr, $message:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(Box<str>);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NotAName;

            fn from_str(text: &str) -> Result<Self, NotAName> {
                let valid: fn(&str) -> bool = $valid;
                if valid(text) { Ok(Self(text.into())) } else { Err(NotAName($message)) }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(de::Error::custom)
            }
        }
    };
}

text_word! {
    /// `metadata.name`: an RFC 1123 label.
    Name, is_label,
    "a name is 1 to 63 of a-z, 0-9 and '-', and begins and ends with a letter or digit (RFC 1123 label)"
}

text_word! {
    /// A device's folder under `specs/`: RFC 1123 labels joined by `/`.
    DeviceId,
    |text| text.split('/').count() <= limits::DEVICE_DEPTH && text.split('/').all(is_label),
    "a device is RFC 1123 labels joined by '/', such as site-a/pump-07, at most 8 of them"
}

text_word! {
    /// The random id of an exchange: 32 lowercase hexadecimal digits.
    ExchangeId,
    |text| text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')),
    "an exchange id is 32 lowercase hexadecimal digits"
}

/// What makes a resource one of a kind in a device's specs.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct ResourceKey {
    /// The resource's kind.
    pub kind: Kind,
    /// The resource's name.
    pub name: Name,
}

impl fmt::Display for ResourceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.name)
    }
}

impl FromStr for ResourceKey {
    type Err = NotAName;

    fn from_str(text: &str) -> Result<Self, NotAName> {
        let (kind, name) = text.split_once('/').ok_or(NotAName("a resource is Kind/name"))?;
        let kind = kind.parse().map_err(|_| NotAName("the kind is not one that giter-edge knows"))?;
        Ok(Self { kind, name: name.parse()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_labels() {
        for good in ["a", "motd", "pump-relay-2", "0", &"x".repeat(63)] {
            assert!(good.parse::<Name>().is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a.b", "a/b", "ä", "a\n", &"x".repeat(64)] {
            assert!(bad.parse::<Name>().is_err(), "{bad}");
        }
    }

    #[test]
    fn devices_nest() {
        for good in ["pump-07", "site-a/pump-07", "a/b/c"] {
            assert!(good.parse::<DeviceId>().is_ok(), "{good}");
        }
        // Names that differ in their case alone would be one on a stick with FAT.
        for bad in
            ["", "/", "a/", "/a", "a//b", "..", "a/../b", "a/.git", "Pump-07", "site-A/pump", &["a"; 9].join("/")]
        {
            assert!(bad.parse::<DeviceId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_key_reads_as_it_prints() {
        let key: ResourceKey = "GpioLine/pump-relay".parse().unwrap();
        assert_eq!(key.to_string(), "GpioLine/pump-relay");
        assert!("Nope/x".parse::<ResourceKey>().is_err());
        assert!("File".parse::<ResourceKey>().is_err());
    }
}
