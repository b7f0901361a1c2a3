//! Words about boards: the constant tables that `build.rs` makes of `boards/*.toml`, levels and lines.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What the agent knows of a board before it looks at the hardware.
#[derive(Debug, PartialEq, Eq)]
pub struct BoardTable {
    /// The name of the board's file, which is the board's name.
    pub name: &'static str,
    /// The name people know it by.
    pub title: &'static str,
    /// The device tree's `compatible` strings that select it.
    pub compatible: &'static [&'static str],
    /// Its GPIO lines, sorted by name; a line may stand under several names.
    pub lines: &'static [LineEntry],
    /// Its LEDs, sorted by name.
    pub leds: &'static [LedEntry],
    /// The LED that shows what is done with a stick, where the configuration names none.
    pub stick: Option<&'static str>,
    /// Whether lines and LEDs that no table names are taken as the kernel names them.
    pub open: bool,
}

/// One name of a line.
#[derive(Debug, PartialEq, Eq)]
pub struct LineEntry {
    /// What a spec calls it, such as `GPIO17` or `PIN11`.
    pub name: &'static str,
    /// The GPIO chip: its label in the kernel, the name of its device in sysfs, or its own (`gpiochip0`).
    pub chip: &'static str,
    /// The line's offset on the chip.
    pub offset: u32,
}

/// One LED.
#[derive(Debug, PartialEq, Eq)]
pub struct LedEntry {
    /// What a spec calls it, such as `ACT`.
    pub name: &'static str,
    /// The names it may have under `/sys/class/leds`, tried in order.
    pub sysfs: &'static [&'static str],
}

/// A line's level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Inactive.
    Low,
    /// Active.
    High,
}

impl Level {
    /// The opposite level if `invert`.
    #[must_use]
    pub fn inverted_if(self, invert: bool) -> Self {
        match (self, invert) {
            (Level::Low, true) => Level::High,
            (Level::High, true) => Level::Low,
            (level, false) => level,
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Level::Low => "low",
            Level::High => "high",
        })
    }
}

/// The bias of a line (`GPIO_V2_LINE_FLAG_BIAS_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bias {
    /// A pull-up resistor.
    PullUp,
    /// A pull-down resistor.
    PullDown,
    /// Neither.
    Disabled,
}

/// How a line is requested from the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineConfig {
    /// The logical level to drive; `None` for an input.
    pub output: Option<Level>,
    /// Whether the logical level is the opposite of the electrical one.
    pub active_low: bool,
    /// The bias; `None` leaves it as it is.
    pub bias: Option<Bias>,
}

/// What an LED does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LedState {
    /// Shines steadily (0 is off); the trigger is `none`.
    Brightness(u32),
    /// Follows a trigger of the kernel's.
    Trigger(Box<str>),
}
