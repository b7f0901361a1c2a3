//! `giterd check`: everything a sync depends on, tried one by one, each problem with its cure.

use std::{fs, path::Path, process::ExitCode};

use giter_edge::{
    api::{Error, Exit, Oid, Reason, Result},
    cli::{self, Output, counted},
    codec::{
        config::{Config, Mounting},
        stick, yaml,
    },
    disk::{FloorFile, SlotLedger, StateLock},
    link::{
        self,
        relay::{Carried, Relay},
    },
    plug::{self, Watch},
    reconcile::{
        approval::Approval,
        ports::{Board, FloorCopy, Ledger},
        relay::served::Failure,
        tick::believable,
    },
};
use rustix::fs::{Access, access};
use serde::Serialize;

use crate::{
    args::Args,
    device::{self, View},
};

/// One thing that was tried.
struct Check {
    name: String,
    result: Result<String>,
}

/// What `giterd check -o json` prints, version 1.
#[derive(Serialize)]
struct ChecksView<'a> {
    version: u32,
    checks: Vec<CheckView<'a>>,
}

#[derive(Serialize)]
struct CheckView<'a> {
    name: &'a str,
    ok: bool,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
}

/// Tries everything and prints it. The exit code is that of the gravest problem.
///
/// # Errors
///
/// `BadConfig`, without which there is nothing to try.
pub fn check(args: &Args) -> Result<ExitCode> {
    let config = device::read_config(&args.config)?;
    let check = |name: &str, result| Check { name: name.into(), result };
    let mut checks = vec![
        check("configuration", Ok(args.config.display().to_string())),
        check("root keys", root_keys(&config)),
        check("device key", device_key(&config)),
    ];
    if let Some(identity) = &config.link.identity {
        checks.push(check("ssh key", link::check_identity(identity).map(|()| identity.display().to_string())));
    }
    checks.push(check("state", state(&config)));
    if let Some(path) = &config.trust.floor {
        checks.push(check("floor", floor(&config, path)));
    }
    checks.extend([check("board", board(&config)), check("files", files(&config))]);
    // What stands before is what the resources are read with: said once is enough.
    if checks.iter().all(|check| check.result.is_ok()) {
        checks.extend(accepted(args, &config));
    }
    checks.push(check("sticks", sticks(&config)));
    if let Some(relay) = device::relay(&config) {
        checks.push(check("relay", carried(&config, &relay)));
    }
    if config.link.url.is_some() || !config.stick.is_watched() {
        checks.push(check("hub", hub(&config)));
    }
    print(&checks, args.output)?;
    let exits = checks.iter().filter_map(|check| check.result.as_ref().err()).map(|error| error.reason().exit());
    Ok(cli::exit_code(exits.max_by_key(|exit| *exit as u8).unwrap_or(Exit::Done)))
}

fn root_keys(config: &Config) -> Result<String> {
    Ok(counted(device::read_keyring(config)?.signers().len(), "key"))
}

fn device_key(config: &Config) -> Result<String> {
    let key = device::read_key(&config.status.key)?.public();
    Ok(format!("{} {key}", key.short_fingerprint()))
}

fn state(config: &Config) -> Result<String> {
    let folder = config.state.display();
    match StateLock::take(&config.state) {
        Ok(_) => Ok(format!("{folder} can be written")),
        Err(error) if error.reason() == Reason::StateLocked => Ok(format!("{folder} is in use by a running giterd")),
        Err(error) => Err(error),
    }
}

/// The floor's second copy is sound, as high as the ledger, and can be written. A ledger that cannot be read is told of
/// elsewhere.
fn floor(config: &Config, path: &Path) -> Result<String> {
    let mut file = FloorFile::new(path);
    let record = SlotLedger::new(&config.state).load().unwrap_or_default();
    let pinned = config.trust.exchange.as_ref().or(record.exchange.as_ref());
    let copy = believable(file.load()?, &config.device, pinned)?;
    access(file.folder(), Access::WRITE_OK | Access::EXEC_OK)
        .map_err(|error| Error::state(format!("{} cannot be written", file.folder().display()), error.into()))?;
    let path = path.display();
    match copy {
        _ if copy.as_ref().map_or(0, |floor| floor.advances) < record.advances => {
            let known = counted(usize::try_from(record.advances).unwrap_or(usize::MAX), "accepted commit");
            let what = format!("{path} is behind the ledger, which knows of {known}");
            Err(Error::new(Reason::FloorDamaged, what).hint("restart giterd run, which writes it at its start"))
        }
        None => Ok(format!("{path} is written with the first accepted commit")),
        Some(floor) => {
            Ok(format!("{path} holds {}, the last of {} accepted", floor.tip.commit.short(), floor.advances))
        }
    }
}

fn board(config: &Config) -> Result<String> {
    device::board(config).map(|board| format!("{} ({})", board.name(), board.title()))
}

fn files(config: &Config) -> Result<String> {
    for root in &config.file_roots {
        let cannot = |what: &str| {
            let what = format!("{} {what}", root.display());
            Error::new(Reason::FileFailed, what)
                .hint("make it, let giterd's user write there, or take it from files.roots")
        };
        if !fs::metadata(root).map_err(|error| cannot("cannot be read").caused_by(error))?.is_dir() {
            return Err(cannot("is not a folder"));
        }
        access(root, Access::WRITE_OK | Access::EXEC_OK)
            .map_err(|error| cannot("cannot be written").caused_by(error))?;
    }
    match config.file_roots.len() {
        0 => Ok("no files.roots: File resources are refused".into()),
        _ => Ok(config.file_roots.iter().map(|root| root.display().to_string()).collect::<Vec<_>>().join(", ")),
    }
}

/// What was accepted, and whether it fits the device.
fn accepted(args: &Args, config: &Config) -> Vec<Check> {
    let check = |name: &str, result| Check { name: name.into(), result };
    match View::open(&args.config) {
        Err(error) => vec![check("resources", Err(error))],
        Ok(view) if view.agent.record().tip.is_none() => {
            vec![check("approval", approval(config, &view)), check("resources", Ok("none accepted yet".into()))]
        }
        Ok(view) => std::iter::once(check("approval", approval(config, &view))).chain(resources(view)).collect(),
    }
}

/// Whether the exchange knows the device's key, as far as it was heard.
fn approval(config: &Config, view: &View) -> Result<String> {
    let key = device::read_key(&config.status.key)?.public();
    let short = key.short_fingerprint();
    if let Some(error) = view.agent.refusal().filter(|error| error.reason() == Reason::NotApproved)
        && view.agent.record().refused.as_ref().is_some_and(|refused| refused.inputs == device::inputs(config, &key))
    {
        return Err(error);
    }
    let approval = view.agent.approval(&key)?;
    Ok(match (view.agent.record().tip.is_some(), approval) {
        (false, _) => format!("nothing accepted yet that would name {short}"),
        (true, Approval::Named) => format!("the exchange names {short}"),
        (true, Approval::Open) => "the exchange names no keys of this device, and needs none".into(),
    })
}

/// The accepted resources can be observed: lines are there and free, LEDs answer. Each that cannot is named.
fn resources(mut view: View) -> Vec<Check> {
    let preview = view.agent.preview(&mut view.board);
    let count = preview.len();
    let failed: Vec<_> = preview
        .into_iter()
        .filter_map(|(key, decision)| Some(Check { name: key.to_string(), result: Err(decision.err()?) }))
        .collect();
    let sound = format!("{} of {count} can be observed", count - failed.len());
    std::iter::once(Check { name: "resources".into(), result: Ok(sound) }).chain(failed).collect()
}

/// Whether a stick would be noticed, and the LED be there that shows it.
fn sticks(config: &Config) -> Result<String> {
    let settings = &config.stick;
    if !settings.is_watched() {
        return Ok("not watched: stick.watch is empty, and stick.mount is never".into());
    }
    Watch::new(settings.clone())?.look()?;
    let lamp = device::board(config)?.lamp(config.led_sysfs.clone(), settings.led.as_deref())?;
    let folders: Vec<_> = settings.watch.iter().map(|folder| folder.display().to_string()).collect();
    let below = (!folders.is_empty()).then(|| format!("below {}", folders.join(", ")));
    let own = match settings.mount {
        Mounting::Auto => Some(plug::can_mount().map(|()| format!("mounted at {}", settings.at.display()))?),
        Mounting::Never => None,
    };
    let places: Vec<_> = below.into_iter().chain(own).collect();
    let led = lamp.map_or("no LED shows it".into(), |lamp| format!("led {} shows it", lamp.name()));
    Ok(format!("noticed {}; {led}", places.join(" or ")))
}

/// What is kept for the devices behind this one, and whether all went well with the hub.
fn carried(config: &Config, relay: &Relay) -> Result<String> {
    let record = SlotLedger::new(&config.state).load().unwrap_or_default();
    let (devices, bytes) = relay.kept(stick::folder_of(device::exchange(config, &record)))?;
    for Carried { device, served, .. } in crate::relay::carried(config, relay, &record) {
        if let Some(Failure { reason, message }) = served.failure {
            return Err(Error::new(reason, format!("of {device}: {message}")));
        }
    }
    let (folder, all) = (relay.folder.display(), counted(relay.devices.len(), "device"));
    Ok(format!("{folder} holds {bytes} bytes for {devices} of {all}"))
}

fn hub(config: &Config) -> Result<String> {
    let mut link = link::open(&device::link_settings(config)?, Default::default(), device::cancel()?)?;
    let listed = link.list().and_then(|listing| Ok((listing, link.sends_all()?)));
    link.close();
    let (listing, sends_all) = listed?;
    status_ref(config, listing.status)?;
    let found = format!("{} is at {}", config.link.branch, listing.branch.short());
    Ok(match sends_all {
        true => {
            format!(
                "{found}; it sends what other devices read, too: there, git config uploadpack.allowFilter true, and \
                 allow uploadpackfilter.tree"
            )
        }
        false => found,
    })
}

/// Whether the status ref is where this device left it. An agent at work records a status before it pushes it, so the
/// record is read after the ref. One that cannot be read is told of elsewhere.
fn status_ref(config: &Config, hub: Option<Oid>) -> Result<()> {
    let (Some(hub), Ok(record)) = (hub, SlotLedger::new(&config.state).load()) else { return Ok(()) };
    if record.status.is_some_and(|last| last.commit == hub || last.parent == Some(hub)) {
        return Ok(());
    }
    let what = format!("the status ref of {} is at {}, where this device did not put it", config.device, hub.short());
    Err(Error::new(Reason::StatusRefMoved, what).hint(
        "giterd goes on from there if this device's key signed it; else find out who moved it, then delete the ref on \
             the hub, and the device begins a new chain",
    ))
}

fn print(checks: &[Check], output: Output) -> Result<()> {
    let all = || ChecksView { version: 1, checks: checks.iter().map(view).collect() };
    match output {
        Output::Json => cli::print(cli::json(&all())?),
        Output::Yaml => cli::print(yaml::to_string(&all())?),
        Output::Name => {
            let failed = checks.iter().filter(|check| check.result.is_err());
            cli::print(failed.map(|check| format!("{}\n", check.name)).collect::<String>())
        }
        Output::Table | Output::Wide => {
            let rows: Vec<_> = checks.iter().map(row).collect();
            cli::print(cli::table(["CHECK", "OK", "DETAIL"], &rows))?;
            for error in checks.iter().filter_map(|check| check.result.as_ref().err()) {
                cli::complain(error);
            }
            Ok(())
        }
    }
}

fn row(check: &Check) -> [String; 3] {
    match &check.result {
        Ok(detail) => [check.name.clone(), "yes".into(), detail.clone()],
        Err(error) => [check.name.clone(), "no".into(), format!("{}: {}", error.reason(), error.one_line())],
    }
}

fn view(check: &Check) -> CheckView<'_> {
    match &check.result {
        Ok(detail) => CheckView { name: &check.name, ok: true, detail: detail.clone(), reason: None, hint: None },
        Err(error) => CheckView {
            name: &check.name,
            ok: false,
            detail: error.one_line(),
            reason: Some(error.reason().as_str()),
            hint: error.get_hint(),
        },
    }
}
