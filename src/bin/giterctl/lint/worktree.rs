//! A working tree as the source of a snapshot: what `git add` would take of it.

use std::{
    fs::{self, File},
    io::{self, ErrorKind, Read},
    path::{Path, PathBuf},
};

use giter_edge::{
    api::{Error, Oid, Reason, Result, limits},
    reconcile::decode::{Entry, EntryKind, Refused, Source},
};

use crate::layout::{self, Manifest};

/// Files have no objects yet.
const UNNAMED: Oid = Oid::new([0; 20]);

/// The folder with `exchange.yaml` and `specs`.
pub(super) struct WorkingTree {
    root: PathBuf,
}

impl WorkingTree {
    /// The exchange in a folder, or in the git working tree that the folder is of.
    ///
    /// # Errors
    ///
    /// `Usage` if neither holds a charter or specs.
    pub(super) fn open(root: &Path) -> Result<Self> {
        let is_exchange = |root: &Path| root.join("exchange.yaml").exists() || root.join("specs").is_dir();
        if is_exchange(root) {
            return Ok(Self { root: root.to_owned() });
        }
        let full = fs::canonicalize(root).unwrap_or_default();
        if let Some(top) = full.ancestors().find(|folder| folder.join(".git").exists()).filter(|top| is_exchange(top)) {
            return Ok(Self { root: top.to_owned() });
        }
        let what =
            format!("{} is no working tree of an exchange: it has neither exchange.yaml nor specs", root.display());
        Err(Error::new(Reason::Usage, what).hint("name the working tree: giterctl lint DIR"))
    }

    /// The bytes of a file that can be a manifest; `None` if it is not there.
    pub(super) fn bytes(&self, path: &str) -> Result<Option<Vec<u8>>> {
        // One byte more than is allowed, so that the reader sees that it is too much.
        match self.read_at_most(path, limits::MANIFEST_BYTES + 1) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(unread(path, e)),
        }
    }

    /// Every regular file that can be a manifest, at any depth.
    pub(super) fn manifests(&self) -> Result<Vec<Manifest>> {
        let (mut manifests, mut folders) = (Vec::new(), vec!["specs".to_owned()]);
        while let Some(folder) = folders.pop() {
            for entry in self.entries(&folder)? {
                let path = format!("{folder}/{}", entry.name);
                match entry.kind {
                    EntryKind::Folder => folders.push(path),
                    EntryKind::File if layout::is_manifest(&path) => {
                        let bytes = self.bytes(&path)?.unwrap_or_default();
                        manifests.push(Manifest::read(path, &bytes));
                    }
                    _ => {}
                }
            }
        }
        Ok(manifests)
    }

    fn entries(&self, folder: &str) -> Result<Vec<Entry>> {
        let listed = match fs::read_dir(self.root.join(folder)) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            listed => listed.and_then(|entries| entries.map(|entry| to_entry(&entry?)).collect::<io::Result<Vec<_>>>()),
        };
        Ok(listed.map_err(|e| unread(folder, e))?.into_iter().flatten().collect())
    }

    fn read_at_most(&self, path: &str, limit: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(self.root.join(path))?.take(limit as u64).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

impl Source for WorkingTree {
    fn root(&self) -> Entry {
        Entry { name: String::new(), kind: EntryKind::Folder, id: UNNAMED }
    }

    fn list(&self, path: &str, _folder: &Entry) -> Result<Vec<Entry>, Refused> {
        self.entries(path).map_err(Refused::Unread)
    }

    fn read(&self, path: &str, _file: &Entry, limit: usize) -> Result<Option<Vec<u8>>, Refused> {
        let bytes = self.read_at_most(path, limit + 1).map_err(|e| Refused::Unread(unread(path, e)))?;
        Ok(Some(bytes).filter(|bytes| bytes.len() <= limit))
    }
}

/// The entry as git would store it; `None` for what git takes no notice of, such as sockets.
fn to_entry(entry: &fs::DirEntry) -> io::Result<Option<Entry>> {
    let kind = entry.file_type()?;
    let kind = match () {
        () if kind.is_symlink() => EntryKind::Link,
        () if kind.is_dir() && entry.path().join(".git").exists() => EntryKind::Submodule,
        () if kind.is_dir() => EntryKind::Folder,
        () if kind.is_file() => EntryKind::File,
        () => return Ok(None),
    };
    Ok(Some(Entry { name: entry.file_name().to_string_lossy().into_owned(), kind, id: UNNAMED }))
}

fn unread(path: &str, e: io::Error) -> Error {
    Error::new(Reason::Usage, format!("cannot read {path}")).caused_by(e)
}
