//! A bare repository that the real git makes, and [`FileLink`] reads, or git's own programs serve.

use std::{
    fs,
    path::{Path, PathBuf},
};

use giter_edge::{api::Oid, link::FileLink, reconcile::ports::Link};

use crate::{
    link::Hub,
    support::{git, git_oid, pipe},
    upstream::Compact,
};

/// A bare repository, and a clone in which a publisher works.
pub(crate) struct FileHub {
    bare: PathBuf,
    work: PathBuf,
    is_served: bool,
}

impl FileHub {
    /// An empty hub in a folder that does not exist yet.
    pub(crate) fn new(folder: PathBuf) -> Self {
        let (bare, work) = (folder.join("hub.git"), folder.join("work"));
        fs::create_dir_all(&folder).unwrap();
        git(&folder, &["init", "-q", "--bare", "-b", "main", "hub.git"]);
        git(&folder, &["init", "-q", "-b", "none", "work"]);
        git(&work, &["remote", "add", "hub", "../hub.git"]);
        Self { bare, work, is_served: false }
    }

    /// The bare repository.
    pub(crate) fn path(&self) -> &Path {
        &self.bare
    }

    /// An empty hub that git serves, and offers filters or not.
    pub(crate) fn served(folder: PathBuf, filters: bool) -> Self {
        let hub = Self { is_served: true, ..Self::new(folder) };
        git(&hub.bare, &["config", "uploadpack.allowFilter", &filters.to_string()]);
        hub
    }
}

impl Hub for FileHub {
    fn link(&self) -> Box<dyn Link + '_> {
        match self.is_served {
            true => Box::new(pipe::link(self.bare.clone()).0),
            false => Box::new(FileLink::open(&self.bare, "main", "refs/giter/status/dev").unwrap()),
        }
    }

    fn commit(&mut self, branch: &str, files: &[(&str, &str)]) -> Oid {
        git(&self.work, &["symbolic-ref", "HEAD", &format!("refs/heads/{branch}")]);
        git(&self.work, &["rm", "-q", "-r", "--force", "--ignore-unmatch", "."]);
        for (path, content) in files {
            let path = self.work.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        git(&self.work, &["add", "."]);
        git(&self.work, &["commit", "-q", "-m", "commit"]);
        git(&self.work, &["push", "-q", "hub", branch]);
        git_oid(&self.work, &["rev-parse", "HEAD"])
    }

    fn rewind(&mut self, to: Oid) {
        git(&self.bare, &["update-ref", "refs/heads/main", &to.to_string()]);
    }

    fn status(&self) -> Option<Oid> {
        let shown = git(&self.bare, &["for-each-ref", "--format=%(objectname)", "refs/giter/status/dev"]);
        String::from_utf8(shown).unwrap().trim().parse().ok()
    }
}

impl Compact for FileHub {
    fn repack(&mut self) {
        git(&self.bare, &["repack", "-q", "-a", "-d", "--write-bitmap-index"]);
    }
}
