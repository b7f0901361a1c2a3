//! Bundles that go out: a pack with the ref that it is for, in git's bundle format version 2 (gitformat-bundle(5)).
//!
//! ```text
//! "# v2 git bundle" | object, ref | (empty line) | pack
//! ```

use super::pack;
use crate::{
    api::{Oid, Result},
    reconcile::ports::NewObject,
};

/// A bundle that brings one ref, with all that it leads to: nothing has to be there before.
///
/// # Errors
///
/// Those of [`pack::write`].
pub fn write(name: &str, tip: Oid, objects: &[NewObject]) -> Result<Vec<u8>> {
    let mut bundle = format!("# v2 git bundle\n{tip} {name}\n\n").into_bytes();
    bundle.extend(pack::write(objects)?);
    Ok(bundle)
}
