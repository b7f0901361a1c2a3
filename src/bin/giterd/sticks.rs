//! The thread that waits for sticks, which the kernel makes known by ways that smol does not wait for.

use giter_edge::{
    api::{Error, Reason, Result},
    codec::config,
    link::Cancel,
    plug::{Event, Watch},
};
use smol::channel::{Receiver, Sender, bounded};

/// Most events that wait until the daemon has time for them; more wait in the kernel.
const EVENTS: usize = 16;

/// Watches until cancelled. Where that cannot be done, it is said, and the daemon goes on without.
pub fn watch(settings: &config::Stick, cancel: &Cancel) -> Receiver<Event> {
    let (sender, events) = bounded(EVENTS);
    let cancel = cancel.clone();
    let started = Watch::new(settings.clone()).and_then(|watch| {
        let tell = move || tell(watch, &cancel, &sender).unwrap_or_else(|error| complain(&error));
        std::thread::Builder::new().name("sticks".into()).spawn(tell).map_err(no_thread)
    });
    if let Err(error) = started {
        complain(&error);
    }
    events
}

fn tell(mut watch: Watch, cancel: &Cancel, events: &Sender<Event>) -> Result<()> {
    loop {
        for event in watch.look()? {
            if events.send_blocking(event).is_err() {
                return Ok(());
            }
        }
        if !watch.wait(cancel)? {
            return Ok(());
        }
    }
}

fn no_thread(error: std::io::Error) -> Error {
    Error::new(Reason::Bug, "cannot start a thread").caused_by(error)
}

fn complain(error: &Error) {
    log::warn!("sticks are not noticed: {}: {}", error.reason(), error.one_line());
    if let Some(hint) = error.get_hint() {
        log::info!("hint: {hint}");
    }
}
