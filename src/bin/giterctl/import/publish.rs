//! What is to be known from now on: the objects, then the refs of the hub, then those of this repository.
//!
//! So a ref here never names what the hub has refused, and where the hub cannot be reached the stick can be imported again.

use std::collections::{BTreeMap, HashSet};

use giter_edge::{
    api::{Error, Oid, Reason, Result, limits, object::NewObject},
    git::pack,
};

use super::view::Row;
use crate::git::{Git, Said};

/// A ref that is to move.
#[derive(Clone)]
pub(super) struct Change {
    pub(super) name: String,
    /// Where it is; `None` if it is not there.
    pub(super) old: Option<Oid>,
    pub(super) new: Oid,
}

/// Publishes the changes, and tells the rows of those that the hub refuses.
///
/// # Errors
///
/// `GitFailed`, where the repository or the hub takes none of it.
pub(super) fn publish(
    git: &Git,
    remote: Option<&str>,
    objects: &[NewObject],
    changes: Vec<Change>,
    rows: &mut [Row],
) -> Result<()> {
    if changes.is_empty() {
        return Ok(());
    }
    git.feed(&["index-pack", "--stdin", "--strict"], &pack::write(objects)?)?;
    let mut refused = BTreeMap::new();
    if let Some(remote) = remote {
        for changes in changes.chunks(limits::PUSH_REFS / 2) {
            push(git, remote, changes, &mut refused)?;
        }
    }
    // Where statuses are fetched into the same refs, git's push has moved these already.
    let there = git.run(&["for-each-ref", "--format=%(objectname) %(refname)"])?;
    let there: HashSet<&str> = there.lines().collect();
    let is_there = |Change { name, new, .. }: &Change| there.contains(&*format!("{new} {name}"));
    let taken = changes.into_iter().filter(|change| !refused.contains_key(&change.name) && !is_there(change));
    let nothing = Oid::new([0; 20]);
    let lines: String =
        taken.map(|Change { name, old, new }| format!("update {name} {new} {}\n", old.unwrap_or(nothing))).collect();
    git.feed(&["update-ref", "--stdin", "-m", "giterctl import"], lines.as_bytes())?;
    for (name, error) in refused {
        if let Some(row) = rows.iter_mut().find(|row| row.is_at(&name)) {
            row.refuse(error);
        }
    }
    Ok(())
}

/// Pushes some refs. A hub whose hook refuses one refuses all that came with it, so these are then pushed by halves.
fn push(git: &Git, remote: &str, changes: &[Change], refused: &mut BTreeMap<String, Error>) -> Result<()> {
    let leases = changes.iter().map(|Change { name, old, .. }| {
        let old = old.map(|old| old.to_string()).unwrap_or_default();
        format!("--force-with-lease={name}:{old}")
    });
    let refs = changes.iter().map(|Change { name, new, .. }| format!("{new}:{name}"));
    let args: Vec<String> = ["push", "--porcelain"].map(str::to_owned).into_iter().chain(leases).collect();
    let args: Vec<String> = args.into_iter().chain([remote.to_owned()]).chain(refs).collect();
    let said = git.say(&args.iter().map(String::as_str).collect::<Vec<_>>())?;
    if said.is_good {
        return Ok(());
    }
    let rejected = rejected(&said.stdout);
    if rejected.is_empty() {
        let what = format!("cannot push to {remote}");
        return Err(Error::new(Reason::GitFailed, what)
            .hint("when the remote can be reached, import the stick again")
            .caused_by(said.words()));
    }
    if changes.len() > 1 && rejected.values().all(|why| why.contains("hook declined")) {
        let (one, other) = changes.split_at(changes.len() / 2);
        push(git, remote, one, refused)?;
        return push(git, remote, other, refused);
    }
    for (name, why) in rejected {
        let error = if why.contains("stale info") {
            Error::new(Reason::StatusRefMoved, format!("{name} moved at the hub meanwhile"))
                .hint("import the stick again")
        } else {
            Error::new(Reason::PushRejected, format!("the hub refuses it: {}", remarks(&said, &why))).hint(
                "see what the hub's hook says, and who may write that ref; a record that began anew is imported at \
                 the hub itself",
            )
        };
        refused.insert(name, error);
    }
    Ok(())
}

/// The refs that a push did not move, by what git says on stdout: `!`, `<from>:<to>`, and why, between tabs.
fn rejected(stdout: &str) -> BTreeMap<String, String> {
    let line = |line: &str| {
        let (refs, why) = line.strip_prefix("!\t")?.split_once('\t')?;
        Some((refs.split_once(':')?.1.to_owned(), why.to_owned()))
    };
    stdout.lines().filter_map(line).collect()
}

/// What the hub had to say of it, or else git's own word.
fn remarks(said: &Said, why: &str) -> String {
    let lines = said.stderr.lines().filter_map(|line| Some(line.strip_prefix("remote: ")?.trim()));
    let text = lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ");
    let mut text = if text.is_empty() { why.to_owned() } else { text };
    text.truncate(text.floor_char_boundary(limits::HUB_TEXT_BYTES));
    text.replace(char::is_control, "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_git_says_of_a_push_is_read() {
        let said = "To hub.git\n \t1:refs/a\t0..1\n!\t2:refs/giter/status/b\t[rejected] (stale info)\nDone\n";
        let rejected = rejected(said);
        assert_eq!(rejected.len(), 1);
        assert_eq!(rejected["refs/giter/status/b"], "[rejected] (stale info)");
    }
}
