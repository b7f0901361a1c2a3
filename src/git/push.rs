//! The sending side of git's protocol (gitprotocol-pack(5), "Pushing Data To a Server"), for one ref.
//!
//! ```text
//!                              <-- every ref the hub shows, capabilities
//! old, new, name; the pack     -->
//!                              <-- report-status: was the pack taken in, was the ref moved
//! ```
//!
//! There is no version 2 of it. The hub moves the ref only if it still has the old value, so two writers cannot both
//! win; what it says of that is obeyed. Where the connection is lost before the report, nobody knows: the next listing
//! tells.

use std::io::{Read, Write};

use super::{
    pack,
    wire::{Packets, Request, Words, malformed, split_oid},
};
use crate::{
    api::{Error, Oid, Reason, Result, limits},
    reconcile::ports::NewObject,
};

/// One ref's move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Update<'a> {
    /// Its full name.
    pub name: &'a str,
    /// Where it must be; `None` if it must not exist.
    pub old: Option<Oid>,
    /// Where it goes.
    pub new: Oid,
}

/// Moves a ref over a stream to `git-receive-pack` on which nothing was said yet, and sends the objects that this needs,
/// in a pack: as deltas on the `bases`, which come with the ref's old value, where the hub takes them. A ref that is at
/// `new` already is left there.
///
/// # Errors
///
/// `StatusRefMoved` if the ref is elsewhere; `PushRejected` with the hub's words; `ProtocolError`, `HubUnreachable`;
/// those of the stream.
pub fn send(stream: impl Read + Write, update: &Update<'_>, objects: &[NewObject], bases: &[NewObject]) -> Result<()> {
    let mut packets = Packets::new(stream);
    let hub = Advertisement::read(&mut packets, update.name)?;
    if hub.value.is_some() && hub.value != update.old {
        packets.send(Request::default().flush().bytes())?;
        return if hub.value == Some(update.new) { Ok(()) } else { Err(moved(update)) };
    }
    let pack = pack::write_on(if hub.takes_thin { bases } else { &[] }, objects)?;
    let mut request = Request::default();
    request.line(command(update, &hub))?.flush().raw(&pack);
    // A hub that refuses early stops listening; what it says of it counts more than the write that failed.
    let sent = packets.send(request.bytes());
    let mut words = Words::default();
    let report = if hub.side_band {
        packets.side_band(&mut words, |mut band| {
            let report = Report::read(&mut Packets::new(&mut band), update.name)?;
            // The hub's post-receive hook still runs; its output is not worth an error.
            let _ = std::io::copy(band, &mut std::io::sink());
            Ok(report)
        })
    } else {
        Report::read(&mut packets, update.name)
    };
    match (report, sent) {
        (Ok(report), _) => report.judge(update, &words),
        (Err(_), Err(error)) | (Err(error), Ok(())) => Err(error),
    }
}

/// What the hub says before anything is asked.
#[derive(Debug, Default)]
struct Advertisement {
    /// Where the ref is; `None` if it is not there or the hub hides it.
    value: Option<Oid>,
    side_band: bool,
    quiet: bool,
    /// Whether a pack may have deltas on objects that are not in it.
    takes_thin: bool,
}

impl Advertisement {
    fn read<S: Read>(packets: &mut Packets<S>, name: &str) -> Result<Self> {
        let mut hub = Self::default();
        for at in 0..=limits::REFS {
            let Some(mut line) = packets.line_or_flush()? else { return Ok(hub) };
            if at == 0 {
                let end = line.iter().position(|byte| *byte == 0).ok_or_else(|| malformed("no capabilities"))?;
                hub.capabilities(&line[end + 1..])?;
                line = &line[..end];
            }
            match split_oid(line) {
                Some((value, rest)) if rest == name.as_bytes() => hub.value = Some(value),
                Some(_) => {}
                None if line.starts_with(b"shallow ") => {}
                None => return Err(malformed("a ref without its value")),
            }
        }
        Err(malformed(&format!("more than {} refs", limits::REFS))
            .hint("hide other refs from this account with `receive.hideRefs`"))
    }

    fn capabilities(&mut self, line: &[u8]) -> Result<()> {
        let has = |name: &[u8]| line.split(|byte| *byte == b' ').any(|capability| capability == name);
        if !has(b"report-status") {
            return Err(malformed("no promise to report what becomes of a push"));
        }
        if line.split(|byte| *byte == b' ').any(|capability| capability == b"object-format=sha256") {
            return Err(malformed("objects that are not named by SHA-1"));
        }
        self.side_band = has(b"side-band-64k");
        self.quiet = has(b"quiet");
        self.takes_thin = !has(b"no-thin");
        Ok(())
    }
}

fn command(update: &Update<'_>, hub: &Advertisement) -> String {
    let none = Oid::new([0; 20]);
    let mut line = format!("{} {} {}\0report-status", update.old.unwrap_or(none), update.new, update.name);
    for (wanted, capability) in [(hub.side_band, " side-band-64k"), (hub.quiet, " quiet")] {
        if wanted {
            line.push_str(capability);
        }
    }
    line
}

/// What became of a push.
#[derive(Debug, PartialEq, Eq)]
struct Report {
    /// Why the pack was not taken in.
    unpack: Option<String>,
    /// Why the ref was not moved.
    refused: Option<String>,
}

impl Report {
    fn read<S: Read>(packets: &mut Packets<S>, name: &str) -> Result<Self> {
        let unpack = match packets.line_or_flush()?.and_then(|line| line.strip_prefix(b"unpack ")) {
            Some(b"ok") => None,
            Some(why) => Some(Words::of(why).text()),
            None => return Err(malformed("no report of the push")),
        };
        let mut verdict = None;
        for _ in 0..=limits::HUB_LINES {
            let Some(line) = packets.line_or_flush()? else {
                let refused = verdict.ok_or_else(|| malformed("no report of the ref"))?;
                return Ok(Self { unpack, refused });
            };
            verdict = verdict.or_else(|| Self::of_ref(line, name));
        }
        Err(malformed("an endless report of the push"))
    }

    /// `ok NAME` or `ng NAME WHY`; `None` if the line is of something else.
    fn of_ref(line: &[u8], name: &str) -> Option<Option<String>> {
        let mut fields = line.splitn(3, |byte| *byte == b' ');
        let (verdict, of, why) = (fields.next()?, fields.next()?, fields.next());
        match verdict {
            b"ok" if of == name.as_bytes() => Some(None),
            b"ng" if of == name.as_bytes() => Some(Some(Words::of(why.unwrap_or(b"without a reason")).text())),
            _ => None,
        }
    }

    fn judge(self, update: &Update<'_>, words: &Words) -> Result<()> {
        let words = words.text();
        if let Some(why) = self.unpack {
            return Err(rejected(update, &format!("unpacking failed, {why}"), &words));
        }
        let Some(why) = self.refused else { return Ok(()) };
        if STALE.iter().any(|text| why.contains(text) || words.contains(text)) {
            return Err(moved(update).caused_by(quote(&why, &words)));
        }
        let error = rejected(update, &why, &words);
        Err(match why.as_str() {
            "deny updating a hidden ref" => error.hint(
                "let this account write its own status ref: `receive.hideRefs = !NAME` in what its SSH key's command sets",
            ),
            "non-fast-forward" => error.hint("set `receive.denyNonFastForwards = false` at the hub"),
            _ => error,
        })
    }
}

/// How git's receive-pack says that the ref is not, or may not be for long, where the command has it.
const STALE: &[&str] = &[
    "but expected",
    "incorrect old value",
    "reference already exists",
    "reference does not exist",
    "unable to resolve reference",
    "fetch first",
    ".lock': File exists",
];

fn moved(update: &Update<'_>) -> Error {
    let place = update.old.map_or("absent".to_owned(), |old| format!("at {}", old.short()));
    Error::new(Reason::StatusRefMoved, format!("{} is no longer {place}", update.name))
        .hint("see that no other device has this device's name and SSH key")
}

fn rejected(update: &Update<'_>, why: &str, words: &str) -> Error {
    Error::new(Reason::PushRejected, format!("the hub does not move {}", update.name)).caused_by(quote(why, words))
}

fn quote(why: &str, words: &str) -> String {
    if words.is_empty() { why.to_owned() } else { format!("{why} ({words})") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "refs/giter/status/a";

    fn oid(digit: u8) -> Oid {
        Oid::new([digit; 20])
    }

    fn update() -> Update<'static> {
        Update { name: NAME, old: Some(oid(1)), new: oid(2) }
    }

    fn frame(lines: &[&str]) -> Vec<u8> {
        let frame = |line: &&str| match *line {
            "" => "0000".to_owned(),
            line => format!("{:04x}{line}", line.len() + 4),
        };
        lines.iter().map(frame).collect::<String>().into_bytes()
    }

    fn advertised(lines: &[&str]) -> Result<Advertisement> {
        Advertisement::read(&mut Packets::new(frame(lines).as_slice()), NAME)
    }

    fn reported(lines: &[&str], words: &str) -> Result<()> {
        let bytes = frame(lines);
        Report::read(&mut Packets::new(bytes.as_slice()), NAME)?.judge(&update(), &Words::of(words.as_bytes()))
    }

    #[test]
    fn the_refs_value_and_the_capabilities_are_found() {
        let first = format!("{} refs/heads/main\0report-status side-band-64k quiet\n", oid(7));
        let own = format!("{} {NAME}\n", oid(1));
        let hub =
            advertised(&[&first, &format!("{} .have", oid(3)), &format!("{} {NAME}-b", oid(4)), &own, ""]).unwrap();
        assert_eq!((hub.value, hub.side_band, hub.quiet, hub.takes_thin), (Some(oid(1)), true, true, true));
        let hub = advertised(&[&format!("{} capabilities^{{}}\0report-status no-thin", oid(0)), ""]).unwrap();
        assert_eq!((hub.value, hub.side_band, hub.quiet, hub.takes_thin), (None, false, false, false));
    }

    #[test]
    fn a_malformed_advertisement_is_refused() {
        let no_report = format!("{} refs/heads/main\0atomic", oid(1));
        let sha256 = format!("{} refs/heads/main\0report-status object-format=sha256", oid(1));
        let bare = format!("{} refs/heads/main", oid(1));
        for first in ["version 2", &no_report, &sha256, &bare, "x\0report-status"] {
            assert_eq!(advertised(&[first, ""]).unwrap_err().reason(), Reason::ProtocolError, "{first:?}");
        }
    }

    #[test]
    fn a_command_asks_for_no_more_than_the_hub_has() {
        let line = command(&Update { old: None, ..update() }, &Advertisement::default());
        assert_eq!(line, format!("{} {} {NAME}\0report-status", oid(0), oid(2)));
        let line = command(&update(), &Advertisement { side_band: true, quiet: true, ..Advertisement::default() });
        assert!(line.ends_with("\0report-status side-band-64k quiet"), "{line}");
    }

    #[test]
    fn each_refusal_has_its_reason() {
        let ng = |why: &str| format!("ng {NAME} {why}");
        let reason = |lines: &[&str], words: &str| reported(lines, words).unwrap_err().reason();
        assert!(reported(&["unpack ok\n", &format!("ok {NAME}\n"), ""], "").is_ok());
        let stale = "error: cannot lock ref 'x': is at 1 but expected 2";
        assert_eq!(reason(&["unpack ok", &ng("failed to update ref"), ""], stale), Reason::StatusRefMoved);
        assert_eq!(reason(&["unpack ok", &ng("failed to update ref"), ""], "disk full"), Reason::PushRejected);
        assert_eq!(reason(&["unpack ok", &ng("hook declined"), ""], "not you"), Reason::PushRejected);
        assert_eq!(reason(&["unpack index-pack failed", &ng("unpacker error"), ""], ""), Reason::PushRejected);
        assert_eq!(reason(&["unpack ok", "ok refs/giter/status/b", ""], ""), Reason::ProtocolError);
        assert_eq!(reason(&["ok", ""], ""), Reason::ProtocolError);
        assert_eq!(reason(&["unpack ok"], ""), Reason::HubUnreachable);
    }

    #[test]
    fn the_hubs_words_are_kept() {
        let error = reported(&["unpack ok", &format!("ng {NAME} hook declined"), ""], "not\nyou\x07").unwrap_err();
        assert_eq!(error.one_line(), format!("the hub does not move {NAME}: hook declined (not; you)"));
    }
}
