//! The simulated board: its registers are a TOML file that the agent, a test and a person read and write alike.
//!
//! ```toml
//! [gpio]
//! GPIO17 = "high"          # the electrical level; activeLow is applied by the agent, as on a real line
//! [led]
//! ACT = "heartbeat"        # a trigger, or a brightness from 0 to 255
//! [fail]
//! GPIO27 = "busy"          # written by hand only: "busy" as if another program held the line, "failed" as if broken
//! ```
//!
//! * A file or register that is missing is low, or off. Any name of a line will do; the agent writes the first.
//! * The agent replaces the file whole and keeps what it holds, comments excepted. It writes nothing that is so already.
//! * A line whose register exists counts as held, and just as the goal asks: so the second of two runs of the agent finds
//!   it so, whereas a real line is lost when the agent ends. A line that was let go keeps its register, hence its
//!   level, and counts as held again from the next run on.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::{Led, Leds, Line, Lines, brightness_register, io_error, led::unknown_trigger, read_text, table};
use crate::{
    api::{
        Error, Reason, Result,
        board::{Bias, BoardTable, LedState, Level, LineConfig},
        limits,
    },
    disk::atomic::{self, Access},
};

/// The `max_brightness` of every LED.
const MAX_BRIGHTNESS: u32 = 255;
/// The triggers of every LED.
const TRIGGERS: [&str; 6] = ["none", "default-on", "heartbeat", "timer", "mmc0", "cpu"];
const HEADER: &str = "# The registers of the simulated board. Edit a level or a brightness to play the hardware.\n\n";

/// The file with the registers.
#[derive(Clone)]
pub(super) struct Registers {
    table: &'static BoardTable,
    path: PathBuf,
}

/// What the file says. Lines and LEDs stand under their own names here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
struct State {
    gpio: BTreeMap<String, Level>,
    led: BTreeMap<String, LedRegister>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    fail: BTreeMap<String, Failure>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a brightness from 0 to 255, or a trigger in quotes")]
enum LedRegister {
    Brightness(u8),
    Trigger(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Failure {
    Busy,
    Failed,
}

/// The file as it is written, with any name of a line.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    #[serde(default)]
    gpio: BTreeMap<Spanned<String>, Level>,
    #[serde(default)]
    led: BTreeMap<Spanned<String>, LedRegister>,
    #[serde(default)]
    fail: BTreeMap<Spanned<String>, Failure>,
}

impl Registers {
    pub(super) fn new(table: &'static BoardTable, path: PathBuf) -> Self {
        Self { table, path }
    }

    fn load(&self) -> Result<State> {
        match read_text(&self.path, limits::CONFIG_BYTES) {
            Ok(text) => self.parse(&text),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(State::default()),
            Err(e) => Err(io_error(Reason::BadBoardFile, format!("cannot read {}", self.path.display()), e)),
        }
    }

    fn parse(&self, text: &str) -> Result<State> {
        let bad = |offset: usize, why: String| {
            let line = 1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count();
            Error::new(Reason::BadBoardFile, format!("{}:{line}: {why}", self.path.display()))
                .hint("correct the line, or remove the file for a board with everything low")
        };
        let raw: Raw = toml::from_str(text).map_err(|e| {
            bad(e.span().unwrap_or_default().start, e.message().lines().next().unwrap_or_default().to_owned())
        })?;
        let line = |name: &str| table::line(self.table, name).map(|line| line.name.to_owned());
        let led = |name: &str| table::led(self.table, name).map(|led| led.name.to_owned());
        let bad = |(at, e): (usize, String)| bad(at, e);
        Ok(State {
            gpio: by_own_name(raw.gpio, line).map_err(bad)?,
            led: by_own_name(raw.led, led).map_err(bad)?,
            fail: by_own_name(raw.fail, |name| line(name).or_else(|_| led(name))).map_err(bad)?,
        })
    }

    /// Loads, changes and, if that made a difference, saves.
    fn change(&self, change: impl FnOnce(&mut State)) -> Result<()> {
        let old = self.load()?;
        let mut new = old.clone();
        change(&mut new);
        if new == old {
            return Ok(());
        }
        self.save(&new).map_err(|e| {
            io_error(Reason::BadBoardFile, format!("cannot write {}", self.path.display()), e)
                .hint("let giterd's user write to its folder, or name another [sim] file in giterd.toml")
        })
    }

    fn save(&self, state: &State) -> io::Result<()> {
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let name = self.path.file_name().and_then(|name| name.to_str()).ok_or(io::ErrorKind::InvalidFilename)?;
        let text = toml::to_string(state).map_err(io::Error::other)?;
        fs::create_dir_all(folder)?;
        let access = Access { mode: 0o644, ..Access::PRIVATE };
        atomic::replace(File::open(folder)?, name, format!("{HEADER}{text}").as_bytes(), access)
    }
}

/// Renames the keys to the lines' or LEDs' own names; the error has the place of the key.
fn by_own_name<T>(
    raw: BTreeMap<Spanned<String>, T>,
    own: impl Fn(&str) -> Result<String>,
) -> Result<BTreeMap<String, T>, (usize, String)> {
    let mut named = BTreeMap::new();
    for (key, value) in raw {
        let name = own(key.get_ref()).map_err(|e| (key.span().start, e.to_string()))?;
        if named.insert(name.clone(), value).is_some() {
            return Err((
                key.span().start,
                format!("{} stands here already, as {name} or another name", key.get_ref()),
            ));
        }
    }
    Ok(named)
}

/// The simulated lines.
pub(super) struct SimLines {
    registers: Registers,
    released: BTreeSet<Box<str>>,
}

impl SimLines {
    pub(super) fn new(registers: Registers) -> Self {
        Self { registers, released: BTreeSet::new() }
    }

    fn load(&self, line: &Line<'_>) -> Result<State> {
        let state = self.registers.load()?;
        let wrong = |reason, what: &str| {
            Err(Error::new(reason, format!("line {} {what}", line.name)).hint("remove it from [fail] in the sim file"))
        };
        match state.fail.get(line.name) {
            None => Ok(state),
            Some(Failure::Busy) => wrong(Reason::LineBusy, "is used by another program"),
            Some(Failure::Failed) => wrong(Reason::GpioFailed, "does not work"),
        }
    }
}

impl Lines for SimLines {
    fn observe(&mut self, line: &Line<'_>, goal: LineConfig) -> Result<(Option<LineConfig>, Option<Level>)> {
        let state = self.load(line)?;
        let register = state.gpio.get(line.name).filter(|_| !self.released.contains(line.name));
        Ok((register.map(|_| goal), register.map(|level| level.inverted_if(goal.active_low))))
    }

    fn hold(&mut self, line: &Line<'_>, config: LineConfig) -> Result<()> {
        self.load(line)?;
        let idle = if config.bias == Some(Bias::PullUp) { Level::High } else { Level::Low };
        self.registers.change(|state| match config.output {
            Some(level) => {
                state.gpio.insert(line.name.into(), level.inverted_if(config.active_low));
            }
            None => {
                state.gpio.entry(line.name.into()).or_insert(idle);
            }
        })?;
        self.released.remove(line.name);
        Ok(())
    }

    fn release(&mut self, line: &Line<'_>, last: Option<LineConfig>) -> Result<()> {
        if let Some(config) = last {
            self.hold(line, config)?;
        }
        self.released.insert(line.name.into());
        Ok(())
    }
}

/// The simulated LEDs.
pub(super) struct SimLeds {
    registers: Registers,
}

impl SimLeds {
    pub(super) fn new(registers: Registers) -> Self {
        Self { registers }
    }

    fn load(&self, led: &Led<'_>) -> Result<State> {
        let state = self.registers.load()?;
        if state.fail.contains_key(led.name) {
            return Err(Error::new(Reason::LedFailed, format!("led {} does not work", led.name))
                .hint("remove it from [fail] in the sim file"));
        }
        Ok(state)
    }
}

impl Leds for SimLeds {
    fn observe(&mut self, led: &Led<'_>, _goal: &LedState) -> Result<LedState> {
        Ok(match self.load(led)?.led.remove(led.name) {
            None => LedState::Brightness(0),
            Some(LedRegister::Brightness(brightness)) => LedState::Brightness(brightness.into()),
            Some(LedRegister::Trigger(trigger)) => LedState::Trigger(trigger.into()),
        })
    }

    fn set(&mut self, led: &Led<'_>, state: &LedState) -> Result<()> {
        self.load(led)?;
        let register = match state {
            LedState::Brightness(brightness) => {
                LedRegister::Brightness(brightness_register(led.name, *brightness, MAX_BRIGHTNESS)? as u8)
            }
            LedState::Trigger(trigger) if TRIGGERS.contains(&&**trigger) => LedRegister::Trigger(trigger.to_string()),
            LedState::Trigger(trigger) => return Err(unknown_trigger(led, trigger, TRIGGERS.into_iter())),
        };
        self.registers.change(|state| {
            state.led.insert(led.name.into(), register);
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HIGH: LineConfig = LineConfig { output: Some(Level::High), active_low: false, bias: None };
    const INPUT: LineConfig = LineConfig { output: None, active_low: false, bias: None };

    fn registers(dir: &tempfile::TempDir) -> Registers {
        let table = table::boards().iter().find(|board| board.name == "sim").unwrap();
        Registers::new(table, dir.path().join("run/sim.toml"))
    }

    fn line(registers: &Registers, name: &'static str) -> Line<'static> {
        table::line(registers.table, name).unwrap()
    }

    fn led(registers: &Registers, name: &'static str) -> Led<'static> {
        table::led(registers.table, name).unwrap()
    }

    fn write(registers: &Registers, text: &str) {
        fs::create_dir_all(registers.path.parent().unwrap()).unwrap();
        fs::write(&registers.path, text).unwrap();
    }

    #[test]
    fn what_is_driven_stands_in_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let registers = registers(&dir);
        let mut lines = SimLines::new(registers.clone());
        lines.hold(&line(&registers, "PIN11"), HIGH).unwrap();
        lines.hold(&line(&registers, "GPIO4"), LineConfig { active_low: true, ..HIGH }).unwrap();
        let mut leds = SimLeds::new(registers.clone());
        leds.set(&led(&registers, "ACT"), &LedState::Trigger("heartbeat".into())).unwrap();
        leds.set(&led(&registers, "PWR"), &LedState::Brightness(255)).unwrap();
        let expected = "[gpio]\nGPIO17 = \"high\"\nGPIO4 = \"low\"\n\n[led]\nACT = \"heartbeat\"\nPWR = 255\n";
        assert_eq!(fs::read_to_string(&registers.path).unwrap(), format!("{HEADER}{expected}"));
    }

    #[test]
    fn what_is_so_already_is_not_written_and_hand_written_failures_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let registers = registers(&dir);
        let text = "# mine\n[gpio]\nPIN11 = \"high\"\n[fail]\nPIN12 = \"busy\"\n";
        write(&registers, text);
        let mut lines = SimLines::new(registers.clone());
        lines.hold(&line(&registers, "GPIO17"), HIGH).unwrap();
        assert_eq!(fs::read_to_string(&registers.path).unwrap(), text);
        lines.hold(&line(&registers, "GPIO4"), HIGH).unwrap();
        assert!(fs::read_to_string(&registers.path).unwrap().contains("[fail]\nGPIO18 = \"busy\"\n"));
    }

    #[test]
    fn a_register_that_exists_is_held_by_the_next_run_too() {
        let dir = tempfile::tempdir().unwrap();
        let registers = registers(&dir);
        let relay = line(&registers, "GPIO17");
        assert_eq!(SimLines::new(registers.clone()).observe(&relay, HIGH).unwrap(), (None, None));
        SimLines::new(registers.clone()).hold(&relay, HIGH).unwrap();
        assert_eq!(SimLines::new(registers.clone()).observe(&relay, HIGH).unwrap(), (Some(HIGH), Some(Level::High)));
        write(&registers, "[gpio]\nGPIO17 = \"low\"\n");
        assert_eq!(SimLines::new(registers.clone()).observe(&relay, HIGH).unwrap(), (Some(HIGH), Some(Level::Low)));
    }

    #[test]
    fn an_input_keeps_its_level_and_idles_by_its_bias() {
        let dir = tempfile::tempdir().unwrap();
        let registers = registers(&dir);
        write(&registers, "[gpio]\nGPIO5 = \"high\"\n");
        let mut lines = SimLines::new(registers.clone());
        let mut level = |name, config| {
            lines.hold(&line(&registers, name), config).unwrap();
            lines.observe(&line(&registers, name), config).unwrap().1
        };
        assert_eq!(level("GPIO5", INPUT), Some(Level::High));
        assert_eq!(level("GPIO6", INPUT), Some(Level::Low));
        assert_eq!(level("GPIO12", LineConfig { bias: Some(Bias::PullUp), ..INPUT }), Some(Level::High));
        assert_eq!(level("GPIO13", LineConfig { active_low: true, ..INPUT }), Some(Level::High));
    }

    #[test]
    fn a_wrong_file_is_named_with_its_line() {
        let dir = tempfile::tempdir().unwrap();
        let registers = registers(&dir);
        for (text, line, why) in [
            ("[gpio]\nGPIO17 = high\n", 2, "string"),
            ("[gpio]\nGPIO17 = \"up\"\n", 2, "unknown variant `up`"),
            ("[gpio]\n\nGPIO99 = \"low\"\n", 3, "board sim has no line GPIO99"),
            ("[gpio]\nGPIO17 = \"low\"\nPIN11 = \"low\"\n", 3, "PIN11 stands here already"),
            ("[led]\nACT = 256\n", 2, "expected a brightness from 0 to 255"),
            ("[led]\nUSR0 = 1\n", 2, "board sim has no led USR0"),
            ("[fail]\nACT = \"stuck\"\n", 2, "unknown variant `stuck`"),
            ("[pwm]\n", 1, "unknown field `pwm`"),
        ] {
            write(&registers, text);
            let error = registers.load().unwrap_err();
            assert_eq!(error.reason(), Reason::BadBoardFile, "{text}");
            let message = error.to_string();
            assert!(message.contains(&format!("sim.toml:{line}: ")) && message.contains(why), "{text}: {message}");
        }
        write(&registers, &"#".repeat(limits::CONFIG_BYTES + 1));
        assert_eq!(registers.load().unwrap_err().reason(), Reason::BadBoardFile);
    }

    #[test]
    fn failures_are_played() {
        let dir = tempfile::tempdir().unwrap();
        let registers = registers(&dir);
        write(&registers, "[fail]\nPIN11 = \"busy\"\nGPIO4 = \"failed\"\nACT = \"failed\"\n");
        let mut lines = SimLines::new(registers.clone());
        for (name, reason) in [("GPIO17", Reason::LineBusy), ("GPIO4", Reason::GpioFailed)] {
            assert_eq!(lines.observe(&line(&registers, name), HIGH).unwrap_err().reason(), reason);
            assert_eq!(lines.hold(&line(&registers, name), HIGH).unwrap_err().reason(), reason);
        }
        let mut leds = SimLeds::new(registers.clone());
        let act = led(&registers, "ACT");
        assert_eq!(leds.observe(&act, &LedState::Brightness(0)).unwrap_err().reason(), Reason::LedFailed);
        assert_eq!(leds.set(&act, &LedState::Brightness(0)).unwrap_err().reason(), Reason::LedFailed);
    }
}
