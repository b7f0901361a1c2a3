//! One SSH connection: sunset's state machine between a socket and the programs that run at the hub, each on a channel.
//!
//! ```text
//! socket --inbound--> Runner --channels--> ahead --> read
//! socket <-outbound-- Runner <--channels------------ write
//! ```
//!
//! Nothing here waits longer than its deadline. The state machine takes no more input while a channel's data lies unread,
//! so what comes on any of them is put aside, within [`limits::SSH_AHEAD_BYTES`] for each. What it has to send is gathered
//! until nothing is left but to wait, since each segment costs more than what most of them carry. What goes wrong with
//! the connection ends it for all of them.

use std::os::fd::OwnedFd;

use sunset::{
    ChanData, ChanHandle, CliEvent, CliSessionExit, Client, Event, Runner,
    config::{DEFAULT_WINDOW, MAX_CHANNELS},
};

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

/// How much may wait to be sent before more is written: some segments.
const OUTBOUND_BYTES: usize = 4096;
/// How often a hub that sends without end is listened to before anything else is done.
const TURNS_UNASKED: usize = 64;

/// A connection that the hub has let in.
pub(super) struct Session {
    socket: Socket,
    runner: Runner<'static, Client>,
    door: Door,
    inbound: Inbound,
    /// What the socket has not taken yet.
    outbound: Vec<u8>,
    /// Whether the hub waits for some of that.
    is_due: bool,
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
struct Channel {
    handle: ChanHandle,
    /// Whether nobody listens to it any more.
    is_left: bool,
    /// Whether the hub has closed it.
    is_closed: bool,
    /// How much of its window is used up, and for how much of that there is new room in what is to be sent.
    used: usize,
    renewed: usize,
    /// How much has come since something was written.
    answer: usize,
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
            outbound: Vec::new(),
            is_due: false,
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

    /// Starts a command beside those that run. What asks for it goes with what is said next, or before the next wait.
    pub(super) fn run(&mut self, command: &str, deadline: Deadline) -> Result<ChannelId> {
        let id = ChannelId(self.channels.len());
        let handle = self.runner.open_client_session().map_err(broken)?;
        self.channels.push(Channel::new(handle, command));
        while let Channel { handle, command: Some(_), .. } = self.channel(id) {
            // A channel that is not open has room for nothing, one that was refused has not even that.
            let room = self.runner.write_channel_ready(handle, ChanData::Normal).map_err(broken)?;
            if self.door.stage() == Stage::Inside && room.is_none() {
                return Err(ended("the hub opens no channel for this device"));
            }
            self.is_due = true;
            self.turn(deadline)?;
        }
        Ok(id)
    }

    /// Whether another command can be started.
    pub(super) fn has_room(&self) -> bool {
        self.channels.len() < MAX_CHANNELS && !self.is_gone()
    }

    /// What becomes readable when something has come, on whatever channel.
    pub(super) fn descriptor(&mut self) -> Result<OwnedFd> {
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
        let mut turns = 0..TURNS_UNASKED;
        while turns.next().is_some() && self.step(Self::advance)? {}
        self.step(Self::send)?;
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
            let (handle, now) = (&self.channels[id.0].handle, self.outbound.len() < OUTBOUND_BYTES);
            let bytes = if now { bytes } else { &[] };
            match self.runner.write_channel(handle, ChanData::Normal, bytes).map_err(broken)? {
                0 => self.turn(deadline)?,
                count => {
                    self.channels[id.0].answer = 0;
                    return Ok(count);
                }
            }
        }
    }

    /// Sends what was written.
    pub(super) fn flush(&mut self, id: ChannelId, deadline: Deadline) -> Result<()> {
        while (self.runner.is_output_pending() || !self.outbound.is_empty()) && !self.is_over(id) {
            self.is_due = true;
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
        self.channels[id.0].is_left = true;
        self.channels[id.0].ahead = Vec::new();
    }

    /// Puts an end to the connection, for every channel.
    pub(super) fn end(&mut self) {
        self.is_broken = true;
    }

    /// Whether nobody listens to another channel than this.
    pub(super) fn is_alone(&self, id: ChannelId) -> bool {
        self.channels.iter().enumerate().all(|(at, channel)| at == id.0 || channel.is_left)
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
        self.is_gone() || self.runner.is_channel_eof(&self.channel(id).handle)
    }

    fn is_closed(&self, id: ChannelId) -> bool {
        self.is_gone() || self.channel(id).is_closed
    }

    /// Does what can be done without waiting; if that is nothing, waits.
    fn turn(&mut self, deadline: Deadline) -> Result<()> {
        if self.step(Self::advance)? || self.step(Self::send)? {
            return Ok(());
        }
        let input = self.inbound.is_empty() && self.runner.is_input_ready();
        let waited = self.acknowledge().and_then(|()| self.socket.wait(input, self.is_due, deadline));
        self.is_broken |= waited.is_err();
        waited
    }

    /// Acknowledges what needs no answer where the hub waits for that: until its first program begins, OpenSSH's server holds
    /// back what it says next until what it said last is acknowledged.
    fn acknowledge(&mut self) -> Result<()> {
        let has_begun = self.channels.first().is_some_and(|channel| channel.command.is_none());
        if has_begun { Ok(()) } else { self.socket.acknowledge() }
    }

    /// Does what can be done without waiting; whether there was anything. A connection that fails is gone.
    fn step(&mut self, work: impl FnOnce(&mut Self) -> Result<bool>) -> Result<bool> {
        if self.is_broken {
            return Err(ended("the connection is gone"));
        }
        let done = work(self);
        self.is_broken |= done.is_err();
        done
    }

    /// Lets everything move on but what is to be sent; whether anything did.
    fn advance(&mut self) -> Result<bool> {
        let ends = self.ends();
        // The state machine works on what it took in before anybody looks at what has changed.
        let mut has_moved = self.receive()?;
        has_moved |= self.progress()?;
        self.assign_exit();
        let has_gathered = self.gather();
        // That the end of a program was heard can be said to the hub with the next words.
        self.is_due |= has_gathered && self.ends() == ends;
        has_moved |= has_gathered;
        has_moved |= self.put_aside()?;
        Ok(has_moved)
    }

    /// How many ends the hub has made: of what a program writes, and of a channel.
    fn ends(&self) -> usize {
        let ends = |channel: &Channel| {
            let has_said_all = self.runner.is_channel_eof(&channel.handle);
            usize::from(has_said_all) + usize::from(channel.is_closed)
        };
        self.channels.iter().map(ends).sum()
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
        let closed = |channel: &&mut Channel| !channel.is_closed && self.runner.is_channel_closed(&channel.handle);
        for channel in self.channels.iter_mut().filter(closed) {
            channel.is_closed = true;
            channel.status = self.exit.take();
        }
    }

    /// Takes what is to be sent out of the state machine; whether there was anything.
    fn gather(&mut self) -> bool {
        let bytes = self.runner.output_buf();
        let count = bytes.len();
        self.outbound.extend_from_slice(bytes);
        self.runner.consume_output(count);
        count > 0
    }

    /// Writes what is due to the socket, as much as it takes now; whether it took anything.
    fn send(&mut self) -> Result<bool> {
        self.is_due &= !self.outbound.is_empty();
        if !self.is_due {
            return Ok(false);
        }
        let Some(count) = self.socket.write(&self.outbound)? else { return Ok(false) };
        self.outbound.drain(..count);
        if self.outbound.is_empty() {
            self.is_due = false;
            for channel in &mut self.channels {
                channel.used -= std::mem::take(&mut channel.renewed);
            }
        }
        Ok(count > 0)
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
        let at = slot.0 as usize;
        let Some(channel) = self.channels.get_mut(at) else { return Ok(false) };
        let mut bytes = vec![0; count];
        let (count, data) = self.runner.read_channel_either(&channel.handle, &mut bytes).map_err(broken)?;
        channel.take_in(data, &bytes[..count])?;
        // What the state machine says of it is that there is room again. A long answer must not wait for that.
        let (used, is_long) = (channel.used, channel.answer > DEFAULT_WINDOW);
        let is_renewed = self.gather();
        if is_renewed {
            self.channels[at].renewed = used;
        }
        self.is_due |= used >= DEFAULT_WINDOW || (is_renewed && is_long);
        Ok(count > 0)
    }
}

impl Channel {
    fn new(handle: ChanHandle, command: &str) -> Self {
        let (command, ahead, words) = (Some(command.to_owned()), Vec::new(), Words::default());
        Self {
            handle,
            is_left: false,
            is_closed: false,
            used: 0,
            renewed: 0,
            answer: 0,
            command,
            ahead,
            words,
            status: None,
        }
    }

    /// Keeps what the program wrote, if anybody listens.
    fn take_in(&mut self, data: ChanData, bytes: &[u8]) -> Result<()> {
        self.used += bytes.len();
        self.answer += bytes.len();
        match data {
            _ if self.is_left => {}
            ChanData::Normal if self.ahead.len() + bytes.len() > limits::SSH_AHEAD_BYTES => {
                return Err(Error::new(Reason::ProtocolError, "the hub talks without listening"));
            }
            ChanData::Normal => self.ahead.extend_from_slice(bytes),
            ChanData::Stderr => self.words.add(bytes),
        }
        Ok(())
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
