//! The fleet at its hub, and the acts of its story.

use std::{fmt::Write, path::Path, time::Duration};

use crate::{Result, agent::Device, exchange::Exchange, held, hub::Hub, journal, stage::Stage, table, waits};

/// What a server is told for a fleet, beside docs/HUB.md: nobody is turned away.
const MANY: &str = "MaxStartups 1000\n";
/// Failures in a row after which the server comes back.
const FAILURES: usize = 2;

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
        let mut keys = format!("restrict {}\n", exchange.public_key()?);
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
        let first = self.publish(&self.devices, "first")?;
        stage.act("started at once, stock sshd", |stage| {
            stage.start()?;
            stage.until_observed(&first)
        })?;
        stage.act("nothing to do, two polls each", |stage| stage.until_polled(2))?;
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
        stage.stop()?;
        let last = self.publish(&self.devices, "fourth")?;
        let counts = stage.act("started at once, MaxStartups 1000", |stage| {
            stage.start()?;
            stage.until_observed(&last)
        })?;
        if counts.refused + counts.failed > 0 {
            return Err(format!("{} connections were refused, {} polls failed", counts.refused, counts.failed).into());
        }
        self.judge(stage)
    }

    /// Gives devices a file with this text.
    fn publish(&self, devices: &[Device], text: &str) -> Result<String> {
        devices.iter().try_for_each(|device| self.exchange.specify(device, text))?;
        self.exchange.publish(&self.hub, text)
    }

    /// What the logs and the hub's records say of it all.
    fn judge(&self, mut stage: Stage<'_>) -> Result<()> {
        println!();
        let memory = stage.agents_memory()?;
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
        for (failure, times) in journal::failures(&stage.told) {
            println!("failed {times} times: {failure}");
        }
        waits::check(&stage.told, self.interval)?;
        table::figure("memory of an agent, the most, in kB", memory / 1024);
        table::figure("memory of the hub's sshd and git, the most, in kB", stage.hub_memory / 1024);
        let held = held::memory(&self.hub, stage.server()?, &self.exchange)?;
        table::figure("memory of a held connection at the hub, in kB", held / 1024);
        Ok(())
    }
}
