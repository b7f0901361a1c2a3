//! `giterctl approve`: a publisher says which key is a device's, after a person compared its fingerprint.
//!
//! ```text
//! source -> request (proven) -> a person compares -> manifest -> publish (a signed commit)
//! ```

mod card;
mod list;
mod manifest;
mod publish;
pub(crate) mod request;
pub(crate) mod source;

use std::{
    io::{BufRead, IsTerminal, stdin},
    path::{Path, PathBuf},
};

use giter_edge::{
    api::{Device, DeviceId, Error, Exit, Reason, Result},
    cli::{self, Output},
    codec::{calendar::Utc, enrolment, yaml},
};
use serde::Serialize;

use self::{list::Standing, manifest::Before, request::Request, source::Source};
use crate::{chain::Reader, commit, devices::Devices, git::Git, repository};

/// Approves a device that asks to be enrolled, or lists those that do
#[derive(clap::Args)]
#[command(
    after_help = "Compare the fingerprint with the one that `giterd enroll` or `giterd check` shows on the device: a request \
    proves that who asks has the key, and not who that is. The approval is a signed commit that names the key in \
    specs/DEVICE/device.yaml."
)]
pub(crate) struct Args {
    /// The device; without it, those that ask are listed
    #[arg(value_name = "DEVICE")]
    device: Option<DeviceId>,

    /// The remote that requests come to
    #[arg(long, value_name = "NAME", default_value = "origin")]
    remote: String,

    /// Ask no remote: take the requests that were fetched
    #[arg(long, conflicts_with_all = ["stick", "from", "push"])]
    offline: bool,

    /// Take the requests from a stick that is mounted there
    #[arg(long, value_name = "DIR", conflicts_with = "from")]
    stick: Option<PathBuf>,

    /// Take the request from a bundle, or from a commit of this repository
    #[arg(long, value_name = "BUNDLE|REV", requires = "device")]
    from: Option<String>,

    /// The fingerprint was compared: do not ask
    #[arg(long)]
    yes: bool,

    /// Another key of the device counts no more
    #[arg(long)]
    replace: bool,

    /// Another key of the device counts until then, such as 2026-12-31
    #[arg(long, value_name = "TIME", conflicts_with = "replace", value_parser = time)]
    keep_until: Option<String>,

    /// The SSH key that signs [default: the one that git signs with]
    #[arg(long, value_name = "FILE")]
    key: Option<String>,

    /// Write the manifest, and leave the commit to you
    #[arg(long, conflicts_with = "push")]
    no_commit: bool,

    /// Push the approval, and delete the request at the remote
    #[arg(long)]
    push: bool,

    /// Delete the request instead, here and at the remote
    #[arg(long, requires = "device", conflicts_with_all = ["push", "no_commit", "replace", "keep_until", "stick", "from"])]
    reject: bool,
}

fn time(text: &str) -> Result<String, String> {
    Utc::from_rfc3339(text)
        .and_then(Utc::to_seconds)
        .map(|_| text.into())
        .ok_or_else(|| "a day such as 2026-12-31, or a second such as 2026-12-31T23:59:59Z".into())
}

impl Args {
    fn source(&self) -> Source<'_> {
        match self {
            Args { stick: Some(stick), .. } => Source::Stick(stick),
            Args { from: Some(from), .. } => Source::From(from),
            Args { offline: true, .. } => Source::Here,
            Args { remote, .. } => Source::Remote(remote),
        }
    }

    fn before(&self) -> Before {
        match (&self.keep_until, self.replace) {
            (Some(end), _) => Before::KeptUntil(end.clone()),
            (None, true) => Before::Replaced,
            (None, false) => Before::Forbidden,
        }
    }
}

/// Lists who asks, or approves or rejects one.
pub(crate) fn run(args: Args, repo: &Path, output: Output) -> Result<Exit> {
    let git = Git::open(repo)?;
    let source = args.source();
    source.fetch(&git)?;
    match &args.device {
        None => list::run(&git, &approved_so_far(&git)?, output),
        Some(device) if args.reject => reject(&git, &args, &source, device),
        Some(device) => approve(&git, &args, &source, device, output),
    }
}

fn approved_so_far(git: &Git) -> Result<Devices> {
    Devices::at(git, &repository::commit(git, None)?)
}

fn reject(git: &Git, args: &Args, source: &Source<'_>, device: &DeviceId) -> Result<Exit> {
    let commit = source.find(git, device)?;
    let remote = (!args.offline).then_some(&*args.remote);
    publish::delete(git, remote, &enrolment::ref_of(device), commit)?;
    cli::print(format!("deleted the request of {device}, {}\n", commit.short()))?;
    Ok(Exit::Done)
}

fn approve(git: &Git, args: &Args, source: &Source<'_>, device: &DeviceId, output: Output) -> Result<Exit> {
    let tree = Git::at(&commit::top(git)?);
    let commit = source.find(git, device)?;
    let request = Request::prove(&mut Reader::of(git)?, device, commit)?;
    let devices = approved_so_far(git)?;
    check_free(&request, &devices)?;
    let standing = manifest::Standing::read(tree.dir(), device)?;
    let says = standing.as_ref().map(|standing| &standing.says);
    cli::talk(card::of(&request, says));
    let text = manifest::text(&manifest::approved(&request.asked, says, &args.before())?)?;
    let path = manifest::path_of(device);
    if let Some(standing) = standing.as_ref().filter(|standing| !standing.is_ours)
        && manifest::text(&standing.says)? != text
    {
        return Err(Error::new(Reason::EnrolmentConflict, format!("{} was written by hand", standing.path))
            .hint(format!("let its Device say, and commit that, signed:\n{text}")));
    }
    if !is_confirmed(args.yes)? {
        cli::talk("not approved");
        return Ok(Exit::No);
    }
    let mut done = Done::of(&request, &path);
    if standing.as_ref().is_none_or(|standing| standing.is_ours) {
        if args.no_commit {
            commit::write(&tree.dir().join(&path), text.as_bytes())?;
        } else {
            let made = publish::commit(&tree, &path, &text, &publish::message(&request), args.key.as_deref())?;
            done.commit = made.map(|commit| commit.to_string());
        }
    }
    if args.push {
        publish::push(&tree, &args.remote)?;
        publish::delete(git, Some(&args.remote), &enrolment::ref_of(device), request.commit)?;
        done.pushed = true;
    }
    cli::print(match output {
        Output::Json => cli::json(&done)?,
        Output::Yaml => yaml::to_string(&done)?,
        Output::Name => format!("Device/{device}\n"),
        Output::Table | Output::Wide => done.text(args),
    })?;
    Ok(Exit::Done)
}

/// One key is one device's: a card that was copied asks with the key of another.
fn check_free(request: &Request, devices: &Devices) -> Result<()> {
    let holds = |(id, says): &(&DeviceId, &Device)| {
        **id != request.device && Standing::of(&request.key, Some(says)) == Standing::Same
    };
    match devices.iter().find(holds) {
        None => Ok(()),
        Some((other, _)) => {
            let what = format!("the key of this request is approved as that of {other}");
            Err(Error::new(Reason::EnrolmentConflict, what)
                .hint("a card was copied, or a device renamed: remove its key, and let giterd enroll make another"))
        }
    }
}

/// Whether a person compared the fingerprints.
fn is_confirmed(yes: bool) -> Result<bool> {
    if yes {
        return Ok(true);
    }
    if !stdin().is_terminal() {
        return Err(Error::new(Reason::Usage, "there is nobody to ask")
            .hint("compare the fingerprint with the one that the device shows; then add --yes"));
    }
    cli::talk("Is this the fingerprint that the device shows? [y/N]");
    Ok(is_yes(stdin().lock()))
}

fn is_yes(answer: impl BufRead) -> bool {
    let mut line = String::new();
    let read = answer.take(16).read_line(&mut line);
    read.is_ok() && matches!(line.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

/// What `-o json` prints of an approval, version 1.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Done {
    version: u32,
    device: String,
    fingerprint: String,
    sha256: String,
    file: String,
    /// `None` if there was nothing to commit.
    commit: Option<String>,
    pushed: bool,
}

impl Done {
    fn of(request: &Request, file: &str) -> Self {
        Self {
            version: 1,
            device: request.device.to_string(),
            fingerprint: request.key.short_fingerprint(),
            sha256: request.key.fingerprint(),
            file: file.into(),
            commit: None,
            pushed: false,
        }
    }

    fn text(&self, args: &Args) -> String {
        let Self { device, fingerprint, file, commit, .. } = self;
        let what = match commit {
            Some(commit) => format!("approved {device} with {fingerprint}, in commit {}\n", &commit[..12]),
            None if args.no_commit => format!("approved {device} with {fingerprint}, in {file}, to be committed\n"),
            None => format!("{device} is approved with {fingerprint} already\n"),
        };
        let name = format!("refs/giter/enroll/{device}");
        match (self.pushed, args.no_commit, &args.stick, &args.from) {
            (true, ..) => format!("{what}pushed to {}, where no request of it waits now\n", args.remote),
            (false, true, ..) => format!("{what}\nnext:\n  git add {file} && git commit -S\n"),
            // No request has to be at the remote once the key is named.
            (false, false, Some(stick), _) => {
                format!("{what}\nnext:\n  git push\n  giterctl export --to {} {device}\n", stick.display())
            }
            (false, false, None, Some(_)) => format!("{what}\nnext:\n  git push\n"),
            (false, false, None, None) => format!("{what}\nnext:\n  git push\n  git push {} :{name}\n", args.remote),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::is_yes;

    #[test]
    fn only_yes_is_yes() {
        for answer in ["y\n", "Y\n", "yes\n", " yes \r\n", "y"] {
            assert!(is_yes(answer.as_bytes()), "{answer:?}");
        }
        for answer in ["", "\n", "n\n", "no\n", "yikes\n", "y n\n", "\u{ff}", &"y".repeat(100)] {
            assert!(!is_yes(answer.as_bytes()), "{answer:?}");
        }
    }
}
