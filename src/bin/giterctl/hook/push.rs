//! `giterctl hook pre-receive`: one push, ref by ref.
//!
//! What git has unpacked lies in quarantine (git-receive-pack(1)) and is thrown away if the hook says no.

use std::{
    env, fs,
    io::{self, BufRead, Read},
    path::Path,
};

use giter_edge::api::{Error, Exit, Oid, Reason, Result, limits};

use super::{
    branch, enrolment,
    hub::{self, Hub, Sort},
    login::Login,
    report::{Refusal, Report},
    review, status,
};
use crate::{git::Git, objects::GitObjects};

/// Judges a push, as git's pre-receive hook
#[derive(clap::Args)]
#[command(
    after_help = "Reads a line '<old> <new> <ref>' for each ref on stdin (githooks(5)). Exit code 0 lets the push in, 1 \
    refuses all of it; stderr says of each ref why, and what to do."
)]
pub(crate) struct Args {}

/// A ref that a push wants to change.
pub(super) struct Update {
    pub(super) name: String,
    /// Where it is; `None` if it is not there.
    pub(super) old: Option<Oid>,
    /// Where it is to be; `None` to take it away.
    pub(super) new: Option<Oid>,
}

/// Whether a publisher's word stands behind what a ref brings.
pub(super) enum Brings {
    /// New commits that are signed by whom the charter trusts.
    Specs,
    /// What a device or anybody may bring.
    Little,
}

/// Judges the push on stdin.
pub(super) fn run(_: Args, repo: &Path) -> Result<Exit> {
    let updates = read(io::stdin().lock())?;
    let git = Git::in_hook(repo);
    let (objects, roots) = (GitObjects::of(&git)?, hub::roots(repo)?);
    let hub = Hub::at(&git, &objects, &roots)?;
    let login = Login::from_env(&hub)?;
    let (mut report, mut limit) = (Report::default(), limits::DEVICE_PUSH_BYTES);
    for update in &updates {
        let verdict = judge(&hub, &login, update);
        if let Ok(Brings::Specs) = verdict {
            limit = limits::PUSH_BYTES;
        }
        report.add(&update.name, verdict.map(drop));
    }
    for checked in [enrolment::check_count(&hub, &updates), check_size(limit)] {
        if let Err(too_much) = checked {
            report.add("this push", Err(too_much.into()));
        }
    }
    Ok(match report.say() {
        true => Exit::Done,
        false => Exit::No,
    })
}

fn judge(hub: &Hub<'_>, login: &Login, update: &Update) -> Result<Brings, Refusal> {
    let sort = hub.sort(&update.name);
    login.check(hub, &sort)?;
    match sort {
        Sort::Branch => branch::judge(hub, update),
        Sort::Status(device) => Ok(status::judge(hub, update, &device)?),
        Sort::Request(device) => Ok(enrolment::judge(hub, login, update, &device)?),
        Sort::Review => Ok(review::judge(hub, login, update)?),
        Sort::Other => Err(not_taken(hub).into()),
    }
}

fn not_taken(hub: &Hub<'_>) -> Error {
    let Hub { branch, statuses, .. } = hub;
    Error::new(Reason::RefNotAllowed, "this hub has no use for such a ref").hint(format!(
        "push {branch}, {statuses}/DEVICE, {}/DEVICE, where DEVICE is a folder below specs, or any branch or tag",
        giter_edge::codec::enrolment::REFS
    ))
}

/// The lines that git gives a pre-receive hook.
fn read(input: impl BufRead) -> Result<Vec<Update>> {
    let mut text = String::new();
    let most = limits::PUSH_REFS as u64 * 4096;
    let unread = |e| Error::new(Reason::Usage, "cannot read the refs of the push on stdin").caused_by(e);
    input.take(most).read_to_string(&mut text).map_err(unread)?;
    let updates: Vec<Update> = text.lines().take(limits::PUSH_REFS + 1).map(update).collect::<Result<_>>()?;
    if updates.len() > limits::PUSH_REFS || text.len() as u64 == most {
        let what = format!("the push changes more than {} refs", limits::PUSH_REFS);
        return Err(Error::new(Reason::PushTooLarge, what).hint("push them in several times"));
    }
    Ok(updates)
}

fn update(line: &str) -> Result<Update> {
    const NOTHING: Oid = Oid::new([0; 20]);
    let oid = |text: &str| text.parse().ok().map(|id: Oid| (id != NOTHING).then_some(id));
    let mut words = line.splitn(3, ' ');
    let parsed = (|| {
        let (old, new) = (oid(words.next()?)?, oid(words.next()?)?);
        Some(Update { old, new, name: words.next()?.to_owned() })
    })();
    parsed.ok_or_else(|| {
        Error::new(Reason::Usage, "stdin has no line '<old> <new> <ref>' with names of SHA-1 objects")
            .hint("git runs this as hooks/pre-receive; install it with: giterctl hook install")
    })
}

fn check_size(limit: u64) -> Result<()> {
    let brought = env::var_os("GIT_QUARANTINE_PATH").map_or(Ok(0), |folder| size(Path::new(&folder)));
    let brought = brought.map_err(|e| Error::io(Reason::GitFailed, "cannot look into the push's quarantine", e))?;
    if brought <= limit {
        return Ok(());
    }
    let who = if limit == limits::DEVICE_PUSH_BYTES { " without a publisher's commits" } else { "" };
    let what = format!("it brings {brought} bytes, and{who} at most {limit} are taken");
    Err(Error::new(Reason::PushTooLarge, what).hint("keep large files out of the exchange"))
}

/// The bytes of the files in a folder and those below it.
fn size(folder: &Path) -> io::Result<u64> {
    let mut total = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        total += if entry.file_type()?.is_dir() { size(&entry.path())? } else { entry.metadata()?.len() };
    }
    Ok(total)
}

/// What takes commits away carries no signature: the key that logged in has to be a publisher's.
pub(super) fn check_may_take_away(login: &Login, what: &str) -> Result<()> {
    if login.is_trusted() {
        return Ok(());
    }
    Err(Error::new(Reason::DeletionRefused, format!("{what}, and no root or publisher is known to ask for it")).hint(
        "let a root or publisher push it over SSH, where sshd has ExposeAuthInfo yes; or do it at the hub: git update-ref",
    ))
}

/// Says that a ref stays.
pub(super) fn stays(what: &str) -> Error {
    Error::new(Reason::DeletionRefused, what.to_owned())
        .hint("who runs the hub can take it away there: git update-ref -d REF")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str =
        "0000000000000000000000000000000000000000 4b825dc642cb6eb9a060e54bf8d69288fbee4904 refs/heads/a b";

    #[test]
    fn lines_are_read_as_git_writes_them() {
        let [update] = &read(format!("{LINE}\n").as_bytes()).unwrap()[..] else { panic!("one line is one ref") };
        assert_eq!((update.old, &*update.name), (None, "refs/heads/a b"));
        assert_eq!(update.new.unwrap().short(), "4b825dc642cb");
        for bad in ["x", "\n", "4b 4b refs/heads/a", &LINE[..81], &LINE.replacen("00 ", "0000 ", 1)] {
            let refused = read(bad.as_bytes());
            assert!(refused.is_err_and(|error| error.reason() == Reason::Usage), "{bad:?}");
        }
    }

    #[test]
    fn refs_are_bounded() {
        let lines = |count| format!("{LINE}\n").repeat(count);
        assert_eq!(read(lines(limits::PUSH_REFS).as_bytes()).unwrap().len(), limits::PUSH_REFS);
        assert_eq!(read(lines(limits::PUSH_REFS + 1).as_bytes()).err().unwrap().reason(), Reason::PushTooLarge);
    }
}
