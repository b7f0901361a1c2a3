//! One visit of a stick: what it brings is taken as from a hub, what the device has to say is written next to it.

use std::path::{Path, PathBuf};

use giter_edge::{
    api::{Error, Reason, Result},
    codec::{calendar::Utc, config::Config, stick::folder_of},
    disk::{Refusal, RefusalFile},
    link::{
        StickLink,
        relay::Passed,
        stick::{Place, medium::Folder},
    },
    reconcile::tick::{Agent, Moment, Reach, Tick},
};

use crate::{
    device::{self, Device},
    relay,
};

/// What came of a visit.
pub struct Visit {
    /// What happened on the device.
    pub tick: Tick,
    /// The bundle that was looked into, from the top of the stick; `None` where there was none for this device.
    pub read: Option<PathBuf>,
    /// What was written, from the top of the stick; a file that was there already with the same bytes is not.
    pub wrote: Vec<PathBuf>,
    /// What passed for the devices that this one carries for; `None` where there are none.
    pub relayed: Option<Passed>,
    /// Why something could not be written, or is not known to be safe on the stick.
    pub failed: Option<Error>,
}

impl Visit {
    /// Every file that was written or passed, and the words for that.
    pub fn moved(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        let wrote = self.wrote.iter().map(|path| ("wrote", path.as_path()));
        wrote.chain(relay::moved(self.relayed.as_ref()))
    }

    /// The error that decides the exit code, as [`Tick::error`]: the tick's first.
    pub fn error(&self) -> Option<Error> {
        let relayed = relay::failed(self.relayed.as_ref());
        self.tick.error().or_else(|| self.failed.as_ref().or(relayed).map(Error::flattened))
    }
}

/// One tick with the stick that is mounted at `root`. When this returns, what was written is synced: the stick can be
/// unmounted and pulled out.
///
/// # Errors
///
/// `StickFailed` if there is no such folder.
pub fn visit(device: &mut Device, agent: &mut Agent, root: &Path, now: Moment) -> Result<Visit> {
    let stick = Folder::at(root)?;
    let mut link = device.carried(Place::Stick(stick.clone()), agent.record());
    let mut visit = take(device, agent, &mut link, now);
    let left = link.leave_report(&report(agent, &visit.tick, now));
    visit.relayed =
        device.relay().map(|relay| relay.pass(&stick, folder_of(device::exchange(&device.config, agent.record()))));
    let left = left.and(link.sync());
    visit.wrote = link.wrote().to_vec();
    // A stick on which statuses could not be written has no room for the report either.
    visit.failed = left.err().filter(|_| visit.tick.publish_error.is_none());
    Ok(visit)
}

/// One tick with a single bundle. What there is to say waits in the outbox.
pub fn take_bundle(device: &mut Device, agent: &mut Agent, bundle: &Path, now: Moment) -> Visit {
    let mut link = device.carried(Place::Bundle(bundle.to_owned()), agent.record());
    take(device, agent, &mut link, now)
}

fn take(device: &mut Device, agent: &mut Agent, link: &mut StickLink, now: Moment) -> Visit {
    let tick = agent.tick(&mut device.ports_to(link), Reach::Hub, now);
    let visit = Visit { tick, read: link.read().map(Path::to_owned), wrote: vec![], relayed: None, failed: None };
    if let Err(error) = keep_refusal(&device.config, &visit, now) {
        log::warn!("{}", error.one_line());
    }
    visit
}

/// Keeps why nothing was taken until something is, for who asks once the stick is gone.
fn keep_refusal(config: &Config, visit: &Visit, now: Moment) -> Result<()> {
    let file = RefusalFile::new(&config.state);
    match &visit.tick.refused {
        Some(error) if error.reason() == Reason::Stopped => Ok(()),
        Some(error) => {
            let read = visit.read.as_ref().map_or_else(String::new, |path| format!("{}: ", path.display()));
            let message = format!("{read}{}", error.one_line());
            file.save(Some(&Refusal { time: now.time, reason: error.reason().to_string(), message }))
        }
        None => file.save(None),
    }
}

/// What the device did, for people: the lines at the head are always these.
fn report(agent: &Agent, tick: &Tick, now: Moment) -> String {
    let record = agent.record();
    let error = tick.error();
    let nothing = || "none".to_owned();
    let status = record.status.as_ref();
    let rows = [
        ("device", tick.status.device.to_string()),
        ("exchange", folder_of(record.exchange.as_ref()).to_owned()),
        ("time", Utc::of_seconds(now.time.max(0)).to_string()),
        ("revision", record.tip.as_ref().map_or_else(nothing, |tip| tip.commit.to_string())),
        ("status", status.map_or_else(nothing, |status| status.commit.to_string())),
        ("sequence", status.map_or_else(nothing, |status| status.sequence.to_string())),
        ("result", if error.is_some() { "failed" } else { "done" }.to_owned()),
        ("reason", error.as_ref().map_or_else(nothing, |error| error.reason().to_string())),
    ];
    let mut text: String = rows.iter().map(|(key, value)| format!("{key}: {value}\n")).collect();
    text.push('\n');
    match &tick.advanced {
        Some(accepted) => text.push_str(&format!("accepted {}, signed by {}\n", accepted.commit, accepted.signer)),
        None => text.push_str("nothing new was accepted\n"),
    }
    if let Some(error) = &error {
        text.push_str(&format!("{}\n", error.one_line()));
        text.extend(error.get_hint().map(|hint| format!("hint: {hint}\n")));
    }
    text
}
