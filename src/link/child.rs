//! A program as a stream: its standard input and output, with its standard error heard on the side.
//!
//! One thread waits for the bytes, the words, the deadline and the cancellation at once (poll(2)). No process outlives
//! its [`Child`], and none is left as a zombie.

use std::{
    io::{self, Read, Write},
    os::{
        fd::{AsFd, OwnedFd},
        unix::process::CommandExt,
    },
    process::{ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::{Errno, ioctl_fionbio},
    process::{Pid, Signal, kill_process_group},
};

use super::{
    cancel::Cancel,
    patience::{Deadline, Patience},
    stream,
};
use crate::git::wire::Words;

/// How often a program that has said all is asked whether it has ended: nothing tells of that on every kernel.
const LINGER: Duration = Duration::from_millis(10);
/// How long a program may take to end once its input is closed, where silence is not cut short earlier.
const LAST_WORDS: Duration = Duration::from_secs(10);

/// A running program. I/O with it fails with `Stopped` and `HubTimeout`, wrapped in [`io::Error`].
pub(super) struct Child {
    process: std::process::Child,
    input: Option<ChildStdin>,
    output: Option<ChildStdout>,
    error: Option<ChildStderr>,
    words: Words,
    patience: Patience,
    cancel: Cancel,
}

/// How a program ended.
pub(super) struct Ending {
    /// Its exit status; `None` if it had to be killed.
    pub(super) status: Option<ExitStatus>,
    /// The last it said on standard error.
    pub(super) words: String,
}

#[derive(Clone, Copy)]
enum Side {
    Input,
    Output,
}

/// What [`Child::poll`] found.
struct Ready {
    cancelled: bool,
    side: bool,
    words: bool,
}

impl Child {
    /// Starts the program, in a process group of its own so that helpers it starts end with it.
    pub(super) fn spawn(command: &mut Command, patience: Patience, cancel: Cancel) -> io::Result<Self> {
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let mut process = command.spawn()?;
        let (input, output, error) = (process.stdin.take(), process.stdout.take(), process.stderr.take());
        let child = Self { process, input, output, error, words: Words::default(), patience, cancel };
        for fd in [child.input.as_ref().map(AsFd::as_fd), child.error.as_ref().map(AsFd::as_fd)].into_iter().flatten() {
            ioctl_fionbio(fd, true)?;
        }
        Ok(child)
    }

    /// Another exchange of words begins, in which this silence is borne, of a visit with this end.
    pub(super) fn begin(&mut self, silence: Duration, visit: Option<Deadline>) {
        self.patience.begin(silence, visit);
    }

    /// What becomes readable when the program has written something, or is gone.
    pub(super) fn descriptor(&self) -> io::Result<OwnedFd> {
        self.output.as_ref().ok_or(io::ErrorKind::NotConnected)?.as_fd().try_clone_to_owned()
    }

    /// Reads what was written, without waiting for it: `None` if nothing was, 0 bytes at the end.
    pub(super) fn try_read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let ready = self.poll(Side::Output, Duration::ZERO)?;
        if ready.words {
            self.hear();
        }
        match &mut self.output {
            Some(output) if ready.side => output.read(buffer).map(Some),
            Some(_) => Ok(None),
            None => Ok(Some(0)),
        }
    }

    /// Closes the program's standard input and lets it come to its end, for at most [`LAST_WORDS`].
    pub(super) fn finish(mut self) -> Ending {
        self.input = None;
        let deadline = Instant::now() + self.patience.deadline().left().min(LAST_WORDS);
        let status = loop {
            match self.process.try_wait() {
                Ok(Some(status)) => break Some(status),
                Ok(None) if Instant::now() < deadline && !self.cancel.is_cancelled() => self.drain(),
                _ => break None,
            }
        };
        while self.hear() {}
        Ending { status, words: self.words.text() }
    }

    /// Waits a moment for more output, and throws it away.
    fn drain(&mut self) {
        let Ok(ready) = self.poll(Side::Output, LINGER) else { return };
        if ready.words {
            self.hear();
        }
        if ready.side && !matches!(self.output.as_mut().map(|output| output.read(&mut [0; 4096])), Some(Ok(1..))) {
            self.output = None;
        }
    }

    /// Takes in what stands on standard error; whether there was anything.
    fn hear(&mut self) -> bool {
        let mut bytes = [0; 1024];
        match self.error.as_mut().map(|error| error.read(&mut bytes)) {
            Some(Ok(count @ 1..)) => {
                self.words.add(&bytes[..count]);
                true
            }
            Some(Err(error)) if error.kind() == io::ErrorKind::WouldBlock => false,
            _ => {
                self.error = None;
                false
            }
        }
    }

    fn wait_for(&mut self, side: Side) -> io::Result<()> {
        let deadline = self.patience.deadline();
        loop {
            let left = deadline.left();
            let ready = self.poll(side, left)?;
            if ready.cancelled {
                return Err(io::Error::other(stream::stopped()));
            }
            if ready.words {
                self.hear();
            }
            if ready.side {
                return Ok(());
            }
            if left.is_zero() {
                return Err(io::Error::other(deadline.passed()));
            }
        }
    }

    fn poll(&self, side: Side, patience: Duration) -> io::Result<Ready> {
        // What is closed already is stood in for by a descriptor of which nothing is asked.
        let cancel = self.cancel.as_fd();
        let absent = (cancel, PollFlags::empty());
        let (fd, flags) = match side {
            Side::Input => self.input.as_ref().map_or(absent, |input| (input.as_fd(), PollFlags::OUT)),
            Side::Output => self.output.as_ref().map_or(absent, |output| (output.as_fd(), PollFlags::IN)),
        };
        let (error, error_flags) = self.error.as_ref().map_or(absent, |error| (error.as_fd(), PollFlags::IN));
        let mut fds = [
            PollFd::from_borrowed_fd(cancel, PollFlags::IN),
            PollFd::from_borrowed_fd(fd, flags),
            PollFd::from_borrowed_fd(error, error_flags),
        ];
        let patience = Timespec::try_from(patience).map_err(|_| Errno::INVAL)?;
        match poll(&mut fds, Some(&patience)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let [cancelled, side, words] = fds.map(|fd| !fd.revents().is_empty());
        Ok(Ready { cancelled, side, words })
    }
}

impl Read for Child {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.wait_for(Side::Output)?;
        self.output.as_mut().map_or(Ok(0), |output| output.read(buffer))
    }
}

impl Write for Child {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            self.wait_for(Side::Input)?;
            match self.input.as_mut().map_or(Ok(0), |input| input.write(bytes)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return result,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if let Ok(None) = self.process.try_wait() {
            // It can fail only where the group has ended meanwhile; the process is reaped either way.
            let _ = kill_process_group(Pid::from_child(&self.process), Signal::KILL);
            let _ = self.process.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{Error, Reason};

    fn sh(script: &str, silence: Duration) -> (Child, Cancel) {
        let cancel = Cancel::new().unwrap();
        let child = Child::spawn(Command::new("sh").args(["-c", script]), Patience::new(silence, LONG), cancel.clone())
            .unwrap();
        (child, cancel)
    }

    fn reason(error: io::Error) -> Reason {
        error.downcast::<Error>().unwrap().reason()
    }

    const LONG: Duration = Duration::from_secs(600);

    #[test]
    fn bytes_go_in_and_come_out_and_words_are_heard() {
        let (mut child, _) = sh("echo careful >&2; cat; exit 3", LONG);
        child.write_all(b"hello").unwrap();
        let mut bytes = [0; 5];
        child.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"hello");
        let ending = child.finish();
        assert_eq!((ending.status.and_then(|status| status.code()), ending.words.as_str()), (Some(3), "careful"));
    }

    #[test]
    fn more_words_than_a_pipe_holds_do_not_stall_it() {
        let (mut child, _) = sh("head -c 300000 /dev/zero | tr '\\0' x >&2; echo done; head -c 300000 /dev/zero", LONG);
        let mut bytes = [0; 4];
        child.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"done");
        assert_eq!(child.finish().status.and_then(|status| status.code()), Some(0));
    }

    #[test]
    fn silence_ends_it() {
        let (mut child, _) = sh("exec sleep 1000", Duration::from_millis(20));
        assert_eq!(reason(child.read(&mut [0]).unwrap_err()), Reason::HubTimeout);
        assert!(child.finish().status.is_none());
    }

    #[test]
    fn a_full_pipe_that_nobody_reads_ends_it() {
        let (mut child, _) = sh("exec sleep 1000", Duration::from_millis(20));
        assert_eq!(reason(child.write_all(&[0; 1 << 20]).unwrap_err()), Reason::HubTimeout);
    }

    #[test]
    fn a_cancellation_ends_it() {
        let (mut child, cancel) = sh("exec sleep 1000", LONG);
        let waiting = std::thread::spawn(move || child.read(&mut [0]).unwrap_err());
        cancel.cancel();
        assert_eq!(reason(waiting.join().unwrap()), Reason::Stopped);
    }

    #[test]
    fn dropping_it_ends_and_reaps_it_with_what_it_started() {
        let (mut child, _) = sh("sleep 1000 & wait", LONG);
        let (process, mut output) = (child.process.id(), child.output.take().unwrap());
        drop(child);
        assert!(!std::path::Path::new(&format!("/proc/{process}")).exists());
        // The end of the pipe comes when the last that holds it, the helper, is gone.
        assert_eq!(output.read_to_end(&mut Vec::new()).unwrap(), 0);
    }
}
