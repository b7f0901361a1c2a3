//! The LED that tells a person what is done with a stick, by the kernel's triggers where it has them
//! (`Documentation/leds/ledtrig-*`).
//!
//! | | with the triggers `timer` and `pattern` | with `timer` | with neither |
//! | --- | --- | --- | --- |
//! | working | blinks fast | blinks fast | off |
//! | done | on | on | on |
//! | failed | three blinks and a pause | blinks slowly | off |

use std::path::{Path, PathBuf};

use super::{
    Led,
    led::{self, KernelLeds, NONE},
};
use crate::api::Result;

/// How long the LED is on, and how long off, where it blinks: milliseconds.
const FAST: (u32, u32) = (100, 100);
const SLOW: (u32, u32) = (1000, 1000);
/// The blinks of a failure: of one how long it is on, how long off, and how long off it is after the last.
const BLINKS: [(u32, u32); 3] = [(150, 150), (150, 150), (150, 900)];

/// What is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// The stick must not be pulled out.
    Working,
    /// All is well, and the stick can go.
    Done,
    /// Something is wrong, and the stick can go.
    Failed,
}

/// The LED, and what it did before it was made to show anything.
pub struct Lamp {
    leds: KernelLeds,
    name: String,
    sysfs: Vec<String>,
    before: Option<Before>,
}

struct Before {
    trigger: String,
    brightness: u32,
}

impl Lamp {
    pub(super) fn new(root: PathBuf, name: String, sysfs: Vec<String>) -> Self {
        Self { leds: KernelLeds::new(root), name, sysfs, before: None }
    }

    /// The board's name for the LED.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Shows this from now on.
    ///
    /// # Errors
    ///
    /// `LedFailed`: there is no such LED here, or it cannot be set.
    pub fn show(&mut self, sign: Sign) -> Result<()> {
        let folder = self.leds.find(&self.led())?;
        let triggers = led::triggers(&self.led(), &folder)?;
        let max = led::number(&self.led(), &folder, "max_brightness")?;
        if self.before.is_none() {
            let brightness = led::number(&self.led(), &folder, "brightness")?;
            self.before = Some(Before { trigger: led::active(&triggers).into(), brightness });
        }
        let has = |trigger: &str| led::words(&triggers).any(|word| word == trigger);
        match sign {
            Sign::Working if has("timer") => self.blink(&folder, FAST),
            Sign::Failed if has("pattern") => {
                self.set(&folder, "trigger", "pattern")?;
                self.set(&folder, "pattern", &pattern(max))
            }
            Sign::Failed if has("timer") => self.blink(&folder, SLOW),
            Sign::Working | Sign::Failed => self.steady(&folder, &triggers, 0),
            Sign::Done => self.steady(&folder, &triggers, max),
        }
    }

    /// Has it do again what it did before.
    ///
    /// # Errors
    ///
    /// `LedFailed`.
    pub fn restore(&mut self) -> Result<()> {
        let Some(before) = self.before.take() else { return Ok(()) };
        let folder = self.leds.find(&self.led())?;
        let triggers = led::triggers(&self.led(), &folder)?;
        match &*before.trigger {
            NONE => self.steady(&folder, &triggers, before.brightness),
            trigger => self.set(&folder, "trigger", trigger),
        }
    }

    /// Somebody else drives it from now on: it is not restored.
    pub fn let_go(&mut self) {
        self.before = None;
    }

    fn led(&self) -> Led<'_> {
        Led { name: &self.name, sysfs: self.sysfs.iter().map(String::as_str).collect() }
    }

    fn steady(&self, folder: &Path, triggers: &str, brightness: u32) -> Result<()> {
        if led::active(triggers) != NONE {
            self.set(folder, "trigger", NONE)?;
        }
        self.set(folder, "brightness", &brightness.to_string())
    }

    fn blink(&self, folder: &Path, (on, off): (u32, u32)) -> Result<()> {
        self.set(folder, "trigger", "timer")?;
        self.set(folder, "delay_on", &on.to_string())?;
        self.set(folder, "delay_off", &off.to_string())
    }

    fn set(&self, folder: &Path, attribute: &str, value: &str) -> Result<()> {
        led::write(&self.led(), folder, attribute, value)
    }
}

/// A tuple of no length ends the fading from one brightness to the next.
fn pattern(max: u32) -> String {
    let tuples = BLINKS.iter().map(|(on, off)| format!("{max} {on} {max} 0 0 {off} 0 0"));
    tuples.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Something like sysfs, whose files keep what was written to them.
    fn lamp(triggers: &str) -> (tempfile::TempDir, Lamp) {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("led0");
        fs::create_dir(&folder).unwrap();
        for (name, value) in [("max_brightness", "255"), ("brightness", "7"), ("trigger", triggers)] {
            fs::write(folder.join(name), format!("{value}\n")).unwrap();
        }
        for name in ["delay_on", "delay_off", "pattern"] {
            fs::write(folder.join(name), "").unwrap();
        }
        let lamp = Lamp::new(dir.path().into(), "ACT".into(), vec!["ACT".into(), "led0".into()]);
        (dir, lamp)
    }

    fn read(dir: &tempfile::TempDir, attribute: &str) -> String {
        fs::read_to_string(dir.path().join("led0").join(attribute)).unwrap()
    }

    /// The kernel shows the triggers that there are again, with the one that was written in brackets.
    fn kernel_takes(dir: &tempfile::TempDir, triggers: &str) {
        fs::write(dir.path().join("led0/trigger"), triggers).unwrap();
    }

    #[test]
    fn each_sign_is_shown_by_the_kernels_triggers() {
        let (dir, mut lamp) = lamp("none timer pattern [mmc0]");
        lamp.show(Sign::Working).unwrap();
        assert_eq!(["trigger", "delay_on", "delay_off"].map(|name| read(&dir, name)), ["timer", "100", "100"]);
        kernel_takes(&dir, "none [timer] pattern mmc0");
        lamp.show(Sign::Failed).unwrap();
        assert_eq!(read(&dir, "trigger"), "pattern");
        let blink = "255 150 255 0 0 150 0 0";
        assert_eq!(read(&dir, "pattern"), format!("{blink} {blink} 255 150 255 0 0 900 0 0"));
        kernel_takes(&dir, "none timer [pattern] mmc0");
        lamp.show(Sign::Done).unwrap();
        assert_eq!(["trigger", "brightness"].map(|name| read(&dir, name)), ["none", "255"]);
    }

    #[test]
    fn a_kernel_with_fewer_triggers_blinks_slowly_or_not_at_all() {
        let (dir, mut lamp) = lamp("[none] timer");
        lamp.show(Sign::Failed).unwrap();
        assert_eq!(["trigger", "delay_on", "delay_off"].map(|name| read(&dir, name)), ["timer", "1000", "1000"]);
        kernel_takes(&dir, "[none]");
        for (sign, brightness) in [(Sign::Working, "0"), (Sign::Done, "255"), (Sign::Failed, "0")] {
            lamp.show(sign).unwrap();
            assert_eq!(read(&dir, "brightness"), brightness, "{sign:?}");
        }
    }

    #[test]
    fn what_it_did_before_it_does_again() {
        let (dir, mut lamp) = lamp("none timer [mmc0]");
        lamp.restore().unwrap();
        assert_eq!(read(&dir, "trigger"), "none timer [mmc0]\n");
        lamp.show(Sign::Working).unwrap();
        kernel_takes(&dir, "none [timer] mmc0");
        lamp.show(Sign::Done).unwrap();
        kernel_takes(&dir, "[none] timer mmc0");
        lamp.restore().unwrap();
        assert_eq!(read(&dir, "trigger"), "mmc0");
    }

    #[test]
    fn a_plain_led_gets_its_brightness_back_unless_it_was_let_go() {
        let (dir, mut lamp) = lamp("[none]");
        lamp.show(Sign::Done).unwrap();
        lamp.restore().unwrap();
        assert_eq!(read(&dir, "brightness"), "7");
        lamp.show(Sign::Done).unwrap();
        lamp.let_go();
        lamp.restore().unwrap();
        assert_eq!(read(&dir, "brightness"), "255");
    }
}
