//! `giterctl lint`: all that devices would refuse in a working tree, before it is pushed.
//!
//! What is judged here is what a device judges, by the same code: the walk over its folder, the manifests, the board, and
//! what roots sign. Only what no publisher can know is left out: the allowed roots of files, and the users of the device.

mod papers;
mod worktree;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use giter_edge::{
    api::{DeviceId, Error, Exit, Finding, Findings, Reason, Resource, Result, Spec},
    cli::{self, Output, counted},
    codec::yaml,
    drivers::{self, Drivers},
    reconcile::{
        apply,
        decode::{self, Refused, Source},
    },
};
use serde::Serialize;

use self::worktree::WorkingTree;
use crate::layout;

/// Checks a working tree as its devices will
#[derive(clap::Args)]
#[command(
    after_help = "What devices would refuse is printed as `file:line:column: field: message [Reason]`; the exit code is \
    then 1. Allowed roots and owners of files are left to the device. What may be right and often is not is a warning."
)]
pub(crate) struct Args {
    /// The exchange's working tree [default: that of -C]
    #[arg(value_name = "DIR")]
    dir: Option<PathBuf>,

    /// Only this device
    #[arg(long, value_name = "ID")]
    device: Option<DeviceId>,

    /// Check lines and LEDs against this board
    #[arg(long, value_name = "NAME")]
    board: Option<String>,
}

/// The board whose lines and LEDs may have any name.
pub(crate) const ANY_BOARD: &str = "generic";

/// Prints the findings.
pub(crate) fn run(args: Args, repo: PathBuf, output: Output) -> Result<Exit> {
    let root = args.dir.unwrap_or(repo);
    let board = board(args.board.as_deref().unwrap_or(ANY_BOARD))?;
    let tree = WorkingTree::open(&root)?;
    warn_of_strangers(&tree, args.device.as_ref())?;
    let report = lint(&tree, args.device, &board)?;
    cli::print(match output {
        Output::Json => cli::json(&report)?,
        Output::Yaml => yaml::to_string(&report)?,
        Output::Name => report.paths(),
        Output::Table | Output::Wide => report.lines(),
    })?;
    match report.findings.first() {
        None => Ok(Exit::Done),
        Some(first) => {
            cli::talk(format_args!("reason: {}", first.reason));
            Ok(Exit::No)
        }
    }
}

/// The drivers of a board that is not here: they resolve names, and nothing of them is ever applied.
///
/// # Errors
///
/// `UnknownBoard`.
pub(crate) fn board(name: &str) -> Result<Drivers> {
    let nowhere = Path::new("/nonexistent");
    let table = drivers::select(name, nowhere, nowhere).map_err(|error| {
        let boards: Vec<&str> = drivers::boards().iter().map(|board| board.name).collect();
        Error::new(Reason::UnknownBoard, error.to_string()).hint(format!("name one of {}", boards.join(", ")))
    })?;
    Ok(Drivers::new(table, drivers::Settings { file_roots: vec!["/".into()], ..Default::default() }))
}

fn lint(tree: &WorkingTree, device: Option<DeviceId>, board: &Drivers) -> Result<Report> {
    let mut report = Report::default();
    let devices = match device {
        Some(device) => vec![device],
        None => {
            report.keep(papers::judge(tree)?);
            devices(tree, &mut report)?
        }
    };
    report.devices = devices.len();
    for device in devices {
        match judge(tree, &device, board) {
            Ok((resources, findings)) => {
                report.resources += resources;
                report.keep(findings);
            }
            Err(Refused::Wrong(findings)) => report.keep(findings),
            Err(Refused::Unread(error)) => return Err(error),
        }
    }
    report.settle();
    Ok(report)
}

/// Says whom gateways are to carry for, and the exchange has nothing for. No device refuses that: it is so until the first
/// request of the new one was approved.
fn warn_of_strangers(tree: &WorkingTree, only: Option<&DeviceId>) -> Result<()> {
    let devices = devices(tree, &mut Report::default())?;
    for gateway in devices.iter().filter(|device| only.is_none_or(|only| only == *device)) {
        // What cannot be read is a finding.
        let Ok(Some(says)) = decode::itself(tree, gateway) else { continue };
        for stranger in says.relays.iter().filter(|relay| !devices.contains(relay)) {
            cli::talk(format_args!(
                "warning: relays of {gateway} names {stranger}, and there is no specs/{stranger}/: approve it, or correct the name"
            ));
        }
    }
    Ok(())
}

/// How many resources a device has, and what the board would refuse of them.
///
/// # Errors
///
/// All that is wrong with them on any board, or why they cannot be read.
pub(crate) fn judge(source: &dyn Source, device: &DeviceId, board: &Drivers) -> Result<(usize, Findings), Refused> {
    let resources = decode::read(source, device)?.resources;
    let count = resources.len();
    let ownerless = resources.into_iter().map(without_owner).collect();
    Ok((count, apply::bind(ownerless, board).err().unwrap_or_default()))
}

/// The devices of a working tree. Folders that no device can be named after are findings, as are manifests that are in
/// no device's folder, and that there is no device at all.
fn devices(tree: &WorkingTree, report: &mut Report) -> Result<Vec<DeviceId>> {
    let mut keep = |reason, path: &str, message: String| {
        report.keep(Finding { reason, path: path.into(), at: None, field: String::new(), message }.into());
    };
    let manifests = tree.manifests()?;
    for stray in manifests.iter().filter(|manifest| layout::is_stray(&manifest.path)) {
        let message = "no device reads it here; move it into a device's folder, specs/<device>/";
        keep(Reason::BadTreeEntry, &stray.path, message.into());
    }
    let mut devices = Vec::new();
    for name in layout::by_device(manifests).into_keys() {
        match name.parse() {
            Ok(device) => devices.push(device),
            Err(wrong) => {
                keep(Reason::InvalidValue, &format!("specs/{name}"), format!("{wrong}; rename the folder"));
            }
        }
    }
    if devices.is_empty() {
        keep(Reason::DeviceNotFound, "specs", "there is no device; make specs/<device>/ with its manifests".into());
    }
    Ok(devices)
}

fn without_owner(mut resource: Resource) -> Resource {
    if let Spec::File(file) = &mut resource.spec {
        file.owner = None;
    }
    resource
}

/// What was found.
#[derive(Default, Serialize)]
struct Report {
    #[serde(flatten)]
    version: Version,
    devices: usize,
    /// Of the devices in which nothing was found before their board was asked.
    resources: usize,
    findings: Vec<Shown>,
    /// How many more there are that were not kept.
    more: usize,
}

/// The version of the report's form.
#[derive(Serialize)]
struct Version {
    version: u32,
}

impl Default for Version {
    fn default() -> Self {
        Self { version: 1 }
    }
}

#[derive(Serialize, PartialEq, Eq, PartialOrd, Ord)]
struct Shown {
    path: String,
    line: Option<u32>,
    column: Option<u32>,
    field: String,
    message: String,
    reason: &'static str,
}

impl Report {
    fn keep(&mut self, findings: Findings) {
        self.more += findings.more();
        self.findings.extend(findings.iter().map(|finding| Shown {
            path: finding.path.clone(),
            line: finding.at.map(|(line, _)| line),
            column: finding.at.map(|(_, column)| column),
            field: finding.field.clone(),
            message: finding.message.clone(),
            reason: finding.reason.as_str(),
        }));
    }

    /// Sorts by place. The charter is read for each device, so what is wrong with it is found more than once.
    fn settle(&mut self) {
        self.findings.sort();
        self.findings.dedup();
    }

    fn lines(&self) -> String {
        let mut text: String = self.findings.iter().map(|shown| format!("{shown}\n")).collect();
        let findings = match self.findings.len() + self.more {
            0 => "nothing to object to".into(),
            some => counted(some, "finding"),
        };
        text.push_str(&format!(
            "{}, {}: {findings}\n",
            counted(self.devices, "device"),
            counted(self.resources, "resource")
        ));
        text
    }

    fn paths(&self) -> String {
        let mut paths: BTreeMap<&str, ()> = BTreeMap::new();
        paths.extend(self.findings.iter().map(|shown| (&*shown.path, ())));
        paths.into_keys().map(|path| format!("{path}\n")).collect()
    }
}

impl std::fmt::Display for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.path)?;
        if let (Some(line), Some(column)) = (self.line, self.column) {
            write!(f, ":{line}:{column}")?;
        }
        if !self.field.is_empty() {
            write!(f, ": {}", self.field)?;
        }
        write!(f, ": {} [{}]", self.message, self.reason)
    }
}
