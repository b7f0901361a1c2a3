//! Bundles: a pack with the refs that it is for and what has to be there before, in git's bundle format
//! (gitformat-bundle(5)).
//!
//! ```text
//! "# v2 git bundle"                              or "# v3 git bundle" | "@" capability | ...
//! "-" prerequisite, words | ... | object, ref | ... | (empty line) | pack
//! ```
//!
//! Version 2 is written, 2 and 3 are read. A header is read line by line, and nothing of it is kept but what was asked
//! for: how long it may be is bounded, and how much memory it takes does not depend on that.

use std::io::{self, BufRead, Read};

use super::pack;
use crate::{
    api::{Error, Oid, Reason, Result, limits},
    reconcile::ports::NewObject,
};

/// A bundle that brings one ref, with all that it leads to down to the base, which has to be there before; without a
/// base nothing has to.
///
/// # Errors
///
/// Those of [`pack::write`].
pub fn write(name: &str, tip: Oid, base: Option<Oid>, objects: &[NewObject]) -> Result<Vec<u8>> {
    let mut bundle = head(base.map(|base| (base, "")), [(tip, name)]).into_bytes();
    bundle.extend(pack::write(objects)?);
    Ok(bundle)
}

/// What stands before the pack of a bundle that brings these refs. Behind the base stand words for people, where there are
/// any.
pub fn head<'a>(base: Option<(Oid, &str)>, refs: impl IntoIterator<Item = (Oid, &'a str)>) -> String {
    let base = base.map(|(base, words)| format!("{}\n", format!("-{base} {words}").trim_end())).unwrap_or_default();
    let refs: String = refs.into_iter().map(|(id, name)| format!("{id} {name}\n")).collect();
    format!("# v2 git bundle\n{base}{refs}\n")
}

/// What stands before the pack of a bundle, as far as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header<const N: usize> {
    /// Where the refs are that were asked for, each `None` if it does not come.
    pub refs: [Option<Oid>; N],
    /// The commits that have to be there before.
    pub prerequisites: Vec<Oid>,
}

/// Reads what stands before the pack, and leaves the reader there.
///
/// # Errors
///
/// `BundleInvalid` if it is no bundle, of a form that is not read, or longer than is read; what the reader fails with, if
/// that is an [`Error`] in an [`io::Error`], else `StickFailed`.
pub fn header<const N: usize>(source: &mut impl BufRead, names: [&str; N]) -> Result<Header<N>> {
    let mut lines = Lines { source, left: limits::BUNDLE_HEADER_BYTES, line: Vec::new() };
    let is_v3 = match lines.next()? {
        b"# v2 git bundle" => false,
        b"# v3 git bundle" => true,
        line if line.starts_with(b"# v") && line.ends_with(b" git bundle") => {
            return Err(invalid(format!("the bundle is of version {}", text(&line[3..line.len() - 11])))
                .hint("let git write version 2 or 3: git bundle create --version=3"));
        }
        _ => {
            return Err(
                invalid("the file is no git bundle").hint("'giterctl export' and 'git bundle create' make them")
            );
        }
    };
    let mut header = Header { refs: [None; N], prerequisites: Vec::new() };
    let (mut refs, mut may_list, mut may_require) = (0, is_v3, true);
    loop {
        match lines.next()? {
            [] => return Ok(header),
            [b'@', capability @ ..] if may_list => allow(capability)?,
            [b'-', rest @ ..] if may_require => {
                may_list = false;
                header.prerequisites.push(entry(rest)?.0);
                if header.prerequisites.len() > limits::BUNDLE_PREREQUISITES {
                    return Err(too_many("prerequisites", limits::BUNDLE_PREREQUISITES));
                }
            }
            line => {
                (may_list, may_require) = (false, false);
                let (id, name) = entry(line)?;
                if let Some(at) = names.iter().position(|wanted| wanted.as_bytes() == name) {
                    header.refs[at] = Some(id);
                }
                refs += 1;
                if refs > limits::REFS {
                    return Err(too_many("refs", limits::REFS));
                }
            }
        }
    }
}

/// What a bundle of version 3 may ask of its reader. What a filter left out shows where it is missed.
fn allow(capability: &[u8]) -> Result<()> {
    match capability {
        b"object-format=sha1" => Ok(()),
        filter if filter.starts_with(b"filter=") => Ok(()),
        other => Err(invalid(format!("the bundle asks for @{}, which this agent does not have", text(other)))
            .hint("make it from a SHA-1 repository, with git bundle create --version=2")),
    }
}

/// An object's name, and what follows it after a space.
fn entry(line: &[u8]) -> Result<(Oid, &[u8])> {
    let (id, rest) = line.split_at_checked(40).unwrap_or((line, b""));
    let id = std::str::from_utf8(id).ok().and_then(|id| id.parse().ok());
    match (id, rest) {
        (Some(id), []) => Ok((id, b"")),
        (Some(id), [b' ', rest @ ..]) => Ok((id, rest)),
        _ => Err(invalid("the bundle's header has a line that is none of git's")),
    }
}

/// The lines of a header, as long as that is not longer than is read.
struct Lines<'a, R> {
    source: &'a mut R,
    left: u64,
    line: Vec<u8>,
}

impl<R: BufRead> Lines<'_, R> {
    /// The next line, without its end.
    fn next(&mut self) -> Result<&[u8]> {
        self.line.clear();
        let most = self.left.min(limits::BUNDLE_LINE_BYTES);
        let count = self.source.take(most).read_until(b'\n', &mut self.line).map_err(unread)? as u64;
        self.left -= count;
        match self.line.strip_suffix(b"\n") {
            Some(line) => Ok(line),
            None if count < most => Err(invalid("the bundle ends within its header")),
            None => Err(invalid("the bundle's header is longer than is read")),
        }
    }
}

fn unread(error: io::Error) -> Error {
    pack::unwrap(error, |e| Error::new(Reason::StickFailed, "cannot read the bundle").caused_by(e))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(limits::REASON_BYTES)]).escape_debug().to_string()
}

fn too_many(what: &str, most: usize) -> Error {
    invalid(format!("the bundle has more than {most} {what}"))
}

fn invalid(what: impl Into<String>) -> Error {
    Error::new(Reason::BundleInvalid, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "0123456789abcdef0123456789abcdef01234567";
    const TWO: &str = "89abcdef0123456789abcdef0123456789abcdef";

    fn read(text: &str) -> Result<(Header<2>, usize)> {
        let mut source = text.as_bytes();
        let header = header(&mut source, ["refs/heads/main", "refs/giter/status/dev"])?;
        Ok((header, source.len()))
    }

    fn refusal(text: &str) -> Error {
        let error = read(text).unwrap_err();
        assert_eq!(error.reason(), Reason::BundleInvalid, "{text:.80}: {error:?}");
        error
    }

    #[test]
    fn a_header_is_read_to_the_pack() {
        let text =
            format!("# v2 git bundle\n-{ONE} a subject\n-{TWO}\n{TWO} refs/tags/x\n{ONE} refs/heads/main\n\nPACK");
        let (header, left) = read(&text).unwrap();
        assert_eq!(header.refs, [ONE.parse().ok(), None]);
        assert_eq!(header.prerequisites, [ONE.parse().unwrap(), TWO.parse().unwrap()]);
        assert_eq!(left, 4);
    }

    #[test]
    fn a_capability_is_known_or_named() {
        let with = |line: &str| format!("# v3 git bundle\n{line}\n{ONE} refs/heads/main\n\n");
        for known in ["@object-format=sha1", "@filter=blob:none"] {
            assert_eq!(read(&with(known)).unwrap().0.refs, [ONE.parse().ok(), None]);
        }
        let error = refusal(&with("@object-format=sha256"));
        assert!(error.to_string().contains("@object-format=sha256"), "{error}");
        refusal(&with("@worktrees"));
        refusal(&with("@filter=blob:none").replace("v3", "v2"));
    }

    #[test]
    fn what_is_no_header_is_refused() {
        let sound = format!("# v2 git bundle\n-{ONE}\n{ONE} refs/heads/main\n\n");
        for end in 0..sound.len() {
            refusal(&sound[..end]);
        }
        refusal(&sound.replace("v2", "v4"));
        refusal(&sound.replace("refs/heads/main\n", &format!("refs/heads/main\n-{TWO}\n")));
        refusal(&sound.replace(&ONE[..8], "abcdefgh"));
        refusal("PACK");
    }

    #[test]
    fn no_header_is_endless() {
        refusal(&format!("# v2 git bundle\n-{ONE} {}", "x".repeat(limits::BUNDLE_LINE_BYTES as usize)));
        refusal(&format!("# v2 git bundle\n{}", format!("-{ONE}\n").repeat(limits::BUNDLE_PREREQUISITES + 1)));
        refusal(&format!("# v2 git bundle\n{}", format!("{ONE} refs/x\n").repeat(limits::REFS + 1)));
        let long = format!("-{ONE} {}\n", "x".repeat(limits::BUNDLE_LINE_BYTES as usize - 50));
        refusal(&format!("# v2 git bundle\n{}", long.repeat(1 + limits::BUNDLE_HEADER_BYTES as usize / long.len())));
    }

    #[test]
    fn what_is_written_is_read() {
        let (tip, base) = (ONE.parse().unwrap(), TWO.parse().unwrap());
        for base in [None, Some(base)] {
            let bytes = write("refs/giter/status/dev", tip, base, &[]).unwrap();
            let mut source = bytes.as_slice();
            let read = header(&mut source, ["refs/giter/status/dev"]).unwrap();
            assert_eq!(read, Header { refs: [Some(tip)], prerequisites: base.into_iter().collect() });
            assert_eq!(source, pack::write(&[]).unwrap());
        }
    }
}
