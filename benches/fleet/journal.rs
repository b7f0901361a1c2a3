//! What an agent's log says of its polls, as it is written.

use std::{collections::BTreeMap, time::Duration};

/// A poll that has ended.
#[derive(Clone, Debug)]
pub(crate) struct Poll {
    /// How long the agent means to wait for the next, in whole seconds.
    pub(crate) wait: Duration,
    /// Why it failed.
    pub(crate) failure: Option<String>,
}

/// An agent's log so far.
#[derive(Default)]
pub(crate) struct Journal {
    pub(crate) polls: Vec<Poll>,
    /// Statuses that were pushed.
    pub(crate) pushes: usize,
    /// The first digits of the commits that were accepted, by polls that have ended and by the present one.
    accepted: Vec<String>,
    accepting: Vec<String>,
    /// What else was a warning, or an error.
    pub(crate) complaints: Vec<String>,
    failure: Option<String>,
}

/// Why polls failed, in the words of the logs, and how often each.
pub(crate) fn failures(journals: &[Journal]) -> BTreeMap<&str, usize> {
    let mut failures = BTreeMap::new();
    for failure in journals.iter().flat_map(|journal| &journal.polls).filter_map(|poll| poll.failure.as_deref()) {
        *failures.entry(failure).or_default() += 1;
    }
    failures
}

impl Journal {
    /// Takes in a line. A failure is told before the poll that it belongs to.
    pub(crate) fn take(&mut self, line: &str) {
        let told = line.strip_prefix("warning: ").or_else(|| line.strip_prefix("debug: ")).unwrap_or(line);
        if let Some(wait) = told.strip_prefix("polled; next in ").and_then(|rest| rest.strip_suffix(" s")) {
            let wait = Duration::from_secs(wait.parse().unwrap_or(0));
            self.polls.push(Poll { wait, failure: self.failure.take() });
            self.accepted.append(&mut self.accepting);
        } else if told.starts_with("pushed status ") {
            self.pushes += 1;
        } else if let Some(rest) = told.strip_prefix("accepted ") {
            self.accepting.extend(rest.split_once(',').map(|(commit, _)| commit.to_owned()));
        } else if is_of_the_hub(told) {
            self.failure = Some(told.to_owned());
        } else if line.starts_with("warning: ") || line.starts_with("error: ") {
            self.complaints.push(line.to_owned());
        }
    }

    /// Whether a commit was accepted, by a poll that has ended.
    pub(crate) fn has_accepted(&self, commit: &str) -> bool {
        self.accepted.iter().any(|accepted| commit.starts_with(accepted))
    }

    /// The failures in a row with which the log ends.
    pub(crate) fn failures_in_a_row(&self) -> usize {
        self.polls.iter().rev().take_while(|poll| poll.failure.is_some()).count()
    }
}

/// Whether a line says that the hub could not be reached, or not be understood.
fn is_of_the_hub(line: &str) -> bool {
    ["HubUnreachable: ", "HubTimeout: ", "ProtocolError: "].iter().any(|reason| line.starts_with(reason))
}
