//! The daemon: a thin smol shell around the tick. It waits for time and signals; every decision is the tick's and the
//! schedule's.
//!
//! ```text
//! start -> tick(board) -> tick(hub) -> wait -+- poll is due, or SIGHUP -> tick(hub)
//!                              ^             +- drift interval is over -> tick(board), and wait again
//!                              |             +- the hub says something -> listen, and wait again
//!                              |             +- SIGTERM, SIGINT --------> end
//!                              `-- sooner, if the board shows what the hub does not know, or the hub has news
//! ```
//!
//! The ports block, so the agent lives on a thread of its own (`worker`). A signal that ends the daemon cancels the
//! link, so that a silent hub cannot delay it.

use std::{os::fd::OwnedFd, path::Path, time::Duration, time::Instant};

use async_signal::{Signal, Signals};
use giter_edge::{
    api::{Error, Reason, Result},
    reconcile::{
        ports::Heard,
        report,
        schedule::Schedule,
        tick::{Published, Reach, Tick},
    },
};
use smol::{Async, Timer, future, stream::StreamExt};

use crate::{
    journal::Journal,
    worker::{Ear, Worker},
    world,
};

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
///
/// The device cannot be set up, or the state folder cannot be recovered; `Bug` if the agent's thread ends on its own.
pub fn run(config: &Path) -> Result<()> {
    smol::block_on(async {
        let mut daemon = Daemon::start(config).await?;
        daemon.work().await?;
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
    /// When drift is looked for, if nothing comes first that looks at the board, too.
    look_at: Instant,
    journal: Journal,
    /// A digest of what the last poll had to say of the resources.
    told: Option<[u8; 16]>,
    /// SIGHUP came while there was no time for it, or the hub has news.
    poll_soon: bool,
    /// Readable when the hub has said something unasked.
    ear: Option<Async<OwnedFd>>,
}

/// What ends a wait.
enum Event {
    PollIsDue,
    DriftIsDue,
    HubSpeaks,
    Stop,
}

impl Daemon {
    async fn start(config: &Path) -> Result<Self> {
        let signals = Signals::new([Signal::Term, Signal::Int, Signal::Hup])
            .map_err(|error| Error::new(Reason::Bug, "cannot listen for signals").caused_by(error))?;
        let worker = Worker::start(config).await?;
        let config = &worker.config;
        log::info!("{} on {} follows {}", config.device, worker.board, config.hub()?);
        let uptime = Duration::from_secs(world::now().uptime);
        let schedule = Schedule::new(config.link.interval, Instant::now());
        Ok(Self {
            schedule: schedule.splayed(config.link.splay, uptime, world::random()),
            drift_interval: config.drift_interval,
            look_at: Instant::now(),
            journal: Journal::default(),
            told: None,
            poll_soon: false,
            ear: None,
            signals,
            worker,
        })
    }

    /// What was accepted last is applied before the hub is asked.
    async fn work(&mut self) -> Result<()> {
        self.look().await?;
        while !self.worker.cancel.is_cancelled() {
            match self.wait().await {
                Event::Stop => return Ok(()),
                Event::PollIsDue => self.poll().await?,
                Event::DriftIsDue => self.look().await?,
                Event::HubSpeaks => self.listen().await?,
            }
        }
        Ok(())
    }

    /// A tick to the hub and back.
    async fn poll(&mut self) -> Result<()> {
        self.poll_soon = false;
        let tick = self.tick(Reach::Hub).await?;
        let now = Instant::now();
        match tick.published {
            Published::Pushed(push) => log::debug!("pushed status {} as {}", push.sequence, push.commit.short()),
            Published::Held(_) => log::debug!("the status waits"),
            Published::Unchanged | Published::Kept(_) | Published::NotPushed => {}
        }
        let failure = tick.sync_error.as_ref().or(tick.publish_error.as_ref()).map(Error::reason);
        self.schedule.polled(now, failure, world::random());
        if let Published::Held(Some(seconds)) = tick.published {
            self.schedule.news(now + Duration::from_secs(seconds));
        }
        self.told = Some(report::resources_digest(&tick.status.resources)?);
        log::debug!("polled; next in {} s", self.schedule.poll_at().saturating_duration_since(now).as_secs());
        Ok(())
    }

    /// A tick of the board alone.
    async fn look(&mut self) -> Result<()> {
        let tick = self.tick(Reach::Board).await?;
        let seen = report::resources_digest(&tick.status.resources)?;
        let is_news = self.told.is_some_and(|told| told != seen);
        if is_news {
            self.schedule.news(Instant::now());
        }
        log::debug!("looked at the board: {}", if is_news { "news for the hub" } else { "nothing new" });
        Ok(())
    }

    /// Takes in what the hub said unasked.
    async fn listen(&mut self) -> Result<()> {
        let ear = self.worker.listen().await?;
        self.take_in(ear);
        Ok(())
    }

    fn take_in(&mut self, Ear { heard, descriptor }: Ear) {
        match heard {
            Heard::Nothing => {}
            Heard::News => self.poll_soon = true,
            Heard::Loss => self.schedule.lost(Instant::now(), world::random()),
        }
        let ear = descriptor.map(Async::new_nonblocking).transpose();
        self.ear = ear.map_err(|error| log::warn!("cannot wait for the hub: {error}")).ok().flatten();
    }

    /// Has the worker tick while signals are heard. A signal to stop cancels the link and waits for the tick to end;
    /// SIGHUP is kept for when it has ended.
    async fn tick(&mut self, reach: Reach) -> Result<Tick> {
        // What is readable now, the tick takes in.
        self.ear = None;
        let Self { worker, signals, poll_soon, .. } = self;
        let listen = async {
            while let Some(Ok(Signal::Hup)) = signals.next().await {
                *poll_soon = true;
            }
            worker.cancel.cancel();
            future::pending().await
        };
        let (tick, ear) = future::or(worker.tick(reach), listen).await?;
        self.take_in(ear);
        self.look_at = Instant::now() + self.drift_interval;
        for (level, line) in self.journal.lines(&tick, reach) {
            log::log!(level, "{line}");
        }
        Ok(tick)
    }

    async fn wait(&mut self) -> Event {
        if self.poll_soon {
            return Event::PollIsDue;
        }
        let drift = async {
            Timer::at(self.look_at).await;
            Event::DriftIsDue
        };
        let poll = async {
            Timer::at(self.schedule.poll_at()).await;
            Event::PollIsDue
        };
        let signal = async {
            match self.signals.next().await {
                Some(Ok(Signal::Hup)) => Event::PollIsDue,
                _ => Event::Stop,
            }
        };
        let hub = async {
            match &self.ear {
                Some(ear) => drop(ear.readable().await),
                None => future::pending().await,
            }
            Event::HubSpeaks
        };
        future::or(signal, future::or(poll, future::or(drift, hub))).await
    }
}
