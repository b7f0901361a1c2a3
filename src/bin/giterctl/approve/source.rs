//! Where requests come from: the exchange's remote, a stick, a bundle, or this repository.

use std::{
    fs,
    path::{Path, PathBuf},
};

use giter_edge::{
    api::{DeviceId, Error, Oid, Reason, Result, limits},
    codec::enrolment,
};

use crate::{git::Git, statuses::unreached};

/// Where requests are looked for.
pub(crate) enum Source<'a> {
    /// At a remote, with all that is known of it forgotten.
    Remote(&'a str),
    /// On a stick that is mounted there.
    Stick(&'a Path),
    /// In a bundle, or at a revision of this repository.
    From(&'a str),
    /// In this repository alone.
    Here,
}

/// A request that was found, not yet proven.
pub(crate) struct Found {
    /// The ref's end: a device, if it is the name of one.
    pub(crate) name: String,
    /// Its commit.
    pub(crate) commit: Oid,
}

/// The refs of requests, as what git fetches.
const REFSPEC: &str = "+refs/giter/enroll/*:refs/giter/enroll/*";

impl Source<'_> {
    /// Brings the requests into this repository.
    ///
    /// # Errors
    ///
    /// `GitFailed`, `StickFailed`, `EnrolmentNotFound` if a stick has none.
    pub(crate) fn fetch(&self, git: &Git) -> Result<()> {
        match self {
            Source::Here => Ok(()),
            Source::Remote(remote) => fetch(git, &["--prune", remote]).map_err(unreached),
            Source::From(text) => match Path::new(text).is_file() {
                true => fetch(git, &[&absolute(Path::new(text))?]),
                false => Ok(()),
            },
            Source::Stick(dir) => {
                let bundles = bundles(dir)
                    .map_err(|e| Error::io(Reason::StickFailed, format!("cannot read {}", dir.display()), e))?;
                if bundles.is_empty() {
                    let what = format!("no request is at {}/GITER/*/from-device", dir.display());
                    return Err(Error::new(Reason::EnrolmentNotFound, what)
                        .hint("on the device: giterd enroll --stick DIR, with DIR where the stick is mounted"));
                }
                bundles.iter().try_for_each(|bundle| fetch(git, &[&absolute(bundle)?]))
            }
        }
    }

    /// The request of a device.
    ///
    /// # Errors
    ///
    /// `EnrolmentNotFound`.
    pub(crate) fn find(&self, git: &Git, device: &DeviceId) -> Result<Oid> {
        let name = match self {
            Source::From(text) if !Path::new(text).is_file() => (*text).to_owned(),
            _ => enrolment::ref_of(device),
        };
        let commit = format!("{name}^{{commit}}");
        let found = git.ask(&["rev-parse", "--verify", "--quiet", "--end-of-options", &commit])?.ok();
        found.and_then(|id| id.parse().ok()).ok_or_else(|| {
            Error::new(Reason::EnrolmentNotFound, format!("there is no request of {device}, at {name}"))
                .hint("on the device: giterd enroll; who asks is listed by: giterctl approve")
        })
    }
}

/// Every request in this repository, by name.
///
/// # Errors
///
/// `GitFailed`.
pub(crate) fn all(git: &Git) -> Result<Vec<Found>> {
    let listing = git.run(&["for-each-ref", "--format=%(objectname) %(refname)", enrolment::REFS])?;
    let found = |line: &str| {
        let (commit, name) = line.split_once(' ')?;
        let name = name.strip_prefix(enrolment::REFS)?.trim_start_matches('/').into();
        Some(Found { name, commit: commit.parse().ok()? })
    };
    Ok(listing.lines().filter_map(found).collect())
}

fn fetch(git: &Git, from: &[&str]) -> Result<()> {
    git.fetch(&[from, &[REFSPEC]].concat())
}

/// git runs in the repository, wherever this program does.
fn absolute(path: &Path) -> Result<String> {
    let full = fs::canonicalize(path)
        .map_err(|e| Error::io(Reason::StickFailed, format!("cannot read {}", path.display()), e))?;
    full.into_os_string()
        .into_string()
        .map_err(|path| Error::new(Reason::Usage, format!("{} is not UTF-8", path.display())))
}

/// The bundles of requests on a stick: `GITER/<exchange>/from-device/<device>.enroll.bundle`. Links are not followed.
fn bundles(stick: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut bundles = Vec::new();
    let mut folders = vec![(stick.join("GITER"), 0)];
    while let Some((folder, depth)) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let (kind, name) = (entry.file_type()?, entry.file_name());
            let is_place = depth != 1 || name == "from-device";
            if kind.is_dir() && is_place && depth < limits::DEVICE_DEPTH + 2 {
                folders.push((entry.path(), depth + 1));
            } else if kind.is_file() && depth > 1 && name.to_string_lossy().ends_with(".enroll.bundle") {
                bundles.push(entry.path());
            }
        }
        if bundles.len() > limits::STICK_REQUESTS {
            return Err(std::io::Error::other(format!("there are more than {} requests", limits::STICK_REQUESTS)));
        }
    }
    bundles.sort();
    Ok(bundles)
}
