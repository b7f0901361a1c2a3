//! The log: lines on stderr, for a terminal or for journald, which adds time and unit itself.

use std::io::{self, Write};

use giter_edge::api::{Error, Reason, Result};
use log::{Level, LevelFilter, Log, Metadata, Record};

/// Starts logging at the command line's level, else the environment's, else `info`.
///
/// # Errors
///
/// `BadConfig` if the environment's is none.
pub fn start(asked: Option<LevelFilter>, environment: Option<&str>) -> Result<()> {
    let level = environment.map_or(Ok(LevelFilter::Info), |level| {
        level.parse().map_err(|_| {
            Error::new(Reason::BadConfig, format!("GITERD_LOG: there is no level '{}'", level.escape_debug()))
                .hint("set it to error, warn, info, debug or trace")
        })
    })?;
    // A second start would be refused; there is none.
    let _ = log::set_logger(&Stderr);
    log::set_max_level(asked.unwrap_or(level));
    Ok(())
}

struct Stderr;

impl Log for Stderr {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("giter") && metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let mark = match record.level() {
            Level::Error => "error: ",
            Level::Warn => "warning: ",
            Level::Info => "",
            Level::Debug => "debug: ",
            Level::Trace => "trace: ",
        };
        let _ = writeln!(io::stderr().lock(), "{mark}{}", record.args());
    }

    fn flush(&self) {}
}
