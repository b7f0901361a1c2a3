//! The hub as a repository on this machine's disk: `file://` and plain paths, for tests, for a mounted share, and for
//! a hub on the device itself.
//!
//! No git program takes part. What is fetched is packed here and goes through the same intake as a pack from a
//! stranger. A published status is written as loose objects, each durable before the ref moves. The repository's
//! hooks are not run, so that rules which the hub enforces by hooks do not hold on this link; whoever can write the
//! repository's files could pass them by anyway.

use std::{
    collections::HashSet,
    io::Read,
    path::{Path, PathBuf},
    time::Duration,
};

use super::patience::Deadline;
use crate::{
    api::{Error, Oid, Reason, Result, ledger::HubTraits, limits},
    git::{
        graph::{self, Lineage},
        pack,
        reads::Reads,
        repository::{RefName, Repository},
        since::{New, since},
    },
    reconcile::ports::{Link, Listing, NewObject, ObjectKind, Objects, Quarantine, Upstream, Want},
};

/// A link to a repository on this machine's disk.
pub struct FileLink {
    path: PathBuf,
    branch: RefName,
    status: RefName,
    repository: Option<Repository>,
    /// Where the branch was listed last, unless that failed.
    listed: Option<Oid>,
    /// When all that is asked for others has to be over.
    visit: Option<Deadline>,
}

impl FileLink {
    /// A link to the repository at `path`. The branch is named as people do (`main`), the status ref in full
    /// (`refs/giter/status/pump-07`). The disk is not touched before the first call of [`Link::list`].
    ///
    /// # Errors
    ///
    /// `BadConfig` if git would not take one of the names.
    pub fn open(path: &Path, branch: &str, status_ref: &str) -> Result<Self> {
        let branch = RefName::new(&format!("refs/heads/{branch}"))?;
        let (path, status) = (path.to_owned(), RefName::new(status_ref)?);
        Ok(Self { path, branch, status, repository: None, listed: None, visit: None })
    }

    /// The repository as it is now, where it is not open.
    fn reopened(&mut self) -> Result<&Repository> {
        self.is_in_time()?;
        match &mut self.repository {
            Some(repository) => Ok(repository),
            closed => Ok(closed.insert(Repository::open(&self.path)?)),
        }
    }

    fn repository(&self) -> Result<&Repository> {
        self.is_in_time()?;
        self.repository.as_ref().ok_or_else(|| Error::new(Reason::Bug, "the link was used before it was listed"))
    }

    /// A disk that is read is waited for; more is asked for only as long as there is time.
    fn is_in_time(&self) -> Result<()> {
        self.visit.map_or(Ok(()), |visit| visit.check())
    }
}

impl Link for FileLink {
    fn list(&mut self) -> Result<Listing> {
        (self.listed, self.visit) = (None, None);
        let repository = self.repository.insert(Repository::open(&self.path)?);
        let status = repository.value(&self.status)?;
        if let Some(branch) = repository.value(&self.branch)? {
            self.listed = Some(branch);
            return Ok(Listing { branch, status });
        }
        let path = self.path.display();
        if repository.has_branches()? {
            let what = format!("the repository at {path} has no {}", self.branch.as_str());
            return Err(Error::new(Reason::BranchNotFound, what).hint("check link.branch"));
        }
        Err(Error::new(Reason::RepositoryEmpty, format!("the repository at {path} has no commits")))
    }

    fn fetch(&mut self, want: Want<'_>, into: &mut dyn Quarantine) -> Result<()> {
        let repository = self.repository()?;
        let mut names = match want {
            Want::Whole(commit) => whole(repository, commit)?,
            Want::Tip { tip, have, device } => {
                let mut names = commits(repository, tip, have)?;
                names.extend(Reads::of(repository, tip, device)?.whole()?);
                names
            }
            Want::Objects(ids) => single(repository, ids)?,
        };
        let mut sent = HashSet::new();
        names.retain(|(id, _)| sent.insert(*id));
        let is_new = |(id, kind)| Ok((!into.has(id)?).then_some((id, kind)));
        let names = names.into_iter().map(is_new).filter_map(Result::transpose).collect::<Result<Vec<_>>>()?;
        into.ingest(&mut packed(repository, &names)?)
    }

    fn publish(&mut self, old: Option<Oid>, new: Oid, objects: &[NewObject]) -> Result<()> {
        let repository = self.repository()?;
        repository.write(objects)?;
        repository.move_ref(&self.status, old, new)
    }

    fn rest(&mut self) {
        self.close();
    }

    fn close(&mut self) {
        (self.repository, self.visit) = (None, None);
    }

    fn traits(&self) -> HubTraits {
        HubTraits::default()
    }

    fn upstream(&mut self) -> Option<&mut dyn Upstream> {
        Some(self)
    }
}

impl Upstream for FileLink {
    fn branch(&self) -> Option<Oid> {
        self.listed
    }

    fn within(&mut self, time: Duration) {
        self.visit = Some(Deadline::of_visit(time));
    }

    fn refs(&mut self, names: &[String]) -> Result<Vec<Option<Oid>>> {
        let repository = self.reopened()?;
        names.iter().map(|name| repository.value(&RefName::new(name)?)).collect()
    }

    fn pack(&mut self, base: Oid, tip: Oid, take: &mut dyn FnMut(&mut dyn Read) -> Result<()>) -> Result<bool> {
        let repository = self.reopened()?;
        if repository.kind(base)? != Some(ObjectKind::Commit) || !leads(repository, base, tip)? {
            return Ok(false);
        }
        let found = commits(repository, tip, Some(base))?;
        let commits: Vec<Oid> =
            found.iter().filter(|(_, kind)| *kind == ObjectKind::Commit).map(|(id, _)| *id).collect();
        let brought = since(repository, base, &commits)?;
        let names: Vec<_> = brought.into_iter().map(|New { id, kind, .. }| (id, kind)).collect();
        take(&mut packed(repository, &names)?)?;
        Ok(true)
    }

    fn push(&mut self, name: &str, old: Option<Oid>, new: Oid, objects: &[NewObject]) -> Result<()> {
        let repository = self.reopened()?;
        let name = RefName::new(name)?;
        repository.write(objects)?;
        repository.move_ref(&name, old, new)
    }
}

/// A pack of these objects.
fn packed<'a>(repository: &'a Repository, names: &'a [(Oid, ObjectKind)]) -> Result<impl Read + 'a> {
    let objects = pack::pick(repository, names, limits::OBJECT_BYTES).map(|object| object.map_err(too_large));
    pack::Stream::new(names.len(), objects)
}

/// The names of a commit and of all that is below its tree.
fn whole(repository: &Repository, commit: Oid) -> Result<Vec<(Oid, ObjectKind)>> {
    let tree = lineage(repository, commit)?.tree;
    let mut names = vec![(commit, ObjectKind::Commit)];
    names.extend(graph::below(repository, tree, &mut HashSet::new())?);
    Ok(names)
}

/// The names of a commit, of every commit behind it up to `have`, and of their root trees; without `have`, of the one
/// alone.
fn commits(repository: &Repository, tip: Oid, have: Option<Oid>) -> Result<Vec<(Oid, ObjectKind)>> {
    let mut seen: HashSet<Oid> = have.into_iter().chain([tip]).collect();
    let (mut names, mut commits) = (Vec::new(), vec![tip]);
    while let Some(commit) = commits.pop() {
        let Lineage { tree, parents, .. } = lineage(repository, commit)?;
        names.extend([(commit, ObjectKind::Commit), (tree, ObjectKind::Tree)]);
        for parent in parents.into_iter().filter(|_| have.is_some()) {
            if repository.has(parent)? && seen.insert(parent) {
                commits.push(parent);
            }
        }
        if seen.len() > limits::RANGE_COMMITS + 1 {
            let what = format!("the hub has more than {} new commits", limits::RANGE_COMMITS);
            return Err(Error::new(Reason::RangeTooLong, what));
        }
    }
    Ok(names)
}

/// Whether the base is among as many commits behind the tip as a pack may have.
fn leads(repository: &Repository, base: Oid, tip: Oid) -> Result<bool> {
    let (mut seen, mut commits) = (HashSet::from([tip]), vec![tip]);
    while let Some(commit) = commits.pop() {
        if commit == base {
            return Ok(true);
        }
        for parent in lineage(repository, commit)?.parents {
            if seen.len() < limits::PACK_OBJECTS && repository.has(parent)? && seen.insert(parent) {
                commits.push(parent);
            }
        }
    }
    Ok(false)
}

fn lineage(repository: &Repository, commit: Oid) -> Result<Lineage> {
    let missing = || Error::new(Reason::CommitNotFound, format!("commit {commit} is missing in the hub"));
    graph::lineage(repository, commit)?.ok_or_else(missing)
}

/// The names of single objects, each with its kind.
fn single(repository: &Repository, ids: &[Oid]) -> Result<Vec<(Oid, ObjectKind)>> {
    let missing = |id| Error::new(Reason::CommitNotFound, format!("object {id} is missing in the hub"));
    ids.iter().map(|&id| Ok((id, repository.kind(id)?.ok_or_else(|| missing(id))?))).collect()
}

/// An object over its limit makes the fetch too large, as it would over any other link.
fn too_large(error: Error) -> Error {
    match error.reason() {
        Reason::FileTooLarge => {
            Error::new(Reason::PackTooLarge, error.to_string()).hint("keep large files out of the exchange")
        }
        _ => error,
    }
}
