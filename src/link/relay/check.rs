//! Whether the bundles that are there are still as they were written: a disk forgets, and a share is everybody's.
//!
//! The pack in a bundle ends with the digest of all before it, so nothing has to be kept for that, and one that somebody else
//! brought is looked through like any other. It tells damage, no malice: whoever can write the folder can take it away, too.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::BufReader,
    path::PathBuf,
};

use super::{hub::Visit, names, open, remove, shared_place};
use crate::{
    api::limits,
    codec::stick::{Paper, Place},
    git::{bundle, pack},
};

impl<'a> Visit<'a> {
    /// Looks through some of the bundles that count as there, in turn, or through all; takes away those that are damaged, and
    /// says where they were.
    pub(super) fn check_bundles(&mut self, all: bool) -> BTreeSet<PathBuf> {
        let places = self.places();
        let since = self.known.checked.take().filter(|_| !all);
        let (before, after): (Vec<_>, Vec<_>) = places.into_iter().partition(|(path, _)| Some(path) <= since.as_ref());
        let (mut bytes, mut damaged) = (0, BTreeSet::new());
        for (path, place) in after.into_iter().chain(before) {
            if bytes >= limits::RELAY_CHECK_BYTES && !all {
                break;
            }
            if let Some((size, is_sound)) = self.look_through(&place) {
                bytes += size;
                if !is_sound && self.take_away(&place) {
                    damaged.insert(path.clone());
                }
            }
            self.known.checked = Some(path);
        }
        damaged
    }

    /// Where bundles may be.
    fn places(&self) -> BTreeMap<PathBuf, Place<'a>> {
        let exchange = self.exchange;
        let own = self.relay.devices.iter().map(|device| Paper::Specs.place(exchange, device));
        let shared = names(&self.kept, exchange).unwrap_or_default();
        let shared = shared.iter().map(|name| shared_place(exchange, name));
        own.chain(shared).map(|place| (place.path(), place)).collect()
    }

    /// The size of a bundle that leads to the tip, and whether all of it is as it was written; `None` if it counts for nothing.
    fn look_through(&self, place: &Place<'_>) -> Option<(u64, bool)> {
        let source = open(&self.kept, place, Paper::Specs.most()).ok().flatten()?;
        let (size, mut source) = (source.size(), BufReader::new(source));
        let header = bundle::header(&mut source, [&*self.branch_ref]).ok()?;
        // What cannot be read is as good as damaged.
        (header.refs == [Some(self.tip)]).then(|| (size, pack::is_sound(&mut source).unwrap_or(false)))
    }

    fn take_away(&mut self, place: &Place<'_>) -> bool {
        match remove(&self.kept, place) {
            Ok(is_removed) => {
                log::warn!("relay: {} is damaged, and is made anew", place.path().display());
                is_removed
            }
            Err(error) => {
                self.passed.fail("relay", error);
                false
            }
        }
    }
}
