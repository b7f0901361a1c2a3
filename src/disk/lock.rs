//! One agent at a time on a state folder.

use std::{
    fs::{File, TryLockError},
    io,
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use super::folder;

use crate::api::{Error, Reason, Result};

/// The state folder, held against other agents until this is dropped or the process ends.
#[derive(Debug)]
pub struct StateLock {
    _file: File,
}

impl StateLock {
    /// Makes the state folder (mode 0700) where it is missing, and takes its lock without waiting.
    ///
    /// # Errors
    ///
    /// `StateLocked` if another process holds it; `StateReadOnly`, `DiskFull`, `StateFailed`.
    pub fn take(state: &Path) -> Result<Self> {
        let failed = |e: io::Error| {
            Error::state(format!("cannot lock {}", state.display()), e)
                .hint("let giterd's user write there, or name another folder as 'state' in giterd.toml")
        };
        folder::make(state, 0o700).map_err(failed)?;
        let mut options = File::options();
        options.write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(state.join("lock")).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::Error(e)) => Err(failed(e)),
            Err(TryLockError::WouldBlock) => {
                let what = format!("another giterd works on {}", state.display());
                Err(Error::new(Reason::StateLocked, what)
                    .hint("stop it, tell it to sync with SIGHUP, or name another 'state' in the configuration"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::MetadataExt};

    use super::*;

    #[test]
    fn the_folder_is_made_private_and_locked_once() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("var/giter");
        let lock = StateLock::take(&state).unwrap();
        assert_eq!(state.metadata().unwrap().mode() & 0o777, 0o700);
        assert_eq!(StateLock::take(&state).unwrap_err().reason(), Reason::StateLocked);
        drop(lock);
        StateLock::take(&state).unwrap();
    }

    #[test]
    fn a_path_that_is_no_folder_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        assert_eq!(StateLock::take(&file).unwrap_err().reason(), Reason::StateFailed);
    }
}
