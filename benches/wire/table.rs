//! The table of figures, printed row by row as they are measured.

use crate::figures::thousands;

/// What a figure counts.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Unit {
    Bytes,
    Milliseconds,
    Seconds,
    Trips,
    Count,
    /// How many times as fast as git.
    Times,
}

/// What a figure of ours is held against.
#[derive(Clone, Copy)]
pub(crate) enum Limit {
    /// Nothing: the figure is for information.
    None,
    AtMost(f64),
    AtLeast(f64),
}

/// The rows so far: whether all were measured, and are within their limits.
pub(crate) struct Table {
    within: bool,
}

impl Table {
    /// A table without rows.
    pub(crate) fn new() -> Self {
        Self { within: true }
    }

    /// Begins a part of the table.
    pub(crate) fn part(&mut self, title: &str) {
        println!();
        print(title, "GIT", "GITERD", "LIMIT", "");
    }

    /// Prints a row: git's figure, ours, and its limit.
    pub(crate) fn row(&mut self, what: &str, unit: Unit, git: Option<f64>, ours: Option<f64>, limit: Limit) {
        let show = |figure: Option<f64>| figure.map(|figure| shown(figure, unit)).unwrap_or_default();
        // Whole round trips are meant, and the time for the work between them is in the figure too.
        let ours = ours.map(|figure| if unit == Unit::Trips { (figure * 10.0).round() / 10.0 } else { figure });
        let (limit, is_over) = match limit {
            Limit::None => (None, false),
            Limit::AtMost(most) => (Some(most), ours.is_none_or(|ours| ours > most)),
            Limit::AtLeast(least) => (Some(least), ours.is_none_or(|ours| ours < least)),
        };
        let verdict = if is_over {
            "OVER"
        } else if limit.is_some() {
            "ok"
        } else {
            ""
        };
        self.within &= !is_over;
        print(what, &show(git), &show(ours), &show(limit), verdict);
    }

    /// Prints what has to be known to read the rows.
    pub(crate) fn note(&self, words: &str) {
        println!("  {words}");
    }

    /// Prints why something could not be measured, which is a failure.
    pub(crate) fn not_measured(&mut self, what: &str, why: &dyn std::error::Error) {
        self.within = false;
        println!("{what}: NOT MEASURED: {why}");
    }

    /// Whether all was measured and no row was over its limit.
    pub(crate) fn is_within(&self) -> bool {
        self.within
    }
}

fn shown(figure: f64, unit: Unit) -> String {
    match unit {
        Unit::Bytes => thousands(figure as u64),
        Unit::Milliseconds => format!("{figure:.1} ms"),
        Unit::Seconds => format!("{figure:.2} s"),
        Unit::Trips => format!("{figure:.1}"),
        Unit::Count => format!("{figure:.0}"),
        Unit::Times => format!("{figure:.1} x"),
    }
}

fn print(what: &str, git: &str, ours: &str, limit: &str, verdict: &str) {
    println!("{what:<52}{git:>14}{ours:>14}{limit:>12}  {verdict}");
}
