//! What each verb makes of the charter, and how it is told.

use giter_edge::{
    api::{Error, Exchange, Reason, Result, exchange::Publisher},
    codec::{calendar::Utc, charter::PATH},
};

use super::draft::Draft;
use crate::keys::PublicLine;

/// A change, in words.
pub(super) struct Change {
    /// The first line of the commit's message.
    pub(super) subject: String,
    /// What was done, a line each.
    pub(super) done: Vec<String>,
    /// Whether the roots are others now.
    pub(super) concerns_roots: bool,
}

/// When a key counts, as the charter writes it.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct Validity {
    /// The first day or second on which the key counts, such as 2026-11-01 or 2026-11-01T06:00:00Z
    #[arg(long, value_name = "TIME", value_parser = time)]
    valid_after: Option<String>,

    /// The first day or second on which it counts no more
    #[arg(long, value_name = "TIME", value_parser = time)]
    valid_before: Option<String>,
}

/// A day or a second, as the charter takes it.
pub(super) fn time(text: &str) -> Result<String, &'static str> {
    const FORM: &str = "expected a day such as 2026-12-31, or a second such as 2026-12-31T23:59:59Z";
    Utc::from_rfc3339(text).map(|_| text.to_owned()).ok_or(FORM)
}

/// The second that such a text names.
fn seconds(time: &str) -> Option<i64> {
    Utc::from_rfc3339(time).and_then(Utc::to_seconds)
}

pub(super) fn add_publisher(
    draft: &mut Draft,
    principal: &str,
    key: &PublicLine,
    paths: &[String],
    validity: &Validity,
) -> Result<Change> {
    check_new(draft.exchange(), key)?;
    let Validity { valid_after, valid_before } = validity;
    if let (Some(first), Some(end)) = (valid_after, valid_before)
        && seconds(first) >= seconds(end)
    {
        return Err(Error::new(Reason::Usage, format!("a key that counts from {first} to {end} never does"))
            .hint("--valid-before is the first day or second on which it counts no more"));
    }
    draft.add_publisher(Publisher {
        principal: principal.into(),
        key: key.to_string().into(),
        paths: paths.iter().map(|path| path.as_str().into()).collect(),
        valid_after: valid_after.as_deref().map(Into::into),
        valid_before: valid_before.as_deref().map(Into::into),
    })?;
    let mut what = format!("added publisher {principal}, {}", key.key);
    what += &if paths.is_empty() { ", for all paths".into() } else { format!(", for {}", paths.join(", ")) };
    what += &valid_after.as_ref().map(|time| format!(", from {time}")).unwrap_or_default();
    what += &valid_before.as_ref().map(|time| format!(", until {time}")).unwrap_or_default();
    Ok(Change { subject: format!("Add the publisher {principal}"), done: vec![what], concerns_roots: false })
}

pub(super) fn add_root(draft: &mut Draft, key: &PublicLine) -> Result<Change> {
    check_new(draft.exchange(), key)?;
    draft.add_root(&key.to_string())?;
    Ok(Change {
        subject: format!("Add the root {}", key.name()),
        done: vec![format!("added root {}, {}", key.name(), key.key)],
        concerns_roots: true,
    })
}

/// Takes a root or a publisher off the charter; by a fingerprint, whatever the key may do.
pub(super) fn revoke(draft: &mut Draft, named: &str) -> Result<Change> {
    let (roots, publishers) = (roots(draft.exchange(), named)?, publishers(draft.exchange(), named)?);
    if roots.is_empty() && publishers.is_empty() {
        return Err(not_found(named));
    }
    let is_ambiguous = !is_fingerprint(named) && (roots.len() > 1 || !roots.is_empty() && !publishers.is_empty());
    if is_ambiguous {
        return Err(ambiguous(named, roots.iter().chain(&publishers)));
    }
    if !roots.is_empty() && roots.len() == draft.exchange().roots.len() {
        let what = format!("{named} is the last root, and a charter without a root can never change again");
        return Err(Error::new(Reason::Usage, what)
            .hint(format!("put another in its place: giterctl trust rotate root {named} NEWKEY")));
    }
    let mut done = Vec::new();
    // From the end, so that places before stay as they are.
    for Found { index, name, key } in roots.iter().rev() {
        draft.remove_root(*index)?;
        done.push(format!("revoked root {name}, {}", key.key));
    }
    for Found { index, name, key } in publishers.iter().rev() {
        draft.remove_publisher(*index)?;
        done.push(format!("revoked publisher {name}, {}", key.key));
    }
    done.reverse();
    let name = roots.iter().chain(&publishers).next().map_or(named, |found| &found.name);
    Ok(Change { subject: format!("Revoke {name}"), done, concerns_roots: !roots.is_empty() })
}

/// A new key for a publisher; until the given time the old one counts too.
pub(super) fn rotate_publisher(
    draft: &mut Draft,
    named: &str,
    key: &PublicLine,
    overlap_until: Option<&str>,
    valid_before: Option<&str>,
    now: i64,
) -> Result<Change> {
    check_new(draft.exchange(), key)?;
    let old = current_publisher(draft.exchange(), named, now)?;
    let before = draft.exchange().publishers[old.index].clone();
    let next = Publisher {
        key: key.to_string().into(),
        valid_after: None,
        valid_before: valid_before.map(Into::into),
        ..before.clone()
    };
    let Found { index, name, key: old } = old;
    let done = match overlap_until {
        None => {
            draft.replace_publisher(index, next)?;
            format!("replaced the key of publisher {name}, {}, by {}", old.key, key.key)
        }
        Some(until) => {
            if seconds(until) <= Some(now) {
                return Err(Error::new(Reason::Usage, format!("{until} is past")).hint("end the overlap later"));
            }
            if let Some(end) = before.valid_before.filter(|end| seconds(end) < seconds(until)) {
                return Err(Error::new(Reason::Usage, format!("the old key of {name} ends before that, on {end}"))
                    .hint(format!("end the overlap then: --overlap-until {end}")));
            }
            draft.end_publisher(index, until)?;
            draft.add_publisher(next)?;
            format!("added {} to publisher {name}, whose key {} counts until {until}", key.key, old.key)
        }
    };
    Ok(Change { subject: format!("Rotate the key of {name}"), done: vec![done], concerns_roots: false })
}

pub(super) fn rotate_root(draft: &mut Draft, named: &str, key: &PublicLine) -> Result<Change> {
    check_new(draft.exchange(), key)?;
    let old = root(draft.exchange(), named)?;
    draft.replace_root(old.index, &key.to_string())?;
    Ok(Change {
        subject: format!("Rotate the root {}", old.name),
        done: vec![format!("replaced root {}, {}, by {}, {}", old.name, old.key.key, key.name(), key.key)],
        concerns_roots: true,
    })
}

/// A root or publisher of the charter.
pub(super) struct Found {
    index: usize,
    name: String,
    pub(super) key: PublicLine,
}

/// The one root of a name or fingerprint.
///
/// # Errors
///
/// `SignerNotFound`, `Usage`.
pub(super) fn root(exchange: &Exchange, named: &str) -> Result<Found> {
    one(named, roots(exchange, named)?)
}

fn roots(exchange: &Exchange, named: &str) -> Result<Vec<Found>> {
    let found = exchange.roots.iter().enumerate().map(|(index, line)| {
        let key = PublicLine::parse(PATH, line)?;
        Ok(Found { index, name: key.name(), key })
    });
    select(found, named)
}

fn publishers(exchange: &Exchange, named: &str) -> Result<Vec<Found>> {
    let found = exchange.publishers.iter().enumerate().map(|(index, publisher)| {
        Ok(Found { index, name: publisher.principal.to_string(), key: PublicLine::parse(PATH, &publisher.key)? })
    });
    select(found, named)
}

/// The publisher's key that counts, of those that may be left over from earlier rotations.
fn current_publisher(exchange: &Exchange, named: &str, now: i64) -> Result<Found> {
    let mut found = publishers(exchange, named)?;
    let end = |found: &Found| exchange.publishers[found.index].valid_before.as_deref().and_then(seconds);
    if found.iter().any(|found| end(found).is_none_or(|end| end > now)) {
        found.retain(|found| end(found).is_none_or(|end| end > now));
    }
    one(named, found)
}

fn select(found: impl Iterator<Item = Result<Found>>, named: &str) -> Result<Vec<Found>> {
    let is_named = |found: &Found| match is_fingerprint(named) {
        true => found.key.key.fingerprint() == named,
        false => found.name == named,
    };
    found.filter(|found| found.as_ref().map_or(true, is_named)).collect()
}

fn one(named: &str, mut found: Vec<Found>) -> Result<Found> {
    match (found.pop(), &found[..]) {
        (None, _) => Err(not_found(named)),
        (Some(found), []) => Ok(found),
        (Some(last), others) => Err(ambiguous(named, others.iter().chain([&last]))),
    }
}

fn is_fingerprint(named: &str) -> bool {
    named.starts_with("SHA256:")
}

fn not_found(named: &str) -> Error {
    Error::new(Reason::SignerNotFound, format!("{PATH} has no {named}"))
        .hint("name one as giterctl trust list does, or by its fingerprint")
}

fn ambiguous<'a>(named: &str, found: impl Iterator<Item = &'a Found>) -> Error {
    let keys: Vec<_> = found.map(|found| found.key.key.fingerprint()).collect();
    Error::new(Reason::Usage, format!("{named} has more than one key"))
        .hint(format!("name one by its fingerprint: {}", keys.join(" or ")))
}

/// A key stands for one root or one publisher.
fn check_new(exchange: &Exchange, key: &PublicLine) -> Result<()> {
    let fingerprint = key.key.fingerprint();
    let root = roots(exchange, &fingerprint)?.into_iter().next().map(|found| format!("the root {}", found.name));
    let holder = match root {
        Some(root) => Some(root),
        None => publishers(exchange, &fingerprint)?.first().map(|found| format!("the publisher {}", found.name)),
    };
    match holder {
        None => Ok(()),
        Some(holder) => Err(Error::new(Reason::Usage, format!("the key {fingerprint} is that of {holder} already"))
            .hint("give everybody a key of their own; or revoke that one first")),
    }
}
