//! The device, put together: the configuration decides which real adapter stands behind each port.

use std::{
    fs,
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use giter_edge::{
    api::{Error, ExchangeId, Reason, Result, ledger::Record, limits},
    codec::{
        config::{self, Config},
        keyfile::SecretKey,
        pubkey::PublicKey,
        signers::Keyring,
    },
    disk::{FloorFile, Refusal, RefusalFile, SlotLedger, StateLock},
    drivers::{self, Drivers},
    git::{outbox::OutboxFile, seal::StatusSeal, store::PackStore},
    link::{
        self, Cancel, Nowhere, StickLink,
        relay::{Carried, Known, Relay},
        stick,
    },
    reconcile::{
        ports::{Board, FloorCopy, Link},
        tick::{Agent, Ports, Settings},
    },
};
use sha2::{Digest, Sha256};

/// Where the device tree says what board this is.
const DEVICE_TREE: &str = "/proc/device-tree/compatible";

/// Where, in the state folder, lies what a gateway brings for others and is not whole yet.
const RELAY_SCRATCH: &str = "relay.part";

/// A device that may act: it holds the state folder's lock.
pub struct Device {
    /// What the operator decided.
    pub config: Config,
    /// The hardware.
    pub board: Drivers,
    /// Ends a conversation with the hub from another thread.
    pub cancel: Cancel,
    link: Box<dyn Link>,
    store: PackStore,
    ledger: SlotLedger,
    floor: Option<FloorFile>,
    outbox: OutboxFile,
    seal: StatusSeal,
    settings: Settings,
    relay: Option<Relay>,
    _lock: StateLock,
}

impl Device {
    /// Reads the configuration and opens everything it names. The hub is not contacted yet.
    ///
    /// # Errors
    ///
    /// Whatever of the configuration, the keys, the board or the state folder cannot be used.
    pub fn open(config: &Path) -> Result<Self> {
        let config = read_config(config)?;
        let link_settings = config.link.url.is_some().then(|| link_settings(&config)).transpose()?;
        let board = board(&config)?;
        let key = read_key(&config.status.key)?;
        let settings = Settings { inputs: inputs(&config, &key.public()), ..settings(&config)? };
        let seal = StatusSeal::new(config.device.clone(), key, config.status.format);
        let lock = StateLock::take(&config.state)?;
        let mut ledger = SlotLedger::new(&config.state);
        let hub = giter_edge::reconcile::ports::Ledger::load(&mut ledger)?.hub;
        let cancel = cancel()?;
        let link = match link_settings {
            Some(settings) => link::open(&settings, hub, cancel.clone())?,
            None => Box::new(Nowhere::new(&config.file, hub)),
        };
        let store = PackStore::open(&store_folder(&config))?;
        let floor = config.trust.floor.as_deref().map(FloorFile::new);
        let outbox = OutboxFile::new(&config.state, &status_ref(&config));
        let relay = relay(&config);
        Ok(Self { config, board, cancel, link, store, ledger, floor, outbox, seal, settings, relay, _lock: lock })
    }

    /// Whoever asks for one tick is told of it at once: no other may follow that would take along what waits.
    pub fn tells_at_once(&mut self) {
        self.settings.coalesce = 0;
    }

    /// The adapters behind the ports.
    pub fn ports(&mut self) -> Ports<'_> {
        let Self { link, store, board, ledger, floor, outbox, seal, .. } = self;
        let floor = floor.as_mut().map(|floor| floor as &mut dyn FloorCopy);
        Ports { link: &mut **link, store, board, ledger, floor, outbox, seal }
    }

    /// The same, with what was carried here in the place of the hub.
    pub fn ports_to<'a>(&'a mut self, carried: &'a mut StickLink) -> Ports<'a> {
        Ports { link: carried, ..self.ports() }
    }

    /// The link to what was carried here, for an agent with this record.
    pub fn carried(&self, place: stick::Place, record: &Record) -> StickLink {
        let settings = stick::Settings {
            device: self.config.device.clone(),
            branch: self.config.link.branch.clone(),
            status_ref: status_ref(&self.config),
            exchange: self.config.trust.exchange.clone(),
        };
        StickLink::open(place, &settings, record)
    }

    /// For whom this device carries, if for anybody.
    pub fn relay(&self) -> Option<&Relay> {
        self.relay.as_ref()
    }

    /// The same, with the way to the hub between two ticks.
    pub fn relay_and_link(&mut self) -> Option<(&mut Relay, &mut dyn Link)> {
        Some((self.relay.as_mut()?, &mut *self.link))
    }

    /// The way to the hub, between two ticks.
    pub fn link(&mut self) -> &mut dyn Link {
        &mut *self.link
    }

    /// Starts the agent, which recovers from whatever stopped the last one.
    ///
    /// # Errors
    ///
    /// The state folder cannot be read or swept.
    pub fn start_agent(&mut self) -> Result<Agent> {
        let settings = self.settings.clone();
        Agent::start(settings, &mut self.ports())
    }

    /// The board's name.
    pub fn board_name(&self) -> &str {
        self.board.name()
    }
}

/// A look at the device beside an agent that may be running: nothing is locked, written or sent.
pub struct View {
    /// The hardware.
    pub board: Drivers,
    /// The agent, as it would start.
    pub agent: Agent,
    /// How this device carries for others; `None` where it does for nobody.
    pub carried: Option<Vec<Carried>>,
    /// Why the last stick was not taken, if it was not.
    pub refusal: Option<Refusal>,
}

impl View {
    /// Opens a device for looking.
    ///
    /// # Errors
    ///
    /// Whatever of the configuration, the root file, the board or the state folder cannot be read.
    pub fn open(config: &Path) -> Result<Self> {
        let config = read_config(config)?;
        let board = board(&config)?.beside_agent();
        let store = PackStore::at(&store_folder(&config));
        let agent = Agent::inspect(settings(&config)?, &store, &board, &mut SlotLedger::new(&config.state))?;
        let carried = relay(&config).map(|relay| crate::relay::carried(&config, &relay, agent.record()));
        let refusal = RefusalFile::new(&config.state).load();
        Ok(Self { board, agent, carried, refusal })
    }
}

/// Reads the configuration file and the environment.
///
/// # Errors
///
/// `BadConfig`.
pub fn read_config(path: &Path) -> Result<Config> {
    let write = || format!("write {}, or name another file with --config", path.display());
    let text = read_text(path, Reason::BadConfig, "the configuration", write)?;
    let environment =
        std::env::vars_os().filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)));
    let mut config = config::read(path, &text, environment)?;
    if config.board == "sim" && config.sim_file.is_none() {
        config.sim_file = Some(config.state.join("sim.toml"));
    }
    Ok(config)
}

/// Reads the root of trust, which names at least one key.
///
/// # Errors
///
/// `BadSigners`.
pub fn read_keyring(config: &Config) -> Result<Keyring> {
    let path = &config.trust.root;
    let copy = || "copy root.keys from the exchange's publisher, by a way you trust, and name it in trust.root".into();
    let text = read_text(path, Reason::BadSigners, "the root keys", copy)?;
    let keyring = Keyring::parse(&path.display().to_string(), text.as_bytes())?;
    if keyring.signers().is_empty() {
        return Err(Error::new(Reason::BadSigners, format!("{} names no key", path.display()))
            .hint("put the publisher's line of root.keys there; without one nothing is ever accepted"));
    }
    Ok(keyring)
}

/// Reads the device's private key, if nobody else can.
///
/// # Errors
///
/// `BadKeyFile`.
pub fn read_key(path: &Path) -> Result<SecretKey> {
    let name = path.display();
    let make = || "'giterd enroll' makes it, and asks a publisher to approve it".into();
    let text = read_text(path, Reason::BadKeyFile, "the device's key", make)?;
    if text.starts_with("ssh-") {
        return Err(Error::new(Reason::BadKeyFile, format!("{name} is the public half of a key"))
            .hint("name the private half in status.key: the file without .pub"));
    }
    let mode =
        fs::metadata(path).map_err(|error| unreadable(Reason::BadKeyFile, "the device's key", path, error))?.mode();
    if mode & 0o077 != 0 {
        let what = format!("the device's key {name} can be read by others (mode {:04o})", mode & 0o7777);
        return Err(Error::new(Reason::BadKeyFile, what).hint(format!("chmod 600 {name}")));
    }
    SecretKey::from_openssh(&name.to_string(), text.as_bytes())
}

/// The board that the configuration names, or the device tree.
///
/// # Errors
///
/// `UnknownBoard`, `BadBoardFile`.
pub fn board(config: &Config) -> Result<Drivers> {
    let table = drivers::select(&config.board, Path::new(DEVICE_TREE), &local_board())?;
    let sim = (table.name == "sim").then(|| config.sim_file.clone()).flatten();
    let settings = drivers::Settings {
        file_roots: config.file_roots.clone(),
        reserved: own_files(config),
        gpio_dev: config.gpio_dev.clone(),
        leds: config.led_sysfs.clone(),
        sim,
        ..drivers::Settings::default()
    };
    Ok(Drivers::new(table, settings))
}

/// What makes this device itself: who could write there through a `File` could make himself the root of trust.
fn own_files(config: &Config) -> Vec<PathBuf> {
    let Config { file, state, link, trust, status, relay, sim_file, .. } = config;
    let optional = [&link.identity, &link.known_hosts, &trust.floor, sim_file].into_iter().flatten();
    [file, state, &trust.root, &status.key, &relay.folder].into_iter().chain(optional).cloned().collect()
}

/// Where and how the hub is reached.
///
/// # Errors
///
/// `BadConfig` if the configuration names no hub.
pub fn link_settings(config: &Config) -> Result<link::Settings> {
    Ok(link::Settings {
        url: config.hub()?.into(),
        branch: config.link.branch.clone(),
        status_ref: status_ref(config),
        ssh: config.link.ssh,
        identity: config.link.identity.clone(),
        known_hosts: config.link.known_hosts.clone(),
        program: config.link.program.clone(),
        algorithms: config.link.algorithms,
        sockets: Some(sockets_folder()),
        manner: link::Manner {
            silence: config.link.timeout,
            exchange: limits::EXCHANGE,
            hold: config.link.hold(),
            watch: config.link.watch,
        },
    })
}

/// For whom the device carries, if for anybody.
pub fn relay(config: &Config) -> Option<Relay> {
    let config::Relay { devices, folder, bytes } = config.relay.clone();
    let (branch, prefix) = (config.link.branch.clone(), config.status.prefix.clone());
    let scratch = config.state.join(RELAY_SCRATCH);
    (!devices.is_empty()).then_some(Relay {
        folder,
        scratch,
        devices,
        bytes,
        visit: limits::RELAY_VISIT,
        branch,
        prefix,
        known: Known::default(),
    })
}

/// The exchange of a device with this record, if that is known by now: the one that the operator names, or else the one that
/// was pinned.
pub fn exchange<'a>(config: &'a Config, record: &'a Record) -> Option<&'a ExchangeId> {
    config.trust.exchange.as_ref().or(record.exchange.as_ref())
}

fn status_ref(config: &Config) -> String {
    format!("{}/{}", config.status.prefix, config.device)
}

/// Where ssh's sockets are: systemd's folder for what goes with the service (systemd.exec(5), RuntimeDirectory=), or that
/// of everybody's temporary files.
fn sockets_folder() -> PathBuf {
    let folders = std::env::var_os("RUNTIME_DIRECTORY");
    folders.and_then(|folders| std::env::split_paths(&folders).next()).unwrap_or_else(std::env::temp_dir)
}

/// What ends a conversation with the hub.
///
/// # Errors
///
/// `Bug`: this process has no file descriptor left.
pub fn cancel() -> Result<Cancel> {
    Cancel::new().map_err(|error| Error::new(Reason::Bug, "cannot make an eventfd").caused_by(error))
}

fn store_folder(config: &Config) -> PathBuf {
    config.state.join("store")
}

/// What is decided without the device's key, which who only looks need not be able to read: no verdict is passed on it.
fn settings(config: &Config) -> Result<Settings> {
    let keyring = read_keyring(config)?;
    Ok(Settings {
        device: config.device.clone(),
        agent: env!("CARGO_PKG_VERSION").into(),
        policy: config.trust.verify,
        keyring,
        exchange: config.trust.exchange.clone(),
        branch: config.link.branch.clone(),
        inputs: [0; 16],
        heartbeat: Some(config.status.heartbeat.as_secs()).filter(|seconds| *seconds > 0),
        coalesce: config.status.coalesce.as_secs(),
        budget: config.status.budget,
    })
}

/// A digest of all that a verdict on a tip depends on, so that a refused one is judged anew when its cure was here. A
/// file that cannot be read counts as empty: whether that is wrong is found elsewhere.
pub fn inputs(config: &Config, key: &PublicKey) -> [u8; 16] {
    let Config { device, board, link, trust, file_roots, .. } = config;
    let accounts = drivers::Settings::default();
    let mut digest = Sha256::new();
    let mut add = |part: &[u8]| {
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part);
    };
    add(env!("CARGO_PKG_VERSION").as_bytes());
    add(&key.to_blob());
    add(format!("{device} {board:?} {:?} {:?} {:?} {file_roots:?}", link.branch, trust.verify, trust.exchange)
        .as_bytes());
    for path in [&trust.root, &local_board(), &accounts.passwd, &accounts.group] {
        let mut bytes = Vec::new();
        let _ = fs::File::open(path).and_then(|file| file.take(limits::ACCOUNTS_BYTES as u64).read_to_end(&mut bytes));
        add(&bytes);
    }
    let mut short = [0; 16];
    short.copy_from_slice(&digest.finalize()[..16]);
    short
}

/// The operator's own board file.
fn local_board() -> PathBuf {
    PathBuf::from(config::DEFAULT_PATH).with_file_name("board.toml")
}

/// Reads a file; `cure` says what to do unless this user may not read it.
fn read_text(path: &Path, reason: Reason, what: &str, cure: impl FnOnce() -> String) -> Result<String> {
    let mut text = String::new();
    let limit = limits::SIGNERS_BYTES.max(limits::CONFIG_BYTES) as u64 + 1;
    fs::File::open(path).and_then(|file| file.take(limit).read_to_string(&mut text)).map_err(|error| {
        let hint = match error.kind() {
            io::ErrorKind::PermissionDenied => "run this as giterd's user, or let this one read it".into(),
            _ => cure(),
        };
        unreadable(reason, what, path, error).hint(hint)
    })?;
    Ok(text)
}

fn unreadable(reason: Reason, what: &str, path: &Path, error: io::Error) -> Error {
    Error::new(reason, format!("cannot read {what} at {}", path.display())).caused_by(error)
}
