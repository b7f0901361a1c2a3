//! The table of what happened at the hub, printed row by row.

use std::time::Duration;

/// What was counted, of servers or agents or both.
#[derive(Clone, Copy, Default)]
pub(crate) struct Counts {
    /// Connections that were let in, and those that `MaxStartups` turned away.
    pub(crate) logins: usize,
    pub(crate) refused: usize,
    /// Polls that the agents ended, and those of them that failed.
    pub(crate) polls: usize,
    pub(crate) failed: usize,
    /// Statuses that were pushed.
    pub(crate) pushes: usize,
    /// Processor time of the hub's server with its sessions, and of the agents.
    pub(crate) hub: Duration,
    pub(crate) agents: Duration,
}

impl Counts {
    /// Both together.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            logins: self.logins + other.logins,
            refused: self.refused + other.refused,
            polls: self.polls + other.polls,
            failed: self.failed + other.failed,
            pushes: self.pushes + other.pushes,
            hub: self.hub + other.hub,
            agents: self.agents + other.agents,
        }
    }

    /// What came since then.
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            logins: self.logins - before.logins,
            refused: self.refused - before.refused,
            polls: self.polls - before.polls,
            failed: self.failed - before.failed,
            pushes: self.pushes - before.pushes,
            // A session may have ended while it was looked for.
            hub: self.hub.saturating_sub(before.hub),
            agents: self.agents - before.agents,
        }
    }
}

/// Prints the table's head.
pub(crate) fn head() {
    print(
        "",
        ["INTERVALS", "LOGINS", "REFUSED", "POLLS", "FAILED", "PUSHES", "HUB ms", "AGENTS ms"].map(str::to_owned),
    );
}

/// Prints a row: what happened, how many intervals it took, the counts, and the processor time for each poll.
pub(crate) fn row(what: &str, intervals: f64, counts: &Counts) {
    let Counts { logins, refused, polls, failed, pushes, hub, agents } = counts;
    let each = |time: &Duration| format!("{:.1}", time.as_secs_f64() * 1e3 / (*polls).max(1) as f64);
    let numbers = [logins, refused, polls, failed, pushes].map(usize::to_string);
    let mut cells = vec![format!("{intervals:.1}")];
    cells.extend(numbers.into_iter().chain([each(hub), each(agents)]));
    print(what, cells);
}

/// Prints a figure below the table.
pub(crate) fn figure(what: &str, value: impl std::fmt::Display) {
    println!("{what:<50}{value:>14}");
}

fn print(what: &str, cells: impl IntoIterator<Item = String>) {
    let cells: String = cells.into_iter().map(|cell| format!("{cell:>10}")).collect();
    println!("{what:<34}{cells}");
}
