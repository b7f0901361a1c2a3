//! `giterctl verify`: what each device's record of statuses is worth, and why it is not worth more.

pub(crate) mod audit;
pub(crate) mod finding;
mod keys;
pub(crate) mod lineage;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use giter_edge::{
    api::{DeviceId, Exit, Reason, Result},
    cli::{self, Output},
    codec::{calendar::Utc, signers::Keyring, yaml},
};
use serde::Serialize;

use self::{
    audit::{Audit, Record},
    finding::{Findings, Verdict, View},
    keys::DeviceKeys,
    lineage::Lineage,
};
use crate::{
    chain::{self, Chain, Reader, StatusRef},
    devices::{self, Devices},
    git::Git,
    repository,
};

/// Proves what devices said, status by status
#[derive(clap::Args)]
#[command(
    after_help = "Proven means: every status from the first to the last is signed by the device's key, none is missing or \
    told twice, one board speaks, and what it observed moves forward in the branch. Anything else is a finding, and the \
    exit code is then 1."
)]
pub(crate) struct Args {
    /// A device; may be given several times [default: all that have a status]
    #[arg(value_name = "DEVICE")]
    devices: Vec<DeviceId>,

    /// More of the devices' keys: an allowed_signers file with DEVICE@giter [default: git's gpg.ssh.allowedSignersFile]
    #[arg(long, value_name = "FILE")]
    signers: Option<PathBuf>,

    /// A commit or branch that names the devices' keys, and of which all that they observed is history [default: HEAD,
    /// else the only branch]
    #[arg(long, value_name = "REV")]
    revision: Option<String>,

    /// The folder of the status refs
    #[arg(long, value_name = "REF", default_value = "refs/giter/status")]
    prefix: String,
}

/// Prints the verdicts, and the findings that led to them.
pub(crate) fn run(args: Args, repo: &Path, output: Output) -> Result<Exit> {
    let git = Git::open(repo)?;
    let refs = chosen(chain::refs(&git, args.prefix.trim_end_matches('/'))?, &args.devices)?;
    let commit = repository::commit(&git, args.revision.as_deref())?;
    let keys = DeviceKeys::find(&git, args.signers, devices::device_signers(&Devices::at(&git, &commit)?)?)?;
    let mut lineage = Lineage::of(&git, commit);
    let mut reader = Reader::of(&git)?;
    let audited = refs.into_iter().map(|status_ref| audit(&git, status_ref, &keys, &mut reader, &mut lineage));
    let mut audited = audited.collect::<Result<Vec<_>>>()?;
    share(&mut audited);
    cli::print(match output {
        Output::Table => table(&audited) + &findings(&audited),
        Output::Wide => wide(&audited) + &findings(&audited),
        Output::Name => names(&audited),
        Output::Yaml => yaml::to_string(&Report::from(&*audited))?,
        Output::Json => cli::json(&Report::from(&*audited))?,
    })?;
    // Of equals, `max_by_key` takes the last.
    let worst = audited.iter().rev().map(Audited::findings).max_by_key(|findings| findings.verdict);
    match worst.and_then(Findings::worst) {
        None => Ok(Exit::Done),
        Some(reason) => {
            cli::talk(format_args!("reason: {reason}"));
            Ok(Exit::No)
        }
    }
}

/// The refs that were asked for. A device without one is not proven, nor is a fleet of none.
fn chosen(refs: Vec<StatusRef>, devices: &[DeviceId]) -> Result<Vec<StatusRef>> {
    let absent = |device: &&DeviceId| refs.iter().all(|status_ref| status_ref.device != device.as_str());
    if let Some(absent) = devices.iter().find(absent) {
        return Err(chain::no_status(absent.as_str()));
    }
    if refs.is_empty() {
        return Err(chain::no_status("any device"));
    }
    let is_asked = |status_ref: &StatusRef| devices.iter().any(|device| device.as_str() == status_ref.device);
    Ok(refs.into_iter().filter(|status_ref| devices.is_empty() || is_asked(status_ref)).collect())
}

/// A device's record, walked.
struct Audited {
    status_ref: StatusRef,
    statuses: usize,
    record: Record,
}

impl Audited {
    fn findings(&self) -> &Findings {
        &self.record.findings
    }

    fn numbers(&self) -> String {
        self.record.numbers.map(|(first, last)| format!("{first}-{last}")).unwrap_or_default()
    }

    fn last(&self) -> Option<String> {
        self.record.last.map(|date| Utc::of_seconds(date).to_string())
    }
}

fn audit(
    git: &Git,
    status_ref: StatusRef,
    keys: &DeviceKeys,
    reader: &mut Reader,
    lineage: &mut Lineage<'_>,
) -> Result<Audited> {
    let device = status_ref.device.parse::<DeviceId>();
    let chain = reader.chain(status_ref.tip)?;
    let own = device.as_ref().map_or_else(|_| Keyring::default(), |device| keys.of(device));
    let mut audit = Audit::new(&status_ref.device, own, keys.all(), chain.missing);
    if device.is_err() {
        let what = "no device can have the name of this ref".into();
        audit.add(status_ref.tip, None, None, (Reason::WrongDevice, what));
    }
    for commit in chain.commits.iter().rev() {
        audit.take(*commit, reader.entry(*commit)?, Some(&mut *lineage))?;
    }
    witness(git, &status_ref, &chain, reader, &mut audit)?;
    let record = audit.finish();
    Ok(Audited { statuses: chain.commits.len(), record, status_ref })
}

/// What the ref's log knows of, and the chain does not hold. Heartbeats that gave way to another are no loss.
fn witness(git: &Git, status_ref: &StatusRef, chain: &Chain, reader: &mut Reader, audit: &mut Audit<'_>) -> Result<()> {
    let mut lost = Vec::new();
    for commit in chain::elsewhere(git, status_ref, chain)? {
        let entry = reader.entry(commit)?;
        if !entry.is_ok_and(|entry| audit.gave_way(&entry)) {
            lost.push(commit);
        }
    }
    let Some(last) = lost.first().copied() else { return Ok(()) };
    let commit = last.short();
    let wrong = match (chain::is_ahead(git, status_ref, last)?, lost.len()) {
        (true, _) => (Reason::StatusReplayed, format!("the ref was set back to it from {commit}, its log says")),
        (_, 1) => (Reason::StatusForked, format!("the ref held {commit}, which is not in its record, its log says")),
        (_, many) => {
            let what =
                format!("the ref held {many} commits that are not in its record, {commit} the last, its log says");
            (Reason::StatusForked, what)
        }
    };
    audit.add(status_ref.tip, None, None, wrong);
    Ok(())
}

/// A key that signed for more than one device proves neither.
fn share(audited: &mut [Audited]) {
    let mut holders: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (at, key) in audited.iter().enumerate().filter_map(|(at, audited)| Some((at, audited.record.key?))) {
        holders.entry(key.fingerprint()).or_default().push(at);
    }
    for (key, holders) in holders.into_iter().filter(|(_, holders)| holders.len() > 1) {
        let names: Vec<_> = holders.iter().map(|at| audited[*at].status_ref.device.clone()).collect();
        for at in holders {
            let Audited { status_ref, record, .. } = &mut audited[at];
            let others: Vec<_> = names.iter().filter(|name| **name != status_ref.device).map(String::as_str).collect();
            record.findings.add(finding::Finding {
                reason: Reason::StatusForked,
                commit: status_ref.tip,
                sequence: record.numbers.map(|(_, last)| last),
                date: record.last,
                message: format!("its key, {key}, also signs for {}", others.join(", ")),
            });
        }
    }
}

fn table(audited: &[Audited]) -> String {
    let cells = audited.iter().map(|audited| {
        let verdict = audited.findings().verdict.to_string();
        let last = audited.last().unwrap_or_default();
        [audited.status_ref.device.clone(), audited.statuses.to_string(), audited.numbers(), last, verdict]
    });
    cli::table(["DEVICE", "STATUSES", "SEQUENCE", "LAST", "VERDICT"], &cells.collect::<Vec<_>>())
}

fn wide(audited: &[Audited]) -> String {
    let headers = ["DEVICE", "STATUSES", "SEQUENCE", "LAST", "VERDICT", "COMMIT", "REVISION", "KEY"];
    let cells = audited.iter().map(|audited| {
        [
            audited.status_ref.device.clone(),
            audited.statuses.to_string(),
            audited.numbers(),
            audited.last().unwrap_or_default(),
            audited.findings().verdict.to_string(),
            audited.status_ref.tip.short(),
            audited.record.revision.map(|revision| revision.short()).unwrap_or_default(),
            audited.record.key.map(|key| key.fingerprint()).unwrap_or_default(),
        ]
    });
    cli::table(headers, &cells.collect::<Vec<_>>())
}

fn findings(audited: &[Audited]) -> String {
    let mut text = String::new();
    for audited in audited {
        let device = &audited.status_ref.device;
        let Findings { kept, more, .. } = audited.findings();
        kept.iter().for_each(|finding| text.push_str(&format!("\n{device}: {finding}")));
        if *more > 0 {
            text.push_str(&format!("\n{device}: and {more} findings more\n"));
        }
    }
    text
}

/// The devices that are not proven.
fn names(audited: &[Audited]) -> String {
    let doubtful = audited.iter().filter(|audited| audited.findings().verdict != Verdict::Proven);
    doubtful.map(|audited| format!("Device/{}\n", audited.status_ref.device)).collect()
}

#[derive(Serialize)]
struct Report<'a> {
    version: u32,
    proven: bool,
    devices: Vec<DeviceReport<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DeviceReport<'a> {
    device: &'a str,
    #[serde(rename = "ref")]
    name: &'a str,
    commit: String,
    statuses: usize,
    first_sequence: Option<u64>,
    last_sequence: Option<u64>,
    last: Option<String>,
    observed_revision: Option<String>,
    key: Option<String>,
    verdict: Verdict,
    findings: Vec<View<'a>>,
    /// How many more there are that were not kept.
    more: usize,
}

impl<'a> From<&'a [Audited]> for Report<'a> {
    fn from(audited: &'a [Audited]) -> Self {
        let devices: Vec<_> = audited.iter().map(DeviceReport::from).collect();
        Self { version: 1, proven: devices.iter().all(|device| device.verdict == Verdict::Proven), devices }
    }
}

impl<'a> From<&'a Audited> for DeviceReport<'a> {
    fn from(audited: &'a Audited) -> Self {
        let Audited { status_ref, statuses, record } = audited;
        Self {
            device: &status_ref.device,
            name: &status_ref.name,
            commit: status_ref.tip.to_string(),
            statuses: *statuses,
            first_sequence: record.numbers.map(|(first, _)| first),
            last_sequence: record.numbers.map(|(_, last)| last),
            last: audited.last(),
            observed_revision: record.revision.map(|revision| revision.to_string()),
            key: record.key.map(|key| key.fingerprint()),
            verdict: record.findings.verdict,
            findings: record.findings.kept.iter().map(View::from).collect(),
            more: record.findings.more,
        }
    }
}
