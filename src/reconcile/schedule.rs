//! When to poll next: the interval with jitter, and after failures longer each time, by what kind of failure it is.
//!
//! Time is a duration from now and randomness an argument, so that a thousand devices that lose power together do not
//! come back together, and a test need not wait.

use std::time::Duration;

use crate::api::Class;

/// The longest wait after failures that time alone may mend.
const RETRY_CAP: Duration = Duration::from_secs(30 * 60);
/// The longest wait after failures that a person has to mend on the device or the hub.
const FIX_CAP: Duration = Duration::from_secs(60 * 60);

/// Counts failures in a row, and says how long to wait.
#[derive(Clone, Debug)]
pub struct Schedule {
    interval: Duration,
    failures: u32,
}

impl Schedule {
    /// A schedule around this interval.
    pub fn new(interval: Duration) -> Self {
        Self { interval, failures: 0 }
    }

    /// How long to wait after a tick that ended so; `random` is any 32 bits.
    ///
    /// A tick that ended well, or that refused what a publisher has to mend in git (the refusal costs one listing),
    /// waits the interval, give or take a tenth. Failures in a row double the wait, up to half an hour for the world's
    /// and an hour for those that a person has to mend; the wait is then any time in its upper half.
    pub fn next(&mut self, failure: Option<Class>, random: u32) -> Duration {
        let cap = match failure {
            None | Some(Class::FixManifest) => {
                self.failures = 0;
                let tenth = self.interval / 10;
                return self.interval - tenth + fraction(tenth * 2, random);
            }
            Some(Class::Retry) => RETRY_CAP,
            Some(Class::FixKeys | Class::FixConfig | Class::FixBoard | Class::Bug) => FIX_CAP,
        };
        let doubled = self.interval.saturating_mul(1_u32.checked_shl(self.failures).unwrap_or(u32::MAX));
        self.failures = self.failures.saturating_add(1);
        let wait = doubled.min(cap.max(self.interval));
        wait / 2 + fraction(wait / 2, random)
    }
}

/// A part of `whole`, from none to nearly all, as `random` says.
fn fraction(whole: Duration, random: u32) -> Duration {
    let nanos = (whole.as_nanos() * u128::from(random)) >> 32;
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_good_tick_waits_the_interval_give_or_take_a_tenth() {
        let mut schedule = Schedule::new(30 * SECOND);
        assert_eq!(schedule.next(None, 0), 27 * SECOND);
        assert!(schedule.next(None, u32::MAX) <= 33 * SECOND);
        assert_eq!(schedule.next(Some(Class::FixManifest), 1 << 31), 30 * SECOND);
    }

    #[test]
    fn failures_double_the_wait_up_to_the_cap_of_their_class() {
        let mut schedule = Schedule::new(30 * SECOND);
        let waits: Vec<_> = (0..8).map(|_| schedule.next(Some(Class::Retry), 0).as_secs()).collect();
        assert_eq!(waits, [15, 30, 60, 120, 240, 480, 900, 900]);
        for _ in 0..100 {
            assert!(schedule.next(Some(Class::FixKeys), u32::MAX) <= FIX_CAP);
        }
        schedule.next(None, 0);
        assert_eq!(schedule.next(Some(Class::Retry), 0), 15 * SECOND);
    }

    #[test]
    fn an_interval_beyond_the_cap_stays() {
        let mut schedule = Schedule::new(24 * 60 * 60 * SECOND);
        assert_eq!(schedule.next(Some(Class::Retry), 0), 12 * 60 * 60 * SECOND);
    }
}
