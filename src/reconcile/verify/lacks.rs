//! What the proof reads, and which of it turned out not to be here.
//!
//! A device fetches no more of a commit than its root tree, unless the proof asks for more. So an object that is not
//! there is no verdict yet: its name is kept, and the proof goes on where it can, to ask for many at once.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
};

use crate::{
    api::{Error, Oid, Result, limits},
    reconcile::ports::{Object, Objects},
};

/// Why a tip is not proven.
#[derive(Debug)]
pub enum Unproven {
    /// It is refused, or what it is held against cannot be read.
    Refused(Error),
    /// These trees and blobs of its history are not here. Where nobody has them, the error says so.
    Lacks(Vec<Oid>, Error),
}

impl From<Unproven> for Error {
    fn from(unproven: Unproven) -> Self {
        match unproven {
            Unproven::Refused(error) | Unproven::Lacks(_, error) => error,
        }
    }
}

/// The objects that are read, and the names of those that are not there.
pub(super) struct Noted<'a> {
    beneath: &'a dyn Objects,
    lacks: RefCell<BTreeSet<Oid>>,
    /// Whether one was not there since this was last asked.
    lacked: Cell<bool>,
}

impl<'a> Noted<'a> {
    pub(super) fn new(beneath: &'a dyn Objects) -> Self {
        Self { beneath, lacks: RefCell::default(), lacked: Cell::new(false) }
    }

    /// The objects as they are: a commit that is not there is older than the floor, and not lacking.
    pub(super) fn beneath(&self) -> &'a dyn Objects {
        self.beneath
    }

    /// Notes an object that will be read, if it is not there.
    pub(super) fn expect(&self, id: Oid) -> Result<()> {
        if !self.beneath.has(id)? {
            self.note(id);
        }
        Ok(())
    }

    /// Whether something was not there since this was last asked.
    pub(super) fn has_lacked(&self) -> bool {
        self.lacked.take()
    }

    /// Whether as much is lacking as is asked for at once.
    pub(super) fn is_full(&self) -> bool {
        self.lacks.borrow().len() >= limits::PROOF_LACKS
    }

    /// An error, with what is lacking.
    pub(super) fn unproven(self, error: Error) -> Unproven {
        let lacks = self.lacks.into_inner();
        if lacks.is_empty() { Unproven::Refused(error) } else { Unproven::Lacks(lacks.into_iter().collect(), error) }
    }

    fn note(&self, id: Oid) {
        self.lacked.set(true);
        if !self.is_full() {
            self.lacks.borrow_mut().insert(id);
        }
    }
}

impl Objects for Noted<'_> {
    fn read(&self, id: Oid, limit: usize) -> Result<Option<Object>> {
        let object = self.beneath.read(id, limit)?;
        if object.is_none() {
            self.note(id);
        }
        Ok(object)
    }

    fn has(&self, id: Oid) -> Result<bool> {
        self.beneath.has(id)
    }
}
