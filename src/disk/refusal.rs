//! Why what was carried here last was not taken: one file in the state folder, for whoever asks after the stick is gone.
//!
//! Nothing is decided by it. A file that is lost or damaged says nothing, and the next stick has its own.

use std::{
    fs::{self, File},
    io::{self, ErrorKind, Read},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::atomic::{self, Access};
use crate::api::{Error, Result, limits};

/// What the file is called.
const NAME: &str = "stick.refused";

/// That something was not taken, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// When, by the board's clock, in seconds since 1970.
    pub time: i64,
    /// Why, as the reason's text.
    pub reason: String,
    /// What, in one line.
    pub message: String,
}

/// Where it is kept.
#[derive(Debug)]
pub struct RefusalFile {
    folder: PathBuf,
}

impl RefusalFile {
    /// The file in this state folder, which is not touched yet.
    pub fn new(state: &Path) -> Self {
        Self { folder: state.to_owned() }
    }

    /// What is kept; `None` where all that was carried here last was taken.
    pub fn load(&self) -> Option<Refusal> {
        let mut bytes = Vec::new();
        let file = File::open(self.folder.join(NAME)).ok()?;
        file.take(limits::RECEIPT_BYTES).read_to_end(&mut bytes).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    /// Keeps another, or none. When this returns, a power cut cannot bring the old one back. The same once more is not
    /// written: a folder that is met as a stick is met often.
    ///
    /// # Errors
    ///
    /// `DiskFull`, `StateReadOnly`, `StateFailed`.
    pub fn save(&self, refusal: Option<&Refusal>) -> Result<()> {
        let is_same =
            |kept: &Refusal| refusal.is_some_and(|new| (&new.reason, &new.message) == (&kept.reason, &kept.message));
        let saved = match refusal {
            Some(_) if self.load().as_ref().is_some_and(is_same) => Ok(()),
            Some(refusal) => serde_json::to_vec(refusal)
                .map_err(io::Error::from)
                .and_then(|bytes| atomic::replace(File::open(&self.folder)?, NAME, &bytes, Access::PRIVATE)),
            None => match fs::remove_file(self.folder.join(NAME)) {
                Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
                removed => removed.and_then(|()| File::open(&self.folder)?.sync_all()),
            },
        };
        saved.map_err(|e| Error::state(format!("cannot write {}", self.folder.join(NAME).display()), e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_until_all_is_well() {
        let dir = tempfile::tempdir().unwrap();
        let file = RefusalFile::new(dir.path());
        assert_eq!(file.load(), None);
        file.save(None).unwrap();
        let refusal = |time, message: &str| Refusal { time, reason: "Rewound".into(), message: message.into() };
        for (time, message) in [(-1, "it is \u{1f4be}\nold"), (1_795_000_000, "it is older")] {
            file.save(Some(&refusal(time, message))).unwrap();
            file.save(Some(&refusal(time + 1, message))).unwrap();
            assert_eq!(file.load(), Some(refusal(time, message)));
        }
        file.save(None).unwrap();
        assert_eq!((file.load(), dir.path().read_dir().unwrap().count()), (None, 0));
    }

    #[test]
    fn what_is_damaged_says_nothing_and_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let file = RefusalFile::new(dir.path());
        let endless = vec![b' '; 2 * limits::RECEIPT_BYTES as usize];
        for bytes in [&b""[..], b"{", b"{\"time\":1}", &endless] {
            fs::write(dir.path().join(NAME), bytes).unwrap();
            assert_eq!(file.load(), None);
        }
        let refusal = Refusal { time: 1, reason: "Rewound".into(), message: String::new() };
        file.save(Some(&refusal)).unwrap();
        assert_eq!(file.load(), Some(refusal));
    }

    #[test]
    fn a_folder_that_is_gone_is_named() {
        let error = RefusalFile::new(Path::new("/nonexistent/state")).save(Some(&Refusal {
            time: 1,
            reason: "Rewound".into(),
            message: String::new(),
        }));
        assert_eq!(error.unwrap_err().to_string(), "cannot write /nonexistent/state/stick.refused");
    }
}
