//! What the rows are measured in: the wire, the hub at its other end, the device's disk, and git's clone.

use std::{
    cell::{Cell, OnceCell},
    fs::{self, File},
    os::fd::AsFd,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::{
    Result,
    device::Device,
    exchange::{Exchange, Number},
    git::{Git, Way},
    line::Line,
    meter, namespaces,
    sshd::{Options, Server, Sshd},
    wire::{self, Traffic, Wire},
};

/// The devices that are measured: those of one site, which report for themselves.
const OURS: std::ops::Range<usize> = 4_200..4_300;
/// A device whose specs change for git's sake.
pub(crate) const GITS: Number = Number(OURS.start);
/// The first and the last of those that are elsewhere.
pub(crate) const ELSEWHERE: std::ops::Range<usize> = 5_000..10_000;
/// The device's disk, in bytes: room for git's clone, which is 177 MB.
const DISK: u64 = 1 << 30;

/// All of it.
pub(crate) struct World {
    /// Between the device and the hub.
    pub(crate) wire: Wire,
    /// The repository.
    pub(crate) exchange: Exchange,
    /// The SSH server, the same for git and giterd.
    pub(crate) server: Sshd,
    /// A folder in memory, for what is not measured.
    pub(crate) memory: PathBuf,
    /// The device's disk.
    pub(crate) disk: PathBuf,
    /// Its name in the kernel.
    pub(crate) block: String,
    hub: File,
    kind: Server,
    git: OnceCell<Cloned>,
    next: Cell<usize>,
}

/// A clone of git's, and what it took.
pub(crate) struct Cloned {
    pub(crate) git: Git,
    pub(crate) traffic: Traffic,
    /// The most memory of its largest process, in bytes.
    pub(crate) memory: u64,
}

impl World {
    /// Makes it around the calling thread, which is the device's from then on.
    pub(crate) fn make(kind: Server) -> Result<Self> {
        let memory = namespaces::memory()?;
        let disk = memory.join("disk");
        let block = namespaces::mount_disk(&memory.join("disk.image"), &disk, DISK)?;
        let hub = namespaces::network()?;
        let device = wire::end("device", wire::DEVICE, wire::HUB)?;
        let far = in_hub(&hub, || wire::end("hub", wire::HUB, wire::DEVICE).map_err(|error| error.to_string()))??;
        let files = disk.join("files");
        fs::create_dir(&files)?;
        let exchange = Exchange::create(&memory, &files)?;
        let server = serve(&hub, kind, None)?;
        let wire = Wire::join(device, far);
        let (git, next) = (OnceCell::new(), Cell::new(OURS.start));
        Ok(Self { wire, exchange, server, memory, disk, block, hub, kind, git, next })
    }

    /// Another SSH server, which has this command run whatever it is asked for.
    pub(crate) fn serve(&self, forced: &str) -> Result<Sshd> {
        serve(&self.hub, self.kind, Some(forced))
    }

    /// Git, with a clone on the device's disk.
    pub(crate) fn git(&self) -> Result<&Cloned> {
        if self.git.get().is_none() {
            let git = Git::new(&self.disk.join("git"), &self.exchange, &self.server)?;
            self.wire.take();
            let memory = meter::memory(&git.clone(Way::Curve), &self.memory)?;
            // Nobody else sets it: there is one thread here.
            let _ = self.git.set(Cloned { git, traffic: self.wire.take(), memory });
        }
        self.git.get().ok_or_else(|| "git has no clone".into())
    }

    /// The next device that nobody has measured yet.
    pub(crate) fn next(&self) -> Result<Number> {
        self.next.set(self.next.get() + 1);
        if OURS.contains(&self.next.get()) { Ok(Number(self.next.get())) } else { Err("no device is left".into()) }
    }

    /// A device that has not synced yet, with its number.
    pub(crate) fn device(&self, client: &'static str) -> Result<(Device, Number)> {
        let number = self.next()?;
        Ok((self.device_at(number, client, &self.server)?, number))
    }

    /// The same, of a number and at a server.
    pub(crate) fn device_at(&self, number: Number, client: &'static str, server: &Sshd) -> Result<Device> {
        let name = format!("device-{}-{client}", number.0);
        Device::enrol([&self.disk.join(&name), &self.memory.join(&name)], &self.exchange, number, server, client)
    }

    /// The numbers of the devices that report for themselves.
    pub(crate) fn reporting(&self) -> Vec<Number> {
        OURS.map(Number).collect()
    }

    /// Counts what passes while something is done.
    pub(crate) fn traffic(&self, work: impl FnOnce() -> Result<()>) -> Result<Traffic> {
        self.timed(&Line::NONE, 0, work).map(|(_, traffic)| traffic)
    }

    /// How long something takes over a line, whose losses are those of the seed, and what passes meanwhile.
    pub(crate) fn timed(
        &self,
        line: &Line,
        seed: u64,
        work: impl FnOnce() -> Result<()>,
    ) -> Result<(Duration, Traffic)> {
        self.wire.take();
        self.wire.set(line, seed);
        let begin = Instant::now();
        let done = work();
        let time = begin.elapsed();
        let traffic = self.wire.take();
        self.wire.set(&Line::NONE, 0);
        done.map(|()| (time, traffic))
    }

    /// The bytes that reach the device's disk while something is done.
    pub(crate) fn reaching_disk(&self, work: impl FnOnce() -> Result<()>) -> Result<u64> {
        let before = meter::written_to(&self.block, &self.disk)?;
        work()?;
        Ok(meter::written_to(&self.block, &self.disk)? - before)
    }
}

fn serve(hub: &File, server: Server, forced: Option<&str>) -> Result<Sshd> {
    in_hub(hub, || {
        Sshd::with(&Options { server, accept_env: true, forced, address: Some(wire::HUB), ..Options::default() })
    })
}

/// Does something in the hub's namespace, where all that it starts remains.
fn in_hub<T: Send>(hub: &File, work: impl FnOnce() -> T + Send) -> Result<T> {
    let moved = || move_into_link_name_space(hub.as_fd(), Some(LinkNameSpaceType::Network));
    let there = thread::scope(|scope| scope.spawn(|| moved().map(|()| work())).join());
    Ok(there.map_err(|_| "the hub could not be set up")??)
}
