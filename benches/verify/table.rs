//! The table of figures, printed row by row as they are measured.

use std::fmt;

/// The rows so far: whether all are within their limits.
pub(crate) struct Table {
    within: bool,
}

impl Table {
    /// Prints the table's head.
    pub(crate) fn new() -> Self {
        print("VERIFY", "MEASURED", "LIMIT", "");
        Self { within: true }
    }

    /// Prints a ratio, and the most that it may be.
    pub(crate) fn ratio(&mut self, what: &str, ratio: f64, limit: Option<f64>) {
        let limit = limit.map(|most| (most, format!("{most:.2}")));
        self.row(what, ratio, &format!("{ratio:.2}"), limit);
    }

    /// Prints a number of bytes, and the most that it may be.
    pub(crate) fn bytes(&mut self, what: &str, bytes: u64, limit: Option<u64>) {
        let limit = limit.map(|most| (most as f64, most.to_string()));
        self.row(what, bytes as f64, &bytes.to_string(), limit);
    }

    /// Whether no row was over its limit.
    pub(crate) fn is_within(&self) -> bool {
        self.within
    }

    fn row(&mut self, what: &str, value: f64, shown: &str, limit: Option<(f64, String)>) {
        let verdict = match limit {
            Some((most, _)) if value <= most => "ok",
            Some(_) => "over",
            None => "",
        };
        self.within &= verdict != "over";
        print(what, shown, &limit.map(|(_, shown)| shown).unwrap_or_default(), verdict);
    }
}

fn print(what: &str, value: impl fmt::Display, limit: &str, verdict: &str) {
    println!("{what:<46}{value:>12}{limit:>10}  {verdict}");
}
