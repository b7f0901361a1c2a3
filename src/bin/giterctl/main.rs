//! `giterctl`: the publisher's side of an exchange.
//!
//! One file or folder per verb. It uses the publisher's own `git` and `ssh-keygen`, with their settings and keys, and
//! judges manifests with the validator that the device has. Data goes to stdout and talk to stderr.

mod approve;
mod authorized_keys;
mod chain;
mod charter;
mod commit;
mod decode;
mod demo;
mod devices;
mod export;
mod get;
mod git;
mod history;
mod hook;
mod import;
mod init;
mod keys;
mod layout;
mod lint;
mod objects;
mod repository;
mod reset;
mod resets;
mod roots;
mod serve;
mod sign;
mod statuses;
mod statusfile;
mod trust;
mod verify;
mod watch;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use giter_edge::{
    api::{Exit, Reason, Result},
    cli::{self, Output},
};

/// The publisher's side of an exchange: specs and statuses in a git repository
#[derive(Parser)]
#[command(name = "giterctl", version, max_term_width = 100, arg_required_else_help = true)]
#[command(
    after_help = "Exit codes: 0 done; 1 answered no (findings, not there); 2 the caller can fix it; 3 the world can \
    fix it; 4 a bug. A refusal prints 'reason: CamelCaseReason' on stderr."
)]
struct Cli {
    /// The repository, or the working tree that is linted
    #[arg(short = 'C', long, global = true, display_order = 90, value_name = "DIR", default_value = ".")]
    repo: PathBuf,

    /// table, wide, yaml, json or name
    #[arg(short, long, global = true, display_order = 91, value_name = "FORMAT", default_value = "table")]
    output: Output,

    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Init(init::Args),
    Get(get::Args),
    Lint(lint::Args),
    Approve(approve::Args),
    Verify(verify::Args),
    History(history::Args),
    Reset(reset::Args),
    Hook(hook::Args),
    Serve(serve::Args),
    Watch(watch::Args),
    AuthorizedKeys(authorized_keys::Args),
    Decode(decode::Args),
    Trust(trust::Args),
    Export(export::Args),
    Import(import::Args),
    Demo(demo::Args),
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    match run(cli) {
        Ok(exit) => cli::exit_code(exit),
        Err(error) => cli::complain(&error),
    }
}

fn run(Cli { repo, output, verb }: Cli) -> Result<Exit> {
    match verb {
        Verb::Init(args) => init::run(args),
        Verb::Get(args) => get::run(args, &repo, output),
        Verb::Approve(args) => approve::run(args, &repo, output),
        Verb::Lint(args) => lint::run(args, repo, output),
        Verb::Verify(args) => verify::run(args, &repo, output),
        Verb::History(args) => history::run(args, &repo, output),
        Verb::Reset(args) => reset::run(args, &repo),
        Verb::Hook(args) => hook::run(args, &repo),
        Verb::Serve(args) => serve::run(args),
        Verb::Watch(args) => watch::run(args),
        Verb::AuthorizedKeys(args) => authorized_keys::run(args),
        Verb::Decode(args) => decode::run(args, output),
        Verb::Trust(args) => trust::run(args, &repo, output),
        Verb::Export(args) => export::run(args, &repo, output),
        Verb::Import(args) => import::run(args, &repo, output),
        Verb::Demo(args) => demo::run(args),
    }
}

/// Help and version are answers; anything else that clap stops at is a mistake in the call.
fn usage(error: &clap::Error) -> ExitCode {
    // Nobody is left to hear of a failure to write.
    let _ = error.print();
    if !error.use_stderr() {
        return cli::exit_code(Exit::Done);
    }
    cli::talk(format_args!("reason: {}", Reason::Usage));
    cli::exit_code(Reason::Usage.exit())
}
