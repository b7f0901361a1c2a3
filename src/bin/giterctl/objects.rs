//! A repository's objects, as the device's own code reads them: each is hashed again.

use std::{cell::RefCell, collections::HashMap, path::Path};

use giter_edge::{
    api::{
        Error, Exchange, Oid, Reason, Result,
        object::{Object, ObjectKind},
    },
    codec::stick::folder_of,
    git::{commit::object, graph, repository::Repository},
    reconcile::{
        decode::{self, GitTree},
        ports::Objects,
    },
};

use crate::git::{Answer, Batch, Git};

/// The objects that git has.
pub(crate) struct GitObjects {
    batch: RefCell<Batch>,
}

impl GitObjects {
    /// Those of a repository.
    ///
    /// # Errors
    ///
    /// `GitNotFound`.
    pub(crate) fn of(git: &Git) -> Result<Self> {
        Ok(Self { batch: RefCell::new(git.batch()?) })
    }
}

/// The repository, if its refs are files; of others, git is asked.
///
/// # Errors
///
/// `RepositoryNotFound`.
pub(crate) fn files(repo: &Path) -> Result<Option<Repository>> {
    match Repository::open(repo) {
        Ok(repository) => Ok(Some(repository)),
        Err(error) if error.reason() == Reason::RepositoryUnsupported => Ok(None),
        Err(error) => Err(error.hint("name the hub's repository")),
    }
}

/// The exchange at a commit, as devices read it.
pub(crate) struct Snapshot {
    /// The commit's tree.
    pub(crate) tree: Oid,
    /// The charter, if there is one.
    pub(crate) exchange: Option<Exchange>,
}

impl Snapshot {
    /// Reads it.
    ///
    /// # Errors
    ///
    /// `ObjectMissing`; what is wrong with the charter; `GitFailed`.
    pub(crate) fn at(objects: &GitObjects, commit: Oid) -> Result<Self> {
        let missing = || Error::new(Reason::ObjectMissing, format!("commit {} is not there", commit.short()));
        let tree = graph::lineage(objects, commit)?.ok_or_else(missing)?.tree;
        let exchange = decode::exchange(&GitTree::new(objects, tree))?;
        Ok(Self { tree, exchange })
    }

    /// The name of its folder on a stick.
    pub(crate) fn folder(&self) -> &str {
        folder_of(self.exchange.as_ref().map(|exchange| &exchange.id))
    }
}

/// Objects that are read again and again, kept up to a bound; past it, all are forgotten, and those needed are read anew.
pub(crate) struct Remembered<'a> {
    beneath: &'a GitObjects,
    most: usize,
    kept: RefCell<Kept>,
}

#[derive(Default)]
struct Kept {
    objects: HashMap<Oid, Object>,
    bytes: usize,
}

impl<'a> Remembered<'a> {
    /// At most so many bytes of them.
    pub(crate) fn of(beneath: &'a GitObjects, most: usize) -> Self {
        Self { beneath, most, kept: RefCell::default() }
    }
}

impl Objects for Remembered<'_> {
    fn read(&self, id: Oid, limit: usize) -> Result<Option<Object>> {
        if let Some(object) = self.kept.borrow().objects.get(&id).filter(|object| object.data.len() <= limit) {
            return Ok(Some(object.clone()));
        }
        let read = self.beneath.read(id, limit)?;
        if let Some(object) = &read {
            let kept = &mut *self.kept.borrow_mut();
            if kept.bytes + object.data.len() > self.most {
                *kept = Kept::default();
            }
            kept.bytes += object.data.len();
            kept.objects.insert(id, object.clone());
        }
        Ok(read)
    }

    fn has(&self, id: Oid) -> Result<bool> {
        Ok(self.kept.borrow().objects.contains_key(&id) || self.beneath.has(id)?)
    }
}

impl Objects for GitObjects {
    fn read(&self, id: Oid, limit: usize) -> Result<Option<Object>> {
        let (kind, data) = match self.batch.borrow_mut().ask(&id.to_string(), limit)? {
            Answer::Missing => return Ok(None),
            Answer::TooLarge => {
                let what = format!("the object {} has more than {limit} bytes", id.short());
                return Err(Error::new(Reason::FileTooLarge, what));
            }
            Answer::Object(kind, data) => (kind, data),
        };
        let kind = match &*kind {
            "commit" => ObjectKind::Commit,
            "tree" => ObjectKind::Tree,
            "blob" => ObjectKind::Blob,
            _ => return Ok(None),
        };
        let read = object(kind, data)?;
        if read.id != id {
            let what = format!("what the repository holds as {} is something else", id.short());
            return Err(Error::new(Reason::PackInvalid, what).hint("run git fsck there"));
        }
        Ok(Some(read.object))
    }

    fn has(&self, id: Oid) -> Result<bool> {
        Ok(!matches!(self.batch.borrow_mut().ask(&id.to_string(), 0)?, Answer::Missing))
    }
}
