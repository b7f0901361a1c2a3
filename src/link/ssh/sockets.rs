//! Where a master listens for those who go over its connection: a folder that nobody else can enter, in which each master
//! has a name of its own, so that one that was killed is in nobody's way.

use std::{
    fs::Permissions,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

/// The longest path that ssh can bind: what an address holds (unix(7)), without what ssh appends while it makes it.
const LONGEST: usize = 90;

/// The sockets of one link. The folder goes with it.
pub(super) struct Sockets {
    folder: TempDir,
    made: u64,
}

impl Sockets {
    /// Makes the folder. `None`, for connections that are not shared, where that cannot be or ssh would not take it.
    pub(super) fn open(parent: &Path) -> Option<Self> {
        let ours_alone = Permissions::from_mode(0o700);
        let folder = tempfile::Builder::new().prefix("giterd-").permissions(ours_alone).tempdir_in(parent);
        let folder = folder.inspect_err(|error| log::debug!("ssh's connections are not shared: {error}")).ok()?;
        let sockets = Self { folder, made: u64::MAX };
        let fits = sockets.current().to_str().is_some_and(|path| path.len() <= LONGEST && !path.contains("${"));
        if !fits {
            log::debug!("ssh's connections are not shared: {} is no place for a socket", parent.display());
        }
        fits.then_some(Self { made: 0, ..sockets })
    }

    /// The next master's.
    pub(super) fn renew(&mut self) -> PathBuf {
        // It is there only if the last master was killed.
        let _ = std::fs::remove_file(self.current());
        self.made += 1;
        self.current()
    }

    /// The last master's.
    pub(super) fn current(&self) -> PathBuf {
        self.folder.path().join(self.made.to_string())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn each_master_has_a_name_in_a_folder_of_ours_alone() {
        let parent = tempfile::tempdir().unwrap();
        let mut sockets = Sockets::open(parent.path()).unwrap();
        let first = sockets.renew();
        fs::write(&first, "").unwrap();
        assert_eq!(sockets.current(), first);
        assert_ne!(sockets.renew(), first);
        assert!(!first.exists());
        assert_eq!(first.parent().unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o700);
        drop(sockets);
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_place_that_ssh_cannot_use_is_none() {
        let parent = tempfile::tempdir().unwrap();
        for name in ["x".repeat(LONGEST), "a${b".to_owned()] {
            let folder = parent.path().join(name);
            fs::create_dir(&folder).unwrap();
            assert!(Sockets::open(&folder).is_none(), "{}", folder.display());
            assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
        }
        assert!(Sockets::open(&parent.path().join("absent")).is_none());
    }
}
