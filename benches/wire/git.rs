//! What people use today: git in a loop, `fetch --depth=1` and `reset --hard`, and a signed commit for a status.

use std::{
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use crate::{
    Result,
    command::{git, program, run},
    exchange::Exchange,
    sshd::Sshd,
};

/// The bytes of a status: about what one takes, and as hard to compress.
const STATUS: usize = 300;

/// How git reaches the hub.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Way {
    /// A connection each, with the elliptic curve alone.
    Curve,
    /// A connection each, with what ssh prefers: a post-quantum hybrid.
    Hybrid,
    /// Channels of one connection that is held.
    Held,
}

/// A clone that is checked out, and beside it a small repository for the statuses.
pub(crate) struct Git {
    dir: PathBuf,
    url: String,
    ssh: String,
    destination: String,
}

impl Git {
    /// What will be cloned, in a folder.
    pub(crate) fn new(dir: &Path, exchange: &Exchange, server: &Sshd) -> Result<Self> {
        fs::create_dir_all(dir)?;
        let url = server.url(&exchange.hub());
        let ssh = format!(
            "ssh -F none -i {} -o IdentitiesOnly=yes -o UserKnownHostsFile={} -o GlobalKnownHostsFile=/dev/null -o BatchMode=yes",
            server.file("user_key").display(),
            server.file("known_hosts").display(),
        );
        let host = url.strip_prefix("ssh://").and_then(|rest| rest.split_once('/')).ok_or("an odd URL")?.0;
        let (account, port) = host.rsplit_once(':').ok_or("an odd URL")?;
        let status = dir.join("status");
        git(dir, ["init", "-q", "-b", "main", "status"])?;
        let key = exchange.root_file().with_file_name("publisher").display().to_string();
        let settings =
            [("user.name", "git"), ("user.email", "git@bench"), ("gpg.format", "ssh"), ("user.signingKey", &key)];
        settings.into_iter().try_for_each(|(name, value)| git(&status, ["config", name, value]).map(drop))?;
        git(&status, ["remote", "add", "origin", &url])?;
        Ok(Self { dir: dir.to_owned(), destination: format!("-p {port} {account}"), url, ssh })
    }

    /// Clones the branch's tip, and checks it out.
    pub(crate) fn clone(&self, way: Way) -> Command {
        let mut command = self.command(way);
        command.args(["clone", "-q", "--depth=1", &self.url]).arg(self.tree());
        command
    }

    /// Asks for the branch's tip.
    pub(crate) fn fetch(&self, way: Way) -> Command {
        let mut command = self.command(way);
        command.arg("-C").arg(self.tree()).args(["fetch", "-q", "--depth=1", "origin", "main"]);
        command
    }

    /// Makes the folder what was fetched.
    pub(crate) fn reset(&self) -> Command {
        let mut command = program("git");
        command.arg("-C").arg(self.tree()).args(["reset", "-q", "--hard", "FETCH_HEAD"]);
        command
    }

    /// Commits another status, signed.
    pub(crate) fn commit_status(&self) -> Result<[Command; 2]> {
        let mut status = [0; STATUS];
        File::open("/dev/urandom")?.read_exact(&mut status)?;
        fs::write(self.dir.join("status/status.postcard"), status)?;
        let command = |words: &[&str]| {
            let mut command = program("git");
            command.arg("-C").arg(self.dir.join("status")).args(words);
            command
        };
        Ok([command(&["add", "status.postcard"]), command(&["commit", "-q", "-S", "-m", "Ready"])])
    }

    /// Pushes the status.
    pub(crate) fn push(&self, way: Way) -> Command {
        let mut command = self.command(way);
        command.arg("-C").arg(self.dir.join("status"));
        command.args(["push", "-q", "origin", "HEAD:refs/giter/status/git"]);
        command
    }

    /// Commits and pushes a status.
    pub(crate) fn report(&self, way: Way) -> Result<()> {
        self.commit_status()?.iter_mut().try_for_each(|command| run(command).map(drop))?;
        run(&mut self.push(way)).map(drop)
    }

    /// Fetches and resets.
    pub(crate) fn follow(&self, way: Way) -> Result<()> {
        run(&mut self.fetch(way))?;
        run(&mut self.reset()).map(drop)
    }

    /// Makes another clone that has what proves the branch so far: the tip and its root tree.
    pub(crate) fn keep_proof(&self, way: Way) -> Result<()> {
        let mut command = self.command(way);
        command.args(["clone", "-q", "--bare", "--depth=1", "--filter=tree:1", &self.url]).arg(self.dir.join("proof"));
        run(&mut command).map(drop)
    }

    /// Fetches what proves the branch since then: each commit and its root tree.
    pub(crate) fn fetch_proof(&self, way: Way) -> Command {
        let mut command = self.command(way);
        command.arg("-C").arg(self.dir.join("proof")).args(["fetch", "-q", "--filter=tree:1", "origin", "main"]);
        command
    }

    /// Connects, for [`Way::Held`], until what is returned is dropped.
    pub(crate) fn hold(&self) -> Result<Master> {
        let line =
            format!("exec {} -N -M -S {} {}", self.ssh_by(Way::Curve), self.socket().display(), self.destination);
        let mut master = Command::new("sh").args(["-c", &line]).stdin(Stdio::null()).spawn()?;
        while !self.socket().exists() {
            if let Some(status) = master.try_wait()? {
                return Err(format!("ssh -M: {status}").into());
            }
            std::thread::yield_now();
        }
        Ok(Master(master))
    }

    /// The clone.
    pub(crate) fn tree(&self) -> PathBuf {
        self.dir.join("clone")
    }

    fn socket(&self) -> PathBuf {
        self.dir.join("master")
    }

    fn ssh_by(&self, way: Way) -> String {
        match way {
            Way::Curve => format!("{} -o KexAlgorithms=curve25519-sha256", self.ssh),
            Way::Hybrid => self.ssh.clone(),
            Way::Held => format!("{} -S {}", self.ssh, self.socket().display()),
        }
    }

    fn command(&self, way: Way) -> Command {
        let mut command = program("git");
        command.env("GIT_SSH_COMMAND", self.ssh_by(way));
        command
    }
}

/// An ssh that holds a connection.
pub(crate) struct Master(Child);

impl Drop for Master {
    fn drop(&mut self) {
        // SIGTERM lets it take its socket away; where it has ended already there is nothing to end.
        let pid = rustix::process::Pid::from_child(&self.0);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.0.wait();
    }
}
