//! From outcome to status: what the publisher gets to read.

use sha2::{Digest, Sha256};

use super::{
    apply::{Outcome, told},
    goal::Observed,
    plan::{Change, Why},
};
use crate::api::{
    Condition, ConditionStatus as Status, ConditionType, DeviceStatus, Error, Reason, ResourceStatus, Result,
    board::LedState,
    status::{Clock, Field},
};

/// A resource's status; `None` for a target that was only let go.
pub fn resource(outcome: &Outcome) -> Option<ResourceStatus> {
    let conditions: heapless::Vec<Condition, 3> = conditions(outcome).into_iter().take(3).collect();
    Some(ResourceStatus {
        key: outcome.key.clone(),
        observed_digest: outcome.digest?,
        conditions,
        observed: outcome.observed.as_ref().map(fields).unwrap_or_default(),
    })
}

fn conditions(outcome: &Outcome) -> Vec<Condition> {
    let mut list = Vec::with_capacity(3);
    if let Some(error) = &outcome.error {
        list.push(Condition::of_error(ConditionType::Ready, Status::False, error));
        if error.reason() != Reason::DependencyNotReady {
            list.push(Condition::of_error(ConditionType::Degraded, Status::True, error));
        }
    } else if let Some(found) = &outcome.reported {
        list.push(Condition::new(ConditionType::Ready, Status::False, "Drifted", ""));
        let message = format!("found {found}; drift is only reported");
        list.push(Condition::new(ConditionType::Drifted, Status::True, "DriftReported", &message));
    } else {
        list.push(Condition::new(ConditionType::Ready, Status::True, "Applied", ""));
    }
    if outcome.corrected > 0 && outcome.reported.is_none() {
        let times = match told(outcome.corrected) {
            1 => "once".into(),
            few @ ..8 => format!("{few} times"),
            many => format!("at least {many} times"),
        };
        let message = format!("corrected {times} since the spec last changed");
        list.push(Condition::new(ConditionType::Drifted, Status::False, "DriftCorrected", &message));
    }
    list
}

fn fields(observed: &Observed) -> heapless::Vec<Field, 4> {
    let list = match observed {
        Observed::NoFile => vec![],
        Observed::NotAFile { what } => vec![Field::new("found", what)],
        Observed::File { size, mode, uid, gid, sha256 } => {
            let sum = sha256.map(|sum| sum.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
            let mut list = vec![Field::new("size", size), Field::new("mode", format!("{mode:04o}"))];
            list.push(Field::new("owner", format!("{uid}:{gid}")));
            list.extend(sum.map(|sum| Field::new("sha256", sum)));
            list
        }
        Observed::Line { level, .. } => level.iter().map(|level| Field::new("value", level)).collect(),
        Observed::Led(LedState::Brightness(value)) => vec![Field::new("brightness", value)],
        Observed::Led(LedState::Trigger(trigger)) => vec![Field::new("trigger", trigger)],
    };
    list.into_iter().take(4).collect()
}

/// The device's own conditions: whether it follows the branch, and whether all its resources are ready.
pub fn device_conditions(synced: &Result<(), &Error>, resources: &[ResourceStatus]) -> heapless::Vec<Condition, 4> {
    let synced = match synced {
        Ok(()) => Condition::new(ConditionType::Synced, Status::True, "Accepted", ""),
        Err(error) => Condition::of_error(ConditionType::Synced, Status::False, error),
    };
    let is_ready = |resource: &&ResourceStatus| {
        resource.condition(ConditionType::Ready).is_some_and(|ready| ready.status == Status::True)
    };
    let waiting: Vec<_> =
        resources.iter().filter(|resource| !is_ready(resource)).map(|resource| resource.key.to_string()).collect();
    let ready = if waiting.is_empty() {
        Condition::new(ConditionType::Ready, Status::True, "AllReady", "")
    } else {
        let message = format!("{} of {} not ready: {}", waiting.len(), resources.len(), waiting.join(", "));
        Condition::new(ConditionType::Ready, Status::False, "ResourcesNotReady", &message)
    };
    [synced, ready].into_iter().collect()
}

/// How many seconds a clock may stand before the newest commit and still be believed. Clocks differ, and a tick that
/// meets a commit may have begun before it was made; a fleet must not push for that, and push again once it is over.
const CLOCK_SLACK: i64 = 300;

/// Whether the board's clock can be believed, by the newest time that was accepted.
pub fn clock(now: i64, newest: i64) -> Clock {
    if now.saturating_add(CLOCK_SLACK) < newest { Clock::Behind } else { Clock::Plausible }
}

/// Whether the device says of itself that it follows the branch and that all is ready.
pub fn is_ready(status: &DeviceStatus) -> bool {
    state(status).all(|condition| condition.status == Status::True)
}

/// The conditions of the device itself. What its statuses had to wait for is not one of them.
fn state(status: &DeviceStatus) -> impl Iterator<Item = &Condition> {
    status.conditions.iter().filter(|condition| condition.kind != ConditionType::Reported)
}

/// A digest of all in a status that is worth a push. Sequence and uptime are not, nor is what it had to wait for, nor the
/// revision on its own: a commit that changes nothing for this device must not make a whole fleet push.
///
/// # Errors
///
/// `Bug` if it cannot be encoded.
pub fn digest(status: &DeviceStatus) -> Result<[u8; 16]> {
    let DeviceStatus { device, board, agent, boot_id, clock, resources, lost, .. } = status;
    let conditions: Vec<_> = state(status).collect();
    short_digest(&(device, board, agent, boot_id, clock, conditions, resources, lost))
}

fn short_digest<T: serde::Serialize + ?Sized>(value: &T) -> Result<[u8; 16]> {
    let bytes = postcard::to_allocvec(value)
        .map_err(|error| Error::new(Reason::Bug, "cannot encode the status").caused_by(error))?;
    let mut short = [0; 16];
    short.copy_from_slice(&Sha256::digest(bytes)[..16]);
    Ok(short)
}

/// A digest of what is said of the resources, by which the daemon knows that there is something to report.
///
/// # Errors
///
/// `Bug` if they cannot be encoded.
pub fn resources_digest(resources: &[ResourceStatus]) -> Result<[u8; 16]> {
    short_digest(resources)
}

/// The status commit's message: the state in the subject, the lines of what happened, and trailers for `git interpret-trailers`.
pub fn message<'a>(status: &DeviceStatus, news: impl IntoIterator<Item = &'a String>) -> String {
    let ready = status.conditions.iter().find(|condition| condition.kind == ConditionType::Ready);
    let synced = status.conditions.iter().find(|condition| condition.kind == ConditionType::Synced);
    let count = status.resources.len();
    let mut message = match ready {
        Some(ready) if ready.status != Status::True => format!("{}: {}\n\n", status.device, ready.message),
        _ => format!("{}: {count} ready\n\n", status.device),
    };
    if let Some(synced) = synced.filter(|synced| synced.status != Status::True) {
        message.push_str(&format!("not synced: {}: {}\n", synced.reason, synced.message));
    }
    for line in news {
        message.push_str(line);
        message.push('\n');
    }
    if !message.ends_with("\n\n") {
        message.push('\n');
    }
    if let Some(revision) = status.observed_revision {
        message.push_str(&format!("Observed-Revision: {revision}\n"));
    }
    message.push_str(&format!("Sequence: {}\n", status.sequence));
    message
}

/// What happened to one resource, in one line; `None` if nothing did.
pub fn line(outcome: &Outcome) -> Option<String> {
    let key = &outcome.key;
    if let Some(error) = &outcome.error {
        return Some(format!("{key}: {}: {}", error.reason(), error.one_line()));
    }
    if let Some(found) = &outcome.reported {
        return Some(format!("{key}: drift reported: found {found}"));
    }
    let Change { why, found, steps, .. } = outcome.change.as_ref()?;
    let steps: Vec<_> = steps.iter().map(ToString::to_string).collect();
    Some(match why {
        Why::Drift => format!("{key}: drift corrected: found {found}, {}", steps.join(", ")),
        Why::Release if steps.is_empty() => format!("{key}: released {found}"),
        why => format!("{key}: {why}: {}", steps.join(", ")),
    })
}

#[cfg(test)]
mod tests {
    use super::{super::goal::Step, *};
    use crate::api::board::{Level, LineConfig};

    fn drives_high() -> LineConfig {
        LineConfig { output: Some(Level::High), active_low: false, bias: None }
    }

    fn outcome() -> Outcome {
        Outcome {
            key: "GpioLine/pump".parse().unwrap(),
            digest: "0123456789abcdef0123456789abcdef01234567".parse().ok(),
            change: None,
            reported: None,
            error: None,
            observed: Some(Observed::Line { held: Some(drives_high()), level: Some(Level::High) }),
            corrected: 0,
        }
    }

    fn status(outcomes: &[Outcome]) -> DeviceStatus {
        let resources: Vec<_> = outcomes.iter().filter_map(resource).collect();
        DeviceStatus {
            device: "site-a/pump-07".parse().unwrap(),
            board: crate::api::condition::Text::new("sim"),
            agent: crate::api::condition::Text::new("0.1.0"),
            boot_id: [7; 16],
            sequence: 3,
            uptime: 60,
            clock: Clock::Plausible,
            observed_revision: None,
            advances: 1,
            conditions: device_conditions(&Ok(()), &resources),
            resources,
            lost: 0,
        }
    }

    #[test]
    fn a_ready_resource_says_what_was_seen() {
        let status = resource(&outcome()).unwrap();
        assert_eq!(status.condition(ConditionType::Ready).unwrap().status, Status::True);
        assert_eq!(status.observed[..], [Field::new("value", "high")]);
    }

    #[test]
    fn a_failed_resource_is_not_ready_and_degraded_for_its_reason() {
        let error = Error::new(Reason::LineBusy, "GPIO17 is held by fan-control");
        let status = status(&[Outcome { error: Some(error), ..outcome() }]);
        let ready = &status.conditions[1];
        assert_eq!((ready.status, ready.message.as_str()), (Status::False, "1 of 1 not ready: GpioLine/pump"));
        let degraded = status.resources[0].condition(ConditionType::Degraded).unwrap();
        assert_eq!((degraded.reason.as_str(), degraded.status), ("LineBusy", Status::True));
    }

    #[test]
    fn a_clock_is_wrong_if_it_stands_well_before_the_newest_commit() {
        let newest = 1_795_000_000;
        for (now, expected) in [(0, Clock::Behind), (newest - 301, Clock::Behind), (newest - 300, Clock::Plausible)] {
            assert_eq!(clock(now, newest), expected, "{now}");
        }
        assert_eq!(clock(i64::MAX, newest), Clock::Plausible);
    }

    #[test]
    fn time_and_revision_alone_are_not_worth_a_push() {
        let one = status(&[outcome()]);
        let revision = "0123456789abcdef0123456789abcdef01234567".parse().ok();
        let later = DeviceStatus { sequence: 9, uptime: 9, advances: 9, observed_revision: revision, ..one.clone() };
        assert_eq!(digest(&one).unwrap(), digest(&later).unwrap());
        let rebooted = DeviceStatus { boot_id: [8; 16], ..one.clone() };
        assert_ne!(digest(&one).unwrap(), digest(&rebooted).unwrap());
        assert_ne!(digest(&one).unwrap(), digest(&status(&[Outcome { corrected: 1, ..outcome() }])).unwrap());
    }

    #[test]
    fn the_message_reads_as_a_log() {
        let step = Step::HoldLine { line: "GPIO17".into(), config: drives_high() };
        let drift = Change { key: outcome().key, why: Why::Drift, found: "low".into(), steps: vec![step] };
        let outcomes = [Outcome { change: Some(drift), corrected: 1, ..outcome() }];
        let lines: Vec<_> = outcomes.iter().filter_map(line).collect();
        let message = message(&status(&outcomes), &lines);
        assert_eq!(
            message,
            "site-a/pump-07: 1 ready\n\nGpioLine/pump: drift corrected: found low, drive GPIO17 high\n\nSequence: 3\n"
        );
    }
}
