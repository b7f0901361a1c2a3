//! What it takes to prove a range of commits, beside git: `cargo bench --bench verify`.
//!
//! The ranges are linear, every commit is signed, and the device judges each: its signature, its key, and whether that
//! key may change what it changes of the device's folder. Printed are ratios of times taken in this run, bytes, and
//! counts. Git is given its fastest form, one `git verify-commit` for all hundred commits; it runs ssh-keygen twice for
//! each. The run fails if a limit is passed, and if anything could not be measured.
//!
//! The memory of a range is that of one step of it. What the figure still grows by are gaps between what is in use,
//! which the allocator keeps. Pages of mapped packs are counted apart: the kernel takes them back when memory is short.

#![allow(clippy::print_stdout, clippy::print_stderr)]

#[path = "../common/command.rs"]
mod command;
mod device;
mod exchange;
mod memory;
#[path = "../common/publisher.rs"]
mod publisher;
mod table;

use std::{
    cell::Cell,
    error::Error,
    fs,
    path::Path,
    process::ExitCode,
    time::{Duration, Instant},
};

use giter_edge::{
    api::{Oid, ledger::Generation},
    reconcile::ports::{Object, Objects},
};

use device::Device;
use exchange::{Changes, Exchange};
use table::Table;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Commits that are verified here in a run that is timed.
const OURS: usize = 1_000;
/// Commits that git verifies in a run that is timed.
const GITS: usize = 100;
/// The most time for [`OURS`], as a multiple of git's for [`GITS`].
const TIME: f64 = 2.0;
/// How often each is timed; the shortest time counts.
const ROUNDS: usize = 5;
/// The ranges whose memory is measured.
const LENGTHS: [usize; 3] = [100, 1_000, LONGEST];
/// The longest of them; a range with its floor has `RANGE_COMMITS`, 10,000 at most.
const LONGEST: usize = 9_999;
/// The most memory that the longest takes beyond the shortest, in bytes.
const GROWTH: u64 = 384 << 10;

fn main() -> ExitCode {
    if let Some(measured) = memory::measured() {
        return measured;
    }
    let mut table = Table::new();
    match measure(&mut table) {
        Ok(()) if table.is_within() => ExitCode::SUCCESS,
        Ok(()) => {
            eprintln!("a limit is passed");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("not measured: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(table: &mut Table) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let others = Exchange::create(&folder.path().join("others"), Changes::Others, OURS)?;
    time(table, &others, &folder.path().join("others/state"), "other folders")?;
    drop(others);
    let own = Exchange::create(&folder.path().join("own"), Changes::Own, LONGEST)?;
    time(table, &own, &folder.path().join("own/state"), "its folder")?;
    verify_memory(table, &own, &folder.path().join("own/state"))?;
    intake(table, &own, &folder.path().join("own/intake"))
}

/// The time for a range beside git's, and what is read for it.
fn time(table: &mut Table, exchange: &Exchange, state: &Path, where_: &str) -> Result<()> {
    let (device, generation) = store(exchange, state, OURS)?;
    let objects = device.objects(&generation)?;
    let floor = device.verify(exchange.line[0], None, &*objects)?;
    let (mut ours, mut gits) = (Duration::MAX, Duration::MAX);
    for _ in 0..ROUNDS {
        ours = ours.min(timed(|| device.verify(exchange.line[OURS], Some(&floor), &*objects))?);
        gits = gits.min(timed(|| exchange.verify_by_git(&exchange.line[1..=GITS]))?);
    }
    table.ratio(&format!("time: {OURS} that change {where_}"), ours.as_secs_f64() / gits.as_secs_f64(), Some(TIME));

    let counted = Counted { objects: &*objects, reads: Cell::new(0) };
    device.verify(exchange.line[OURS], Some(&floor), &counted)?;
    table.ratio(&format!("reads: objects for each, {where_}"), counted.reads.get() as f64 / OURS as f64, None);
    Ok(())
}

fn verify_memory(table: &mut Table, exchange: &Exchange, state: &Path) -> Result<()> {
    let (_, generation) = store(exchange, state, LONGEST)?;
    let mut own = vec![];
    for length in LENGTHS {
        let (floor, tip) = (exchange.line[0], exchange.line[length]);
        let memory = memory::of_verify(state, &exchange.root_file(), &generation, floor, tip)?;
        table.bytes(&format!("memory: verify {length}"), memory.own, None);
        table.bytes(&format!("memory: verify {length}, all resident"), memory.resident, None);
        own.push(memory.own);
    }
    let growth = own[LENGTHS.len() - 1].saturating_sub(own[0]);
    table.bytes(&format!("memory: {LONGEST} beyond {}", LENGTHS[0]), growth, Some(GROWTH));
    Ok(())
}

/// What it takes to take in the longest range, as git packs it for a device that has the floor.
fn intake(table: &mut Table, exchange: &Exchange, state: &Path) -> Result<()> {
    let (mut device, generation) = store(exchange, state, 0)?;
    let pack = exchange.pack(exchange.line[0], exchange.line[LONGEST])?;
    table.bytes(&format!("intake: pack of {LONGEST}"), fs::metadata(&pack)?.len(), None);
    let memory = memory::of_intake(state, &exchange.root_file(), &generation, &pack)?;
    table.bytes("intake: all resident", memory.resident, None);
    let gits = timed(|| exchange.index_by_git(&pack))?.as_secs_f64();
    let ours = timed(|| device.take_in(&pack, &generation))?.as_secs_f64();
    table.ratio("intake: time beside git index-pack", ours / gits, None);
    let ours = timed(|| device.keep(&pack, &generation, exchange.line[LONGEST]).map(drop))?.as_secs_f64();
    table.ratio("intake, and promotion to the store", ours / gits, None);
    Ok(())
}

/// A device that has an exchange up to one of its commits.
fn store(exchange: &Exchange, state: &Path, at: usize) -> Result<(Device, Generation)> {
    let device = Device::open(state, &exchange.root_file())?;
    let pack = exchange.pack_for_store(state, exchange.line[at])?;
    Ok((device, Generation { packs: vec![pack] }))
}

fn timed<T>(work: impl FnOnce() -> Result<T>) -> Result<Duration> {
    let begin = Instant::now();
    work()?;
    Ok(begin.elapsed())
}

/// Counts the objects that are read.
struct Counted<'a> {
    objects: &'a dyn Objects,
    reads: Cell<usize>,
}

impl Objects for Counted<'_> {
    fn read(&self, id: Oid, limit: usize) -> giter_edge::api::Result<Option<Object>> {
        self.reads.set(self.reads.get() + 1);
        self.objects.read(id, limit)
    }

    fn has(&self, id: Oid) -> giter_edge::api::Result<bool> {
        self.objects.has(id)
    }
}
