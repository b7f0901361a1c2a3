//! `giterctl serve`: what a device's SSH key may do at a hub, as the forced command of that key.
//!
//! ```text
//! SSH_ORIGINAL_COMMAND -command-> git upload-pack    with the device's refs alone in sight, in the place of this process
//!                                 git receive-pack   likewise
//!                                 giterctl watch
//! ```
//!
//! The client's words are parsed here and never run: git is started with the repository that the command line names. No
//! process of ours stays beside git's.

mod command;
mod refs;

use std::{
    env,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process,
};

use giter_edge::{
    api::{DeviceId, Error, Exit, Reason, Result},
    git::repository::git_dir,
};

use self::command::{Asked, Service};
use crate::{git::Git, watch};

/// The device that this login is, told to the hook.
pub(crate) const DEVICE: &str = "GITER_DEVICE";

/// How many settings git is to take from its environment (git-config(1)).
const COUNT: &str = "GIT_CONFIG_COUNT";

/// Serves a device, as the forced command of its SSH key on the hub
#[derive(clap::Args)]
#[command(after_help = "In the hub's authorized_keys, one line:\n\n  command=\"giterctl serve site-a/pump-07 \
    /srv/git/plant-7.git\",restrict ssh-ed25519 AAAA...\n\nLets the device fetch the branch, push its own status and request, \
    and those of the devices that its Device names in relays, and watch the branch; giterctl authorized-keys prints such \
    lines for a whole fleet.")]
pub(crate) struct Args {
    /// The device, such as site-a/pump-07
    device: DeviceId,

    /// The repository, the only one that the device may ask for
    #[arg(value_name = "REPO")]
    repo: PathBuf,
}

/// Does what the client asks for, if a device may.
pub(crate) fn run(args: Args) -> Result<Exit> {
    let Args { device, repo } = args;
    let repo = git_dir(&repo).and_then(|dir| dir.canonicalize().map_err(|e| unreadable(&dir, e)));
    let repo = repo.map_err(|error| error.hint("name the hub's repository in the forced command of this SSH key"))?;
    let Asked { service, has_version_2, path } = Asked::read(env::var_os(command::VARIABLE).as_deref())?;
    command::check_path(&path, &repo)?;
    if service == Service::Watch {
        return watch::follow(&repo, Some(&device));
    }
    let git = Git::at(&repo);
    let mut command = process::Command::new("git");
    // Settings of a command line would count more than those that are handed over here.
    for variable in ["GIT_DIR", "GIT_WORK_TREE", "GIT_NAMESPACE", "GIT_OBJECT_DIRECTORY", "GIT_CONFIG_PARAMETERS"] {
        command.env_remove(variable);
    }
    if has_version_2 {
        command.env("GIT_PROTOCOL", "version=2");
    }
    let settings = refs::settings(&git, service, &device)?;
    let there: usize = env::var(COUNT).ok().and_then(|count| count.parse().ok()).unwrap_or_default();
    command.env(COUNT, (there + settings.len()).to_string());
    for (number, (name, value)) in (there..).zip(settings) {
        command.env(format!("GIT_CONFIG_KEY_{number}"), name).env(format!("GIT_CONFIG_VALUE_{number}"), value);
    }
    command.env(DEVICE, device.as_str()).arg(service.program()).arg(&repo);
    // It returns only where git cannot be started.
    Err(Error::new(Reason::GitNotFound, "cannot start git")
        .hint("install git at the hub, on the PATH of the account")
        .caused_by(command.exec()))
}

fn unreadable(dir: &Path, e: std::io::Error) -> Error {
    Error::new(Reason::RepositoryNotFound, format!("cannot read {}", dir.display())).caused_by(e)
}
