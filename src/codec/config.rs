//! `giterd.toml` and the `GITERD_*` environment, read by one table of keys.
//!
//! Each key of the file can also stand in the environment, which wins: `link.url` is `GITERD_LINK_URL`, lists are
//! separated by `:`. A key that is not in the table is an error, so that a typing mistake is never silently a default.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use crate::api::{DeviceId, ExchangeId, Result, exchange::Policy, limits};

mod given;
mod values;

pub use given::line_and_column;
use given::{Given, missing};
use values::{
    algorithms, any_duration, branch, budget, format, hold, mount_point, mounting, on_off, policy, prefix, size,
    ssh_client,
};

/// Where the configuration stands if `--config` does not say otherwise.
pub const DEFAULT_PATH: &str = "/etc/giter/giterd.toml";

/// The prefix of the environment's keys.
pub const ENV_PREFIX: &str = "GITERD_";

/// The agent's configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The file that this was read from.
    pub file: PathBuf,
    /// `device`: the folder under `specs/`, and the end of the status ref.
    pub device: DeviceId,
    /// `state`: where everything lies that must survive.
    pub state: PathBuf,
    /// `board`: `auto`, a board's name, or `sim`.
    pub board: String,
    /// `[link]`.
    pub link: Link,
    /// `[trust]`.
    pub trust: Trust,
    /// `[status]`.
    pub status: Status,
    /// `[relay]`.
    pub relay: Relay,
    /// `files.roots`: the folders under which `File` resources may write.
    pub file_roots: Vec<PathBuf>,
    /// `[stick]`.
    pub stick: Stick,
    /// `led.sysfs`: the kernel's LED class.
    pub led_sysfs: PathBuf,
    /// `gpio.dev`: the folder of the `gpiochip` devices.
    pub gpio_dev: PathBuf,
    /// `drift.interval`: how often drift is looked for between polls.
    pub drift_interval: Duration,
    /// `sim.file`: the registers of the board `sim`.
    pub sim_file: Option<PathBuf>,
}

/// `[link]`: the way to the exchange.
#[derive(Clone, Debug, PartialEq)]
pub struct Link {
    /// `link.url`: `ssh://`, scp form, `file://` or a path; `None` where the device has no way to the hub.
    pub url: Option<String>,
    /// `link.branch`.
    pub branch: String,
    /// `link.identity`: the SSH key, handed to ssh.
    pub identity: Option<PathBuf>,
    /// `link.known_hosts`.
    pub known_hosts: Option<PathBuf>,
    /// `link.ssh`.
    pub ssh: SshClient,
    /// `link.program`: the ssh program of `ssh = "system"`.
    pub program: PathBuf,
    /// `link.algorithms`: what ssh offers.
    pub algorithms: Algorithms,
    /// `link.hold`: whether the connection is kept between polls.
    pub hold: Hold,
    /// `link.watch`: whether the hub is asked to tell of changes.
    pub watch: bool,
    /// `link.interval`: how often the exchange is polled.
    pub interval: Duration,
    /// `link.splay`: how long the first poll may be put off, at random, after the board has started.
    pub splay: Duration,
    /// `link.timeout`: how long the hub may be silent.
    pub timeout: Duration,
}

/// What speaks SSH.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SshClient {
    /// The system's program.
    System,
    /// The agent itself.
    Builtin,
}

/// What the system's ssh offers to the hub's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithms {
    /// What it would by itself.
    Ssh,
    /// One or two of each.
    Short,
}

/// When the connection to the hub is kept between two polls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// Where the next poll is near, or the hub is asked to tell of changes.
    Auto,
    /// Not at all.
    Never,
}

impl Link {
    /// How long a connection is held and believed; zero for no longer than a tick.
    pub fn hold(&self) -> Duration {
        let is_held = self.hold == Hold::Auto && (self.watch || self.interval <= limits::HELD_INTERVAL);
        if is_held { limits::HELD } else { Duration::ZERO }
    }
}

/// `[trust]`: whom the device believes.
#[derive(Clone, Debug, PartialEq)]
pub struct Trust {
    /// `trust.root`: an allowed_signers file.
    pub root: PathBuf,
    /// `trust.verify`.
    pub verify: Policy,
    /// `trust.exchange`: pinned at the first sync where it is absent.
    pub exchange: Option<ExchangeId>,
    /// `trust.floor`: the second copy of the rollback floor, outside the state folder.
    pub floor: Option<PathBuf>,
}

/// `[status]`: what the device says back.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    /// `status.key`: the device's private key.
    pub key: PathBuf,
    /// `status.format`.
    pub format: Format,
    /// `status.heartbeat`: how long at most without a status; 0 for no heartbeat.
    pub heartbeat: Duration,
    /// `status.coalesce`: for how long after a push changes wait, to go together.
    pub coalesce: Duration,
    /// `status.budget`: the bytes that statuses may take in a day; `None` for any.
    pub budget: Option<u64>,
    /// `status.prefix`: the status refs' folder.
    pub prefix: String,
}

/// `[relay]`: for whom this device is a gateway.
#[derive(Clone, Debug, PartialEq)]
pub struct Relay {
    /// `relay.devices`: those that it carries for.
    pub devices: Vec<DeviceId>,
    /// `relay.folder`: what it keeps for them, laid out as a stick.
    pub folder: PathBuf,
    /// `relay.bytes`: the most that it takes into that folder.
    pub bytes: u64,
}

/// The wire form of the status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `status.postcard`.
    Compact,
    /// `status.yaml`.
    Yaml,
}

/// `[stick]`: what `giterd run` does with sticks that are plugged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stick {
    /// `stick.watch`: the folders at or below which sticks are mounted by others.
    pub watch: Vec<PathBuf>,
    /// `stick.mount`: whether the agent mounts sticks itself.
    pub mount: Mounting,
    /// `stick.at`: where it does.
    pub at: PathBuf,
    /// `stick.led`: the LED that shows what is done with a stick; the board's own choice where it is absent, none where
    /// it is empty.
    pub led: Option<String>,
}

/// Whether the agent mounts sticks itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mounting {
    /// It does not.
    Never,
    /// Removable ones that nobody else has mounted.
    Auto,
}

impl Stick {
    /// Whether sticks are looked for at all.
    pub fn is_watched(&self) -> bool {
        !self.watch.is_empty() || self.mount == Mounting::Auto
    }
}

impl Config {
    /// Where the hub is.
    ///
    /// # Errors
    ///
    /// `BadConfig` if the configuration does not say.
    pub fn hub(&self) -> Result<&str> {
        let missing = || missing(&self.file.display().to_string(), "link.url", "where the exchange is");
        self.link.url.as_deref().ok_or_else(missing)
    }
}

/// Where automounters mount sticks: by the Filesystem Hierarchy Standard, and udisks.
const MEDIA: [&str; 2] = ["/media", "/run/media"];

/// Reads the file's text and the environment's `GITERD_*` variables.
///
/// # Errors
///
/// `BadConfig`, with the file's line and column or the variable's name.
pub fn read(name: &Path, text: &str, environment: impl IntoIterator<Item = (String, String)>) -> Result<Config> {
    let mut given = Given::default();
    given.take_file(&name.display().to_string(), text)?;
    given.take_environment(environment)?;
    given.into_config(&name.display().to_string())
}

impl Given {
    fn into_config(self, name: &str) -> Result<Config> {
        let device = self.required(name, "device", "its folder under specs/")?;
        let state: PathBuf = self.or("state", "/var/lib/giter")?;
        Ok(Config {
            file: name.into(),
            relay: self.relay(&device, &state)?,
            device,
            state,
            board: self.or("board", "auto")?,
            link: Link {
                url: self.maybe("link.url")?,
                branch: self.get("link.branch", branch)?.unwrap_or_else(|| "main".into()),
                identity: self.maybe("link.identity")?,
                known_hosts: self.maybe("link.known_hosts")?,
                ssh: self.get("link.ssh", ssh_client)?.unwrap_or(SshClient::System),
                program: self.or("link.program", "ssh")?,
                algorithms: self.get("link.algorithms", algorithms)?.unwrap_or(Algorithms::Ssh),
                hold: self.get("link.hold", hold)?.unwrap_or(Hold::Auto),
                watch: self.watch()?,
                interval: self.duration("link.interval", "30s")?,
                splay: self.get("link.splay", any_duration)?.unwrap_or(Duration::from_secs(5 * 60)),
                timeout: self.duration("link.timeout", "60s")?,
            },
            trust: Trust {
                root: self.or("trust.root", "/etc/giter/root.keys")?,
                verify: self.get("trust.verify", policy)?.unwrap_or_default(),
                exchange: self.maybe("trust.exchange")?,
                floor: self.maybe("trust.floor")?,
            },
            status: Status {
                key: self.or("status.key", "/etc/giter/device.key")?,
                format: self.get("status.format", format)?.unwrap_or(Format::Compact),
                heartbeat: self.get("status.heartbeat", any_duration)?.unwrap_or(Duration::from_secs(3600)),
                coalesce: self.get("status.coalesce", any_duration)?.unwrap_or(Duration::from_secs(10)),
                budget: self.get("status.budget", budget)?.unwrap_or(Some(256_000)),
                prefix: self.get("status.prefix", prefix)?.unwrap_or_else(|| "refs/giter/status".into()),
            },
            file_roots: self.folders("files.roots")?.unwrap_or_default(),
            stick: Stick {
                watch: self.folders("stick.watch")?.unwrap_or_else(|| MEDIA.map(PathBuf::from).into()),
                mount: self.get("stick.mount", mounting)?.unwrap_or(Mounting::Never),
                at: self.get("stick.at", mount_point)?.unwrap_or_else(|| "/run/giter/stick".into()),
                led: self.maybe("stick.led")?,
            },
            led_sysfs: self.or("led.sysfs", "/sys/class/leds")?,
            gpio_dev: self.or("gpio.dev", "/dev")?,
            drift_interval: self.duration("drift.interval", "10s")?,
            sim_file: self.maybe("sim.file")?,
        })
    }

    fn watch(&self) -> Result<bool> {
        let watch = self.get("link.watch", on_off)?.unwrap_or(false);
        match self.value("link.watch") {
            Some(value) if watch && self.get("link.hold", hold)? == Some(Hold::Never) => {
                let why = "link.watch: it needs a connection that is held, and link.hold is never";
                Err(value.wrong(why))
            }
            _ => Ok(watch),
        }
    }

    fn relay(&self, own: &DeviceId, state: &Path) -> Result<Relay> {
        let folder = self.maybe("relay.folder")?.unwrap_or_else(|| state.join("relay"));
        let bytes = self.get("relay.bytes", size)?.unwrap_or(64 << 20);
        let Some(value) = self.value("relay.devices") else { return Ok(Relay { devices: vec![], folder, bytes }) };
        let wrong = |why: &str| value.wrong(&format!("relay.devices: {why}"));
        let mut devices = Vec::new();
        for part in &value.parts {
            let device: DeviceId = part.parse().map_err(|error| wrong(&format!("{error}")))?;
            if device == *own {
                return Err(wrong(&format!("{device} is this device itself")));
            }
            if !devices.contains(&device) {
                devices.push(device);
            }
        }
        if devices.len() > limits::RELAY_DEVICES {
            return Err(wrong(&format!("more than {} devices", limits::RELAY_DEVICES)));
        }
        Ok(Relay { devices, folder, bytes })
    }
}

#[cfg(test)]
mod tests;
