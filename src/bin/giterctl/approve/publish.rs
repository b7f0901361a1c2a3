//! The approval as a signed commit, and on its way.

use giter_edge::{
    api::{Error, Oid, Reason, Result, limits},
    codec::enrolment,
};

use super::request::Request;
use crate::{
    commit::{self, Proposal},
    git::Git,
    keys::SigningKey,
};

/// Commits a manifest as it is approved, signed; the commit. `None` where HEAD has it already.
///
/// # Errors
///
/// Those of [`Proposal`]; nothing was changed then.
pub(super) fn commit(git: &Git, path: &str, text: &str, message: &str, key: Option<&str>) -> Result<Option<Oid>> {
    let committed = git.batch()?.read(&format!("HEAD:{path}"), limits::MANIFEST_BYTES)?;
    if committed.as_deref() == Some(text.as_bytes()) {
        return commit::write(&git.dir().join(path), text.as_bytes()).map(|()| None);
    }
    let key = match key {
        Some(key) => Some(SigningKey::given(key)?),
        None => SigningKey::of_git(git)?,
    };
    let key = key.ok_or_else(|| {
        Error::new(Reason::BadKeyFile, "git signs with no SSH key here")
            .hint("git config gpg.format ssh; git config user.signingkey FILE; or --key FILE")
    })?;
    let proposal = Proposal::make(git, vec![(path.into(), text.into())], message, &key)?;
    proposal.adopt()?;
    Ok(Some(proposal.id()))
}

/// Pushes the branch.
///
/// # Errors
///
/// `GitFailed`.
pub(super) fn push(git: &Git, remote: &str) -> Result<()> {
    git.run(&["push", "--quiet", remote, "HEAD"]).map(drop).map_err(|error| {
        error.hint(format!("the approval is committed; fetch and rebase it, then: git push {remote} HEAD"))
    })
}

/// Deletes a request here and at the remote, if it is still the one that was seen.
///
/// # Errors
///
/// `GitFailed`.
pub(super) fn delete(git: &Git, remote: Option<&str>, name: &str, commit: Oid) -> Result<()> {
    if let Some(remote) = remote
        && !git.run(&["ls-remote", remote, name])?.is_empty()
    {
        let (lease, nothing) = (format!("--force-with-lease={name}:{commit}"), format!(":{name}"));
        git.run(&["push", "--quiet", &lease, remote, &nothing])
            .map_err(|error| error.hint("if another request came meanwhile, look at it with: giterctl approve"))?;
    }
    if git.ask(&["rev-parse", "--verify", "--quiet", name])?.is_ok() {
        git.run(&["update-ref", "-d", name, &commit.to_string()])?;
    }
    Ok(())
}

/// What the commit says.
pub(super) fn message(request: &Request) -> String {
    let Request { device, key, commit, .. } = request;
    let name = enrolment::ref_of(device);
    format!("Approve {device}\n\nKey: {}\nFingerprint: {key}\nRequest: {name} {commit}\n", key.short_fingerprint())
}
