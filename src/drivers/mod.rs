//! The [`Board`] port on real parts: files, GPIO lines, LEDs, and the simulated board.
//!
//! ```text
//! Drivers -+- file                      below the allowed roots
//!          +- Lines -+- gpio_line       the GPIO character device
//!          |         +- sim             registers in a TOML file
//!          +- Leds --+- led             the LED class in sysfs
//!                    +- sim
//! Lamp --------- led               what is done with a stick, for people
//! ```
//!
//! The board's table resolves names here; a driver knows one kind of hardware, observes it and carries out steps in
//! which no choice is left. Drivers do not know resources, drift or the exchange.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    api::{
        Error, Reason, Result, Spec,
        board::{BoardTable, LedState, Level, LineConfig},
        resource::Content,
    },
    disk::atomic::Access,
    reconcile::{
        goal::{Goal, Observed, Step},
        ports::Board,
    },
};

mod accounts;
mod file;
mod gpio_line;
mod lamp;
mod led;
mod sim;
mod table;

use accounts::Accounts;
use file::Files;
pub use lamp::{Lamp, Sign};
pub use table::{boards, select};

/// What the drivers may touch, and where the kernel shows it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where `File` resources may lie.
    pub file_roots: Vec<PathBuf>,
    /// Files and folders that are the agent's own: no `File` may lie at or below them, whatever the roots allow.
    pub reserved: Vec<PathBuf>,
    /// Where users are named, in the form of passwd(5).
    pub passwd: PathBuf,
    /// Where groups are named, in the form of group(5).
    pub group: PathBuf,
    /// The folder of the GPIO character devices.
    pub gpio_dev: PathBuf,
    /// The folder in sysfs that tells to which device each GPIO chip belongs.
    pub gpio_sys: PathBuf,
    /// The folder of the LED class in sysfs.
    pub leds: PathBuf,
    /// The file with the registers of a simulated board; `None` on a real one.
    pub sim: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            file_roots: Vec::new(),
            reserved: Vec::new(),
            passwd: "/etc/passwd".into(),
            group: "/etc/group".into(),
            gpio_dev: "/dev".into(),
            gpio_sys: "/sys/bus/gpio/devices".into(),
            leds: "/sys/class/leds".into(),
            sim: None,
        }
    }
}

/// The drivers of one board. Dropping them lets go of every line they hold.
pub struct Drivers {
    table: &'static BoardTable,
    files: Files,
    accounts: Accounts,
    lines: Box<dyn Lines>,
    leds: Box<dyn Leds>,
}

impl Drivers {
    /// The drivers of the board with the given table. Nothing is touched yet.
    pub fn new(table: &'static BoardTable, settings: Settings) -> Self {
        let (lines, leds): (Box<dyn Lines>, Box<dyn Leds>) = match settings.sim {
            Some(file) => {
                let registers = sim::Registers::new(table, file);
                (Box::new(sim::SimLines::new(registers.clone())), Box::new(sim::SimLeds::new(registers)))
            }
            None => (
                Box::new(gpio_line::KernelLines::new(settings.gpio_dev, settings.gpio_sys)),
                Box::new(led::KernelLeds::new(settings.leds)),
            ),
        };
        Self {
            table,
            files: Files::new(settings.file_roots, settings.reserved),
            accounts: Accounts { passwd: settings.passwd, group: settings.group },
            lines,
            leds,
        }
    }

    /// For a process that looks at the board beside a running agent, and holds no lines itself: those that the agent
    /// holds are not in anybody's way.
    #[must_use]
    pub fn beside_agent(mut self) -> Self {
        self.lines.look_beside_agent();
        self
    }

    /// The name that people know the board by.
    pub fn title(&self) -> &'static str {
        self.table.title
    }

    /// The LED below that folder that shows what is done with a stick: the one that is named, or the board's own choice.
    /// An empty name is none.
    ///
    /// # Errors
    ///
    /// `UnknownLed`.
    pub fn lamp(&self, leds: PathBuf, name: Option<&str>) -> Result<Option<Lamp>> {
        let name = match name {
            Some(name) => (!name.is_empty()).then(|| name.to_owned()),
            None => self.table.stick.map(str::to_owned),
        };
        let Some(name) = name else { return Ok(None) };
        let led = self.led(&name)?;
        Ok(Some(Lamp::new(leds, led.name.into(), led.sysfs.into_iter().map(str::to_owned).collect())))
    }

    fn line<'a>(&self, name: &'a str) -> Result<Line<'a>> {
        table::line(self.table, name)
    }

    fn led<'a>(&self, name: &'a str) -> Result<Led<'a>> {
        table::led(self.table, name)
    }
}

impl Board for Drivers {
    fn name(&self) -> &str {
        self.table.name
    }

    fn bind(&self, spec: &Spec) -> Result<Goal> {
        match spec {
            Spec::File(spec) => {
                self.files.allow(&spec.path)?;
                let (uid, gid) = self.accounts.resolve(spec.owner.as_ref())?;
                let Content::Bytes(content) = &spec.content else {
                    return Err(Error::new(Reason::Bug, format!("the content of {} was not read", spec.path)));
                };
                Ok(Goal::File { path: spec.path.clone(), content: Arc::clone(content), mode: spec.mode, uid, gid })
            }
            Spec::GpioLine(spec) => Ok(Goal::Line { line: self.line(&spec.line)?.name.into(), config: spec.config }),
            Spec::Led(spec) => Ok(Goal::Led { led: self.led(&spec.led)?.name.into(), state: led_goal(&spec.state) }),
        }
    }

    fn observe(&mut self, goal: &Goal) -> Result<Observed> {
        match goal {
            Goal::File { path, .. } => self.files.observe(path),
            Goal::Line { line, config } => {
                let line = self.line(line)?;
                let (held, level) = self.lines.observe(&line, *config)?;
                Ok(Observed::Line { held, level })
            }
            Goal::Led { led, state } => {
                let led = self.led(led)?;
                self.leds.observe(&led, state).map(Observed::Led)
            }
        }
    }

    fn apply(&mut self, step: &Step) -> Result<()> {
        match step {
            Step::WriteFile { path, content, mode, uid, gid } => {
                self.files.write(path, content, Access { mode: mode.bits(), uid: *uid, gid: *gid })
            }
            Step::SetFileMode { path, mode, uid, gid } => {
                self.files.set(path, Access { mode: mode.bits(), uid: *uid, gid: *gid })
            }
            Step::RemoveFile { path } => self.files.remove(path),
            Step::HoldLine { line, config } => {
                let line = self.line(line)?;
                self.lines.hold(&line, *config)
            }
            Step::ReleaseLine { line, last } => {
                let line = self.line(line)?;
                self.lines.release(&line, *last)
            }
            Step::SetLed { led, state } => {
                let led = self.led(led)?;
                self.leds.set(&led, state)
            }
        }
    }
}

/// An LED whose trigger is taken away is switched off by the kernel, so no trigger is no brightness.
fn led_goal(state: &LedState) -> LedState {
    match state {
        LedState::Trigger(trigger) if &**trigger == "none" => LedState::Brightness(0),
        state => state.clone(),
    }
}

/// GPIO lines, real or simulated. Levels are logical: `active_low` is applied behind this trait.
trait Lines: Send {
    /// How the line is held, and its level under the polarity of `goal`. See [`Observed::Line`].
    fn observe(&mut self, line: &Line<'_>, goal: LineConfig) -> Result<(Option<LineConfig>, Option<Level>)>;

    /// Requests the line, or reconfigures it where it is held.
    fn hold(&mut self, line: &Line<'_>, config: LineConfig) -> Result<()>;

    /// Lets go of the line, after driving `last` where given.
    fn release(&mut self, line: &Line<'_>, last: Option<LineConfig>) -> Result<()>;

    /// From now on, lines that an agent in another process holds are seen as it holds them.
    fn look_beside_agent(&mut self) {}
}

/// LEDs, real or simulated.
trait Leds: Send {
    /// What the LED does, in the goal's words where that is what the goal asks for.
    fn observe(&mut self, led: &Led<'_>, goal: &LedState) -> Result<LedState>;

    /// Makes the LED do so.
    fn set(&mut self, led: &Led<'_>, state: &LedState) -> Result<()>;
}

/// A line of the board.
struct Line<'a> {
    /// The same for all names of the line, so that what is held is found again.
    name: &'a str,
    place: Place<'a>,
}

/// Where the kernel has a line.
#[derive(Debug, PartialEq, Eq)]
enum Place<'a> {
    /// At an offset of a chip, which is known by its label, its device's name or its own.
    Offset { chip: &'a str, offset: u32 },
    /// On whichever chip has a line of that name.
    Name(&'a str),
}

/// An LED of the board.
struct Led<'a> {
    name: &'a str,
    /// Its possible names in sysfs.
    sysfs: Vec<&'a str>,
}

/// The brightness that the kernel calls `LED_FULL`: an LED with fewer steps (those on GPIO lines have one) takes it as
/// its brightest.
const FULL: u32 = 255;

/// What is written to an LED's register for a brightness, as far as the LED can have it.
fn brightness_register(led: &str, brightness: u32, max: u32) -> Result<u32> {
    match brightness {
        FULL => Ok(max.min(FULL)),
        _ if brightness <= max => Ok(brightness),
        _ => {
            Err(Error::new(Reason::LedFailed, format!("led {led} has a brightness of at most {max}, not {brightness}"))
                .hint(format!("set brightness to 0..={max}, or to {FULL} for as bright as it can be")))
        }
    }
}

/// An I/O error: a full disk has its own reason, anything else the given one.
fn io_error(otherwise: Reason, what: String, source: std::io::Error) -> Error {
    match source.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Error::io(otherwise, what, source),
        _ => Error::new(otherwise, what).caused_by(source),
    }
}

/// Reads at most `limit` bytes of a text file.
fn read_text(path: &Path, limit: usize) -> std::io::Result<String> {
    use std::io::{Error, ErrorKind, Read};
    let mut text = String::new();
    std::fs::File::open(path)?.take(limit as u64 + 1).read_to_string(&mut text)?;
    if text.len() > limit {
        return Err(Error::new(ErrorKind::FileTooLarge, format!("longer than {limit} bytes")));
    }
    Ok(text)
}
