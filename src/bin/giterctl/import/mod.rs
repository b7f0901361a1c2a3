//! `giterctl import`: what devices that are reached by stick alone have to say.
//!
//! ```text
//! stick -> found -> bundle (quarantine) -> judge -> changes -> publish: objects, hub, refs
//! ```
//!
//! The stick is only read. What was imported may be imported again, and is known then.

mod bundle;
mod judge;
mod publish;
mod request;
mod stick;
mod view;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use giter_edge::{
    api::{Error, Exit, Oid, Reason, Result, limits, object::NewObject},
    cli::{self, Output},
    codec::{
        enrolment,
        stick::{ENROLL, Paper},
    },
};
use indicatif::ProgressBar;

use self::{
    bundle::{Brought, Customs},
    judge::Verdict,
    publish::{Change, publish},
    stick::{Found, Stick},
    view::{Answer, Report, Row},
};
use crate::{
    approve::source::Source,
    chain::{self, Reader},
    git::Git,
    objects::{GitObjects, Snapshot},
    repository, statuses,
};

/// Takes statuses and requests for enrolment from a stick
#[derive(clap::Args)]
#[command(
    after_help = "What a device signed, and the hub does not have, is put on top of its statuses, here and at the hub, and never \
    goes back. The stick is left as it is. Exit code 1 if anything was refused."
)]
pub(crate) struct Args {
    /// Where the stick is mounted
    #[arg(value_name = "DIR")]
    stick: PathBuf,

    /// Show what would be taken
    #[arg(long)]
    dry_run: bool,

    /// The remote that statuses go to
    #[arg(long, value_name = "NAME", default_value = "origin")]
    remote: String,

    /// Change this repository alone, and neither fetch nor push
    #[arg(long, alias = "no-push")]
    offline: bool,

    /// The commit that names the devices' keys [default: HEAD, else the only branch]
    #[arg(long, value_name = "REV")]
    revision: Option<String>,

    /// The folder of the status refs
    #[arg(long, value_name = "REF", default_value = "refs/giter/status")]
    prefix: String,
}

/// Takes what is new, and prints what became of each file.
pub(crate) fn run(args: Args, repo: &Path, output: Output) -> Result<Exit> {
    let git = Git::open(repo)?;
    let prefix = args.prefix.trim_end_matches('/');
    // What was not fetched before is not fetched for show.
    let remote = statuses::remote(&git, &args.remote, args.offline || args.dry_run)?;
    if let Some(remote) = remote {
        statuses::refresh(&git, remote, prefix)?;
    }
    let objects = GitObjects::of(&git)?;
    let mut import = Import::at(&git, &objects, repository::commit_id(&git, args.revision.as_deref())?, prefix)?;
    let stick = Stick::read(&args.stick, &[&import.folder, ENROLL])?;
    if let Some(remote) = remote.filter(|_| stick.found.iter().any(|found| found.paper == Paper::Request)) {
        import.learn_who_asks(remote)?;
    }
    for other in &stick.others {
        cli::talk(format_args!("GITER/{} is another exchange's, and left alone", other.escape_default()));
    }
    let mut rows = import.take_all(&stick.found)?;
    if !args.dry_run {
        publish(&git, remote, &import.objects_found, import.changes, &mut rows)?;
    }
    let report = Report::new(rows, args.dry_run);
    report.print(output)?;
    Ok(report.exit())
}

/// The exchange, and what was found for it.
struct Import<'a> {
    git: &'a Git,
    objects: &'a GitObjects,
    reader: Reader,
    customs: Customs<'a>,
    /// The tree that names the devices' keys.
    tree: Oid,
    /// The name of the exchange's folder.
    folder: String,
    prefix: &'a str,
    /// Where the refs of statuses and requests are.
    refs: BTreeMap<String, Oid>,
    now: i64,
    /// What is to be in the repository.
    objects_found: Vec<NewObject>,
    /// How many bytes these have.
    bytes: usize,
    /// How refs are to change.
    changes: Vec<Change>,
}

impl<'a> Import<'a> {
    fn at(git: &'a Git, objects: &'a GitObjects, commit: Oid, prefix: &'a str) -> Result<Self> {
        let there = Snapshot::at(objects, commit)?;
        let named = |folder: &str| -> Result<Vec<_>> {
            Ok(chain::refs(git, folder)?.into_iter().map(|found| (found.name, found.tip)).collect())
        };
        Ok(Self {
            git,
            objects,
            reader: Reader::of(git)?,
            customs: Customs::beside(objects)?,
            tree: there.tree,
            folder: there.folder().into(),
            prefix,
            refs: named(prefix)?.into_iter().chain(named(enrolment::REFS)?).collect(),
            now: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64),
            objects_found: Vec::new(),
            bytes: 0,
            changes: Vec::new(),
        })
    }

    /// Takes the requests that wait at the remote for all there are: one that came here by a stick is not there for that.
    fn learn_who_asks(&mut self, remote: &str) -> Result<()> {
        Source::Remote(remote).fetch(self.git)?;
        self.refs.retain(|name, _| !name.starts_with(enrolment::REFS));
        self.refs.extend(chain::refs(self.git, enrolment::REFS)?.into_iter().map(|found| (found.name, found.tip)));
        Ok(())
    }

    /// Looks at all files; what became of each. A receipt counts only where its device has nothing new to say itself.
    fn take_all(&mut self, found: &[Found]) -> Result<Vec<Row>> {
        // Shown on a terminal alone.
        let progress = ProgressBar::new(found.len() as u64);
        let mut rows: Vec<Row> = Vec::new();
        for found in found.iter().filter(|found| found.paper != Paper::Report) {
            let answer = match found.paper {
                Paper::Request => self.take_request(found),
                _ => self.take_statuses(found),
            };
            rows.push(Row::of(found, answer.or_else(refused)?));
            progress.inc(1);
        }
        for found in found.iter().filter(|found| found.paper == Paper::Report) {
            if !rows.iter().any(|row| row.is_news_of(&found.device)) {
                let answer = found.read().map(|bytes| Answer::Told(view::words(&bytes)));
                rows.push(Row::of(found, answer.or_else(refused)?));
            }
            progress.inc(1);
        }
        progress.finish_and_clear();
        rows.sort_by(|one, other| one.place().cmp(&other.place()));
        Ok(rows)
    }

    fn take_statuses(&mut self, found: &Found) -> Result<Answer> {
        let name = format!("{}/{}", self.prefix, found.device);
        let brought = self.bring(found, &name)?;
        let own = statuses::keys(self.objects, self.tree, &found.device)?;
        let old = self.refs.get(&name).copied();
        let verdict = judge::judge(self.git, &mut self.reader, (&found.device, own), old, &brought, self.now)?;
        let last = self.reader.entry(brought.tip)?.ok().and_then(|entry| entry.status.ok());
        Ok(match verdict {
            Verdict::Known => Answer::Known(None),
            Verdict::Older => Answer::Known(Some("it is older than what the hub has".into())),
            Verdict::New { count, gone } => {
                let commit = brought.tip;
                self.change(name, old, brought)?;
                let (sequence, revision) = last.map(|status| (status.sequence, status.observed_revision)).unzip();
                Answer::New { count, gone, commit, sequence, revision: revision.flatten() }
            }
        })
    }

    fn take_request(&mut self, found: &Found) -> Result<Answer> {
        let name = enrolment::ref_of(&found.device);
        let brought = self.bring(found, &name)?;
        let old = self.refs.get(&name).copied();
        let standing = request::judge(&mut self.reader, (self.objects, self.tree), &found.device, old, brought.tip)?;
        if let Some(known) = standing.known {
            return Ok(Answer::Known(Some(known)));
        }
        self.change(name, old, brought)?;
        Ok(Answer::Requested { fingerprint: standing.fingerprint })
    }

    /// Takes a bundle in, for the reader to see.
    fn bring(&mut self, found: &Found, name: &str) -> Result<Brought> {
        self.reader.bring(&[]);
        let brought = self.customs.take(&found.read()?, name).map_err(|error| match (error.reason(), found.paper) {
            (Reason::PackInvalid, Paper::Request) => error.hint("let the device write it again: giterd enroll --stick DIR"),
            (Reason::PackInvalid, _) => error.hint(
                "let the device meet the stick once more: it keeps what was not acknowledged, and writes the file again",
            ),
            _ => error,
        })?;
        self.reader.bring(&brought.objects);
        Ok(brought)
    }

    fn change(&mut self, name: String, old: Option<Oid>, brought: Brought) -> Result<()> {
        self.bytes += brought.objects.iter().map(|new| new.object.data.len()).sum::<usize>();
        if self.bytes > limits::IMPORT_BYTES {
            let what = format!("the stick brings more than {} bytes of statuses", limits::IMPORT_BYTES);
            return Err(Error::new(Reason::PushTooLarge, what).hint("import the rest when this is done: run it again"));
        }
        self.refs.insert(name.clone(), brought.tip);
        self.changes.push(Change { name, old, new: brought.tip });
        self.objects_found.extend(brought.objects);
        Ok(())
    }
}

/// An error as an answer, where it is the file's and not the repository's.
fn refused(error: Error) -> Result<Answer> {
    match error.reason() {
        Reason::GitFailed | Reason::GitNotFound | Reason::DiskFull | Reason::StateFailed | Reason::StateReadOnly => {
            Err(error)
        }
        _ => Ok(Answer::Refused(error)),
    }
}
