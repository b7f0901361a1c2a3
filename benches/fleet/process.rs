//! What the kernel says of processes: memory, processor time, who started whom (proc(5)).

use std::{collections::BTreeMap, fs, time::Duration};

use rustix::process::{Pid, Signal, kill_process};

use crate::{
    Result,
    command::{program, run},
};

/// The most memory that a process ever had in use, in bytes.
pub(crate) fn peak_memory(pid: u32) -> Result<u64> {
    kilobytes(&format!("/proc/{pid}/status"), "VmHWM:")
}

/// The memory of a process and of all that it has started and that still run, in bytes; what several of them share is
/// counted once (`Pss`). One that ends meanwhile counts nothing.
pub(crate) fn memory_of_tree(pid: u32) -> Result<u64> {
    let share = |pid| kilobytes(&format!("/proc/{pid}/smaps_rollup"), "Pss:");
    Ok(tree(pid)?.into_iter().filter_map(|pid| share(pid).ok()).sum())
}

/// The processor time of a process.
pub(crate) fn cpu(pid: u32) -> Result<Duration> {
    let [user, system, ..] = times(pid)?;
    ticks(user + system)
}

/// The processor time of a process and of all that it has started, whether they still run or not.
pub(crate) fn cpu_of_tree(pid: u32) -> Result<Duration> {
    // The time of a process that has ended is its parent's, by the time that nobody finds it any more.
    ticks(tree(pid)?.into_iter().filter_map(|pid| times(pid).ok()).flatten().sum())
}

/// Tells a process and all that it has started to end.
pub(crate) fn end_tree(pid: u32) {
    for pid in tree(pid).unwrap_or_else(|_| vec![pid]) {
        end(pid);
    }
}

/// Tells a process to end. Whether it is still there is not asked.
pub(crate) fn end(pid: u32) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, Signal::TERM);
    }
}

/// Who runs this.
pub(crate) fn user() -> String {
    let name = run(program("id").arg("-un")).map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    name.unwrap_or_else(|_| "root".into())
}

/// A process and all that descend from it.
fn tree(pid: u32) -> Result<Vec<u32>> {
    let mut children = BTreeMap::<u32, Vec<u32>>::new();
    for entry in fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        if let Ok(fields) = fields(pid)
            && let Some(Ok(parent)) = fields.get(1).map(|parent| parent.parse())
        {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut found = vec![pid];
    let mut next = 0;
    while let Some(pid) = found.get(next) {
        found.extend(children.remove(pid).unwrap_or_default());
        next += 1;
    }
    Ok(found)
}

/// `utime`, `stime`, `cutime` and `cstime`.
fn times(pid: u32) -> Result<[u64; 4]> {
    let fields = fields(pid)?;
    let mut times = [0; 4];
    for (time, field) in times.iter_mut().zip(&fields[11..]) {
        *time = field.parse()?;
    }
    Ok(times)
}

/// What stands after the name, which may hold anything: the state, the parent and so on.
fn fields(pid: u32) -> Result<Vec<String>> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, rest) = stat.rsplit_once(") ").ok_or("a process has no name")?;
    Ok(rest.split_whitespace().map(str::to_owned).collect())
}

/// The bytes of a line `KEY N kB`.
fn kilobytes(path: &str, key: &str) -> Result<u64> {
    let text = fs::read_to_string(path)?;
    let line = text.lines().find_map(|line| line.strip_prefix(key)).ok_or_else(|| format!("{path} has no {key}"))?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
}

/// Clock ticks, of which there are a hundred in a second on Linux (`USER_HZ`).
fn ticks(ticks: u64) -> Result<Duration> {
    Ok(Duration::from_millis(ticks * 10))
}
