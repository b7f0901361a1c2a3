//! A status, where 10,000 devices have theirs at the same hub.

use super::{median_of, syncs::polls};
use crate::{
    Options, Result,
    command::{program, run},
    device::CLIENTS,
    exchange::{DEVICES, Number},
    git::Way,
    sshd::Sshd,
    table::{
        Limit::{AtMost, None as Free},
        Table,
        Unit::Bytes,
    },
    world::World,
};

/// How often git's push is measured; the median counts.
const TURNS: usize = 5;

/// A status push on a held connection.
pub(super) fn many(world: &World, table: &mut Table, _: &Options) -> Result<()> {
    let git = &world.git()?.git;
    world.exchange.report_all_but(&world.reporting())?;
    let master = git.hold()?;
    git.report(Way::Held)?;
    let gits = median_of(TURNS, || world.traffic(|| git.report(Way::Held)).map(|traffic| traffic.bytes()))? as f64;
    drop(master);
    let plain = measured(world, None)?;
    table.part(&format!("status push, held connection, {DEVICES} statuses at the hub"));
    table.row("IP bytes, a hub with nothing but git", Bytes, Some(gits), Some(plain[0]), Free);
    table.row("giterd by ssh: the same", Bytes, Some(gits), Some(plain[1]), Free);
    let serving = measured(world, Some(env!("CARGO_BIN_EXE_giterctl")))?;
    table.row("IP bytes, a hub with giterctl serve", Bytes, Some(gits), Some(serving[0]), AtMost(2_400.0));
    table.row("giterd by ssh: the same", Bytes, Some(gits), Some(serving[1]), Free);
    Ok(())
}

/// A status of a device by each client, at a hub that serves it by this giterctl or by git alone.
fn measured(world: &World, giterctl: Option<&str>) -> Result<[f64; 2]> {
    let [builtin, system] = CLIENTS.map(|client| -> Result<_> {
        let number = world.next()?;
        let own = giterctl.map(|giterctl| serve(world, giterctl, number)).transpose()?;
        let server = own.as_ref().unwrap_or(&world.server);
        let device = world.device_at(number, client, server)?;
        let daemon = device.run()?;
        let polls = polls(world, &device, number, &daemon)?;
        daemon.stop();
        Ok(polls.status())
    });
    Ok([builtin?, system?])
}

/// An SSH server for one device alone, as the forced command of its key makes it.
fn serve(world: &World, giterctl: &str, number: Number) -> Result<Sshd> {
    run(program(giterctl).args(["serve", "--help"]))?;
    world.serve(&format!("exec {giterctl} serve {} {}", number.name(), world.exchange.hub().display()))
}
