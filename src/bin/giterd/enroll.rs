//! `giterd enroll`: the device asks to be known. What it asks for stands in a signed commit, which goes to the hub or
//! onto a stick; a publisher compares the fingerprint and approves it.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use giter_edge::{
    api::{DeviceId, Error, ExchangeId, Oid, Reason, Result, ledger::Record, object::NewObject},
    cli::{self, Output},
    codec::{
        config::Config,
        enrolment::{self, Notes},
        stick::{self, Paper},
        yaml,
    },
    disk::{
        SlotLedger,
        atomic::{self, Access},
        folder,
    },
    git::{
        bundle,
        enrolment::{Request, request_commit},
    },
    link,
    reconcile::ports::{Board, Ledger, Link},
};
use serde::Serialize;

use crate::{args::Args, device, keys::Keys};

/// Makes the keys that are missing, and asks.
///
/// # Errors
///
/// What keeps the keys from being made, and, once all that is known was printed, what keeps the request from arriving.
pub fn enroll(args: &Args) -> Result<ExitCode> {
    let config = device::read_config(&args.config)?;
    let board = device::board(&config)?.name().to_owned();
    let keys = Keys::find_or_make(&config)?;
    let request = request_commit(Request {
        device: &config.device,
        key: &keys.status,
        ssh_key: keys.ssh.as_ref(),
        notes: Notes { board, agent: env!("CARGO_PKG_VERSION").into() },
        time: keys.made,
    })?;
    // A device that asks for the first time has no record.
    let record = SlotLedger::new(&config.state).load().unwrap_or_default();
    let asked = match &args.stick {
        Some(stick) => to_stick(&config, &record, stick, &request).map(Asked::Written),
        None if config.link.url.is_none() => Ok(Asked::Nowhere),
        None => to_hub(&config, &record, &request, args.force),
    };
    print(&View::of(&config.device, &keys, request[2].id, &asked), args.output)?;
    asked.map(|_| ExitCode::SUCCESS).map_err(|error| explained(error, &keys))
}

/// Where a request went.
enum Asked {
    /// To the hub.
    Sent,
    /// It stood there already.
    Standing,
    /// Into this file.
    Written(PathBuf),
    /// The configuration names no hub.
    Nowhere,
}

fn to_hub(config: &Config, record: &Record, request: &[NewObject; 3], force: bool) -> Result<Asked> {
    // To a link, the ref of a request is what the status ref is at other times.
    let status_ref = enrolment::ref_of(&config.device);
    let settings = link::Settings { status_ref, ..device::link_settings(config)? };
    let mut link = link::open(&settings, record.hub, device::cancel()?)?;
    let asked = ask(&mut *link, &config.device, request, force);
    link.close();
    asked
}

fn ask(link: &mut dyn Link, device: &DeviceId, request: &[NewObject; 3], force: bool) -> Result<Asked> {
    let (name, new) = (enrolment::ref_of(device), request[2].id);
    match link.list()?.status {
        Some(standing) if standing == new => return Ok(Asked::Standing),
        Some(standing) if !force => {
            let what = format!("another request stands at {name}, {}", standing.short());
            return Err(Error::new(Reason::EnrolmentConflict, what).hint(
                "if it is an older one of this device, replace it with --force; if not, let a publisher see who asks, \
                 with 'giterctl approve'",
            ));
        }
        standing => link.publish(standing, new, request),
    }
    .map_err(|error| match error.reason() {
        Reason::StatusRefMoved => {
            let what = format!("another request came to {name} meanwhile");
            Error::new(Reason::EnrolmentConflict, what).hint("run this again, to see which").caused_by(error.one_line())
        }
        Reason::PushRejected => {
            let hint = format!("let this device's account write {name} at the hub, or carry the request: --stick DIR");
            error.hint(hint)
        }
        _ => error,
    })?;
    Ok(Asked::Sent)
}

fn to_stick(config: &Config, record: &Record, root: &Path, request: &[NewObject; 3]) -> Result<PathBuf> {
    let exchange = device::exchange(config, record);
    let place = Paper::Request.place(exchange.map_or(stick::ENROLL, ExchangeId::as_str), &config.device);
    let bytes = bundle::write(&enrolment::ref_of(&config.device), request[2].id, None, request)?;
    let access = Access { mode: 0o644, ..Access::PRIVATE };
    folder::below(root, place.folders.iter().copied())
        .and_then(|folder| atomic::replace(folder, &place.file, &bytes, access))
        .map_err(|e| Error::io(Reason::StickFailed, format!("cannot write the request to {}", root.display()), e))?;
    Ok(root.join(place.path()))
}

/// Where the hub does not know the device's SSH key yet, what it is has to be said.
fn explained(error: Error, keys: &Keys) -> Error {
    match (&keys.ssh, error.reason()) {
        (Some(key), Reason::SshKeyRefused) => {
            let key = key.to_openssh();
            error.hint(format!("add the SSH key to the hub's account, or carry the request with --stick DIR: {key}"))
        }
        _ => error,
    }
}

/// What `giterd enroll -o json` prints, version 1.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct View {
    version: u32,
    device: String,
    fingerprint: String,
    sha256: String,
    key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ssh_key: Option<String>,
    request: RequestView,
    approve: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RequestView {
    commit: String,
    #[serde(rename = "ref")]
    name: String,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

impl View {
    fn of(device: &DeviceId, keys: &Keys, commit: Oid, asked: &Result<Asked>) -> Self {
        let public = keys.status.public();
        let (state, file) = match asked {
            Ok(Asked::Sent) => ("Sent", None),
            Ok(Asked::Standing) => ("Standing", None),
            Ok(Asked::Written(file)) => ("Written", Some(file.display().to_string())),
            Ok(Asked::Nowhere) | Err(_) => ("NotSent", None),
        };
        let reason = asked.as_ref().err().map(|error| error.reason().as_str());
        let name = enrolment::ref_of(device);
        Self {
            version: 1,
            device: device.to_string(),
            fingerprint: public.short_fingerprint(),
            sha256: public.fingerprint(),
            key: public.to_openssh(),
            ssh_key: keys.ssh.as_ref().map(|key| key.to_openssh()),
            request: RequestView { commit: commit.to_string(), name, state, file, reason },
            approve: format!("giterctl approve {device}"),
        }
    }

    fn text(&self) -> String {
        let RequestView { name, state, file, .. } = &self.request;
        let request = match (file, *state) {
            (Some(file), _) => format!("written to {file}"),
            (_, "Sent") => format!("sent to {name}"),
            (_, "Standing") => format!("stands at {name} already"),
            _ => "not sent".into(),
        };
        let next = match (file, *state) {
            (Some(_), _) => format!("{} --stick DIR, where the stick is carried to", self.approve),
            (_, "NotSent") => "run this again, or carry the request to a publisher: giterd enroll --stick DIR".into(),
            _ => format!("{}, where the fingerprint is compared", self.approve),
        };
        let rows = [
            ("device", Some(&self.device)),
            ("fingerprint", Some(&self.fingerprint)),
            ("sha256", Some(&self.sha256)),
            ("key", Some(&self.key)),
            ("ssh key", self.ssh_key.as_ref()),
            ("request", Some(&request)),
            ("next", Some(&next)),
        ];
        rows.iter().filter_map(|(name, value)| Some(format!("{name:<14}{}\n", (*value)?))).collect()
    }
}

fn print(view: &View, output: Output) -> Result<()> {
    match output {
        Output::Json => cli::print(cli::json(view)?),
        Output::Yaml => cli::print(yaml::to_string(view)?),
        Output::Name => cli::print(format!("Device/{}\n", view.device)),
        Output::Table | Output::Wide => cli::print(view.text()),
    }
}
