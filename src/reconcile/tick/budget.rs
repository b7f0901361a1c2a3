//! What statuses may cost: how soon one may follow another, and how many bytes a day they may take.
//!
//! A part of a day's bytes is in hand at the start, and no more can ever be; the rest comes in evenly over a day of uptime.
//! So no 24 hours take more than the budget, whatever the wall clock says and however often the board restarts: the
//! record has what was spent before a push goes out. The last bytes are for errors, and heartbeats go first.

use super::Moment;
use crate::api::{ledger::Pushes, limits};

/// What a status is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Worth {
    /// It says that the device is there.
    Heartbeat,
    /// Something is another.
    Change,
    /// Something is wrong.
    Error,
}

/// The bytes for statuses at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Purse {
    /// What a day may take.
    pub(super) day: u64,
    /// What was spent, and has not come back.
    pub(super) spent: u64,
}

const DAY: u64 = 24 * 60 * 60;

impl Purse {
    /// What is left of what was spent, now.
    pub(super) fn now(day: u64, pushes: Option<&Pushes>, now: Moment) -> Self {
        let spent = pushes.map_or(0, |pushes| {
            let back =
                u128::from(since(pushes, now)) * u128::from(day - Self { day, spent: 0 }.most()) / u128::from(DAY);
            pushes.spent.saturating_sub(u64::try_from(back).unwrap_or(u64::MAX))
        });
        Self { day, spent }
    }

    /// The most that can be in hand.
    fn most(self) -> u64 {
        self.day / limits::BUDGET_IN_HAND
    }

    /// The bytes in hand.
    pub(super) fn in_hand(self) -> u64 {
        self.most().saturating_sub(self.spent)
    }

    /// Whether something of this worth may take so many bytes. What is larger than all that can be in hand goes when
    /// nothing is owed, and is owed then.
    pub(super) fn allows(self, bytes: u64, worth: Worth) -> bool {
        self.spent == 0 || self.in_hand() >= bytes.saturating_add(self.reserve(worth))
    }

    /// What something of this worth has to leave.
    pub(super) fn reserve(self, worth: Worth) -> u64 {
        match worth {
            Worth::Heartbeat => self.most() / limits::HEARTBEAT_RESERVE,
            Worth::Change => self.most() / limits::ERROR_RESERVE,
            Worth::Error => 0,
        }
    }
}

/// The seconds since the last push that are known to have passed: after a restart of the board, those since then.
pub(super) fn since(pushes: &Pushes, now: Moment) -> u64 {
    if pushes.boot_id == now.boot_id { now.uptime.saturating_sub(pushes.uptime) } else { now.uptime }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(boot: u8, uptime: u64) -> Moment {
        Moment { time: 0, uptime, boot_id: [boot; 16] }
    }

    fn pushed(at: Moment, spent: u64) -> Pushes {
        Pushes { boot_id: at.boot_id, uptime: at.uptime, spent, appended: None }
    }

    /// Pushes whenever it may, once in `every` seconds; when it did.
    fn greedy(day: u64, bytes: u64, every: u64, worth: Worth, moments: impl Iterator<Item = Moment>) -> Vec<u64> {
        let (mut pushes, mut times, mut total) = (None, Vec::new(), 0);
        for now in moments {
            total += every;
            let purse = Purse::now(day, pushes.as_ref(), now);
            if purse.allows(bytes, worth) {
                times.push(total);
                pushes = Some(pushed(now, purse.spent + bytes));
            }
        }
        times
    }

    #[test]
    fn no_day_takes_more_than_the_budget() {
        for worth in [Worth::Heartbeat, Worth::Change, Worth::Error] {
            let times = greedy(64_000, 1_000, 10, worth, (0..3 * 8640).map(|n| at(1, n * 10)));
            let most = (0..times.len()).map(|n| times[n..].iter().filter(|at| **at < times[n] + DAY).count()).max();
            assert!((33..=64).contains(&most.unwrap()), "{worth:?}: {most:?}");
        }
    }

    #[test]
    fn restarts_bring_nothing_back() {
        let once = greedy(64_000, 1_000, 300, Worth::Error, (0..288).map(|n| at(1, n * 300)));
        // The board starts anew every five minutes, and pushes a minute after that.
        let often = greedy(64_000, 1_000, 300, Worth::Error, (0..288).map(|n| at(n as u8, 60)));
        assert!(often.len() < once.len(), "{} and {}", often.len(), once.len());
    }

    #[test]
    fn heartbeats_go_first_and_errors_last() {
        let purse = |spent| Purse { day: 80_000, spent };
        let allowed =
            |spent| [Worth::Heartbeat, Worth::Change, Worth::Error].map(|worth| purse(spent).allows(1_000, worth));
        assert_eq!(allowed(0), [true, true, true]);
        assert_eq!(allowed(19_001), [false, true, true]);
        assert_eq!(allowed(29_001), [false, false, true]);
        assert_eq!(allowed(39_001), [false, false, false]);
    }

    #[test]
    fn what_is_larger_than_the_purse_goes_once_and_is_paid_for() {
        let times = greedy(1_000, 10_000, 3600, Worth::Change, (0..24 * 40).map(|n| at(1, n * 3600)));
        assert_eq!(times.len(), 2, "{times:?}");
    }

    #[test]
    fn a_clock_that_went_back_brings_nothing() {
        assert_eq!(Purse::now(1_000, Some(&pushed(at(1, 500), 300)), at(1, 400)).spent, 300);
        assert_eq!(Purse::now(u64::MAX, Some(&pushed(at(1, 0), 300)), at(1, u64::MAX)).spent, 0);
    }
}
