//! Whether the agents waited as the schedule promises.

use std::time::Duration;

use crate::{Result, journal::Journal, table};

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

/// The lowest and the highest.
fn range(values: &mut [f64]) -> String {
    values.sort_by(f64::total_cmp);
    match values {
        [] => "none".into(),
        [lowest, .., highest] => format!("{lowest:.2} to {highest:.2}"),
        [only] => format!("{only:.2}"),
    }
}
