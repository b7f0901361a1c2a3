//! The daemon: a thin smol shell around the tick. It waits for time and signals; every decision is the tick's.
//!
//! ```text
//! start -> tick(board) -> tick(hub) -> wait -+- poll is due, or SIGHUP ------> tick(hub)
//!                                            +- drift is due, board differs -> tick(board), then tick(hub)
//!                                            +- SIGTERM, SIGINT -------------> end
//! ```
//!
//! The ports block, so the agent lives on a thread of its own (`worker`). A signal that ends the daemon cancels the
//! link, so that a silent hub cannot delay it.

use std::{path::Path, time::Duration, time::Instant};

use async_signal::{Signal, Signals};
use giter_edge::{
    api::{Error, Reason, Result},
    reconcile::{
        schedule::Schedule,
        tick::{Reach, Tick},
    },
};
use smol::{Timer, future, stream::StreamExt};

use crate::{show, worker::Worker, world};

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
///
/// The device cannot be set up, or the state folder cannot be recovered.
pub fn run(config: &Path) -> Result<()> {
    smol::block_on(async {
        let mut daemon = Daemon::start(config).await?;
        while let Next::Go = daemon.round().await? {}
        log::info!("stopped");
        daemon.worker.join();
        Ok(())
    })
}

struct Daemon {
    worker: Worker,
    signals: Signals,
    schedule: Schedule,
    drift_interval: Duration,
    started: bool,
    poll_soon: bool,
}

/// Whether there is another round.
enum Next {
    Go,
    Stop,
}

/// What ends a wait.
enum Event {
    PollIsDue,
    DriftIsDue,
    Stop,
}

impl Daemon {
    async fn start(config: &Path) -> Result<Self> {
        let signals = Signals::new([Signal::Term, Signal::Int, Signal::Hup])
            .map_err(|error| Error::new(Reason::Bug, "cannot listen for signals").caused_by(error))?;
        let worker = Worker::start(config).await?;
        let schedule = Schedule::new(worker.config.link.interval);
        let drift_interval = worker.config.drift_interval;
        log::info!("{} on {} follows {}", worker.config.device, worker.board, worker.config.link.url);
        Ok(Self { worker, signals, schedule, drift_interval, started: false, poll_soon: false })
    }

    /// What was accepted last is applied before the hub is asked; then the hub, then the wait for what comes next.
    async fn round(&mut self) -> Result<Next> {
        if !self.started {
            self.started = true;
            if self.tick(Reach::Board).await?.is_none() {
                return Ok(Next::Stop);
            }
        }
        let Some(tick) = self.tick(Reach::Hub).await? else { return Ok(Next::Stop) };
        let failure = tick.sync_error.or(tick.publish_error).map(|error| error.reason().class());
        let wait = self.schedule.next(failure, world::random());
        log::debug!("next poll in {} s", wait.as_secs());
        self.wait_for_work(Instant::now() + wait).await
    }

    async fn wait_for_work(&mut self, poll_at: Instant) -> Result<Next> {
        loop {
            if std::mem::take(&mut self.poll_soon) {
                return Ok(Next::Go);
            }
            match self.wait(poll_at).await {
                Event::Stop => return Ok(Next::Stop),
                Event::PollIsDue => return Ok(Next::Go),
                Event::DriftIsDue => match self.attend(Worker::has_drift).await? {
                    None => return Ok(Next::Stop),
                    Some(false) => {}
                    Some(true) if self.tick(Reach::Board).await?.is_none() => return Ok(Next::Stop),
                    Some(true) => return Ok(Next::Go),
                },
            }
        }
    }

    /// One tick, logged; `None` to stop.
    async fn tick(&mut self, reach: Reach) -> Result<Option<Tick>> {
        let tick = self.attend(async move |worker: &Worker| worker.tick(reach).await).await?;
        if let Some(tick) = &tick {
            show::log_tick(tick);
        }
        Ok(tick)
    }

    /// Has the worker do something while signals are heard. A signal to stop cancels the link, waits for the work to
    /// end, and gives `None`; SIGHUP is kept for when the work is done.
    async fn attend<T>(&mut self, work: impl AsyncFnOnce(&Worker) -> Result<T>) -> Result<Option<T>> {
        let Self { worker, signals, poll_soon, .. } = self;
        let work = work(worker);
        let listen = async {
            while let Some(Ok(Signal::Hup)) = signals.next().await {
                *poll_soon = true;
            }
            worker.cancel.cancel();
            future::pending().await
        };
        let done = future::or(work, listen).await?;
        Ok((!worker.cancel.is_cancelled()).then_some(done))
    }

    async fn wait(&mut self, poll_at: Instant) -> Event {
        let drift = async {
            Timer::after(self.drift_interval).await;
            Event::DriftIsDue
        };
        let poll = async {
            Timer::at(poll_at).await;
            Event::PollIsDue
        };
        let signal = async {
            match self.signals.next().await {
                Some(Ok(Signal::Hup)) => Event::PollIsDue,
                _ => Event::Stop,
            }
        };
        future::or(signal, future::or(poll, drift)).await
    }
}
