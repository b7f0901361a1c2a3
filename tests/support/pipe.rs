//! Git's own programs at the other end of a pipe: a link as through SSH, with nothing in between.

use std::{
    cell::Cell,
    io::{self, Read, Write},
    os::fd::{AsFd, OwnedFd},
    path::PathBuf,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    rc::Rc,
    time::Duration,
};

use giter_edge::{
    api::{Error, Reason, Result, ledger::HubTraits},
    link::{
        Manner,
        remote::Remote,
        stream::{Connector, Deadline, Service, Stream, Version2},
    },
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Runs git's programs on a repository.
pub(crate) struct Pipe {
    repository: PathBuf,
    traffic: Rc<Cell<usize>>,
    cut: Rc<Cell<bool>>,
}

/// A link to the branch `main` and the status ref `refs/giter/status/dev` of a repository, and the bytes that pass, both
/// ways together.
pub(crate) fn link(repository: PathBuf) -> (Remote<Pipe>, Rc<Cell<usize>>) {
    with(repository, Duration::ZERO, &Rc::default())
}

/// The same, with a conversation that is held for so long, and a switch: once it is set, the program is lost that is written
/// to next.
pub(crate) fn with(repository: PathBuf, hold: Duration, cut: &Rc<Cell<bool>>) -> (Remote<Pipe>, Rc<Cell<usize>>) {
    let traffic = Rc::new(Cell::new(0));
    let pipe = Pipe { repository, traffic: Rc::clone(&traffic), cut: Rc::clone(cut) };
    let manner = Manner { silence: Duration::MAX, exchange: Duration::MAX, hold, watch: false };
    (Remote::over(pipe, "main", "refs/giter/status/dev", manner, HubTraits::default()), traffic)
}

impl Connector for Pipe {
    type Stream = Program;

    fn connect(&mut self, service: Service, version: Version2) -> Result<Program> {
        let mut command = Command::new(service.program());
        command.arg(&self.repository).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.envs([("GIT_CONFIG_NOSYSTEM", "1"), ("GIT_CONFIG_GLOBAL", "/dev/null"), ("HOME", "/nonexistent")]);
        if version != Version2::Unsaid {
            command.env("GIT_PROTOCOL", "version=2");
        }
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let (input, output) = (child.stdin.take(), child.stdout.take().unwrap());
        Ok(Program { child, input, output, traffic: Rc::clone(&self.traffic), cut: Rc::clone(&self.cut) })
    }

    fn has_room(&self) -> bool {
        true
    }

    fn hang_up(&mut self) {}
}

/// A program that runs.
pub(crate) struct Program {
    child: Child,
    input: Option<ChildStdin>,
    output: ChildStdout,
    traffic: Rc<Cell<usize>>,
    cut: Rc<Cell<bool>>,
}

impl Stream for Program {
    /// Whoever runs the test ends what is silent.
    fn begin(&mut self, _silence: Duration, _visit: Option<Deadline>) {}

    fn descriptor(&self) -> io::Result<OwnedFd> {
        self.output.as_fd().try_clone_to_owned()
    }

    fn try_read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let mut output = [PollFd::new(&self.output, PollFlags::IN)];
        match poll(&mut output, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }))? {
            0 => Ok(None),
            _ => self.read(buffer).map(Some),
        }
    }

    fn close(mut self) {
        self.input = None;
        self.child.wait().unwrap();
    }

    fn explain(self, error: Error) -> Error {
        match error.reason() {
            Reason::HubUnreachable => Error::new(Reason::RepositoryNotFound, "git cannot read the repository"),
            _ => error,
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.input = None;
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Read for Program {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.output.read(buffer)?;
        self.traffic.set(self.traffic.get() + count);
        Ok(count)
    }
}

impl Write for Program {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.cut.take() {
            self.child.kill()?;
            self.child.wait()?;
        }
        let count = self.input.as_mut().unwrap().write(bytes)?;
        self.traffic.set(self.traffic.get() + count);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.input.as_mut().unwrap().flush()
    }
}
