//! What is done with a stick from its plugging to its pulling, on the agent's thread: it is mounted if nobody else has, visited,
//! let go, and an LED shows how that stands.

use std::{
    fs,
    path::{Path, PathBuf},
};

use giter_edge::{
    api::{Error, Reason, Result},
    codec::{config::Mounting, stick},
    drivers::{Lamp, Sign},
    plug::{self, Mounted, Place, Stick},
    reconcile::{
        goal::Goal,
        tick::{Agent, Tick},
    },
};
use log::Level;

use crate::{
    device::Device,
    stick::{Visit, visit},
    world,
};

/// What came of a stick that was one of ours.
pub struct Met {
    /// What happened on the device; `None` where the stick could not even be looked into.
    pub tick: Option<Tick>,
    /// What is to be said after that, each line with its level.
    pub lines: Vec<(Level, String)>,
}

/// The sticks of a device.
pub struct Sticks {
    at: PathBuf,
    lamp: Option<Lamp>,
    /// For which stick the LED shows something.
    shown: Option<u64>,
    /// The last cure that was said of a stick that cannot be mounted.
    said: Option<String>,
}

impl Sticks {
    /// Makes ready for sticks. An LED that is not there is said once, and keeps nobody from working.
    pub fn new(device: &Device) -> Self {
        let settings = &device.config.stick;
        if settings.mount == Mounting::Auto {
            plug::clear(&settings.at);
        }
        let lamp = match settings.is_watched() {
            true => device.board.lamp(device.config.led_sysfs.clone(), settings.led.as_deref()),
            false => Ok(None),
        };
        let lamp = lamp.unwrap_or_else(|error| {
            log::warn!("stick.led: {}", error.one_line());
            None
        });
        Self { at: settings.at.clone(), lamp, shown: None, said: None }
    }

    /// A stick was plugged in; `None` if it is none of ours.
    pub fn plugged(&mut self, stick: &Stick, device: &mut Device, agent: &mut Agent) -> Option<Met> {
        match &stick.place {
            Place::Mounted(root) => {
                is_ours(root)?;
                self.begin(stick, root, agent);
                let visited = visit(device, agent, root, world::now());
                Some(self.end(root, visited, Ok(()), agent))
            }
            Place::Unmounted(node) => match Mounted::reading(node, &self.at) {
                Ok(mounted) => self.mounted(stick, node, mounted, device, agent),
                Err(error) => self.unmountable(&error),
            },
        }
    }

    /// A stick is gone.
    pub fn pulled(&mut self, id: u64) {
        log::debug!("a stick was pulled out or unmounted");
        if self.shown == Some(id) {
            self.rest();
        }
    }

    /// The LED does again what it did before.
    pub fn rest(&mut self) {
        self.shown = None;
        if let Some(Err(error)) = self.lamp.as_mut().map(Lamp::restore) {
            log::warn!("{}", error.one_line());
        }
    }

    fn mounted(
        &mut self,
        stick: &Stick,
        node: &Path,
        mut mounted: Mounted,
        device: &mut Device,
        agent: &mut Agent,
    ) -> Option<Met> {
        if is_ours(mounted.root()).is_none() {
            if let Err(error) = mounted.finish() {
                log::warn!("{}", error.one_line());
            }
            return None;
        }
        self.begin(stick, node, agent);
        if let Err(error) = mounted.for_writing() {
            log::warn!("{}", error.one_line());
        }
        let visited = visit(device, agent, mounted.root(), world::now());
        Some(self.end(node, visited, mounted.finish(), agent))
    }

    fn unmountable(&mut self, error: &Error) -> Option<Met> {
        let hint = error.get_hint().map(str::to_owned);
        let level = if self.said == hint { Level::Debug } else { Level::Warn };
        let mut lines = vec![(level, error.one_line())];
        lines.extend(hint.iter().filter(|_| level == Level::Warn).map(|hint| (Level::Info, format!("hint: {hint}"))));
        self.said = hint;
        Some(Met { tick: None, lines })
    }

    fn begin(&mut self, stick: &Stick, name: &Path, agent: &Agent) {
        log::info!("stick {}: met; it must not be pulled out yet", name.display());
        self.shown = Some(stick.id);
        self.show(Sign::Working, agent);
    }

    fn end(&mut self, name: &Path, visited: Result<Visit>, unmounted: Result<()>, agent: &Agent) -> Met {
        let name = name.display();
        let mut lines = Vec::new();
        let mut say = |level, line: String| lines.push((level, format!("stick {name}: {line}")));
        let (tick, failed) = match visited {
            Ok(visit) => {
                let failed = visit.error();
                match &visit.read {
                    Some(path) => say(Level::Info, format!("read {}", path.display())),
                    None => say(Level::Info, "nothing to read for this device".into()),
                }
                visit.moved().for_each(|(words, path)| say(Level::Info, format!("{words} {}", path.display())));
                (Some(visit.tick), failed)
            }
            Err(error) => (None, Some(error)),
        };
        let can_go = unmounted.is_ok();
        let errors: Vec<_> = failed.into_iter().chain(unmounted.err()).collect();
        for error in errors.iter().filter(|error| error.reason() != Reason::Stopped) {
            say(Level::Warn, format!("{}: {}", error.reason(), error.one_line()));
            error.get_hint().into_iter().for_each(|hint| say(Level::Info, format!("hint: {hint}")));
        }
        match (can_go, errors.is_empty()) {
            (true, true) => say(Level::Info, "done; it may be pulled out".into()),
            (true, false) => say(Level::Info, "not all went well; it may be pulled out".into()),
            (false, _) => say(Level::Warn, "it may not hold all that was written".into()),
        }
        self.show(if errors.is_empty() { Sign::Done } else { Sign::Failed }, agent);
        Met { tick, lines }
    }

    /// An LED that the specs drive is theirs.
    fn show(&mut self, sign: Sign, agent: &Agent) {
        let Some(lamp) = &mut self.lamp else { return };
        if agent.goals().any(|goal| matches!(goal, Goal::Led { led, .. } if **led == *lamp.name())) {
            lamp.let_go();
        } else if let Err(error) = lamp.show(sign) {
            log::warn!("{}; no LED shows what is done with sticks", error.one_line());
            self.lamp = None;
        }
    }
}

/// Whether the stick has the folder that is for us. A link is none: it would lead anywhere.
fn is_ours(root: &Path) -> Option<()> {
    let has_folder = fs::symlink_metadata(root.join(stick::TOP)).is_ok_and(|top| top.is_dir());
    if !has_folder {
        log::debug!("{} has no folder {}: left alone", root.display(), stick::TOP);
    }
    has_folder.then_some(())
}
