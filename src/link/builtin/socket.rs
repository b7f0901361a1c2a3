//! A TCP connection whose every wait ends: by its deadline, or by a cancellation.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream, ToSocketAddrs},
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::net::UnixStream,
    },
    sync::mpsc,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    net::{AddressFamily, SocketFlags, SocketType, connect, ipproto, socket_with, sockopt},
};

use crate::{
    api::{Error, Reason, Result, limits},
    link::{Cancel, patience::Deadline, stream},
};

/// A connection. Waiting for it fails with `Stopped` and `HubTimeout`, all else with `HubUnreachable`.
pub(super) struct Socket {
    stream: TcpStream,
    cancel: Cancel,
}

impl Socket {
    /// Connects to a host's addresses in turn. Each may take half of the time that is left, so that there is some for
    /// the next.
    pub(super) fn connect(host: &str, port: u16, deadline: Deadline, cancel: &Cancel) -> Result<Self> {
        let mut last = None;
        for address in resolve(host, port, deadline, cancel)? {
            let half = Deadline::after(deadline.left() / 2);
            match open(address, half, cancel) {
                Ok(stream) => return Ok(Self { stream, cancel: cancel.clone() }),
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

    /// What becomes readable when something has come.
    pub(super) fn descriptor(&self) -> io::Result<OwnedFd> {
        self.stream.as_fd().try_clone_to_owned()
    }

    /// Reads what is there: `None` if nothing is, 0 bytes at the end of the stream.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<Option<usize>> {
        unblocked(self.stream.read(buffer))
    }

    /// Writes what can be written now; `None` if nothing can.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<Option<usize>> {
        unblocked(self.stream.write(bytes))
    }

    /// Has the kernel acknowledge what comes at once, or with what is said next, for some time.
    pub(super) fn acknowledge(&self, at_once: bool) -> Result<()> {
        sockopt::set_tcp_quickack(&self.stream, at_once)
            .map_err(|e| unreachable("the connection to the hub broke".into()).caused_by(io::Error::from(e)))
    }

    /// Waits until something can be read, where that is wanted, or written, where that is.
    pub(super) fn wait(&self, input: bool, output: bool, deadline: Deadline) -> Result<()> {
        let mut flags = PollFlags::empty();
        flags.set(PollFlags::IN, input);
        flags.set(PollFlags::OUT, output);
        wait(self.stream.as_fd(), flags, deadline, &self.cancel)
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
    wait(done.as_fd(), PollFlags::IN, deadline, cancel)?;
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
        Err(Errno::INPROGRESS | Errno::INTR) => wait(socket.as_fd(), PollFlags::OUT, deadline, cancel)?,
        Err(error) => return Err(failed(error.into())),
    }
    let stream = TcpStream::from(socket);
    match stream.take_error() {
        Ok(None) => Ok(stream),
        Ok(Some(error)) | Err(error) => Err(failed(error)),
    }
}

/// Waits for a descriptor, the deadline and the cancellation at once.
fn wait(fd: BorrowedFd<'_>, flags: PollFlags, deadline: Deadline, cancel: &Cancel) -> Result<()> {
    loop {
        let mut fds = [PollFd::new(cancel, PollFlags::IN), PollFd::from_borrowed_fd(fd, flags)];
        let left = deadline.left();
        let patience = Timespec::try_from(left).map_err(|e| Error::new(Reason::Bug, "a deadline").caused_by(e))?;
        match poll(&mut fds, Some(&patience)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(unreachable("cannot wait for the hub".into()).caused_by(io::Error::from(error))),
        }
        let [cancelled, ready] = fds.map(|fd| !fd.revents().is_empty());
        if cancelled {
            return Err(stream::stopped());
        }
        if ready {
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
        Err(error) => Err(unreachable("the connection to the hub broke".into()).caused_by(error)),
    }
}

fn unreachable(what: String) -> Error {
    Error::new(Reason::HubUnreachable, what)
}
