//! `GpioLine`: lines of the GPIO character device, uapi v2 (`linux/gpio.h`).
//!
//! A line belongs to whoever requested it, so requests are kept for as long as the agent runs. What a line does after
//! it was let go is its chip's word; many become inputs, and then a resistor decides.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use gpiocdev::{
    Chip, Request, chip,
    line::{self, Offset, Value},
    request::Config,
};

use super::{Line, Lines, Place};
use crate::api::{
    Error, Reason, Result,
    board::{Bias, Level, LineConfig},
};

/// The name under which the kernel shows our lines to others.
const CONSUMER: &str = "giterd";

/// The lines of this machine.
pub(super) struct KernelLines {
    dev: PathBuf,
    sys: PathBuf,
    held: BTreeMap<Box<str>, Held>,
    /// Whether another process is the agent, and this one only looks.
    is_beside: bool,
}

struct Held {
    request: Request,
    offset: Offset,
    config: LineConfig,
}

impl KernelLines {
    /// `dev` has the character devices, `sys` a link for each into the folder of its parent device.
    pub(super) fn new(dev: PathBuf, sys: PathBuf) -> Self {
        Self { dev, sys, held: BTreeMap::new(), is_beside: false }
    }

    fn find(&self, line: &Line<'_>) -> Result<(Chip, Offset)> {
        let mut refused = None;
        let mut seen = Vec::new();
        for path in chip_paths(&self.dev) {
            match Chip::from_path(&path).and_then(|chip| Ok((chip.info()?, chip))) {
                Err(e) => refused = Some(format!("{}: {e}", path.display())),
                Ok((info, chip)) => {
                    if let Some(offset) = self.offset_on(&chip, &info, line)? {
                        return Ok((chip, offset));
                    }
                    seen.push(format!("{} ({}, {} lines)", info.name, info.label, info.num_lines));
                }
            }
        }
        Err(self.not_found(line, refused, &seen))
    }

    /// Why a line is not there: no chip can be seen, one may not be looked at, or there are only others.
    fn not_found(&self, line: &Line<'_>, refused: Option<String>, seen: &[String]) -> Error {
        let what = match line.place {
            Place::Offset { chip, .. } => format!("there is no GPIO chip {chip} for line {}", line.name),
            Place::Name(name) => format!("no GPIO chip has a line {name}"),
        };
        let error = Error::new(Reason::NoGpioChip, what);
        match refused {
            Some(why) => error.caused_by(why).hint("let giterd's user open /dev/gpiochip*: add it to the group gpio"),
            None if seen.is_empty() => error.caused_by(format!("{} has no gpiochip device", self.dev.display())).hint(
                "hand the device in where giterd runs in a container; else the kernel has no driver for the chip",
            ),
            None => error.hint(format!(
                "there is {}; set board in giterd.toml to the right one, and see 'gpioinfo' for the lines",
                seen.join(", ")
            )),
        }
    }

    /// The line's offset, if it is on this chip.
    fn offset_on(&self, chip: &Chip, info: &chip::Info, line: &Line<'_>) -> Result<Option<Offset>> {
        match line.place {
            Place::Name(name) => Ok(chip.find_line_info(name).map(|info| info.offset)),
            Place::Offset { chip: wanted, .. } if !self.is_called(info, wanted) => Ok(None),
            Place::Offset { offset, .. } if offset < info.num_lines => Ok(Some(offset)),
            Place::Offset { chip, offset } => {
                let what = format!("chip {chip} has {} lines, and so no offset {offset}", info.num_lines);
                Err(Error::new(Reason::NoGpioChip, what).hint("compare the board file with what gpioinfo shows"))
            }
        }
    }

    fn is_called(&self, chip: &chip::Info, name: &str) -> bool {
        chip.label == name || chip.name == name || device_of(&self.sys, &chip.name).as_deref() == Some(name)
    }
}

impl Lines for KernelLines {
    fn observe(&mut self, line: &Line<'_>, goal: LineConfig) -> Result<(Option<LineConfig>, Option<Level>)> {
        if let Some(held) = self.held.get(line.name) {
            let value = held.request.value(held.offset).map_err(|e| failed("cannot read", line, &e))?;
            return Ok((Some(held.config), Some(level_for(value, held.config, goal))));
        }
        let (chip, offset) = self.find(line)?;
        let info = chip.line_info(offset).map_err(|e| failed("cannot look at", line, &e))?;
        match info.used {
            false => Ok((None, None)),
            true if self.is_beside && info.consumer == CONSUMER => Ok(held_by_agent(&info, goal)),
            true => Err(busy(line, &info)),
        }
    }

    fn hold(&mut self, line: &Line<'_>, config: LineConfig) -> Result<()> {
        if let Some(held) = self.held.get_mut(line.name) {
            let wanted = request_config(held.offset, config);
            held.request.reconfigure(&wanted).map_err(|e| failed("cannot reconfigure", line, &e))?;
            held.config = config;
            return Ok(());
        }
        let (chip, offset) = self.find(line)?;
        let mut request = Request::from_config(request_config(offset, config));
        match request.on_chip(chip.path()).with_consumer(CONSUMER).request() {
            Ok(request) => {
                self.held.insert(line.name.into(), Held { request, offset, config });
                Ok(())
            }
            Err(e) => Err(match chip.line_info(offset) {
                Ok(info) if info.used => busy(line, &info),
                _ => failed("cannot request", line, &e),
            }),
        }
    }

    fn release(&mut self, line: &Line<'_>, last: Option<LineConfig>) -> Result<()> {
        if let Some(config) = last {
            self.hold(line, config)?;
        }
        self.held.remove(line.name);
        Ok(())
    }

    fn look_beside_agent(&mut self) {
        self.is_beside = true;
    }
}

/// The GPIO character devices, by number.
fn chip_paths(dev: &Path) -> Vec<PathBuf> {
    let number = |path: &PathBuf| path.file_name()?.to_str()?.strip_prefix("gpiochip")?.parse::<u32>().ok();
    let entries = fs::read_dir(dev).into_iter().flatten().filter_map(io::Result::ok);
    let mut paths: Vec<_> = entries.filter_map(|entry| Some((number(&entry.path())?, entry.path()))).collect();
    paths.sort();
    paths.into_iter().map(|(_, path)| path).collect()
}

/// The name of the device that a chip belongs to, such as `44e07000.gpio`: in sysfs a chip's folder lies in its
/// device's.
fn device_of(sys: &Path, chip: &str) -> Option<String> {
    let target = fs::read_link(sys.join(chip)).ok()?;
    Some(target.parent()?.file_name()?.to_str()?.to_owned())
}

fn request_config(offset: Offset, config: LineConfig) -> Config {
    let mut wanted = Config::default();
    wanted.with_line(offset).with_bias(config.bias.map(bias));
    match config.output {
        Some(level) => wanted.as_output(value(level)),
        None => wanted.as_input(),
    };
    if config.active_low {
        wanted.as_active_low();
    }
    wanted
}

fn value(level: Level) -> Value {
    match level {
        Level::High => Value::Active,
        Level::Low => Value::Inactive,
    }
}

fn bias(bias: Bias) -> line::Bias {
    match bias {
        Bias::PullUp => line::Bias::PullUp,
        Bias::PullDown => line::Bias::PullDown,
        Bias::Disabled => line::Bias::Disabled,
    }
}

/// A line that the agent beside this process holds. Only who holds a line can read it; an output is taken to be as the
/// agent drives it.
fn held_by_agent(info: &line::Info, goal: LineConfig) -> (Option<LineConfig>, Option<Level>) {
    let is_output = info.direction == line::Direction::Output;
    let has_bias = goal.bias.is_none_or(|wanted| info.bias == Some(bias(wanted)));
    match is_output == goal.output.is_some() && info.active_low == goal.active_low && has_bias {
        true => (Some(goal), goal.output),
        false => (None, None),
    }
}

/// A value read under the polarity of `held` as a level under that of `goal`.
fn level_for(value: Value, held: LineConfig, goal: LineConfig) -> Level {
    let level = match value {
        Value::Active => Level::High,
        Value::Inactive => Level::Low,
    };
    level.inverted_if(held.active_low != goal.active_low)
}

fn busy(line: &Line<'_>, info: &line::Info) -> Error {
    let user = if info.consumer.is_empty() { "the kernel or another program" } else { &info.consumer };
    Error::new(Reason::LineBusy, format!("line {} is used by {user}", line.name))
        .hint("stop what uses it (gpioinfo shows lines and users), or choose another line")
}

fn failed(what: &str, line: &Line<'_>, e: &gpiocdev::Error) -> Error {
    Error::new(Reason::GpioFailed, format!("{what} line {}", line.name)).caused_by(e.to_string())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use gpiocdev::line::Direction;

    use super::*;

    const INPUT: LineConfig = LineConfig { output: None, active_low: false, bias: None };
    const OUTPUT: LineConfig = LineConfig { output: Some(Level::High), active_low: true, bias: Some(Bias::PullUp) };

    #[test]
    fn a_config_becomes_a_request() {
        let config = request_config(17, OUTPUT);
        let line = config.line_config(17).unwrap();
        assert_eq!((line.direction, line.value), (Some(Direction::Output), Some(Value::Active)));
        assert_eq!((line.active_low, line.bias), (true, Some(line::Bias::PullUp)));
        let config = request_config(3, INPUT);
        let line = config.line_config(3).unwrap();
        assert_eq!((line.direction, line.active_low, line.bias), (Some(Direction::Input), false, None));
    }

    #[test]
    fn a_level_is_told_under_the_goals_polarity() {
        let inverted = LineConfig { active_low: true, ..INPUT };
        assert_eq!(level_for(Value::Active, INPUT, INPUT), Level::High);
        assert_eq!(level_for(Value::Active, inverted, inverted), Level::High);
        assert_eq!(level_for(Value::Active, INPUT, inverted), Level::Low);
        assert_eq!(level_for(Value::Inactive, inverted, INPUT), Level::High);
    }

    #[test]
    fn beside_the_agent_a_line_is_seen_as_the_agent_holds_it() {
        let info = line::Info {
            used: true,
            consumer: CONSUMER.into(),
            direction: Direction::Output,
            active_low: true,
            bias: Some(line::Bias::PullUp),
            ..line::Info::default()
        };
        assert_eq!(held_by_agent(&info, OUTPUT), (Some(OUTPUT), Some(Level::High)));
        assert_eq!(held_by_agent(&info, LineConfig { bias: None, ..OUTPUT }).1, Some(Level::High));
        for other in [INPUT, LineConfig { active_low: false, ..OUTPUT }] {
            assert_eq!(held_by_agent(&info, other), (None, None));
        }
        let other = LineConfig { bias: Some(Bias::Disabled), ..OUTPUT };
        assert_eq!(held_by_agent(&info, other), (None, None));
    }

    #[test]
    fn chips_are_tried_by_number_and_nothing_else_is() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["gpiochip10", "gpiochip2", "gpiochip", "gpiochipx", "gpiomem", "gpiochip0"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        let names: Vec<_> = chip_paths(dir.path()).iter().map(|path| path.file_name().unwrap().to_owned()).collect();
        assert_eq!(names, ["gpiochip0", "gpiochip2", "gpiochip10"]);
    }

    #[test]
    fn a_chips_device_is_read_from_its_link() {
        let dir = tempfile::tempdir().unwrap();
        let target = "../../../devices/platform/ocp/44e07000.target-module/44e07000.gpio/gpiochip3";
        symlink(target, dir.path().join("gpiochip3")).unwrap();
        assert_eq!(device_of(dir.path(), "gpiochip3").as_deref(), Some("44e07000.gpio"));
        assert_eq!(device_of(dir.path(), "gpiochip4"), None);
    }

    #[test]
    fn without_a_chip_every_step_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let mut lines = KernelLines::new(dir.path().join("missing"), dir.path().into());
        for place in [Place::Offset { chip: "pinctrl-bcm2711", offset: 17 }, Place::Name("RELAY")] {
            let line = Line { name: "GPIO17", place };
            for error in [
                lines.observe(&line, INPUT).unwrap_err(),
                lines.hold(&line, OUTPUT).unwrap_err(),
                lines.release(&line, Some(OUTPUT)).unwrap_err(),
            ] {
                assert_eq!(error.reason(), Reason::NoGpioChip, "{error}");
                assert!(error.one_line().ends_with("missing has no gpiochip device"), "{error}");
            }
            lines.release(&line, None).unwrap();
        }
    }

    #[test]
    fn a_chip_that_cannot_be_opened_is_named() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("gpiochip0"), "").unwrap();
        let mut lines = KernelLines::new(dir.path().into(), dir.path().into());
        let line = Line { name: "GPIO17", place: Place::Offset { chip: "pinctrl-bcm2711", offset: 17 } };
        let error = lines.observe(&line, INPUT).unwrap_err();
        assert_eq!(error.reason(), Reason::NoGpioChip);
        assert!(error.one_line().contains("gpiochip0"), "{}", error.one_line());
    }
}
