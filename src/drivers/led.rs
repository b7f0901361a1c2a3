//! `Led`: the kernel's LED class in sysfs (`Documentation/ABI/testing/sysfs-class-led`).

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use super::{Led, Leds, brightness_register, io_error, read_text};
use crate::api::{Error, Reason, Result, board::LedState, limits};

/// Most LEDs that are named to somebody who looks for another one.
const NAMES: usize = 16;
/// The trigger of an LED that follows none.
pub(super) const NONE: &str = "none";

/// The LEDs below a folder, `/sys/class/leds` or one like it.
pub(super) struct KernelLeds {
    root: PathBuf,
}

impl KernelLeds {
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// The LED's folder under the first of its names that is there.
    pub(super) fn find(&self, led: &Led<'_>) -> Result<PathBuf> {
        led.sysfs.iter().map(|name| self.root.join(name)).find(|folder| folder.is_dir()).ok_or_else(|| {
            let what = format!("led {} is not in {} (as {})", led.name, self.root.display(), led.sysfs.join(" or "));
            let there = self.some_names();
            Error::new(Reason::LedFailed, what).hint(match there.is_empty() {
                true => "there is none: the kernel has no driver for it, or sysfs is not mounted here".into(),
                false => format!("there is {}; set board in giterd.toml to the right one", there.join(", ")),
            })
        })
    }

    /// The names of the LEDs that are there, as far as an error can hold them.
    fn some_names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.root).into_iter().flatten().filter_map(io::Result::ok);
        let mut names: Vec<_> = entries.filter_map(|entry| entry.file_name().into_string().ok()).take(NAMES).collect();
        names.sort();
        names
    }
}

impl Leds for KernelLeds {
    fn observe(&mut self, led: &Led<'_>, goal: &LedState) -> Result<LedState> {
        let folder = self.find(led)?;
        let triggers = triggers(led, &folder)?;
        match active(&triggers) {
            NONE => {}
            trigger => return Ok(LedState::Trigger(trigger.into())),
        }
        let seen = number(led, &folder, "brightness")?;
        match goal {
            LedState::Brightness(wanted)
                if brightness_register(led.name, *wanted, number(led, &folder, "max_brightness")?)
                    .is_ok_and(|register| register == seen) =>
            {
                Ok(goal.clone())
            }
            _ => Ok(LedState::Brightness(seen)),
        }
    }

    fn set(&mut self, led: &Led<'_>, state: &LedState) -> Result<()> {
        let folder = self.find(led)?;
        let triggers = triggers(led, &folder)?;
        match state {
            LedState::Brightness(brightness) => {
                let max = number(led, &folder, "max_brightness")?;
                let register = brightness_register(led.name, *brightness, max)?;
                if active(&triggers) != NONE {
                    write(led, &folder, "trigger", NONE)?;
                }
                write(led, &folder, "brightness", &register.to_string())
            }
            LedState::Trigger(trigger) if active(&triggers) == &**trigger => Ok(()),
            LedState::Trigger(trigger) if words(&triggers).any(|word| word == &**trigger) => {
                write(led, &folder, "trigger", trigger)
            }
            LedState::Trigger(trigger) => Err(unknown_trigger(led, trigger, words(&triggers))),
        }
    }
}

/// The refusal of a trigger that an LED does not have.
pub(super) fn unknown_trigger<'a>(led: &Led<'_>, trigger: &str, known: impl Iterator<Item = &'a str>) -> Error {
    let known: Vec<_> = known.collect();
    Error::new(Reason::UnknownTrigger, format!("led {} has no trigger {trigger}", led.name))
        .hint(format!("use one of {}", known.join(", ")))
}

/// The triggers of an LED, the active one in brackets. A kernel without triggers has no such file.
pub(super) fn triggers(led: &Led<'_>, folder: &Path) -> Result<String> {
    match read_text(&folder.join("trigger"), limits::SYSFS_BYTES) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        other => other.map_err(|e| failed("cannot read the trigger of", led, e)),
    }
}

pub(super) fn active(triggers: &str) -> &str {
    triggers.split_ascii_whitespace().find_map(|word| word.strip_prefix('[')?.strip_suffix(']')).unwrap_or(NONE)
}

pub(super) fn words(triggers: &str) -> impl Iterator<Item = &str> {
    triggers.split_ascii_whitespace().map(|word| word.trim_matches(['[', ']']))
}

pub(super) fn number(led: &Led<'_>, folder: &Path, attribute: &str) -> Result<u32> {
    let what = format!("cannot read {attribute} of");
    let text = read_text(&folder.join(attribute), limits::SYSFS_BYTES).map_err(|e| failed(&what, led, e))?;
    text.trim().parse().map_err(|_| failed(&what, led, io::Error::other(format!("{:?} is no number", text.trim()))))
}

pub(super) fn write(led: &Led<'_>, folder: &Path, attribute: &str, value: &str) -> Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).truncate(true);
    options
        .open(folder.join(attribute))
        .and_then(|mut file: File| file.write_all(value.as_bytes()))
        .map_err(|e| failed(&format!("cannot set {attribute} of"), led, e))
}

fn failed(what: &str, led: &Led<'_>, e: io::Error) -> Error {
    io_error(Reason::LedFailed, format!("{what} led {}", led.name), e)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder like `/sys/class/leds` with one LED, as the kernel shows it before anybody touched it.
    fn tree(max: u32) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("led0");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("max_brightness"), format!("{max}\n")).unwrap();
        fs::write(folder.join("brightness"), "0\n").unwrap();
        fs::write(folder.join("trigger"), "none timer [mmc0] heartbeat\n").unwrap();
        dir
    }

    fn act() -> Led<'static> {
        Led { name: "ACT", sysfs: vec!["ACT", "led0"] }
    }

    fn read(dir: &tempfile::TempDir, attribute: &str) -> String {
        fs::read_to_string(dir.path().join("led0").join(attribute)).unwrap()
    }

    fn write_trigger(dir: &tempfile::TempDir, text: &str) {
        fs::write(dir.path().join("led0/trigger"), text).unwrap();
    }

    #[test]
    fn the_active_trigger_stands_in_brackets() {
        assert_eq!(active("none [heartbeat] timer"), "heartbeat");
        assert_eq!(active("[none] heartbeat"), "none");
        assert_eq!(active(""), "none");
        assert_eq!(words("none [heartbeat] timer").collect::<Vec<_>>(), ["none", "heartbeat", "timer"]);
    }

    #[test]
    fn a_brightness_ends_the_trigger_only_where_there_is_one() {
        let dir = tree(255);
        let mut leds = KernelLeds::new(dir.path().into());
        let goal = LedState::Brightness(100);
        assert_eq!(leds.observe(&act(), &goal).unwrap(), LedState::Trigger("mmc0".into()));
        leds.set(&act(), &goal).unwrap();
        assert_eq!((read(&dir, "trigger"), read(&dir, "brightness")), ("none".into(), "100".into()));
        write_trigger(&dir, "[none] timer mmc0 heartbeat\n");
        assert_eq!(leds.observe(&act(), &goal).unwrap(), goal);
        leds.set(&act(), &LedState::Brightness(7)).unwrap();
        assert_eq!(read(&dir, "trigger"), "[none] timer mmc0 heartbeat\n");
        assert_eq!(leds.observe(&act(), &goal).unwrap(), LedState::Brightness(7));
    }

    #[test]
    fn a_trigger_is_set_if_the_kernel_has_it() {
        let dir = tree(255);
        let mut leds = KernelLeds::new(dir.path().into());
        leds.set(&act(), &LedState::Trigger("mmc0".into())).unwrap();
        assert_eq!(read(&dir, "trigger"), "none timer [mmc0] heartbeat\n");
        leds.set(&act(), &LedState::Trigger("heartbeat".into())).unwrap();
        assert_eq!(read(&dir, "trigger"), "heartbeat");
        write_trigger(&dir, "[none] timer\n");
        let error = leds.set(&act(), &LedState::Trigger("usb".into())).unwrap_err();
        assert_eq!((error.reason(), error.get_hint()), (Reason::UnknownTrigger, Some("use one of none, timer")));
        assert_eq!(read(&dir, "trigger"), "[none] timer\n");
    }

    #[test]
    fn full_is_as_bright_as_the_led_can_be_and_more_is_refused() {
        let dir = tree(1);
        let mut leds = KernelLeds::new(dir.path().into());
        write_trigger(&dir, "[none] timer\n");
        leds.set(&act(), &LedState::Brightness(255)).unwrap();
        assert_eq!(read(&dir, "brightness"), "1");
        let seen = |leds: &mut KernelLeds, goal| leds.observe(&act(), &LedState::Brightness(goal)).unwrap();
        assert_eq!(seen(&mut leds, 255), LedState::Brightness(255));
        assert_eq!(seen(&mut leds, 1), LedState::Brightness(1));
        assert_eq!(seen(&mut leds, 0), LedState::Brightness(1));
        let error = leds.set(&act(), &LedState::Brightness(128)).unwrap_err();
        assert_eq!(error.reason(), Reason::LedFailed);
        assert_eq!(error.to_string(), "led ACT has a brightness of at most 1, not 128");
    }

    #[test]
    fn a_missing_led_is_named_with_where_it_was_looked_for() {
        let dir = tempfile::tempdir().unwrap();
        let error = KernelLeds::new(dir.path().into()).observe(&act(), &LedState::Brightness(0)).unwrap_err();
        assert_eq!(error.reason(), Reason::LedFailed);
        assert!(error.to_string().ends_with("(as ACT or led0)"), "{error}");
        assert!(error.get_hint().unwrap().starts_with("there is none"), "{error:?}");
        assert_eq!(dir.path().read_dir().unwrap().count(), 0);
        fs::create_dir(dir.path().join("PWR")).unwrap();
        let error = KernelLeds::new(dir.path().into()).observe(&act(), &LedState::Brightness(0)).unwrap_err();
        assert!(error.get_hint().unwrap().starts_with("there is PWR;"), "{error:?}");
    }

    #[test]
    fn a_kernel_without_triggers_has_plain_leds() {
        let dir = tree(255);
        fs::remove_file(dir.path().join("led0/trigger")).unwrap();
        let mut leds = KernelLeds::new(dir.path().into());
        leds.set(&act(), &LedState::Brightness(9)).unwrap();
        assert_eq!(leds.observe(&act(), &LedState::Brightness(9)).unwrap(), LedState::Brightness(9));
        assert_eq!(leds.set(&act(), &LedState::Trigger("timer".into())).unwrap_err().reason(), Reason::UnknownTrigger);
    }
}
