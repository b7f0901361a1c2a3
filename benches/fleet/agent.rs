//! One device: its keys, its folder, and `giterd run` as a program whose log is read as it comes.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use crate::{
    Result,
    command::{program, ssh_keygen},
    hub::Hub,
    journal::Journal,
    process,
    table::Counts,
};

/// A device on the sim board.
pub(crate) struct Device {
    pub(crate) name: String,
    dir: PathBuf,
    /// The public halves of what signs its statuses and of what it logs in with.
    pub(crate) status_key: String,
    pub(crate) ssh_key: String,
}

/// What an agent is started by.
#[derive(Clone, Copy)]
pub(crate) enum Start {
    /// Somebody, on a machine that is up.
    Hand,
    /// The machine's own start: it has one in a time namespace (time_namespaces(7)), which a program enters as it is
    /// executed, since Linux 6.1; and a boot id of its own, in a mount namespace.
    Power,
}

/// Runs a program, as itself, with another boot id.
const BOOT: &str = "mount --bind \"$0\" /proc/sys/kernel/random/boot_id && exec \"$@\"";

impl Device {
    /// Makes the device's folder, keys and configuration.
    pub(crate) fn create(dir: &Path, name: &str, hub: &Hub, root_file: &Path, interval: Duration) -> Result<Self> {
        fs::create_dir_all(dir.join("files"))?;
        let (status_key, ssh_key) = (ssh_keygen(&dir.join("device.key"))?, ssh_keygen(&dir.join("ssh_key"))?);
        let config = format!(
            r#"device = "{name}"
state = {state:?}
board = "sim"
files.roots = [{files:?}]
sim.file = {sim:?}
drift.interval = "1h"
[link]
url = {url:?}
ssh = "builtin"
identity = {identity:?}
known_hosts = {known_hosts:?}
interval = "{interval}s"
[trust]
root = {root_file:?}
[status]
key = {key:?}
coalesce = "0s"
"#,
            state = dir.join("state"),
            files = dir.join("files"),
            sim = dir.join("sim.toml"),
            url = hub.url(),
            identity = dir.join("ssh_key"),
            known_hosts = hub.known_hosts(),
            interval = interval.as_secs(),
            key = dir.join("device.key"),
        );
        fs::write(dir.join("giterd.toml"), config)?;
        Ok(Self { name: name.to_owned(), dir: dir.to_owned(), status_key, ssh_key })
    }

    /// A file that its specs may write.
    pub(crate) fn file(&self) -> PathBuf {
        self.dir.join("files/motd")
    }

    /// Starts its agent, which holds its connection as `link.hold` says.
    pub(crate) fn start(&self, hold: &str, by: Start) -> Result<Agent> {
        let mut giterd = match by {
            Start::Hand => program(env!("CARGO_BIN_EXE_giterd")),
            Start::Power => {
                let uptime = fs::read_to_string("/proc/uptime")?;
                let uptime: u64 = uptime.split('.').next().unwrap_or_default().parse()?;
                let boot_id = self.dir.join("boot_id");
                fs::write(&boot_id, fs::read("/proc/sys/kernel/random/uuid")?)?;
                let mut unshare = program("unshare");
                unshare.args(["--mount", "--time"]).arg(format!("--boottime=-{}", uptime.saturating_sub(1)));
                unshare.args(["sh", "-c", BOOT]).arg(boot_id).arg(env!("CARGO_BIN_EXE_giterd"));
                unshare
            }
        };
        giterd.arg("--config").arg(self.dir.join("giterd.toml")).args(["run", "-v"]).env("GITERD_LINK_HOLD", hold);
        let mut child = giterd.stdin(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let log = child.stderr.take().ok_or("giterd has no stderr")?;
        let journal = Arc::new(Mutex::new(Journal::default()));
        let reader = Arc::clone(&journal);
        let reading = thread::spawn(move || {
            for line in BufReader::new(log).lines().map_while(std::io::Result::ok) {
                locked(&reader).take(&line);
            }
        });
        Ok(Agent { child, journal, reading: Some(reading) })
    }
}

/// An agent at work. It is stopped when this is dropped; its log stays.
pub(crate) struct Agent {
    child: Child,
    journal: Arc<Mutex<Journal>>,
    reading: Option<JoinHandle<()>>,
}

impl Agent {
    /// Its log so far.
    pub(crate) fn journal(&self) -> MutexGuard<'_, Journal> {
        locked(&self.journal)
    }

    /// Stops it; its whole log, without a poll that was broken off by that.
    pub(crate) fn stop(mut self) -> Result<Journal> {
        let polls = self.journal().polls.len();
        process::end(self.child.id());
        self.child.wait()?;
        self.reading.take().map(JoinHandle::join).transpose().map_err(|_| "a log could not be read to its end")?;
        let mut journal = std::mem::take(&mut *self.journal());
        journal.polls.truncate(polls);
        Ok(journal)
    }

    /// The most memory that it ever had in use, in bytes.
    pub(crate) fn peak_memory(&self) -> Result<u64> {
        process::peak_memory(self.child.id())
    }

    /// What its log counts, and its processor time.
    pub(crate) fn counts(&self) -> Result<Counts> {
        let agents = process::cpu(self.child.id())?;
        let journal = self.journal();
        let failed = journal.polls.iter().filter(|poll| poll.failure.is_some()).count();
        Ok(Counts { polls: journal.polls.len(), failed, pushes: journal.pushes, agents, ..Counts::default() })
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        process::end(self.child.id());
        // It has been told to end, and there is nobody left to tell.
        let _ = self.child.wait();
    }
}

fn locked(journal: &Mutex<Journal>) -> MutexGuard<'_, Journal> {
    journal.lock().unwrap_or_else(PoisonError::into_inner)
}
