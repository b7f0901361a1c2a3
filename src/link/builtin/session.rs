//! One SSH connection: sunset's state machine between a socket and the programs that run at the hub, each on a channel.
//!
//! ```text
//! socket --inbound--> Runner --channels--> ahead --> read
//! socket <----------- Runner <--channels------------ write
//! ```
//!
//! Nothing here waits longer than its deadline. The state machine takes no more input while a channel's data lies unread,
//! so what comes on any of them is put aside, within [`limits::SSH_AHEAD_BYTES`] for each. What goes wrong with the
//! connection ends it for all of them.

use std::{io, os::fd::OwnedFd};

use sunset::{ChanData, ChanHandle, CliEvent, CliSessionExit, Client, Event, Runner, config::MAX_CHANNELS};

use super::{
    Place,
    door::{Door, Stage},
    socket::Socket,
};
use crate::{
    api::{Error, Reason, Result, limits},
    git::wire::Words,
    link::{Cancel, patience::Deadline},
};

/// How often a hub that sends without end is listened to before anything else is done.
const TURNS_UNASKED: usize = 64;

/// A connection that the hub has let in.
pub(super) struct Session {
    socket: Socket,
    runner: Runner<'static, Client>,
    door: Door,
    inbound: Inbound,
    /// In the order of the state machine's slots, of which it has [`MAX_CHANNELS`], each for good.
    channels: Vec<Channel>,
    /// The status of a program that has ended, until it is known by its closing channel which.
    exit: Option<i32>,
    is_broken: bool,
}

/// A channel of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ChannelId(usize);

/// A program at the hub.
#[derive(Default)]
struct Channel {
    /// `None` once nobody listens to it any more.
    handle: Option<ChanHandle>,
    /// The command, until it was sent.
    command: Option<String>,
    /// What the program wrote, and was not read yet.
    ahead: Vec<u8>,
    words: Words,
    status: Option<i32>,
}

/// Bytes from the socket that the state machine has not taken yet.
#[derive(Default)]
struct Inbound {
    bytes: Vec<u8>,
    taken: usize,
    total: usize,
    ended: bool,
}

impl Session {
    /// Connects, proves both sides, and starts a command.
    pub(super) fn open(place: &Place, command: &str, deadline: Deadline, cancel: &Cancel) -> Result<(Self, ChannelId)> {
        let door = Door::new(place)?;
        let port = place.url.port().unwrap_or(22);
        let socket = Socket::connect(place.url.host(), port, deadline, cancel)?;
        if place.manner.watch {
            socket.probe().map_err(|error| ended("the connection cannot be watched").caused_by(error))?;
        }
        let mut session = Self {
            socket,
            runner: Runner::new_client_owned(),
            door,
            inbound: Inbound::default(),
            channels: Vec::new(),
            exit: None,
            is_broken: false,
        };
        while session.door.stage() < Stage::Signed {
            session.turn(deadline)?;
        }
        // The hub reads this once it has let the device in: that saves a round trip.
        let channel = session.run(command, deadline)?;
        Ok((session, channel))
    }

    /// Starts a command beside those that run.
    pub(super) fn run(&mut self, command: &str, deadline: Deadline) -> Result<ChannelId> {
        let id = ChannelId(self.channels.len());
        let handle = self.runner.open_client_session().map_err(broken)?;
        self.channels.push(Channel { handle: Some(handle), command: Some(command.to_owned()), ..Channel::default() });
        while let Channel { handle: Some(handle), command: Some(_), .. } = self.channel(id) {
            // A channel that is not open has room for nothing, one that was refused has not even that.
            let room = self.runner.write_channel_ready(handle, ChanData::Normal).map_err(broken)?;
            if self.door.stage() == Stage::Inside && room.is_none() {
                return Err(ended("the hub opens no channel for this device"));
            }
            self.turn(deadline)?;
        }
        self.flush(id, deadline)?;
        Ok(id)
    }

    /// Whether another command can be started.
    pub(super) fn has_room(&self) -> bool {
        self.channels.len() < MAX_CHANNELS && !self.is_gone()
    }

    /// What becomes readable when something has come, on whatever channel.
    pub(super) fn descriptor(&self) -> io::Result<OwnedFd> {
        self.socket.descriptor()
    }

    /// Reads what the program writes; 0 bytes at its end.
    pub(super) fn read(&mut self, id: ChannelId, into: &mut [u8], deadline: Deadline) -> Result<usize> {
        while self.channel(id).ahead.is_empty() && !self.is_over(id) {
            self.turn(deadline)?;
        }
        Ok(self.take(id, into))
    }

    /// Reads what the program has written, without waiting for it: `None` if that is nothing, 0 bytes at its end.
    pub(super) fn try_read(&mut self, id: ChannelId, into: &mut [u8]) -> Result<Option<usize>> {
        for _ in 0..TURNS_UNASKED {
            if !self.advance()? {
                break;
            }
        }
        match self.take(id, into) {
            0 if !self.is_over(id) => Ok(None),
            count => Ok(Some(count)),
        }
    }

    /// Writes to the program, as much as there is room for.
    pub(super) fn write(&mut self, id: ChannelId, bytes: &[u8], deadline: Deadline) -> Result<usize> {
        loop {
            if self.is_over(id) {
                return Err(ended("the hub stopped listening"));
            }
            let Some(handle) = &self.channels[id.0].handle else { return Err(ended("there is no channel")) };
            match self.runner.write_channel(handle, ChanData::Normal, bytes).map_err(broken)? {
                0 => self.turn(deadline)?,
                count => return Ok(count),
            }
        }
    }

    /// Sends what was written.
    pub(super) fn flush(&mut self, id: ChannelId, deadline: Deadline) -> Result<()> {
        while self.runner.is_output_pending() && !self.is_over(id) {
            self.turn(deadline)?;
        }
        Ok(())
    }

    /// Lets the program come to its end; its status, if it has one, and its last words.
    pub(super) fn finish(&mut self, id: ChannelId, deadline: Deadline) -> (Option<i32>, String) {
        while !self.is_closed(id) {
            self.channels[id.0].ahead.clear();
            if self.turn(deadline).is_err() {
                break;
            }
        }
        (self.channel(id).status, self.channel(id).words.text())
    }

    /// Has done with the program. What it still says is thrown away.
    pub(super) fn leave(&mut self, id: ChannelId) {
        let Channel { handle, .. } = std::mem::take(&mut self.channels[id.0]);
        if let Some(handle) = handle {
            // It fails only for a channel that was never opened, whose slot is then lost with it.
            let _ = self.runner.channel_done(handle);
        }
    }

    /// Puts an end to the connection, for every channel.
    pub(super) fn end(&mut self) {
        self.is_broken = true;
    }

    /// Whether nobody listens to another channel than this.
    pub(super) fn is_alone(&self, id: ChannelId) -> bool {
        self.channels.iter().enumerate().all(|(at, channel)| at == id.0 || channel.handle.is_none())
    }

    fn channel(&self, id: ChannelId) -> &Channel {
        &self.channels[id.0]
    }

    fn take(&mut self, id: ChannelId, into: &mut [u8]) -> usize {
        let ahead = &mut self.channels[id.0].ahead;
        let count = ahead.len().min(into.len());
        into[..count].copy_from_slice(&ahead[..count]);
        ahead.drain(..count);
        count
    }

    fn is_gone(&self) -> bool {
        self.is_broken || self.inbound.ended
    }

    /// Whether the program writes no more.
    fn is_over(&self, id: ChannelId) -> bool {
        let handle = self.channel(id).handle.as_ref();
        self.is_gone() || handle.is_none_or(|handle| self.runner.is_channel_eof(handle))
    }

    fn is_closed(&self, id: ChannelId) -> bool {
        let handle = self.channel(id).handle.as_ref();
        self.is_gone() || handle.is_none_or(|handle| self.runner.is_channel_closed(handle))
    }

    /// Does what can be done without waiting; if that is nothing, waits.
    fn turn(&mut self, deadline: Deadline) -> Result<()> {
        if self.advance()? {
            return Ok(());
        }
        let input = self.inbound.is_empty() && self.runner.is_input_ready();
        let waited = self.socket.wait(input, self.runner.is_output_pending(), deadline);
        self.is_broken |= waited.is_err();
        waited
    }

    /// Does what can be done without waiting; whether there was anything.
    fn advance(&mut self) -> Result<bool> {
        if self.is_broken {
            return Err(ended("the connection is gone"));
        }
        let advanced = self.advance_whole();
        self.is_broken |= advanced.is_err();
        advanced
    }

    fn advance_whole(&mut self) -> Result<bool> {
        // The state machine works on what it took in before anybody looks at what has changed.
        let mut has_moved = self.receive()?;
        has_moved |= self.progress()?;
        self.assign_exit();
        has_moved |= self.put_aside()?;
        has_moved |= self.send()?;
        Ok(has_moved)
    }

    /// Lets the state machine work, and answers what it asks; whether it asked. It has to come to rest before it is given
    /// more input: after an event, its next step throws the packet away that it holds.
    fn progress(&mut self) -> Result<bool> {
        let mut has_moved = false;
        loop {
            match self.runner.progress().map_err(broken)? {
                Event::None => return Ok(has_moved),
                Event::Cli(CliEvent::Hostkey(check)) => self.door.meet(check)?,
                Event::Cli(CliEvent::Username(request)) => request.username(self.door.user()).map_err(broken)?,
                Event::Cli(CliEvent::Pubkey(request)) => self.door.offer(request)?,
                Event::Cli(CliEvent::AgentSign(request)) => self.door.sign(request)?,
                Event::Cli(CliEvent::Password(_)) => return Err(self.door.refused("it asks for a password")),
                Event::Cli(CliEvent::Authenticated) => self.door.enter(),
                Event::Cli(CliEvent::SessionOpened(mut opener)) => {
                    let channel = self.channels.get_mut(opener.channel().0 as usize);
                    if let Some(command) = channel.and_then(|channel| channel.command.take()) {
                        opener.exec(command).map_err(broken)?;
                    }
                }
                Event::Cli(CliEvent::SessionExit(CliSessionExit::Status(status))) => {
                    self.exit = i32::try_from(status).ok();
                }
                Event::Cli(CliEvent::SessionExit(CliSessionExit::Signal(_))) => {}
                Event::Cli(CliEvent::Defunct) => return Err(ended("the hub closed the connection")),
                Event::Cli(CliEvent::Banner(_) | CliEvent::PollAgain) | Event::Progressed => {}
                Event::Serv(_) => return Err(Error::new(Reason::Bug, "an SSH client was asked as a server")),
            }
            has_moved = true;
        }
    }

    /// The state machine does not say whose exit status came. A channel closes right behind it.
    fn assign_exit(&mut self) {
        let runner = &self.runner;
        let is_closed = |handle: &ChanHandle| runner.is_channel_closed(handle);
        let closed =
            |channel: &&mut Channel| channel.status.is_none() && channel.handle.as_ref().is_some_and(is_closed);
        if self.exit.is_some()
            && let Some(channel) = self.channels.iter_mut().find(closed)
        {
            channel.status = self.exit.take();
        }
    }

    /// Writes to the socket what it takes now; whether it took anything.
    fn send(&mut self) -> Result<bool> {
        let bytes = self.runner.output_buf();
        if bytes.is_empty() {
            return Ok(false);
        }
        let Some(count) = self.socket.write(bytes)? else { return Ok(false) };
        self.runner.consume_output(count);
        Ok(true)
    }

    /// Gives the state machine what has come; whether it took anything, or the stream ended.
    fn receive(&mut self) -> Result<bool> {
        if !self.runner.is_input_ready() || self.inbound.ended {
            return Ok(false);
        }
        if self.inbound.is_empty() && !self.inbound.fill(&mut self.socket)? {
            return Ok(false);
        }
        if self.inbound.ended {
            self.runner.close_input();
            return Ok(true);
        }
        if self.inbound.total > limits::SSH_GREETING_BYTES && self.door.stage() < Stage::Inside {
            return Err(ended("the hub talks without end before it lets anybody in"));
        }
        let count = self.runner.input(self.inbound.left()).map_err(broken)?;
        self.inbound.taken += count;
        Ok(count > 0)
    }

    /// Takes a channel's data out of the state machine; whether there was any.
    fn put_aside(&mut self) -> Result<bool> {
        let Some((slot, _, count)) = self.runner.read_channel_ready() else { return Ok(false) };
        let channel = self.channels.get_mut(slot.0 as usize);
        let Some(Channel { handle: Some(handle), ahead, words, .. }) = channel else { return Ok(false) };
        let mut bytes = vec![0; count];
        let (count, data) = self.runner.read_channel_either(handle, &mut bytes).map_err(broken)?;
        match data {
            ChanData::Normal if ahead.len() + count > limits::SSH_AHEAD_BYTES => {
                return Err(Error::new(Reason::ProtocolError, "the hub talks without listening"));
            }
            ChanData::Normal => ahead.extend_from_slice(&bytes[..count]),
            ChanData::Stderr => words.add(&bytes[..count]),
        }
        Ok(count > 0)
    }
}

impl Inbound {
    /// As much as is taken from the socket at once.
    const BYTES: usize = 4096;

    fn left(&self) -> &[u8] {
        &self.bytes[self.taken..]
    }

    fn is_empty(&self) -> bool {
        self.left().is_empty()
    }

    /// Reads from the socket; whether something came, be it the end.
    fn fill(&mut self, socket: &mut Socket) -> Result<bool> {
        self.bytes.resize(Self::BYTES, 0);
        let read = socket.read(&mut self.bytes);
        let count = read.as_ref().map_or(0, |count| count.unwrap_or(0));
        self.bytes.truncate(count);
        self.taken = 0;
        self.total = self.total.saturating_add(count);
        self.ended = matches!(read, Ok(Some(0)));
        Ok(read?.is_some())
    }
}

/// What sunset makes of the hub, as an error of ours.
pub(super) fn broken(error: sunset::Error) -> Error {
    use sunset::Error as Sunset;
    match error {
        Sunset::AlgoNoMatch { algo: "hostkey" } => {
            Error::new(Reason::HostKeyRefused, "the hub has no host key of type ssh-ed25519")
                .hint("make it one there with `ssh-keygen -A`, or set `link.ssh` to \"system\"")
        }
        Sunset::AlgoNoMatch { .. } => {
            ended("the hub and this device have no algorithm in common").caused_by(error.to_string()).hint(
                "let the hub's SSH server take curve25519-sha256, and chacha20-poly1305@openssh.com or aes256-ctr with \
                 hmac-sha2-256; or set `link.ssh` to \"system\"",
            )
        }
        Sunset::BadSig => Error::new(Reason::HostKeyRefused, "the hub does not have the host key that it shows")
            .hint("somebody else answers in its place: see what is between this device and the hub"),
        Sunset::NoAuthMethods => Error::new(Reason::SshKeyRefused, "the hub lets nobody in by a key")
            .hint("allow `publickey` in the hub's SSH server for this account"),
        Sunset::NotSSH => ended("what answers there is no SSH server").caused_by(error.to_string()),
        _ => ended("the SSH connection to the hub broke").caused_by(error.to_string()),
    }
}

fn ended(what: &str) -> Error {
    Error::new(Reason::HubUnreachable, what)
}
