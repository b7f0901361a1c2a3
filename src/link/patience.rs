//! How long a hub is waited for.

use std::time::{Duration, Instant};

use crate::api::{Error, Reason};

/// As good as for ever, for arithmetic on clocks.
const A_YEAR: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// What is borne of one program at the hub: a silence, which every byte that moves ends, and all of an exchange of words,
/// so that an answer that trickles without end ends too.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    silence: Duration,
    whole: Duration,
    ends: Instant,
}

impl Patience {
    /// Bears this silence, and this of all of it.
    pub(super) fn new(silence: Duration, whole: Duration) -> Self {
        Self { silence, whole, ends: Instant::now() + whole.min(A_YEAR) }
    }

    /// Another exchange of words begins.
    pub(super) fn begin(&mut self, silence: Duration) {
        *self = Self::new(silence, self.whole);
    }

    /// Until when the next byte is waited for.
    pub(super) fn deadline(&self) -> Deadline {
        let silence = Deadline::after(self.silence);
        if silence.at < self.ends { silence } else { Deadline { at: self.ends, patience: self.whole, what: ENDLESS } }
    }
}

const SILENT: &str = "was silent for";
const ENDLESS: &str = "was not done after";

/// Until when something is waited for, and how long that is in all.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline {
    at: Instant,
    patience: Duration,
    what: &'static str,
}

impl Deadline {
    /// A deadline at this time from now on; a year is as good as never.
    pub(super) fn after(patience: Duration) -> Self {
        let patience = patience.min(A_YEAR);
        Self { at: Instant::now() + patience, patience, what: SILENT }
    }

    /// The time that is left.
    pub(super) fn left(&self) -> Duration {
        self.at.saturating_duration_since(Instant::now())
    }

    /// That it has passed.
    pub(super) fn passed(&self) -> Error {
        let seconds = self.patience.as_secs_f32();
        Error::new(Reason::HubTimeout, format!("the hub {} {seconds} seconds", self.what))
            .hint("see that the hub and the network are up")
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
        patience.begin(Duration::MAX);
        assert!(!patience.deadline().left().is_zero());
    }
}
