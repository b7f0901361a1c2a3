//! Whose signatures count: the allowed_signers file of ssh-keygen(1), section ALLOWED SIGNERS.
//!
//! ```text
//! ops@plant-7 namespaces="git",valid-before="20271231" ssh-ed25519 AAAA... comment
//! ```
//!
//! A file that ssh-keygen refuses is refused. Refused besides, because silence about them would be dangerous, are
//! certificate authorities, keys of other types, keys that prove nothing, and days that no month has. Where a time has
//! no `Z`, ssh-keygen takes the system's time zone; a device has none that can be relied on, so it is read as UTC.

use std::fmt;

use super::{
    calendar::Utc,
    pattern::matches,
    pubkey::{ED25519, KeyError, PublicKey, SK_ED25519},
    sshsig,
};
use crate::api::{Error, Reason, Result, limits};

/// One line: a key, who holds it, and what its signatures are good for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signer {
    /// Whose key it is: the line's patterns, as they stand there.
    pub principals: Box<str>,
    /// The key.
    pub key: PublicKey,
    /// A pattern list of namespaces; `None` allows all.
    pub namespaces: Option<Box<str>>,
    /// The first second at which the key is valid, since 1970.
    pub valid_after: Option<i64>,
    /// The last second at which the key is valid, since 1970.
    pub valid_before: Option<i64>,
}

/// Why a sound signature does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distrust {
    /// The key is not in the keyring.
    Unknown,
    /// The key is, but not for this namespace.
    Namespace,
    /// The key is not valid yet; holds the first second at which it is.
    NotYet(i64),
    /// The key is no longer valid; holds the last second at which it was.
    NoLonger(i64),
}

impl Distrust {
    /// The reason to refuse what is signed.
    pub fn reason(self) -> Reason {
        match self {
            Self::Unknown | Self::Namespace => Reason::UntrustedKey,
            Self::NotYet(_) | Self::NoLonger(_) => Reason::KeyNotValid,
        }
    }
}

/// The keys whose signatures count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keyring(Vec<Signer>);

impl Keyring {
    /// A keyring of these signers. A key may stand in it more than once.
    pub fn new(signers: Vec<Signer>) -> Self {
        Self(signers)
    }

    /// Reads an allowed_signers file; `name` is what errors call the file.
    ///
    /// # Errors
    ///
    /// `BadSigners` with the line, if the file is too large or has a line that is not understood whole.
    pub fn parse(name: &str, bytes: &[u8]) -> Result<Self> {
        Self::read(name, bytes, (limits::SIGNERS_BYTES, limits::SIGNERS), |_| true)
    }

    /// Reads the keys of a fleet from a publisher's allowed_signers file: the lines with a principal that ends in
    /// `place`, such as `@giter`. Other lines, where people's keys of any type stand, are not looked at.
    ///
    /// # Errors
    ///
    /// As [`parse`](Self::parse), for these lines.
    pub fn parse_fleet(name: &str, bytes: &[u8], place: &str) -> Result<Self> {
        let is_of_fleet = |line: &str| {
            field(line).is_none_or(|(principals, _)| principals.split(',').any(|pattern| pattern.ends_with(place)))
        };
        Self::read(name, bytes, (limits::FLEET_SIGNERS_BYTES, limits::FLEET_SIGNERS), is_of_fleet)
    }

    fn read(name: &str, bytes: &[u8], (size, count): (usize, usize), counts: impl Fn(&str) -> bool) -> Result<Self> {
        let bad = |place: String, what: String| Error::new(Reason::BadSigners, format!("{place}: {what}"));
        if bytes.len() > size {
            return Err(bad(name.into(), format!("it has more than {size} bytes")));
        }
        let mut signers = Vec::new();
        for (number, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
            let place = || format!("{name}:{}", number + 1);
            let line = str::from_utf8(line).map_err(|e| bad(place(), "it is not text".into()).caused_by(e))?;
            let line = line.trim_matches(is_blank);
            if line.is_empty() || line.starts_with('#') || !counts(line) {
                continue;
            }
            if signers.len() == count {
                return Err(bad(place(), format!("there are more than {count} keys")));
            }
            signers.push(signer(line).map_err(|what| bad(place(), what).hint(FORM))?);
        }
        Ok(Self(signers))
    }

    /// The signers, in the order of the file.
    pub fn signers(&self) -> &[Signer] {
        &self.0
    }

    /// Those of the signers whose principals match the one given, as patterns of ssh_config(5).
    #[must_use]
    pub fn of(&self, principal: &str) -> Self {
        Self(self.0.iter().filter(|signer| list_matches(&signer.principals, principal)).cloned().collect())
    }

    /// Whether a signature by this key in this namespace counts at the given second since 1970, and whose it then is.
    ///
    /// # Errors
    ///
    /// No line says so; the error is that of the line that comes nearest.
    pub fn judge(&self, key: &PublicKey, namespace: &str, at: i64) -> Result<&str, Distrust> {
        let mut nearest = Distrust::Unknown;
        for signer in self.0.iter().filter(|signer| signer.key == *key) {
            match signer.distrust(namespace, at) {
                None => return Ok(&signer.principals),
                Some(Distrust::Namespace) if nearest != Distrust::Unknown => {}
                Some(distrust) => nearest = distrust,
            }
        }
        Err(nearest)
    }
}

impl Signer {
    /// Whoever signs in git's namespace with a key that a manifest names. A manifest says when a key counts no more, a
    /// signer when it counted last.
    ///
    /// # Errors
    ///
    /// What is wrong with the key; a time that is none.
    pub fn from_manifest(
        principal: &str,
        key: &str,
        valid_after: Option<&str>,
        valid_before: Option<&str>,
    ) -> Result<Self, String> {
        let time = |text: Option<&str>| match text {
            None => Ok(None),
            Some(text) => {
                let seconds = Utc::from_rfc3339(text).and_then(Utc::to_seconds);
                seconds.map(Some).ok_or_else(|| format!("{text} is no day, and no second of one"))
            }
        };
        Ok(Self {
            principals: principal.into(),
            key: PublicKey::from_openssh(key).map_err(|error| error.to_string())?,
            namespaces: Some(sshsig::GIT.into()),
            valid_after: time(valid_after)?,
            valid_before: time(valid_before)?.map(|end| end - 1),
        })
    }

    /// Why a signature in this namespace does not count at the given second since 1970, if it does not.
    pub fn distrust(&self, namespace: &str, at: i64) -> Option<Distrust> {
        if self.namespaces.as_ref().is_some_and(|list| !list_matches(list, namespace)) {
            return Some(Distrust::Namespace);
        }
        let not_yet = self.valid_after.filter(|first| at < *first).map(Distrust::NotYet);
        not_yet.or(self.valid_before.filter(|last| at > *last).map(Distrust::NoLonger))
    }
}

/// The line as it stands in an allowed_signers file, without a newline.
impl fmt::Display for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = |name: &str, seconds: Option<i64>| {
            let Utc { year, month, day, hour, minute, second } = Utc::of_seconds(seconds?);
            Some(format!("{name}=\"{year:04}{month:02}{day:02}{hour:02}{minute:02}{second:02}Z\""))
        };
        let namespaces = self.namespaces.as_ref().map(|list| format!("namespaces=\"{}\"", list.replace('"', "\\\"")));
        let options = [namespaces, time("valid-after", self.valid_after), time("valid-before", self.valid_before)];
        let options = options.into_iter().flatten().collect::<Vec<_>>().join(",");

        let quote = if self.principals.contains(is_blank) { "\"" } else { "" };
        let space = if options.is_empty() { "" } else { " " };
        write!(f, "{quote}{}{quote} {options}{space}{}", self.principals, self.key.to_openssh())
    }
}

const FORM: &str = "write each line as: NAME@PLACE namespaces=\"git,giter-exchange\" ssh-ed25519 AAAA...";

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r')
}

/// One line: `principals [options] type base64 [comment]`.
fn signer(line: &str) -> Result<Signer, String> {
    let (principals, rest) = field(line).ok_or("its principals have no closing quote")?;
    if principals.split(',').any(|pattern| matches!(pattern, "" | "!")) {
        return Err("its principals have an empty pattern".into());
    }
    if rest.is_empty() {
        return Err("it has no key".into());
    }
    // As ssh-keygen does: what is not a key begins with options.
    match PublicKey::from_openssh(rest) {
        Ok(key) => Ok(Options::default().with(principals, key)),
        Err(KeyError::Unsupported(name)) if is_key_type(&name) => Err(KeyError::Unsupported(name).to_string()),
        Err(error) if [ED25519, SK_ED25519].iter().any(|name| rest.starts_with(name)) => Err(error.to_string()),
        Err(_) => {
            let (options, rest) = options(rest)?;
            let key = PublicKey::from_openssh(rest).map_err(|error| error.to_string())?;
            Ok(options.with(principals, key))
        }
    }
}

/// Whether a word that is no option names a type of key.
fn is_key_type(name: &str) -> bool {
    ["ssh-", "ecdsa-", "sk-"].iter().any(|prefix| name.starts_with(prefix))
}

/// The first field, without its quotes if it has them, and what follows it; `None` if a quote is not closed.
fn field(line: &str) -> Option<(&str, &str)> {
    let (field, rest) = match line.strip_prefix('"') {
        Some(quoted) => quoted.split_once('"')?,
        None => line.split_at(line.find(is_blank).unwrap_or(line.len())),
    };
    Some((field, rest.trim_start_matches(is_blank)))
}

#[derive(Default)]
struct Options {
    namespaces: Option<Box<str>>,
    valid_after: Option<i64>,
    valid_before: Option<i64>,
}

impl Options {
    fn with(self, principals: &str, key: PublicKey) -> Signer {
        let Self { namespaces, valid_after, valid_before } = self;
        Signer { principals: principals.into(), key, namespaces, valid_after, valid_before }
    }
}

/// Comma-separated options up to the first blank outside quotes, and what follows them. Names are read in any case.
fn options(text: &str) -> Result<(Options, &str), String> {
    let mut options = Options::default();
    let mut rest = text;
    loop {
        let end = rest.find(['=', ',', ' ', '\t']).unwrap_or(rest.len());
        let (name, after) = (rest[..end].to_ascii_lowercase(), &rest[end..]);
        let value;
        (value, rest) = match after.strip_prefix('=') {
            Some(after) => quoted(after).map(|(value, rest)| (Some(value), rest))?,
            None => (None, after),
        };
        match (name.as_str(), value) {
            ("cert-authority", None) => return Err("certificate authorities are not accepted, only plain keys".into()),
            ("namespaces", Some(value)) => once(&mut options.namespaces, &name, value.into())?,
            ("valid-after", Some(value)) => once(&mut options.valid_after, &name, time(&value)?)?,
            ("valid-before", Some(value)) => once(&mut options.valid_before, &name, time(&value)?)?,
            ("namespaces" | "valid-after" | "valid-before", None) => return Err(format!("{name} has no value")),
            _ => return Err(format!("{:?} is neither an option nor a type of key", shortened(&name))),
        }
        match rest.strip_prefix(',') {
            Some(more) => rest = more,
            None if rest.is_empty() => return Err("it has no key".into()),
            None if rest.starts_with(is_blank) => break,
            None => return Err(format!("something follows the closing quote of {name}")),
        }
    }
    if let (Some(first), Some(last)) = (options.valid_after, options.valid_before)
        && last <= first
    {
        return Err("valid-before is not later than valid-after".into());
    }
    Ok((options, rest.trim_start_matches(is_blank)))
}

fn once<T>(slot: &mut Option<T>, name: &str, value: T) -> Result<(), String> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(format!("{name} stands there twice")),
    }
}

/// As much of a word as an error repeats.
fn shortened(word: &str) -> &str {
    &word[..word.floor_char_boundary(32)]
}

/// The value in double quotes at the front, in which `\"` stands for a quote, and what follows it.
fn quoted(text: &str) -> Result<(String, &str), String> {
    let body = text.strip_prefix('"').ok_or("an option's value does not begin with a double quote")?;
    let mut value = String::new();
    let mut characters = body.char_indices().peekable();
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => return Ok((value, &body[at + 1..])),
            '\\' if characters.next_if(|(_, next)| *next == '"').is_some() => value.push('"'),
            _ => value.push(c),
        }
    }
    Err("an option's value has no closing quote".into())
}

/// `YYYYMMDD[HHMM[SS]][Z]` in seconds since 1970, read as UTC.
fn time(text: &str) -> Result<i64, String> {
    let digits = text.strip_suffix(['Z', 'z']).unwrap_or(text);
    let number = |from: usize, to: usize| {
        let digits = digits.as_bytes().get(from..to).unwrap_or_default();
        digits.iter().fold(0, |number, digit| number * 10 + i64::from(digit - b'0'))
    };
    let seconds = if matches!(digits.len(), 8 | 12 | 14) && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        let (year, month, day) = (number(0, 4), number(4, 6), number(6, 8));
        let (hour, minute, second) = (number(8, 10), number(10, 12), number(12, 14));
        Utc { year, month, day, hour, minute, second }.to_seconds()
    } else {
        None
    };
    seconds.ok_or_else(|| format!("{:?} is not a time such as 20261231 or 20261231235959Z", shortened(text)))
}

/// Whether a pattern list of ssh_config(5) matches: one of its patterns does, and none after a `!` does.
fn list_matches(list: &str, text: &str) -> bool {
    let refused = |pattern: &str| pattern.strip_prefix('!').is_some_and(|pattern| matches(pattern, text));
    let allowed = |pattern: &str| !pattern.starts_with('!') && matches(pattern, text);
    !list.split(',').any(refused) && list.split(',').any(allowed)
}

#[cfg(test)]
mod tests;
