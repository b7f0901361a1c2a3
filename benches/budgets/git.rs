//! What git itself needs for what giterd does: a shallow clone, `git fetch --depth=1`, and a push of a signed commit.

use std::{
    fs::{self, File},
    io::Read,
    path::PathBuf,
};

use crate::{
    Result,
    command::{git, program, run},
    device::Device,
    exchange::Exchange,
};

/// The bytes of a status: about what one takes, and as hard to compress.
const STATUS: usize = 300;

/// A shallow clone of an exchange, over the same ssh with the same options as a device of that exchange.
pub(crate) struct Clone {
    dir: PathBuf,
    ssh: String,
}

impl Clone {
    /// Clones what a device that has synced before follows.
    pub(crate) fn of(exchange: &Exchange, device: &Device) -> Result<Self> {
        let ssh: Vec<_> = device.ssh()?.iter().map(|word| quoted(word)).collect();
        let clone = Self { dir: exchange.dir().join("clone"), ssh: ssh.join(" ") };
        let mut command = program("git");
        command
            .args(["clone", "-q", "--no-checkout", "--depth=1", device.url()])
            .arg(&clone.dir)
            .env("GIT_SSH_COMMAND", &clone.ssh);
        run(&mut command)?;
        let key = exchange.key().display().to_string();
        let settings =
            [("user.name", "git"), ("user.email", "git@bench"), ("gpg.format", "ssh"), ("user.signingKey", &key)];
        settings.into_iter().try_for_each(|(name, value)| git(&clone.dir, ["config", name, value]).map(drop))?;
        Ok(clone)
    }

    /// Fetches the branch's tip.
    pub(crate) fn fetch(&self) -> Result<()> {
        self.over_ssh(&["fetch", "-q", "--depth=1", "origin", "main"])
    }

    /// Pushes a signed commit with one file of a status' size to a ref of its own, on top of the one before.
    pub(crate) fn push_status(&self) -> Result<()> {
        let mut status = [0; STATUS];
        File::open("/dev/urandom")?.read_exact(&mut status)?;
        fs::write(self.dir.join("status.postcard"), status)?;
        git(&self.dir, ["read-tree", "--empty"])?;
        git(&self.dir, ["add", "status.postcard"])?;
        let tree = git(&self.dir, ["write-tree"])?;
        let parent = git(&self.dir, ["for-each-ref", "--format=%(objectname)", "refs/status"])?;
        let parents = if parent.is_empty() { vec![] } else { vec!["-p", &parent] };
        let words = ["commit-tree", "-S", "-m", "Ready", &tree];
        let commit = git(&self.dir, words.into_iter().chain(parents))?;
        git(&self.dir, ["update-ref", "refs/status/git", &commit])?;
        self.over_ssh(&["push", "-q", "origin", "refs/status/git:refs/giter/status/git"])
    }

    fn over_ssh(&self, arguments: &[&str]) -> Result<()> {
        let mut command = program("git");
        command.arg("-C").arg(&self.dir).args(arguments).env("GIT_SSH_COMMAND", &self.ssh);
        run(&mut command).map(drop)
    }
}

/// A word as the shell that git runs ssh by reads it.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}
