//! What the texts of single keys mean.

use std::{
    path::{Component, PathBuf},
    time::Duration,
};

use super::{Algorithms, Format, Hold, Mounting, SshClient};
use crate::api::{exchange::Policy, limits};

pub(super) fn any_duration(text: &str) -> Result<Duration, String> {
    const FORM: &str = "a duration has a number and a unit, such as 30s, 5m or 1h";
    let duration = humantime::parse_duration(text).map_err(|_| FORM.to_string())?;
    if duration > Duration::from_secs(366 * 24 * 3600) { Err("at most a year".into()) } else { Ok(duration) }
}

/// A number of bytes for a day's statuses; none for `0`.
pub(super) fn budget(text: &str) -> Result<Option<u64>, String> {
    if text == "0" {
        return Ok(None);
    }
    match size(text).map_err(|form| format!("{form}; 0 is for no limit"))? {
        bytes if bytes < limits::LEAST_BUDGET => Err(format!("at least {} bytes, or 0", limits::LEAST_BUDGET)),
        bytes => Ok(Some(bytes)),
    }
}

/// A number of bytes.
pub(super) fn size(text: &str) -> Result<u64, String> {
    const FORM: &str = "a size has a number and a unit, such as 64kB or 1MB";
    const UNITS: [(&str, u64); 5] = [("B", 1), ("kB", 1_000), ("MB", 1_000_000), ("KiB", 1 << 10), ("MiB", 1 << 20)];
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let factor = UNITS.iter().find(|(name, _)| *name == unit.trim_start()).map(|(_, factor)| *factor);
    let bytes = number.parse::<u64>().ok().zip(factor).and_then(|(number, factor)| number.checked_mul(factor));
    bytes.ok_or_else(|| FORM.into())
}

pub(super) fn policy(text: &str) -> Result<Policy, String> {
    match text {
        "range" => Ok(Policy::Range),
        "first-parent" => Ok(Policy::FirstParent),
        "tip" => Ok(Policy::Tip),
        _ => Err("it is range, first-parent or tip".into()),
    }
}

pub(super) fn ssh_client(text: &str) -> Result<SshClient, String> {
    match text {
        "system" => Ok(SshClient::System),
        "builtin" => Ok(SshClient::Builtin),
        _ => Err("it is system or builtin".into()),
    }
}

pub(super) fn algorithms(text: &str) -> Result<Algorithms, String> {
    match text {
        "ssh" => Ok(Algorithms::Ssh),
        "short" => Ok(Algorithms::Short),
        _ => Err("it is ssh or short".into()),
    }
}

pub(super) fn hold(text: &str) -> Result<Hold, String> {
    match text {
        "auto" => Ok(Hold::Auto),
        "never" => Ok(Hold::Never),
        _ => Err("it is auto or never".into()),
    }
}

pub(super) fn mounting(text: &str) -> Result<Mounting, String> {
    match text {
        "never" => Ok(Mounting::Never),
        "auto" => Ok(Mounting::Auto),
        _ => Err("it is never or auto".into()),
    }
}

/// The agent makes this folder and takes away what is mounted there: it is nobody else's.
pub(super) fn mount_point(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    let plain = path.components().skip(1).all(|part| matches!(part, Component::Normal(_)));
    let is_own = path.is_absolute() && plain && path.components().count() > 2;
    is_own.then_some(path).ok_or_else(|| "it is an absolute path, at least two folders deep, without '..'".into())
}

pub(super) fn on_off(text: &str) -> Result<bool, String> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("it is on or off".into()),
    }
}

pub(super) fn format(text: &str) -> Result<Format, String> {
    match text {
        "compact" => Ok(Format::Compact),
        "yaml" => Ok(Format::Yaml),
        _ => Err("it is compact or yaml".into()),
    }
}

/// A branch's name, by the rules of git-check-ref-format(1) as far as they keep it inside `refs/heads/`.
pub(super) fn branch(text: &str) -> Result<String, String> {
    ref_part(text).then(|| text.to_string()).ok_or_else(|| "not a branch name (git check-ref-format)".into())
}

pub(super) fn prefix(text: &str) -> Result<String, String> {
    let inside = text.starts_with("refs/") && !text.starts_with("refs/heads/") && ref_part(text);
    inside.then(|| text.to_string()).ok_or_else(|| "it is a folder under refs/, outside refs/heads/".into())
}

fn ref_part(text: &str) -> bool {
    let component = |part: &str| {
        !part.is_empty()
            && !part.starts_with(['.', '-'])
            && !part.ends_with('.')
            && !part.ends_with(".lock")
            && !part.contains("..")
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'+' | b'='))
    };
    text.len() <= 200 && text.split('/').all(component)
}
