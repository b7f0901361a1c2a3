//! Resets as a branch's history has them.

use giter_edge::{
    api::{Result, limits},
    codec::{manifest, reset},
};

use crate::git::Git;

/// The highest serial of a reset in the history of some revisions, whoever signed it: only roots write one.
///
/// # Errors
///
/// `GitFailed`.
pub(crate) fn highest_serial(git: &Git, revisions: &[&str]) -> Result<u64> {
    let (mut batch, mut highest) = (git.batch()?, 0);
    for commit in changes(git, revisions)? {
        if let Some(bytes) = batch.read(&format!("{commit}:{}", reset::PATH), limits::MANIFEST_BYTES)? {
            // What cannot be read counted nowhere.
            highest = highest.max(manifest::parse_reset(reset::PATH, &bytes).map_or(0, |reset| reset.serial));
        }
    }
    Ok(highest)
}

/// The commits that changed the reset or its signatures.
fn changes(git: &Git, revisions: &[&str]) -> Result<Vec<String>> {
    let paths = ["--", reset::PATH, reset::SIGNATURE_PATH];
    let commits = git.run(&[&["rev-list", "--full-history"], revisions, &paths].concat())?;
    Ok(commits.lines().map(str::to_owned).collect())
}
