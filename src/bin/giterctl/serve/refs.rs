//! Which refs a device is shown, as settings of git: everything is hidden, and what is its own is not, nor what is of the
//! devices that it carries for.
//!
//! Of the values of `transfer.hideRefs` the last that fits a ref counts, and a name stands for all below it, too
//! (git-config(1)). So where devices are named one below another, the ones below are hidden again, and shown again if they
//! are to be.

use std::collections::{BTreeMap, BTreeSet};

use giter_edge::{
    api::{DeviceId, Error, Name, Reason, Result, limits},
    codec::enrolment,
};

use super::command::Service;
use crate::{git::Git, hook};

/// The settings with which git's program is to run, each a name and a value.
///
/// # Errors
///
/// `GitFailed`, `GitNotFound`; `TooMany` where more than are told apart stand below the devices' names.
pub(super) fn settings(git: &Git, service: Service, device: &DeviceId) -> Result<Vec<(&'static str, String)>> {
    // In this order a device comes after those that it is named below.
    let shown = BTreeSet::from_iter(hook::relays(git, device)?.into_iter().chain([device.clone()]));
    let folders = [hook::statuses(git)?, enrolment::REFS.into()];
    let mut hidden = vec!["refs".to_owned()];
    let mut settings = Vec::new();
    if service == Service::UploadPack {
        settings.push(("uploadpack.allowFilter", "true".to_owned()));
        hidden.push(format!("!{}", git.run(&["symbolic-ref", "HEAD"])?));
    }
    let below = below(git, &shown, &folders)?;
    for device in &shown {
        for name in folders.iter().map(|folder| format!("{folder}/{device}")) {
            hidden.push(format!("!{name}"));
            hidden.extend(below.get(device).into_iter().flatten().map(|part| format!("{name}/{part}")));
        }
    }
    settings.extend(hidden.into_iter().map(|name| ("transfer.hideRefs", name)));
    Ok(settings)
}

/// The names of the folders and refs below each device's own, which are or may become other devices.
fn below<'a>(
    git: &Git,
    shown: &'a BTreeSet<DeviceId>,
    folders: &[String; 2],
) -> Result<BTreeMap<&'a DeviceId, BTreeSet<String>>> {
    let below = |top: &str| shown.iter().map(|device| format!("{top}/{device}/")).collect::<Vec<_>>();
    let refs: Vec<String> = folders.iter().flat_map(|folder| below(folder)).collect();
    let specs = below("specs");
    let mut listing = git.run(&with(&["for-each-ref", "--format=%(refname)"], &refs))?;
    // A branch without a commit has no folders.
    if let Ok(specs) = git.ask(&with(&["ls-tree", "-d", "--name-only", "--full-tree", "HEAD"], &specs))? {
        listing.extend(["\n", &specs]);
    }
    let mut parts: BTreeMap<_, BTreeSet<String>> = BTreeMap::new();
    for path in listing.lines() {
        for (folder, device) in refs.iter().chain(&specs).zip(shown.iter().cycle()) {
            let part = path.strip_prefix(&**folder).and_then(|below| below.split('/').next());
            // What is no name of a device cannot become one, and whatever quotes or patterns it may hold stay out of the
            // settings.
            if let Some(part) = part.filter(|part| part.parse::<Name>().is_ok()) {
                parts.entry(device).or_default().insert(part.to_owned());
            }
        }
    }
    // They go through the environment of one program, all together.
    if parts.values().map(BTreeSet::len).sum::<usize>() <= limits::NESTED_DEVICES {
        return Ok(parts);
    }
    let of: Vec<String> = parts.keys().map(ToString::to_string).collect();
    let what = format!("more than {} folders or refs stand below {}", limits::NESTED_DEVICES, of.join(", "));
    Err(Error::new(Reason::TooMany, what)
        .hint("name devices, and those in relays, so that there are few others below them"))
}

fn with<'a>(command: &[&'a str], folders: &'a [String]) -> Vec<&'a str> {
    command.iter().copied().chain(folders.iter().map(String::as_str)).collect()
}
