//! What the verbs print: a tick, a plan, the device's own view.

use std::path::{Path, PathBuf};

use giter_edge::{
    api::{ConditionType, DeviceStatus, Error, Oid, ResourceKey, ResourceStatus, Result, ledger::Record},
    cli::{self, Output, counted, table},
    codec::{calendar::Utc, status::StatusView, yaml},
    disk::Refusal,
    link::relay::{Carried, Passed},
    reconcile::{
        apply::Outcome,
        plan::{Change, Decision, Why},
        report,
        tick::{Published, Tick},
    },
};
use serde::Serialize;

use crate::{device::View, relay, stick::Visit};

/// What `giterd sync -o json` prints, version 1.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SyncView<'a> {
    version: u32,
    device: &'a str,
    revision: Option<String>,
    advanced: bool,
    changes: Vec<ChangeView>,
    status: Option<PushView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stick: Option<StickView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    relayed: Option<RelayView>,
    reason: Option<&'static str>,
    message: Option<String>,
}

/// What became of what was carried here.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StickView {
    read: Option<String>,
    wrote: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    relayed: Option<RelayView>,
}

/// What passed for other devices.
#[derive(Serialize)]
struct RelayView {
    took: Vec<String>,
    gave: Vec<String>,
}

impl From<&Passed> for RelayView {
    fn from(Passed { took, gave, .. }: &Passed) -> Self {
        Self { took: texts(took), gave: texts(gave) }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ChangeView {
    resource: String,
    action: String,
    steps: Vec<String>,
    found: String,
    reason: Option<&'static str>,
    message: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PushView {
    sequence: u64,
    commit: String,
}

/// What a `sync` did.
///
/// # Errors
///
/// Stdout cannot be written.
pub fn sync(tick: &Tick, relayed: Option<&Passed>, output: Output) -> Result<()> {
    let error = tick.error().or_else(|| relay::failed(relayed).map(Error::flattened));
    let view = || SyncView {
        relayed: relayed.map(RelayView::from),
        reason: error.as_ref().map(|error| error.reason().as_str()),
        message: error.as_ref().map(Error::one_line),
        ..sync_view(tick)
    };
    match output {
        Output::Json => cli::print(cli::json(&view())?),
        Output::Yaml => cli::print(yaml::to_string(&view())?),
        Output::Name => cli::print(changed(tick).map(|outcome| format!("{}\n", outcome.key)).collect::<String>()),
        Output::Table | Output::Wide => cli::print(sync_text(tick) + &moved_text(relay::moved(relayed))),
    }
}

/// What a `sync` with a stick or a bundle did.
///
/// # Errors
///
/// Stdout cannot be written.
pub fn visit(visit: &Visit, output: Output) -> Result<()> {
    match output {
        Output::Json => cli::print(cli::json(&visit_view(visit))?),
        Output::Yaml => cli::print(yaml::to_string(&visit_view(visit))?),
        Output::Name => sync(&visit.tick, None, output),
        Output::Table | Output::Wide => cli::print(visit_text(visit)),
    }
}

fn visit_view(visit: &Visit) -> SyncView<'_> {
    let error = visit.error();
    let relayed = visit.relayed.as_ref().map(RelayView::from);
    let read = visit.read.as_ref().map(|path| path.display().to_string());
    SyncView {
        stick: Some(StickView { read, wrote: texts(&visit.wrote), relayed }),
        reason: error.as_ref().map(|error| error.reason().as_str()),
        message: error.as_ref().map(Error::one_line),
        ..sync_view(&visit.tick)
    }
}

fn visit_text(visit: &Visit) -> String {
    let read = visit.read.as_ref().map_or("no bundle for this device".into(), |path| path.display().to_string());
    format!("read {read}\n{}{}", sync_text(&visit.tick), moved_text(visit.moved()))
}

fn moved_text<'a>(moved: impl Iterator<Item = (&'static str, &'a Path)>) -> String {
    moved.map(|(words, path)| format!("{words} {}\n", path.display())).collect()
}

fn texts(paths: &[PathBuf]) -> Vec<String> {
    paths.iter().map(|path| path.display().to_string()).collect()
}

fn changed(tick: &Tick) -> impl Iterator<Item = &Outcome> {
    tick.outcomes.iter().filter(|outcome| report::line(outcome).is_some())
}

fn sync_text(tick: &Tick) -> String {
    let mut text = String::new();
    if let Some(accepted) = &tick.advanced {
        text.push_str(&format!("accepted {}, signed by {}\n", accepted.commit.short(), accepted.signer));
    }
    let rows: Vec<_> = changed(tick).map(change_row).collect();
    if !rows.is_empty() {
        text.push_str(&table(["RESOURCE", "ACTION", "DETAIL"], &rows));
    }
    match tick.published {
        Published::Pushed(push) => {
            text.push_str(&format!("status {} pushed as {}\n", push.sequence, push.commit.short()));
        }
        Published::Kept(push) => {
            text.push_str(&format!("status {} waits in the outbox as {}\n", push.sequence, push.commit.short()));
        }
        Published::Held(_) => text.push_str("the status waits: status.budget has too little left for today\n"),
        Published::Unchanged | Published::NotPushed => {}
    }
    if tick.is_quiet() && tick.published == Published::Unchanged {
        let revision = tick.status.observed_revision.map_or("nothing accepted yet".into(), |commit| commit.short());
        let resources = counted(tick.status.resources.len(), "resource");
        text.push_str(&format!("nothing changed: {revision}, {resources}\n"));
    }
    text
}

fn change_row(outcome: &Outcome) -> [String; 3] {
    let key = outcome.key.to_string();
    let why = outcome.change.as_ref().map(|change| change.why.to_string());
    if let Some(error) = &outcome.error {
        let action = why.map_or("failed".into(), |why| format!("{why} failed"));
        return [key, action, format!("{}: {}", error.reason(), error.one_line())];
    }
    if let Some(found) = &outcome.reported {
        return [key, "report".into(), format!("found {found}")];
    }
    [key, why.unwrap_or_default(), outcome.change.as_ref().map(change_detail).unwrap_or_default()]
}

fn change_detail(change: &Change) -> String {
    let steps: Vec<_> = change.steps.iter().map(ToString::to_string).collect();
    match (steps.is_empty(), change.why) {
        (true, _) => format!("{} stays as it is", change.found),
        (false, Why::Release) => steps.join(", "),
        (false, _) => format!("{} (found {})", steps.join(", "), change.found),
    }
}

fn sync_view(tick: &Tick) -> SyncView<'_> {
    let error = tick.error();
    SyncView {
        version: 1,
        device: tick.status.device.as_str(),
        revision: tick.status.observed_revision.map(|commit| commit.to_string()),
        advanced: tick.advanced.is_some(),
        changes: changed(tick).map(outcome_view).collect(),
        status: match tick.published {
            Published::Pushed(push) | Published::Kept(push) => {
                Some(PushView { sequence: push.sequence, commit: push.commit.to_string() })
            }
            _ => None,
        },
        stick: None,
        relayed: None,
        reason: error.as_ref().map(|error| error.reason().as_str()),
        message: error.as_ref().map(Error::one_line),
    }
}

fn outcome_view(outcome: &Outcome) -> ChangeView {
    let change = outcome.change.as_ref();
    let reported = outcome.reported.as_deref();
    ChangeView {
        resource: outcome.key.to_string(),
        action: change.map_or_else(|| reported.map_or("none", |_| "report").into(), |change| change.why.to_string()),
        steps: change.map_or(vec![], steps),
        found: change.map(|change| change.found.as_str()).or(reported).unwrap_or_default().into(),
        reason: outcome.error.as_ref().map(|error| error.reason().as_str()),
        message: outcome.error.as_ref().map(Error::one_line),
    }
}

fn steps(change: &Change) -> Vec<String> {
    change.steps.iter().map(ToString::to_string).collect()
}

/// What a tick would change.
///
/// # Errors
///
/// Stdout cannot be written.
pub fn plan(preview: &[(ResourceKey, Result<Decision>)], output: Output) -> Result<()> {
    let pending = || preview.iter().filter(|(_, decision)| !matches!(decision, Ok(Decision::InSync)));
    match output {
        Output::Json => cli::print(cli::json(&pending().map(decision_view).collect::<Vec<_>>())?),
        Output::Yaml => cli::print(yaml::to_string(&pending().map(decision_view).collect::<Vec<_>>())?),
        Output::Name => cli::print(pending().map(|(key, _)| format!("{key}\n")).collect::<String>()),
        Output::Table | Output::Wide => {
            let rows: Vec<_> = pending().map(decision_row).collect();
            match (rows.is_empty(), preview.len()) {
                (true, 1) => cli::print("nothing to change: 1 resource is as it should be\n"),
                (true, all) => cli::print(format!("nothing to change: {all} resources are as they should be\n")),
                (false, _) => cli::print(table(["RESOURCE", "ACTION", "DETAIL"], &rows)),
            }
        }
    }
}

fn decision_row((key, decision): &(ResourceKey, Result<Decision>)) -> [String; 3] {
    let (action, detail) = match decision {
        Ok(Decision::InSync) => ("none".into(), String::new()),
        Ok(Decision::Change(change)) => (change.why.to_string(), change_detail(change)),
        Ok(Decision::Report(found)) => ("report".into(), format!("found {found}")),
        Err(error) => ("unknown".into(), format!("{}: {}", error.reason(), error.one_line())),
    };
    [key.to_string(), action, detail]
}

fn decision_view((key, decision): &(ResourceKey, Result<Decision>)) -> ChangeView {
    let view = |action: &str, steps, found: &str| ChangeView {
        resource: key.to_string(),
        action: action.into(),
        steps,
        found: found.into(),
        reason: None,
        message: None,
    };
    match decision {
        Ok(Decision::InSync) => view("none", vec![], ""),
        Ok(Decision::Change(change)) => view(&change.why.to_string(), steps(change), &change.found),
        Ok(Decision::Report(found)) => view("report", vec![], found),
        Err(error) => ChangeView {
            reason: Some(error.reason().as_str()),
            message: Some(error.one_line()),
            ..view("unknown", vec![], "")
        },
    }
}

/// The device's own view of itself. YAML and JSON are the status as the hub would read it.
///
/// # Errors
///
/// Stdout cannot be written.
pub fn status(status: &DeviceStatus, view: &View, output: Output) -> Result<()> {
    let View { agent, carried, refusal, .. } = view;
    let view = || LookView {
        version: 1,
        status: StatusView::from(status),
        stick: refusal.as_ref().map(RefusalView::from),
        relay: carried.as_ref().map(|carried| carried.iter().map(CarriedView::from).collect()),
    };
    match output {
        Output::Json => cli::print(cli::json(&view())?),
        Output::Yaml => cli::print(yaml::to_string(&view())?),
        Output::Name => {
            cli::print(status.resources.iter().map(|resource| format!("{}\n", resource.key)).collect::<String>())
        }
        Output::Table | Output::Wide => {
            let relay = carried.as_ref().map(|carried| format!("\n{}", carried_text(carried))).unwrap_or_default();
            let head = head_text(status, agent.record(), refusal.as_ref());
            cli::print(head + &resources_text(status, output == Output::Wide) + &relay)
        }
    }
}

/// What `giterd status -o json` prints, version 1: the status, why the last stick was not taken if it was not, and on a gateway
/// how it carries for others.
#[derive(Serialize)]
struct LookView<'a> {
    version: u32,
    #[serde(flatten)]
    status: StatusView<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stick: Option<RefusalView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    relay: Option<Vec<CarriedView>>,
}

#[derive(Serialize)]
struct RefusalView<'a> {
    time: String,
    reason: &'a str,
    message: &'a str,
}

impl<'a> From<&'a Refusal> for RefusalView<'a> {
    fn from(Refusal { time, reason, message }: &'a Refusal) -> Self {
        Self { time: Utc::of_seconds((*time).max(0)).to_string(), reason, message }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CarriedView {
    device: String,
    kept_bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    served_revision: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    observed_revision: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    handed_on_status: Option<String>,
    reason: Option<&'static str>,
    message: Option<String>,
}

impl From<&Carried> for CarriedView {
    fn from(Carried { device, bytes, served }: &Carried) -> Self {
        let text = |id: Option<Oid>| id.map(|id| id.to_string());
        Self {
            device: device.to_string(),
            kept_bytes: *bytes,
            served_revision: text(served.tip),
            observed_revision: text(served.base),
            handed_on_status: text(served.status),
            reason: served.failure.as_ref().map(|failure| failure.reason.as_str()),
            message: served.failure.as_ref().map(|failure| failure.message.clone()),
        }
    }
}

fn carried_text(carried: &[Carried]) -> String {
    let short = |id: Option<Oid>| id.map_or_else(String::new, |id| id.short());
    let row = |Carried { device, bytes, served }: &Carried| {
        let failure = served.failure.as_ref().map(|failure| format!("{}: {}", failure.reason, failure.message));
        let [tip, base, status] = [served.tip, served.base, served.status].map(short);
        [device.to_string(), bytes.to_string(), tip, base, status, failure.unwrap_or_default()]
    };
    let rows: Vec<_> = carried.iter().map(row).collect();
    table(["CARRIES FOR", "BYTES", "SERVED", "HAS", "HANDED ON", "FAILURE"], &rows)
}

fn head_text(status: &DeviceStatus, record: &Record, refusal: Option<&Refusal>) -> String {
    let accepted = record.tip.as_ref();
    let accepted = accepted.map_or("nothing yet".into(), |tip| format!("{}, signed by {}", tip.commit, tip.signer));
    let mut text = format!("device     {}\nboard      {}\naccepted   {accepted}\n", status.device, status.board);
    for condition in &status.conditions {
        let message =
            if condition.message.as_str().is_empty() { String::new() } else { format!(": {}", condition.message) };
        let name = condition.kind.to_string().to_lowercase();
        text.push_str(&format!("{name:<11}{} ({}){message}\n", condition.status, condition.reason));
    }
    if let Some(RefusalView { time, reason, message }) = refusal.map(RefusalView::from) {
        text.push_str(&format!("stick      refused at {time} ({reason}): {message}\n"));
    }
    text + "\n"
}

fn resources_text(status: &DeviceStatus, wide: bool) -> String {
    if wide {
        let rows: Vec<_> = status.resources.iter().map(wide_row).collect();
        return table(["RESOURCE", "READY", "REASON", "OBSERVED", "MESSAGE"], &rows);
    }
    let rows: Vec<_> = status.resources.iter().map(narrow_row).collect();
    table(["RESOURCE", "READY", "REASON"], &rows)
}

fn narrow_row(resource: &ResourceStatus) -> [String; 3] {
    let ready = resource.condition(ConditionType::Ready);
    let telling = resource.condition(ConditionType::Drifted).or(ready);
    [
        resource.key.to_string(),
        ready.map_or("Unknown".into(), |ready| ready.status.to_string()),
        telling.map_or(String::new(), |telling| telling.reason.to_string()),
    ]
}

fn wide_row(resource: &ResourceStatus) -> [String; 5] {
    let [key, ready, reason] = narrow_row(resource);
    let observed: Vec<_> = resource.observed.iter().map(|field| format!("{}={}", field.name, field.value)).collect();
    let messages: Vec<_> = resource.conditions.iter().map(|condition| condition.message.as_str()).collect();
    let message = messages.into_iter().find(|message| !message.is_empty()).unwrap_or_default().to_string();
    [key, ready, reason, observed.join(" "), message]
}
