//! Branches beside the one that devices follow, and tags: nothing of them takes effect, yet nobody unknown adds to them.

use giter_edge::api::{Error, Oid, Reason, Result, limits};

use super::{
    hub::Hub,
    login::Login,
    push::{Brings, Update, check_may_take_away},
};

/// Judges a push to another branch, or of a tag: each new commit is signed by somebody whom the charter trusts.
///
/// # Errors
///
/// `UnsignedCommit`, `BadSignature`, `UnsupportedKey`, `UntrustedKey`, `KeyNotValid`; `RefNotAllowed` before the hub has
/// its branch; `DeletionRefused` where commits would be taken away; `RangeTooLong`.
pub(super) fn judge(hub: &Hub<'_>, login: &Login, update: &Update) -> Result<Brings> {
    let Hub { branch, .. } = hub;
    if hub.standing.floor().is_none() {
        let what = format!("the hub has no {branch} yet, whose charter says who may push");
        let hint = format!("push {branch} first; is it another branch, then on the hub: git symbolic-ref HEAD REF");
        return Err(Error::new(Reason::RefNotAllowed, what).hint(hint));
    }
    let Some(new) = update.new else {
        check_may_take_away(login, "a ref would be gone")?;
        return Ok(Brings::Little);
    };
    let (new, most) = (new.to_string(), limits::RANGE_COMMITS);
    if hub.git.ask(&["rev-parse", "--verify", "--quiet", &format!("{new}^{{commit}}")])?.is_err() {
        return Err(
            Error::new(Reason::RefNotAllowed, "it does not lead to a commit").hint("push a commit, or a tag of one")
        );
    }
    let count = format!("--max-count={}", most + 1);
    let commits = hub.git.run(&["rev-list", &count, &new, "--not", "--branches", "--tags"])?;
    let commits: Vec<Oid> = commits.lines().filter_map(|line| line.parse().ok()).collect();
    if commits.len() > most {
        let what = format!("more than {most} commits are new");
        return Err(Error::new(Reason::RangeTooLong, what).hint("push an earlier commit first"));
    }
    for commit in commits.iter().rev() {
        hub.standing.vouches(*commit, hub.now)?;
    }
    if let Some(old) = update.old {
        let is_forward = hub.git.leads(&old.to_string(), &new)?;
        // Somebody trusted signed what takes the place of the old commits.
        if !is_forward && commits.is_empty() {
            check_may_take_away(login, "the ref would only lose commits")?;
        }
    }
    Ok(if commits.is_empty() { Brings::Little } else { Brings::Specs })
}
