//! Runs `giterd` under strace(1), and reads what it wrote down.

use std::{collections::BTreeMap, ffi::OsString, fs, os::unix::ffi::OsStringExt, path::PathBuf};

use super::common::device::{Device, Run};

/// Every call by which a file can change, or by which the place of the next change moves. Those that a kernel lacks are
/// left out (`?`).
const WATCHED: &str = "trace=?open,?openat,?openat2,?creat,?read,?readv,?write,?writev,?pwrite64,?pwritev,?pwritev2,\
    ?lseek,?truncate,?ftruncate,?fallocate,?rename,?renameat,?renameat2,?unlink,?unlinkat,?rmdir,?mkdir,?mkdirat,\
    ?link,?linkat,?symlink,?symlinkat,?mknod,?mknodat,?chmod,?fchmod,?fchmodat,?fchmodat2,?chown,?lchown,?fchown,\
    ?fchownat,?fsync,?fdatasync,?sync,?syncfs,?sync_file_range,?dup,?dup2,?dup3,?fcntl,?mmap,?copy_file_range,\
    ?sendfile,?splice,?io_uring_setup";

/// A system call that succeeded.
#[derive(Debug)]
pub(crate) struct Call {
    /// Its name.
    pub(crate) name: String,
    /// Which of the calls of this name it was, those that failed included, from 1.
    pub(crate) ordinal: usize,
    /// What it was given.
    pub(crate) arguments: Vec<Argument>,
    /// What it returned.
    pub(crate) result: u64,
}

/// One argument, as strace writes it.
#[derive(Debug)]
pub(crate) struct Argument(String);

impl Argument {
    /// The folder that a call without a folder's descriptor begins at; paths are absolute there.
    pub(crate) fn cwd() -> Self {
        Self("AT_FDCWD".to_owned())
    }

    /// Flags or a number, as they stand.
    pub(crate) fn text(&self) -> &str {
        &self.0
    }

    /// Whether this flag is among them.
    pub(crate) fn has(&self, flag: &str) -> bool {
        self.0.split('|').any(|one| one == flag)
    }

    /// A number.
    pub(crate) fn number(&self) -> u64 {
        self.0.parse().unwrap_or_else(|_| panic!("{} is no number", self.0))
    }

    /// A number in octal.
    pub(crate) fn octal(&self) -> u32 {
        u32::from_str_radix(&self.0, 8).unwrap_or_else(|_| panic!("{} is not octal", self.0))
    }

    /// The bytes of a string, or of the strings of a vector.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        assert!(!self.0.contains("\"..."), "strace has cut a string short");
        self.0.split('"').skip(1).step_by(2).flat_map(unescaped).collect()
    }

    /// A path.
    pub(crate) fn path(&self) -> PathBuf {
        OsString::from_vec(self.bytes()).into()
    }

    /// A file descriptor, and the path of what it stands for.
    pub(crate) fn descriptor(&self) -> Option<(&str, PathBuf)> {
        let (number, path) = self.0.strip_suffix('>')?.split_once('<')?;
        Some((number, OsString::from_vec(unescaped(path)).into()))
    }
}

/// Runs `giterd` and keeps the calls that it made.
pub(crate) fn record(device: &Device, arguments: &[&str]) -> (Run, Vec<Call>) {
    let log = device.name("strace.log");
    let whole = ["-v", "-xx", "-s", "16777216"];
    let run = traced(device, &log.display().to_string(), &[&whole[..], &["-e", WATCHED]].concat(), arguments);
    let text = fs::read_to_string(&log).unwrap();
    fs::remove_file(&log).unwrap();
    (run, calls(&text))
}

/// Runs `giterd` while the call of that name and number fails.
pub(crate) fn failing(device: &Device, call: &str, ordinal: usize, error: &str, arguments: &[&str]) -> Run {
    let log = device.name("strace.log");
    let inject = format!("inject={call}:error={error}:when={ordinal}");
    let trace = format!("trace={call}");
    let run = traced(device, &log.display().to_string(), &["-e", &trace, "-e", &inject], arguments);
    let text = fs::read_to_string(&log).unwrap();
    fs::remove_file(&log).unwrap();
    assert_eq!(text.matches("(INJECTED)").count(), 1, "{inject} did not come to pass: {text}");
    run
}

fn traced(device: &Device, log: &str, options: &[&str], arguments: &[&str]) -> Run {
    let common = ["-f", "-y", "-e", "signal=none", "-o", log];
    device.run_by("strace", &[&common[..], options].concat(), arguments)
}

/// Reads strace's log. The program has one thread: no call is interrupted by another's.
fn calls(log: &str) -> Vec<Call> {
    let mut counts = BTreeMap::<String, usize>::new();
    let mut process = None;
    let mut calls = Vec::new();
    for line in log.lines() {
        let (id, line) = line.split_once(' ').unwrap();
        assert_eq!(*process.get_or_insert(id), id, "more than one process or thread is at work");
        let Some((name, rest)) = line.trim_start().split_once('(').filter(|(name, _)| !name.contains(' ')) else {
            continue;
        };
        let ordinal = counts.entry(name.to_owned()).or_default();
        *ordinal += 1;
        let (arguments, rest) = split(rest);
        let result = rest.trim_start().trim_start_matches("= ");
        let number = result.split([' ', '<']).next().unwrap_or_default();
        let value = match number.strip_prefix("0x") {
            Some(hex) => u64::from_str_radix(hex, 16).ok(),
            None => number.parse().ok(),
        };
        if let Some(result) = value {
            calls.push(Call { name: name.to_owned(), ordinal: *ordinal, arguments, result });
        }
    }
    calls
}

/// The arguments of a call, and what stands after its closing bracket. Strings are in hexadecimal, so that every bracket
/// and comma is strace's own.
fn split(text: &str) -> (Vec<Argument>, &str) {
    let (mut depth, mut start, mut arguments) = (0, 0, Vec::new());
    for (at, character) in text.char_indices() {
        match character {
            '(' | '[' | '{' => depth += 1,
            ')' if depth == 0 => {
                arguments.push(Argument(text[start..at].trim().to_owned()));
                return (arguments, &text[at + 1..]);
            }
            ')' | ']' | '}' => depth -= 1,
            ',' if depth == 0 => {
                arguments.push(Argument(text[start..at].trim().to_owned()));
                start = at + 1;
            }
            _ => {}
        }
    }
    panic!("a call that has no end: {text}");
}

/// The bytes that `\x2f\x74` stands for.
fn unescaped(text: &str) -> Vec<u8> {
    let byte = |hex: &str| u8::from_str_radix(&hex[..2], 16).unwrap_or_else(|_| panic!("{text} is not hexadecimal"));
    text.split("\\x").skip(1).map(byte).collect()
}
