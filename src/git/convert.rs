//! Our words for an object's name and kind, and gix's.

use gix::{ObjectId, objs::Kind};

use crate::{api::Oid, reconcile::ports::ObjectKind};

impl From<Oid> for ObjectId {
    fn from(id: Oid) -> Self {
        Self::Sha1(*id.as_bytes())
    }
}

impl From<ObjectId> for Oid {
    fn from(id: ObjectId) -> Self {
        (*id).into()
    }
}

impl From<&gix::oid> for Oid {
    /// gix is built for SHA-1 alone, so that every name it has is twenty bytes long.
    fn from(id: &gix::oid) -> Self {
        let mut bytes = [0; 20];
        bytes.copy_from_slice(id.as_bytes());
        Self::new(bytes)
    }
}

impl From<ObjectKind> for Kind {
    fn from(kind: ObjectKind) -> Self {
        match kind {
            ObjectKind::Commit => Self::Commit,
            ObjectKind::Tree => Self::Tree,
            ObjectKind::Blob => Self::Blob,
        }
    }
}

/// The kind of an object that an exchange can hold; none for an annotated tag.
pub(crate) fn kind(kind: Kind) -> Option<ObjectKind> {
    match kind {
        Kind::Commit => Some(ObjectKind::Commit),
        Kind::Tree => Some(ObjectKind::Tree),
        Kind::Blob => Some(ObjectKind::Blob),
        Kind::Tag => None,
    }
}
