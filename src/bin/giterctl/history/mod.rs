//! `giterctl history`: what a device did and met, as one would read it aloud.
//!
//! The record is read from one end to the other, two statuses at a time, and printed as it is read. What it says is not
//! proven here: that is `giterctl verify`.

mod events;

use std::{iter, path::Path};

use giter_edge::{
    api::{DeviceId, DeviceStatus, Exit, Oid, Result},
    cli::{self, Output},
    codec::{calendar::Utc, yaml},
};
use serde::Serialize;

use self::events::{Event, Kind};
use crate::{
    chain::{self, Entry, Flaw, Reader},
    git::Git,
};

/// Tells what a device did and met, event by event
#[derive(clap::Args)]
#[command(
    after_help = "What happened is told from what changed between one status and the next; dates are the device's own. \
    Whether the device said so is for `giterctl verify`."
)]
pub(crate) struct Args {
    /// The device
    #[arg(value_name = "DEVICE")]
    device: DeviceId,

    /// The newest first
    #[arg(long)]
    reverse: bool,

    /// The folder of the status refs
    #[arg(long, value_name = "REF", default_value = "refs/giter/status")]
    prefix: String,
}

/// Prints the events.
pub(crate) fn run(args: Args, repo: &Path, output: Output) -> Result<Exit> {
    let git = Git::open(repo)?;
    let name = format!("{}/{}", args.prefix.trim_end_matches('/'), args.device);
    // A device's name may also be a folder of others.
    let status_ref = chain::refs(&git, &name)?.into_iter().find(|status_ref| status_ref.name == name);
    let tip = status_ref.ok_or_else(|| chain::no_status(args.device.as_str()))?.tip;
    let mut reader = Reader::of(&git)?;
    let commits = reader.chain(tip)?.commits;
    let order: Box<dyn Iterator<Item = usize>> =
        if args.reverse { Box::new(0..commits.len()) } else { Box::new((0..commits.len()).rev()) };
    let mut record = Record { reader, commits, reverse: args.reverse, held: None };
    let mut form = Form { output, device: args.device, is_first: true };
    let (head, foot) = (form.head(), form.foot());
    let steps = order.map(|at| form.step(&record.step(at)?));
    cli::stream(iter::once(Ok(head)).chain(steps).chain(iter::once(Ok(foot))))?;
    Ok(Exit::Done)
}

/// A device's record, of which one status is held from step to step.
struct Record {
    reader: Reader,
    /// The newest first.
    commits: Vec<Oid>,
    reverse: bool,
    held: Option<Held>,
}

/// A status that could be read, and where in the record it stands.
struct Held {
    at: usize,
    date: i64,
    status: DeviceStatus,
}

/// A commit and what happened up to it.
struct Step {
    commit: Oid,
    date: Option<i64>,
    sequence: Option<u64>,
    events: Vec<Event>,
}

impl Record {
    /// What happened up to a commit. Steps are asked for in order, from one end to the other.
    fn step(&mut self, at: usize) -> Result<Step> {
        let commit = self.commits[at];
        let now = match self.held.take_if(|held| held.at == at) {
            Some(held) => held,
            None => match self.read(at)? {
                Ok(read) => read,
                Err((date, flaw)) => {
                    let event = Event {
                        resource: None,
                        kind: Kind::Unreadable,
                        message: format!("this status cannot be read: {flaw}"),
                    };
                    return Ok(Step { commit, date, sequence: None, events: vec![event] });
                }
            },
        };
        let before = match self.held.take() {
            Some(held) => Some(held),
            None => self.before(at)?,
        };
        let unread = before.as_ref().map_or(self.commits.len(), |before| before.at) - at - 1;
        let events = events::between(before.as_ref().map(|before| &before.status), unread as u64, &now.status);
        let step = Step { commit, date: Some(now.date), sequence: Some(now.status.sequence), events };
        self.held = if self.reverse { before } else { Some(now) };
        Ok(step)
    }

    /// The nearest older status that can be read.
    fn before(&mut self, at: usize) -> Result<Option<Held>> {
        for older in at + 1..self.commits.len() {
            if let Ok(read) = self.read(older)? {
                return Ok(Some(read));
            }
        }
        Ok(None)
    }

    fn read(&mut self, at: usize) -> Result<Result<Held, (Option<i64>, Flaw)>> {
        Ok(match self.reader.entry(self.commits[at])? {
            Err(flaw) => Err((None, flaw)),
            Ok(Entry { date, status, .. }) => match status {
                Ok(status) => Ok(Held { at, date, status }),
                Err(flaw) => Err((Some(date), flaw)),
            },
        })
    }
}

/// How events are printed.
struct Form {
    output: Output,
    device: DeviceId,
    is_first: bool,
}

/// An event as programs read it.
#[derive(Serialize)]
struct View<'a> {
    date: Option<&'a str>,
    sequence: Option<u64>,
    commit: String,
    about: &'a str,
    event: Kind,
    message: &'a str,
}

impl Form {
    fn head(&self) -> String {
        let Self { output, device, .. } = self;
        match output {
            Output::Table => line(["DATE", "SEQUENCE", "EVENT"], [DATE, NUMBER, 0]),
            Output::Wide => line(["DATE", "SEQUENCE", "COMMIT", "EVENT"], [DATE, NUMBER, COMMIT, 0]),
            Output::Yaml => format!("version: 1\ndevice: {device}\nevents:\n"),
            Output::Json => format!("{{\n  \"version\": 1,\n  \"device\": \"{device}\",\n  \"events\": ["),
            Output::Name => String::new(),
        }
    }

    fn step(&mut self, step: &Step) -> Result<String> {
        step.events.iter().map(|event| self.event(step, event)).collect()
    }

    fn event(&mut self, step: &Step, event: &Event) -> Result<String> {
        let date = step.date.map(|date| Utc::of_seconds(date).to_string());
        let when = date.as_deref().unwrap_or_default();
        let number = step.sequence.map(|sequence| sequence.to_string()).unwrap_or_default();
        let about = match &event.resource {
            Some(resource) => resource.to_string(),
            None => format!("Device/{}", self.device),
        };
        let told = match &event.resource {
            Some(resource) => format!("{resource} {}", event.message),
            None => event.message.clone(),
        };
        let view = || View {
            date: date.as_deref(),
            sequence: step.sequence,
            commit: step.commit.to_string(),
            about: &about,
            event: event.kind,
            message: &event.message,
        };
        Ok(match self.output {
            Output::Table => line([when, &number, &told], [DATE, NUMBER, 0]),
            Output::Wide => line([when, &number, &step.commit.short(), &told], [DATE, NUMBER, COMMIT, 0]),
            Output::Yaml => yaml::to_string(&[view()])?,
            Output::Json => {
                let comma = if std::mem::take(&mut self.is_first) { "" } else { "," };
                format!("{comma}\n    {}", cli::json(&view())?.trim_end().replace('\n', "\n    "))
            }
            Output::Name => format!("{about}\n"),
        })
    }

    fn foot(&self) -> String {
        if self.output == Output::Json { "\n  ]\n}\n".into() } else { String::new() }
    }
}

/// Columns of a date, a sequence number and a commit's short name: all that a table which is printed as it is read can
/// know.
const DATE: usize = 20;
const NUMBER: usize = 8;
const COMMIT: usize = 12;

/// A line of a table whose columns are so wide, three spaces apart.
fn line<const N: usize>(cells: [&str; N], widths: [usize; N]) -> String {
    let cells = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
    cells.collect::<Vec<_>>().join("   ").trim_end().to_owned() + "\n"
}
