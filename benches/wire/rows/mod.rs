//! The rows, in parts that can be measured each by itself.

mod disk;
mod lines;
mod polls;
mod program;
mod status;
mod syncs;

use crate::{Options, Result, figures::median, table::Table, world::World};

/// Measures a part.
type Part = fn(&World, &mut Table, &Options) -> Result<()>;

/// The parts in their order. The last one leaves the hub full of statuses.
pub(crate) const PARTS: [(&str, Part); 12] = [
    ("size", program::size),
    ("first", syncs::first),
    ("poll", polls::cold),
    ("held", polls::held),
    ("change", syncs::change),
    ("away", syncs::away),
    ("memory", program::memory),
    ("forks", program::forks),
    ("disk", disk::change),
    ("cycles", disk::cycles),
    ("lines", lines::times),
    ("status", status::many),
];

/// The median of what several turns yield.
fn median_of<T: PartialOrd + Copy>(turns: usize, mut turn: impl FnMut() -> Result<T>) -> Result<T> {
    Ok(median((0..turns).map(|_| turn()).collect::<Result<Vec<_>>>()?))
}
