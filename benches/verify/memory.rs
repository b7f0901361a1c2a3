//! The memory that a device needs, each figure in a process of its own: this program, started again.

use std::{
    cell::Cell,
    env, fs,
    path::Path,
    process::{Command, ExitCode},
};

use giter_edge::{
    api::{Oid, ledger::Generation},
    reconcile::ports::{Object, Objects},
};

use crate::{Result, command::run, device::Device};

/// The first argument of a process that measures itself.
const MEASURE: &str = "--measure";

/// What one process took.
pub(crate) struct Memory {
    /// The most that it had of its own (heap and stack) beyond what it had before, in bytes; 0 where nobody asked.
    pub(crate) own: u64,
    /// The most that it had resident, pages of the program and of mapped packs included, in bytes.
    pub(crate) resident: u64,
}

/// What it takes to verify a tip on top of a floor.
pub(crate) fn of_verify(
    state: &Path,
    root_file: &Path,
    generation: &Generation,
    floor: Oid,
    tip: Oid,
) -> Result<Memory> {
    let [pack] = &generation.packs[..] else { return Err("the store has more than one pack".into()) };
    of(state, root_file, *pack, "verify", &[&floor.to_string(), &tip.to_string()])
}

/// What it takes to take in a pack.
pub(crate) fn of_intake(state: &Path, root_file: &Path, generation: &Generation, pack: &Path) -> Result<Memory> {
    let [base] = &generation.packs[..] else { return Err("the store has more than one pack".into()) };
    of(state, root_file, *base, "intake", &[&pack.display().to_string()])
}

fn of(state: &Path, root_file: &Path, pack: Oid, what: &str, words: &[&str]) -> Result<Memory> {
    let mut command = Command::new(env::current_exe()?);
    command.arg(MEASURE).arg(state).arg(root_file).arg(pack.to_string()).arg(what).args(words);
    let output = String::from_utf8(run(&mut command)?.stdout)?;
    let mut numbers = output.split_whitespace().map(str::parse);
    let (Some(own), Some(resident)) = (numbers.next(), numbers.next()) else {
        return Err(format!("the measuring process said {output:?}").into());
    };
    Ok(Memory { own: own?, resident: resident? })
}

/// Measures this process, where it was started for that.
pub(crate) fn measured() -> Option<ExitCode> {
    let words: Vec<_> = env::args().skip(1).collect();
    let [first, state, root_file, pack, what, words @ ..] = &words[..] else { return None };
    if first != MEASURE {
        return None;
    }
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    match measure(Path::new(state), Path::new(root_file), pack, what, &words) {
        Ok(Memory { own, resident }) => {
            println!("{own} {resident}");
            Some(ExitCode::SUCCESS)
        }
        Err(error) => {
            eprintln!("{error}");
            Some(ExitCode::FAILURE)
        }
    }
}

fn measure(state: &Path, root_file: &Path, pack: &str, what: &str, words: &[&str]) -> Result<Memory> {
    let mut device = Device::open(state, root_file)?;
    let generation = Generation { packs: vec![pack.parse()?] };
    let own = match (what, words) {
        ("verify", [floor, tip]) => {
            let objects = device.objects(&generation)?;
            let floor = device.verify(floor.parse()?, None, &*objects)?;
            let before = own_memory()?;
            let meter = Meter { objects: &*objects, reads: Cell::new(0), peak: Cell::new(before) };
            device.verify(tip.parse()?, Some(&floor), &meter)?;
            meter.peak.get() - before
        }
        ("intake", [pack]) => {
            device.take_in(Path::new(pack), &generation)?;
            0
        }
        _ => return Err(format!("{what} is nothing to measure").into()),
    };
    Ok(Memory { own, resident: kilobytes("/proc/self/status", "VmHWM:")? * 1024 })
}

/// Every how many reads a process looks at itself.
const EVERY: u32 = 16;

/// Looks at the process's memory as objects are read: all that verify keeps grows from one read to the next.
struct Meter<'a> {
    objects: &'a dyn Objects,
    reads: Cell<u32>,
    peak: Cell<u64>,
}

impl Objects for Meter<'_> {
    fn read(&self, id: Oid, limit: usize) -> giter_edge::api::Result<Option<Object>> {
        self.reads.set(self.reads.get() + 1);
        if self.reads.get().is_multiple_of(EVERY) {
            let now = own_memory().expect("the kernel tells a process what memory it has");
            self.peak.set(self.peak.get().max(now));
        }
        self.objects.read(id, limit)
    }

    fn has(&self, id: Oid) -> giter_edge::api::Result<bool> {
        self.objects.has(id)
    }
}

/// Bytes that this process has of its own, by the page. `VmRSS` and its parts would be cheaper and are not exact.
fn own_memory() -> Result<u64> {
    Ok(kilobytes("/proc/self/smaps_rollup", "Anonymous:")? * 1024)
}

/// The number of a line `NAME   N kB` (proc_pid_status(5), where a kB is 1024 bytes).
fn kilobytes(file: &str, name: &str) -> Result<u64> {
    let text = fs::read_to_string(file)?;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number =
        line.and_then(|line| line.trim().strip_suffix(" kB")).ok_or_else(|| format!("{file} has no {name}"))?;
    Ok(number.parse()?)
}
