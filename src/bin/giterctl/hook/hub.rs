//! The hub before a push: its branch, who is trusted there, and where statuses and requests belong.

use std::{
    fs::File,
    io::{ErrorKind, Read},
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use giter_edge::{
    api::{Device, DeviceId, Error, Oid, Reason, Result, limits},
    codec::{enrolment, signers::Keyring},
    git::{graph, repository::RefName},
    reconcile::{
        decode::{self, GitTree, Refused},
        ports::Objects,
        verify::Standing,
    },
};

use crate::{
    git::Git,
    objects::{GitObjects, files},
};

/// The keys that a hub trusts before a charter does, by its path in the repository.
pub(super) const ROOT_KEYS: &str = "giter/root.keys";
/// The setting that says where the statuses are.
pub(super) const STATUS_PREFIX: &str = "giter.statusPrefix";
/// Where they are if nothing says so.
pub(super) const STATUSES: &str = "refs/giter/status";

/// The repository as it was before the push.
pub(super) struct Hub<'a> {
    pub(super) git: &'a Git,
    pub(super) objects: &'a GitObjects,
    /// The full name of the branch of the specs.
    pub(super) branch: String,
    /// Who is trusted there.
    pub(super) standing: Standing<'a>,
    /// Whether anybody can be trusted before a charter says whom.
    pub(super) has_roots: bool,
    /// The folder of the status refs.
    pub(super) statuses: String,
    /// The time, in seconds since 1970: a hub has a clock.
    pub(super) now: i64,
}

/// What sort of ref a push wants to change.
pub(super) enum Sort {
    /// The branch of the specs.
    Branch,
    /// A device's statuses.
    Status(DeviceId),
    /// A device's request to be let in.
    Request(DeviceId),
    /// Any other branch, and tags: work on the specs that no device reads.
    Review,
    /// What a hub has no use for.
    Other,
}

impl<'a> Hub<'a> {
    /// Looks at the repository.
    ///
    /// # Errors
    ///
    /// `GitFailed`; `BadCommit` and the like where the branch's tip is no exchange that can be read.
    pub(super) fn at(git: &'a Git, objects: &'a GitObjects, roots: &'a Keyring) -> Result<Self> {
        let branch = git.run(&["symbolic-ref", "HEAD"])?;
        let tip = git.run(&["for-each-ref", "--format=%(objectname) %(refname)", &branch])?;
        let tip = tip.lines().find_map(|line| line.strip_suffix(&branch)?.trim_end().parse::<Oid>().ok());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64);
        Ok(Self {
            git,
            objects,
            branch,
            standing: Standing::at(tip, roots, objects)?,
            has_roots: !roots.signers().is_empty(),
            statuses: statuses(git)?,
            now,
        })
    }

    /// What sort of ref has this name.
    pub(super) fn sort(&self, name: &str) -> Sort {
        let device = |folder: &str| name.strip_prefix(folder)?.strip_prefix('/')?.parse().ok();
        if name == self.branch {
            Sort::Branch
        } else if let Some(device) = device(&self.statuses) {
            Sort::Status(device)
        } else if let Some(device) = device(enrolment::REFS) {
            Sort::Request(device)
        } else if name.starts_with("refs/heads/") || name.starts_with("refs/tags/") {
            Sort::Review
        } else {
            Sort::Other
        }
    }

    /// The tree at the branch's tip.
    pub(super) fn tree(&self) -> Option<Oid> {
        self.standing.floor().map(|floor| floor.tree)
    }

    /// Whether one of these devices carries for another, by the branch's tip.
    ///
    /// # Errors
    ///
    /// Those of [`Hub::device`].
    pub(super) fn is_carried(&self, device: &DeviceId, by: &[DeviceId]) -> Result<bool> {
        for gateway in by {
            if self.device(gateway)?.is_some_and(|says| says.relays.contains(device)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What the branch's tip says of a device itself.
    ///
    /// # Errors
    ///
    /// It says more than one thing; the repository cannot be read.
    pub(super) fn device(&self, device: &DeviceId) -> Result<Option<Device>> {
        let Some(tree) = self.tree() else { return Ok(None) };
        match decode::itself(&GitTree::new(self.objects, tree), device) {
            Err(Refused::Wrong(findings)) if findings.iter().all(|wrong| wrong.reason == Reason::DeviceNotFound) => {
                Ok(None)
            }
            read => Ok(read?),
        }
    }
}

/// The devices that a device carries for, by the branch that HEAD leads to.
///
/// # Errors
///
/// `GitFailed`, `GitNotFound`.
pub(crate) fn relays(git: &Git, device: &DeviceId) -> Result<Vec<DeviceId>> {
    if let Some(repository) = files(git.dir())? {
        let commit = repository.value(&RefName::new("HEAD")?)?;
        let tree = commit.map(|commit| graph::lineage(&repository, commit)).transpose()?.flatten();
        return tree.map_or(Ok(Vec::new()), |lineage| relays_at(&repository, lineage.tree, device));
    }
    let Ok(tree) = git.ask(&["rev-parse", "--verify", "--quiet", "HEAD^{tree}"])? else { return Ok(Vec::new()) };
    let tree = tree.parse().map_err(|_| Error::new(Reason::RepositoryUnsupported, "its objects are not SHA-1"))?;
    relays_at(&GitObjects::of(git)?, tree, device)
}

fn relays_at(objects: &dyn Objects, tree: Oid, device: &DeviceId) -> Result<Vec<DeviceId>> {
    match decode::itself(&GitTree::new(objects, tree), device) {
        Ok(says) => Ok(says.map_or_else(Vec::new, |says| says.relays)),
        Err(Refused::Wrong(_)) => Ok(Vec::new()),
        Err(Refused::Unread(error)) => Err(error),
    }
}

/// The folder of a repository's status refs.
///
/// # Errors
///
/// `GitNotFound`.
pub(crate) fn statuses(git: &Git) -> Result<String> {
    let folder = git.ask(&["config", STATUS_PREFIX])?.unwrap_or_else(|_| STATUSES.into());
    Ok(folder.trim_end_matches('/').into())
}

/// The keys of the hub's root file; none if it has none.
///
/// # Errors
///
/// `BadSigners`.
pub(crate) fn roots(repo: &Path) -> Result<Keyring> {
    let path = repo.join(ROOT_KEYS);
    let mut bytes = Vec::new();
    let read = File::open(&path).and_then(|file| file.take(limits::SIGNERS_BYTES as u64 + 1).read_to_end(&mut bytes));
    match read {
        Ok(_) => Keyring::parse(ROOT_KEYS, &bytes),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(Keyring::default()),
        Err(e) => Err(Error::new(Reason::BadSigners, format!("cannot read {}", path.display())).caused_by(e)),
    }
}
