//! When to poll next: the interval with jitter, after failures longer each time by what kind of failure it is, and
//! sooner where the board has something to say.
//!
//! Now is an argument and so is randomness, so that a thousand devices that lose power together do not come back
//! together, and a test need not wait.

use std::time::{Duration, Instant};

use crate::api::{Class, Exit, Reason};

/// The longest wait after failures that time alone may mend.
const RETRY_CAP: Duration = Duration::from_secs(30 * 60);
/// The longest wait after a connection was lost on which the hub would have told of changes.
const LOSS_CAP: Duration = Duration::from_secs(60);
/// The longest wait after failures that a person has to mend on the device or the hub.
const FIX_CAP: Duration = Duration::from_secs(60 * 60);

/// How long a machine has to be up for the start of its agent to be somebody's doing.
const BOOT: Duration = Duration::from_secs(5 * 60);

/// Knows when the next poll is due.
#[derive(Clone, Debug)]
pub struct Schedule {
    interval: Duration,
    failures: u32,
    poll_at: Instant,
    /// Whether the next poll was brought forward, and when the last one was that had been.
    is_hurried: bool,
    hurried_at: Option<Instant>,
}

impl Schedule {
    /// A schedule around this interval, whose first poll is due now.
    pub fn new(interval: Duration, now: Instant) -> Self {
        Self { interval, failures: 0, poll_at: now, is_hurried: false, hurried_at: None }
    }

    /// Puts the first poll off if the machine has just started itself, because then others may have, with the same power:
    /// to any time within `splay`, or within the interval where that is shorter, at which polls come in any case. Who
    /// starts the agent on a machine that is up is not kept waiting.
    pub fn splayed(self, splay: Duration, uptime: Duration, random: u32) -> Self {
        let most = if uptime < BOOT { splay.min(self.interval) } else { Duration::ZERO };
        Self { poll_at: self.poll_at + fraction(most, random), ..self }
    }

    /// When the next poll is due.
    pub fn poll_at(&self) -> Instant {
        self.poll_at
    }

    /// A poll ended now, by this failure or by none; `random` is any 32 bits.
    ///
    /// A poll that ended well, or that refused what a publisher has to mend in git (the refusal costs one listing), is
    /// followed by the next after the interval, give or take a tenth. Failures in a row double the wait, up to half an
    /// hour for the world's and an hour for those that a person has to mend; the wait is then any time in its upper
    /// half. A poll out of turn that fails leaves the next one where it was: asking often does not make the wait longer.
    pub fn polled(&mut self, now: Instant, failure: Option<Reason>, random: u32) {
        if std::mem::take(&mut self.is_hurried) {
            self.hurried_at = Some(now);
        }
        match failure.and_then(cap) {
            None => {
                self.failures = 0;
                let tenth = self.interval / 10;
                self.poll_at = now + (self.interval - tenth) + fraction(tenth * 2, random);
            }
            Some(_) if now < self.poll_at => {}
            Some(cap) => {
                let doubled = self.interval.saturating_mul(1_u32.checked_shl(self.failures).unwrap_or(u32::MAX));
                self.failures = self.failures.saturating_add(1);
                let wait = doubled.min(cap.max(self.interval));
                self.poll_at = now + wait / 2 + fraction(wait / 2, random);
            }
        }
    }

    /// The board shows something that the hub does not know yet: the next poll is brought forward to now, at most once
    /// in an interval. A hub that fails is not asked any sooner.
    pub fn news(&mut self, now: Instant) {
        let earliest = self.hurried_at.map_or(now, |last| now.max(last + self.interval));
        if self.failures == 0 && earliest < self.poll_at {
            self.poll_at = earliest;
            self.is_hurried = true;
        }
    }

    /// The connection is lost on which the hub would have told of changes: the next poll, which makes another, is brought
    /// forward to some time within the interval or a minute, whichever is shorter. All devices lose a hub at once.
    pub fn lost(&mut self, now: Instant, random: u32) {
        let soon = now + fraction(self.interval.min(LOSS_CAP), random);
        if self.failures == 0 {
            self.poll_at = self.poll_at.min(soon);
        }
    }
}

/// The longest wait after this failure; `None` where the interval is kept.
fn cap(failure: Reason) -> Option<Duration> {
    match (failure.class(), failure.exit()) {
        (Class::FixManifest, _) | (Class::FixKeys, Exit::No) => None,
        (Class::Retry, _) => Some(RETRY_CAP),
        (Class::FixKeys | Class::FixConfig | Class::FixBoard | Class::Bug, _) => Some(FIX_CAP),
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

    /// Polls when it is due, and says how long the next is to wait.
    fn poll(schedule: &mut Schedule, failure: Option<Reason>, random: u32) -> Duration {
        let now = schedule.poll_at();
        schedule.polled(now, failure, random);
        schedule.poll_at() - now
    }

    fn every(seconds: u32) -> (Schedule, Instant) {
        let now = Instant::now();
        (Schedule::new(seconds * SECOND, now), now)
    }

    #[test]
    fn a_good_poll_waits_the_interval_give_or_take_a_tenth() {
        let (mut schedule, now) = every(30);
        assert_eq!(schedule.poll_at(), now);
        assert_eq!(poll(&mut schedule, None, 0), 27 * SECOND);
        assert!(poll(&mut schedule, None, u32::MAX) <= 33 * SECOND);
    }

    #[test]
    fn a_machine_that_has_just_started_polls_at_any_time_within_the_splay_or_the_interval() {
        let wait = |splay: u32, uptime: Duration| {
            let (schedule, now) = every(100);
            schedule.splayed(splay * SECOND, uptime, 1 << 31).poll_at() - now
        };
        assert_eq!(wait(60, 20 * SECOND), 30 * SECOND);
        assert_eq!(wait(300, BOOT - SECOND), 50 * SECOND);
        assert_eq!(wait(0, 20 * SECOND), Duration::ZERO);
        assert_eq!(wait(60, BOOT), Duration::ZERO);
    }

    #[test]
    fn what_a_publisher_has_to_mend_is_looked_for_at_the_interval() {
        let (mut schedule, _) = every(30);
        for refusal in [Reason::UnsignedCommit, Reason::UntrustedKey, Reason::YamlSyntax, Reason::StatusRefMoved] {
            assert_eq!(poll(&mut schedule, Some(refusal), 1 << 31), 30 * SECOND, "{refusal}");
        }
    }

    #[test]
    fn failures_double_the_wait_up_to_the_cap_of_their_class() {
        let (mut schedule, _) = every(30);
        let waits: Vec<_> = (0..8).map(|_| poll(&mut schedule, Some(Reason::HubUnreachable), 0).as_secs()).collect();
        assert_eq!(waits, [15, 30, 60, 120, 240, 480, 900, 900]);
        for _ in 0..100 {
            assert!(poll(&mut schedule, Some(Reason::SshKeyRefused), u32::MAX) <= FIX_CAP);
        }
        poll(&mut schedule, None, 0);
        assert_eq!(poll(&mut schedule, Some(Reason::HubTimeout), 0), 15 * SECOND);
    }

    #[test]
    fn an_interval_beyond_the_cap_stays() {
        let (mut schedule, _) = every(24 * 60 * 60);
        assert_eq!(poll(&mut schedule, Some(Reason::HubTimeout), 0), 12 * 60 * 60 * SECOND);
    }

    #[test]
    fn a_poll_out_of_turn_helps_if_it_succeeds_and_does_no_harm_if_it_fails() {
        let (mut schedule, now) = every(30);
        poll(&mut schedule, Some(Reason::HubUnreachable), 0);
        let due = schedule.poll_at();
        for _ in 0..9 {
            schedule.polled(now + SECOND, Some(Reason::HubUnreachable), 0);
        }
        assert_eq!(schedule.poll_at(), due);
        assert_eq!(poll(&mut schedule, Some(Reason::HubUnreachable), 0), 30 * SECOND);
        schedule.polled(now + SECOND, None, 0);
        assert_eq!(schedule.poll_at(), now + 28 * SECOND);
    }

    #[test]
    fn news_is_told_at_once_but_not_more_than_once_in_an_interval() {
        let (mut schedule, now) = every(100);
        schedule.polled(now, None, 1 << 31);
        schedule.news(now + 10 * SECOND);
        assert_eq!(schedule.poll_at(), now + 10 * SECOND);
        schedule.polled(now + 10 * SECOND, None, u32::MAX);
        schedule.news(now + 20 * SECOND);
        assert_eq!(schedule.poll_at(), now + 110 * SECOND);
        schedule.polled(now + 110 * SECOND, None, 1 << 31);
        schedule.news(now + 120 * SECOND);
        assert_eq!(schedule.poll_at(), now + 210 * SECOND);
        schedule.polled(now + 210 * SECOND, None, 1 << 31);
        schedule.polled(now + 310 * SECOND, None, 1 << 31);
        schedule.news(now + 320 * SECOND);
        assert_eq!(schedule.poll_at(), now + 320 * SECOND);
    }

    #[test]
    fn a_connection_that_is_lost_is_made_again_soon_but_not_by_all_at_once() {
        let (mut schedule, now) = every(3600);
        schedule.polled(now, None, 1 << 31);
        schedule.lost(now, u32::MAX);
        assert!(schedule.poll_at() - now <= LOSS_CAP);
        schedule.lost(now, 1 << 31);
        assert_eq!(schedule.poll_at(), now + LOSS_CAP / 2);
        let (mut failing, _) = every(3600);
        poll(&mut failing, Some(Reason::HubUnreachable), 0);
        let due = failing.poll_at();
        failing.lost(due - SECOND * 1800, 0);
        assert_eq!(failing.poll_at(), due, "a hub that fails is not asked any sooner");
    }

    #[test]
    fn news_does_not_hammer_a_hub_that_fails() {
        let (mut schedule, _) = every(30);
        poll(&mut schedule, Some(Reason::HubUnreachable), 0);
        let due = schedule.poll_at();
        schedule.news(due - SECOND);
        assert_eq!(schedule.poll_at(), due);
    }
}
