//! Polls that find nothing new: with a connection made for each, and on one that is held.

use std::{process::Command, time::Duration};

use super::median_of;
use crate::{
    Options, Result,
    command::run,
    device::CLIENTS,
    figures::median,
    git::Way,
    line::Line,
    meter,
    table::{
        Limit::{AtMost, None as Free},
        Table,
        Unit::{Bytes, Milliseconds, Trips},
    },
    wire::Traffic,
    world::World,
};

/// How often each is measured; the median counts.
const TURNS: usize = 5;
/// How often each is timed on the long line; the shortest time counts, as it does on none.
const FAR_TURNS: usize = 2;

/// What one poll took.
struct Poll {
    bytes: f64,
    trips: f64,
    /// In milliseconds.
    cpu: f64,
}

/// A connection for each poll.
pub(super) fn cold(world: &World, table: &mut Table, _: &Options) -> Result<()> {
    let git = &world.git()?.git;
    let [builtin, system] = CLIENTS.map(|client| -> Result<_> {
        let (device, _) = world.device(client)?;
        run(&mut device.sync())?;
        poll(world, &device.sync())
    });
    let (builtin, system) = (builtin?, system?);
    table.part("unchanged poll, a connection for it");
    let gits = poll(world, &git.fetch(Way::Curve))?;
    table.row("curve25519: IP bytes", Bytes, Some(gits.bytes), Some(builtin.bytes), AtMost(6_000.0));
    table.row("curve25519: round trips", Trips, Some(gits.trips), Some(builtin.trips), AtMost(9.0));
    table.row("curve25519: processor time", Milliseconds, Some(gits.cpu), Some(builtin.cpu), AtMost(15.0));
    let gits = poll(world, &git.fetch(Way::Hybrid))?;
    table.row("post-quantum, giterd by ssh: IP bytes", Bytes, Some(gits.bytes), Some(system.bytes), Free);
    table.row("post-quantum, giterd by ssh: round trips", Trips, Some(gits.trips), Some(system.trips), Free);
    table.row("post-quantum, giterd by ssh: processor time", Milliseconds, Some(gits.cpu), Some(system.cpu), Free);
    Ok(())
}

fn poll(world: &World, command: &Command) -> Result<Poll> {
    let cpu = median_of(TURNS, || meter::measure(command, &world.memory).map(|usage| usage.cpu))?;
    let again = || meter::measure(command, &world.memory).map(drop);
    let [bytes, trips] = bytes_and_trips(world, again)?;
    Ok(Poll { bytes, trips, cpu: cpu.as_secs_f64() * 1e3 })
}

/// A connection for all polls.
pub(super) fn held(world: &World, table: &mut Table, _: &Options) -> Result<()> {
    let git = &world.git()?.git;
    let master = git.hold()?;
    let [gits, gits_trips] = bytes_and_trips(world, || run(&mut git.fetch(Way::Held)).map(drop))?;
    drop(master);
    let [builtin, system] = CLIENTS.map(|client| -> Result<_> {
        let (device, _) = world.device(client)?;
        let daemon = device.run()?;
        let figures = bytes_and_trips(world, || daemon.poll().map(drop))?;
        daemon.stop();
        Ok(figures)
    });
    let ([bytes, trips], [by_ssh, by_ssh_trips]) = (builtin?, system?);
    table.part("unchanged poll, held connection");
    table.row("IP bytes", Bytes, Some(gits), Some(bytes), AtMost(400.0));
    table.row("round trips", Trips, Some(gits_trips), Some(trips), AtMost(1.0));
    table.row("giterd by ssh: IP bytes", Bytes, Some(gits), Some(by_ssh), Free);
    table.row("giterd by ssh: round trips", Trips, Some(gits_trips), Some(by_ssh_trips), Free);
    Ok(())
}

/// The bytes and the round trips of a poll.
fn bytes_and_trips(world: &World, poll: impl Fn() -> Result<()>) -> Result<[f64; 2]> {
    poll()?;
    let near = turns_on(world, &Line::NONE, TURNS, &poll)?;
    let far = turns_on(world, &Line::LONG, FAR_TURNS, &poll)?;
    let bytes = median(near.iter().map(|(_, traffic)| traffic.bytes()).collect());
    let least = |turns: &[(Duration, Traffic)]| turns.iter().map(|(time, _)| *time).min().unwrap_or_default();
    let trips = least(&far).saturating_sub(least(&near)).as_secs_f64() / Line::LONG.round_trip.as_secs_f64();
    Ok([bytes as f64, trips])
}

fn turns_on(
    world: &World,
    line: &Line,
    turns: usize,
    poll: impl Fn() -> Result<()>,
) -> Result<Vec<(Duration, Traffic)>> {
    (0..turns).map(|_| world.timed(line, 0, &poll)).collect()
}
