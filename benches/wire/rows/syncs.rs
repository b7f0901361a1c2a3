//! Syncs that bring something: the first, one after a change of the device's own, and one after many of others.

use super::median_of;
use crate::{
    Options, Result,
    command::run,
    device::{CLIENTS, Device, Held},
    exchange::{DEVICES, Number},
    git::Way,
    table::{
        Limit::{AtMost, None as Free},
        Table,
        Unit::Bytes,
    },
    world::{ELSEWHERE, GITS, World},
};

/// How often a change is measured; the median counts.
const TURNS: usize = 5;
/// The changes that a device was away for.
const AWAY: usize = 1_000;

/// The first sync, with and without its first status, which git does not send.
pub(super) fn first(world: &World, table: &mut Table, _: &Options) -> Result<()> {
    let git = world.git()?.traffic.bytes() as f64;
    let [builtin, system] = CLIENTS.map(|client| -> Result<_> {
        let (device, _) = world.device(client)?;
        let sync = || world.traffic(|| run(&mut device.sync()).map(drop)).map(|traffic| traffic.bytes() as f64);
        let (first, unchanged) = (sync()?, sync()?);
        device.play(true)?;
        device.sync().output()?;
        device.play(false)?;
        Ok([first, first - (sync()? - unchanged)])
    });
    let ([builtin, builtin_alone], [system, system_alone]) = (builtin?, system?);
    table.part(&format!("first sync, {DEVICES} devices"));
    table.row("IP bytes", Bytes, Some(git), Some(builtin_alone), AtMost(18_000.0));
    table.row("with its first status", Bytes, None, Some(builtin), Free);
    table.row("giterd by ssh: IP bytes", Bytes, Some(git), Some(system_alone), Free);
    table.row("giterd by ssh: with its first status", Bytes, None, Some(system), Free);
    table.note("giterd reports in the same sync: a status is a sync that reports less an unchanged one.");
    Ok(())
}

/// What the polls of a daemon take, by what there is to do.
pub(super) struct Polls {
    /// Nothing.
    unchanged: f64,
    /// To report.
    report: f64,
    /// To fetch a change, to apply and report it.
    change: f64,
}

impl Polls {
    /// The status by itself.
    pub(super) fn status(&self) -> f64 {
        self.report - self.unchanged
    }

    /// The change without the status that tells of it.
    fn change(&self) -> f64 {
        self.change - self.status()
    }
}

/// Measures the polls of a daemon, each several times.
pub(super) fn polls(world: &World, device: &Device, number: Number, daemon: &Held) -> Result<Polls> {
    let bytes = |work: &dyn Fn() -> Result<()>| world.traffic(work).map(|traffic| traffic.bytes());
    let unchanged = median_of(TURNS, || bytes(&|| daemon.poll().map(drop)))? as f64;
    let mut is_broken = false;
    let report = median_of(TURNS, || {
        is_broken = !is_broken;
        device.play(is_broken)?;
        bytes(&|| daemon.poll_to_report())
    })? as f64;
    device.play(false)?;
    daemon.poll()?;
    let change = median_of(TURNS, || {
        let tip = world.exchange.change(number)?;
        bytes(&|| daemon.poll_for(tip))
    })? as f64;
    Ok(Polls { unchanged, report, change })
}

/// One change of the device's own, over a held connection.
pub(super) fn change(world: &World, table: &mut Table, _: &Options) -> Result<()> {
    let git = &world.git()?.git;
    let master = git.hold()?;
    git.follow(Way::Held)?;
    let gits = median_of(TURNS, || {
        world.exchange.change(GITS)?;
        world.traffic(|| git.follow(Way::Held)).map(|traffic| traffic.bytes())
    })? as f64;
    git.report(Way::Held)?;
    let gits_status =
        median_of(TURNS, || world.traffic(|| git.report(Way::Held)).map(|traffic| traffic.bytes()))? as f64;
    drop(master);
    let [builtin, system] = CLIENTS.map(|client| -> Result<_> {
        let (device, number) = world.device(client)?;
        let daemon = device.run()?;
        let polls = polls(world, &device, number, &daemon)?;
        daemon.stop();
        Ok(polls)
    });
    let (builtin, system) = (builtin?, system?);
    table.part("one change of our own, held connection");
    table.row("IP bytes", Bytes, Some(gits), Some(builtin.change()), AtMost(2_500.0));
    table.row("and its status, few statuses at the hub", Bytes, Some(gits_status), Some(builtin.status()), Free);
    table.row("giterd by ssh: IP bytes", Bytes, Some(gits), Some(system.change()), Free);
    table.row("giterd by ssh: and its status", Bytes, Some(gits_status), Some(system.status()), Free);
    table.note("giterd polls, changes and reports in one tick: a status is such a tick less an unchanged poll,");
    table.note("a change is such a tick less a status.");
    Ok(())
}

/// Catching up after many changes elsewhere: of a device that was off, and of one that kept its connection.
pub(super) fn away(world: &World, table: &mut Table, _: &Options) -> Result<()> {
    let git = &world.git()?.git;
    let master = git.hold()?;
    git.follow(Way::Held)?;
    let off = CLIENTS.map(|client| -> Result<_> {
        let (device, _) = world.device(client)?;
        device.sync_well()?;
        Ok(device)
    });
    let daemons = CLIENTS.map(|client| world.device(client).and_then(|(device, _)| device.run()));
    let floor = world.exchange.tip().ok_or("nothing is published")?;
    git.keep_proof(Way::Held)?;
    let elsewhere: Vec<_> = ELSEWHERE.step_by(ELSEWHERE.len() / AWAY).map(Number).collect();
    let tip = world.exchange.change_each(&elsewhere)?;

    let pack = world.exchange.proof(floor, tip)? as f64;
    let proof = world.traffic(|| run(&mut git.fetch_proof(Way::Held)).map(drop))?.bytes() as f64;
    let gits = world.traffic(|| git.follow(Way::Held))?.bytes() as f64;
    drop(master);
    let [builtin, system] = off.map(|device| -> Result<_> {
        let device = device?;
        let bytes = || world.traffic(|| device.sync_well().map(drop)).map(|traffic| traffic.bytes() as f64);
        Ok(bytes()? - bytes()?)
    });
    let (builtin, system) = (builtin?, system?);
    let held = daemons.map(|daemon| -> Result<_> {
        let daemon = daemon?;
        let bytes = world.traffic(|| daemon.poll_to_accept(tip))?.bytes() as f64;
        daemon.stop();
        Ok(bytes)
    });
    let [builtin_held, system_held] = held;
    table.part(&format!("after {AWAY} changes elsewhere"));
    table.row("IP bytes, with the proof", Bytes, Some(gits), Some(builtin), Free);
    table.row("the proof: fetched by git, commits and root trees", Bytes, Some(proof), None, Free);
    table.row("the proof: its pack alone", Bytes, Some(pack), None, Free);
    table.row("beside the proof", Bytes, None, Some(builtin - proof), AtMost(11_000.0));
    table.row("giterd by ssh: beside the proof", Bytes, None, Some(system - proof), Free);
    table.row("all of them within one interval, with the proof", Bytes, Some(gits), Some(builtin_held?), Free);
    table.row("giterd by ssh: all within one interval", Bytes, Some(gits), Some(system_held?), Free);
    table.note("giterd was off, and a poll with nothing new is taken off: what its connection costs stands above.");
    table.note("git held its connection, takes the tip alone, and proves nothing.");
    Ok(())
}
