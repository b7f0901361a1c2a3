//! What `giterctl watch` at the hub tells: a greeting, then a line with the branch's new tip each time something that this
//! device reads has changed.
//!
//! ```text
//! giter-watch 1
//! 5f0c1f0e3d5b4d0e9a7c2b6e8f1a4c3d5f0c1f0e
//! ```
//!
//! The hub is not trusted in this either: a line makes the device poll, and nothing else. What is no such line, or comes
//! more often than [`limits::WATCH_LINES`] in a minute, ends the watch, and polls go on without it. It is asked for once on
//! each connection; that a hub does not do it is said once.

use std::{
    io,
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use super::stream::Stream;
use crate::{
    api::{Error, Oid, Reason, Result, limits},
    git::wire::broken,
    reconcile::ports::Heard,
};

const GREETING: &[u8] = b"giter-watch 1";
const MINUTE: Duration = Duration::from_secs(60);

/// The watch on one connection after another.
pub(super) struct Watch<S> {
    state: State<S>,
    /// That there is none was said already.
    is_told: bool,
}

enum State<S> {
    Unasked,
    Open(Telling<S>),
    /// The hub does not tell on this connection, or no more.
    Ended,
}

impl<S> Default for Watch<S> {
    fn default() -> Self {
        Self { state: State::Unasked, is_told: false }
    }
}

impl<S: Stream> Watch<S> {
    /// Asks the hub to tell, unless it was asked on this connection.
    pub(super) fn begin(&mut self, connect: impl FnOnce() -> Result<S>) {
        if matches!(self.state, State::Unasked) {
            // Nothing is said to the program, so what starts it must not wait for words.
            match connect().and_then(|mut stream| stream.flush().map_err(broken).map(|()| stream)) {
                Ok(stream) => self.state = State::Open(Telling::new(stream)),
                Err(error) => self.give_up(&error),
            }
        }
    }

    /// What to wait for, if the hub tells.
    pub(super) fn descriptor(&self) -> Option<io::Result<OwnedFd>> {
        match &self.state {
            State::Open(telling) => Some(telling.stream.descriptor()),
            _ => None,
        }
    }

    /// Takes in what the hub has told, seen by one who knows the branch at `known`; `None` if it tells nothing.
    pub(super) fn heard(&mut self, known: Oid, now: Instant) -> Option<Heard> {
        let State::Open(telling) = &mut self.state else { return None };
        match telling.take_in(known, now) {
            Ok(is_news) => {
                self.is_told &= !telling.is_greeted;
                Some(if is_news { Heard::News } else { Heard::Nothing })
            }
            Err(error) => {
                let State::Open(telling) = std::mem::replace(&mut self.state, State::Ended) else { return None };
                let was_greeted = telling.is_greeted;
                // Who talks on has no last words.
                let has_ended = error.reason() == Reason::HubUnreachable;
                let error = if has_ended { telling.stream.explain(error) } else { error };
                self.give_up(&error);
                // A program that ended by itself has left the connection behind.
                let is_loss = was_greeted && error.reason() == Reason::HubUnreachable;
                Some(if is_loss { Heard::Loss } else { Heard::Nothing })
            }
        }
    }

    /// The connection ends, and the watch with it.
    pub(super) fn end(&mut self) {
        self.state = State::Unasked;
    }

    fn give_up(&mut self, error: &Error) {
        self.state = State::Ended;
        let level = if std::mem::replace(&mut self.is_told, true) { log::Level::Debug } else { log::Level::Info };
        log::log!(level, "the hub tells of no changes, which are found by polls alone: {}", error.one_line());
    }
}

/// A hub that tells.
struct Telling<S> {
    stream: S,
    /// What came of a line that has not ended.
    line: Vec<u8>,
    is_greeted: bool,
    /// When the minute began in which lines are counted, and how many came.
    minute: Option<(Instant, u32)>,
}

impl<S: Stream> Telling<S> {
    fn new(stream: S) -> Self {
        Self { stream, line: Vec::new(), is_greeted: false, minute: None }
    }

    /// Whether the branch may be elsewhere than at `known`. The greeting says so too: before it, nobody listened.
    fn take_in(&mut self, known: Oid, now: Instant) -> Result<bool> {
        let (mut bytes, mut is_news) = ([0; 4 * limits::WATCH_LINE_BYTES], false);
        while let Some(count) = self.stream.try_read(&mut bytes).map_err(broken)? {
            if count == 0 {
                return Err(Error::new(Reason::HubUnreachable, "the hub ended the watch"));
            }
            for &byte in &bytes[..count] {
                match byte {
                    b'\n' => is_news |= self.read_line(now)? != Some(known),
                    _ if self.line.len() == limits::WATCH_LINE_BYTES => return Err(garbage("an endless line")),
                    _ => self.line.push(byte),
                }
            }
        }
        Ok(is_news)
    }

    /// The tip in a line that has ended; `None` if it is the greeting.
    fn read_line(&mut self, now: Instant) -> Result<Option<Oid>> {
        let line = std::mem::take(&mut self.line);
        if !std::mem::replace(&mut self.is_greeted, true) {
            self.is_greeted = line == GREETING;
            return if self.is_greeted { Ok(None) } else { Err(garbage("no greeting of giterctl's")) };
        }
        let (began, lines) = self.minute.filter(|(began, _)| now - *began < MINUTE).unwrap_or((now, 0));
        self.minute = Some((began, lines + 1));
        if lines == limits::WATCH_LINES {
            return Err(garbage(&format!("more than {lines} changes in a minute")));
        }
        let tip = std::str::from_utf8(&line).ok().and_then(|text| text.parse().ok());
        tip.map(Some).ok_or_else(|| garbage("a line that names no commit"))
    }
}

fn garbage(what: &str) -> Error {
    Error::new(Reason::ProtocolError, format!("`giterctl watch` says {what}"))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    /// A hub that says this at once, and then nothing or its end.
    struct Script {
        says: Vec<u8>,
        ends: bool,
    }

    impl Read for Script {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            unreachable!("a watch does not wait")
        }
    }

    impl Write for Script {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            unreachable!("a watch says nothing")
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Stream for Script {
        fn begin(&mut self, _: Duration, _: Option<crate::link::stream::Deadline>) {}

        fn descriptor(&self) -> io::Result<OwnedFd> {
            unreachable!("nobody waits here")
        }

        fn try_read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
            let count = self.says.len().min(buffer.len());
            buffer[..count].copy_from_slice(&self.says[..count]);
            self.says.drain(..count);
            Ok(if count > 0 || self.ends { Some(count) } else { None })
        }

        fn close(self) {}

        fn explain(self, error: Error) -> Error {
            error
        }
    }

    const ONE: &str = "1111111111111111111111111111111111111111\n";

    fn watch(says: &str, ends: bool) -> Watch<Script> {
        let mut watch = Watch::default();
        watch.begin(|| Ok(Script { says: says.into(), ends }));
        watch
    }

    fn hear(watch: &mut Watch<Script>, says: &str) -> Option<Heard> {
        let State::Open(telling) = &mut watch.state else { return None };
        telling.stream.says.extend_from_slice(says.as_bytes());
        watch.heard(Oid::new([0x22; 20]), Instant::now())
    }

    #[test]
    fn the_greeting_and_each_new_tip_are_news() {
        let mut watch = watch("", false);
        assert_eq!(hear(&mut watch, ""), Some(Heard::Nothing));
        assert_eq!(hear(&mut watch, "giter-watch"), Some(Heard::Nothing));
        assert_eq!(hear(&mut watch, " 1\n"), Some(Heard::News));
        assert_eq!(hear(&mut watch, ""), Some(Heard::Nothing));
        assert_eq!(hear(&mut watch, ONE), Some(Heard::News));
        assert_eq!(hear(&mut watch, &ONE.replace('1', "2")), Some(Heard::Nothing), "that is known already");
    }

    #[test]
    fn what_is_no_line_of_a_watch_ends_it() {
        let long = "1".repeat(limits::WATCH_LINE_BYTES + 1);
        for garbage in ["welcome\n", "giter-watch 2\n", "giter-watch 1\nxyz\n", "giter-watch 1\n\n", &long] {
            let mut watch = watch(garbage, false);
            assert_eq!(hear(&mut watch, ""), Some(Heard::Nothing), "{garbage}");
            assert!(matches!(watch.state, State::Ended), "{garbage}");
            watch.begin(|| unreachable!("it is asked for once on a connection"));
            assert_eq!(hear(&mut watch, ONE), None);
            watch.end();
            assert!(matches!(watch.state, State::Unasked));
        }
    }

    #[test]
    fn a_hub_that_tells_without_end_is_not_listened_to() {
        let mut watch = watch("giter-watch 1\n", false);
        for _ in 0..limits::WATCH_LINES {
            assert_eq!(hear(&mut watch, ONE), Some(Heard::News));
        }
        let State::Open(telling) = &mut watch.state else { unreachable!() };
        telling.stream.says = ONE.into();
        let later = Instant::now() + 2 * MINUTE;
        assert_eq!(watch.heard(Oid::new([0; 20]), later), Some(Heard::News), "another minute has begun");
        hear(&mut watch, &ONE.repeat(limits::WATCH_LINES as usize + 1));
        assert!(matches!(watch.state, State::Ended));
    }

    #[test]
    fn an_end_is_a_loss_where_the_hub_was_telling() {
        assert_eq!(hear(&mut watch("giter-watch 1\n", true), ""), Some(Heard::Loss));
        assert_eq!(hear(&mut watch("", true), ""), Some(Heard::Nothing));
        let mut refused: Watch<Script> = Watch::default();
        refused.begin(|| Err(Error::new(Reason::HubUnreachable, "no channel")));
        assert!(matches!(refused.state, State::Ended) && refused.is_told);
    }
}
