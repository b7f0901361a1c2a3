//! The approval as a signed commit, and on its way.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use giter_edge::{
    api::{Error, Oid, Reason, Result},
    codec::enrolment,
};

use super::request::Request;
use crate::git::Git;

/// The working tree that an approval is committed in.
pub(super) struct Tree<'a> {
    pub(super) git: &'a Git,
    pub(super) top: PathBuf,
}

impl<'a> Tree<'a> {
    /// # Errors
    ///
    /// `Usage` if the repository has none.
    pub(super) fn of(git: &'a Git) -> Result<Self> {
        let top = git.ask(&["rev-parse", "--show-toplevel"])?;
        let top = top.map_err(|words| {
            Error::new(Reason::Usage, "an approval is a commit, and this repository has no working tree")
                .hint("name a clone of the exchange with -C DIR")
                .caused_by(words)
        })?;
        Ok(Self { git, top: top.into() })
    }

    /// Writes a file, by its path in the exchange; what stood there before.
    ///
    /// # Errors
    ///
    /// `FileFailed`, `DiskFull`.
    pub(super) fn write(&self, path: &str, text: &str) -> Result<Option<Vec<u8>>> {
        let file = self.top.join(path);
        let write = || {
            let before = match fs::read(&file) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => None,
                read => Some(read?),
            };
            file.parent().map_or(Ok(()), fs::create_dir_all)?;
            fs::write(&file, text)?;
            Ok(before)
        };
        write().map_err(|e| Error::io(Reason::FileFailed, format!("cannot write {path}"), e))
    }

    /// Whether git has a file as it stands.
    ///
    /// # Errors
    ///
    /// `GitFailed`.
    pub(super) fn is_committed(&self, path: &str) -> Result<bool> {
        Git::at(&self.top).run(&["status", "--porcelain", "--", path]).map(|changes| changes.is_empty())
    }

    /// Commits the file alone, signed; the commit. If git does not sign, what stood there before stands there again.
    ///
    /// # Errors
    ///
    /// `GitFailed`.
    pub(super) fn commit(&self, path: &str, before: Option<Vec<u8>>, message: &str, key: Option<&Path>) -> Result<Oid> {
        let git = Git::at(&self.top);
        let signing = key.map(|key| format!("user.signingkey={}", key.display()));
        let mut commit = Vec::new();
        if let Some(signing) = &signing {
            commit.extend(["-c", "gpg.format=ssh", "-c", signing]);
        }
        commit.extend(["commit", "--quiet", "-S", "-m", message, "--", path]);
        let committed = git.run(&["add", "--", path]).and_then(|_| git.run(&commit));
        if let Err(error) = committed {
            self.restore(path, before)?;
            let hint =
                "see that git signs here: git config gpg.format ssh; git config user.signingkey FILE; or --key FILE";
            return Err(Error::new(error.reason(), "cannot commit the approval")
                .hint(hint)
                .caused_by(error.one_line()));
        }
        let commit = git.run(&["rev-parse", "HEAD"])?;
        commit.parse().map_err(|wrong| Error::new(Reason::Bug, "git names a commit oddly").caused_by(wrong))
    }

    fn restore(&self, path: &str, before: Option<Vec<u8>>) -> Result<()> {
        let (git, file) = (Git::at(&self.top), self.top.join(path));
        let restored = match before {
            Some(bytes) => fs::write(&file, bytes),
            None => fs::remove_file(&file),
        };
        restored.map_err(|e| Error::io(Reason::FileFailed, format!("cannot put {path} back"), e))?;
        git.run(&["reset", "--quiet", "--", path]).map(drop)
    }

    /// Pushes the branch.
    ///
    /// # Errors
    ///
    /// `GitFailed`.
    pub(super) fn push(&self, remote: &str) -> Result<()> {
        self.git.run(&["push", "--quiet", remote, "HEAD"]).map(drop).map_err(|error| {
            error.hint(format!("the approval is committed; fetch and rebase it, then: git push {remote} HEAD"))
        })
    }
}

/// Deletes a request here and at the remote, if it is still the one that was seen.
///
/// # Errors
///
/// `GitFailed`.
pub(super) fn delete(git: &Git, remote: Option<&str>, name: &str, commit: Oid) -> Result<()> {
    if let Some(remote) = remote
        && !git.run(&["ls-remote", remote, name])?.is_empty()
    {
        let (lease, nothing) = (format!("--force-with-lease={name}:{commit}"), format!(":{name}"));
        git.run(&["push", "--quiet", &lease, remote, &nothing])
            .map_err(|error| error.hint("if another request came meanwhile, look at it with: giterctl approve"))?;
    }
    if git.ask(&["rev-parse", "--verify", "--quiet", name])?.is_ok() {
        git.run(&["update-ref", "-d", name, &commit.to_string()])?;
    }
    Ok(())
}

/// What the commit says.
pub(super) fn message(request: &Request) -> String {
    let Request { device, key, commit, .. } = request;
    let name = enrolment::ref_of(device);
    format!("Approve {device}\n\nKey: {}\nFingerprint: {key}\nRequest: {name} {commit}\n", key.short_fingerprint())
}
