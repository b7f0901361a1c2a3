//! A device that `giterd` keeps: one sync as a program, or the daemon with its connection held.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use giter_edge::api::Oid;
use rustix::process::Signal;

use crate::{
    Result,
    command::{program, run, ssh_keygen},
    daemon::Daemon,
    exchange::{Exchange, Number},
    sshd::Sshd,
};

/// The SSH clients of giterd.
pub(crate) const CLIENTS: [&str; 2] = ["builtin", "system"];

/// A device on the sim board: what it keeps lies on its disk, and its board in memory.
pub(crate) struct Device {
    dir: PathBuf,
    board: PathBuf,
    client: &'static str,
}

impl Device {
    /// Makes a device's folders, key and configuration.
    pub(crate) fn enrol(
        [dir, board]: [&Path; 2],
        exchange: &Exchange,
        number: Number,
        server: &Sshd,
        client: &'static str,
    ) -> Result<Self> {
        fs::create_dir(dir)?;
        fs::create_dir(board)?;
        let device = Self { dir: dir.to_owned(), board: board.to_owned(), client };
        ssh_keygen(&device.own("device.key"))?;
        let config = format!(
            r#"device = {name:?}
state = {state:?}
board = "sim"
drift.interval = "1h"
files.roots = [{files:?}]
link.url = {url:?}
link.identity = {identity:?}
link.known_hosts = {known_hosts:?}
link.program = {ssh:?}
link.interval = "5m"
trust.root = {root:?}
status.key = {key:?}
status.heartbeat = "0s"
status.coalesce = "0s"
status.budget = "0"
sim.file = {sim:?}
"#,
            name = number.name(),
            state = device.state(),
            files = exchange.files(),
            url = server.url(&exchange.hub()),
            identity = server.file("user_key"),
            known_hosts = server.file("known_hosts"),
            ssh = server.file("ssh"),
            root = exchange.root_file(),
            key = device.own("device.key"),
            sim = device.board.join("sim.toml"),
        );
        fs::write(device.own("giterd.toml"), config)?;
        Ok(device)
    }

    /// `giterd sync`.
    pub(crate) fn sync(&self) -> Command {
        let mut command = self.giterd();
        command.arg("sync");
        command
    }

    /// Runs a sync to its end and returns the most memory that giterd took, in bytes.
    pub(crate) fn sync_well(&self) -> Result<u64> {
        let output = run(self.sync().env("GITERD_LOG", "debug"))?;
        let log = String::from_utf8_lossy(&output.stderr);
        let peak = log.rsplit_once("peak memory: ").and_then(|(_, rest)| rest.split_once(" kB"));
        let kilobytes: u64 = peak.ok_or("giterd's log has no line 'peak memory: N kB'")?.0.parse()?;
        Ok(kilobytes * 1024)
    }

    /// Starts the daemon, and waits for its first poll.
    pub(crate) fn run(&self) -> Result<Held> {
        let held = Held { daemon: Daemon::start(&mut self.giterd()) };
        held.polled()?;
        Ok(held)
    }

    /// Makes the board refuse, or not any more: what the device says of itself changes, and no spec does.
    pub(crate) fn play(&self, is_broken: bool) -> Result<()> {
        let registers = if is_broken { "[fail]\nGPIO17 = \"busy\"\n" } else { "" };
        let new = self.board.join("sim.new");
        fs::write(&new, registers)?;
        Ok(fs::rename(new, self.board.join("sim.toml"))?)
    }

    /// The state folder.
    pub(crate) fn state(&self) -> PathBuf {
        self.own("state")
    }

    fn giterd(&self) -> Command {
        let mut command = program(env!("CARGO_BIN_EXE_giterd"));
        command.arg("--config").arg(self.own("giterd.toml")).env("GITERD_LINK_SSH", self.client);
        command
    }

    fn own(&self, file: &str) -> PathBuf {
        self.dir.join(file)
    }
}

/// A device whose daemon runs.
pub(crate) struct Held {
    daemon: Daemon,
}

impl Held {
    /// Has it poll, and waits for the end of that.
    pub(crate) fn poll(&self) -> Result<Vec<String>> {
        self.daemon.signal(Signal::HUP);
        self.polled()
    }

    /// Has it poll, which has to accept this tip and report it.
    pub(crate) fn poll_for(&self, tip: Oid) -> Result<()> {
        self.poll_with(&[&accepted(tip), PUSHED])
    }

    /// Has it poll, which has to accept this tip; where nothing of the device's own changed, it has nothing to report.
    pub(crate) fn poll_to_accept(&self, tip: Oid) -> Result<()> {
        self.poll_with(&[&accepted(tip)])
    }

    /// Has it poll, which has to report something new of the board.
    pub(crate) fn poll_to_report(&self) -> Result<()> {
        self.poll_with(&[PUSHED])
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.daemon.pid()
    }

    /// Ends it.
    pub(crate) fn stop(self) {
        self.daemon.stop();
    }

    /// Has it poll, and its log say all this.
    fn poll_with(&self, words: &[&str]) -> Result<()> {
        let lines = self.poll()?;
        match words.iter().find(|word| !lines.iter().any(|line| line.contains(*word))) {
            Some(word) => Err(format!("giterd's log has no '{word}':\n{}", lines.join("\n")).into()),
            None => Ok(()),
        }
    }

    /// Waits for the end of a poll that went well.
    fn polled(&self) -> Result<Vec<String>> {
        let lines = self.daemon.wait_for("debug: polled");
        match lines.iter().find(|line| line.starts_with("warning: ") && !line.contains("LineBusy")) {
            Some(line) => Err(format!("giterd says: {line}").into()),
            None => Ok(lines),
        }
    }
}

/// What the daemon's log says where it pushed a status.
const PUSHED: &str = "pushed status";

/// What it says where it accepted a tip.
fn accepted(tip: Oid) -> String {
    format!("accepted {}", tip.short())
}
