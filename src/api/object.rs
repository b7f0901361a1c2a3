//! Git objects as bytes.

use super::Oid;

/// The kinds of git objects that an exchange is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ObjectKind {
    /// A commit.
    Commit,
    /// A tree.
    Tree,
    /// A blob.
    Blob,
}

/// A git object, as its bytes without the loose header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Its kind.
    pub kind: ObjectKind,
    /// Its bytes.
    pub data: Vec<u8>,
}

/// A new object that goes out with a push.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewObject {
    /// Its name.
    pub id: Oid,
    /// Its kind and bytes.
    pub object: Object,
}
