//! What a fleet does to a hub that is away, that comes back, or that cannot serve all at once, in simulated time.
//!
//! Asserted is the shape of it, for 200 devices and for 10,000: how often each asks a hub that does not answer, when the
//! last one is back, how far the rate of polls exceeds that of a quiet day, and that the devices stay strangers.

#[path = "../sim/world/dice.rs"]
#[allow(dead_code, reason = "the stories need more of it")]
mod dice;
mod fleet;

use std::{ops::Range, time::Duration};

use fleet::{Fleet, Polls, Start};

const SECOND: Duration = Duration::from_secs(1);
const INTERVAL: Duration = Duration::from_secs(30);
const OUTAGE: Duration = Duration::from_secs(600);
/// Before an outage, and after the last one should be back.
const QUIET: Duration = Duration::from_secs(120);
/// The waits after failures double, so the last one is no longer than all before it twice, and one interval.
const LAST_BACK: Duration = Duration::from_secs(2 * OUTAGE.as_secs() + INTERVAL.as_secs());
/// The highest rate of polls at any time, as a multiple of that of a quiet day. It comes to two where a fleet meets an
/// outage: a poll that failed is repeated once before the next would have been due. The rest is chance.
const PEAK: f64 = 2.25;

fn fleets(start: Start) -> [Fleet; 2] {
    [200, 10_000].map(|devices| Fleet { devices, interval: INTERVAL, start })
}

/// A piece of time in which a fleet makes about a hundred polls, in whole seconds.
fn piece(fleet: &Fleet) -> Duration {
    (100.0 / fleet.normal_rate()).ceil() as u32 * SECOND
}

/// The polls of one device in an outage: each wait is at least half of what it may be, and what it may be doubles.
fn most_attempts() -> usize {
    let (mut attempts, mut elapsed, mut wait) = (1, INTERVAL / 2, INTERVAL);
    while elapsed <= OUTAGE {
        (attempts, elapsed, wait) = (attempts + 1, elapsed + wait, wait * 2);
    }
    attempts
}

/// A hub that is away for a time.
fn away(time: &Range<Duration>) -> impl FnMut(Duration) -> bool + use<> {
    let time = time.clone();
    move |at| !time.contains(&at)
}

/// A hub that answers as many polls in each second, and refuses the others.
fn overrun(most: usize) -> impl FnMut(Duration) -> bool {
    let (mut second, mut answered) = (0, 0);
    move |at| {
        if at.as_secs() != second {
            (second, answered) = (at.as_secs(), 0);
        }
        answered += 1;
        answered <= most
    }
}

/// After an outage that began at this time.
fn check_outage(fleet: &Fleet, begin: Duration) {
    let outage = begin..begin + OUTAGE;
    let back = outage.end..outage.end + LAST_BACK;
    let end = back.end + QUIET;
    let polls = fleet.poll(end, away(&outage));
    assert_eq!(polls.most_of_one(&outage), most_attempts(), "{fleet:?}");
    assert_eq!(polls.answered(&back), fleet.devices, "{fleet:?}");
    let soon = polls.answered(&(outage.end..outage.end + OUTAGE / 2));
    assert!(soon * 5 > fleet.devices * 4, "{fleet:?}: {soon}");
    let highest = polls.rates(&(Duration::ZERO..end), piece(fleet)).end;
    assert!(highest < PEAK, "{fleet:?}: {highest}");
    check_strangers(&polls, &(back.end..end), fleet);
}

/// That no moment is more popular than another.
fn check_strangers(polls: &Polls, time: &Range<Duration>, fleet: &Fleet) {
    let rates = polls.rates(time, piece(fleet));
    assert!(rates.start > 0.5 && rates.end < 1.5, "{fleet:?}: {rates:?}");
}

#[test]
fn a_hub_that_was_away_is_asked_seldom_and_everyone_is_back() {
    for fleet in fleets(Start::Settled) {
        check_outage(&fleet, QUIET);
    }
}

#[test]
fn a_hub_that_lost_its_power_with_the_fleet_and_comes_back_later_is_no_worse_off() {
    for fleet in fleets(Start::WithPower) {
        check_outage(&fleet, Duration::ZERO);
    }
}

#[test]
fn a_fleet_whose_power_comes_back_polls_as_on_a_quiet_day() {
    for fleet in fleets(Start::WithPower) {
        let polls = fleet.poll(QUIET, |_| true);
        assert_eq!(polls.answered(&(Duration::ZERO..INTERVAL)), fleet.devices);
        check_strangers(&polls, &(Duration::ZERO..QUIET), &fleet);
    }
}

/// The worst start there is: all in one second, at a hub that can do a quarter more than it has to.
#[test]
fn a_fleet_that_is_started_at_once_disperses_although_the_hub_refuses_most_of_it() {
    for fleet in fleets(Start::ByHand) {
        let calm = Duration::from_secs(600);
        let polls = fleet.poll(calm + QUIET, overrun((fleet.normal_rate() * 1.25) as usize));
        let first = polls.rates(&(Duration::ZERO..SECOND), SECOND).end;
        assert_eq!(first, INTERVAL.as_secs_f64(), "all of them");
        let after = polls.rates(&(SECOND..calm), piece(&fleet)).end;
        assert!(after < PEAK, "{fleet:?}: {after}");
        assert_eq!(polls.answered(&(Duration::ZERO..calm)), fleet.devices);
        check_strangers(&polls, &(calm..calm + QUIET), &fleet);
    }
}
