//! `giterctl watch`: says at once that the branch has moved to what a device reads.
//!
//! ```text
//! watch the folders -> read the tip -> say it, if it is news -> wait until something happens there
//!        ^---------------------------------------------------------------------'
//! ```
//!
//! What happens after the folders are watched wakes it, so nothing is lost between reading and waiting. Where it cannot
//! tell whether a tip is news, it is. One such process runs for each connected device: between two changes it holds
//! neither the repository nor a pack of it.

mod folders;
mod tip;

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

use giter_edge::{
    api::{DeviceId, Error, Exit, Reason, Result},
    cli,
};

use self::{folders::Folders, tip::Tip};

/// The first line, which says in which version of this protocol the others are.
const GREETING: &str = "giter-watch 1";

/// Tells a connected device at once that its specs changed
#[derive(clap::Args)]
#[command(
    after_help = "Prints the line 'giter-watch 1', then the name of the commit at the branch that HEAD leads to: where \
    it stands now, and again each time it has moved to another with a change in specs/<device> (of a gateway: of those it \
    relays, too), exchange.yaml, reset.yaml or their signatures. Ends when stdin or stdout does. A device gets here by \
    giterctl serve."
)]
pub(crate) struct Args {
    /// The repository
    #[arg(value_name = "REPO")]
    repo: PathBuf,

    /// The device; without it every move of the branch is told
    #[arg(long, value_name = "ID")]
    device: Option<DeviceId>,
}

/// Watches until nobody listens.
pub(crate) fn run(Args { repo, device }: Args) -> Result<Exit> {
    follow(&repo, device.as_ref())
}

/// Watches a repository for a device, until nobody listens.
///
/// # Errors
///
/// `RepositoryNotFound`, also when the repository goes away; `RepositoryUnsupported`, `WatchFailed`, `GitFailed`.
pub(crate) fn follow(repo: &Path, device: Option<&DeviceId>) -> Result<Exit> {
    let mut folders = Folders::of(repo)?;
    let mut said: Option<Tip> = None;
    if !say(GREETING)? {
        return Ok(Exit::Done);
    }
    loop {
        folders.watch_repository()?;
        let branch = tip::branch(repo)?;
        folders.watch_branch(&branch)?;
        if let Some(tip) = Tip::read(repo, &branch, device)? {
            let is_news = said.as_ref().is_none_or(|said| tip.is_news_after(said));
            if is_news && !say(&tip.commit.to_string())? {
                return Ok(Exit::Done);
            }
            said = Some(tip);
        }
        if !folders.wait(io::stdin(), io::stdout())? {
            return Ok(Exit::Done);
        }
    }
}

/// Says a line; whether anybody is there to read it.
fn say(line: &str) -> Result<bool> {
    let mut out = io::stdout().lock();
    let written = writeln!(out, "{line}").and_then(|()| out.flush());
    let is_heard = written.is_ok();
    cli::printed(written).map(|()| is_heard)
}

/// The error where the kernel does not tell of changes.
fn failed(what: impl Into<String>, e: impl Into<io::Error>) -> Error {
    let e = e.into();
    let is_limit = e.raw_os_error().is_some_and(folders::is_limit);
    let error = Error::new(Reason::WatchFailed, what).caused_by(e);
    match is_limit {
        true => error.hint("each connected device takes one of fs.inotify.max_user_instances; raise it with sysctl"),
        false => error,
    }
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;

    use super::*;

    #[test]
    fn a_limit_of_the_kernel_is_named() {
        let hint = |errno: Errno| failed("cannot watch x.git", errno).get_hint().map(str::to_owned);
        for errno in [Errno::MFILE, Errno::NOSPC] {
            assert!(hint(errno).unwrap().contains("fs.inotify"), "{errno}");
        }
        assert_eq!(hint(Errno::ACCESS), None);
    }
}
