//! The branch's tip, and what of it a device reads.
//!
//! The repository is opened anew each time, so that packs are seen that came since, and nothing of it is held in memory
//! in between. Where refs are kept as reftable, which is not read here, git is asked.

use std::path::Path;

use giter_edge::{
    api::{DeviceId, Oid, Result},
    git::{graph::lineage, reads::PAPERS, repository::RefName},
    reconcile::{
        decode::{self, Entry, EntryKind, GitTree, Refused, Source},
        ports::Objects,
    },
};

use crate::{
    git::Git,
    objects::{GitObjects, files},
};

/// Where the branch stands.
pub(super) struct Tip {
    pub(super) commit: Oid,
    /// What the device reads there, if that can be told.
    reads: Option<Vec<Option<Entry>>>,
}

impl Tip {
    /// The tip of a branch, if it is there.
    ///
    /// # Errors
    ///
    /// `RepositoryNotFound`, `ProtocolError`, `GitFailed`.
    pub(super) fn read(repo: &Path, branch: &str, device: Option<&DeviceId>) -> Result<Option<Self>> {
        if let Some(repository) = files(repo)? {
            let commit = repository.value(&RefName::new(branch)?)?;
            return Ok(commit.map(|commit| Self::of(&repository, commit, device)));
        }
        let git = Git::open(repo)?;
        let named = git.ask(&["rev-parse", "--verify", "--quiet", branch])?;
        let Some(commit) = named.ok().and_then(|name| name.parse().ok()) else { return Ok(None) };
        Ok(Some(Self::of(&GitObjects::of(&git)?, commit, device)))
    }

    fn of(objects: &dyn Objects, commit: Oid, device: Option<&DeviceId>) -> Self {
        Self { commit, reads: device.and_then(|device| reads(objects, commit, device)) }
    }

    /// Whether the device has to hear of it after the one before.
    pub(super) fn is_news_after(&self, before: &Self) -> bool {
        self.commit != before.commit && (self.reads.is_none() || self.reads != before.reads)
    }
}

/// The ref that HEAD leads to; HEAD itself, where it names a commit.
///
/// # Errors
///
/// `RepositoryNotFound`, `ProtocolError`, `GitFailed`.
pub(super) fn branch(repo: &Path) -> Result<String> {
    let named = match files(repo)? {
        Some(repository) => repository.branch()?,
        None => Git::open(repo)?.ask(&["symbolic-ref", "--quiet", "HEAD"])?.ok(),
    };
    Ok(named.unwrap_or_else(|| "HEAD".into()))
}

/// The entries that a device reads, and those whom it carries for; `None` where an object is missing or is not what it
/// should be.
fn reads(objects: &dyn Objects, commit: Oid, device: &DeviceId) -> Option<Vec<Option<Entry>>> {
    let tree = GitTree::new(objects, lineage(objects, commit).ok()??.tree);
    let relays = decode::itself(&tree, device).ok().flatten().map_or_else(Vec::new, |says| says.relays);
    let folders = [device].into_iter().chain(&relays).map(|device| format!("specs/{device}"));
    let paths = PAPERS.map(str::to_owned).into_iter().chain(folders);
    paths.map(|path| find(&tree, &path)).collect::<Result<_, _>>().ok()
}

fn find(tree: &GitTree<'_>, path: &str) -> Result<Option<Entry>, Refused> {
    let mut entry = tree.root();
    for name in path.split('/') {
        if entry.kind != EntryKind::Folder {
            return Ok(None);
        }
        let Some(next) = tree.list(path, &entry)?.into_iter().find(|entry| entry.name == name) else { return Ok(None) };
        entry = next;
    }
    Ok(Some(entry))
}
