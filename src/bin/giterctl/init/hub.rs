//! `giterctl init --hub`: a bare repository that devices and publishers push to, with the hook that judges them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use giter_edge::api::{Error, Reason, Result};

use super::{check_branch, check_free, nearest_folder};
use crate::{
    git::Git,
    hook::{self, Options},
};

/// Makes the repository; what to say about it.
pub(super) fn make(dir: &Path, branch: &str, root: Option<PathBuf>) -> Result<String> {
    check_free(dir)?;
    let home = nearest_folder(dir);
    check_branch(&Git::at(&home), branch)?;
    let failed = |e| Error::io(Reason::Usage, format!("cannot make {}", dir.display()), e);
    let aside = tempfile::Builder::new().prefix(".giterctl-").tempdir_in(&home).map_err(failed)?;
    let made = aside.path().join("hub");
    let path = made.display().to_string();
    let head = format!("--initial-branch={branch}");
    Git::at(aside.path()).run(&["init", "-q", "--bare", "--object-format=sha1", &head, &path])?;
    let done = hook::install(&made, &Options::with_root(root), false)?;
    dir.parent().map_or(Ok(()), fs::create_dir_all).map_err(failed)?;
    fs::rename(&made, dir).map_err(failed)?;
    let dir = dir.display().to_string();
    Ok(done.replace("Installed in ", "Made the hub ").replace(&path, &dir)
        + &format!("\nNext: push the exchange's branch {branch} to it. docs/HUB.md has the hub's side of SSH.\n"))
}
