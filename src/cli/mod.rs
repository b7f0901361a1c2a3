//! What both programs say in the same way: errors on stderr, data on stdout, tables, exit codes.
//!
//! Data goes to stdout and talk to stderr. A reader that goes away (`giterctl get | head`) is a graceful end.

use std::{
    fmt,
    io::{self, ErrorKind, Write},
    process::ExitCode,
    str::FromStr,
};

use serde::Serialize;

use crate::api::{Error, Exit, Reason, Result};

/// The forms of output that `-o` names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Output {
    /// Columns for people.
    #[default]
    Table,
    /// More columns.
    Wide,
    /// YAML.
    Yaml,
    /// JSON, with stable keys.
    Json,
    /// `Kind/name`, one a line.
    Name,
}

impl FromStr for Output {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "table" => Self::Table,
            "wide" => Self::Wide,
            "yaml" => Self::Yaml,
            "json" => Self::Json,
            "name" => Self::Name,
            _ => return Err("an output is table, wide, yaml, json or name"),
        })
    }
}

/// The exit code as a process returns it.
pub fn exit_code(exit: Exit) -> ExitCode {
    ExitCode::from(exit as u8)
}

/// Says on stderr what failed, what to do, and the stable reason; returns the exit code that goes with it.
pub fn complain(error: &Error) -> ExitCode {
    let mut text = format!("error: {}\n", error.one_line());
    if let Some(hint) = error.get_hint() {
        text.push_str(&format!("hint: {hint}\n"));
    }
    text.push_str(&format!("reason: {}\n", error.reason()));
    // Nobody is left to hear of a failure to write to stderr.
    let _ = io::stderr().write_all(text.as_bytes());
    exit_code(error.reason().exit())
}

/// Writes data to stdout. A closed pipe is not an error.
///
/// # Errors
///
/// `DiskFull`, or `Stopped` if stdout cannot be written for another reason.
pub fn print(text: impl fmt::Display) -> Result<()> {
    let mut out = io::stdout().lock();
    printed(write!(out, "{text}").and_then(|()| out.flush()))
}

/// What became of writing to stdout, where a closed pipe is not an error.
///
/// # Errors
///
/// Those of [`print()`].
pub fn printed(done: io::Result<()>) -> Result<()> {
    match done {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        done => done.map_err(|error| Error::io(Reason::Stopped, "cannot write to stdout", error)),
    }
}

/// Writes data to stdout piece by piece, as far as somebody reads it: a closed pipe ends it, and is not an error.
///
/// # Errors
///
/// That of the first piece that is one, after the pieces before it; those of [`print()`].
pub fn stream(pieces: impl IntoIterator<Item = Result<String>>) -> Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let mut failed = None;
    let mut written = Ok(());
    for piece in pieces {
        match piece {
            Ok(piece) => written = out.write_all(piece.as_bytes()),
            Err(error) => failed = Some(error),
        }
        if failed.is_some() || written.is_err() {
            break;
        }
    }
    let written = printed(written.and_then(|()| out.flush()));
    failed.map_or(written, Err)
}

/// Writes talk to stderr, where a closed pipe is nobody's concern.
pub fn talk(text: impl fmt::Display) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// A value as JSON, indented, with a newline at the end.
///
/// # Errors
///
/// `Bug` if it cannot be written.
pub fn json(value: &impl Serialize) -> Result<String> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| Error::new(Reason::Bug, "cannot write JSON").caused_by(error))?;
    Ok(text + "\n")
}

/// Bare columns under capital headers, three spaces apart, as kubectl prints them.
pub fn table<const N: usize>(headers: [&str; N], rows: &[[String; N]]) -> String {
    let mut widths = headers.map(width);
    for row in rows {
        for (width_so_far, cell) in widths.iter_mut().zip(row) {
            *width_so_far = (*width_so_far).max(width(cell));
        }
    }
    let mut text = String::new();
    let mut line = |cells: [&str; N]| {
        let mut line = String::new();
        for (cell, wide) in cells.iter().zip(widths) {
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', wide - width(cell) + 3));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    };
    line(headers);
    rows.iter().for_each(|row| line(std::array::from_fn(|at| row[at].as_str())));
    text
}

/// So many of something, in words: `1 device`, `2 devices`.
pub fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// Columns that a text takes: its characters, which is exact for the names and ASCII that tables here hold.
fn width(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_bare_and_lines_do_not_trail() {
        let rows = [["File/motd".into(), "True".into(), String::new()], ["Led/ä".into(), "False".into(), "x".into()]];
        assert_eq!(
            table(["NAME", "READY", "REASON"], &rows),
            "NAME        READY   REASON\nFile/motd   True\nLed/ä       False   x\n"
        );
    }

    #[test]
    fn one_is_not_many() {
        let devices = [0, 1, 2].map(|count| counted(count, "device"));
        assert_eq!(devices, ["0 devices", "1 device", "2 devices"]);
    }

    #[test]
    fn outputs_have_names() {
        assert_eq!("wide".parse(), Ok(Output::Wide));
        assert!("tabel".parse::<Output>().is_err());
    }
}
