//! Git's packet lines over one pair of byte streams (gitprotocol-common(5)), and the errors of such a conversation.
//!
//! A packet is at most 65,520 bytes, and one is held at a time. What the hub says in words is cut to
//! [`limits::HUB_TEXT_BYTES`] and cleaned by [`Words`] before anybody sees it.

use std::{
    io::{self, BufReader, Read, Write},
    ops::ControlFlow,
};

use gix_packetline::{
    PacketLineRef,
    blocking_io::{StreamingPeekableIter, encode},
};

use crate::api::{Error, Oid, Reason, Result, limits};

/// The packets of one conversation.
pub(super) struct Packets<S> {
    lines: StreamingPeekableIter<BufReader<S>>,
}

impl<S: Read> Packets<S> {
    /// Reads packets from the stream.
    pub(super) fn new(stream: S) -> Self {
        Self { lines: StreamingPeekableIter::new(BufReader::new(stream), &[], false) }
    }

    /// The stream, without what was read ahead.
    pub(super) fn into_stream(self) -> S {
        self.lines.into_inner().into_inner()
    }

    /// The stream, between two packets.
    pub(super) fn stream_mut(&mut self) -> &mut S {
        self.lines.inner_mut().get_mut()
    }

    /// Reads a packet; `None` if it is a flush, a delimiter or a response end. A line's newline is taken off.
    ///
    /// # Errors
    ///
    /// `ProtocolError` if it is no packet, or one with which the hub gives up (`ERR`); that of the stream.
    pub(super) fn line(&mut self) -> Result<Option<&[u8]>> {
        match self.packet()? {
            packet @ PacketLineRef::Data(_) => Ok(packet.as_text().map(|text| text.as_slice())),
            _ => Ok(None),
        }
    }

    /// Reads a packet that must be a flush or a line; otherwise as [`Packets::line`].
    ///
    /// # Errors
    ///
    /// Those of [`Packets::line`].
    pub(super) fn line_or_flush(&mut self) -> Result<Option<&[u8]>> {
        match self.packet()? {
            PacketLineRef::Flush => Ok(None),
            packet @ PacketLineRef::Data(_) => Ok(packet.as_text().map(|text| text.as_slice())),
            _ => Err(malformed("a section where a list should go on")),
        }
    }

    fn packet(&mut self) -> Result<PacketLineRef<'_>> {
        let packet = match self.lines.read_line() {
            Some(Ok(Ok(packet))) => packet,
            Some(Ok(Err(error))) => return Err(malformed("something that is no packet line").caused_by(error)),
            Some(Err(error)) => return Err(broken(error)),
            None => return Err(malformed("a packet after its last")),
        };
        match packet.check_error() {
            Some(refusal) => Err(gave_up(&Words::of(refusal.0))),
            None => Ok(packet),
        }
    }

    /// Lets `consume` read what comes on the first side band, up to the next flush. What comes on the second is added
    /// to `words`; what comes on the third is the error.
    ///
    /// # Errors
    ///
    /// Those of `consume`, unless it failed because the stream did: then the stream's.
    pub(super) fn side_band<R>(
        &mut self,
        words: &mut Words,
        consume: impl FnOnce(&mut dyn Read) -> Result<R>,
    ) -> Result<R> {
        let mut fatal = None;
        self.lines.reset_with(&[PacketLineRef::Flush]);
        let mut data = Watched {
            inner: self.lines.as_read_with_sidebands(|is_error, text: &[u8]| {
                if is_error {
                    fatal = Some(Words::of(text));
                    return ControlFlow::Break(());
                }
                words.add_packet(text);
                ControlFlow::Continue(())
            }),
            failure: None,
        };
        let result = consume(&mut data);
        let failure = data.failure.take();
        drop(data);
        self.lines.reset_with(&[]);
        match (result, fatal, failure) {
            (Ok(value), ..) => Ok(value),
            (Err(_), Some(fatal), _) => Err(gave_up(&fatal)),
            (Err(_), None, Some(failure)) => Err(broken(failure)),
            (Err(error), None, None) => Err(error),
        }
    }
}

impl<S: Write> Packets<S> {
    /// Sends framed bytes, at once.
    ///
    /// # Errors
    ///
    /// That of the stream.
    pub(super) fn send(&mut self, bytes: &[u8]) -> Result<()> {
        let stream = self.lines.inner_mut().get_mut();
        stream.write_all(bytes).and_then(|()| stream.flush()).map_err(broken)
    }
}

/// Remembers how its reader failed, so that this is not lost in the words of whoever read.
struct Watched<R> {
    inner: R,
    failure: Option<io::Error>,
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read(buffer).map_err(|error| {
            let kind = error.kind();
            self.failure = Some(error);
            io::Error::new(kind, "the hub's stream broke")
        })
    }
}

/// Packets on their way out. Lines go without the newline that a receiver must not miss (gitprotocol-common(5)).
#[derive(Default)]
pub(super) struct Request(Vec<u8>);

impl Request {
    /// Adds a line.
    ///
    /// # Errors
    ///
    /// `BadConfig` if it is empty or longer than a packet.
    pub(super) fn line(&mut self, line: impl AsRef<[u8]>) -> Result<&mut Self> {
        encode::data_to_write(line.as_ref(), &mut self.0)
            .map_err(|e| Error::new(Reason::BadConfig, "a ref's name does not fit a packet").caused_by(e))?;
        Ok(self)
    }

    /// Adds a delimiter, between a command and its arguments.
    pub(super) fn delimiter(&mut self) -> &mut Self {
        self.0.extend_from_slice(b"0001");
        self
    }

    /// Adds the flush that ends a request.
    pub(super) fn flush(&mut self) -> &mut Self {
        self.0.extend_from_slice(b"0000");
        self
    }

    /// Adds bytes that are no packets: the pack that follows a push's commands.
    pub(super) fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// The bytes.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// What a hub said in words, for people: at most [`limits::HUB_TEXT_BYTES`], the last ones.
#[derive(Debug, Default)]
pub(crate) struct Words(Vec<u8>);

impl Words {
    /// The words in these bytes.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let mut words = Self::default();
        words.add(bytes);
        words
    }

    /// Adds what was said next.
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(&bytes[bytes.len().saturating_sub(limits::HUB_TEXT_BYTES)..]);
        let surplus = self.0.len().saturating_sub(limits::HUB_TEXT_BYTES);
        self.0.drain(..surplus);
    }

    /// Adds what came in one packet. A line may go on in the next one, but what git says itself begins a line, whatever a
    /// hook has left without an end.
    fn add_packet(&mut self, bytes: &[u8]) {
        const GITS: [&[u8]; 3] = [b"error: ", b"warning: ", b"fatal: "];
        if GITS.iter().any(|prefix| bytes.starts_with(prefix)) {
            self.add(b"\n");
        }
        self.add(bytes);
    }

    /// One line of printable text: lines are joined by `; `, rulers (`@@@@`) and control characters are left out.
    pub(crate) fn text(&self) -> String {
        let text = String::from_utf8_lossy(&self.0);
        let lines = text.split(['\n', '\r']).map(|line| line.replace(char::is_control, " "));
        let spoken = lines.filter(|line| line.contains(char::is_alphanumeric));
        spoken.map(|line| line.trim().to_owned()).collect::<Vec<_>>().join("; ")
    }
}

/// An object's name at the start of a line, and what comes after the space behind it.
pub(super) fn split_oid(line: &[u8]) -> Option<(Oid, &[u8])> {
    let (name, rest) = line.split_at_checked(40)?;
    let oid = std::str::from_utf8(name).ok()?.parse().ok()?;
    Some((oid, rest.strip_prefix(b" ")?))
}

/// The error of a stream: the one it carries, or that its bytes are not git's, or that the connection is gone.
pub(crate) fn broken(error: io::Error) -> Error {
    error.downcast::<Error>().unwrap_or_else(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => Error::new(Reason::HubUnreachable, "the hub ended the conversation"),
        io::ErrorKind::Other if error.get_ref().is_some() => malformed("something on no side band").caused_by(error),
        _ => Error::new(Reason::HubUnreachable, "the connection to the hub broke").caused_by(error),
    })
}

/// The hub sent what git's protocol does not have.
pub(super) fn malformed(what: &str) -> Error {
    Error::new(Reason::ProtocolError, format!("the hub sent {what}"))
        .hint("see that the account's login prints nothing and that the repository is served by git")
}

fn gave_up(words: &Words) -> Error {
    let words = words.text();
    let reason = if words.contains("not our ref") { Reason::CommitNotFound } else { Reason::ProtocolError };
    Error::new(reason, "the hub's git gave up").caused_by(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packets(bytes: &[u8]) -> Packets<&[u8]> {
        Packets::new(bytes)
    }

    #[test]
    fn a_commit_that_is_not_there_is_told_from_other_refusals() {
        let refusal = |words: &str| {
            let line = format!("{:04x}ERR {words}", words.len() + 8);
            packets(line.as_bytes()).line().unwrap_err().reason()
        };
        let absent = format!("upload-pack: not our ref {}", "1".repeat(40));
        assert_eq!(refusal(&absent), Reason::CommitNotFound);
        assert_eq!(refusal("access denied"), Reason::ProtocolError);
    }

    #[test]
    fn lines_and_marks_are_told_apart() {
        let mut packets = packets(b"0007ab\n0006ab00000001");
        assert_eq!(packets.line().unwrap(), Some(&b"ab"[..]));
        assert_eq!(packets.line().unwrap(), Some(&b"ab"[..]));
        assert_eq!(packets.line().unwrap(), None);
        assert_eq!(packets.line_or_flush().unwrap_err().reason(), Reason::ProtocolError);
        assert_eq!(packets.line().unwrap_err().reason(), Reason::HubUnreachable);
    }

    #[test]
    fn what_is_no_packet_is_refused() {
        for bytes in [&b"This account is currently not available."[..], b"0003", b"0004", b"ffff0", b"fff0x"] {
            let reason = packets(bytes).line().unwrap_err().reason();
            assert!(matches!(reason, Reason::ProtocolError | Reason::HubUnreachable), "{bytes:?}: {reason}");
        }
    }

    #[test]
    fn a_hub_that_gives_up_is_quoted() {
        let error = packets(b"001cERR upload-pack: \x1b[31mno").line().unwrap_err();
        assert_eq!(error.reason(), Reason::ProtocolError);
        assert_eq!(error.one_line(), "the hub's git gave up: upload-pack:  [31mno");
    }

    #[test]
    fn the_side_bands_are_taken_apart() {
        let mut words = Words::default();
        let mut data = Vec::new();
        packets(b"0007\x01ab0008\x02hey0006\x01c0000")
            .side_band(&mut words, |read| read.read_to_end(&mut data).map_err(broken))
            .unwrap();
        assert_eq!(data, b"abc");
        assert_eq!(words.text(), "hey");
    }

    #[test]
    fn what_git_says_is_no_part_of_a_hooks_last_line() {
        let mut words = Words::default();
        let said = b"000f\x02not this o0007\x02ne0019\x02error: hook declined0000";
        packets(said).side_band(&mut words, |read| read.read_to_end(&mut Vec::new()).map_err(broken)).unwrap();
        assert_eq!(words.text(), "not this one; error: hook declined");
    }

    #[test]
    fn the_third_band_and_a_lost_stream_are_the_error_whatever_the_reader_makes_of_it() {
        let read = |bytes: &[u8]| {
            packets(bytes)
                .side_band(&mut Words::default(), |read| {
                    read.read_to_end(&mut Vec::new()).map_err(|_| Error::new(Reason::PackInvalid, "half a pack"))
                })
                .unwrap_err()
        };
        assert_eq!(read(b"0007\x01ab0009\x03died").one_line(), "the hub's git gave up: died");
        assert_eq!(read(b"0007\x01ab0009\x01a").reason(), Reason::HubUnreachable);
        assert_eq!(read(b"0007\x09ab").reason(), Reason::ProtocolError);
    }

    #[test]
    fn words_are_bounded_and_printable() {
        let mut words = Words::of(b"first\r\n@@@@\n\n");
        words.add(&[b'x'; limits::HUB_TEXT_BYTES + 5]);
        assert_eq!(words.text().len(), limits::HUB_TEXT_BYTES);
        assert_eq!(Words::of(b"one\r\n@@@@@@\n\n\ttwo\x07\n").text(), "one; two");
        assert_eq!(Words::of(b"\xff\xfeno").text(), "\u{fffd}\u{fffd}no");
    }
}
