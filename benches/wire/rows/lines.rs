//! How long things take over emulated lines: git with a connection for each, giterd with one for each and with one held.

use std::time::Duration;

use giter_edge::api::Oid;

use crate::{
    Options, Result,
    command::run,
    device::{Device, Held},
    exchange::Number,
    git::{Git, Way},
    line::Line,
    table::{
        Limit::{AtLeast, None as Free},
        Table,
        Unit::{Seconds, Times},
    },
    world::{GITS, World},
};

/// How often everything is measured on a line that loses packets, each time others; the sum counts.
const DICE: u64 = 5;

/// What is timed.
#[derive(Clone, Copy)]
enum Work {
    Poll,
    Report,
    Change,
}

/// All of it, as the table calls it.
const WORKS: [(&str, Work); 3] =
    [("unchanged poll", Work::Poll), ("poll and status", Work::Report), ("change and status", Work::Change)];

/// The times of each line.
pub(super) fn times(world: &World, table: &mut Table, _: &Options) -> Result<()> {
    let git = &world.git()?.git;
    let (cold, held) = (world.device("builtin")?, world.device("builtin")?);
    run(&mut cold.0.sync())?;
    let daemon = held.0.run()?;
    git.follow(Way::Hybrid)?;
    git.report(Way::Hybrid)?;
    let actors = Actors { world, git, cold, held, daemon };
    for line in &Line::EMULATED {
        table.part(&format!("time, {}", line.name));
        for (what, work) in WORKS {
            let [gits, cold, held] = actors.over(line, work)?.map(|time| time.as_secs_f64());
            table.row(&format!("{what}: giterd cold"), Seconds, Some(gits), Some(cold), Free);
            table.row(&format!("{what}: giterd held"), Seconds, Some(gits), Some(held), Free);
            table.row(&format!("{what}: cold, times as fast"), Times, None, Some(gits / cold), AtLeast(2.0));
            table.row(&format!("{what}: held, times as fast"), Times, None, Some(gits / held), AtLeast(4.0));
        }
    }
    table.note("git makes a connection for each fetch and each push, with the algorithms that ssh prefers.");
    table.note(
        "giterd's client has room for three pushes in a connection, and makes another with the poll that follows:",
    );
    table.note("that poll is one of its own time, before the change.");
    actors.daemon.stop();
    Ok(())
}

/// Who is timed: git, a device that connects for each sync, and one that stays connected.
struct Actors<'a> {
    world: &'a World,
    git: &'a Git,
    cold: (Device, Number),
    held: (Device, Number),
    daemon: Held,
}

impl Actors<'_> {
    /// How long git, cold and held take for some work over a line.
    fn over(&self, line: &Line, work: Work) -> Result<[Duration; 3]> {
        let mut sums = [Duration::ZERO; 3];
        for seed in 0..if line.loss > 0 { DICE } else { 1 } {
            let timed = |act: &dyn Fn() -> Result<()>| self.world.timed(line, seed, act).map(|(time, _)| time);
            self.prepare_git(work)?;
            sums[0] += timed(&|| self.by_git(work))?;
            self.prepare_cold(work)?;
            sums[1] += timed(&|| run(&mut self.cold.0.sync()).map(drop))?;
            let tip = self.prepare_held(work)?;
            sums[2] += timed(&|| match (work, tip) {
                (Work::Poll, _) => self.daemon.poll().map(drop),
                (_, None) => self.daemon.poll_to_report(),
                (_, Some(tip)) => self.daemon.poll_for(tip),
            })?;
        }
        Ok(sums)
    }

    fn prepare_git(&self, work: Work) -> Result<()> {
        if let Work::Change = work {
            self.world.exchange.change(GITS)?;
        }
        if let Work::Report | Work::Change = work {
            self.git.commit_status()?.iter_mut().try_for_each(|command| run(command).map(drop))?;
        }
        Ok(())
    }

    fn by_git(&self, work: Work) -> Result<()> {
        run(&mut self.git.fetch(Way::Hybrid))?;
        if let Work::Change = work {
            run(&mut self.git.reset())?;
        }
        if let Work::Report | Work::Change = work {
            run(&mut self.git.push(Way::Hybrid))?;
        }
        Ok(())
    }

    /// What has happened since the last sync; to report is that the board obeys again.
    fn prepare_cold(&self, work: Work) -> Result<()> {
        let (device, number) = &self.cold;
        match work {
            // What the others published is no news any more, here as for the one that is held.
            Work::Poll => run(&mut device.sync()).map(drop),
            Work::Report => {
                device.play(true)?;
                // It answers that the device is not ready, as it should.
                device.sync().output()?;
                device.play(false)
            }
            Work::Change => self.world.exchange.change(*number).map(drop),
        }
    }

    /// The same; the tip, where there is another.
    fn prepare_held(&self, work: Work) -> Result<Option<Oid>> {
        let (device, number) = &self.held;
        match work {
            Work::Poll => {
                // What the others published is none of this device's, and no news any more.
                self.daemon.poll()?;
                Ok(None)
            }
            Work::Report => {
                device.play(true)?;
                self.daemon.poll_to_report()?;
                device.play(false)?;
                Ok(None)
            }
            Work::Change => {
                self.daemon.poll()?;
                Ok(Some(self.world.exchange.change(*number)?))
            }
        }
    }
}
