//! The daemon: a thin smol shell around the tick. It waits for time and signals; every decision is the tick's and the
//! schedule's.
//!
//! ```text
//! start -> tick(board) -> tick(hub) -> wait -+- poll is due, or SIGHUP -> tick(hub)
//!                              ^             +- drift interval is over -> tick(board), and wait again
//!                              |             +- the hub says something -> listen, and wait again
//!                              |             +- a stick is plugged in ---> visit it, and wait again
//!                              |             +- SIGTERM, SIGINT --------> end
//!                              `-- sooner, if the board shows what the hub does not know, or the hub has news
//! ```
//!
//! The ports block, so the agent lives on a thread of its own (`worker`). A signal that ends the daemon cancels the
//! link, so that a silent hub cannot delay it. Sticks are noticed by another thread (`sticks`). A device without a hub is never
//! polled, and lives by sticks alone.

use std::{future::Future, os::fd::OwnedFd, path::Path, time::Duration, time::Instant};

use async_signal::{Signal, Signals};
use giter_edge::{
    api::{Error, Reason, Result},
    link::Cancel,
    plug,
    reconcile::{
        ports::Heard,
        report,
        schedule::Schedule,
        tick::{Published, Reach, Tick},
    },
};
use smol::{Async, Timer, channel::Receiver, future, stream::StreamExt};

use crate::{
    journal::Journal,
    plugged::Met,
    relay, sticks,
    worker::{Ear, Ticked, Worker},
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
    /// What is said of sticks, where they are watched.
    sticks: Option<Receiver<plug::Event>>,
}

/// What ends a wait.
enum Event {
    PollIsDue,
    DriftIsDue,
    HubSpeaks,
    Stick(plug::Event),
    Stop,
}

impl Daemon {
    async fn start(config: &Path) -> Result<Self> {
        let signals = Signals::new([Signal::Term, Signal::Int, Signal::Hup])
            .map_err(|error| Error::new(Reason::Bug, "cannot listen for signals").caused_by(error))?;
        let worker = Worker::start(config).await?;
        let config = &worker.config;
        let hub = config.link.url.as_deref().unwrap_or("what sticks bring");
        log::info!("{} on {} follows {hub}", config.device, worker.board);
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
            sticks: config.stick.is_watched().then(|| sticks::watch(&config.stick, &worker.cancel)),
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
                Event::PollIsDue if self.has_hub() => self.poll().await?,
                Event::PollIsDue => self.look().await?,
                Event::DriftIsDue => self.look().await?,
                Event::HubSpeaks => self.listen().await?,
                Event::Stick(plug::Event::Plugged(stick)) => self.meet(stick).await?,
                Event::Stick(plug::Event::Pulled(id)) => self.worker.pulled(id).await?,
            }
        }
        Ok(())
    }

    /// A tick to the hub and back.
    async fn poll(&mut self) -> Result<()> {
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
        let is_news = self.note_news(&tick)?;
        log::debug!("looked at the board: {}", if is_news { "news for the hub" } else { "nothing new" });
        Ok(())
    }

    /// Whether the board shows what the hub does not know, which then is to hear of it soon.
    fn note_news(&mut self, tick: &Tick) -> Result<bool> {
        let seen = report::resources_digest(&tick.status.resources)?;
        let is_news = self.told.is_some_and(|told| told != seen);
        if is_news {
            self.schedule.news(Instant::now());
        }
        Ok(is_news)
    }

    /// A stick was plugged in.
    async fn meet(&mut self, stick: plug::Stick) -> Result<()> {
        let Self { worker, signals, poll_soon, .. } = self;
        let Some(Met { tick, lines }) = heeding(signals, poll_soon, &worker.cancel, worker.meet(stick)).await? else {
            return Ok(());
        };
        let of_tick = tick.as_ref().map(|tick| self.journal.lines_of_visit(tick)).unwrap_or_default();
        for (level, line) in of_tick.into_iter().chain(lines) {
            log::log!(level, "{line}");
        }
        tick.map_or(Ok(()), |tick| self.note_news(&tick).map(drop))
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

    /// Has the worker tick while signals are heard.
    async fn tick(&mut self, reach: Reach) -> Result<Tick> {
        // What is readable now, the tick takes in.
        self.ear = None;
        let Self { worker, signals, poll_soon, .. } = self;
        let ticked = heeding(signals, poll_soon, &worker.cancel, worker.tick(reach)).await?;
        let Ticked { tick, relayed, ear } = ticked;
        self.take_in(ear);
        self.look_at = Instant::now() + self.drift_interval;
        for (level, line) in self.journal.lines(&tick, reach) {
            log::log!(level, "{line}");
        }
        for (words, path) in relay::moved(relayed.as_ref()) {
            log::info!("hub: {words} {}", path.display());
        }
        Ok(tick)
    }

    async fn wait(&mut self) -> Event {
        if std::mem::take(&mut self.poll_soon) {
            return Event::PollIsDue;
        }
        let drift = async {
            Timer::at(self.look_at).await;
            Event::DriftIsDue
        };
        let has_hub = self.has_hub();
        let poll = async {
            match has_hub {
                true => drop(Timer::at(self.schedule.poll_at()).await),
                false => future::pending().await,
            }
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
        let stick = async {
            match &self.sticks {
                // Where nobody watches any more, that was said.
                Some(sticks) => match sticks.recv().await {
                    Ok(event) => Event::Stick(event),
                    Err(_) => future::pending().await,
                },
                None => future::pending().await,
            }
        };
        future::or(signal, future::or(stick, future::or(poll, future::or(drift, hub)))).await
    }

    fn has_hub(&self) -> bool {
        self.worker.config.link.url.is_some()
    }
}

/// Does the work while signals are heard. A signal to stop cancels the link and waits for the work to end; SIGHUP is
/// kept for when it has ended.
async fn heeding<T>(
    signals: &mut Signals,
    poll_soon: &mut bool,
    cancel: &Cancel,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    let heed = async {
        while let Some(Ok(Signal::Hup)) = signals.next().await {
            *poll_soon = true;
        }
        cancel.cancel();
        future::pending().await
    };
    future::or(work, heed).await
}
