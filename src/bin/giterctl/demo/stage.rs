//! The stage: says what happens, runs it as a shell would, and checks that it is as told.
//!
//! What is shown after a `$` is what `sh` gets, word for word. The stage has a PATH on which this build's own programs
//! come first, and none of its user's settings: neither git's nor the agent's.

use std::{
    env,
    ffi::OsString,
    fmt::Display,
    io::{self, BufRead, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anstyle::{AnsiColor, Style};
use giter_edge::{
    api::{Error, Reason, Result},
    cli,
};

const TITLE: Style = Style::new().bold();
const COMMAND: Style = AnsiColor::Cyan.on_default();
const QUIET: Style = Style::new().dimmed();
const TRUE: Style = AnsiColor::Green.on_default().bold();
const FALSE: Style = AnsiColor::Red.on_default().bold();

/// A folder to play in, and where to write what is said.
pub(super) struct Stage<W> {
    dir: PathBuf,
    path: OsString,
    out: W,
    pause: bool,
    step: (usize, String),
    proven: usize,
}

/// What a command left.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) stdout: String,
    pub(super) stderr: String,
    code: Option<i32>,
}

impl<W: Write> Stage<W> {
    /// A stage in a folder, with the programs of another folder before all others.
    ///
    /// # Errors
    ///
    /// `Usage` if PATH cannot be extended by `programs`.
    pub(super) fn new(dir: &Path, programs: &Path, pause: bool, out: W) -> Result<Self> {
        let others = env::var_os("PATH").unwrap_or_default();
        let path = env::join_paths(std::iter::once(programs.to_owned()).chain(env::split_paths(&others)))
            .map_err(|e| Error::new(Reason::Usage, "cannot put this program's folder on PATH").caused_by(e))?;
        Ok(Self { dir: dir.into(), path, out, pause, step: (0, String::new()), proven: 0 })
    }

    /// The folder.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// How many claims were proven.
    pub(super) fn proven(&self) -> usize {
        self.proven
    }

    /// Begins the next step; waits for the return key before it, if that was asked for.
    pub(super) fn step(&mut self, title: &str) -> Result<()> {
        if self.pause && self.step.0 > 0 {
            self.write(format_args!("\n  {QUIET}(return){QUIET:#} "))?;
            let _ = io::stdin().lock().read_line(&mut String::new());
        }
        let number = self.step.0 + 1;
        self.step = (number, title.into());
        self.write(format_args!("\n{TITLE}{number}. {title}{TITLE:#}\n\n"))
    }

    /// Shows a command, runs it, shows what it says, and sees that it ends with the given exit code.
    ///
    /// # Errors
    ///
    /// `NotAsTold` if it ends with another.
    pub(super) fn run(&mut self, line: &str, code: i32) -> Result<Done> {
        self.write(format_args!("  $ {COMMAND}{line}{COMMAND:#}\n"))?;
        let done = self.ask(line)?;
        for said in done.stdout.lines().chain(done.stderr.lines()) {
            let indented = if said.is_empty() { String::new() } else { format!("    {said}") };
            self.write(format_args!("{QUIET}{indented}{QUIET:#}\n"))?;
        }
        if done.code == Some(code) {
            return Ok(done);
        }
        let ended = done.code.map_or("a signal".into(), |code| code.to_string());
        Err(self.not_as_told(format!("`{line}` ended with {ended}, not with {code}")))
    }

    /// Runs a command off stage.
    ///
    /// # Errors
    ///
    /// `NotAsTold` if there is no shell.
    pub(super) fn ask(&mut self, line: &str) -> Result<Done> {
        let mut command = Command::new("sh");
        command.args(["-c", line]).current_dir(&self.dir).stdin(Stdio::null());
        command.env_clear().env("PATH", &self.path).env("HOME", &self.dir).env("LC_ALL", "C");
        command.env("GIT_CONFIG_GLOBAL", self.dir.join("gitconfig")).env("GIT_CONFIG_NOSYSTEM", "1");
        command.env("GIT_DEFAULT_HASH", "sha1").env("GIT_DEFAULT_REF_FORMAT", "files");
        let output = command.output().map_err(|e| self.not_as_told("sh cannot be started".into()).caused_by(e))?;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok(Done { stdout: text(output.stdout), stderr: text(output.stderr), code: output.status.code() })
    }

    /// Shows whether something that was told is so.
    ///
    /// # Errors
    ///
    /// `NotAsTold` if it is not.
    pub(super) fn claim(&mut self, what: &str, is_so: bool) -> Result<()> {
        let (style, mark) = if is_so { (TRUE, "✓") } else { (FALSE, "✗") };
        self.write(format_args!("  {style}{mark}{style:#} {what}\n"))?;
        if !is_so {
            return Err(self.not_as_told(format!("it is not so that {what}")));
        }
        self.proven += 1;
        Ok(())
    }

    /// The error that says in which step something was not as told.
    pub(super) fn not_as_told(&self, what: String) -> Error {
        let (number, title) = &self.step;
        Error::new(Reason::NotAsTold, format!("step {number} ({title}): {what}"))
            .hint("look at everything with: giterctl demo --keep DIR")
    }

    /// Where nobody listens any more, the play goes on to its end: its exit code still tells.
    fn write(&mut self, text: impl Display) -> Result<()> {
        cli::printed(write!(self.out, "{text}").and_then(|()| self.out.flush()))
    }
}

impl Done {
    /// Whether the command succeeded.
    pub(super) fn is_good(&self) -> bool {
        self.code == Some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on_stage(play: impl FnOnce(&mut Stage<&mut Vec<u8>>) -> Result<()>) -> (String, Result<()>) {
        let dir = tempfile::tempdir().unwrap();
        let mut said = Vec::new();
        let mut stage = Stage::new(dir.path(), Path::new("/nonexistent"), false, &mut said).unwrap();
        let result = stage.step("A step").and_then(|()| play(&mut stage));
        (anstream::adapter::strip_str(&String::from_utf8(said).unwrap()).to_string(), result)
    }

    #[test]
    fn a_step_as_told_is_shown_and_counted() {
        let (said, result) = on_stage(|stage| {
            let done = stage.run("echo one; echo two >&2", 0)?;
            assert_eq!((&*done.stdout, &*done.stderr, done.is_good()), ("one\n", "two\n", true));
            stage.claim("one is one", true)?;
            assert_eq!(stage.proven(), 1);
            Ok(())
        });
        result.unwrap();
        assert_eq!(said, "\n1. A step\n\n  $ echo one; echo two >&2\n    one\n    two\n  ✓ one is one\n");
    }

    #[test]
    fn an_audience_that_leaves_does_not_end_the_play() {
        struct Failing(io::ErrorKind);
        impl Write for Failing {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(self.0.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let dir = tempfile::tempdir().unwrap();
        let step =
            |kind| Stage::new(dir.path(), Path::new("/nonexistent"), false, Failing(kind)).unwrap().step("A step");
        step(io::ErrorKind::BrokenPipe).unwrap();
        assert_eq!(step(io::ErrorKind::StorageFull).unwrap_err().reason(), Reason::DiskFull);
    }

    #[test]
    fn a_claim_that_is_not_so_fails_and_names_the_step() {
        let (said, result) = on_stage(|stage| stage.claim("one is two", false));
        let error = result.unwrap_err();
        assert_eq!(error.reason(), Reason::NotAsTold);
        assert_ne!(error.reason().exit() as u8, 0);
        assert_eq!(error.to_string(), "step 1 (A step): it is not so that one is two");
        assert!(said.ends_with("  ✗ one is two\n"), "{said}");
    }

    #[test]
    fn another_exit_code_than_told_fails() {
        for (line, code) in [("exit 3", 0), ("true", 1), ("kill -9 $$", 0), ("no-such-program", 0)] {
            let (_, result) = on_stage(|stage| stage.run(line, code).map(drop));
            assert_eq!(result.unwrap_err().reason(), Reason::NotAsTold, "{line}");
        }
    }

    #[test]
    fn settings_of_the_user_do_not_reach_the_stage() {
        let (_, result) = on_stage(|stage| {
            assert!(env::vars().any(|(name, _)| name.starts_with("CARGO")), "cargo sets some");
            let done = stage.ask("env")?;
            let known = ["PATH", "HOME", "LC_ALL", "PWD", "SHLVL", "OLDPWD", "_"];
            let names = done.stdout.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name);
            names.for_each(|name| assert!(known.contains(&name) || name.starts_with("GIT_"), "{name}"));
            Ok(())
        });
        result.unwrap();
    }
}
