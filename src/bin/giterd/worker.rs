//! The thread that owns the device: the adapters block, and hold what must not leave their thread.

use std::{
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    thread::JoinHandle,
};

use giter_edge::{
    api::{Error, Reason, Result},
    codec::config::Config,
    link::{Cancel, relay::Passed},
    plug::Stick,
    reconcile::{
        ports::Heard,
        tick::{Agent, Reach, Tick},
    },
};
use smol::channel::{Receiver, Sender, bounded};

use crate::{
    device::Device,
    plugged::{Met, Sticks},
    relay, world,
};

/// The agent, at work on its own thread. Asked for one thing at a time.
pub struct Worker {
    /// What the operator decided.
    pub config: Config,
    /// The board's name.
    pub board: String,
    /// Ends what the agent waits for.
    pub cancel: Cancel,
    jobs: Sender<Job>,
    thread: JoinHandle<()>,
}

/// What is asked for, and where the answer is to be sent.
enum Job {
    Tick(Reach, Sender<Ticked>),
    Listen(Sender<Ear>),
    /// `None` for a stick that is none of ours.
    Meet(Stick, Sender<Option<Met>>),
    Pulled(u64),
}

/// What came of a tick.
pub struct Ticked {
    /// What happened.
    pub tick: Tick,
    /// What passed then for the devices that this one carries for, if it was asked.
    pub relayed: Option<Passed>,
    /// How the hub is listened to.
    pub ear: Ear,
}

/// What the hub said unasked, and how more of it is noticed.
pub struct Ear {
    /// What it said.
    pub heard: Heard,
    /// What becomes readable when it has said more; `None` where it says nothing unasked.
    pub descriptor: Option<OwnedFd>,
}

/// What the thread says once the device is open.
struct Opened {
    config: Config,
    board: String,
    cancel: Cancel,
}

impl Worker {
    /// Opens the device and starts the agent.
    ///
    /// # Errors
    ///
    /// Why the device cannot be opened, or the agent not be started.
    pub async fn start(config: &Path) -> Result<Self> {
        let (opened, is_open) = bounded(1);
        let (jobs, inbox) = bounded(1);
        let config = PathBuf::from(config);
        let thread = std::thread::Builder::new()
            .name("agent".into())
            .spawn(move || work(&config, &opened, &inbox))
            .map_err(|error| Error::new(Reason::Bug, "cannot start a thread").caused_by(error))?;
        let Opened { config, board, cancel } = is_open.recv().await.map_err(gone)??;
        Ok(Self { config, board, cancel, jobs, thread })
    }

    /// One tick, and what a gateway does after one that reached the hub.
    ///
    /// # Errors
    ///
    /// `Bug` if the thread is gone.
    pub async fn tick(&self, reach: Reach) -> Result<Ticked> {
        let (reply, answer) = bounded(1);
        self.jobs.send(Job::Tick(reach, reply)).await.map_err(gone)?;
        answer.recv().await.map_err(gone)
    }

    /// Takes in what the hub has said since.
    ///
    /// # Errors
    ///
    /// `Bug` if the thread is gone.
    pub async fn listen(&self) -> Result<Ear> {
        let (reply, answer) = bounded(1);
        self.jobs.send(Job::Listen(reply)).await.map_err(gone)?;
        answer.recv().await.map_err(gone)
    }

    /// Visits a stick that was plugged in, if it is one of ours.
    ///
    /// # Errors
    ///
    /// `Bug` if the thread is gone.
    pub async fn meet(&self, stick: Stick) -> Result<Option<Met>> {
        let (reply, answer) = bounded(1);
        self.jobs.send(Job::Meet(stick, reply)).await.map_err(gone)?;
        answer.recv().await.map_err(gone)
    }

    /// A stick is gone.
    ///
    /// # Errors
    ///
    /// `Bug` if the thread is gone.
    pub async fn pulled(&self, id: u64) -> Result<()> {
        self.jobs.send(Job::Pulled(id)).await.map_err(gone)
    }

    /// Waits for the thread to let go of the device.
    pub fn join(self) {
        drop(self.jobs);
        // A thread that panicked has said so on stderr.
        let _ = self.thread.join();
    }
}

fn gone(_: impl std::fmt::Debug) -> Error {
    Error::new(Reason::Bug, "the agent's thread ended on its own")
}

fn work(config: &Path, opened: &Sender<Result<Opened>>, inbox: &Receiver<Job>) {
    let (mut device, mut agent) = match open(config) {
        Ok(both) => both,
        Err(error) => {
            let _ = opened.send_blocking(Err(error));
            return;
        }
    };
    let board = device.board_name().to_string();
    let _ = opened.send_blocking(Ok(Opened { config: device.config.clone(), board, cancel: device.cancel.clone() }));
    let (mut sticks, mut is_first) = (Sticks::new(&device), true);
    while let Ok(job) = inbox.recv_blocking() {
        // The asker may be gone by now; then nobody waits for the answer.
        match job {
            Job::Tick(reach, reply) => {
                let tick = agent.tick(&mut device.ports(), reach, world::now());
                let to_hub = reach == Reach::Hub;
                let relayed = to_hub.then(|| relay::carry(&mut device, &agent, is_first)).flatten();
                is_first &= relayed.is_none();
                let _ = reply.send_blocking(Ticked { tick, relayed, ear: listen(&mut device) });
            }
            Job::Listen(reply) => {
                let _ = reply.send_blocking(listen(&mut device));
            }
            Job::Meet(stick, reply) => {
                let _ = reply.send_blocking(sticks.plugged(&stick, &mut device, &mut agent));
            }
            Job::Pulled(id) => sticks.pulled(id),
        }
    }
    sticks.rest();
    device.link().close();
}

/// What came with other answers is heard first: nothing would become readable for it any more.
fn listen(device: &mut Device) -> Ear {
    let link = device.link();
    Ear { heard: link.heard(), descriptor: link.listen() }
}

fn open(config: &Path) -> Result<(Device, Agent)> {
    let mut device = Device::open(config)?;
    let agent = device.start_agent()?;
    Ok((device, agent))
}
