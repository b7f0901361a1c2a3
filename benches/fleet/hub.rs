//! The hub: a bare repository with the hook, and an sshd that listens as the one of a machine does.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
};

use crate::{
    PATIENCE, Result,
    command::{git, program, run, ssh_keygen},
    process,
    table::Counts,
};

const SSHD: &str = "/usr/sbin/sshd";

/// A bare repository, and the keys of the server before it.
pub(crate) struct Hub {
    dir: PathBuf,
    port: u16,
}

impl Hub {
    /// Makes the repository, which asks the root file until there is a charter, and the host key.
    pub(crate) fn create(dir: &Path, root_file: &Path) -> Result<Self> {
        fs::create_dir(dir)?;
        // Free until somebody else asks for it: the kernel hands out the others first.
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let hub = Self { dir: dir.to_owned(), port };
        let host_key = ssh_keygen(&hub.beside("host_key"))?;
        fs::write(hub.known_hosts(), format!("[127.0.0.1]:{port} {host_key}\n"))?;
        let mut giterctl = program(env!("CARGO_BIN_EXE_giterctl"));
        run(giterctl.args(["init", "--hub"]).arg(hub.repository()).arg("--root").arg(root_file))?;
        Ok(hub)
    }

    /// The bare repository.
    pub(crate) fn repository(&self) -> PathBuf {
        self.beside("exchange.git")
    }

    /// Where devices find it.
    pub(crate) fn url(&self) -> String {
        format!("ssh://{}@127.0.0.1:{}{}", process::user(), self.port, self.repository().display())
    }

    /// The host key, as devices are given it.
    pub(crate) fn known_hosts(&self) -> PathBuf {
        self.beside("known_hosts")
    }

    /// Lets these keys log in, one on each line.
    pub(crate) fn authorize(&self, keys: &str) -> Result<()> {
        Ok(fs::write(self.beside("authorized_keys"), keys)?)
    }

    /// Lets the devices log in that the exchange names, each for `giterctl serve` alone.
    pub(crate) fn authorize_to_be_served(&self) -> Result<()> {
        let mut giterctl = program(env!("CARGO_BIN_EXE_giterctl"));
        let lines = run(giterctl.arg("authorized-keys").arg(self.repository()))?;
        self.authorize(&String::from_utf8(lines.stdout)?)
    }

    /// How many devices say that they observe a commit.
    pub(crate) fn observers(&self, commit: &str) -> Result<usize> {
        let format = "--format=%(trailers:key=Observed-Revision,valueonly,separator=)";
        let observed = git(&self.repository(), ["for-each-ref", format, STATUSES])?;
        Ok(observed.lines().filter(|line| *line == commit).count())
    }

    /// How many statuses were ever taken in.
    pub(crate) fn status_count(&self) -> Result<usize> {
        Ok(git(&self.repository(), ["rev-list", "--count", &format!("--glob={STATUSES}")])?.parse()?)
    }

    /// Starts the server, with more lines of configuration before those that it has anyway.
    pub(crate) fn serve(&self, more: &str) -> Result<Sshd> {
        fs::write(self.beside("sshd_config"), more.to_owned() + &self.configuration())?;
        if process::user() == "root" {
            fs::create_dir_all("/run/sshd")?;
        }
        let mut command = program(SSHD);
        command.args(["-D", "-e", "-f"]).arg(self.beside("sshd_config")).stderr(Stdio::piped());
        Sshd::start(command.spawn().map_err(|error| format!("{SSHD}: {error} (apt-get install openssh-server)"))?)
    }

    fn beside(&self, file: &str) -> PathBuf {
        self.dir.join(file)
    }

    /// What docs/HUB.md asks for, with `HOME`, `PATH` and git's configuration out of the hands of the machine's owner.
    fn configuration(&self) -> String {
        format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {dir}/host_key\nAuthorizedKeysFile {dir}/authorized_keys\n\
             StrictModes no\nUsePAM no\nPidFile none\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n\
             PermitRootLogin prohibit-password\nExposeAuthInfo yes\nDisableForwarding yes\nPermitTTY no\n\
             LogLevel VERBOSE\nSetEnv HOME={dir} PATH={path} GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1\n",
            port = self.port,
            dir = self.dir.display(),
            path = std::env::var("PATH").unwrap_or_default(),
        )
    }
}

const STATUSES: &str = "refs/giter/status";

/// A server at work. It is stopped with its sessions when this is dropped.
pub(crate) struct Sshd {
    child: Child,
    counts: Arc<Mutex<Counts>>,
    /// Its memory before anybody came, in bytes.
    idle: u64,
}

impl Sshd {
    /// Waits until it listens.
    fn start(mut child: Child) -> Result<Self> {
        let log = child.stderr.take().ok_or("sshd has no stderr")?;
        let counts = Arc::new(Mutex::new(Counts::default()));
        let (listens, is_listening) = mpsc::channel();
        let counter = Arc::clone(&counts);
        thread::spawn(move || {
            for line in BufReader::new(log).lines().map_while(std::io::Result::ok) {
                let mut counts = counter.lock().unwrap_or_else(PoisonError::into_inner);
                counts.logins += usize::from(line.starts_with("Accepted publickey "));
                counts.refused += usize::from(line.starts_with("drop connection #"));
                if line.starts_with("Server listening on ") {
                    // Who started it may have given up.
                    let _ = listens.send(());
                }
            }
        });
        let mut sshd = Self { child, counts, idle: 0 };
        is_listening.recv_timeout(PATIENCE).map_err(|_| "sshd does not listen")?;
        sshd.idle = sshd.memory()?;
        Ok(sshd)
    }

    /// What was counted since it started.
    pub(crate) fn counts(&self) -> Result<Counts> {
        let hub = process::cpu_of_tree(self.child.id())?;
        Ok(Counts { hub, ..*self.counts.lock().unwrap_or_else(PoisonError::into_inner) })
    }

    /// The memory of the server and of all that it runs, in bytes.
    pub(crate) fn memory(&self) -> Result<u64> {
        process::memory_of_tree(self.child.id())
    }

    /// The memory of each of so many sessions, in bytes.
    pub(crate) fn memory_of_each(&self, sessions: usize) -> Result<u64> {
        Ok(self.memory()?.saturating_sub(self.idle) / sessions as u64)
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        process::end_tree(self.child.id());
        // It has been told to end, and there is nobody left to tell.
        let _ = self.child.wait();
    }
}
