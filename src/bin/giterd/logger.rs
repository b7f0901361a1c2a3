//! The log: lines on stderr, for a terminal or for journald, which adds time and unit itself.

use std::io::{self, Write};

use log::{Level, LevelFilter, Log, Metadata, Record};

/// Starts logging at the command line's level, else the environment's, else `info`.
pub fn start(asked: Option<LevelFilter>, environment: Option<&str>) {
    let level = asked.or_else(|| environment?.parse().ok()).unwrap_or(LevelFilter::Info);
    // A second start would be refused; there is none.
    let _ = log::set_logger(&Stderr);
    log::set_max_level(level);
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
