//! What a gateway knows from one visit of the hub to the next. It may be lost: that costs work, and changes nothing.

use std::{collections::BTreeMap, path::PathBuf, time::Instant};

use crate::{api::limits, link::stick::medium::Stamp, reconcile::relay::served::Served};

/// What is known since the start.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// What was done for devices and could not be written beside what is carried, by where it belongs.
    pub unwritten: BTreeMap<PathBuf, Served>,
    /// The bundle that was looked through last.
    pub(super) checked: Option<PathBuf>,
    digests: BTreeMap<PathBuf, Seen>,
}

/// A file of which the digest was taken.
#[derive(Clone, Debug)]
struct Seen {
    stamp: Stamp,
    /// When the file was met first with that.
    met: Instant,
    digest: String,
    /// Whether it has another stamp, should it be another since the digest was taken.
    is_settled: bool,
}

impl Known {
    /// The digest of a file with this stamp, which is to be `read` where that is not known for sure: until the stamp has
    /// stayed for longer than clocks of file systems are coarse.
    pub(super) fn digest(
        &mut self,
        path: PathBuf,
        stamp: Stamp,
        now: Instant,
        read: impl FnOnce() -> Option<String>,
    ) -> Option<String> {
        let seen = self.digests.remove(&path).filter(|seen| seen.stamp == stamp);
        let met = seen.as_ref().map_or(now, |seen| seen.met);
        let seen = match seen.filter(|seen| seen.is_settled) {
            Some(seen) => seen,
            None => {
                let is_settled = now.saturating_duration_since(met) >= limits::STAMP_SETTLES;
                Seen { stamp, met, digest: read()?, is_settled }
            }
        };
        Some(self.digests.entry(path).insert_entry(seen).get().digest.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_again_until_its_stamp_has_settled_and_when_it_changes() {
        let (mut known, begin) = (Known::default(), Instant::now());
        let [first, second] = [1, 2].map(|size| Stamp { size, ..Stamp::default() });
        let mut look = |stamp, settles: u32, content: &str| {
            let now = begin + limits::STAMP_SETTLES * settles / 2;
            known.digest("x".into(), stamp, now, || Some(content.to_owned())).unwrap()
        };
        assert_eq!(look(first, 0, "one"), "one");
        assert_eq!(look(first, 1, "two"), "two", "the clock may have stood still between");
        assert_eq!(look(first, 2, "three"), "three");
        assert_eq!(look(first, 3, "not read"), "three");
        assert_eq!(look(second, 3, "four"), "four");
        assert_eq!(look(second, 4, "five"), "five");
        assert_eq!(look(second, 5, "six"), "six");
        assert_eq!(look(second, 9, "not read"), "six");
        assert_eq!(known.digest("x".into(), first, begin, || None), None);
        assert_eq!(known.digest("x".into(), second, begin, || Some("seven".into())).unwrap(), "seven");
    }
}
