//! The table of budgets, printed row by row as they are measured.

use std::fmt;

use crate::figures::thousands;

/// What a measured value is held against, in bytes.
#[derive(Clone, Copy)]
pub(crate) enum Limit {
    /// Nothing: the value is for information.
    None,
    /// A budget.
    AtMost(u64),
    /// A budget: what git needed in the same run.
    NoMoreThanGit(u64),
    /// What git needed in the same run, for information.
    Beside(u64),
}

/// The rows so far: whether all are within their budgets.
pub(crate) struct Table {
    within: bool,
}

impl Table {
    /// Prints the table's head.
    pub(crate) fn new() -> Self {
        print("BUDGET", "BYTES", "LIMIT", "USED", "");
        Self { within: true }
    }

    /// Prints a row: a value in bytes and its limit.
    pub(crate) fn row(&mut self, what: &str, bytes: u64, limit: Limit) {
        let (held, against) = match limit {
            Limit::None => (None, String::new()),
            Limit::AtMost(most) => (Some(most), thousands(most)),
            Limit::NoMoreThanGit(git) | Limit::Beside(git) => (Some(git), format!("git {}", thousands(git))),
        };
        let used = held.map(|most| format!("{:.1}%", bytes as f64 / most as f64 * 100.0)).unwrap_or_default();
        let verdict = match limit {
            Limit::AtMost(most) | Limit::NoMoreThanGit(most) if bytes > most => "over",
            Limit::AtMost(_) | Limit::NoMoreThanGit(_) => "ok",
            Limit::None | Limit::Beside(_) => "",
        };
        self.within &= verdict != "over";
        print(what, thousands(bytes), &against, &used, verdict);
    }

    /// Whether no row was over its budget.
    pub(crate) fn is_within(&self) -> bool {
        self.within
    }
}

fn print(what: &str, bytes: impl fmt::Display, limit: &str, used: &str, verdict: &str) {
    println!("{what:<38}{bytes:>12}{limit:>16}{used:>7}  {verdict}");
}
