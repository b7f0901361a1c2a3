//! `giterctl get`: specs and statuses, joined, as kubectl shows them.

mod join;
mod select;
mod view;

use std::path::Path;

use giter_edge::{
    api::{DeviceId, Error, Exit, Reason, Result},
    cli::{self, Output},
    codec::yaml,
};

use self::{join::Row, select::Selector};
use crate::{
    git::Git,
    repository::{Exchange, Places},
};

/// Shows specs and statuses, joined
#[derive(clap::Args)]
#[command(
    after_help = "READY is what the device said last. CURRENT is whether it said so of the manifest as it stands now: \
    False means that the device has not taken up, or has refused, what the exchange asks. With -o name, lines are \
    KIND/NAME, and DEVICE KIND/NAME where more than one device is shown."
)]
pub(crate) struct Args {
    /// A kind (files, gpiolines, leds, devices), KIND/NAME, or a device
    #[arg(value_name = "KIND[/NAME]|DEVICE")]
    what: Option<Selector>,

    /// Only of this device
    #[arg(long, value_name = "ID")]
    device: Option<DeviceId>,

    /// The commit or branch whose specs are shown [default: HEAD, else the only branch]
    #[arg(long, value_name = "REV")]
    revision: Option<String>,

    /// The folder of the status refs
    #[arg(long, value_name = "REF", default_value = "refs/giter/status")]
    prefix: String,
}

/// Prints what was asked for.
pub(crate) fn run(args: Args, repo: &Path, output: Output) -> Result<Exit> {
    let git = Git::open(repo)?;
    let places = Places { revision: args.revision.as_deref(), prefix: args.prefix.trim_end_matches('/') };
    let exchange = Exchange::read(&git, &places)?;
    exchange.warnings.iter().for_each(|warning| cli::talk(format_args!("warning: {warning}")));
    if !exchange.has_statuses {
        hint_at_statuses(&git, places.prefix)?;
    }
    if let Some(device) = args.device.as_ref().filter(|device| !exchange.devices.contains_key(device)) {
        return Err(no_device(device));
    }
    let what = args.what.unwrap_or_default();
    let mut rows = join::rows(&exchange);
    rows.retain(|row| args.device.as_ref().is_none_or(|device| row.device == device) && what.takes(row));
    if rows.is_empty() {
        return nothing(&what, args.device.as_ref());
    }
    cli::print(match output {
        Output::Table => table(&rows),
        Output::Wide => wide(&rows),
        Output::Name => names(&rows),
        Output::Yaml => yaml::to_string(&view::of(&rows, &what))?,
        Output::Json => cli::json(&view::of(&rows, &what))?,
    })?;
    Ok(Exit::Done)
}

fn names(rows: &[Row<'_>]) -> String {
    let is_one = rows.iter().all(|row| row.device == rows[0].device);
    let device = |row: &Row<'_>| if is_one { String::new() } else { format!("{} ", row.device) };
    rows.iter().map(|row| format!("{}{}/{}\n", device(row), row.kind(), row.name())).collect()
}

fn table(rows: &[Row<'_>]) -> String {
    let cells = rows
        .iter()
        .map(|row| [row.device.to_string(), row.kind(), row.name(), row.ready(), row.current(), row.reason()]);
    cli::table(["DEVICE", "KIND", "NAME", "READY", "CURRENT", "REASON"], &cells.collect::<Vec<_>>())
}

fn wide(rows: &[Row<'_>]) -> String {
    let headers =
        ["DEVICE", "KIND", "NAME", "READY", "CURRENT", "REASON", "REVISION", "SEQUENCE", "OBSERVED", "MESSAGE"];
    let cells = rows.iter().map(|row| {
        [
            row.device.to_string(),
            row.kind(),
            row.name(),
            row.ready(),
            row.current(),
            row.reason(),
            row.revision(),
            row.sequence(),
            row.observed(),
            row.message(),
        ]
    });
    cli::table(headers, &cells.collect::<Vec<_>>())
}

/// A clone fetches branches and tags, and no other refs unless it is told to.
fn hint_at_statuses(git: &Git, prefix: &str) -> Result<()> {
    let remotes = git.run(&["remote"])?;
    if let Some(remote) = remotes.lines().find(|name| *name == "origin").or(remotes.lines().next()) {
        cli::talk(format_args!(
            "hint: no status is here; fetch them with: git fetch {remote} '+{prefix}/*:{prefix}/*'"
        ));
    }
    Ok(())
}

/// One thing that is not there is a "no"; nothing of a sort is an answer.
fn nothing(what: &Selector, device: Option<&DeviceId>) -> Result<Exit> {
    let of = device.map(|device| format!(" for {device}")).unwrap_or_default();
    match what {
        Selector::All | Selector::Kind(_) => {
            cli::talk(format_args!("no resources found{of}"));
            Ok(Exit::Done)
        }
        Selector::One(kind, name) => {
            Err(Error::new(Reason::ResourceNotFound, format!("there is no {kind}/{name}{of}"))
                .hint("see: giterctl get"))
        }
        Selector::Device(id) => Err(no_device(id)),
    }
}

fn no_device(id: &DeviceId) -> Error {
    Error::new(Reason::DeviceNotFound, format!("there is no device {id}")).hint("see: giterctl get devices")
}
