//! What the pusher reads: a verdict on each ref, in few lines, in which nothing moves a terminal's cursor.

use giter_edge::{
    api::{Error, Findings, limits},
    cli,
};

/// Why a ref is refused.
pub(super) struct Refusal {
    error: Error,
    /// Lines about parts of it.
    details: Vec<String>,
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self { error, details: Vec::new() }
    }
}

impl From<Findings> for Refusal {
    fn from(findings: Findings) -> Self {
        let mut details: Vec<_> = findings.iter().map(|finding| format!("{finding} [{}]", finding.reason)).collect();
        if findings.more() > 0 {
            details.push(format!("and {} more", findings.more()));
        }
        Self { error: findings.into(), details }
    }
}

/// The verdicts on the refs of a push.
#[derive(Default)]
pub(super) struct Report {
    accepted: Vec<String>,
    refused: Vec<String>,
}

impl Report {
    /// Takes the verdict on a ref.
    pub(super) fn add(&mut self, name: &str, verdict: Result<(), Refusal>) {
        match verdict {
            Ok(()) => self.accepted.push(format!("nothing against {name}")),
            Err(Refusal { error, details }) => {
                self.refused.push(format!("refused {name}: {}", error.one_line()));
                // The first one is the error itself.
                self.refused.extend(details.into_iter().skip(1).map(|detail| format!("  {detail}")));
                self.refused.extend(error.get_hint().map(|hint| format!("hint: {hint}")));
                self.refused.push(format!("reason: {}", error.reason()));
            }
        }
    }

    /// Says what is refused, if anything is; true if nothing is.
    pub(super) fn say(self) -> bool {
        if self.refused.is_empty() {
            return true;
        }
        let mut lines = [self.refused, self.accepted].concat();
        let more = lines.len().saturating_sub(limits::HOOK_LINES);
        if more > 0 {
            lines.truncate(limits::HOOK_LINES - 1);
            lines.push(format!("and {} lines more", more + 1));
        }
        cli::talk(lines.iter().map(|line| shown(line)).collect::<Vec<_>>().join("\n"));
        false
    }
}

/// A line as a terminal may have it. Besides control characters, those are replaced that turn the direction of text.
fn shown(line: &str) -> String {
    let is_odd = |c: char| {
        c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let mut shown = line.replace(is_odd, "\u{fffd}");
    if shown.len() > limits::HOOK_LINE_BYTES {
        shown.truncate(shown.floor_char_boundary(limits::HOOK_LINE_BYTES));
        shown.push_str("...");
    }
    shown
}

#[cfg(test)]
mod tests {
    use giter_edge::api::Reason;

    use super::*;

    #[test]
    fn lines_are_plain_and_bounded() {
        assert_eq!(shown("a\u{1b}[31m\r\u{202e}b"), "a\u{fffd}[31m\u{fffd}\u{fffd}b");
        let long = "ä".repeat(limits::HOOK_LINE_BYTES);
        assert!(shown(&long).len() <= limits::HOOK_LINE_BYTES + 3);
    }

    #[test]
    fn refusals_stand_before_the_rest() {
        let mut report = Report::default();
        report.add("a", Ok(()));
        report.add("b", Err(Error::new(Reason::Bug, "odd").hint("look").into()));
        assert_eq!(report.refused, ["refused b: odd", "hint: look", "reason: Bug"]);
        assert_eq!(report.accepted, ["nothing against a"]);
        assert!(!report.say());
        assert!(Report::default().say());
    }
}
