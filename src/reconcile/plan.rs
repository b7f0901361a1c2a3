//! From desired and observed to a plan: what differs, why, and the steps that mend it.
//!
//! ```text
//! for each resource, in order     what is there      what was applied last    so
//!                                 as the goal        -                        nothing to do
//!                                 not as the goal    nothing                  create
//!                                                    another goal             update
//!                                                    this goal                drift (or adopt: a line nobody holds)
//! for each owned target that no resource names any more                       release
//! ```
//!
//! Releases come first, so that a target can pass from one resource to another; a target that another resource takes
//! over is not driven to its failsafe in between.

use std::fmt;

use sha2::{Digest, Sha256};

use super::goal::{Goal, Observed, Step};
use crate::api::{
    Drift, ResourceKey, Spec,
    board::LedState,
    ledger::{Owned, Release},
    resource::OnDelete,
};

/// Why something is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The resource is new to this device.
    Create,
    /// Its spec changed.
    Update,
    /// The line is as it should be, and nobody holds it: the agent was started anew.
    Adopt,
    /// Something else changed it.
    Drift,
    /// It is gone from the exchange.
    Release,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Why::Create => "create",
            Why::Update => "update",
            Why::Adopt => "adopt",
            Why::Drift => "drift",
            Why::Release => "release",
        })
    }
}

/// One change.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Whose.
    pub key: ResourceKey,
    /// Why.
    pub why: Why,
    /// What was found in the way of the goal, for people; empty where nothing was.
    pub found: String,
    /// What to do, in order.
    pub steps: Vec<Step>,
}

/// What becomes of one resource.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// It is as it should be, or drift is ignored.
    InSync,
    /// It is to be changed.
    Change(Change),
    /// It drifted, and that is only reported: what was found.
    Report(String),
}

/// What identifies the thing on the board that a resource drives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Target<'a> {
    /// A path.
    File(&'a str),
    /// A line's name on this board.
    Line(&'a str),
    /// An LED's name on this board.
    Led(&'a str),
}

impl fmt::Display for Target<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::File(path) => f.write_str(path),
            Target::Line(line) => write!(f, "line {line}"),
            Target::Led(led) => write!(f, "LED {led}"),
        }
    }
}

impl Goal {
    /// What it drives.
    pub fn target(&self) -> Target<'_> {
        match self {
            Goal::File { path, .. } => Target::File(path.as_str()),
            Goal::Line { line, .. } => Target::Line(line),
            Goal::Led { led, .. } => Target::Led(led),
        }
    }

    /// A digest by which the ledger remembers it. Stable between releases.
    pub fn digest(&self) -> [u8; 16] {
        let mut hash = Sha256::new();
        let mut field = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        };
        match self {
            Goal::File { path, content, mode, uid, gid } => {
                field(b"file");
                field(path.as_str().as_bytes());
                field(content);
                field(&mode.bits().to_le_bytes());
                field(format!("{uid:?}:{gid:?}").as_bytes());
            }
            Goal::Line { line, config } => {
                field(b"line");
                field(line.as_bytes());
                field(format!("{config:?}").as_bytes());
            }
            Goal::Led { led, state } => {
                field(b"led");
                field(led.as_bytes());
                field(format!("{state:?}").as_bytes());
            }
        }
        let mut short = [0; 16];
        short.copy_from_slice(&hash.finalize()[..16]);
        short
    }
}

impl Release {
    /// What it lets go of.
    pub fn target(&self) -> Target<'_> {
        match self {
            Release::File { path, .. } => Target::File(path.as_str()),
            Release::Line { line, .. } => Target::Line(line),
            Release::Led { led, .. } => Target::Led(led),
        }
    }
}

/// What is owed when the resource goes.
pub fn release_of(spec: &Spec, goal: &Goal) -> Release {
    match (spec, goal) {
        (Spec::GpioLine(spec), Goal::Line { line, config }) => {
            let failsafe = spec.failsafe.filter(|_| spec.on_delete == OnDelete::Failsafe);
            let last = failsafe.map(|level| crate::api::board::LineConfig { output: Some(level), ..*config });
            Release::Line { line: line.clone(), last }
        }
        (Spec::Led(spec), Goal::Led { led, .. }) => {
            let brightness = (spec.on_delete == OnDelete::Failsafe).then_some(spec.failsafe);
            Release::Led { led: led.clone(), brightness }
        }
        (Spec::File(spec), Goal::File { path, .. }) => {
            Release::File { path: path.clone(), remove: spec.on_delete == OnDelete::Remove }
        }
        // A board that binds a spec to another kind's goal owes whatever that goal's target is safely left with.
        (_, Goal::Line { line, .. }) => Release::Line { line: line.clone(), last: None },
        (_, Goal::Led { led, .. }) => Release::Led { led: led.clone(), brightness: None },
        (_, Goal::File { path, .. }) => Release::File { path: path.clone(), remove: false },
    }
}

/// Decides about one resource.
pub fn decide(key: &ResourceKey, goal: &Goal, drift: Drift, owned: Option<&Owned>, observed: &Observed) -> Decision {
    let steps = steps(goal, observed);
    if steps.is_empty() {
        return Decision::InSync;
    }
    let found = describe(observed);
    let change = |why| Decision::Change(Change { key: key.clone(), why, found: found.clone(), steps: steps.clone() });
    match owned.and_then(|owned| owned.applied) {
        None => change(Why::Create),
        Some(applied) if applied != goal.digest() => change(Why::Update),
        Some(_) if is_unheld(goal, observed) => change(Why::Adopt),
        Some(_) => match drift {
            Drift::Correct => change(Why::Drift),
            Drift::Report => Decision::Report(found),
            Drift::Ignore => Decision::InSync,
        },
    }
}

/// The change that lets go of an owned target; `None` steps where another resource takes it over.
pub fn release(owned: &Owned, taken_over: bool) -> Change {
    let step = match &owned.release {
        _ if taken_over => None,
        Release::File { remove: false, .. } | Release::Led { brightness: None, .. } => None,
        Release::File { path, .. } => Some(Step::RemoveFile { path: path.clone() }),
        Release::Line { line, last } => Some(Step::ReleaseLine { line: line.clone(), last: *last }),
        Release::Led { led, brightness: Some(value) } => {
            Some(Step::SetLed { led: led.clone(), state: LedState::Brightness(*value) })
        }
    };
    Change {
        key: owned.key.clone(),
        why: Why::Release,
        found: owned.release.target().to_string(),
        steps: step.into_iter().collect(),
    }
}

/// Whether the only thing that differs is that this process does not hold the line yet.
fn is_unheld(goal: &Goal, observed: &Observed) -> bool {
    match (goal, observed) {
        (Goal::Line { config, .. }, Observed::Line { held: None, level }) => {
            config.output.is_none() || level.is_none() || *level == config.output
        }
        _ => false,
    }
}

/// The steps from what is there to the goal; none if it is reached.
fn steps(goal: &Goal, observed: &Observed) -> Vec<Step> {
    match goal {
        Goal::File { path, content, mode, uid, gid } => {
            let (path, mode, uid, gid) = (path.clone(), *mode, *uid, *gid);
            match observed {
                Observed::File { sha256: Some(sum), .. } if sum[..] == Sha256::digest(content)[..] => {
                    let right = matches!(observed, Observed::File { mode: has, uid: user, gid: group, .. }
                        if *has == mode.bits() && uid.is_none_or(|uid| uid == *user) && gid.is_none_or(|gid| gid == *group));
                    if right { vec![] } else { vec![Step::SetFileMode { path, mode, uid, gid }] }
                }
                _ => vec![Step::WriteFile { path, content: content.clone(), mode, uid, gid }],
            }
        }
        Goal::Line { line, config } => match observed {
            Observed::Line { held: Some(held), level }
                if held == config && (config.output.is_none() || *level == config.output) =>
            {
                vec![]
            }
            _ => vec![Step::HoldLine { line: line.clone(), config: *config }],
        },
        Goal::Led { led, state } => match observed {
            Observed::Led(has) if has == state => vec![],
            _ => vec![Step::SetLed { led: led.clone(), state: state.clone() }],
        },
    }
}

/// What was found, for people.
fn describe(observed: &Observed) -> String {
    match observed {
        Observed::NoFile => "no such file".into(),
        Observed::NotAFile { what } => (*what).into(),
        Observed::File { size, mode, uid, gid, .. } => format!("{size} bytes, {mode:04o}, owner {uid}:{gid}"),
        Observed::Line { held: Some(_), level: None } => "not read".into(),
        Observed::Line { held: Some(_), level: Some(level) } => level.to_string(),
        Observed::Line { held: None, level: None } => "not held".into(),
        Observed::Line { held: None, level: Some(level) } => format!("{level}, not held"),
        Observed::Led(LedState::Brightness(value)) => format!("brightness {value}"),
        Observed::Led(LedState::Trigger(trigger)) => format!("trigger {trigger}"),
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::WriteFile { path, content, mode, .. } => write!(f, "write {path} ({} bytes, {mode})", content.len()),
            Step::SetFileMode { path, mode, uid: None, gid: None } => write!(f, "chmod {mode} {path}"),
            Step::SetFileMode { path, mode, uid, gid } => {
                let part = |id: &Option<u32>| id.map_or(String::new(), |id| id.to_string());
                write!(f, "chmod {mode} and chown {}:{} {path}", part(uid), part(gid))
            }
            Step::RemoveFile { path } => write!(f, "remove {path}"),
            Step::HoldLine { line, config } => match config.output {
                Some(level) => write!(f, "drive {line} {level}"),
                None => write!(f, "hold {line} as input"),
            },
            Step::ReleaseLine { line, last } => match last.and_then(|last| last.output) {
                Some(level) => write!(f, "drive {line} {level} and let it go"),
                None => write!(f, "let {line} go"),
            },
            Step::SetLed { led, state: LedState::Brightness(value) } => write!(f, "set {led} to {value}"),
            Step::SetLed { led, state: LedState::Trigger(trigger) } => write!(f, "set {led} to trigger {trigger}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::board::{Level, LineConfig};

    fn key() -> ResourceKey {
        "GpioLine/pump".parse().unwrap()
    }

    fn drives(level: Level) -> LineConfig {
        LineConfig { output: Some(level), active_low: false, bias: None }
    }

    fn goal() -> Goal {
        Goal::Line { line: "GPIO17".into(), config: drives(Level::High) }
    }

    fn owned(applied: Option<[u8; 16]>) -> Owned {
        let release = Release::Line { line: "GPIO17".into(), last: Some(drives(Level::Low)) };
        Owned { key: key(), release, applied, corrected: 0 }
    }

    fn why(owned: Option<&Owned>, drift: Drift, observed: &Observed) -> Option<Why> {
        match decide(&key(), &goal(), drift, owned, observed) {
            Decision::Change(change) => Some(change.why),
            _ => None,
        }
    }

    #[test]
    fn the_reason_follows_from_what_was_applied_last() {
        let low = Observed::Line { held: Some(drives(Level::High)), level: Some(Level::Low) };
        let high = Observed::Line { held: Some(drives(Level::High)), level: Some(Level::High) };
        let mine = owned(Some(goal().digest()));
        assert_eq!(why(None, Drift::Correct, &low), Some(Why::Create));
        assert_eq!(why(Some(&owned(None)), Drift::Correct, &low), Some(Why::Create));
        assert_eq!(why(Some(&owned(Some([0; 16]))), Drift::Correct, &low), Some(Why::Update));
        assert_eq!(why(Some(&mine), Drift::Correct, &low), Some(Why::Drift));
        assert_eq!(why(Some(&mine), Drift::Correct, &high), None);
        assert_eq!(why(Some(&mine), Drift::Ignore, &low), None);
        let report = decide(&key(), &goal(), Drift::Report, Some(&mine), &low);
        assert_eq!(report, Decision::Report("low".into()));
    }

    #[test]
    fn a_line_that_nobody_holds_is_adopted_unless_its_level_moved() {
        let mine = owned(Some(goal().digest()));
        for (level, expected) in [(None, Why::Adopt), (Some(Level::High), Why::Adopt), (Some(Level::Low), Why::Drift)] {
            assert_eq!(why(Some(&mine), Drift::Correct, &Observed::Line { held: None, level }), Some(expected));
        }
    }

    #[test]
    fn a_file_whose_content_is_right_is_not_rewritten() {
        let content: std::sync::Arc<[u8]> = (*b"hello\n").into();
        let goal = Goal::File {
            path: "/etc/motd".parse().unwrap(),
            content: content.clone(),
            mode: "0644".parse().unwrap(),
            uid: None,
            gid: Some(4),
        };
        let sha256 = Some(Sha256::digest(&*content).into());
        let file = |mode, gid| Observed::File { sha256, size: 6, mode, uid: 0, gid };
        assert_eq!(steps(&goal, &file(0o644, 4)), []);
        assert!(matches!(steps(&goal, &file(0o600, 4))[..], [Step::SetFileMode { .. }]));
        assert!(matches!(steps(&goal, &file(0o644, 0))[..], [Step::SetFileMode { .. }]));
        for other in [Observed::NoFile, Observed::NotAFile { what: "a symbolic link" }] {
            assert!(matches!(steps(&goal, &other)[..], [Step::WriteFile { .. }]));
        }
    }

    #[test]
    fn a_release_drives_the_failsafe_unless_the_target_is_taken_over() {
        let owned = owned(Some([1; 16]));
        assert_eq!(
            release(&owned, false).steps,
            [Step::ReleaseLine { line: "GPIO17".into(), last: Some(drives(Level::Low)) }]
        );
        assert!(release(&owned, true).steps.is_empty());
    }

    #[test]
    fn every_field_of_a_goal_counts_in_its_digest() {
        let file = |content: &[u8], uid| Goal::File {
            path: "/etc/motd".parse().unwrap(),
            content: content.into(),
            mode: "0644".parse().unwrap(),
            uid,
            gid: None,
        };
        let digests = [
            goal().digest(),
            Goal::Line { line: "GPIO17".into(), config: drives(Level::Low) }.digest(),
            file(b"a", None).digest(),
            file(b"b", None).digest(),
            file(b"a", Some(0)).digest(),
            Goal::Led { led: "ACT".into(), state: LedState::Brightness(1) }.digest(),
            Goal::Led { led: "ACT".into(), state: LedState::Trigger("1".into()) }.digest(),
        ];
        for (i, digest) in digests.iter().enumerate() {
            assert!(!digests[..i].contains(digest), "{i}");
        }
    }
}
