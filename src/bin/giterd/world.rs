//! The world outside: the wall clock, the kernel's uptime and boot id, the process's memory, random bits.
//!
//! Nothing below the programs reads these; they are handed to it as values.

use std::{fs, time::SystemTime};

use giter_edge::reconcile::tick::Moment;

/// Now.
pub fn now() -> Moment {
    Moment { time: unix_time(), uptime: uptime().unwrap_or(0), boot_id: boot_id().unwrap_or([0; 16]) }
}

fn unix_time() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.ok().and_then(|since| i64::try_from(since.as_secs()).ok()).unwrap_or(0)
}

/// `/proc/uptime`: seconds since the start of the board, with a fraction (proc(5)).
fn uptime() -> Option<u64> {
    fs::read_to_string("/proc/uptime").ok()?.split('.').next()?.parse().ok()
}

/// `/proc/sys/kernel/random/boot_id`: a UUID, made anew at each start (random(4)).
fn boot_id() -> Option<[u8; 16]> {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let digits: Vec<u8> = text.trim().bytes().filter(|byte| *byte != b'-').collect();
    let number = u128::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?;
    (digits.len() == 32).then_some(number.to_be_bytes())
}

/// The most memory that this process had in use, in kB (`VmHWM` of proc_pid_status(5)).
pub fn peak_memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.trim().parse().ok())
}

/// Thirty-two random bits, to spread polls; zero where the kernel has none to give.
pub fn random() -> u32 {
    getrandom::u32().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_kernel_tells_its_uptime_boot_and_memory() {
        assert!(super::uptime().is_some_and(|uptime| uptime > 0));
        assert_eq!(super::boot_id(), super::boot_id());
        assert!(super::boot_id().is_some_and(|id| id != [0; 16]));
        assert!(super::peak_memory().is_some_and(|kilobytes| kilobytes > 100));
    }
}
