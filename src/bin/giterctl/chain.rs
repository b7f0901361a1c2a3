//! A device's statuses as a chain of commits, read object by object.
//!
//! What is read is what its name stands for: every object is hashed again, so that neither a damaged repository nor one
//! that somebody edited can show anything that was not signed, and a walk always ends. Whose signatures they are is not
//! known here. A chain costs 20 bytes for each status; the statuses themselves are read one at a time.

use std::{
    collections::{HashMap, HashSet},
    fmt::{self, Display},
};

use giter_edge::{
    api::{
        DeviceStatus, Error, Oid, Reason, Result, limits,
        object::{NewObject, Object, ObjectKind},
    },
    codec::commit,
    git::commit::object,
};

use crate::{
    git::{Batch, Git},
    statusfile,
};

/// A status ref.
pub(crate) struct StatusRef {
    /// Its full name.
    pub(crate) name: String,
    /// What stands below the folder of status refs: a device, if it is the name of one.
    pub(crate) device: String,
    /// The object that it names.
    pub(crate) tip: Oid,
}

/// The status refs in a folder of refs, by name.
///
/// # Errors
///
/// `GitFailed`.
pub(crate) fn refs(git: &Git, prefix: &str) -> Result<Vec<StatusRef>> {
    let listing = git.run(&["for-each-ref", "--format=%(objectname) %(refname)", prefix])?;
    let status_ref = |line: &str| {
        let (tip, name) = line.split_once(' ')?;
        let device = name.strip_prefix(prefix)?.trim_start_matches('/').to_owned();
        Some(StatusRef { name: name.into(), device, tip: tip.parse().ok()? })
    };
    Ok(listing.lines().filter_map(status_ref).collect())
}

/// Everything that led to a status.
pub(crate) struct Chain {
    /// The commits, the newest first, by their first parents.
    pub(crate) commits: Vec<Oid>,
    /// The commit before the last of them, where it is not to be had; `None` where the chain begins.
    pub(crate) missing: Option<Oid>,
}

/// Reads chains and what they hold.
pub(crate) struct Reader {
    batch: Batch,
    /// What is not in the repository yet.
    brought: HashMap<Oid, Object>,
}

/// One status commit.
pub(crate) struct Entry {
    /// Its name.
    pub(crate) commit: Oid,
    /// The commits that it names as the ones before it.
    pub(crate) parents: Vec<Oid>,
    /// When it was made by the device's clock, in seconds since 1970.
    pub(crate) date: i64,
    /// All of it, as it is signed.
    pub(crate) data: Vec<u8>,
    /// What it says, or why that cannot be told.
    pub(crate) status: Result<DeviceStatus, Flaw>,
}

/// Why an object is not what it should be.
pub(crate) struct Flaw {
    pub(crate) reason: Reason,
    pub(crate) what: String,
}

impl Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl Reader {
    /// A reader of a repository.
    ///
    /// # Errors
    ///
    /// `GitNotFound`.
    pub(crate) fn of(git: &Git) -> Result<Self> {
        Ok(Self { batch: git.batch()?, brought: HashMap::new() })
    }

    /// Sees these objects too, in the place of those that it saw by the last call of this.
    pub(crate) fn bring(&mut self, objects: &[NewObject]) {
        self.brought = objects.iter().map(|new| (new.id, new.object.clone())).collect();
    }

    /// Whether an object is seen only because it was brought.
    pub(crate) fn is_brought(&self, id: Oid) -> bool {
        self.brought.contains_key(&id)
    }

    /// The chain that ends at a commit. It ends early at a commit that cannot be read, which is its last.
    ///
    /// # Errors
    ///
    /// `GitFailed`.
    pub(crate) fn chain(&mut self, tip: Oid) -> Result<Chain> {
        let (mut commits, mut next) = (Vec::new(), Some(tip));
        while let Some(commit) = next {
            let data = match self.object(commit, ObjectKind::Commit, limits::COMMIT_BYTES)? {
                Err(flaw) if flaw.reason == Reason::ObjectMissing && !commits.is_empty() => {
                    return Ok(Chain { commits, missing: Some(commit) });
                }
                Err(_) => None,
                Ok(data) => Some(data),
            };
            commits.push(commit);
            let parsed = data.and_then(|data| commit::parse(&data).ok());
            next = parsed.and_then(|parsed| parsed.parents.first().copied());
        }
        Ok(Chain { commits, missing: None })
    }

    /// The commits that a chain has above the first of these that it leads to, the newest first, and which that is; all of
    /// it where none is given. `None` where the way there is longer than `most` commits, or leads past them.
    ///
    /// # Errors
    ///
    /// `GitFailed`.
    pub(crate) fn above(&mut self, tip: Oid, ends: &[Oid], most: usize) -> Result<Option<(Vec<Oid>, Option<Oid>)>> {
        let (commits, end) = self.walk(tip, ends, most)?;
        let is_there = end.map_or(ends.is_empty(), |end| ends.contains(&end));
        Ok(is_there.then_some((commits, end)))
    }

    /// The last commits of a chain, the newest first.
    ///
    /// # Errors
    ///
    /// `GitFailed`.
    pub(crate) fn last(&mut self, tip: Oid, most: usize) -> Result<Vec<Oid>> {
        Ok(self.walk(tip, &[], most)?.0)
    }

    /// At most so many commits by their first parents, and where the walk stopped.
    fn walk(&mut self, tip: Oid, ends: &[Oid], most: usize) -> Result<(Vec<Oid>, Option<Oid>)> {
        let (mut commits, mut next) = (Vec::new(), Some(tip));
        while let Some(commit) = next.filter(|commit| !ends.contains(commit) && commits.len() < most) {
            commits.push(commit);
            next = self.before(commit)?;
        }
        Ok((commits, next))
    }

    /// The commit that a commit names as the one before it, if it can be read.
    ///
    /// # Errors
    ///
    /// `GitFailed`.
    pub(crate) fn before(&mut self, commit: Oid) -> Result<Option<Oid>> {
        let data = self.object(commit, ObjectKind::Commit, limits::COMMIT_BYTES)?;
        let parsed = data.ok().and_then(|data| commit::parse(&data).ok());
        Ok(parsed.and_then(|parsed| parsed.parents.first().copied()))
    }

    /// One status commit, or why it is none.
    ///
    /// # Errors
    ///
    /// `GitFailed`.
    pub(crate) fn entry(&mut self, commit: Oid) -> Result<Result<Entry, Flaw>> {
        let data = match self.object(commit, ObjectKind::Commit, limits::COMMIT_BYTES)? {
            Ok(data) => data,
            Err(flaw) => return Ok(Err(flaw)),
        };
        let parsed = match commit::parse(&data) {
            Ok(parsed) => parsed,
            Err(why) => return Ok(Err(flaw(Reason::BadCommit, why))),
        };
        let status = self.status(parsed.tree)?;
        Ok(Ok(Entry { commit, parents: parsed.parents, date: parsed.date, data, status }))
    }

    fn status(&mut self, tree: Oid) -> Result<Result<DeviceStatus, Flaw>> {
        let (name, blob) = match self.object(tree, ObjectKind::Tree, limits::COMMIT_BYTES)? {
            Ok(data) => match only_file(&data) {
                Some(file) => file,
                None => return Ok(Err(flaw(Reason::StatusInvalid, NOT_ONE_FILE))),
            },
            Err(flaw) => return Ok(Err(flaw)),
        };
        Ok(match self.object(blob, ObjectKind::Blob, statusfile::BYTES)? {
            Ok(bytes) => statusfile::read(name, &bytes).map_err(|error| flaw(error.reason(), error.one_line())),
            Err(flaw) => Err(flaw),
        })
    }

    /// An object's bytes; `ObjectMissing` if they are not there, `BadCommit` if they are not what the name stands for.
    ///
    /// # Errors
    ///
    /// `GitFailed`.
    pub(crate) fn object(&mut self, id: Oid, kind: ObjectKind, limit: usize) -> Result<Result<Vec<u8>, Flaw>> {
        if let Some(object) = self.brought.get(&id).filter(|object| object.kind == kind && object.data.len() <= limit) {
            return Ok(Ok(object.data.clone()));
        }
        let Some(bytes) = self.batch.read(&id.to_string(), limit)? else {
            let what = format!("the {kind:?} {} is not in this repository, or too large", id.short()).to_lowercase();
            return Ok(Err(flaw(Reason::ObjectMissing, what)));
        };
        let object = object(kind, bytes)?;
        if object.id == id {
            return Ok(Ok(object.object.data));
        }
        let what = format!("what the repository holds as {kind:?} {} is something else", id.short()).to_lowercase();
        Ok(Err(flaw(Reason::BadCommit, what)))
    }
}

const NOT_ONE_FILE: &str = "its tree is not exactly one status.postcard or status.yaml";

/// The file of a tree that holds one status and nothing else.
fn only_file(tree: &[u8]) -> Option<(&'static str, Oid)> {
    statusfile::NAMES.into_iter().find_map(|name| {
        let id = tree.strip_prefix(format!("100644 {name}\0").as_bytes())?;
        Some((name, Oid::new(id.try_into().ok()?)))
    })
}

fn flaw(reason: Reason, what: impl Into<String>) -> Flaw {
    Flaw { reason, what: what.into() }
}

/// The commits that the ref's log, where git keeps one, knows of and the chain does not hold, the newest first.
///
/// # Errors
///
/// `GitNotFound`.
pub(crate) fn elsewhere(git: &Git, status_ref: &StatusRef, chain: &Chain) -> Result<Vec<Oid>> {
    // A ref without a log is no mistake.
    let log = git.ask(&["reflog", "show", "--format=%H", &status_ref.name, "--"])?.unwrap_or_default();
    let mut seen: HashSet<Oid> = chain.commits.iter().copied().collect();
    let logged = log.lines().filter_map(|line| line.parse().ok());
    Ok(logged.filter(|commit| seen.insert(*commit)).collect())
}

/// Whether a commit follows from the tip of a ref, which was only set back then.
///
/// # Errors
///
/// `GitNotFound`.
pub(crate) fn is_ahead(git: &Git, status_ref: &StatusRef, commit: Oid) -> Result<bool> {
    git.leads(&status_ref.tip.to_string(), &commit.to_string())
}

/// The error where a repository holds no status of a device.
pub(crate) fn no_status(device: &str) -> Error {
    Error::new(Reason::DeviceNotFound, format!("there is no status of {device}")).hint(
        "fetch the statuses: git fetch origin '+refs/giter/status/*:refs/giter/status/*'; see: giterctl get devices",
    )
}
