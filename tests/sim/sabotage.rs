//! Broken parts, each of which must be found out: an invariant that nothing can break would prove nothing.

use std::io::Read;

use giter_edge::{
    api::{
        DeviceId, Oid, Result,
        board::Level::High,
        ledger::{Generation, LastStatus, Record},
    },
    reconcile::ports::{Ledger, Object, Objects, Quarantine, Store},
};

use crate::{
    faults::first_broken,
    publisher::Wish::{File, Line},
    run::{Parts, Run, Workshop, sound_parts},
    world::{Shared, ledger::SimLedger, store::SimStore},
};

fn story(run: &mut Run) {
    run.publish(&[File("motd", "/etc/motd", "hello"), Line("pump", "GPIO17", High)]);
    run.tick();
    run.publish(&[File("motd", "/etc/motd", "good morning")]);
    run.tick();
    run.publish(&[File("motd", "/etc/motd", "good evening")]);
    run.tick();
}

/// Asserts that the story breaks one of these invariants.
fn is_found_out(world: fn() -> Shared, workshop: Workshop, invariants: &[&str]) {
    let broken = first_broken(world, workshop, &story).expect("the sabotage was not noticed");
    let named = invariants.iter().any(|invariant| broken.why.contains(&format!("{invariant}: ")));
    assert!(named, "not one of {invariants:?}: {}", broken.why);
}

#[test]
fn without_sabotage_nothing_is_found() {
    assert!(first_broken(Shared::new, sound_parts, &story).is_none());
}

#[test]
fn an_fsync_that_does_nothing() {
    let lying_disk = || {
        let world = Shared::new();
        world.get().disk.syncs = false;
        world
    };
    is_found_out(lying_disk, sound_parts, &["durable"]);
}

/// Writes each record only when the next one comes.
struct Late {
    inner: SimLedger,
    waiting: Option<Record>,
}

impl Ledger for Late {
    fn load(&mut self) -> Result<Record> {
        self.inner.load()
    }

    fn save(&mut self, record: &Record) -> Result<()> {
        match self.waiting.replace(record.clone()) {
            Some(waiting) => self.inner.save(&waiting),
            None => Ok(()),
        }
    }
}

#[test]
fn a_record_that_is_written_too_late() {
    let late = |world: &Shared| {
        let ledger = Late { inner: SimLedger::new(world), waiting: None };
        Parts { ledger: Box::new(ledger), ..sound_parts(world) }
    };
    is_found_out(Shared::new, late, &["durable"]);
}

/// Promotes nothing before it is used for the next time.
struct Hasty {
    inner: SimStore,
}

/// What the record names before it is promoted: the objects of a quarantine that was left as it was.
struct Unpromoted<'a>(Box<dyn Quarantine + 'a>);

impl Objects for Unpromoted<'_> {
    fn read(&self, id: Oid, limit: usize) -> Result<Option<Object>> {
        self.0.read(id, limit)
    }

    fn has(&self, id: Oid) -> Result<bool> {
        self.0.has(id)
    }
}

impl Quarantine for Unpromoted<'_> {
    fn ingest(&mut self, pack: &mut dyn Read) -> Result<()> {
        self.0.ingest(pack)
    }

    fn promote(self: Box<Self>, tip: Oid, _device: &DeviceId) -> Result<Generation> {
        Ok(Generation { packs: vec![tip] })
    }
}

impl Store for Hasty {
    fn recover(&mut self, keep: &[&Generation]) -> Result<Vec<bool>> {
        self.inner.recover(keep)
    }

    fn objects(&self, generation: &Generation) -> Result<Box<dyn Objects + '_>> {
        self.inner.objects(generation)
    }

    fn quarantine(&mut self, base: &Generation) -> Result<Box<dyn Quarantine + '_>> {
        Ok(Box::new(Unpromoted(self.inner.quarantine(base)?)))
    }

    fn retain(&mut self, keep: &[&Generation]) -> Result<()> {
        self.inner.retain(keep)
    }
}

#[test]
fn a_record_that_names_what_was_not_promoted() {
    let hasty = |world: &Shared| Parts { store: Box::new(Hasty { inner: SimStore::new(world) }), ..sound_parts(world) };
    is_found_out(Shared::new, hasty, &["durable", "objects"]);
}

/// Forgets how many statuses were made. Which one was last the device finds out by itself.
struct Forgetful(SimLedger);

impl Ledger for Forgetful {
    fn load(&mut self) -> Result<Record> {
        let record = self.0.load()?;
        let status = record.status.clone().map(|status| LastStatus { sequence: 0, ..status });
        Ok(Record { status, ..record })
    }

    fn save(&mut self, record: &Record) -> Result<()> {
        self.0.save(record)
    }
}

#[test]
fn a_sequence_that_begins_again() {
    let forgetful = |world: &Shared| Parts { ledger: Box::new(Forgetful(SimLedger::new(world))), ..sound_parts(world) };
    is_found_out(Shared::new, forgetful, &["sequence"]);
}

/// Sweeps nothing.
struct Hoarder(SimStore);

impl Store for Hoarder {
    fn recover(&mut self, keep: &[&Generation]) -> Result<Vec<bool>> {
        keep.iter().map(|generation| Ok(self.0.objects(generation).is_ok())).collect()
    }

    fn objects(&self, generation: &Generation) -> Result<Box<dyn Objects + '_>> {
        self.0.objects(generation)
    }

    fn quarantine(&mut self, base: &Generation) -> Result<Box<dyn Quarantine + '_>> {
        self.0.quarantine(base)
    }

    fn retain(&mut self, _: &[&Generation]) -> Result<()> {
        Ok(())
    }
}

#[test]
fn a_store_that_is_never_swept() {
    let hoarder = |world: &Shared| Parts { store: Box::new(Hoarder(SimStore::new(world))), ..sound_parts(world) };
    is_found_out(Shared::new, hoarder, &["bounded"]);
}
