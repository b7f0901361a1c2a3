//! `giterd`, the agent: polls the exchange, proves who wrote it, holds the board to it, and reports.
//!
//! `args` says what was typed, `device` puts the real adapters together, `run` and `verbs` drive them, `show` prints,
//! `keys` and `enroll` make the device's keys and ask for their approval, `journal` says what is worth the daemon's log. `sticks` notices sticks, `plugged`
//! says what is done with one from its plugging to its pulling, `stick` visits it. `relay` carries for others by the hub.

mod args;
mod check;
mod device;
mod enroll;
mod journal;
mod keys;
mod logger;
mod plugged;
mod relay;
mod run;
mod show;
mod stick;
mod sticks;
mod verbs;
mod worker;
mod world;

use std::process::ExitCode;

use args::{Args, Command};
use giter_edge::{api::Result, cli};

fn main() -> ExitCode {
    let done = args::parse(lexopt::Parser::from_env()).and_then(|args| {
        logger::start(args.log, std::env::var("GITERD_LOG").ok().as_deref())?;
        obey(&args)
    });
    if let Some(peak) = world::peak_memory() {
        log::debug!("peak memory: {peak} kB");
    }
    done.unwrap_or_else(|error| cli::complain(&error))
}

fn obey(args: &Args) -> Result<ExitCode> {
    match args.command {
        Command::Help => cli::print(args::HELP).map(|()| ExitCode::SUCCESS),
        Command::Version => cli::print(concat!("giterd ", env!("CARGO_PKG_VERSION"), "\n")).map(|()| ExitCode::SUCCESS),
        Command::Run => run::run(&args.config).map(|()| ExitCode::SUCCESS),
        Command::Sync => verbs::sync(args),
        Command::Plan => verbs::plan(args),
        Command::Status => verbs::status(args),
        Command::Check => check::check(args),
        Command::Enroll => enroll::enroll(args),
    }
}
