//! A TCP connection whose every wait ends: by its deadline, or by a cancellation.
//!
//! The kernel acknowledges what is taken out of it at once where that came in two small segments, though the words that
//! answer it are about to follow and could carry that: 52 bytes for each such pair (`tcp_cleanup_rbuf`, net/ipv4/tcp.c). So
//! what is read is looked at, and left there until something is written. What is new beside it is told by an edge of epoll(7).

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream, ToSocketAddrs},
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
    sync::mpsc,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, epoll, poll},
    io::Errno,
    net::{AddressFamily, RecvFlags, SocketFlags, SocketType, connect, ipproto, recv, socket_with, sockopt},
};

use crate::{
    api::{Error, Reason, Result, limits},
    link::{Cancel, patience::Deadline, stream},
};

/// A connection. Waiting for it fails with `Stopped` and `HubTimeout`, all else with `HubUnreachable`.
pub(super) struct Socket {
    stream: TcpStream,
    cancel: Cancel,
    /// Tells of what comes, once.
    arrivals: OwnedFd,
    /// Whether there may be something that was not read.
    has_more: bool,
    /// How much was read and is still there.
    seen: usize,
    /// Whether what is read may be left there.
    leaves: bool,
    /// Whether something was read, and neither answered nor acknowledged since.
    owes: bool,
    /// Whether the other side's end was told of, or an error.
    is_ending: bool,
}

/// How much may be left with the kernel.
const LEFT_BYTES: usize = 2048;

impl Socket {
    /// Connects to a host's addresses in turn. Each may take half of the time that is left, so that there is some for
    /// the next.
    pub(super) fn connect(host: &str, port: u16, deadline: Deadline, cancel: &Cancel) -> Result<Self> {
        let mut last = None;
        for address in resolve(host, port, deadline, cancel)? {
            let half = Deadline::after(deadline.left() / 2);
            match open(address, half, cancel) {
                Ok(stream) => return Self::new(stream, cancel),
                Err(error) if error.reason() == Reason::Stopped => return Err(error),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| unreachable(format!("{host} has no address"))))
    }

    /// Has the kernel ask from time to time whether the other side is still there.
    pub(super) fn probe(&self) -> io::Result<()> {
        sockopt::set_socket_keepalive(&self.stream, true)?;
        sockopt::set_tcp_keepidle(&self.stream, limits::WATCH_PROBE)?;
        Ok(())
    }

    fn new(stream: TcpStream, cancel: &Cancel) -> Result<Self> {
        let edges = epoll::EventFlags::IN | epoll::EventFlags::RDHUP | epoll::EventFlags::ET;
        let arrivals = epoll::create(epoll::CreateFlags::CLOEXEC)
            .and_then(|arrivals| epoll::add(&arrivals, &stream, epoll::EventData::new_u64(0), edges).map(|()| arrivals))
            .map_err(|e| broken(e.into()))?;
        Ok(Self {
            stream,
            cancel: cancel.clone(),
            arrivals,
            has_more: true,
            seen: 0,
            leaves: false,
            owes: false,
            is_ending: false,
        })
    }

    /// What becomes readable when something has come; until the next wait nothing is left there.
    pub(super) fn descriptor(&mut self) -> Result<OwnedFd> {
        self.leaves = false;
        self.take_seen()?;
        self.stream.as_fd().try_clone_to_owned().map_err(broken)
    }

    /// Reads what has come: `None` if nothing has, 0 bytes at the end of the stream. The buffer holds more than is left there.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<Option<usize>> {
        let read = if !self.leaves || self.is_ending || self.seen >= LEFT_BYTES {
            self.take_seen()?;
            unblocked(self.stream.read(buffer))?
        } else {
            self.look(buffer)?
        };
        self.has_more = read.is_some();
        self.owes |= self.has_more;
        Ok(read)
    }

    /// Reads, and leaves it there.
    fn look(&mut self, buffer: &mut [u8]) -> Result<Option<usize>> {
        let looked = recv(&self.stream, &mut *buffer, RecvFlags::PEEK).map(|(count, _)| count);
        let Some(count) = unblocked(looked.map_err(io::Error::from))? else { return Ok(None) };
        let seen = std::mem::replace(&mut self.seen, count);
        let new = count.checked_sub(seen).ok_or_else(|| broken(io::ErrorKind::UnexpectedEof.into()))?;
        buffer.copy_within(seen..count, 0);
        Ok(Some(new).filter(|&new| new > 0 || count == 0))
    }

    /// Takes what was read out of the kernel.
    fn take_seen(&mut self) -> Result<()> {
        let mut seen = [0; LEFT_BYTES];
        while self.seen > 0 {
            let most = self.seen.min(seen.len());
            match self.stream.read(&mut seen[..most]).map_err(broken)? {
                0 => return Err(broken(io::ErrorKind::UnexpectedEof.into())),
                count => self.seen -= count,
            }
        }
        Ok(())
    }

    /// Writes what can be written now; `None` if nothing can.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<Option<usize>> {
        let written = unblocked(self.stream.write(bytes))?;
        if written.is_some_and(|count| count > 0) {
            self.owes = false;
            self.take_seen()?;
        }
        Ok(written)
    }

    /// Has the kernel acknowledge now what was read and not answered.
    pub(super) fn acknowledge(&mut self) -> Result<()> {
        if std::mem::take(&mut self.owes) {
            self.take_seen()?;
            self.acknowledge_next(true)?;
        }
        Ok(())
    }

    /// Has the kernel acknowledge what comes at once, or, for some time, with what is said next.
    fn acknowledge_next(&self, at_once: bool) -> Result<()> {
        sockopt::set_tcp_quickack(&self.stream, at_once).map_err(|e| broken(e.into()))
    }

    /// Waits until something new can be read, where that is wanted, or written, where that is.
    pub(super) fn wait(&mut self, input: bool, output: bool, deadline: Deadline) -> Result<()> {
        self.leaves = true;
        if input && self.has_more {
            return self.notice();
        }
        self.acknowledge_next(false)?;
        let wanted = |is_wanted: bool, flags| if is_wanted { flags } else { PollFlags::empty() };
        let fds = [
            PollFd::new(&self.stream, wanted(output, PollFlags::OUT)),
            PollFd::new(&self.arrivals, wanted(input, PollFlags::IN)),
        ];
        wait(fds, deadline, &self.cancel)?;
        self.notice()
    }

    /// Takes in what was told of arrivals, so that the next one is told anew.
    fn notice(&mut self) -> Result<()> {
        let ending = epoll::EventFlags::RDHUP | epoll::EventFlags::HUP | epoll::EventFlags::ERR;
        let mut events = [epoll::Event { flags: epoll::EventFlags::empty(), data: epoll::EventData::new_u64(0) }];
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        match epoll::wait(&self.arrivals, &mut events, Some(&at_once)) {
            Ok(0) | Err(Errno::INTR) => {}
            Ok(_) => {
                self.has_more = true;
                self.is_ending |= { events[0].flags }.intersects(ending);
            }
            Err(error) => return Err(broken(error.into())),
        }
        Ok(())
    }
}

/// A host's addresses. The system's resolver can neither be cancelled nor be given a deadline, so a name is looked up
/// by a thread of its own, which is left to itself where the answer comes too late.
fn resolve(host: &str, port: u16, deadline: Deadline, cancel: &Cancel) -> Result<Vec<SocketAddr>> {
    if let Ok(address) = host.parse() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let (done, at_work) = UnixStream::pair().map_err(|e| unreachable(format!("cannot look up {host}")).caused_by(e))?;
    let (send, answer) = mpsc::sync_channel(1);
    let name = host.to_owned();
    std::thread::Builder::new()
        .name("resolver".into())
        .spawn(move || {
            // Nobody may be waiting any more.
            let _ = send.send((name.as_str(), port).to_socket_addrs().map(Iterator::collect));
            drop(at_work);
        })
        .map_err(|e| Error::new(Reason::Bug, "cannot start a thread").caused_by(e))?;
    wait([PollFd::new(&done, PollFlags::IN)], deadline, cancel)?;
    let addresses = answer.recv().unwrap_or_else(|_| Err(io::Error::other("the resolver ended on its own")));
    addresses.map_err(|e| unreachable(format!("cannot find the address of {host}")).caused_by(e))
}

fn open(address: SocketAddr, deadline: Deadline, cancel: &Cancel) -> Result<TcpStream> {
    let failed = |error: io::Error| unreachable(format!("cannot connect to {address}")).caused_by(error);
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(family, SocketType::STREAM, flags, Some(ipproto::TCP)).map_err(|e| failed(e.into()))?;
    sockopt::set_tcp_nodelay(&socket, true).map_err(|e| failed(e.into()))?;
    match connect(&socket, &address) {
        Ok(()) => {}
        Err(Errno::INPROGRESS | Errno::INTR) => wait([PollFd::new(&socket, PollFlags::OUT)], deadline, cancel)?,
        Err(error) => return Err(failed(error.into())),
    }
    let stream = TcpStream::from(socket);
    match stream.take_error() {
        Ok(None) => Ok(stream),
        Ok(Some(error)) | Err(error) => Err(failed(error)),
    }
}

/// Waits for one of some descriptors, the deadline and the cancellation at once.
fn wait<const N: usize>(wanted: [PollFd<'_>; N], deadline: Deadline, cancel: &Cancel) -> Result<()> {
    loop {
        let mut fds: Vec<_> = wanted.iter().cloned().chain([PollFd::new(cancel, PollFlags::IN)]).collect();
        let left = deadline.left();
        let patience = Timespec::try_from(left).map_err(|e| Error::new(Reason::Bug, "a deadline").caused_by(e))?;
        match poll(&mut fds, Some(&patience)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(unreachable("cannot wait for the hub".into()).caused_by(io::Error::from(error))),
        }
        let is_told = |fd: &PollFd<'_>| !fd.revents().is_empty();
        if fds.pop().as_ref().is_some_and(is_told) {
            return Err(stream::stopped());
        }
        if fds.iter().any(is_told) {
            return Ok(());
        }
        if left.is_zero() {
            return Err(deadline.passed());
        }
    }
}

fn unblocked(result: io::Result<usize>) -> Result<Option<usize>> {
    match result {
        Ok(count) => Ok(Some(count)),
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Ok(None),
        Err(error) => Err(broken(error)),
    }
}

fn broken(error: io::Error) -> Error {
    unreachable("the connection to the hub broke".into()).caused_by(error)
}

fn unreachable(what: String) -> Error {
    Error::new(Reason::HubUnreachable, what)
}

#[cfg(test)]
mod tests;
