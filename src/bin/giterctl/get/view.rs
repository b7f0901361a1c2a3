//! What was asked for, as objects in Kubernetes' shape: spec and status in one.

use giter_edge::{
    api::{API_VERSION, Condition, status::Clock},
    codec::{
        manifest::Node,
        status::{ResourceStatusView, StatusView},
    },
};
use serde::Serialize;

use super::{
    join::Row,
    select::{RowKind, Selector},
};

/// The one object that was named, or a list.
pub(super) fn of<'a>(rows: &'a [Row<'a>], what: &Selector) -> View<'a> {
    match (what, rows) {
        (Selector::One(..), [row]) => View::One(Box::new(object(row))),
        _ => View::List { api_version: API_VERSION, kind: "List", items: rows.iter().map(object).collect() },
    }
}

#[derive(Serialize)]
#[serde(untagged, rename_all_fields = "camelCase")]
pub(super) enum View<'a> {
    One(Box<Object<'a>>),
    List { api_version: &'static str, kind: &'static str, items: Vec<Object<'a>> },
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Object<'a> {
    api_version: &'static str,
    kind: String,
    metadata: Metadata<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    spec: Option<&'a Node>,
    status: Status<'a>,
}

/// As its publisher wrote it, or the name where nothing is written.
#[derive(Serialize)]
#[serde(untagged)]
enum Metadata<'a> {
    Written(&'a Node),
    Named { name: String },
}

/// What the device said, and whether that still counts.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Status<'a> {
    device: &'a str,
    current: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    observed_revision: Option<String>,
    #[serde(flatten)]
    of_device: Option<DeviceView<'a>>,
    #[serde(flatten)]
    of_resource: Option<ResourceStatusView<'a>>,
}

/// A device's status without its resources, which are objects of their own.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DeviceView<'a> {
    board: &'a str,
    agent: &'a str,
    boot_id: String,
    uptime_seconds: u64,
    clock: Clock,
    advances: u64,
    conditions: &'a [Condition],
    lost: u32,
}

fn object<'a>(row: &'a Row<'a>) -> Object<'a> {
    let name = || Metadata::Named { name: row.name() };
    Object {
        api_version: API_VERSION,
        kind: row.kind(),
        metadata: row.document.and_then(|document| document.get("metadata")).map_or_else(name, Metadata::Written),
        spec: row.document.and_then(|document| document.get("spec")),
        status: Status {
            device: row.device.as_str(),
            current: row.is_current,
            sequence: row.reported.map(|reported| reported.sequence),
            observed_revision: row.reported.and_then(|reported| Some(reported.observed_revision?.to_string())),
            of_device: row
                .reported
                .filter(|_| row.kind == RowKind::Device)
                .map(|reported| StatusView::from(reported).into()),
            of_resource: row.status.map(ResourceStatusView::from),
        },
    }
}

impl<'a> From<StatusView<'a>> for DeviceView<'a> {
    fn from(view: StatusView<'a>) -> Self {
        let StatusView { board, agent, boot_id, uptime_seconds, clock, advances, conditions, lost, .. } = view;
        Self { board, agent, boot_id, uptime_seconds, clock, advances, conditions, lost }
    }
}
