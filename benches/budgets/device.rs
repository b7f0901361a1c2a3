//! A device of an exchange: its configuration, its keys, and `giterd sync` as a program.

use std::{fs, path::PathBuf};

use crate::{
    Result,
    command::{program, run, ssh_keygen},
    exchange::Exchange,
    sshd::{self, Sshd},
};

/// A device on the sim board that reaches the exchange's hub through ssh.
///
/// Its ssh is the system's, behind a script that notes what it was called with, so that git can be given the same.
pub(crate) struct Device {
    dir: PathBuf,
    url: String,
}

impl Device {
    /// Makes the device's folder, key and configuration. `port` is where it finds the server: its own or a proxy's.
    pub(crate) fn enrol(exchange: &Exchange, name: &str, server: &Sshd, port: u16) -> Result<Self> {
        let dir = exchange.dir().join(name);
        fs::create_dir(&dir)?;
        let device = Self { dir, url: sshd::url(port, &exchange.hub()) };
        ssh_keygen(&device.own("device.key"))?;
        device.write_ssh(server);
        device.write_config(exchange, name, server)?;
        Ok(device)
    }

    /// Runs a sync to its end and returns the most memory it took, in bytes.
    pub(crate) fn sync(&self) -> Result<u64> {
        self.sync_by("system")
    }

    /// The same, by one of the SSH clients.
    pub(crate) fn sync_by(&self, client: &str) -> Result<u64> {
        let mut giterd = program(env!("CARGO_BIN_EXE_giterd"));
        giterd.arg("sync").arg("--config").arg(self.own("giterd.toml"));
        giterd.env("GITERD_LOG", "debug").env("GITERD_LINK_SSH", client);
        let output = run(&mut giterd)?;
        let log = String::from_utf8_lossy(&output.stderr);
        peak_memory(&log).ok_or_else(|| format!("giterd's log has no line 'peak memory: N kB':\n{log}").into())
    }

    /// Where the exchange is.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// What giterd last ran ssh as, before the destination and the remote command.
    pub(crate) fn ssh(&self) -> Result<Vec<String>> {
        let noted = fs::read_to_string(self.own("ssh-command"))?;
        let mut words: Vec<_> = noted.split_terminator('\0').map(str::to_owned).collect();
        words.truncate(words.len().saturating_sub(2));
        Ok(words)
    }

    fn own(&self, file: &str) -> PathBuf {
        self.dir.join(file)
    }

    fn write_ssh(&self, server: &Sshd) {
        let (noted, ssh) = (self.own("ssh-command"), server.file("ssh"));
        let note = format!("printf '%s\\0' '{ssh}' \"$@\" > '{noted}'", ssh = ssh.display(), noted = noted.display());
        sshd::write_program(&self.own("ssh"), &format!("{note}\nexec '{}' \"$@\"", ssh.display()));
    }

    fn write_config(&self, exchange: &Exchange, name: &str, server: &Sshd) -> Result<()> {
        let config = format!(
            r#"device = "{name}"
state = {state:?}
board = "sim"
link.url = {url:?}
link.identity = {identity:?}
link.known_hosts = {known_hosts:?}
link.program = {ssh:?}
trust.root = {root:?}
status.key = {key:?}
files.roots = [{files:?}]
sim.file = {sim:?}
"#,
            state = self.own("state"),
            url = self.url,
            identity = server.file("user_key"),
            known_hosts = server.file("known_hosts"),
            ssh = self.own("ssh"),
            root = exchange.signers(),
            key = self.own("device.key"),
            files = exchange.files(),
            sim = self.own("sim.toml"),
        );
        Ok(fs::write(self.own("giterd.toml"), config)?)
    }
}

/// The bytes of the line `peak memory: N kB`, the kernel's `VmHWM` (proc_pid_status(5), where a kB is 1024 bytes).
fn peak_memory(log: &str) -> Option<u64> {
    let (_, rest) = log.rsplit_once("peak memory: ")?;
    let kilobytes: u64 = rest.split_once(" kB")?.0.parse().ok()?;
    Some(kilobytes * 1024)
}
