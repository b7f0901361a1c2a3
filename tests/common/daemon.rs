//! A running `giterd` that is watched through its log.
//!
//! Nothing here measures time. What a daemon does is waited for, and [`PATIENCE`] only ends a wait that would never end:
//! it is far longer than any of it takes, so that a slow machine makes a test slow and not red.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

/// After how long something that did not happen is taken for something that will not.
const PATIENCE: Duration = Duration::from_secs(120);

/// A running `giterd run -v`. It is killed where a test leaves it.
pub(crate) struct Daemon {
    child: Child,
    lines: Receiver<String>,
}

impl Daemon {
    /// Starts `giterd run -v`, by a command that says the rest.
    pub(crate) fn start(giterd: &mut Command) -> Self {
        let mut child = giterd.args(["run", "-v"]).stderr(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = mpsc::channel();
        let log = BufReader::new(child.stderr.take().unwrap());
        thread::spawn(move || log.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { child, lines }
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a line of the log that contains this, and returns the lines up to it, it included.
    ///
    /// # Panics
    ///
    /// If there is no such line.
    pub(crate) fn wait_for(&self, text: &str) -> Vec<String> {
        let mut seen = Vec::new();
        while !seen.last().is_some_and(|line: &String| line.contains(text)) {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => seen.push(line),
                Err(error) => panic!("no {text:?} in the log ({error}):\n{}", seen.join("\n")),
            }
        }
        seen
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for its end; how it ended, and the lines that nobody has waited for yet.
    pub(crate) fn end(mut self) -> (ExitStatus, Vec<String>) {
        let ended = eventually("giterd to end", || self.child.try_wait().unwrap());
        (ended, self.lines.iter().collect())
    }

    /// Stops it with SIGTERM, and returns the lines that nobody has waited for yet.
    ///
    /// # Panics
    ///
    /// If it does not end well.
    pub(crate) fn stop(self) -> Vec<String> {
        self.signal(Signal::TERM);
        let (status, lines) = self.end();
        assert_eq!(status.code(), Some(0), "{lines:?}");
        lines
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It fails only where it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks until there is an answer.
pub(crate) fn eventually<T>(what: &str, mut answer: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = answer() {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        thread::park_timeout(Duration::from_millis(10));
    }
}
