//! A fleet in simulated time: the schedule of every device is the real one, the hub is a word for each poll.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    ops::Range,
    time::{Duration, Instant},
};

use giter_edge::{api::Reason, reconcile::schedule::Schedule};

use crate::dice::Dice;

/// How the devices begin.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Start {
    /// They have polled for long, each at a time of its own.
    Settled,
    /// Their power comes back at one moment.
    WithPower,
    /// Their agents are started at one moment, on machines that were up.
    ByHand,
}

/// The devices that there are, and how they are configured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fleet {
    pub(crate) devices: usize,
    pub(crate) interval: Duration,
    pub(crate) start: Start,
}

impl Fleet {
    /// `link.splay` as it is without a configuration.
    const SPLAY: Duration = Duration::from_secs(300);

    /// Polls in a second when all is well.
    pub(crate) fn normal_rate(&self) -> f64 {
        self.devices as f64 / self.interval.as_secs_f64()
    }

    /// Lets them poll until a time. The hub says of each poll, by its time, whether it is answered.
    pub(crate) fn poll(&self, until: Duration, mut hub: impl FnMut(Duration) -> bool) -> Polls {
        let dice = &mut Dice::new(self.devices as u64);
        let begin = Instant::now();
        let mut schedules: Vec<_> = (0..self.devices).map(|_| self.schedule(begin, random(dice))).collect();
        let mut due: BinaryHeap<_> =
            schedules.iter().enumerate().map(|(id, one)| Reverse((one.poll_at(), id))).collect();
        let mut polls = Polls { fleet: *self, polls: Vec::new() };
        while let Some(Reverse((now, device))) = due.pop().filter(|Reverse((now, _))| *now < begin + until) {
            let at = now - begin;
            let is_answered = hub(at);
            polls.polls.push(Poll { at, device, is_answered });
            schedules[device].polled(now, (!is_answered).then_some(Reason::HubUnreachable), random(dice));
            due.push(Reverse((schedules[device].poll_at(), device)));
        }
        polls
    }

    fn schedule(&self, begin: Instant, random: u32) -> Schedule {
        let schedule = Schedule::new(self.interval, begin);
        match self.start {
            Start::Settled => {
                Schedule::new(self.interval, begin + self.interval.mul_f64(f64::from(random) / 2_f64.powi(32)))
            }
            Start::WithPower => schedule.splayed(Self::SPLAY, Duration::from_secs(20), random),
            Start::ByHand => schedule.splayed(Self::SPLAY, Duration::from_secs(20 * 24 * 60 * 60), random),
        }
    }
}

/// One poll.
struct Poll {
    at: Duration,
    device: usize,
    is_answered: bool,
}

/// All polls of a fleet, in their order.
pub(crate) struct Polls {
    fleet: Fleet,
    polls: Vec<Poll>,
}

impl Polls {
    /// The most polls that one device made in this time.
    pub(crate) fn most_of_one(&self, time: &Range<Duration>) -> usize {
        self.of_each(time, |_| true).into_iter().max().unwrap_or(0)
    }

    /// How many devices had an answer in this time.
    pub(crate) fn answered(&self, time: &Range<Duration>) -> usize {
        self.of_each(time, |poll| poll.is_answered).into_iter().filter(|polls| *polls > 0).count()
    }

    /// The highest and the lowest rate of polls in this time, taken over pieces as long as `piece`, as a multiple of the
    /// rate when all is well.
    pub(crate) fn rates(&self, time: &Range<Duration>, piece: Duration) -> Range<f64> {
        let pieces = ((time.end - time.start).as_nanos() / piece.as_nanos()) as usize;
        let mut counts = vec![0_u32; pieces];
        for poll in self.polls.iter().filter(|poll| time.contains(&poll.at)) {
            let piece = ((poll.at - time.start).as_nanos() / piece.as_nanos()) as usize;
            counts[piece.min(pieces - 1)] += 1;
        }
        let rate = |polls: Option<&u32>| f64::from(*polls.unwrap()) / piece.as_secs_f64() / self.fleet.normal_rate();
        rate(counts.iter().min())..rate(counts.iter().max())
    }

    fn of_each(&self, time: &Range<Duration>, counts: impl Fn(&Poll) -> bool) -> Vec<usize> {
        let mut polls = vec![0; self.fleet.devices];
        for poll in self.polls.iter().filter(|poll| time.contains(&poll.at) && counts(poll)) {
            polls[poll.device] += 1;
        }
        polls
    }
}

fn random(dice: &mut Dice) -> u32 {
    (dice.roll() >> 32) as u32
}
