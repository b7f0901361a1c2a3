//! What giterd is as a program: its size, its memory, and the processes that it starts.

use std::{env, fs, path::PathBuf};

use super::median_of;
use crate::{
    Options, Result,
    command::run,
    device::CLIENTS,
    git::Way,
    meter,
    table::{
        Limit::{AtMost, None as Free},
        Table,
        Unit::{Bytes, Count},
    },
    world::{GITS, World},
};

/// How often processes are counted; the median counts.
const TURNS: usize = 3;

/// The stripped program, beside git's and ssh's, which are not all that has to be installed for them.
pub(super) fn size(_: &World, table: &mut Table, _: &Options) -> Result<()> {
    let size = |path: PathBuf| -> Result<f64> { Ok(fs::metadata(path)?.len() as f64) };
    let git = size(found("git")?)? + size(found("ssh")?)?;
    table.part("installed");
    let ours = size(env!("CARGO_BIN_EXE_giterd").into())?;
    table.row("giterd, stripped; the programs git and ssh", Bytes, Some(git), Some(ours), AtMost(3_000_000.0));
    Ok(())
}

/// The most memory: of git's largest process, and of all of giterd's.
pub(super) fn memory(world: &World, table: &mut Table, _: &Options) -> Result<()> {
    let cloned = world.git()?;
    world.exchange.change(GITS)?;
    let gits = cloned.memory.max(meter::memory(&cloned.git.fetch(Way::Curve), &world.memory)?);

    let (device, number) = world.device("builtin")?;
    let daemon = device.run()?;
    daemon.poll_for(world.exchange.change(number)?)?;
    let held = meter::memory_of(daemon.pid())?;
    daemon.stop();
    let (device, number) = world.device("builtin")?;
    let mut cold = device.sync_well()?;
    world.exchange.change(number)?;
    cold = cold.max(device.sync_well()?);
    let (device, number) = world.device("system")?;
    let mut both = device.sync_well()? + meter::memory(&device.sync(), &world.memory)?;
    world.exchange.change(number)?;
    both = both.max(device.sync_well()? + meter::memory(&device.sync(), &world.memory)?);

    let bytes = |bytes: u64| Some(bytes as f64);
    table.part("memory, SSH included");
    table.row("a first sync and a change, held", Bytes, bytes(gits), bytes(held), AtMost(6_000_000.0));
    table.row("a first sync and a change, cold", Bytes, bytes(gits), bytes(cold), AtMost(6_000_000.0));
    table.row("giterd by ssh: giterd and its ssh", Bytes, bytes(gits), bytes(both), Free);
    table.note("git's is that of its largest process alone.");
    Ok(())
}

/// The processes of a sync that fetches a change and reports.
pub(super) fn forks(world: &World, table: &mut Table, _: &Options) -> Result<()> {
    let count = |command: &std::process::Command| meter::forks(command, &world.memory);
    let git = &world.git()?.git;
    let gits = median_of(TURNS, || {
        world.exchange.change(GITS)?;
        let commands = [git.fetch(Way::Curve), git.reset()].into_iter().chain(git.commit_status()?);
        commands.chain([git.push(Way::Curve)]).map(|command| count(&command)).sum::<Result<u64>>()
    })? as f64;
    let [builtin, system] = CLIENTS.map(|client| -> Result<_> {
        let (device, number) = world.device(client)?;
        run(&mut device.sync())?;
        median_of(TURNS, || {
            world.exchange.change(number)?;
            count(&device.sync())
        })
    });
    table.part("processes started");
    table.row("a change and its status", Count, Some(gits), Some(builtin? as f64), AtMost(0.0));
    table.row("giterd by ssh: the same", Count, Some(gits), Some(system? as f64), Free);
    Ok(())
}

fn found(program: &str) -> Result<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let places = env::split_paths(&path).map(|folder| folder.join(program));
    Ok(places.into_iter().find(|place| place.exists()).ok_or_else(|| format!("{program} is not in PATH"))?)
}
