//! The second copy of the rollback floor: one file, wherever the operator put it, such as on a boot partition.
//!
//! It is replaced whole, in a way that FAT has too. It does not know which of the copies counts.

use std::{
    fs::File,
    io::{self, ErrorKind, Read},
    path::{Path, PathBuf},
};

use super::atomic;
use crate::{
    api::{Error, Reason, Result, ledger::Floor, limits},
    codec::floor,
    reconcile::ports::FloorCopy,
};

/// The file that `trust.floor` names.
#[derive(Debug)]
pub struct FloorFile {
    path: PathBuf,
}

impl FloorFile {
    /// The copy in this file, which is not touched before the first `load` or `save`.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// The folder that the file is in.
    pub fn folder(&self) -> &Path {
        match self.path.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        }
    }

    fn failed(&self, verb: &str) -> impl FnOnce(io::Error) -> Error {
        let what = format!("cannot {verb} the floor {}", self.path.display());
        move |e| Error::state(what, e)
    }
}

impl FloorCopy for FloorFile {
    fn load(&mut self) -> Result<Option<Floor>> {
        let mut bytes = Vec::new();
        let read =
            File::open(&self.path).and_then(|file| file.take(limits::FLOOR_BYTES as u64 + 1).read_to_end(&mut bytes));
        match read {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            read => read.map_err(self.failed("read"))?,
        };
        let damaged = |why: &str| {
            Error::new(Reason::FloorDamaged, format!("the floor {} is damaged: {why}", self.path.display()))
                .hint("it is written again with the next commit that is accepted")
        };
        floor::decode(&bytes).map(Some).map_err(damaged)
    }

    fn save(&mut self, floor: &Floor) -> Result<()> {
        let bytes = floor::encode(floor)?;
        let name = self.path.file_name().and_then(|name| name.to_str()).ok_or(ErrorKind::InvalidFilename);
        name.map_err(io::Error::from)
            .and_then(|name| atomic::replace(File::open(self.folder())?, name, &bytes, None))
            .map_err(self.failed("write"))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::api::ledger::{Accepted, Record};

    fn floor() -> Floor {
        let oid = "0123456789abcdef0123456789abcdef01234567".parse().unwrap();
        let tip = Accepted { commit: oid, tree: oid, time: 7, signer: "ops".into(), charter: None, reset: 0 };
        Record { tip: Some(tip), advances: 3, ..Record::default() }.floor(&"pump-07".parse().unwrap()).unwrap()
    }

    #[test]
    fn what_is_damaged_is_named_and_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("giter.floor");
        for bytes in [vec![], vec![0; 4096], vec![b'x'; limits::FLOOR_BYTES + 4096]] {
            fs::write(&path, bytes).unwrap();
            let error = FloorFile::new(&path).load().unwrap_err();
            assert_eq!(error.reason(), Reason::FloorDamaged);
            assert!(error.to_string().contains("giter.floor is damaged"), "{error}");
        }
        FloorFile::new(&path).save(&floor()).unwrap();
        assert_eq!(FloorFile::new(&path).load().unwrap(), Some(floor()));
        assert_eq!(dir.path().read_dir().unwrap().count(), 1);
    }

    #[test]
    fn a_failure_to_write_leaves_the_old_copy() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("missing").join("giter.floor");
        assert_eq!(FloorFile::new(&path).load().unwrap(), None);
        assert_eq!(FloorFile::new(&path).save(&floor()).unwrap_err().reason(), Reason::StateFailed);
        let path = dir.path().join("giter.floor");
        FloorFile::new(&path).save(&floor()).unwrap();
        fs::create_dir(dir.path().join(atomic::temporary_name("giter.floor"))).unwrap();
        assert!(FloorFile::new(&path).save(&Floor { advances: 4, ..floor() }).is_err());
        assert_eq!(FloorFile::new(&path).load().unwrap(), Some(floor()));
    }
}
