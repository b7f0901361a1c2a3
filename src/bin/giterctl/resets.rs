//! Resets as a branch's history has them: which serials are spent, and who was let go back from where.

use giter_edge::{
    api::{Class, ExchangeId, Oid, Reset, Result, limits},
    codec::{manifest, reset, signers::Keyring},
};

use crate::{
    charter::Papers,
    git::{Batch, Git},
};

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

/// A reset that counts: step 10 of the device's verifier, with the roots of the charter that stood before, and of step 11
/// that its commit descends from the one that it names.
pub(crate) struct Allowed {
    /// The commit that brought it.
    pub(crate) commit: Oid,
    /// What it says.
    pub(crate) reset: Reset,
}

/// The resets that count in the history of a commit.
///
/// # Errors
///
/// `GitFailed`.
pub(crate) fn allowed(git: &Git, tip: &str) -> Result<Vec<Allowed>> {
    let (mut batch, mut allowed) = (git.batch()?, Vec::new());
    for name in changes(git, &[tip])? {
        let Some(reset) = read(git, &mut batch, &name)? else { continue };
        let descends = git.leads(&reset.commit.to_string(), &name)?;
        allowed.extend(name.parse().ok().filter(|_| descends).map(|commit| Allowed { commit, reset }));
    }
    Ok(allowed)
}

/// The commits that changed the reset or its signatures.
fn changes(git: &Git, revisions: &[&str]) -> Result<Vec<String>> {
    let paths = ["--", reset::PATH, reset::SIGNATURE_PATH];
    let commits = git.run(&[&["rev-list", "--full-history"], revisions, &paths].concat())?;
    Ok(commits.lines().map(str::to_owned).collect())
}

/// The reset of a commit, if it is for this exchange and signed by a root of the charter before.
fn read(git: &Git, batch: &mut Batch, commit: &str) -> Result<Option<Reset>> {
    let bytes = batch.read(&format!("{commit}:{}", reset::PATH), limits::MANIFEST_BYTES)?;
    let signatures = batch.read(&format!("{commit}:{}", reset::SIGNATURE_PATH), limits::CHARTER_SIGNATURE_BYTES)?;
    let (Some(bytes), Some(signatures)) = (bytes, signatures) else { return Ok(None) };
    let Some((exchange, roots)) = roots(git, &format!("{commit}^"))? else { return Ok(None) };
    let read = reset::read(&roots, &bytes, &signatures, 0).ok();
    Ok(read.map(|(reset, _)| reset).filter(|reset| reset.exchange == exchange))
}

/// The exchange and its roots, where the charter of a commit says them: a signed one that is in force, or the first one,
/// which nobody has signed.
fn roots(git: &Git, commit: &str) -> Result<Option<(ExchangeId, Keyring)>> {
    let papers = match Papers::read(git, commit) {
        Err(error) if matches!(error.reason().class(), Class::FixKeys | Class::FixManifest) => return Ok(None),
        papers => papers?,
    };
    let counts = papers.signatures.is_none() || papers.check_signed().is_ok();
    Ok(papers.charter.filter(|_| counts).map(|charter| (charter.id, charter.roots)))
}
