//! Specs and statuses side by side, a row for each device and each of its resources.

use std::collections::{BTreeMap, BTreeSet};

use giter_edge::{
    api::{Condition, ConditionStatus, ConditionType, DeviceId, DeviceStatus, Oid, ResourceKey, ResourceStatus},
    codec::manifest::Node,
};

use super::select::RowKind;
use crate::{
    layout::Manifest,
    repository::{Device, Exchange},
};

/// A device, or one of its resources, with what is asked and what was seen.
pub(crate) struct Row<'a> {
    pub(super) device: &'a DeviceId,
    pub(super) kind: RowKind,
    /// The device's status, as far as it ever wrote one.
    pub(super) reported: Option<&'a DeviceStatus>,
    /// What of it speaks of this resource; `None` in a device's own row.
    pub(super) status: Option<&'a ResourceStatus>,
    /// The resource as its publisher wrote it; `None` in a device's own row, and where it was deleted.
    pub(super) document: Option<&'a Node>,
    /// Whether the status speaks of what the exchange asks for now.
    pub(super) is_current: bool,
    /// The commit whose specs are shown.
    commit: &'a str,
    /// Whether the device still has the resource, and the exchange does not.
    is_deleted: bool,
    name: String,
}

/// All rows: by device, itself first, then its resources by kind and name.
pub(super) fn rows(exchange: &Exchange) -> Vec<Row<'_>> {
    exchange.devices.iter().flat_map(|(id, device)| rows_of(id, device, &exchange.commit)).collect()
}

fn rows_of<'a>(id: &'a DeviceId, device: &'a Device, commit: &'a str) -> Vec<Row<'a>> {
    let reported = device.status.as_ref();
    let specs: BTreeMap<&ResourceKey, (Oid, &Node)> = device.manifests.iter().flat_map(specs).collect();
    let statuses = reported.iter().flat_map(|reported| &reported.resources);
    let statuses: BTreeMap<&ResourceKey, &ResourceStatus> = statuses.map(|status| (&status.key, status)).collect();
    let keys: BTreeSet<&ResourceKey> = specs.keys().chain(statuses.keys()).copied().collect();
    let row = |key: &ResourceKey| {
        let (spec, status) = (specs.get(key), statuses.get(key).copied());
        Row {
            device: id,
            kind: RowKind::Resource(key.kind),
            reported,
            status,
            document: spec.map(|(_, document)| *document),
            is_current: spec.zip(status).is_some_and(|((blob, _), status)| *blob == status.observed_digest),
            commit,
            is_deleted: spec.is_none() && device.is_readable(),
            name: key.name.to_string(),
        }
    };
    let resources: Vec<Row<'_>> = keys.into_iter().map(row).collect();
    let is_current = reported.is_some() && device.is_readable() && resources.iter().all(|row| row.is_current);
    let own = Row {
        device: id,
        kind: RowKind::Device,
        reported,
        status: None,
        document: None,
        is_current,
        commit,
        is_deleted: false,
        name: id.to_string(),
    };
    std::iter::once(own).chain(resources).collect()
}

/// The resources of a manifest, each with the manifest's blob. What has no kind and name that can be read is for `lint`.
fn specs((blob, manifest): &(Oid, Manifest)) -> impl Iterator<Item = (&ResourceKey, (Oid, &Node))> {
    let documents = manifest.documents.iter().flatten();
    documents.filter_map(|document| Some((document.key.as_ref()?, (*blob, &*document.root))))
}

impl Row<'_> {
    pub(super) fn kind(&self) -> String {
        self.kind.to_string()
    }

    pub(super) fn name(&self) -> String {
        self.name.clone()
    }

    pub(super) fn ready(&self) -> String {
        let ready = self.condition(ConditionType::Ready);
        ready.map_or(ConditionStatus::Unknown, |ready| ready.status).to_string()
    }

    /// As conditions say it.
    pub(super) fn current(&self) -> String {
        if self.is_current { "True" } else { "False" }.into()
    }

    /// Why it is so, in a word.
    pub(super) fn reason(&self) -> String {
        match self.telling() {
            _ if self.is_deleted => "Deleted".into(),
            _ if self.is_behind() => "NotSynced".into(),
            Some(condition) => condition.reason.to_string(),
            None => "NotReported".into(),
        }
    }

    /// Why it is so, in a sentence.
    pub(super) fn message(&self) -> String {
        if self.is_behind() {
            let seen = Some(self.revision()).filter(|seen| !seen.is_empty()).unwrap_or("no commit".into());
            let shown = self.commit.get(..12).unwrap_or(self.commit);
            return format!("the device speaks of {seen}, what is shown is of {shown}");
        }
        self.telling().map(|condition| condition.message.to_string()).unwrap_or_default()
    }

    /// The commit that the device had taken up.
    pub(super) fn revision(&self) -> String {
        self.reported.and_then(|reported| reported.observed_revision).map(|id| id.short()).unwrap_or_default()
    }

    pub(super) fn sequence(&self) -> String {
        self.reported.map(|reported| reported.sequence.to_string()).unwrap_or_default()
    }

    /// What was seen, without what takes a line of its own.
    pub(super) fn observed(&self) -> String {
        let fields = self.status.iter().flat_map(|status| &status.observed);
        let shown = fields.filter(|field| field.name.as_str() != "sha256");
        shown.map(|field| format!("{}={}", field.name, field.value)).collect::<Vec<_>>().join(",")
    }

    /// Whether it is a device that was well when it spoke, and spoke of other specs than those that are shown.
    fn is_behind(&self) -> bool {
        let is_true = |kind| self.condition(kind).is_some_and(|condition| condition.status == ConditionStatus::True);
        let was_well = || is_true(ConditionType::Synced) && is_true(ConditionType::Ready);
        self.kind == RowKind::Device && !self.is_current && was_well()
    }

    /// The condition that says most: of a device why it does not follow, of a resource what happened to it.
    fn telling(&self) -> Option<&Condition> {
        let notable = match self.kind {
            RowKind::Device => {
                self.condition(ConditionType::Synced).filter(|synced| synced.status != ConditionStatus::True)
            }
            RowKind::Resource(_) => self.condition(ConditionType::Drifted),
        };
        notable.or_else(|| self.condition(ConditionType::Ready))
    }

    fn condition(&self, kind: ConditionType) -> Option<&Condition> {
        let conditions = match self.kind {
            RowKind::Device => self.reported.map(|reported| &*reported.conditions),
            RowKind::Resource(_) => self.status.map(|status| &*status.conditions),
        };
        conditions?.iter().find(|condition| condition.kind == kind)
    }
}
