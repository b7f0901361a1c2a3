//! Which refs a device is shown, as settings of git: everything is hidden, and what is its own is not.
//!
//! Of the values of `transfer.hideRefs` the last that fits a ref counts, and a name stands for all below it, too
//! (git-config(1)). So where devices are named one below another, the ones below are hidden again.

use std::collections::BTreeSet;

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
/// `GitFailed`, `GitNotFound`; `TooMany` where more than are told apart stand below the device's name.
pub(super) fn settings(git: &Git, service: Service, device: &DeviceId) -> Result<Vec<(&'static str, String)>> {
    let own = [hook::statuses(git)?, enrolment::REFS.into()].map(|folder| format!("{folder}/{device}"));
    let mut hidden = vec!["refs".to_owned()];
    let mut settings = Vec::new();
    if service == Service::UploadPack {
        settings.push(("uploadpack.allowFilter", "true".to_owned()));
        hidden.push(format!("!{}", git.run(&["symbolic-ref", "HEAD"])?));
    }
    let below = below(git, device, &own)?;
    for name in &own {
        hidden.push(format!("!{name}"));
        hidden.extend(below.iter().map(|part| format!("{name}/{part}")));
    }
    settings.extend(hidden.into_iter().map(|name| ("transfer.hideRefs", name)));
    Ok(settings)
}

/// The names of the folders and refs below a device's own, which are or may become other devices.
fn below(git: &Git, device: &DeviceId, own: &[String; 2]) -> Result<BTreeSet<String>> {
    let folders: Vec<String> = own.iter().chain([&format!("specs/{device}")]).map(|name| format!("{name}/")).collect();
    let mut listing = git.run(&["for-each-ref", "--format=%(refname)", &folders[0], &folders[1]])?;
    // A branch without a commit has no folders.
    if let Ok(specs) = git.ask(&["ls-tree", "-d", "--name-only", "--full-tree", "HEAD", &folders[2]])? {
        listing.extend(["\n", &specs]);
    }
    let part = |path: &str| {
        let below = folders.iter().find_map(|folder| path.strip_prefix(&**folder))?;
        Some(below.split('/').next().unwrap_or_default().to_owned())
    };
    // What is no name of a device cannot become one, and whatever quotes or patterns it may hold stay out of the settings.
    let parts: BTreeSet<String> =
        listing.lines().filter_map(part).filter(|part| part.parse::<Name>().is_ok()).collect();
    if parts.len() <= limits::NESTED_DEVICES {
        return Ok(parts);
    }
    let what = format!("more than {} folders or refs stand below {device}", limits::NESTED_DEVICES);
    Err(Error::new(Reason::TooMany, what).hint("give the device a name below which there are no others"))
}
