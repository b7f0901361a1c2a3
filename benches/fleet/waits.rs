//! Whether the agents waited as the schedule promises, and how that looks from the hub.

use std::time::Duration;

use crate::{Result, journal::Journal, table};

/// How many pieces an interval is cut into, to see whether polls come evenly.
const PIECES: usize = 10;

/// Checks every wait in the logs, and prints the spread of them.
pub(crate) fn check(journals: &[Journal], interval: Duration) -> Result<()> {
    let mut quiet = Vec::new();
    let mut failed: Vec<Vec<f64>> = Vec::new();
    for journal in journals {
        let mut row = 0_usize;
        for poll in &journal.polls {
            row = if poll.failure.is_some() { row + 1 } else { 0 };
            let (least, most) = match row {
                0 => (interval * 9 / 10, interval * 11 / 10),
                _ => (interval * (1 << (row - 1)) / 2, interval * (1 << (row - 1))),
            };
            // The log has whole seconds.
            if poll.wait + Duration::from_secs(1) < least || poll.wait > most {
                return Err(format!("after {row} failures an agent waits {:?}", poll.wait).into());
            }
            let wait = poll.wait.as_secs_f64() / interval.as_secs_f64();
            match row {
                0 => quiet.push(wait),
                _ => {
                    failed.resize_with(failed.len().max(row), Vec::new);
                    failed[row - 1].push(wait);
                }
            }
        }
    }
    table::figure("wait after a good poll, in intervals", range(&mut quiet));
    for (row, mut waits) in failed.into_iter().enumerate() {
        table::figure(&format!("wait after {} failures in a row", row + 1), range(&mut waits));
    }
    Ok(())
}

/// Prints how evenly the last polls of the fleet came: the fullest and the emptiest tenth of an interval, as a multiple
/// of the mean.
pub(crate) fn spread(journals: &[Journal], interval: Duration) {
    let last = journals.iter().filter_map(|journal| journal.polls.last()).map(|poll| poll.at).min();
    let Some(end) = last else { return };
    let mut counts = [0_usize; PIECES];
    for poll in journals.iter().flat_map(|journal| &journal.polls) {
        let ago = end.saturating_duration_since(poll.at);
        if poll.at <= end && ago < interval {
            counts[(ago.as_nanos() * PIECES as u128 / interval.as_nanos()) as usize] += 1;
        }
    }
    let mean = counts.iter().sum::<usize>() as f64 / PIECES as f64;
    let (least, most) =
        counts.iter().fold((usize::MAX, 0), |(least, most), count| (least.min(*count), most.max(*count)));
    let ratios = format!("{:.1} to {:.1}", least as f64 / mean, most as f64 / mean);
    table::figure("polls in a tenth of an interval, of their mean", ratios);
}

/// The lowest, the middle and the highest.
fn range(values: &mut [f64]) -> String {
    values.sort_by(f64::total_cmp);
    match values {
        [] => "none".into(),
        [lowest, .., highest] => format!("{lowest:.2} to {highest:.2}"),
        [only] => format!("{only:.2}"),
    }
}
