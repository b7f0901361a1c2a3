//! What happened between two statuses: a function of both, in sentences and in words for programs.

use std::{collections::BTreeMap, time::Duration};

use giter_edge::{
    api::{
        Class, Condition, ConditionStatus, ConditionType, DeviceStatus, Reason, ResourceKey, ResourceStatus,
        status::Clock,
    },
    reconcile::report,
};
use serde::Serialize;

/// One thing that happened.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Event {
    /// To which resource; `None` for the device itself.
    pub(crate) resource: Option<ResourceKey>,
    /// What sort of thing, for programs.
    pub(crate) kind: Kind,
    /// What, for people.
    pub(crate) message: String,
}

/// The sorts of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum Kind {
    /// The record begins.
    Began,
    /// Statuses between are not there.
    Missing,
    /// The number did not rise.
    WentBack,
    /// The board was started.
    Restarted,
    /// The agent has another version.
    AgentChanged,
    /// The board has another name.
    BoardChanged,
    /// The clock came to be wrong, or right.
    ClockChanged,
    /// A commit of the exchange was accepted.
    Accepted,
    /// The branch's tip was refused.
    Refused,
    /// The branch could not be followed for another reason.
    NotSynced,
    /// The branch is followed again.
    Synced,
    /// A resource's manifest is a new one.
    SpecChanged,
    /// A resource is as its spec says.
    Ready,
    /// A resource is not as its spec says.
    NotReady,
    /// Something changed a resource, and it was put right.
    DriftCorrected,
    /// Something changed a resource, and it was left so.
    DriftReported,
    /// What is seen of a resource is another.
    ValueChanged,
    /// A resource is no longer asked for.
    Released,
    /// Some resources are not told of.
    Lost,
    /// What was told had to wait.
    Waited,
    /// Nothing: a sign of life.
    Heartbeat,
    /// The status cannot be read.
    Unreadable,
}

/// What happened from one status to the next, between which `unread` commits cannot be read; or in the first.
pub(crate) fn between(before: Option<&DeviceStatus>, unread: u64, now: &DeviceStatus) -> Vec<Event> {
    let mut log = Log::default();
    if before.is_none() {
        log.began(now);
    }
    log.number(before, unread, now);
    if let Some(before) = before {
        log.device(before, now);
    }
    log.sync(before, now);
    log.resources(before, now);
    log.waited(now);
    if log.0.is_empty() {
        log.device_event(Kind::Heartbeat, "nothing changed".into());
    }
    log.0
}

#[derive(Default)]
struct Log(Vec<Event>);

impl Log {
    fn device_event(&mut self, kind: Kind, message: String) {
        self.0.push(Event { resource: None, kind, message });
    }

    fn resource_event(&mut self, resource: &ResourceStatus, kind: Kind, message: String) {
        self.0.push(Event { resource: Some(resource.key.clone()), kind, message });
    }

    fn began(&mut self, now: &DeviceStatus) {
        self.device_event(Kind::Began, format!("the record begins: agent {} on the board {}", now.agent, now.board));
        if now.clock == Clock::Behind {
            self.device_event(Kind::ClockChanged, WRONG_CLOCK.into());
        }
    }

    fn device(&mut self, before: &DeviceStatus, now: &DeviceStatus) {
        if now.boot_id != before.boot_id {
            let up = humantime::format_duration(Duration::from_secs(now.uptime));
            self.device_event(Kind::Restarted, format!("the board was started again, {up} before"));
        }
        if now.board != before.board {
            self.device_event(Kind::BoardChanged, format!("the board is {}, was {}", now.board, before.board));
        }
        if now.agent != before.agent {
            self.device_event(Kind::AgentChanged, format!("the agent is {}, was {}", now.agent, before.agent));
        }
        if now.clock != before.clock {
            let message = if now.clock == Clock::Behind { WRONG_CLOCK } else { "the clock is plausible again" };
            self.device_event(Kind::ClockChanged, message.into());
        }
    }

    /// What the numbers tell. Before a heartbeat none is missing: those before it gave way to it.
    fn number(&mut self, before: Option<&DeviceStatus>, unread: u64, now: &DeviceStatus) {
        let last = before.map_or(0, |before| before.sequence);
        let (first, missing) = (last.saturating_add(1), now.sequence.saturating_sub(last).saturating_sub(1));
        if before.is_some() && now.sequence <= last {
            let what = format!("status {} follows status {last}: see giterctl verify", now.sequence);
            self.device_event(Kind::WentBack, what);
        } else if missing > unread && !(unread == 0 && before.is_some_and(|before| is_repeated(before, now))) {
            let what = match (missing, unread) {
                (1, _) => format!("status {first} is not in the record"),
                (_, 0) => format!("statuses {first} to {} are not in the record", now.sequence - 1),
                _ => {
                    let lost = missing - unread;
                    format!("{lost} of the statuses {first} to {} are not in the record", now.sequence - 1)
                }
            };
            self.device_event(Kind::Missing, what);
        }
    }

    /// What became of the branch: what was accepted of it, and what was not.
    fn sync(&mut self, before: Option<&DeviceStatus>, now: &DeviceStatus) {
        let last = before.and_then(|before| before.observed_revision);
        if let Some(revision) = now.observed_revision.filter(|revision| last != Some(*revision)) {
            let advances = now.advances.saturating_sub(before.map_or(0, |before| before.advances));
            let quiet = match advances.saturating_sub(1) {
                0 => String::new(),
                1 => ", after one that changed nothing here".into(),
                many => format!(", after {many} that changed nothing here"),
            };
            self.device_event(Kind::Accepted, format!("accepted the commit {}{quiet}", revision.short()));
        }
        let old = before.and_then(|before| find(&before.conditions, ConditionType::Synced));
        let Some(new) = find(&now.conditions, ConditionType::Synced).filter(|new| old != Some(new)) else { return };
        let was_well = old.is_none_or(|old| old.status == ConditionStatus::True);
        match new.status {
            ConditionStatus::True if was_well => {}
            ConditionStatus::True => self.device_event(Kind::Synced, "follows the branch again".into()),
            _ if is_verdict(new) => self.device_event(Kind::Refused, format!("refused the branch's tip: {}", why(new))),
            _ => self.device_event(Kind::NotSynced, format!("could not follow the branch: {}", why(new))),
        }
    }

    fn waited(&mut self, now: &DeviceStatus) {
        if let Some(reported) = find(&now.conditions, ConditionType::Reported) {
            self.device_event(Kind::Waited, format!("statuses had to wait: {}", why(reported)));
        }
    }

    fn resources(&mut self, before: Option<&DeviceStatus>, now: &DeviceStatus) {
        let known = before.map(|before| before.resources.as_slice()).unwrap_or_default();
        let mut gone: BTreeMap<&ResourceKey, &ResourceStatus> = known.iter().map(|known| (&known.key, known)).collect();
        for resource in &now.resources {
            let old = gone.remove(&resource.key);
            self.resource(old, resource);
        }
        // What does not fit into a status is not gone.
        if now.lost == 0 {
            gone.values().for_each(|gone| self.resource_event(gone, Kind::Released, "is no longer asked for".into()));
        }
        if now.lost > 0 && before.is_none_or(|before| before.lost != now.lost) {
            self.device_event(Kind::Lost, format!("{} more resources do not fit into the status", now.lost));
        }
    }

    fn resource(&mut self, old: Option<&ResourceStatus>, new: &ResourceStatus) {
        if old.is_some_and(|old| old.observed_digest != new.observed_digest) {
            self.resource_event(new, Kind::SpecChanged, "has a new spec".into());
        }
        let changed = |kind| new.condition(kind).filter(|new| old.and_then(|old| old.condition(kind)) != Some(new));
        if let Some(drift) = changed(ConditionType::Drifted) {
            match drift.status {
                ConditionStatus::True => {
                    self.resource_event(new, Kind::DriftReported, format!("drifted: {}", drift.message));
                }
                _ => self.resource_event(new, Kind::DriftCorrected, format!("drifted: {}", drift.message)),
            }
        }
        let is_drifted =
            new.condition(ConditionType::Drifted).is_some_and(|drift| drift.status == ConditionStatus::True);
        match changed(ConditionType::Ready) {
            Some(ready) if ready.status == ConditionStatus::True => {
                self.resource_event(new, Kind::Ready, "is ready".into());
            }
            Some(ready) if !is_drifted => {
                self.resource_event(new, Kind::NotReady, format!("is not ready: {}", why(ready)));
            }
            _ => {}
        }
        if let Some(old) = old {
            self.values(old, new);
        }
    }

    fn values(&mut self, old: &ResourceStatus, new: &ResourceStatus) {
        let value = |resource: &'_ ResourceStatus, name: &str| {
            resource.observed.iter().find(|field| field.name.as_str() == name).map(|field| field.value.to_string())
        };
        let changed = new.observed.iter().filter_map(|field| {
            let name = field.name.as_str();
            match value(old, name) {
                Some(was) if was == field.value.as_str() => None,
                // A digest says that it changed, and what it is now nobody reads aloud.
                Some(_) if name == "sha256" => Some("other content".into()),
                Some(was) => Some(format!("{name} {}, was {was}", field.value)),
                None if name == "sha256" => None,
                None => Some(format!("{name} {}", field.value)),
            }
        });
        let vanished = old.observed.iter().filter(|field| value(new, field.name.as_str()).is_none());
        let vanished = vanished.filter(|field| field.name.as_str() != "sha256");
        let all: Vec<_> = changed.chain(vanished.map(|field| format!("no {}", field.name))).collect();
        if !all.is_empty() {
            self.resource_event(new, Kind::ValueChanged, format!("shows {}", all.join("; ")));
        }
    }
}

/// Whether two statuses say the same.
fn is_repeated(before: &DeviceStatus, now: &DeviceStatus) -> bool {
    let digest = |status| report::digest(status).ok();
    digest(before).is_some() && digest(before) == digest(now)
}

const WRONG_CLOCK: &str = "the clock stands before the accepted commit, so its dates are not to be believed";

fn find(conditions: &[Condition], kind: ConditionType) -> Option<&Condition> {
    conditions.iter().find(|condition| condition.kind == kind)
}

/// Whether what failed is the tip, and not the way to it.
fn is_verdict(condition: &Condition) -> bool {
    let reason = Reason::named(condition.reason.as_str());
    reason.is_some_and(|reason| matches!(reason.class(), Class::FixManifest | Class::FixKeys))
}

fn why(condition: &Condition) -> String {
    match condition.message.as_str() {
        "" => condition.reason.to_string(),
        message => format!("{}: {message}", condition.reason),
    }
}
