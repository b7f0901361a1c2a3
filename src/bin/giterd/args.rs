//! What was typed, and what it means.

use std::path::PathBuf;

use giter_edge::{
    api::{Error, Reason, Result},
    cli::Output,
    codec::config,
};
use lexopt::{Arg, Parser, ValueExt};

/// What `giterd --help` prints.
pub const HELP: &str = "\
giterd: reconciles this board with its specs in a git repository, and writes a signed status back

Usage: giterd [OPTIONS] COMMAND

Commands:
  run      poll the exchange, correct drift and report, until stopped (SIGTERM); SIGHUP polls at once
  sync     one poll: fetch, verify, apply, report
  plan     what a sync would change on the board, from what was accepted last; changes nothing
  status   what the device knows of itself, without the network
  check    look for problems before they bite: configuration, keys, state, board, hub
  enroll   make the device's keys where they are missing, and ask a publisher to approve them

Options (before or after the command):
  -c, --config FILE   the configuration [default: /etc/giter/giterd.toml]; each key also as GITERD_SECTION_KEY
  -o, --output FORM   table, wide, yaml, json or name [default: table]
      --stick DIR     sync: meet the stick that is mounted there, instead of the hub
                      enroll: write the request to it, instead of asking the hub
      --bundle FILE   sync: take what this one bundle brings; what there is to say waits for a stick or the hub
      --force         enroll: replace another request that stands under this device's name
  -v, --verbose       say more on stderr; twice: everything (GITERD_LOG=error|warn|info|debug|trace does the same)
  -q, --quiet         say only errors on stderr
  -h, --help          print this
  -V, --version       print the version

Exit codes: 0 done; 1 answered no (drift, not ready, input refused); 2 the caller can fix it; 3 the world can fix it;
4 a bug. A refusal prints 'reason: CamelCaseReason' on stderr.
";

/// The commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// `run`.
    Run,
    /// `sync`.
    Sync,
    /// `plan`.
    Plan,
    /// `status`.
    Status,
    /// `check`.
    Check,
    /// `enroll`.
    Enroll,
    /// `--help`.
    Help,
    /// `--version`.
    Version,
}

/// A command with its options.
#[derive(Debug, PartialEq, Eq)]
pub struct Args {
    /// What to do.
    pub command: Command,
    /// The configuration file.
    pub config: PathBuf,
    /// The form of what is printed.
    pub output: Output,
    /// How much is logged; `None` where the command line does not say.
    pub log: Option<log::LevelFilter>,
    /// `sync`, `enroll`: where a stick is mounted.
    pub stick: Option<PathBuf>,
    /// `sync`: a bundle.
    pub bundle: Option<PathBuf>,
    /// `enroll`: whether another request is replaced.
    pub force: bool,
}

/// Reads the command line.
///
/// # Errors
///
/// `Usage`.
pub fn parse(mut parser: Parser) -> Result<Args> {
    let mut command = None;
    let mut config = PathBuf::from(config::DEFAULT_PATH);
    let mut output = Output::default();
    let mut log = None;
    let (mut stick, mut bundle, mut force) = (None, None, false);
    while let Some(arg) = parser.next().map_err(usage)? {
        match arg {
            Arg::Short('c') | Arg::Long("config") => config = parser.value().map_err(usage)?.into(),
            Arg::Short('o') | Arg::Long("output") => {
                output = parser.value().and_then(|value| value.parse()).map_err(usage)?;
            }
            Arg::Short('v') | Arg::Long("verbose") => {
                log = Some(match log {
                    Some(log::LevelFilter::Debug) => log::LevelFilter::Trace,
                    _ => log::LevelFilter::Debug,
                });
            }
            Arg::Short('q') | Arg::Long("quiet") => log = Some(log::LevelFilter::Error),
            Arg::Long("stick") => stick = Some(PathBuf::from(parser.value().map_err(usage)?)),
            Arg::Long("bundle") => bundle = Some(PathBuf::from(parser.value().map_err(usage)?)),
            Arg::Long("force") => force = true,
            Arg::Short('h') | Arg::Long("help") => command = Some(Command::Help),
            Arg::Short('V') | Arg::Long("version") => command = Some(Command::Version),
            Arg::Value(word) if command.is_none() => command = Some(verb(&word.string().map_err(usage)?)?),
            Arg::Value(_) if matches!(command, Some(Command::Help | Command::Version)) => {}
            other => return Err(usage(other.unexpected())),
        }
    }
    let command = command.ok_or_else(|| usage("no command was given"))?;
    if command != Command::Enroll && force {
        return Err(usage("--force is of 'enroll'"));
    }
    if !matches!(command, Command::Enroll | Command::Sync) && stick.is_some() {
        return Err(usage("--stick is of 'sync' and 'enroll'"));
    }
    if command != Command::Sync && bundle.is_some() {
        return Err(usage("--bundle is of 'sync'"));
    }
    if stick.is_some() && bundle.is_some() {
        return Err(usage("--stick and --bundle are two ways: name one"));
    }
    if stick.is_some() && force {
        return Err(usage("--force is for the hub: a stick's request is replaced anyway"));
    }
    Ok(Args { command, config, output, log, stick, bundle, force })
}

fn verb(word: &str) -> Result<Command> {
    Ok(match word {
        "run" => Command::Run,
        "sync" => Command::Sync,
        "plan" => Command::Plan,
        "status" => Command::Status,
        "check" => Command::Check,
        "enroll" => Command::Enroll,
        "help" => Command::Help,
        _ => return Err(usage(format!("no such command: '{word}'"))),
    })
}

fn usage(why: impl ToString) -> Error {
    Error::new(Reason::Usage, why.to_string()).hint("'giterd --help' lists the commands and options")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(words: &[&str]) -> Result<Args> {
        parse(Parser::from_args(words))
    }

    #[test]
    fn options_stand_before_or_after_the_command() {
        let before = args(&["--config", "x.toml", "-o", "json", "sync"]).unwrap();
        let after = args(&["sync", "-ojson", "--config=x.toml"]).unwrap();
        assert_eq!(before, after);
        assert_eq!((before.command, before.output), (Command::Sync, Output::Json));
    }

    #[test]
    fn what_is_not_understood_is_a_usage_error() {
        for words in [&[][..], &["snyc"], &["sync", "--nope"], &["sync", "extra"], &["sync", "-o", "xml"], &["-c"]]
            .into_iter()
            .chain([&["sync", "--force"][..], &["run", "--stick", "x"], &["enroll", "--stick", "x", "--force"]])
            .chain([&["enroll", "--bundle", "x"][..], &["sync", "--bundle", "x", "--stick", "y"]])
        {
            assert_eq!(args(words).unwrap_err().reason(), Reason::Usage, "{words:?}");
        }
    }
}
