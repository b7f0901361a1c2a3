//! How long a hub is waited for.

use std::time::{Duration, Instant};

use crate::api::{Error, Reason, Result};

/// As good as for ever, for arithmetic on clocks.
const A_YEAR: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// What is borne of one program at the hub: a silence, which every byte that moves ends, and all of an exchange of words,
/// so that an answer that trickles without end ends too; and of all that is asked for others, one end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    silence: Duration,
    whole: Duration,
    ends: Instant,
    visit: Option<Deadline>,
}

impl Patience {
    /// Bears this silence, and this of all of it.
    pub(super) fn new(silence: Duration, whole: Duration) -> Self {
        Self { silence, whole, ends: Instant::now() + whole.min(A_YEAR), visit: None }
    }

    /// Another exchange of words begins, of a visit that has an end of its own, if there is one.
    pub(super) fn begin(&mut self, silence: Duration, visit: Option<Deadline>) {
        *self = Self { visit, ..Self::new(silence, self.whole) };
    }

    /// Until when the next byte is waited for.
    pub(super) fn deadline(&self) -> Deadline {
        let silence = Deadline::after(self.silence);
        let whole = Deadline { at: self.ends, patience: self.whole, what: ENDLESS, cure: UP };
        let nearer = |one: Deadline, other: Deadline| if one.at <= other.at { one } else { other };
        nearer(self.visit.map_or(whole, |visit| nearer(visit, whole)), silence)
    }
}

const SILENT: &str = "was silent for";
const ENDLESS: &str = "was not done after";
const SLOW: &str = "was not done with what is carried for others after";
const UP: &str = "see that the hub and the network are up";
const LATER: &str = "what has passed stays, and the next poll goes on with the rest";

/// Until when something is waited for, and how long that is in all.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    at: Instant,
    patience: Duration,
    what: &'static str,
    cure: &'static str,
}

impl Deadline {
    /// A deadline at this time from now on; a year is as good as never.
    pub(super) fn after(patience: Duration) -> Self {
        let patience = patience.min(A_YEAR);
        Self { at: Instant::now() + patience, patience, what: SILENT, cure: UP }
    }

    /// The end of all that is asked for others, this time from now on.
    pub(super) fn of_visit(patience: Duration) -> Self {
        Self { what: SLOW, cure: LATER, ..Self::after(patience) }
    }

    /// Says so if it has passed.
    pub(super) fn check(&self) -> Result<()> {
        if self.left().is_zero() { Err(self.passed()) } else { Ok(()) }
    }

    /// The time that is left.
    pub(super) fn left(&self) -> Duration {
        self.at.saturating_duration_since(Instant::now())
    }

    /// That it has passed.
    pub(super) fn passed(&self) -> Error {
        let seconds = self.patience.as_secs_f32();
        Error::new(Reason::HubTimeout, format!("the hub {} {seconds} seconds", self.what)).hint(self.cure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(600);

    #[test]
    fn the_nearer_end_counts() {
        let silence = Patience::new(LONG, 2 * LONG).deadline().passed();
        assert_eq!(silence.to_string(), "the hub was silent for 600 seconds");
        let whole = Patience::new(2 * LONG, LONG).deadline().passed();
        assert_eq!(
            (whole.reason(), &*whole.to_string()),
            (Reason::HubTimeout, "the hub was not done after 600 seconds")
        );
    }

    #[test]
    fn an_exchange_that_begins_has_all_of_its_time_again() {
        let mut patience = Patience::new(LONG, Duration::ZERO);
        assert!(patience.deadline().left().is_zero());
        patience.whole = LONG;
        patience.begin(Duration::MAX, None);
        assert!(!patience.deadline().left().is_zero());
    }

    #[test]
    fn a_visit_ends_whatever_is_borne_of_each_exchange() {
        let mut patience = Patience::new(LONG, 2 * LONG);
        patience.begin(LONG, Some(Deadline::of_visit(Duration::ZERO)));
        let passed = patience.deadline().check().unwrap_err();
        assert_eq!(passed.to_string(), "the hub was not done with what is carried for others after 0 seconds");
        patience.begin(LONG, Some(Deadline::of_visit(2 * LONG)));
        assert_eq!(patience.deadline().passed().to_string(), "the hub was silent for 600 seconds");
        patience.begin(LONG, None);
        patience.deadline().check().unwrap();
    }
}
