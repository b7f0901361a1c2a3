//! The table of figures, printed row by row as they are measured.

use std::fmt;

use crate::figures::thousands;

/// The rows so far: whether all are within their limits.
pub(crate) struct Table {
    within: bool,
}

impl Table {
    /// Prints the table's head.
    pub(crate) fn new() -> Self {
        print("STICK", "MEASURED", "LIMIT", "");
        Self { within: true }
    }

    /// Prints a number of bytes, and the most that it may be.
    pub(crate) fn bytes(&mut self, what: &str, bytes: u64, most: Option<u64>) {
        self.row(what, bytes as f64, &thousands(bytes), most.map(|most| (most as f64, thousands(most))));
    }

    /// Prints a ratio, or a time in seconds, and the most that it may be.
    pub(crate) fn number(&mut self, what: &str, number: f64, most: Option<f64>) {
        self.row(what, number, &format!("{number:.2}"), most.map(|most| (most, format!("{most:.2}"))));
    }

    /// Whether no row was over its limit.
    pub(crate) fn is_within(&self) -> bool {
        self.within
    }

    fn row(&mut self, what: &str, value: f64, shown: &str, limit: Option<(f64, String)>) {
        let verdict = match &limit {
            Some((most, _)) if value <= *most => "ok",
            Some(_) => "over",
            None => "",
        };
        self.within &= verdict != "over";
        print(what, shown, &limit.map(|(_, shown)| shown).unwrap_or_default(), verdict);
    }
}

fn print(what: &str, value: impl fmt::Display, limit: &str, verdict: &str) {
    println!("{what:<62}{value:>12}{limit:>13}  {verdict}");
}
