//! Every budget of the project, measured and held against its limit: `cargo bench --bench budgets`.
//!
//! What is measured are bytes, never times: the programs' sizes, the memory that `giterd sync` takes, what it moves
//! over a real ssh connection next to what git moves for the same repository in the same run, and the pack of a
//! status push. The programs are those of the bench profile, which is the release profile. The run fails if a
//! budget is passed, and if anything could not be measured.

#![allow(clippy::print_stdout, clippy::print_stderr)]

#[path = "../common/command.rs"]
mod command;
mod device;
#[path = "../../tests/common/dropbear.rs"]
mod dropbear;
mod exchange;
#[path = "../common/figures.rs"]
mod figures;
mod git;
mod proxy;
#[allow(dead_code, reason = "the tests need more of it")]
#[path = "../../tests/common/sshd.rs"]
mod sshd;
mod table;

use std::{error::Error, fs, path::Path, process::ExitCode};

use device::Device;
use exchange::Exchange;
use figures::median;
use git::Clone;
use proxy::Proxy;
use sshd::Sshd;
use table::{Limit, Table};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The largest stripped giterd, its SSH client included, in bytes.
const GITERD_BYTES: u64 = 3_000_000;
/// The most memory of a `giterd sync`, without the ssh it runs, in bytes.
const SYNC_MEMORY: u64 = 8 << 20;
/// The largest pack of a one-resource status push, in bytes.
const STATUS_PACK: u64 = 1_000;
/// How often an unchanged poll is measured; the median counts.
const POLLS: usize = 5;

fn main() -> ExitCode {
    let mut table = Table::new();
    match measure(&mut table) {
        Ok(()) if table.is_within() => ExitCode::SUCCESS,
        Ok(()) => {
            eprintln!("a budget is passed");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("not measured: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(table: &mut Table) -> Result<()> {
    sizes(table)?;
    let folder = tempfile::tempdir()?;
    let server = Sshd::start();
    fleet(table, &folder.path().join("fleet"), &server)?;
    one_device_of_a_thousand_resources(table, &folder.path().join("large"), &server)?;
    one_resource(table, &folder.path().join("small"), &server)
}

fn sizes(table: &mut Table) -> Result<()> {
    let size = |program: &str| fs::metadata(program).map(|file| file.len());
    table.row("giterd, stripped", size(env!("CARGO_BIN_EXE_giterd"))?, Limit::AtMost(GITERD_BYTES));
    table.row("giterctl, stripped", size(env!("CARGO_BIN_EXE_giterctl"))?, Limit::None);
    Ok(())
}

/// One device of a fleet: its memory, and its bytes on the wire beside git's.
fn fleet(table: &mut Table, dir: &Path, server: &Sshd) -> Result<()> {
    let proxy = Proxy::to(server.port())?;
    let exchange = Exchange::create(dir, 250, 4)?;
    let device = Device::enrol(&exchange, "device-0", server, proxy.port())?;

    let mut peak = device.sync()?;
    let first = proxy.take();
    let clone = Clone::of(&exchange, &device)?;
    clone.push_status()?;
    table.row("wire: first sync, status pushed", first, Limit::Beside(proxy.take()));

    let (mut ours, mut builtin, mut gits) = (vec![], vec![], vec![]);
    for _ in 0..POLLS {
        peak = peak.max(device.sync()?);
        ours.push(proxy.take());
        peak = peak.max(device.sync_by("builtin")?);
        builtin.push(proxy.take());
        clone.fetch()?;
        gits.push(proxy.take());
    }
    let gits = median(gits);
    table.row("wire: unchanged poll", median(ours), Limit::NoMoreThanGit(gits));
    table.row("wire: unchanged poll, builtin ssh", median(builtin), Limit::NoMoreThanGit(gits));

    exchange.change("device-0")?;
    peak = peak.max(device.sync()?);
    let change = proxy.take();
    clone.fetch()?;
    clone.push_status()?;
    let gits = proxy.take();
    table.row("wire: one change, status pushed", change, Limit::Beside(gits));
    exchange.change("device-0")?;
    peak = peak.max(device.sync_by("builtin")?);
    table.row("wire: the same, builtin ssh", proxy.take(), Limit::Beside(gits));
    table.row("memory: 250 devices of 4 resources", peak, Limit::AtMost(SYNC_MEMORY));
    Ok(())
}

fn one_device_of_a_thousand_resources(table: &mut Table, dir: &Path, server: &Sshd) -> Result<()> {
    let exchange = Exchange::create(dir, 1, 1_000)?;
    let device = Device::enrol(&exchange, "device-0", server, server.port())?;
    let mut peak = device.sync()?;
    exchange.change("device-0")?;
    peak = peak.max(device.sync()?).max(device.sync()?);
    table.row("memory: 1 device of 1,000 resources", peak, Limit::AtMost(SYNC_MEMORY));
    Ok(())
}

/// The packs of a status push: the first, which has no parent, and one after a change.
fn one_resource(table: &mut Table, dir: &Path, server: &Sshd) -> Result<()> {
    let exchange = Exchange::create(dir, 1, 1)?;
    let device = Device::enrol(&exchange, "device-0", server, server.port())?;
    let mut largest = 0;
    for change in [false, true] {
        if change {
            exchange.change("device-0")?;
        }
        let before = exchange.packs()?;
        device.sync()?;
        let pushed: Vec<_> = exchange.packs()?.into_iter().filter(|pack| !before.contains(pack)).collect();
        let [pack] = &pushed[..] else { return Err(format!("a sync pushed {} packs, not 1", pushed.len()).into()) };
        largest = largest.max(fs::metadata(pack)?.len());
    }
    table.row("pack: status of one resource", largest, Limit::AtMost(STATUS_PACK));
    Ok(())
}
