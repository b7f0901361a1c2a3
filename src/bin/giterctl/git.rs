//! The publisher's `git`, as a program.
//!
//! Objects are read through one `git cat-file --batch`, a question and an answer at a time, so that neither pipe can
//! fill up while the other is waited for.

use std::{
    io::{BufRead, BufReader, ErrorKind, Read, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio},
};

use giter_edge::api::{Error, Reason, Result};

/// `git -C DIR`, in a fixed language. Variables that would lead it to another repository do not count, nor do objects
/// that were put in the place of others: devices know of none.
#[derive(Clone)]
pub(crate) struct Git {
    dir: PathBuf,
    /// The index, where it is not the repository's own.
    index: Option<PathBuf>,
    /// Whether objects count that a push has brought and git has not let in yet.
    sees_quarantine: bool,
}

impl Git {
    /// git at work in a folder.
    pub(crate) fn at(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), index: None, sees_quarantine: false }
    }

    /// git as a hook that judges a push runs it: it sees the objects in quarantine too.
    pub(crate) fn in_hook(dir: &Path) -> Self {
        Self { sees_quarantine: true, ..Self::at(dir) }
    }

    /// git in a repository, bare or not, or in a folder of its working tree.
    ///
    /// # Errors
    ///
    /// `RepositoryNotFound` with git's words; `GitNotFound`.
    pub(crate) fn open(dir: &Path) -> Result<Self> {
        let git = Self::at(dir);
        let found = git.output(&["rev-parse", "--git-dir"])?;
        if found.status.success() {
            return Ok(git);
        }
        let what = format!("there is no exchange to read at {}", dir.display());
        Err(Error::new(Reason::RepositoryNotFound, what)
            .hint("name the exchange's repository, a clone or the hub's bare one, with -C DIR")
            .caused_by(last_words(&found.stderr)))
    }

    /// The folder.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The same, with another index than the repository's own.
    pub(crate) fn with_index(&self, index: &Path) -> Self {
        Self { index: Some(index.to_owned()), ..self.clone() }
    }

    /// What git prints, without the newline at the end.
    ///
    /// # Errors
    ///
    /// `GitFailed` with git's last words; `GitNotFound`.
    pub(crate) fn run(&self, args: &[&str]) -> Result<String> {
        self.ask(args)?.map_err(|words| self.failed(args, words))
    }

    /// What git prints when it reads these bytes from its standard input.
    ///
    /// # Errors
    ///
    /// Those of [`Git::run`].
    pub(crate) fn feed(&self, args: &[&str], input: &[u8]) -> Result<String> {
        let mut command = self.command();
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(not_started)?;
        // A git that does not want all of it says why.
        let _ = child.stdin.take().map(|mut stdin| stdin.write_all(input));
        let output = child.wait_with_output().map_err(not_started)?;
        said(&output).map_err(|words| self.failed(args, words))
    }

    /// Hands on what git prints when it reads these few bytes, which it has to read before it prints.
    ///
    /// # Errors
    ///
    /// Those of [`Git::run`] and of `into`.
    pub(crate) fn stream(
        &self,
        args: &[&str],
        input: &[u8],
        into: impl FnOnce(&mut dyn Read) -> Result<()>,
    ) -> Result<()> {
        let mut command = self.command();
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(not_started)?;
        let _ = child.stdin.take().map(|mut stdin| stdin.write_all(input));
        // Dropped before git is waited for: it stops where nobody reads on.
        let handed = child.stdout.take().map_or(Ok(()), |mut stdout| into(&mut stdout));
        let output = child.wait_with_output().map_err(not_started)?;
        handed?;
        said(&output).map(drop).map_err(|words| self.failed(args, words))
    }

    /// Fetches, without what git does beside that for a person.
    ///
    /// # Errors
    ///
    /// Those of [`Git::run`].
    pub(crate) fn fetch(&self, args: &[&str]) -> Result<()> {
        self.run(&[&["fetch", "--quiet", "--no-tags", "--no-write-fetch-head"], args].concat()).map(drop)
    }

    /// Whether one commit leads to another, or is it. One that is not there leads nowhere.
    ///
    /// # Errors
    ///
    /// `GitNotFound`.
    pub(crate) fn leads(&self, from: &str, to: &str) -> Result<bool> {
        Ok(self.ask(&["merge-base", "--is-ancestor", from, to])?.is_ok())
    }

    /// What git prints, or its last words where it says no.
    ///
    /// # Errors
    ///
    /// `GitNotFound`.
    pub(crate) fn ask(&self, args: &[&str]) -> Result<Result<String, String>> {
        Ok(said(&self.output(args)?))
    }

    /// All that git says, whether it succeeds or not.
    ///
    /// # Errors
    ///
    /// `GitNotFound`.
    pub(crate) fn say(&self, args: &[&str]) -> Result<Said> {
        let output = self.output(args)?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(Said { is_good: output.status.success(), stdout: text(&output.stdout), stderr: text(&output.stderr) })
    }

    /// A process that answers for objects by name.
    ///
    /// # Errors
    ///
    /// `GitNotFound`.
    pub(crate) fn batch(&self) -> Result<Batch> {
        let mut command = self.command();
        command.args(["cat-file", "--batch"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(not_started)?;
        match (child.stdin.take(), child.stdout.take()) {
            (Some(questions), Some(answers)) => {
                Ok(Batch { child, questions: Some(questions), answers: BufReader::new(answers) })
            }
            _ => Err(Error::new(Reason::Bug, "git cat-file has no pipes")),
        }
    }

    fn output(&self, args: &[&str]) -> Result<Output> {
        self.command().args(args).stdin(Stdio::null()).output().map_err(not_started)
    }

    fn failed(&self, args: &[&str], words: String) -> Error {
        let verb = args.iter().find(|arg| !arg.starts_with('-') && !arg.contains('=')).unwrap_or(&"");
        Error::new(Reason::GitFailed, format!("git {verb} failed in {}", self.dir.display())).caused_by(words)
    }

    fn command(&self) -> Command {
        let mut command = Command::new("git");
        command.arg("-C").arg(&self.dir).env("LC_ALL", "C").env("GIT_NO_REPLACE_OBJECTS", "1");
        for elsewhere in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"] {
            command.env_remove(elsewhere);
        }
        command.envs(self.index.iter().map(|index| ("GIT_INDEX_FILE", index)));
        if !self.sees_quarantine {
            command.env_remove("GIT_OBJECT_DIRECTORY");
        }
        command
    }
}

/// What git said.
pub(crate) struct Said {
    /// Whether it succeeded.
    pub(crate) is_good: bool,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Said {
    /// Its last words.
    pub(crate) fn words(&self) -> String {
        last_words(self.stderr.as_bytes())
    }
}

/// What git answers for a name.
pub(crate) enum Answer {
    /// There is nothing of that name.
    Missing,
    /// It has more bytes than were asked for.
    TooLarge,
    /// An object's type, and its bytes.
    Object(String, Vec<u8>),
}

/// A running `git cat-file --batch`.
pub(crate) struct Batch {
    child: Child,
    questions: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Batch {
    /// The bytes of an object, by any name that git knows and that has no newline; `None` if there is none of that
    /// name, or it has more than `limit` bytes.
    ///
    /// # Errors
    ///
    /// `GitFailed` if git goes away.
    pub(crate) fn read(&mut self, name: &str, limit: usize) -> Result<Option<Vec<u8>>> {
        Ok(match self.ask(name, limit)? {
            Answer::Object(_, bytes) => Some(bytes),
            Answer::Missing | Answer::TooLarge => None,
        })
    }

    /// What there is of that name; of an object with more than `limit` bytes, only that.
    ///
    /// # Errors
    ///
    /// As [`Batch::read`].
    pub(crate) fn ask(&mut self, name: &str, limit: usize) -> Result<Answer> {
        self.exchange(name, limit)
            .map_err(|e| Error::new(Reason::GitFailed, format!("git cat-file does not answer for {name}")).caused_by(e))
    }

    /// The answer is `<object> <type> <size>`, a newline, the bytes, a newline; or a line without a size.
    fn exchange(&mut self, name: &str, limit: usize) -> std::io::Result<Answer> {
        let questions = self.questions.as_mut().ok_or(ErrorKind::BrokenPipe)?;
        writeln!(questions, "{name}")?;
        questions.flush()?;
        let mut header = String::new();
        if self.answers.read_line(&mut header)? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let object = match header.trim_end().split(' ').collect::<Vec<_>>()[..] {
            [id, kind, size] if id.len() >= 40 => size.parse::<usize>().ok().map(|size| (kind, size)),
            _ => None,
        };
        let Some((kind, size)) = object else { return Ok(Answer::Missing) };
        let mut bytes = Vec::new();
        let mut answer = (&mut self.answers).take(size as u64 + 1);
        if size > limit {
            std::io::copy(&mut answer, &mut std::io::sink())?;
            return Ok(Answer::TooLarge);
        }
        answer.read_to_end(&mut bytes)?;
        if bytes.len() != size + 1 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        bytes.truncate(size);
        Ok(Answer::Object(kind.to_owned(), bytes))
    }
}

impl Drop for Batch {
    /// git ends when nothing more can be asked.
    fn drop(&mut self) {
        self.questions = None;
        let _ = self.child.wait();
    }
}

/// What a program printed, or its last words where it failed.
fn said(output: &Output) -> Result<String, String> {
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).trim_end_matches('\n').to_owned()),
        false => Err(last_words(&output.stderr)),
    }
}

/// The last line that a program left on stderr, without git's own prefix. What git says of any remote that it cannot reach,
/// with its advice below, stands behind the reason that another program gave.
pub(crate) fn last_words(stderr: &[u8]) -> String {
    const UNREACHED: &str = "fatal: Could not read from remote repository.";
    let text = String::from_utf8_lossy(stderr);
    let reason = text.split(UNREACHED).next().filter(|reason| !reason.trim().is_empty()).unwrap_or(&text);
    let line = reason.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("it gave no reason");
    line.trim_start_matches("fatal: ").trim_start_matches("error: ").into()
}

fn not_started(e: std::io::Error) -> Error {
    Error::new(Reason::GitNotFound, "cannot start git").hint("install git and see that it is on PATH").caused_by(e)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_words_tell_the_reason() {
        let words = |text: &str| last_words(text.as_bytes());
        assert_eq!(words(""), "it gave no reason");
        assert_eq!(words("warning: a\nfatal: no such ref\n\n"), "no such ref");
        let advice = "fatal: Could not read from remote repository.\n\nPlease make sure\nand the repository exists.\n";
        assert_eq!(words(&format!("ssh: connect to host hub: refused\n{advice}")), "ssh: connect to host hub: refused");
        assert_eq!(words(advice), "and the repository exists.");
    }
}
