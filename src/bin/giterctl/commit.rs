//! A signed commit of named files and of nothing else.
//!
//! It is made beside the branch, from objects alone, so that it can be proven before anybody sees it. Only then files,
//! index and branch follow; where one of them cannot, what was there is put back.

use std::{
    fs,
    io::Write,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use giter_edge::api::{Error, Oid, Reason, Result};

use crate::{
    git::Git,
    keys::SigningKey,
    sign::{announce, cannot_sign},
};

/// A file, by its path from the top of the exchange, and what it is to hold.
pub(crate) type Change = (String, Vec<u8>);

/// A commit on top of HEAD that HEAD does not name yet.
pub(crate) struct Proposal {
    git: Git,
    /// The top of the working tree.
    top: PathBuf,
    parent: String,
    id: Oid,
    message: String,
    changes: Vec<Change>,
    /// The names of what the files are to hold, in their order.
    blobs: Vec<String>,
}

impl Proposal {
    /// Makes the commit, signed.
    ///
    /// # Errors
    ///
    /// `BadKeyFile` if the key does not sign; `BadConfig` if git does not know who commits; `GitFailed`; `Usage` where there is no working tree.
    pub(crate) fn make(git: &Git, changes: Vec<Change>, message: &str, key: &SigningKey) -> Result<Self> {
        let top = top(git)?;
        let git = Git::at(&top);
        committer(&git)?;
        let parent = git.run(&["rev-parse", "--verify", "HEAD^{commit}"])?;
        let folder = tempfile::tempdir();
        let folder = folder.map_err(|e| Error::io(Reason::StateFailed, "cannot make a temporary folder", e))?;
        let beside = git.with_index(&folder.path().join("index"));
        beside.run(&["read-tree", &parent])?;
        let hash = |(_, bytes): &Change| git.feed(&["hash-object", "-w", "--stdin"], bytes);
        let blobs = changes.iter().map(hash).collect::<Result<Vec<_>>>()?;
        for ((path, _), blob) in changes.iter().zip(&blobs) {
            stage(&beside, path, blob)?;
        }
        let tree = beside.run(&["write-tree"])?;
        announce(&key.public.key, "the commit");
        let sign = format!("-S{}", key.setting);
        let args = ["-c", "gpg.format=ssh", "commit-tree", &sign, "-p", &parent, "-m", message, &tree];
        let made = git.ask(&args)?.map_err(|words| cannot_sign(key, "the commit").caused_by(words))?;
        let id = made.parse().map_err(|_| Error::new(Reason::GitFailed, "git commit-tree named no commit"))?;
        Ok(Self { git, top, parent, id, message: message.into(), changes, blobs })
    }

    /// The commit.
    pub(crate) fn id(&self) -> Oid {
        self.id
    }

    /// Takes the commit over where those who will judge it would: writes the files, and lets index and HEAD follow.
    ///
    /// # Errors
    ///
    /// The verdict's reason; those of [`Proposal::adopt`].
    pub(crate) fn adopt_if<T>(&self, verdict: Result<T>) -> Result<()> {
        verdict.map_err(|error| {
            let refused = Error::new(error.reason(), "devices would refuse this change, so it was not committed");
            let refused = match error.get_hint() {
                Some(hint) => refused.hint(hint),
                None => refused,
            };
            refused.caused_by(error)
        })?;
        self.adopt()
    }

    /// Writes the files, and lets index and HEAD follow.
    ///
    /// # Errors
    ///
    /// `FileFailed`, `GitFailed`; the files are then as they were, and the index has them as HEAD does.
    pub(crate) fn adopt(&self) -> Result<()> {
        let files = self.changes.iter().map(|(path, _)| self.top.join(path));
        let before: Vec<_> = files.map(|file| (fs::read(&file).ok(), file)).collect();
        self.settle().inspect_err(|_| {
            // The error that led here is the one to tell.
            for (bytes, file) in before {
                let _ = bytes.map_or_else(|| fs::remove_file(&file).ok(), |bytes| write(&file, &bytes).ok());
            }
            let paths = self.changes.iter().map(|(path, _)| &**path);
            let _ = self.git.ask(&["reset", "-q", "--"].into_iter().chain(paths).collect::<Vec<_>>());
        })
    }

    fn settle(&self) -> Result<()> {
        for ((path, bytes), blob) in self.changes.iter().zip(&self.blobs) {
            write(&self.top.join(path), bytes)?;
            stage(&self.git, path, blob)?;
        }
        // Other files that were changed make it say no.
        let _ = self.git.ask(&["update-index", "-q", "--refresh"])?;
        let log = format!("commit: {}", self.message.lines().next().unwrap_or_default());
        let moved = self.git.run(&["update-ref", "-m", &log, "HEAD", &self.id.to_string(), &self.parent]);
        moved.map(drop).map_err(|error| error.hint("see that no other git is at work there, and try again"))
    }
}

/// Who commits, as git writes it: `NAME <EMAIL> DATE`.
///
/// # Errors
///
/// `BadConfig` if git does not know.
pub(crate) fn committer(git: &Git) -> Result<String> {
    git.ask(&["var", "GIT_COMMITTER_IDENT"])?.map_err(|words| unknown_committer().caused_by(words))
}

/// The error of a git that does not know who commits, or has no use for what it knows.
pub(crate) fn unknown_committer() -> Error {
    Error::new(Reason::BadConfig, "git does not know who you are")
        .hint("git config --global user.name NAME; git config --global user.email you@example.com")
}

/// The top of the working tree.
///
/// # Errors
///
/// `Usage` if there is none.
pub(crate) fn top(git: &Git) -> Result<PathBuf> {
    let top = git.ask(&["rev-parse", "--show-toplevel"])?;
    top.map(PathBuf::from).map_err(|words| {
        Error::new(Reason::Usage, "there is no working tree to change")
            .hint("change a clone that has one, and push")
            .caused_by(words)
    })
}

/// Replaces a file whole.
///
/// # Errors
///
/// `FileFailed`.
pub(crate) fn write(file: &Path, bytes: &[u8]) -> Result<()> {
    let folder = file.parent().unwrap_or(file);
    let written = fs::create_dir_all(folder).and_then(|()| {
        // A temporary file is its user's alone; this one is to be as any other that git checks out.
        let mut aside = tempfile::Builder::new()
            .prefix(".giterctl-")
            .permissions(fs::Permissions::from_mode(0o666))
            .tempfile_in(folder)?;
        aside.write_all(bytes)?;
        aside.persist(file).map(drop).map_err(|e| e.error)
    });
    written.map_err(|e| Error::io(Reason::FileFailed, format!("cannot write {}", file.display()), e))
}

fn stage(git: &Git, path: &str, blob: &str) -> Result<()> {
    git.run(&["update-index", "--add", "--cacheinfo", &format!("100644,{blob},{path}")]).map(drop)
}
