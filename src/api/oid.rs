//! A git object's name.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A SHA-1 object name, as git writes it in hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Oid([u8; 20]);

impl Oid {
    /// Takes the raw bytes of an object name.
    pub const fn new(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }

    /// The raw bytes.
    pub const fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }

    /// The first twelve hexadecimal digits, for people.
    pub fn short(&self) -> String {
        let mut text = self.to_string();
        text.truncate(12);
        text
    }
}

impl fmt::Display for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Oid({self})")
    }
}

/// The text is not forty hexadecimal digits.
#[derive(Debug, PartialEq, Eq)]
pub struct NotAnOid;

impl fmt::Display for NotAnOid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object name is 40 hexadecimal digits")
    }
}

impl std::error::Error for NotAnOid {}

impl FromStr for Oid {
    type Err = NotAnOid;

    fn from_str(text: &str) -> Result<Self, NotAnOid> {
        let text = text.as_bytes();
        if text.len() != 40 {
            return Err(NotAnOid);
        }
        let digit = |byte: u8| (byte as char).to_digit(16).ok_or(NotAnOid);
        let mut bytes = [0; 20];
        for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
            *byte = (digit(pair[0])? << 4 | digit(pair[1])?) as u8;
        }
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_bytes_agree() {
        let text = "0123456789abcdef0123456789abcdef01234567";
        let oid: Oid = text.parse().unwrap();
        assert_eq!(oid.to_string(), text);
        assert_eq!(oid.short(), "0123456789ab");
        assert_eq!(oid.as_bytes()[0], 0x01);
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "0123", "g123456789abcdef0123456789abcdef01234567", "0123456789abcdef0123456789abcdef0123456é"]
        {
            assert_eq!(text.parse::<Oid>(), Err(NotAnOid), "{text}");
        }
    }
}
