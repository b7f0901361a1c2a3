//! A bare repository made by real git, and real git to look at it.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use giter_edge::api::Oid;
use tempfile::TempDir;

/// Runs git in a folder, out of reach of this machine's configuration, and returns its output without the last
/// newline. Panics with git's words if it fails.
pub(crate) fn git(folder: &Path, arguments: &[&str]) -> String {
    git_with(folder, arguments, b"")
}

/// Like [`git`], with something on its standard input.
pub(crate) fn git_with(folder: &Path, arguments: &[&str], input: &[u8]) -> String {
    String::from_utf8(output(folder, arguments, input)).unwrap().trim_end().to_owned()
}

/// Like [`git`], its output as it comes.
pub(crate) fn git_bytes(folder: &Path, arguments: &[&str]) -> Vec<u8> {
    output(folder, arguments, b"")
}

fn output(folder: &Path, arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = command(folder, arguments).stdin(Stdio::piped()).spawn().expect("git is installed");
    child.stdin.take().unwrap().write_all(input).expect("git reads its input");
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// Whether git succeeds.
pub(crate) fn git_agrees(folder: &Path, arguments: &[&str]) -> bool {
    command(folder, arguments).output().expect("git is installed").status.success()
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("git");
    command.arg("-C").arg(folder).args(["-c", "init.defaultBranch=main"]).args(arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    isolated(&mut command);
    command
}

/// Keeps git, and what runs it, out of reach of this machine's configuration.
pub(crate) fn isolated(command: &mut Command) -> &mut Command {
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
    for role in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{role}_NAME"), "Ops").env(format!("GIT_{role}_EMAIL"), "ops@example.org");
        command.env(format!("GIT_{role}_DATE"), "1700000000 +0000");
    }
    command
}

/// A bare repository in a folder of its own.
pub(crate) struct Hub {
    folder: TempDir,
}

impl Hub {
    /// An empty one.
    pub(crate) fn empty() -> Self {
        Self::empty_in(tempfile::tempdir().unwrap())
    }

    /// An empty one in this folder.
    pub(crate) fn empty_in(folder: TempDir) -> Self {
        git(folder.path(), &["init", "--quiet", "--bare", "hub.git"]);
        Self { folder }
    }

    /// One whose `main` has a first commit with many files.
    pub(crate) fn with_files(count: usize) -> Self {
        let hub = Self::empty();
        let file = |n| format!("M 100644 inline specs/dev/{n:04}.yaml\ndata 64\n{n:064}\n");
        hub.import("main", &(0..count).map(file).collect::<String>());
        hub
    }

    /// Where it is.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("hub.git")
    }

    /// A folder beside it, for clones and the like.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs git in it.
    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        git(&self.path(), arguments)
    }

    /// A commit on top of a branch that sets one file; its name.
    pub(crate) fn commit(&self, branch: &str, path: &str, content: &str) -> Oid {
        self.import(branch, &format!("M 100644 inline {path}\ndata {}\n{content}\n", content.len()))
    }

    /// The value of a ref.
    pub(crate) fn value(&self, name: &str) -> Option<Oid> {
        let value = self.git(&["for-each-ref", "--format=%(objectname)", name]);
        (!value.is_empty()).then(|| value.parse().unwrap())
    }

    /// Installs a hook.
    pub(crate) fn hook(&self, name: &str, script: &str) {
        let path = self.path().join("hooks").join(name);
        super::sshd::write_program(&path, script);
    }

    /// A commit on top of a branch, its changes in git-fast-import(1)'s words.
    fn import(&self, branch: &str, changes: &str) -> Oid {
        let name = format!("refs/heads/{branch}");
        let from = self.value(&name).map_or(String::new(), |parent| format!("from {parent}\n"));
        let head = format!("commit {name}\ncommitter Ops <ops@example.org> 1700000000 +0000\ndata 3\nset\n{from}");
        git_with(&self.path(), &["fast-import", "--quiet"], (head + changes + "done\n").as_bytes());
        self.value(&name).unwrap()
    }
}
