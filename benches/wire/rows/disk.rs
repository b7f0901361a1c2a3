//! What reaches the device's disk, and what stays there.

use super::median_of;
use crate::{
    Options, Result,
    git::Way,
    meter,
    table::{
        Limit::{AtMost, None as Free},
        Table,
        Unit::{Bytes, Count},
    },
    world::{GITS, World},
};

/// How often a change is measured; the median counts.
const TURNS: usize = 5;
/// The cycles after which the state folder has its size.
const FEW: usize = 10;
/// The largest state folder, in bytes.
const STATE: f64 = 131_072.0;

/// The bytes that one change and its status write.
pub(super) fn change(world: &World, table: &mut Table, _: &Options) -> Result<()> {
    let git = &world.git()?.git;
    git.follow(Way::Curve)?;
    let gits = || -> Result<u64> {
        world.exchange.change(GITS)?;
        let commands = [git.fetch(Way::Curve), git.reset()].into_iter().chain(git.commit_status()?);
        let commands = commands.chain([git.push(Way::Curve)]);
        commands.map(|command| meter::measure(&command, &world.memory).map(|usage| usage.written)).sum()
    };
    let by_git = median_of(TURNS, gits)? as f64;
    let git_reaching = median_of(TURNS, || world.reaching_disk(|| gits().map(drop)))? as f64;

    let (device, number) = world.device("builtin")?;
    let daemon = device.run()?;
    let ours = || -> Result<u64> {
        let before = meter::written_by(daemon.pid())?;
        daemon.poll_for(world.exchange.change(number)?)?;
        Ok(meter::written_by(daemon.pid())? - before)
    };
    let by_giterd = median_of(TURNS, ours)? as f64;
    let reaching = median_of(TURNS, || world.reaching_disk(|| ours().map(drop)))? as f64;
    daemon.stop();
    table.part("written to disk: a change and its status");
    table.row("by the processes, in pages", Bytes, Some(by_git), Some(by_giterd), AtMost(40_000.0));
    table.row("reaching an ext4, its journal and tables included", Bytes, Some(git_reaching), Some(reaching), Free);
    table.note("giterd waits until all of it is durable, git does not.");
    Ok(())
}

/// The state folder after few cycles and after many, each of one change, one sync and one status.
pub(super) fn cycles(world: &World, table: &mut Table, options: &Options) -> Result<()> {
    let git = &world.git()?.git;
    let gits = |_| -> Result<()> {
        world.exchange.change(GITS)?;
        git.follow(Way::Curve)?;
        git.report(Way::Curve)
    };
    let git_before = meter::size_of(&git.tree())?.0 as f64;
    (0..FEW).try_for_each(gits)?;
    let git_few = meter::size_of(&git.tree())?;

    let (device, number) = world.device("builtin")?;
    let daemon = device.run()?;
    let cycle = |_| daemon.poll_for(world.exchange.change(number)?);
    (0..FEW).try_for_each(cycle)?;
    let few = meter::size_of(&device.state())?;
    (FEW..options.cycles).try_for_each(cycle)?;
    let many = meter::size_of(&device.state())?;
    daemon.stop();

    table.part("the state folder, in blocks");
    table.row(&format!("bytes after {FEW} cycles"), Bytes, Some(git_few.0 as f64), Some(few.0 as f64), AtMost(STATE));
    table.row(&format!("bytes after {} cycles", options.cycles), Bytes, None, Some(many.0 as f64), AtMost(STATE));
    let grown = many.0.saturating_sub(few.0) as f64;
    table.row(&format!("grown from {FEW} to {} cycles", options.cycles), Bytes, None, Some(grown), AtMost(0.0));
    table.row(&format!("grown in {FEW} cycles"), Bytes, Some(git_few.0 as f64 - git_before), None, Free);
    table.row("files", Count, Some(git_few.1 as f64), Some(many.1 as f64), Free);
    Ok(())
}
