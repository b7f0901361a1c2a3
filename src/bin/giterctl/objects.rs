//! A repository's objects, as the device's own code reads them: each is hashed again.

use std::cell::RefCell;

use giter_edge::{
    api::{
        Error, Oid, Reason, Result,
        object::{Object, ObjectKind},
    },
    git::commit::object,
    reconcile::ports::Objects,
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
