//! The fleet at its hub, and the acts of its story.

use std::{fmt::Write, path::Path, time::Duration};

use crate::{
    Result,
    agent::{Device, Start},
    exchange::Exchange,
    hub::Hub,
    journal::{self, Journal},
    stage::Stage,
    table::{self, Counts},
    waits,
};

/// What a server is told for a fleet, beside docs/HUB.md: nobody is turned away.
const MANY: &str = "MaxStartups 1000\n";
/// Failures in a row after which the server comes back.
const FAILURES: usize = 2;
/// The `link.hold` of agents that hold their connections, at this interval.
const HELD: &str = "auto";

/// Devices, their hub and their publisher.
pub(crate) struct Fleet {
    exchange: Exchange,
    hub: Hub,
    devices: Vec<Device>,
    interval: Duration,
}

impl Fleet {
    /// Makes all of it. Every device is approved and may log in; nothing is published yet.
    pub(crate) fn create(dir: &Path, devices: usize, interval: Duration) -> Result<Self> {
        let exchange = Exchange::create(&dir.join("publisher"))?;
        let root_file = exchange.root_file();
        let hub = Hub::create(&dir.join("hub"), &root_file)?;
        let device = |number| {
            let name = format!("device-{number:04}");
            Device::create(&dir.join(&name), &name, &hub, &root_file, interval)
        };
        let devices = (0..devices).map(device).collect::<Result<Vec<_>>>()?;
        let mut keys = String::new();
        for device in &devices {
            exchange.approve(device)?;
            writeln!(keys, "restrict {}", device.ssh_key)?;
        }
        hub.authorize(&keys)?;
        Ok(Self { exchange, hub, devices, interval })
    }

    /// The whole story.
    pub(crate) fn play(&self) -> Result<()> {
        table::head();
        let mut stage = Stage::set(&self.hub, &self.devices, self.interval)?;
        self.play_held(&mut stage)?;
        let plain = stage.memory_of_a_connection()?;
        stage.stop()?;
        self.play_served(&mut stage)?;
        let served = stage.memory_of_a_connection()?;
        stage.stop()?;
        self.play_unheld(&mut stage)?;
        println!();
        table::figure("memory of a held connection at the hub, in kB", plain / 1024);
        table::figure("the same, by giterctl serve", served / 1024);
        self.judge(stage)
    }

    /// Each device holds its connection, to a hub that is away in between.
    fn play_held(&self, stage: &mut Stage<'_>) -> Result<()> {
        let first = self.publish(&self.devices, "first")?;
        stage.act("started at once, stock sshd", |stage| {
            stage.start(HELD, Start::Hand)?;
            stage.until_observed(&first)
        })?;
        let counts = stage.act("nothing to do, two polls each", |stage| stage.until_polled(2))?;
        if counts.logins > 0 {
            return Err(format!("{} logins for polls on connections that are held", counts.logins).into());
        }
        let all = self.publish(&self.devices, "second")?;
        stage.act("a change for all", |stage| stage.until_observed(&all))?;
        let one = self.publish(&self.devices[..1], "third")?;
        let counts = stage.act("a change for one", |stage| stage.until_accepted(&one))?;
        if counts.pushes != 1 {
            return Err(format!("{} statuses were pushed for a change of one device", counts.pushes).into());
        }
        stage.act("the hub is away, and back", |stage| {
            stage.close()?;
            stage.until_each("have failed in a row", |journal| journal.failures_in_a_row() >= FAILURES)?;
            stage.open(MANY)?;
            stage.until_each("be back", |journal| journal.failures_in_a_row() == 0)
        })?;
        Ok(())
    }

    /// Each device may do what `giterctl serve` lets it, and nobody is turned away: they start with their power, all at once.
    fn play_served(&self, stage: &mut Stage<'_>) -> Result<()> {
        self.hub.authorize_to_be_served()?;
        let fourth = self.publish(&self.devices, "fourth")?;
        let counts = stage.act("power is back, giterctl serve", |stage| {
            stage.start(HELD, Start::Power)?;
            stage.until_observed(&fourth)
        })?;
        welcomed(stage, counts)
    }

    /// The same with a connection for each poll, and nothing to say.
    fn play_unheld(&self, stage: &mut Stage<'_>) -> Result<()> {
        let counts = stage.act("power is back, none is held", |stage| {
            stage.start("never", Start::Power)?;
            stage.until_polled(2)
        })?;
        welcomed(stage, counts)
    }

    /// Gives devices a file with this text.
    fn publish(&self, devices: &[Device], text: &str) -> Result<String> {
        devices.iter().try_for_each(|device| self.exchange.specify(device, text))?;
        self.exchange.publish(&self.hub, text)
    }

    /// What the logs and the hub's records say of it all.
    fn judge(&self, mut stage: Stage<'_>) -> Result<()> {
        stage.stop()?;
        if let Some(complaint) = stage.told.iter().flat_map(|journal| &journal.complaints).next() {
            return Err(format!("an agent says: {complaint}").into());
        }
        let pushed: usize = stage.told.iter().map(|journal| journal.pushes).sum();
        let taken = self.hub.status_count()?;
        if pushed != taken {
            return Err(format!("{pushed} statuses were pushed, and the hub has {taken}").into());
        }
        self.exchange.verify(&self.hub)?;
        table::figure("statuses pushed, at the hub, and proven", taken);
        print_failures(&stage.told);
        waits::check(&stage.told, self.interval)?;
        table::figure("memory of an agent, the most, in kB", stage.agents_memory / 1024);
        table::figure("memory of the hub's sshd and git, the most, in kB", stage.hub_memory / 1024);
        Ok(())
    }
}

/// Whether nobody was turned away, and no poll failed.
fn welcomed(stage: &mut Stage<'_>, Counts { refused, failed, .. }: Counts) -> Result<()> {
    if refused + failed == 0 {
        return Ok(());
    }
    stage.stop()?;
    print_failures(&stage.told);
    Err(format!("{refused} connections were refused, {failed} polls failed").into())
}

fn print_failures(told: &[Journal]) {
    for (failure, times) in journal::failures(told) {
        println!("failed {times} times: {failure}");
    }
}
