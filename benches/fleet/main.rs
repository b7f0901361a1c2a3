//! A fleet at one hub, really: `cargo bench --bench fleet -- --devices 200`.
//!
//! Every device is a `giterd run` of its own on the sim board, with its own keys and ref and the SSH client inside; the
//! hub is a bare repository with giterctl's hook behind an sshd that listens. The fleet is started at one moment: by hand, at
//! a server with stock settings, and with the power of its boards, at one with those that docs/SCALE.md asks for, by
//! `giterctl serve`. It gets a change for all and one for a single device, and loses the server in between. Connections are
//! held, and at the end none is. The interval makes it five polls in a second, for any number of devices.
//!
//! Waited for is what happens, at the hub's refs and in the agents' logs. The run fails if a status does not arrive, if
//! `giterctl verify` does not prove the record of every device, if an agent complains of anything but the hub, if anyone
//! pushes who had nothing to say, if somebody logs in who holds a connection, or if a wait is not what the schedule promises.

#![allow(clippy::print_stdout, clippy::print_stderr)]

mod agent;
#[path = "../common/command.rs"]
mod command;
mod exchange;
mod fleet;
mod hub;
mod journal;
mod process;
mod stage;
mod table;
mod waits;

use std::{error::Error, process::ExitCode, time::Duration};

use fleet::Fleet;
use lexopt::ValueExt;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// After how long something that did not happen is taken for something that will not.
const PATIENCE: Duration = Duration::from_secs(900);
/// Devices, where nothing else is said.
const DEVICES: usize = 200;
/// Polls in a second, of the whole fleet.
const RATE: usize = 5;
fn main() -> ExitCode {
    match devices().and_then(measure) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("not as it must be: {error}");
            ExitCode::FAILURE
        }
    }
}

/// `--devices N`; cargo adds `--bench`.
fn devices() -> Result<usize> {
    let mut arguments = lexopt::Parser::from_env();
    let mut devices = DEVICES;
    while let Some(argument) = arguments.next()? {
        match argument {
            lexopt::Arg::Long("devices") => devices = arguments.value()?.parse()?,
            lexopt::Arg::Long("bench") => {}
            other => return Err(other.unexpected().into()),
        }
    }
    if devices == 0 { Err("there has to be a device".into()) } else { Ok(devices) }
}

fn measure(devices: usize) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let interval = Duration::from_secs(devices.div_ceil(RATE).max(2) as u64);
    println!("{devices} devices, each polling every {} s\n", interval.as_secs());
    Fleet::create(folder.path(), devices, interval)?.play()
}
