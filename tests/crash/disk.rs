//! A disk in memory, as a tree of nodes that have no names of their own: what calls change, and cuts leave.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
};

/// A file or folder, whatever its names.
pub(crate) type Id = usize;

/// All files and folders that there ever were, those without a name included.
#[derive(Clone)]
pub(crate) struct Disk {
    nodes: Vec<Node>,
}

/// A file or folder.
#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) mode: u32,
    pub(crate) body: Body,
}

/// What it holds.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Body {
    Folder(BTreeMap<String, Id>),
    File(Vec<u8>),
}

/// What a call does.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    /// A name of a folder stands for this, or for nothing.
    Entry { folder: Id, name: String, to: Option<Id> },
    /// Bytes of a file are these.
    Bytes { file: Id, at: u64, bytes: Vec<u8> },
    /// A file is so long.
    Length { file: Id, bytes: u64 },
    /// Who may do what with it.
    Mode { node: Id, mode: u32 },
}

impl Disk {
    /// The folder that everything is in.
    pub(crate) const ROOT: Id = 0;

    /// These files and folders of a folder, with all that is in them.
    pub(crate) fn scan(root: &Path, names: &[&str]) -> Self {
        let mut disk = Self { nodes: Vec::new() };
        disk.add(0o700, Body::Folder(BTreeMap::new()));
        for name in names {
            let id = disk.scan_node(&root.join(name));
            disk.apply(&Change::Entry { folder: Self::ROOT, name: (*name).to_owned(), to: Some(id) });
        }
        disk
    }

    fn scan_node(&mut self, path: &Path) -> Id {
        let about = path.symlink_metadata().unwrap();
        let mode = about.mode() & 0o7777;
        if about.is_file() {
            return self.add(mode, Body::File(fs::read(path).unwrap()));
        }
        assert!(about.is_dir(), "{} is neither a file nor a folder", path.display());
        let entries = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let entries = entries.map(|name| (name.clone(), self.scan_node(&path.join(name)))).collect();
        self.add(mode, Body::Folder(entries))
    }

    /// A new file or folder, which has no name yet.
    pub(crate) fn add(&mut self, mode: u32, body: Body) -> Id {
        self.nodes.push(Node { mode, body });
        self.nodes.len() - 1
    }

    /// A file or folder.
    pub(crate) fn node(&self, id: Id) -> &Node {
        &self.nodes[id]
    }

    /// How many there ever were.
    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// What a path leads to, seen from the folder that everything is in.
    pub(crate) fn find(&self, path: &Path) -> Option<Id> {
        path.components().try_fold(Self::ROOT, |at, name| self.entry(at, name.as_os_str().to_str()?))
    }

    /// What a name of a folder stands for.
    pub(crate) fn entry(&self, folder: Id, name: &str) -> Option<Id> {
        match &self.node(folder).body {
            Body::Folder(entries) => entries.get(name).copied(),
            Body::File(_) => None,
        }
    }

    /// A file's bytes.
    pub(crate) fn bytes(&self, file: Id) -> &[u8] {
        match &self.node(file).body {
            Body::File(bytes) => bytes,
            Body::Folder(_) => panic!("bytes of a folder"),
        }
    }

    /// The bytes of the file that a path leads to, if it leads to anything.
    pub(crate) fn file(&self, path: &Path) -> Option<&[u8]> {
        self.find(path).map(|file| self.bytes(file))
    }

    /// Makes a file hold other bytes.
    pub(crate) fn replace(&mut self, file: Id, bytes: Vec<u8>) {
        self.nodes[file].body = Body::File(bytes);
    }

    /// Does what a call does.
    pub(crate) fn apply(&mut self, change: &Change) {
        match change {
            Change::Mode { node, mode } => self.nodes[*node].mode = *mode,
            Change::Entry { folder, name, to } => {
                let Body::Folder(entries) = &mut self.nodes[*folder].body else { panic!("{change:?}: no folder") };
                match to {
                    Some(id) => entries.insert(name.clone(), *id),
                    None => entries.remove(name),
                };
            }
            Change::Length { file, bytes } => self.bytes_of(*file).resize(*bytes as usize, 0),
            Change::Bytes { file, at, bytes } => {
                let (at, whole) = (*at as usize, self.bytes_of(*file));
                whole.resize(whole.len().max(at + bytes.len()), 0);
                whole[at..at + bytes.len()].copy_from_slice(bytes);
            }
        }
    }

    fn bytes_of(&mut self, file: Id) -> &mut Vec<u8> {
        match &mut self.nodes[file].body {
            Body::File(bytes) => bytes,
            Body::Folder(_) => panic!("bytes of a folder"),
        }
    }

    /// A file or folder, and all that is in it.
    pub(crate) fn below(&self, id: Id) -> Vec<Id> {
        let mut all = vec![id];
        if let Body::Folder(entries) = &self.node(id).body {
            all.extend(entries.values().flat_map(|&id| self.below(id)));
        }
        all
    }

    /// The first path at which another disk is not alike, modes aside.
    pub(crate) fn difference(&self, other: &Self) -> Option<String> {
        differ((self, Self::ROOT), (other, Self::ROOT), String::new())
    }

    /// A digest of all that has a name.
    pub(crate) fn digest(&self) -> u64 {
        let mut hash = DefaultHasher::new();
        self.hash_node(Self::ROOT, &mut hash);
        hash.finish()
    }

    fn hash_node(&self, id: Id, hash: &mut DefaultHasher) {
        let Node { mode, body } = self.node(id);
        mode.hash(hash);
        match body {
            Body::File(bytes) => bytes.hash(hash),
            Body::Folder(entries) => {
                entries.len().hash(hash);
                for (name, id) in entries {
                    name.hash(hash);
                    self.hash_node(*id, hash);
                }
            }
        }
    }

    /// Makes what is there in a folder of this machine what it is here.
    pub(crate) fn write_out(&self, root: &Path) {
        let Body::Folder(entries) = &self.node(Self::ROOT).body else { unreachable!("it was made as a folder") };
        for (name, id) in entries {
            let path = root.join(name);
            if path.exists() {
                fs::remove_dir_all(&path).unwrap();
            }
            self.write_node(*id, &path);
        }
    }

    fn write_node(&self, id: Id, path: &Path) {
        let Node { mode, body } = self.node(id);
        match body {
            Body::File(bytes) => fs::write(path, bytes).unwrap(),
            Body::Folder(entries) => {
                fs::create_dir(path).unwrap();
                entries.iter().for_each(|(name, id)| self.write_node(*id, &path.join(name)));
            }
        }
        fs::set_permissions(path, fs::Permissions::from_mode(*mode)).unwrap();
    }
}

fn differ((one, a): (&Disk, Id), (other, b): (&Disk, Id), path: String) -> Option<String> {
    match (&one.node(a).body, &other.node(b).body) {
        (Body::File(a), Body::File(b)) => (a != b).then_some(path),
        (Body::Folder(a), Body::Folder(b)) => {
            let names: BTreeSet<_> = a.keys().chain(b.keys()).collect();
            names.into_iter().find_map(|name| {
                let path = format!("{path}/{name}");
                match (a.get(name), b.get(name)) {
                    (Some(a), Some(b)) => differ((one, *a), (other, *b), path),
                    _ => Some(path),
                }
            })
        }
        _ => Some(path),
    }
}
