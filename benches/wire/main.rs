//! What a device costs its link, its disk and its memory, beside stock git: `cargo bench --bench wire`.
//!
//! ```text
//! namespace of the device                    namespace of the hub
//!   giterd | git and ssh  <--- wire.rs --->    sshd, one process for each connection -> git | giterctl serve
//!   a disk of ext4 of its own                  a bare repository of 10,000 devices, in memory
//! ```
//!
//! Git and giterd meet the same sshd, the same repository and the same line in the same run. Bytes are those of IP packets,
//! headers included, in both directions. Round trips are how much longer something takes on a long line than on none, in
//! times of the line's round trip, until the program is done. Times are compared within a run and are no limits by themselves. The programs are those of the
//! bench profile, which is the release profile. The run fails if a limit is passed, and if anything could not be
//! measured; words after `--` choose among the parts (`cargo bench --bench wire -- held change`).
//!
//! It needs root, for namespaces; they have no names, so that nothing of it is left, whatever ends it.

#![allow(clippy::print_stdout, clippy::print_stderr)]

#[path = "../common/command.rs"]
mod command;
#[path = "../../tests/common/daemon.rs"]
mod daemon;
mod device;
#[path = "../../tests/common/dropbear.rs"]
mod dropbear;
mod exchange;
#[path = "../common/figures.rs"]
mod figures;
mod git;
mod line;
mod meter;
mod namespaces;
#[path = "../common/publisher.rs"]
mod publisher;
mod rows;
#[allow(dead_code, reason = "the tests need more of it")]
#[path = "../../tests/common/sshd.rs"]
mod sshd;
mod table;
mod wire;
mod world;

use std::{error::Error, process::ExitCode};

use rows::PARTS;
use table::Table;
use world::World;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// How many changes and reports the state folder is put through.
const CYCLES: usize = 200;

/// What was asked for.
struct Options {
    /// The parts to measure; none for all.
    parts: Vec<String>,
    cycles: usize,
    server: sshd::Server,
}

fn main() -> ExitCode {
    let (is_inside, words) = namespaces::arguments();
    let done = Options::parse(&words)
        .and_then(|options| if is_inside { measure(&options) } else { namespaces::enter(&words) });
    done.unwrap_or_else(|error| {
        eprintln!("not measured: {error}");
        ExitCode::FAILURE
    })
}

fn measure(options: &Options) -> Result<ExitCode> {
    let mut table = Table::new();
    let world = World::make(options.server)?;
    for (name, part) in PARTS {
        if (options.parts.is_empty() || options.parts.iter().any(|wanted| wanted == name))
            && let Err(error) = part(&world, &mut table, options)
        {
            table.not_measured(name, &*error);
        }
    }
    if table.is_within() {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("a limit is passed, or something was not measured");
    Ok(ExitCode::FAILURE)
}

impl Options {
    fn parse(words: &[String]) -> Result<Self> {
        let mut options = Self { parts: vec![], cycles: CYCLES, server: sshd::Server::OpenSsh };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                // Cargo says it to every bench.
                "--bench" => {}
                "--dropbear" => options.server = sshd::Server::Dropbear,
                "--cycles" => options.cycles = words.next().ok_or("--cycles needs a number")?.parse()?,
                name if PARTS.iter().any(|(part, _)| *part == name) => options.parts.push(name.to_owned()),
                other => {
                    let parts: Vec<_> = PARTS.iter().map(|(name, _)| *name).collect();
                    return Err(format!("{other} is none of: {} --cycles N --dropbear", parts.join(" ")).into());
                }
            }
        }
        Ok(options)
    }
}
