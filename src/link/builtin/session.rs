//! One SSH connection: sunset's state machine between a socket and the program that runs at the hub.
//!
//! ```text
//! socket --inbound--> Runner --channel--> ahead --> read
//! socket <----------- Runner <--channel------------ write
//! ```
//!
//! Nothing here waits longer than its deadline: the way in as a whole, then each read and each write. The state machine
//! takes no more input while channel data lies unread, so what the hub says while the device speaks is put aside,
//! within [`limits::SSH_AHEAD_BYTES`].

use sunset::{ChanData, ChanHandle, CliEvent, CliSessionExit, Client, Event, Runner, config::MAX_CHANNELS};

use super::{
    Place,
    door::{Door, Stage},
    socket::{Deadline, Socket},
};
use crate::{
    api::{Error, Reason, Result, limits},
    git::wire::Words,
    link::Cancel,
};
use std::time::Duration;

/// A connection that the hub has let in.
pub(super) struct Session {
    socket: Socket,
    runner: Runner<'static, Client>,
    door: Door,
    inbound: Inbound,
    silence: Duration,
    /// How many channels it has had. The state machine has a slot for each of [`MAX_CHANNELS`], for good.
    channels: usize,
    channel: Option<Channel>,
}

/// The channel in use, on which a program runs at the hub.
struct Channel {
    handle: ChanHandle,
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
    pub(super) fn open(place: &Place, command: &str, cancel: &Cancel) -> Result<Self> {
        let door = Door::new(place)?;
        let deadline = Deadline::after(place.timeout);
        let port = place.url.port().unwrap_or(22);
        let socket = Socket::connect(place.url.host(), port, deadline, cancel)?;
        let mut session = Self {
            socket,
            runner: Runner::new_client_owned(),
            door,
            inbound: Inbound::default(),
            silence: place.timeout,
            channels: 0,
            channel: None,
        };
        while session.door.stage() < Stage::Signed {
            session.turn(deadline)?;
        }
        // The hub reads this once it has let the device in: that saves a round trip.
        session.ask(command)?;
        session.start(deadline)?;
        Ok(session)
    }

    /// Starts another command on the same connection.
    pub(super) fn run(&mut self, command: &str) -> Result<()> {
        self.ask(command)?;
        self.start(Deadline::after(self.silence))
    }

    /// Whether another command can be started.
    pub(super) fn has_room(&self) -> bool {
        self.channels < MAX_CHANNELS && !self.inbound.ended
    }

    /// Reads what the program writes; 0 bytes at its end.
    pub(super) fn read(&mut self, into: &mut [u8]) -> Result<usize> {
        let deadline = Deadline::after(self.silence);
        while self.ahead().is_empty() && !self.is_over() {
            self.turn(deadline)?;
        }
        let Some(channel) = &mut self.channel else { return Ok(0) };
        let count = channel.ahead.len().min(into.len());
        into[..count].copy_from_slice(&channel.ahead[..count]);
        channel.ahead.drain(..count);
        Ok(count)
    }

    /// Writes to the program, as much as there is room for.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        let deadline = Deadline::after(self.silence);
        loop {
            if self.is_over() {
                return Err(ended("the hub stopped listening"));
            }
            let Some(channel) = &self.channel else { return Err(ended("there is no channel")) };
            match self.runner.write_channel(&channel.handle, ChanData::Normal, bytes).map_err(broken)? {
                0 => self.turn(deadline)?,
                count => return Ok(count),
            }
        }
    }

    /// Sends what was written.
    pub(super) fn flush(&mut self) -> Result<()> {
        let deadline = Deadline::after(self.silence);
        while self.runner.is_output_pending() && !self.is_over() {
            self.turn(deadline)?;
        }
        Ok(())
    }

    /// Lets the program come to its end, for at most this time; its status, if it has one, and its last words.
    pub(super) fn finish(&mut self, patience: Duration) -> (Option<i32>, String) {
        let deadline = Deadline::after(patience.min(self.silence));
        while !self.is_closed() {
            if let Some(channel) = &mut self.channel {
                channel.ahead.clear();
            }
            if self.turn(deadline).is_err() {
                break;
            }
        }
        let status = self.channel.as_ref().and_then(|channel| channel.status);
        (status, self.channel.as_ref().map(|channel| channel.words.text()).unwrap_or_default())
    }

    /// Has done with the program. What it still says is thrown away.
    pub(super) fn leave(&mut self) {
        if let Some(channel) = self.channel.take() {
            // It fails only for a channel that was never opened, whose slot is then lost with it.
            let _ = self.runner.channel_done(channel.handle);
        }
    }

    /// Asks for a channel.
    fn ask(&mut self, command: &str) -> Result<()> {
        let handle = self.runner.open_client_session().map_err(broken)?;
        self.channels += 1;
        let (command, ahead, words) = (Some(command.to_owned()), Vec::new(), Words::default());
        self.channel = Some(Channel { handle, command, ahead, words, status: None });
        Ok(())
    }

    /// Waits until the channel is open, on which the command is sent then.
    fn start(&mut self, deadline: Deadline) -> Result<()> {
        while let Some(Channel { handle, command: Some(_), .. }) = &self.channel {
            // A channel that is not open has room for nothing, one that was refused has not even that.
            let room = self.runner.write_channel_ready(handle, ChanData::Normal).map_err(broken)?;
            if self.door.stage() == Stage::Inside && room.is_none() {
                return Err(ended("the hub opens no channel for this device"));
            }
            self.turn(deadline)?;
        }
        Ok(())
    }

    fn ahead(&self) -> &[u8] {
        self.channel.as_ref().map_or(&[], |channel| &channel.ahead)
    }

    /// Whether the program writes no more.
    fn is_over(&self) -> bool {
        self.inbound.ended || self.channel.as_ref().is_none_or(|channel| self.runner.is_channel_eof(&channel.handle))
    }

    fn is_closed(&self) -> bool {
        self.inbound.ended || self.channel.as_ref().is_none_or(|channel| self.runner.is_channel_closed(&channel.handle))
    }

    /// Does what can be done without waiting; if that is nothing, waits.
    fn turn(&mut self, deadline: Deadline) -> Result<()> {
        // The state machine works on what it took in before anybody looks at what has changed.
        let mut has_moved = self.receive()?;
        has_moved |= self.progress()?;
        has_moved |= self.put_aside()?;
        has_moved |= self.send()?;
        if has_moved {
            return Ok(());
        }
        let input = self.inbound.is_empty() && self.runner.is_input_ready();
        self.socket.wait(input, self.runner.is_output_pending(), deadline)
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
                    if let Some(command) = self.channel.as_mut().and_then(|channel| channel.command.take()) {
                        opener.exec(command).map_err(broken)?;
                    }
                }
                Event::Cli(CliEvent::SessionExit(exit)) => {
                    if let (CliSessionExit::Status(status), Some(channel)) = (exit, &mut self.channel) {
                        channel.status = i32::try_from(status).ok();
                    }
                }
                Event::Cli(CliEvent::Defunct) => return Err(ended("the hub closed the connection")),
                Event::Cli(CliEvent::Banner(_) | CliEvent::PollAgain) | Event::Progressed => {}
                Event::Serv(_) => return Err(Error::new(Reason::Bug, "an SSH client was asked as a server")),
            }
            has_moved = true;
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

    /// Takes the channel's data out of the state machine; whether there was any.
    fn put_aside(&mut self) -> Result<bool> {
        let (Some((_, _, count)), Some(channel)) = (self.runner.read_channel_ready(), &mut self.channel) else {
            return Ok(false);
        };
        let mut bytes = vec![0; count];
        let (count, data) = self.runner.read_channel_either(&channel.handle, &mut bytes).map_err(broken)?;
        match data {
            ChanData::Normal if channel.ahead.len() + count > limits::SSH_AHEAD_BYTES => {
                return Err(Error::new(Reason::ProtocolError, "the hub talks without listening"));
            }
            ChanData::Normal => channel.ahead.extend_from_slice(&bytes[..count]),
            ChanData::Stderr => channel.words.add(&bytes[..count]),
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
