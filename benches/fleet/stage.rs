//! The server and the agents at work, and waiting for what they do.

use std::{
    thread,
    time::{Duration, Instant},
};

use crate::{
    PATIENCE, Result,
    agent::{Agent, Device, Start},
    hub::{Hub, Sshd},
    journal::Journal,
    table::{self, Counts},
};

/// How often it is looked whether something has happened.
const LOOK: Duration = Duration::from_millis(500);
/// After how many looks the hub's memory is measured, which takes longer the more processes there are.
const LOOKS_FOR_MEMORY: usize = 20;

/// A server, and the agents of devices.
pub(crate) struct Stage<'a> {
    hub: &'a Hub,
    devices: &'a [Device],
    interval: Duration,
    server: Option<Sshd>,
    agents: Vec<Agent>,
    /// What servers and agents had counted that are gone.
    gone: Counts,
    /// The logs of agents that are gone.
    pub(crate) told: Vec<Journal>,
    /// The most memory of the hub that was seen, and of any agent that is gone, in bytes.
    pub(crate) hub_memory: u64,
    pub(crate) agents_memory: u64,
}

impl<'a> Stage<'a> {
    /// A stock server, and no agent yet.
    pub(crate) fn set(hub: &'a Hub, devices: &'a [Device], interval: Duration) -> Result<Self> {
        let server = Some(hub.serve("")?);
        let (agents, gone, told) = (Vec::new(), Counts::default(), Vec::new());
        Ok(Self { hub, devices, interval, server, agents, gone, told, hub_memory: 0, agents_memory: 0 })
    }

    /// Plays an act, and prints what it took.
    pub(crate) fn act(&mut self, what: &str, act: impl FnOnce(&mut Self) -> Result<()>) -> Result<Counts> {
        let (begin, before) = (Instant::now(), self.counts()?);
        act(self).map_err(|error| format!("{what}: {error}"))?;
        let counts = self.counts()?.since(before);
        table::row(what, begin.elapsed().as_secs_f64() / self.interval.as_secs_f64(), &counts);
        Ok(counts)
    }

    /// Starts the agents, one right after the other, with this `link.hold`.
    pub(crate) fn start(&mut self, hold: &str, by: Start) -> Result<()> {
        self.agents = self.devices.iter().map(|device| device.start(hold, by)).collect::<Result<_>>()?;
        Ok(())
    }

    /// Stops the agents.
    pub(crate) fn stop(&mut self) -> Result<()> {
        for agent in std::mem::take(&mut self.agents) {
            self.gone = self.gone.and(agent.counts()?);
            self.agents_memory = self.agents_memory.max(agent.peak_memory()?);
            self.told.push(agent.stop()?);
        }
        Ok(())
    }

    /// Starts a server.
    pub(crate) fn open(&mut self, configuration: &str) -> Result<()> {
        self.server = Some(self.hub.serve(configuration)?);
        Ok(())
    }

    /// Stops the server with all its sessions.
    pub(crate) fn close(&mut self) -> Result<()> {
        self.gone = self.gone.and(self.server()?.counts()?);
        self.server = None;
        Ok(())
    }

    /// The hub's memory for each connection, where every agent holds one, in bytes.
    pub(crate) fn memory_of_a_connection(&self) -> Result<u64> {
        self.server()?.memory_of_each(self.agents.len())
    }

    fn server(&self) -> Result<&Sshd> {
        self.server.as_ref().ok_or_else(|| "there is no server".into())
    }

    /// Waits until the status of every device at the hub observes this commit, and who pushed it has said so.
    pub(crate) fn until_observed(&mut self, commit: &str) -> Result<()> {
        let all = self.devices.len();
        self.until("statuses observe the commit", all, |stage| stage.hub.observers(commit))?;
        let taken = self.hub.status_count()?;
        self.until("statuses are in the logs", taken, |stage| Ok(stage.counts()?.pushes))
    }

    /// Waits until every agent has accepted this commit, and ended the poll in which it did.
    pub(crate) fn until_accepted(&mut self, commit: &str) -> Result<()> {
        self.until_each("agents have accepted the commit", |journal| journal.has_accepted(commit))
    }

    /// Waits until every agent has polled as often again.
    pub(crate) fn until_polled(&mut self, times: usize) -> Result<()> {
        let polls = |stage: &Self| -> Vec<usize> { stage.agents.iter().map(|one| one.journal().polls.len()).collect() };
        let before = polls(self);
        self.until("agents have polled", before.len(), |stage| {
            Ok(polls(stage).iter().zip(&before).filter(|(now, before)| **now >= **before + times).count())
        })
    }

    /// Waits until the log of every agent says so.
    pub(crate) fn until_each(&mut self, what: &str, says: impl Fn(&Journal) -> bool) -> Result<()> {
        let all = self.agents.len();
        self.until(what, all, |stage| Ok(stage.agents.iter().filter(|agent| says(&agent.journal())).count()))
    }

    /// Waits until it is so of as many, and looks at the hub's memory meanwhile.
    fn until(&mut self, what: &str, all: usize, count: impl Fn(&Self) -> Result<usize>) -> Result<()> {
        let begin = Instant::now();
        for look in 0_usize.. {
            let so = count(self)?;
            if so == all {
                return Ok(());
            }
            if begin.elapsed() > PATIENCE {
                return Err(format!("{so} of {all} {what}").into());
            }
            if let Some(server) = self.server.as_ref().filter(|_| look % LOOKS_FOR_MEMORY == 1) {
                self.hub_memory = self.hub_memory.max(server.memory()?);
            }
            thread::sleep(LOOK);
        }
        Ok(())
    }

    fn counts(&self) -> Result<Counts> {
        let server = self.server.as_ref().map(Sshd::counts).transpose()?.unwrap_or_default();
        let gone = self.gone.and(server);
        self.agents.iter().try_fold(gone, |sum, agent| Ok(sum.and(agent.counts()?)))
    }
}
