//! The way by stick: papers go from a stick into the gateway's folder, and from there to a stick.

use std::{collections::BTreeMap, io};

use super::{
    Copy, Hashing, Kind, Passed, Relay, names, notes_place, open, papers, put, read_notes, remove, shared_place, size,
    too_full, write_notes,
};
use crate::{
    api::{Error, Reason, Result, limits},
    codec::stick::{Place, SHARED},
    link::stick::medium::Folder,
    reconcile::relay::{self, Memory, Order, Way},
};

/// What the file is called in which the gateway remembers what it has met, after the device's name.
const MEMORY: &str = ".met";

impl Relay {
    /// Lets everything pass between a stick and the gateway's folder. What cannot pass stays where it is, and keeps nothing
    /// else back.
    pub fn pass(&self, stick: &Folder, exchange: &str) -> Passed {
        let mut passed = Passed::default();
        if let Err(error) = self.pass_all(stick, exchange, &mut passed) {
            passed.fail("relay", error);
        }
        passed
    }

    fn pass_all(&self, stick: &Folder, exchange: &str, passed: &mut Passed) -> Result<()> {
        let kept = self.open()?;
        let used = self.kept(exchange)?.1;
        let mut passing = Passing { relay: self, exchange, stick, kept, used, passed };
        for device in &self.devices {
            passing.with_memory(&notes_place(exchange, device, MEMORY), |passing, memory| {
                for (paper, place) in papers(exchange, device) {
                    passing.paper(Kind::Own(paper, device), &place, memory);
                }
            });
        }
        passing.with_memory(&shared_place(exchange, &format!("{SHARED}{MEMORY}")), Passing::shared);
        Ok(())
    }
}

/// One visit.
struct Passing<'a> {
    relay: &'a Relay,
    exchange: &'a str,
    stick: &'a Folder,
    kept: Folder,
    /// The bytes that are kept.
    used: u64,
    passed: &'a mut Passed,
}

impl Passing<'_> {
    /// Does something with what the gateway remembers in this place, and writes what it remembers then.
    fn with_memory(&mut self, place: &Place<'_>, then: impl FnOnce(&mut Self, &mut Memory)) {
        let text = read_notes(&self.kept, place, limits::RELAY_MEMORY_BYTES).unwrap_or_else(|error| {
            self.passed.fail(&place.path().display().to_string(), error);
            String::new()
        });
        let before = Memory::read(&text);
        let mut memory = before.clone();
        then(self, &mut memory);
        if memory != before
            && let Err(error) = write_notes(&self.kept, place, &memory.write())
        {
            self.passed.fail("relay", error);
        }
    }

    /// Lets one paper pass, whichever way it goes.
    fn paper(&mut self, kind: Kind<'_>, place: &Place<'_>, memory: &mut Memory) {
        let stick = self.relay.look(self.stick, kind, place);
        self.seen(stick, kind, place, memory);
    }

    /// The same, of what was seen on the stick.
    fn seen(&mut self, stick: Result<Option<Copy>>, kind: Kind<'_>, place: &Place<'_>, memory: &mut Memory) {
        let path = place.path();
        let stick = match stick {
            Ok(stick) => stick,
            Err(error) => return self.passed.fail(&path.display().to_string(), error),
        };
        // What a device left there in pieces is no reason to keep anything from it.
        let kept = self.relay.look(&self.kept, kind, place).unwrap_or_else(|error| {
            self.passed.fail(&format!("kept {}", path.display()), error);
            None
        });
        let order = || match (stick.as_ref().and_then(|copy| copy.statuses.as_ref()), kept.as_ref()) {
            (Some(stick), Some(Copy { statuses: Some(kept), .. })) => relay::order(stick, kept),
            _ => Order::Later,
        };
        let digest = |copy: &Option<Copy>| copy.as_ref().map(|copy| copy.digest.clone());
        let way = relay::way(digest(&stick).as_deref(), digest(&kept).as_deref(), memory, order);
        let moved = match (way, &stick, &kept) {
            (Way::Taken, Some(new), old) => self.take(place, new, old.as_ref()),
            (Way::Given, _, Some(kept)) => self.give(place, kept),
            (_, Some(stick), Some(kept)) if stick.digest != kept.digest => {
                log::warn!("{}: neither of two copies goes on from the other; what is kept goes first", path.display());
                return;
            }
            _ => Ok(()),
        };
        match moved {
            Ok(()) => {
                stick.iter().chain(&kept).for_each(|copy| memory.meet(&copy.digest, false));
                kept.iter().filter(|_| way == Way::Given).for_each(|copy| memory.meet(&copy.digest, true));
            }
            Err(error) => self.passed.fail(&path.display().to_string(), error),
        }
    }

    /// The bundles for several devices: those of a stick with something new among them take the place of all that are kept.
    fn shared(&mut self, memory: &mut Memory) {
        let (there, here) = match (names(self.stick, self.exchange), names(&self.kept, self.exchange)) {
            (Ok(there), Ok(here)) => (there, here),
            (Err(error), _) | (_, Err(error)) => return self.passed.fail("relay", error),
        };
        let exchange = self.exchange;
        let look = |name: &String| self.relay.look(self.stick, Kind::Shared, &shared_place(exchange, name));
        let mut looked: BTreeMap<&String, _> = there.iter().map(|name| (name, look(name))).collect();
        let is_new = |copy: &Copy| !memory.has_met(&copy.digest);
        let brings_news = looked.values().flatten().flatten().any(is_new);
        for name in here.iter().filter(|name| brings_news && !there.contains(name)) {
            let place = shared_place(exchange, name);
            let freed = size(&self.kept, &place);
            match remove(&self.kept, &place) {
                Ok(_) => self.used = self.used.saturating_sub(freed),
                Err(error) => self.passed.fail("relay", error),
            }
        }
        for name in if brings_news { &there } else { &here } {
            let place = shared_place(exchange, name);
            match looked.remove(name) {
                Some(copy) => self.seen(copy, Kind::Shared, &place, memory),
                None => self.paper(Kind::Shared, &place, memory),
            }
        }
    }

    fn take(&mut self, place: &Place<'_>, new: &Copy, old: Option<&Copy>) -> Result<()> {
        let used = self.used.saturating_sub(old.map_or(0, |old| old.bytes)) + new.bytes;
        if used > self.relay.bytes {
            return Err(too_full(self.relay));
        }
        copy(self.stick, &self.kept, place, new)
            .map_err(|e| Error::io(Reason::StateFailed, format!("cannot keep {}", place.path().display()), e))?;
        self.used = used;
        self.passed.took.push(place.path());
        Ok(())
    }

    fn give(&mut self, place: &Place<'_>, kept: &Copy) -> Result<()> {
        let what = || format!("cannot write {} to the stick", place.path().display());
        copy(&self.kept, self.stick, place, kept).map_err(|e| Error::io(Reason::StickFailed, what(), e))?;
        self.passed.gave.push(place.path());
        Ok(())
    }
}

/// Replaces the file at one place by that at the other, if that is still what was looked at.
fn copy(from: &Folder, to: &Folder, place: &Place<'_>, seen: &Copy) -> io::Result<()> {
    let gone = || io::Error::other("it is gone, or was changed meanwhile");
    let source = open(from, place, seen.bytes).map_err(io::Error::other)?.ok_or_else(gone)?;
    put(to, place, |file| {
        let (digest, _) = Hashing::of(source).finish(file)?;
        if digest == seen.digest { Ok(()) } else { Err(gone()) }
    })
}
