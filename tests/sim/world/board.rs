//! The board: files, lines and LEDs in memory, and the [`Board`] over them.
//!
//! A file survives a power cut, replaced whole or not at all. A line's hold and an LED's state do not: a line that
//! nobody drives falls to low, which is what its pull-down resistor does. Levels here are electrical.

use std::{collections::BTreeMap, sync::Arc};

use giter_edge::{
    api::{
        Error, Reason, Result, Spec,
        board::{LedState, Level, LineConfig},
        resource::{Content, FilePath, Owner},
    },
    reconcile::{
        goal::{Goal, Observed, Step},
        ports::Board,
    },
};
use sha2::{Digest, Sha256};

use super::{Done, Shared};

/// Where files may lie.
pub(crate) const ROOT: &str = "/etc/";
/// The lines.
pub(crate) const LINES: [&str; 3] = ["GPIO17", "GPIO22", "GPIO27"];
/// The LEDs.
pub(crate) const LEDS: [&str; 1] = ["ACT"];
const TRIGGERS: [&str; 2] = ["none", "heartbeat"];
const BRIGHTEST: u32 = 255;

pub(crate) struct Registers {
    pub(crate) files: BTreeMap<String, File>,
    pub(crate) lines: BTreeMap<&'static str, Line>,
    pub(crate) leds: BTreeMap<&'static str, LedState>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct File {
    pub(crate) content: Vec<u8>,
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) held: Option<LineConfig>,
    pub(crate) level: Level,
    /// The levels that the agent drove, one after the other, without repetitions; since power came.
    pub(crate) driven: Vec<Level>,
}

impl Line {
    const IDLE: Self = Self { held: None, level: Level::Low, driven: Vec::new() };

    fn drive(&mut self, config: LineConfig) {
        if let Some(level) = config.output {
            self.level = level.inverted_if(config.active_low);
            if self.driven.last() != Some(&self.level) {
                self.driven.push(self.level);
            }
        }
    }
}

impl Default for Registers {
    fn default() -> Self {
        let lines = LINES.iter().map(|&line| (line, Line::IDLE)).collect();
        let leds = LEDS.iter().map(|&led| (led, LedState::Brightness(0))).collect();
        Self { files: BTreeMap::new(), lines, leds }
    }
}

impl Registers {
    pub(crate) fn lose_power(&mut self) {
        *self = Self { files: std::mem::take(&mut self.files), ..Self::default() };
    }

    /// Writes a file behind the agent's back.
    pub(crate) fn tamper(&mut self, path: &str, content: &[u8]) {
        match self.files.get_mut(path) {
            Some(file) => file.content = content.to_vec(),
            None => {
                drop(self.files.insert(path.into(), File { content: content.to_vec(), mode: 0o644, uid: 0, gid: 0 }))
            }
        }
    }

    /// Moves a line behind the agent's back.
    pub(crate) fn force(&mut self, line: &str, level: Level) {
        self.lines.get_mut(line).unwrap().level = level;
    }

    fn observe(&self, goal: &Goal) -> Observed {
        match goal {
            Goal::File { path, .. } => match self.files.get(path.as_str()) {
                None => Observed::NoFile,
                Some(File { content, mode, uid, gid }) => Observed::File {
                    sha256: Some(Sha256::digest(content).into()),
                    size: content.len() as u64,
                    mode: *mode,
                    uid: *uid,
                    gid: *gid,
                },
            },
            Goal::Line { line, config } => {
                let line = &self.lines[&**line];
                Observed::Line { held: line.held, level: Some(line.level.inverted_if(config.active_low)) }
            }
            Goal::Led { led, .. } => Observed::Led(self.leds[&**led].clone()),
        }
    }

    fn apply(&mut self, step: &Step) {
        match step {
            Step::WriteFile { path, content, mode, uid, gid } => {
                let (uid, gid) = (uid.unwrap_or(0), gid.unwrap_or(0));
                let file = File { content: content.to_vec(), mode: mode.bits(), uid, gid };
                self.files.insert(path.as_str().into(), file);
            }
            Step::SetFileMode { path, mode, uid, gid } => {
                if let Some(file) = self.files.get_mut(path.as_str()) {
                    file.mode = mode.bits();
                    file.uid = uid.unwrap_or(file.uid);
                    file.gid = gid.unwrap_or(file.gid);
                }
            }
            Step::RemoveFile { path } => drop(self.files.remove(path.as_str())),
            Step::HoldLine { line, config } => {
                let line = self.lines.get_mut(&**line).unwrap();
                line.held = Some(*config);
                line.drive(*config);
            }
            Step::ReleaseLine { line, last } => {
                let line = self.lines.get_mut(&**line).unwrap();
                line.held = None;
                if let Some(last) = last {
                    line.drive(*last);
                }
            }
            Step::SetLed { led, state } => drop(self.leds.insert(named(&LEDS, led).unwrap(), state.clone())),
        }
    }
}

pub(crate) struct SimBoard(Shared);

impl SimBoard {
    pub(crate) fn new(world: &Shared) -> Self {
        Self(world.clone())
    }
}

impl Board for SimBoard {
    fn name(&self) -> &str {
        "simworld"
    }

    fn bind(&self, spec: &Spec) -> Result<Goal> {
        match spec {
            Spec::File(spec) => {
                allow(&spec.path)?;
                let (uid, gid) = owner(spec.owner.as_ref())?;
                let Content::Bytes(content) = &spec.content else {
                    panic!("the content of {} was not read", spec.path)
                };
                Ok(Goal::File { path: spec.path.clone(), content: Arc::clone(content), mode: spec.mode, uid, gid })
            }
            Spec::GpioLine(spec) => match named(&LINES, &spec.line) {
                Some(line) => Ok(Goal::Line { line: line.into(), config: spec.config }),
                None => Err(Error::new(Reason::UnknownLine, format!("no line {}", spec.line))),
            },
            Spec::Led(spec) => match named(&LEDS, &spec.led) {
                Some(led) => Ok(Goal::Led { led: led.into(), state: led_goal(&spec.state) }),
                None => Err(Error::new(Reason::UnknownLed, format!("no LED {}", spec.led))),
            },
        }
    }

    fn observe(&mut self, goal: &Goal) -> Result<Observed> {
        Ok(self.0.powered()?.board.observe(goal))
    }

    fn apply(&mut self, step: &Step) -> Result<()> {
        let reason = match step {
            Step::WriteFile { path, .. } | Step::SetFileMode { path, .. } | Step::RemoveFile { path } => {
                allow(path)?;
                Reason::FileFailed
            }
            Step::HoldLine { .. } | Step::ReleaseLine { .. } => Reason::GpioFailed,
            Step::SetLed { led, state: LedState::Brightness(value) } if *value > BRIGHTEST => {
                return Err(Error::new(Reason::LedFailed, format!("LED {led} has no brightness {value}")));
            }
            Step::SetLed { state: LedState::Trigger(trigger), .. } if named(&TRIGGERS, trigger).is_none() => {
                return Err(Error::new(Reason::UnknownTrigger, format!("no trigger {trigger}")));
            }
            Step::SetLed { .. } => Reason::LedFailed,
        };
        let mut world = self.0.effect(reason, step.to_string())?;
        world.board.apply(step);
        world.did(Done::Step(step.clone()));
        Ok(())
    }
}

fn allow(path: &FilePath) -> Result<()> {
    match path.as_str().starts_with(ROOT) {
        true => Ok(()),
        false => Err(Error::new(Reason::PathNotAllowed, format!("{path} is not below {ROOT}"))),
    }
}

/// Users and groups are known by number alone.
fn owner(owner: Option<&Owner>) -> Result<(Option<u32>, Option<u32>)> {
    let number = |name: &Option<Box<str>>| {
        let parse =
            |name: &str| name.parse().map_err(|_| Error::new(Reason::UnknownOwner, format!("nobody is called {name}")));
        name.as_deref().map(parse).transpose()
    };
    owner.map_or(Ok((None, None)), |owner| Ok((number(&owner.user)?, number(&owner.group)?)))
}

/// A trigger that is taken away leaves the LED dark.
fn led_goal(state: &LedState) -> LedState {
    match state {
        LedState::Trigger(trigger) if &**trigger == "none" => LedState::Brightness(0),
        state => state.clone(),
    }
}

fn named(names: &[&'static str], name: &str) -> Option<&'static str> {
    names.iter().find(|known| **known == name).copied()
}
