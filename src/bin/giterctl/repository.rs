//! An exchange as it lies in a repository: the manifests of one commit and the newest status of every device.

use std::collections::BTreeMap;

use giter_edge::api::{DeviceId, DeviceStatus, Error, Oid, Reason, Result, limits};

use crate::{
    git::{Batch, Git},
    layout::{self, Manifest},
    statusfile,
};

/// All of an exchange that is read.
#[derive(Default)]
pub(crate) struct Exchange {
    /// The devices that have specs or a status.
    pub(crate) devices: BTreeMap<DeviceId, Device>,
    /// What could not be read, a line each.
    pub(crate) warnings: Vec<String>,
    /// The commit whose manifests these are.
    pub(crate) commit: String,
    /// Whether there is any status ref.
    pub(crate) has_statuses: bool,
}

/// One device.
#[derive(Default)]
pub(crate) struct Device {
    /// Its manifests, each with the name of its blob.
    pub(crate) manifests: Vec<(Oid, Manifest)>,
    /// What it said last.
    pub(crate) status: Option<DeviceStatus>,
}

impl Device {
    /// Whether the specs are known: a manifest that cannot be read may hold anything.
    pub(crate) fn is_readable(&self) -> bool {
        self.manifests.iter().all(|(_, manifest)| manifest.documents.is_ok())
    }
}

/// Where in the repository specs and statuses are.
pub(crate) struct Places<'a> {
    /// The commit with the specs; HEAD, or else the only branch, where it is not given.
    pub(crate) revision: Option<&'a str>,
    /// The folder of the status refs.
    pub(crate) prefix: &'a str,
}

impl Exchange {
    /// Reads the manifests and the statuses.
    ///
    /// # Errors
    ///
    /// `BranchNotFound`, `GitFailed`.
    pub(crate) fn read(git: &Git, places: &Places<'_>) -> Result<Self> {
        let commit = commit(git, places.revision)?;
        let mut exchange = Self { commit, ..Self::default() };
        let mut batch = git.batch()?;
        exchange.read_manifests(git, &mut batch)?;
        exchange.read_statuses(git, places.prefix, &mut batch)?;
        // A path may hold anything, and these go to a terminal.
        exchange.warnings.iter_mut().for_each(|warning| *warning = warning.replace(char::is_control, "\u{fffd}"));
        Ok(exchange)
    }

    fn read_manifests(&mut self, git: &Git, batch: &mut Batch) -> Result<()> {
        let listing = git.run(&["ls-tree", "-r", "-z", "--full-tree", &self.commit, "specs/"])?;
        let (mut manifests, mut blobs) = (Vec::new(), BTreeMap::new());
        for entry in listing.split_terminator('\0') {
            let Some((blob, path)) = blob(entry).filter(|(_, path)| layout::is_manifest(path)) else { continue };
            match batch.read(&blob.to_string(), limits::MANIFEST_BYTES)? {
                Some(bytes) => manifests.push(Manifest::read(path.into(), &bytes)),
                None => self.warnings.push(format!("{path}: it is larger than a manifest can be")),
            }
            blobs.insert(path, blob);
        }
        for (device, manifests) in layout::by_device(manifests) {
            let Ok(id) = device.parse::<DeviceId>() else {
                self.warnings.push(format!("specs/{device}: no device can have this name"));
                continue;
            };
            self.warnings.extend(manifests.iter().flat_map(Manifest::problems));
            let with_blob = |manifest: Manifest| Some((*blobs.get(&*manifest.path)?, manifest));
            self.devices.entry(id).or_default().manifests = manifests.into_iter().filter_map(with_blob).collect();
        }
        Ok(())
    }

    fn read_statuses(&mut self, git: &Git, prefix: &str, batch: &mut Batch) -> Result<()> {
        let listing = git.run(&["for-each-ref", "--format=%(objectname) %(refname)", prefix])?;
        for line in listing.lines() {
            self.has_statuses = true;
            let Some((commit, name)) = line.split_once(' ') else { continue };
            let device = name.strip_prefix(prefix).unwrap_or_default().trim_start_matches('/');
            match status(batch, commit, device) {
                Ok(status) => {
                    let id = status.device.clone();
                    self.devices.entry(id).or_default().status = Some(status);
                }
                Err(error) if error.reason() == Reason::StatusInvalid => {
                    self.warnings.push(format!("{name}: {}", error.one_line()));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn status(batch: &mut Batch, commit: &str, device: &str) -> Result<DeviceStatus> {
    for name in statusfile::NAMES {
        if let Some(bytes) = batch.read(&format!("{commit}:{name}"), statusfile::BYTES)? {
            let status = statusfile::read(name, &bytes)?;
            if status.device.as_str() == device {
                return Ok(status);
            }
            let what = format!("the status is {}'s", status.device);
            return Err(Error::new(Reason::StatusInvalid, what));
        }
    }
    Err(Error::new(Reason::StatusInvalid, format!("its commit holds neither {}", statusfile::NAMES.join(" nor "))))
}

/// [`commit`], as a name of an object.
///
/// # Errors
///
/// Those of [`commit`].
pub(crate) fn commit_id(git: &Git, revision: Option<&str>) -> Result<Oid> {
    let name = commit(git, revision)?;
    name.parse().map_err(|_| Error::new(Reason::GitFailed, format!("git names no commit with {name:?}")))
}

/// The commit of the exchange that is meant: the one given, or else HEAD, or else the only branch.
///
/// # Errors
///
/// `BranchNotFound`.
pub(crate) fn commit(git: &Git, revision: Option<&str>) -> Result<String> {
    let verify =
        |name: &str| git.ask(&["rev-parse", "--verify", "--quiet", "--end-of-options", &format!("{name}^{{commit}}")]);
    if let Ok(commit) = verify(revision.unwrap_or("HEAD"))? {
        return Ok(commit);
    }
    let branches = git.run(&["for-each-ref", "--format=%(refname:short)", "refs/heads"])?;
    let branches: Vec<&str> = branches.lines().collect();
    let not_found = |what: String, hint: String| Err(Error::new(Reason::BranchNotFound, what).hint(hint));
    match (revision, &branches[..]) {
        (None, [only]) => {
            verify(only)?.map_err(|why| Error::new(Reason::GitFailed, "git rev-parse failed").caused_by(why))
        }
        (_, []) => match remote_branch(git)? {
            None => not_found("the repository has no commits".into(), "push the exchange's branch to it".into()),
            Some(remote) => not_found(
                format!("there is no commit {}", revision.unwrap_or("at HEAD")),
                format!("check a branch out with git checkout, or name one, such as --revision {remote}"),
            ),
        },
        (None, names) => not_found(
            "HEAD names no commit".into(),
            format!("name the exchange's branch with --revision, one of {}", names.join(", ")),
        ),
        (Some(name), names) => not_found(
            format!("the repository has no commit {name}"),
            format!("name one with --revision, such as {}", names.join(", ")),
        ),
    }
}

/// A branch that was fetched from a remote, such as `origin/main`.
fn remote_branch(git: &Git) -> Result<Option<String>> {
    let branches = git.run(&["for-each-ref", "--format=%(refname:lstrip=2)", "refs/remotes"])?;
    Ok(branches.lines().find(|name| !name.ends_with("/HEAD")).map(str::to_owned))
}

/// Reads `<mode> blob <object>\t<path>`; anything but a regular file is no manifest.
pub(crate) fn blob(entry: &str) -> Option<(Oid, &str)> {
    let (about, path) = entry.split_once('\t')?;
    match about.split(' ').collect::<Vec<_>>()[..] {
        ["100644" | "100755", "blob", id] => Some((id.parse().ok()?, path)),
        _ => None,
    }
}
