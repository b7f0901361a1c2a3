//! Conditions, as Kubernetes' API conventions define them (type, status, reason, message).

use std::fmt;

use serde::{Deserialize, Serialize, de};

use super::{Error, limits};

/// What a condition is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ConditionType {
    /// The resource, or the device with all its resources, is as the spec says.
    Ready,
    /// Something changed the resource behind the agent's back.
    Drifted,
    /// The last attempt to apply the resource failed.
    Degraded,
    /// The device follows the exchange's branch: the last fetch was accepted.
    Synced,
    /// The device tells what happens when it happens; it is there only where something waits.
    Reported,
}

impl fmt::Display for ConditionType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// Whether it is so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConditionStatus {
    /// It is so.
    True,
    /// It is not so.
    False,
    /// It cannot be told.
    Unknown,
}

impl fmt::Display for ConditionStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A text of at most `N` bytes; what is cut off is marked with `…`. It is put together on the stack, within its bound,
/// and kept in no more memory than it needs: a device has thousands of them.
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Text<const N: usize>(Box<str>);

impl<const N: usize> Text<N> {
    /// Takes as much of the text as fits. Control characters become spaces.
    pub fn new(text: &str) -> Self {
        const CUT: char = '…';
        let clean = |c: char| if c.is_control() { ' ' } else { c };
        let mut kept = heapless::String::<N>::new();
        if text.chars().map(clean).try_for_each(|c| kept.push(c)).is_err() {
            while kept.len() + CUT.len_utf8() > N && kept.pop().is_some() {}
            // A text too short even for the mark stays empty.
            let _ = kept.push(CUT);
        }
        Self(kept.as_str().into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<const N: usize> fmt::Display for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<const N: usize> fmt::Debug for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl<'de, const N: usize> Deserialize<'de> for Text<N> {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = heapless::String::<N>::deserialize(deserializer)?;
        if text.contains(char::is_control) {
            return Err(de::Error::custom("a text has no control characters"));
        }
        Ok(Self(text.as_str().into()))
    }
}

/// One condition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// What it is about.
    #[serde(rename = "type")]
    pub kind: ConditionType,
    /// Whether it is so.
    pub status: ConditionStatus,
    /// CamelCase, for programs.
    pub reason: Text<{ limits::REASON_BYTES }>,
    /// One line, for people; may be empty.
    pub message: Text<{ limits::MESSAGE_BYTES }>,
}

impl Condition {
    /// A condition with the given reason and message.
    pub fn new(kind: ConditionType, status: ConditionStatus, reason: &str, message: &str) -> Self {
        Self { kind, status, reason: Text::new(reason), message: Text::new(message) }
    }

    /// A condition whose reason and message are an error's.
    pub fn of_error(kind: ConditionType, status: ConditionStatus, error: &Error) -> Self {
        Self::new(kind, status, error.reason().as_str(), &error.one_line())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_with_a_mark_on_a_character() {
        assert_eq!(Text::<8>::new("short").as_str(), "short");
        assert_eq!(Text::<8>::new("12345678").as_str(), "12345678");
        assert_eq!(Text::<8>::new("123456789").as_str(), "12345…");
        assert_eq!(Text::<8>::new("äöüäöü").as_str(), "äö…");
        assert_eq!(Text::<2>::new("abc").as_str(), "");
    }

    #[test]
    fn control_characters_do_not_reach_a_terminal() {
        assert_eq!(Text::<16>::new("a\x1b[31m\nb").as_str(), "a [31m b");
    }
}
