//! What a program takes besides the wire: processor time, memory, processes, and bytes that it writes.

use std::{fs, path::Path, process::Command, time::Duration};

use crate::{Result, command::run};

/// What a program and those that it started took.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Usage {
    /// Processor time, of the user and of the system.
    pub(crate) cpu: Duration,
    /// Bytes that the kernel was given to write to a disk, by the page, less those that were taken back.
    pub(crate) written: u64,
}

/// A shell that has one program run and says what it and all below it took (bash(1) `times`, proc_pid_io(5)).
const SHELL: &str = r#"out=$1; shift; "$@"; status=$?; { times; cat "/proc/$$/io"; } > "$out"; exit "$status""#;

/// Runs a program to its end. `scratch` is a folder that is not measured.
pub(crate) fn measure(command: &Command, scratch: &Path) -> Result<Usage> {
    let said = scratch.join("usage");
    let mut shell = Command::new("bash");
    shell.args(["-c", SHELL, "meter"]).arg(&said);
    run(&mut wrapped(shell, command))?;
    let text = fs::read_to_string(said)?;
    let children = text.lines().nth(1).ok_or("bash says no times")?;
    let cpu = children.split(' ').map(seconds).sum::<Option<f64>>().ok_or("bash says other times")?;
    Ok(Usage { cpu: Duration::from_secs_f64(cpu), written: written_of(&text)? })
}

/// The most memory of the largest process of a program that is run to its end, in bytes (time(1)).
pub(crate) fn memory(command: &Command, scratch: &Path) -> Result<u64> {
    let said = scratch.join("memory");
    let mut time = Command::new("time");
    time.args(["-f", "%M", "-o"]).arg(&said);
    run(&mut wrapped(time, command))?;
    let kilobytes: u64 = fs::read_to_string(said)?.trim().parse()?;
    Ok(kilobytes * 1024)
}

/// How many processes a program starts until its end, threads aside.
pub(crate) fn forks(command: &Command, scratch: &Path) -> Result<u64> {
    let said = scratch.join("forks");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-e", "trace=fork,vfork,clone,clone3", "-e", "signal=none", "-o"]).arg(&said);
    run(&mut wrapped(strace, command))?;
    let text = fs::read_to_string(said)?;
    let starts = |line: &&str| line.contains("clone") || line.contains("fork");
    let is_process = |line: &&str| starts(line) && !line.contains("resumed>") && !line.contains("CLONE_THREAD");
    Ok(text.lines().filter(is_process).count() as u64)
}

/// The bytes that a running process has written so far, as [`Usage::written`].
pub(crate) fn written_by(pid: u32) -> Result<u64> {
    written_of(&fs::read_to_string(format!("/proc/{pid}/io"))?)
}

/// The most memory that a running process had, in bytes.
pub(crate) fn memory_of(pid: u32) -> Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
    Ok(number(&text, "VmHWM:")? * 1024)
}

/// The bytes that a disk of ext4 was given to write since it was mounted, its journal and its own tables included.
pub(crate) fn written_to(device: &str, at: &Path) -> Result<u64> {
    run(Command::new("sync").arg("-f").arg(at))?;
    let text = fs::read_to_string(format!("/sys/fs/ext4/{device}/session_write_kbytes"))?;
    Ok(text.trim().parse::<u64>()? * 1024)
}

/// The bytes of a folder in blocks of the disk, and how many files there are.
pub(crate) fn size_of(folder: &Path) -> Result<(u64, u64)> {
    let blocks = String::from_utf8(run(Command::new("du").args(["-s", "-B1"]).arg(folder))?.stdout)?;
    let files = String::from_utf8(run(Command::new("find").arg(folder).args(["-type", "f"]))?.stdout)?;
    let bytes = blocks.split_whitespace().next().ok_or("du says nothing")?.parse()?;
    Ok((bytes, files.lines().count() as u64))
}

/// A command as the last words of another, in its environment and folder.
fn wrapped(mut outer: Command, command: &Command) -> Command {
    outer.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => outer.env(name, value),
            None => outer.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        outer.current_dir(folder);
    }
    outer
}

fn written_of(text: &str) -> Result<u64> {
    let cancelled = number(text, "cancelled_write_bytes:")?;
    Ok(number(text, "write_bytes:")?.saturating_sub(cancelled))
}

/// The number of a line that begins with this name.
fn number(text: &str, name: &str) -> Result<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name));
    let word = rest.and_then(|rest| rest.split_whitespace().next());
    Ok(word.ok_or_else(|| format!("the kernel says no {name}"))?.parse()?)
}

/// The seconds of a time as bash writes it: `1m2.345s`.
fn seconds(text: &str) -> Option<f64> {
    let (minutes, seconds) = text.trim_end_matches('s').split_once('m')?;
    Some(minutes.parse::<f64>().ok()? * 60.0 + seconds.parse::<f64>().ok()?)
}
