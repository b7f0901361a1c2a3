//! The fetching side of git's protocol, version 2 alone (gitprotocol-v2(5)), over a pair of byte streams.
//!
//! ```text
//! ls-refs, HEAD and a name -->
//!                    <-- version 2 and capabilities, their values, where HEAD leads
//! fetch, want, have, filter, done -->
//!                    <-- a pack, on a side band
//! ```
//!
//! Off-spec: the first `ls-refs` goes out before the hub's greeting is read, which saves a round trip. Every server of
//! version 2 has that command, and one of an older version has greeted already when it fails over it.
//!
//! One `git-upload-pack` answers again and again. But it keeps the loose refs that it has read: what it says of a branch
//! once, it says for ever. `HEAD` alone it reads anew each time, so a later `ls-refs` asks for nothing else.
//!
//! There is next to no negotiation: the device has one commit, or none, and says so. Which refs there are, what is wanted and
//! what becomes of the pack is the caller's business.

use std::io::{self, Read, Write};

use super::wire::{Packets, Request, Words, broken, malformed, split_oid};
use crate::{
    api::{Error, Oid, Reason, Result, limits},
    reconcile::ports::Quarantine,
};

/// Where `HEAD` is, if it is a symbolic ref.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its value.
    pub value: Oid,
    /// The full name of the ref that it leads to.
    pub target: String,
}

/// A conversation with `git-upload-pack`.
pub struct UploadPack<S> {
    packets: Packets<S>,
    greeted: bool,
    /// The depth up to which trees and blobs may be asked to be left out from; `None` where no filter is taken.
    filters: Option<usize>,
}

/// One request for a pack.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ask<'a> {
    /// What is wanted, each with all that is below it as far as nothing else is said here.
    pub wants: &'a [Oid],
    /// A commit whose parents are not here, for which the hub is to take the device to have its whole tree: only what is
    /// new after it comes, and as deltas.
    pub have: Option<Oid>,
    /// Commits come without their parents.
    pub is_alone: bool,
    /// Trees and blobs come above this depth only, the root tree being at depth 0; those that are wanted come all the
    /// same. At most [`UploadPack::filters`].
    pub depth: Option<usize>,
}

impl<S: Read + Write> UploadPack<S> {
    /// A conversation over a stream on which nothing was said yet, with a hub of which it is known how deep its
    /// [`filters`](Self::filters) may be.
    pub fn new(stream: S, filters: Option<usize>) -> Self {
        Self { packets: Packets::new(stream), greeted: false, filters }
    }

    /// The stream.
    pub fn into_stream(self) -> S {
        self.packets.into_stream()
    }

    /// The stream, between two requests.
    pub fn stream_mut(&mut self) -> &mut S {
        self.packets.stream_mut()
    }

    /// Asks for the values of these refs, by their full names, and for `HEAD`, which alone is of this moment when it is
    /// asked for again.
    ///
    /// # Errors
    ///
    /// `ProtocolV2Required`, `ProtocolError`, `HubUnreachable`; those of the stream.
    pub fn list<const N: usize>(&mut self, names: [&str; N]) -> Result<([Option<Oid>; N], Option<Head>)> {
        let (mut values, mut head) = ([None; N], None);
        self.ls_refs(&["HEAD"].iter().chain(&names).copied().collect::<Vec<_>>(), |name, value, attributes| {
            if let Some(at) = names.iter().position(|wanted| wanted.as_bytes() == name) {
                values[at] = Some(value);
            } else if name == b"HEAD" {
                head = target(attributes).map(|target| Head { value, target });
            }
        })?;
        Ok((values, head))
    }

    /// Asks for the values of refs, by their full names. Each is what it was when the hub's program was first asked for it.
    ///
    /// # Errors
    ///
    /// Those of [`UploadPack::list`].
    pub fn refs(&mut self, names: &[&str]) -> Result<Vec<Option<Oid>>> {
        let mut values = vec![None; names.len()];
        self.ls_refs(names, |name, value, _| {
            if let Some(at) = names.iter().position(|wanted| wanted.as_bytes() == name) {
                values[at] = Some(value);
            }
        })?;
        Ok(values)
    }

    /// Whether the repository has no branch at all.
    ///
    /// # Errors
    ///
    /// Those of [`UploadPack::list`].
    pub fn is_empty(&mut self) -> Result<bool> {
        // HEAD is one line; the branches are asked for only where it names one that is not there.
        for prefix in ["HEAD", "refs/heads/"] {
            let mut found = false;
            self.ls_refs(&[prefix], |_, _, _| found = true)?;
            if found {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The greatest depth that the hub, which was listed, takes for a filter; `None` where it leaves out nothing. Where it
    /// refuses one this is less than before, and the conversation is over.
    pub fn filters(&self) -> Option<usize> {
        self.filters
    }

    /// Fetches what is asked for into the quarantine.
    ///
    /// # Errors
    ///
    /// Those of [`UploadPack::list`] and of [`Quarantine::ingest`].
    pub fn fetch(&mut self, ask: &Ask<'_>, into: &mut dyn Quarantine) -> Result<()> {
        self.ask(ask)?;
        self.take(&mut |pack| into.ingest(pack))
    }

    /// Has `take` read the pack of what the commits bring which the tip reaches and the base does not, as far as it is not in
    /// the base's tree: what stood there before the base comes again. False where the hub does not have the base, or
    /// knows of no way from there to the tip: it takes the commits before the base for known, too.
    ///
    /// This is the one negotiation there is: without `done` in the request, a hub that is not ready to send says so.
    ///
    /// # Errors
    ///
    /// Those of [`UploadPack::list`] and of `take`.
    pub fn pack_since(
        &mut self,
        base: Oid,
        tip: Oid,
        take: &mut dyn FnMut(&mut dyn Read) -> Result<()>,
    ) -> Result<bool> {
        if !self.negotiate(base, tip, &[&format!("shallow {base}")])? {
            return Ok(false);
        }
        self.find_pack()?;
        self.take(take).map(|()| true)
    }

    /// Whether the hub knows of a way from the base to the tip. Where it does it begins to send, and the conversation is over.
    ///
    /// It gives up over a base that it is asked to [cut](Self::pack_since) the history at and that is there, but no commit:
    /// asked for this, it says that that leads nowhere.
    ///
    /// # Errors
    ///
    /// Those of [`UploadPack::list`].
    pub fn leads(&mut self, base: Oid, tip: Oid) -> Result<bool> {
        self.negotiate(base, tip, &[])
    }

    /// Asks for the tip by one who has the base; whether the hub is about to send a pack.
    fn negotiate(&mut self, base: Oid, tip: Oid, more: &[&str]) -> Result<bool> {
        let mut request = Request::default();
        request.line("command=fetch")?.delimiter().line("ofs-delta")?.line("no-progress")?;
        request.line(format!("want {tip}"))?;
        for line in more {
            request.line(line)?;
        }
        request.line(format!("have {base}"))?.flush();
        self.packets.send(request.bytes())?;
        self.greet()?;
        self.is_ready()
    }

    /// Reads what the hub makes of the commits that it was told of.
    fn is_ready(&mut self) -> Result<bool> {
        if self.packets.line()? != Some(b"acknowledgments") {
            return Err(malformed("no acknowledgments"));
        }
        let mut is_ready = false;
        for _ in 0..=limits::HUB_LINES {
            match self.packets.line()? {
                Some(line) => is_ready |= line == b"ready",
                None => return Ok(is_ready),
            }
        }
        Err(malformed(&format!("more than {} acknowledgments", limits::HUB_LINES)))
    }

    /// Has somebody read the pack, which must be all that comes.
    fn take(&mut self, take: &mut dyn FnMut(&mut dyn Read) -> Result<()>) -> Result<()> {
        self.packets.side_band(&mut Words::default(), |pack| {
            take(pack)?;
            match pack.read(&mut [0]) {
                Ok(0) => Ok(()),
                Ok(_) => Err(malformed("more than a pack")),
                Err(error) => Err(broken(error)),
            }
        })
    }

    /// Tries a filter on a commit: its root tree alone is sent, and thrown away.
    ///
    /// # Errors
    ///
    /// Those of [`UploadPack::list`].
    pub fn try_filter(&mut self, commit: Oid) -> Result<()> {
        self.ask(&Ask { wants: &[commit], have: None, is_alone: true, depth: Some(1) })?;
        let discard = |pack: &mut dyn Read| io::copy(pack, &mut io::sink()).map(drop).map_err(broken);
        self.packets.side_band(&mut Words::default(), discard)
    }

    /// Asks, and reads up to the pack.
    fn ask(&mut self, ask: &Ask<'_>) -> Result<()> {
        let mut request = Request::default();
        request.line("command=fetch")?.delimiter().line("ofs-delta")?.line("no-progress")?;
        for want in ask.wants {
            request.line(format!("want {want}"))?;
        }
        if let Some(have) = ask.have {
            request.line("thin-pack")?.line(format!("shallow {have}"))?.line(format!("have {have}"))?;
        }
        if ask.is_alone {
            request.line("deepen 1")?;
        }
        if let Some(depth) = ask.depth {
            request.line(format!("filter tree:{depth}"))?;
        }
        request.line("done")?.flush();
        self.packets.send(request.bytes())?;
        self.greet()?;
        self.find_pack().inspect_err(|error| {
            if let Some(filters) = ask.depth.and_then(|depth| refused_filter(error, depth)) {
                self.filters = filters;
            }
        })
    }

    /// Lets `visit` see each ref's name, value and attributes.
    fn ls_refs(&mut self, prefixes: &[&str], mut visit: impl FnMut(&[u8], Oid, &[u8])) -> Result<()> {
        let mut request = Request::default();
        request.line("command=ls-refs")?.delimiter().line("symrefs")?;
        for prefix in prefixes {
            request.line(format!("ref-prefix {prefix}"))?;
        }
        self.packets.send(request.flush().bytes())?;
        self.greet()?;
        for _ in 0..=limits::REFS {
            let Some(line) = self.packets.line_or_flush()? else { return Ok(()) };
            let (value, rest) = split_oid(line).ok_or_else(|| malformed("a ref without its value"))?;
            let end = rest.iter().position(|byte| *byte == b' ').unwrap_or(rest.len());
            visit(&rest[..end], value, &rest[end..]);
        }
        Err(malformed(&format!("more than {} refs", limits::REFS)))
    }

    /// Reads the capability advertisement, once.
    fn greet(&mut self) -> Result<()> {
        if std::mem::replace(&mut self.greeted, true) {
            return Ok(());
        }
        match self.packets.line_or_flush()? {
            Some(b"version 2") => {}
            Some(line) if line == b"version 1" || split_oid(line).is_some() => {
                return Err(Error::new(
                    Reason::ProtocolV2Required,
                    "the hub answers in an old version of git's protocol",
                )
                .hint("add `AcceptEnv GIT_PROTOCOL` to the hub's sshd_config, or give the account a login shell"));
            }
            _ => return Err(malformed("no greeting of git's")),
        }
        let mut is_filtering = false;
        for _ in 0..=limits::HUB_LINES {
            let Some(line) = self.packets.line_or_flush()? else {
                self.filters = self.filters.filter(|_| is_filtering);
                return Ok(());
            };
            if let Some(features) = line.strip_prefix(b"fetch=") {
                is_filtering = features.split(|byte| *byte == b' ').any(|feature| feature == b"filter");
            }
            if line.strip_prefix(b"object-format=").is_some_and(|format| format != b"sha1") {
                return Err(Error::new(Reason::ProtocolError, "the repository's objects are not named by SHA-1")
                    .hint("make the exchange with `git init --object-format=sha1`"));
            }
        }
        Err(malformed(&format!("more than {} capabilities", limits::HUB_LINES)))
    }

    /// Reads up to the packfile section. What comes before it (the shallow boundary) follows from what was asked.
    fn find_pack(&mut self) -> Result<()> {
        for _ in 0..=limits::HUB_LINES {
            if self.packets.line()? == Some(b"packfile") {
                return Ok(());
            }
        }
        Err(malformed("no pack"))
    }
}

/// What git still filters where it gave up over a filter of this depth (git-config(1), `uploadpackfilter.tree`); `None` if
/// it gave up over something else.
fn refused_filter(error: &Error, depth: usize) -> Option<Option<usize>> {
    let words = error.one_line();
    if let Some((_, most)) = words.split_once("tree filter allows max depth ") {
        let digits = most.split(|letter: char| !letter.is_ascii_digit()).next()?;
        return Some(digits.parse().ok().filter(|most| *most < depth));
    }
    words.contains("filter 'tree' not supported").then_some(None)
}

/// The ref that a symbolic one leads to.
fn target(attributes: &[u8]) -> Option<String> {
    let mut attributes = attributes.split(|byte| *byte == b' ');
    let target = attributes.find_map(|attribute| attribute.strip_prefix(b"symref-target:"))?;
    String::from_utf8(target.to_vec()).ok()
}

#[cfg(test)]
mod tests;
