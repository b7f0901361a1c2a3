//! A program as it runs: how long it takes, and the most memory that it and those it starts have (proc(5)).

use std::{
    collections::BTreeMap,
    fs,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::Result;

/// What a run took.
pub(crate) struct Run {
    pub(crate) time: Duration,
    /// The most that the program itself ever had resident, in bytes.
    pub(crate) own: u64,
    /// The same of every program that it started, added up.
    pub(crate) others: u64,
}

/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// Runs a program to its end, which has to be a good one.
pub(crate) fn watch(command: &mut Command) -> Result<Run> {
    let begin = Instant::now();
    let mut child = command.stdout(Stdio::null()).spawn()?;
    let (mut own, mut others) = (0, BTreeMap::new());
    let status = loop {
        own = peak(child.id()).unwrap_or_default().max(own);
        let started = fs::read_to_string(format!("/proc/{0}/task/{0}/children", child.id())).unwrap_or_default();
        for pid in started.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()) {
            others.extend(peak(pid).map(|bytes| (pid, bytes)));
        }
        match child.try_wait()? {
            Some(status) => break status,
            None => thread::sleep(LOOK),
        }
    };
    if !status.success() {
        return Err(format!("{:?}: {status}", command.get_program()).into());
    }
    Ok(Run { time: begin.elapsed(), own, others: others.into_values().max().unwrap_or_default() })
}

/// The most memory that a process ever had resident, in bytes; `None` once it has ended.
fn peak(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kilobytes| kilobytes << 10)
}
