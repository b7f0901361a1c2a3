//! What is wrong with a manifest, and where.

use std::fmt;

use super::{Error, Reason, limits};

/// One thing that is wrong in the exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Why it is refused.
    pub reason: Reason,
    /// The file, as its path in the exchange.
    pub path: String,
    /// Line and column, from 1; `None` where the file as a whole is meant.
    pub at: Option<(u32, u32)>,
    /// The field's path, such as `spec.mode`; empty where no field is meant.
    pub field: String,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)?;
        if let Some((line, column)) = self.at {
            write!(f, ":{line}:{column}")?;
        }
        if !self.field.is_empty() {
            write!(f, ": {}", self.field)?;
        }
        write!(f, ": {}", self.message)
    }
}

/// All that is wrong with a snapshot, in the order in which it was read: never empty, at most
/// [`limits::FINDINGS`], the rest counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    list: Vec<Finding>,
    more: usize,
}

impl Findings {
    /// Adds one.
    pub fn push(&mut self, finding: Finding) {
        if self.list.len() < limits::FINDINGS {
            self.list.push(finding);
        } else {
            self.more += 1;
        }
    }

    /// Adds all of another.
    pub fn append(&mut self, other: Findings) {
        self.more += other.more;
        other.list.into_iter().for_each(|finding| self.push(finding));
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Those that are kept.
    pub fn iter(&self) -> std::slice::Iter<'_, Finding> {
        self.list.iter()
    }

    /// How many are not kept.
    pub fn more(&self) -> usize {
        self.more
    }

    /// `value` if nothing is wrong, else the findings.
    ///
    /// # Errors
    ///
    /// The findings, if there are any.
    pub fn or<T>(self, value: T) -> Result<T, Findings> {
        if self.is_empty() { Ok(value) } else { Err(self) }
    }
}

impl From<Finding> for Findings {
    fn from(finding: Finding) -> Self {
        Self { list: vec![finding], more: 0 }
    }
}

impl From<Findings> for Error {
    fn from(findings: Findings) -> Self {
        let rest = findings.list.len().saturating_sub(1) + findings.more;
        let Some(first) = findings.list.into_iter().next() else {
            return Error::new(Reason::Bug, "a snapshot was refused without a finding");
        };
        let mut what = first.to_string();
        if rest > 0 {
            what.push_str(&format!(" (and {rest} more)"));
        }
        Error::new(first.reason, what).hint(cure(first.reason))
    }
}

/// What to do about the findings that begin with one of this reason: what `lint` would have found, it is to find.
const fn cure(reason: Reason) -> &'static str {
    match reason {
        Reason::PathNotAllowed => "move the file below one of the device's files.roots, or add its folder there",
        Reason::UnknownOwner => "create that user or group on the device, or let the manifest name another",
        Reason::DeviceNotFound => "push the device's folder, or correct 'device' in its configuration",
        Reason::UnknownLine | Reason::UnknownLed => "'giterctl lint --board NAME' knows what the board has",
        _ => "run 'giterctl lint' on the exchange before pushing",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(line: u32) -> Finding {
        Finding {
            reason: Reason::InvalidValue,
            path: "specs/pump-07/motd.yaml".into(),
            at: Some((line, 9)),
            field: "spec.mode".into(),
            message: "wrong".into(),
        }
    }

    #[test]
    fn a_finding_says_where() {
        assert_eq!(finding(7).to_string(), "specs/pump-07/motd.yaml:7:9: spec.mode: wrong");
    }

    #[test]
    fn what_lint_cannot_find_has_another_cure() {
        let hint = |reason| {
            let error = Error::from(Findings::from(Finding { reason, ..finding(7) }));
            error.get_hint().unwrap_or_default().to_owned()
        };
        assert!(hint(Reason::InvalidValue).contains("giterctl lint' on"));
        assert!(hint(Reason::UnknownLine).contains("lint --board"));
        assert!(hint(Reason::PathNotAllowed).contains("files.roots"));
        for reason in [Reason::UnknownOwner, Reason::DeviceNotFound] {
            assert!(!hint(reason).contains("lint"), "{reason}");
        }
    }

    #[test]
    fn findings_are_bounded_and_the_rest_is_counted() {
        let mut findings = Findings::default();
        (0..limits::FINDINGS as u32 + 5).for_each(|line| findings.push(finding(line)));
        assert_eq!((findings.iter().count(), findings.more()), (limits::FINDINGS, 5));
        let error = Error::from(findings);
        assert_eq!(error.reason(), Reason::InvalidValue);
        assert!(error.to_string().ends_with("wrong (and 36 more)"), "{error}");
    }
}
