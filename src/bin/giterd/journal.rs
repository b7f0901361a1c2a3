//! What of a tick is worth the daemon's log: what was done, and of what is wrong its beginning and its end.
//!
//! A tick without a change says nothing; a failure that lasts is said once, and once more when it is over. Repetitions
//! are there at the level `debug`.

use std::collections::BTreeMap;

use giter_edge::{
    api::{Error, Reason, ResourceKey},
    reconcile::{
        apply::{Outcome, told},
        plan::Why,
        report,
        tick::{Published, Reach, Tick},
    },
};
use log::Level;

/// What is wrong at the moment, in the words in which it was logged.
#[derive(Default)]
pub struct Journal {
    standing: BTreeMap<Subject, String>,
}

/// Of what something is said. A resource's own target and one that it is to let go are two.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Subject {
    Sync,
    Status,
    Resource(ResourceKey),
    Release(ResourceKey),
}

impl Journal {
    /// The lines of a tick, each with its level.
    pub fn lines(&mut self, tick: &Tick, reach: Reach) -> Vec<(Level, String)> {
        let mut lines = Vec::new();
        note_accepted(tick, &mut lines);
        self.note_sync(tick, reach, &mut lines);
        self.note_resources(tick, &mut lines);
        self.note_status(tick, reach, &mut lines);
        lines
    }

    /// The lines of a stick's visit. What is wrong with the stick is told with it; whether the hub answers it cannot tell.
    pub fn lines_of_visit(&mut self, tick: &Tick) -> Vec<(Level, String)> {
        let mut lines = Vec::new();
        note_accepted(tick, &mut lines);
        self.note_resources(tick, &mut lines);
        lines
    }

    /// A look at the board cannot tell whether the hub answers, so it ends nothing here and begins only what is new.
    fn note_sync(&mut self, tick: &Tick, reach: Reach, lines: &mut Vec<(Level, String)>) {
        match &tick.sync_error {
            Some(error) if error.reason() == Reason::Stopped => {}
            Some(_) if reach == Reach::Board && self.standing.contains_key(&Subject::Sync) => {}
            Some(error) => self.begin_error(Subject::Sync, error, lines),
            None if reach == Reach::Hub => self.end(&Subject::Sync, "the branch is followed again", lines),
            None => {}
        }
    }

    fn note_status(&mut self, tick: &Tick, reach: Reach, lines: &mut Vec<(Level, String)>) {
        let arrived =
            reach == Reach::Hub && tick.sync_error.is_none() || matches!(tick.published, Published::Pushed(_));
        match &tick.publish_error {
            Some(error) if error.reason() == Reason::Stopped => {}
            Some(error) => self.begin_error(Subject::Status, error, lines),
            None if arrived => self.end(&Subject::Status, "the status is reported again", lines),
            None => {}
        }
    }

    fn note_resources(&mut self, tick: &Tick, lines: &mut Vec<(Level, String)>) {
        for outcome in &tick.outcomes {
            self.note_outcome(outcome, lines);
        }
        self.forget_what_is_gone(tick);
    }

    fn note_outcome(&mut self, outcome: &Outcome, lines: &mut Vec<(Level, String)>) {
        let key = outcome.key.clone();
        let subject = if outcome.digest.is_some() { Subject::Resource(key) } else { Subject::Release(key) };
        let line = report::line(outcome);
        match line {
            Some(line) if !outcome.is_ready() => {
                self.begin(subject, line, lines);
            }
            Some(line) => {
                self.standing.remove(&subject);
                lines.push((if is_repetition(outcome) { Level::Debug } else { Level::Info }, line));
            }
            None => self.end(&subject, &format!("{}: ready again", outcome.key), lines),
        }
    }

    fn forget_what_is_gone(&mut self, tick: &Tick) {
        let is_there = |key: &ResourceKey, owned: bool| {
            tick.outcomes.iter().any(|outcome| outcome.key == *key && outcome.digest.is_some() == owned)
        };
        self.standing.retain(|subject, _| match subject {
            Subject::Sync | Subject::Status => true,
            Subject::Resource(key) => is_there(key, true),
            Subject::Release(key) => is_there(key, false),
        });
    }

    fn begin_error(&mut self, subject: Subject, error: &Error, lines: &mut Vec<(Level, String)>) {
        let is_new = self.begin(subject, format!("{}: {}", error.reason(), error.one_line()), lines);
        if let Some(hint) = error.get_hint().filter(|_| is_new) {
            lines.push((Level::Info, format!("hint: {hint}")));
        }
    }

    /// Whether it is new.
    fn begin(&mut self, subject: Subject, line: String, lines: &mut Vec<(Level, String)>) -> bool {
        let is_new = self.standing.get(&subject) != Some(&line);
        lines.push((if is_new { Level::Warn } else { Level::Debug }, line.clone()));
        self.standing.insert(subject, line);
        is_new
    }

    fn end(&mut self, subject: &Subject, line: &str, lines: &mut Vec<(Level, String)>) {
        if self.standing.remove(subject).is_some() {
            lines.push((Level::Info, line.into()));
        }
    }
}

fn note_accepted(tick: &Tick, lines: &mut Vec<(Level, String)>) {
    if let Some(accepted) = &tick.advanced {
        lines.push((Level::Info, format!("accepted {}, signed by {}", accepted.commit.short(), accepted.signer)));
    }
}

/// Whether drift was corrected that has been corrected so often that its count is no longer told.
fn is_repetition(outcome: &Outcome) -> bool {
    let is_drift = outcome.change.as_ref().is_some_and(|change| change.why == Why::Drift);
    is_drift && told(outcome.corrected) != outcome.corrected
}

#[cfg(test)]
mod tests {
    use giter_edge::{
        api::{DeviceStatus, condition::Text, status::Clock},
        reconcile::plan::Change,
    };

    use super::*;

    fn tick(sync_error: Option<Reason>, outcomes: Vec<Outcome>) -> Tick {
        Tick {
            advanced: None,
            sync_error: sync_error.map(|reason| Error::new(reason, "ssh said no").hint("ask it nicely")),
            refused: None,
            outcomes,
            published: Published::Unchanged,
            publish_error: None,
            status: DeviceStatus {
                device: "pump-07".parse().unwrap(),
                board: Text::new("sim"),
                agent: Text::new("0"),
                boot_id: [0; 16],
                sequence: 0,
                uptime: 0,
                clock: Clock::Plausible,
                observed_revision: None,
                advances: 0,
                conditions: heapless::Vec::new(),
                resources: Vec::new(),
                lost: 0,
            },
        }
    }

    fn outcome(error: Option<&str>) -> Outcome {
        Outcome {
            key: "GpioLine/pump".parse().unwrap(),
            digest: "0123456789abcdef0123456789abcdef01234567".parse().ok(),
            change: None,
            reported: None,
            error: error.map(|what| Error::new(Reason::LineBusy, what)),
            observed: None,
            corrected: 0,
        }
    }

    fn drifted(corrected: u32) -> Outcome {
        let key: ResourceKey = "GpioLine/pump".parse().unwrap();
        let change = Some(Change { key, why: Why::Drift, found: "low".into(), steps: vec![] });
        Outcome { change, corrected, ..outcome(None) }
    }

    /// The lines that are logged by default.
    fn said(journal: &mut Journal, tick: &Tick, reach: Reach) -> Vec<String> {
        let lines = journal.lines(tick, reach).into_iter().filter(|(level, _)| *level <= Level::Info);
        lines.map(|(_, line)| line).collect()
    }

    #[test]
    fn a_failing_hub_is_said_once_and_once_more_when_it_is_over() {
        let mut journal = Journal::default();
        let (down, up) = (tick(Some(Reason::HubUnreachable), vec![]), tick(None, vec![]));
        let expected = ["HubUnreachable: ssh said no", "hint: ask it nicely"];
        assert_eq!(said(&mut journal, &down, Reach::Hub), expected);
        for (tick, reach) in [(&down, Reach::Hub), (&up, Reach::Board), (&down, Reach::Hub)] {
            assert_eq!(said(&mut journal, tick, reach), [""; 0]);
        }
        assert_eq!(said(&mut journal, &up, Reach::Hub), ["the branch is followed again"]);
        assert_eq!(said(&mut journal, &up, Reach::Hub), [""; 0]);
    }

    #[test]
    fn a_stick_says_nothing_of_the_hub() {
        let mut journal = Journal::default();
        journal.lines(&tick(Some(Reason::HubUnreachable), vec![]), Reach::Hub);
        let of_visit =
            |journal: &mut Journal, error| journal.lines_of_visit(&tick(error, vec![outcome(Some("held by fan"))]));
        assert_eq!(of_visit(&mut journal, None), [(Level::Warn, "GpioLine/pump: LineBusy: held by fan".into())]);
        let repeated = [(Level::Debug, "GpioLine/pump: LineBusy: held by fan".into())];
        assert_eq!(of_visit(&mut journal, Some(Reason::Rewound)), repeated);
        assert_eq!(said(&mut journal, &tick(None, vec![]), Reach::Hub), ["the branch is followed again"]);
    }

    #[test]
    fn a_failing_resource_is_said_when_it_begins_changes_and_ends() {
        let mut journal = Journal::default();
        let mut say = |error| said(&mut journal, &tick(None, vec![outcome(error)]), Reach::Board);
        assert_eq!(say(Some("held by fan")), ["GpioLine/pump: LineBusy: held by fan"]);
        assert_eq!(say(Some("held by fan")), [""; 0]);
        assert_eq!(say(Some("held by pwm")), ["GpioLine/pump: LineBusy: held by pwm"]);
        assert_eq!(say(None), ["GpioLine/pump: ready again"]);
        assert_eq!(say(None), [""; 0]);
    }

    #[test]
    fn a_resource_that_went_away_is_forgotten() {
        let mut journal = Journal::default();
        journal.lines(&tick(None, vec![outcome(Some("held by fan"))]), Reach::Hub);
        assert_eq!(said(&mut journal, &tick(None, vec![]), Reach::Hub), [""; 0]);
        assert!(journal.standing.is_empty());
    }

    #[test]
    fn a_fight_over_a_target_is_said_less_and_less() {
        let mut journal = Journal::default();
        let said: Vec<_> = (1..=64)
            .filter(|count| !said(&mut journal, &tick(None, vec![drifted(*count)]), Reach::Board).is_empty())
            .collect();
        assert_eq!(said, [1, 2, 3, 4, 5, 6, 7, 8, 16, 32, 64]);
    }

    #[test]
    fn that_the_daemon_was_stopped_is_no_failure() {
        let stopped = tick(Some(Reason::Stopped), vec![]);
        assert!(Journal::default().lines(&stopped, Reach::Hub).is_empty());
    }
}
