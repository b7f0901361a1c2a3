//! From system calls to what they do to the disk.
//!
//! What is not understood is refused: a recording either says all that was changed, or is none.

use std::{
    collections::BTreeMap,
    path::{Component, Path, PathBuf},
};

use super::{
    disk::{Body, Change, Disk, Id},
    strace::{Argument, Call},
};

/// The device's folder, and its hub's, beside each other.
pub(crate) const DEVICE: &str = "board";
/// The hub's repository.
pub(crate) const HUB: &str = "hub.git";
/// A stick.
pub(crate) const STICK: &str = "stick";

/// A disk, and all that was done to it.
#[derive(Clone)]
pub(crate) struct Recording {
    /// What is cut off; the rest keeps its power.
    pub(crate) cut: &'static str,
    /// The disk before.
    pub(crate) before: Disk,
    /// What was done.
    pub(crate) steps: Vec<Step>,
}

/// One call that changed something, or made changes durable.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// The call's name.
    pub(crate) call: String,
    /// Which of the calls of that name.
    pub(crate) ordinal: usize,
    /// What it was about.
    pub(crate) path: PathBuf,
    /// What it changed.
    pub(crate) changes: Vec<Change>,
    /// What it made durable.
    pub(crate) synced: Vec<Id>,
}

impl Recording {
    /// Reads calls, made on the disk as it was before below `root`, of which this folder is what is cut off.
    pub(crate) fn new(root: &Path, cut: &'static str, before: Disk, calls: &[Call]) -> Self {
        let mut recorder = Recorder { root, live: before, places: BTreeMap::new(), steps: Vec::new() };
        let start = recorder.live.clone();
        calls.iter().for_each(|call| recorder.call(call));
        let mut before = start;
        // What was made on the way is on the disk from the beginning, without a name.
        for id in before.len()..recorder.live.len() {
            let node = recorder.live.node(id);
            let body = match node.body {
                Body::Folder(_) => Body::Folder(BTreeMap::new()),
                Body::File(_) => Body::File(Vec::new()),
            };
            before.add(0o600, body);
        }
        Self { cut, before, steps: recorder.steps }
    }

    /// Whether a step was about what keeps its power.
    pub(crate) fn is_elsewhere(&self, step: &Step) -> bool {
        !step.path.starts_with(self.cut)
    }

    /// The disk after so many steps, if the power stays.
    pub(crate) fn after(&self, count: usize) -> Disk {
        let mut disk = self.before.clone();
        self.steps[..count].iter().flat_map(|step| &step.changes).for_each(|change| disk.apply(change));
        disk
    }

    /// The same, on a disk that says that it has synced these paths, and has not.
    pub(crate) fn without_syncs(&self, of: impl Fn(&str) -> bool) -> Self {
        let mut lying = self.clone();
        let ignored = lying.steps.iter_mut().filter(|step| of(&step.path.to_string_lossy()));
        ignored.for_each(|step| step.synced.clear());
        lying
    }
}

struct Recorder<'a> {
    root: &'a Path,
    live: Disk,
    /// Where the next byte of each file descriptor goes.
    places: BTreeMap<String, u64>,
    steps: Vec<Step>,
}

impl Recorder<'_> {
    fn call(&mut self, call: &Call) {
        let given = &call.arguments;
        let nowhere = Argument::cwd();
        match call.name.as_str() {
            "open" => self.open(call, &nowhere, &given[0], &given[1], given.get(2)),
            "openat" => self.open(call, &given[0], &given[1], &given[2], given.get(3)),
            "read" | "readv" => self.advance(&given[0], call.result),
            "lseek" => self.seek(&given[0], call.result),
            "write" | "writev" => self.write(call, None),
            "pwrite64" => self.write(call, Some(given[3].number())),
            "ftruncate" => self.truncate(call),
            "rename" => self.rename(call, (&nowhere, &given[0]), (&nowhere, &given[1])),
            "renameat" | "renameat2" => self.rename(call, (&given[0], &given[1]), (&given[2], &given[3])),
            "unlink" | "rmdir" => self.remove(call, &nowhere, &given[0]),
            "unlinkat" => self.remove(call, &given[0], &given[1]),
            "mkdir" => self.make(call, &nowhere, &given[0], &given[1]),
            "mkdirat" => self.make(call, &given[0], &given[1], &given[2]),
            "fchmod" => self.mode(call),
            "fsync" | "fdatasync" => self.sync(call, |_, id| vec![id]),
            // The root of a stick: all of it.
            "syncfs" if self.is_root_of_stick(&given[0]) => self.sync(call, Disk::below),
            // It promises nothing.
            "sync_file_range" => {}
            // A folder's descriptor has no place that could be shared.
            "fcntl" if !given[1].text().starts_with("F_DUPFD") || self.is_folder(&given[0]) => {}
            "mmap" if !(given[2].has("PROT_WRITE") && given[3].has("MAP_SHARED")) => {}
            _ => self.refuse(call),
        }
    }

    /// A call that is not understood must be about something else.
    fn refuse(&self, call: &Call) {
        let about = |argument: &Argument| {
            let path = argument.descriptor().map(|(_, path)| path);
            path.or_else(|| argument.text().starts_with('"').then(|| argument.path()))
        };
        let ours = call.arguments.iter().filter_map(about).find(|path| self.below(path).is_some());
        let everything = matches!(call.name.as_str(), "sync" | "syncfs" | "io_uring_setup");
        assert!(ours.is_none() && !everything, "a call that the models do not know: {call:?}");
    }

    /// The path below the root, if it is the device's, the hub's or the stick's.
    fn below(&self, path: &Path) -> Option<PathBuf> {
        let path = straight(path).strip_prefix(self.root).ok()?.to_owned();
        [DEVICE, HUB, STICK].iter().any(|ours| path.starts_with(ours)).then_some(path)
    }

    /// The path that a folder's descriptor and a name lead to.
    fn path(&self, folder: &Argument, name: &Argument) -> Option<PathBuf> {
        let name = name.path();
        let folder = folder.descriptor().map_or(PathBuf::new(), |(_, path)| path);
        assert!(name.is_absolute() || folder.is_absolute(), "a path from nowhere: {}", name.display());
        self.below(&folder.join(name))
    }

    /// The file or folder behind a descriptor, where it is one that has a name.
    fn open_file(&self, descriptor: &Argument) -> Option<(String, PathBuf, Id)> {
        let (number, path) = descriptor.descriptor()?;
        let path = self.below(&path)?;
        let id = self.live.find(&path)?;
        Some((number.to_owned(), path, id))
    }

    /// The folder that a path's last name is in, and that name.
    fn split(&self, path: &Path) -> (Id, String) {
        let folder = path.parent().and_then(|folder| self.live.find(folder));
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        (folder.unwrap_or_else(|| panic!("{} is nowhere", path.display())), name)
    }

    fn step(&mut self, call: &Call, path: PathBuf, changes: Vec<Change>, synced: Vec<Id>) {
        changes.iter().for_each(|change| self.live.apply(change));
        self.steps.push(Step { call: call.name.clone(), ordinal: call.ordinal, path, changes, synced });
    }

    fn open(&mut self, call: &Call, folder: &Argument, name: &Argument, flags: &Argument, mode: Option<&Argument>) {
        let Some(path) = self.path(folder, name) else { return };
        for flag in ["O_APPEND", "O_TMPFILE"] {
            assert!(!flags.has(flag), "{flag} is not understood: {call:?}");
        }
        self.places.insert(call.result.to_string(), 0);
        match self.live.find(&path) {
            Some(id) if flags.has("O_TRUNC") => {
                self.step(call, path, vec![Change::Length { file: id, bytes: 0 }], Vec::new());
            }
            Some(_) => {}
            None => {
                assert!(flags.has("O_CREAT"), "{} was opened, and is not there", path.display());
                let id = self.live.add(0o600, Body::File(Vec::new()));
                self.appear(call, path, id, mode.map_or(0o600, Argument::octal));
            }
        }
    }

    fn make(&mut self, call: &Call, folder: &Argument, name: &Argument, mode: &Argument) {
        let Some(path) = self.path(folder, name) else { return };
        let id = self.live.add(0o700, Body::Folder(BTreeMap::new()));
        self.appear(call, path, id, mode.octal());
    }

    fn appear(&mut self, call: &Call, path: PathBuf, id: Id, mode: u32) {
        let (folder, name) = self.split(&path);
        // The usual umask: nobody looks at the mode of what was made without saying it again.
        let mode = Change::Mode { node: id, mode: mode & 0o755 };
        self.step(call, path, vec![mode, Change::Entry { folder, name, to: Some(id) }], Vec::new());
    }

    fn advance(&mut self, descriptor: &Argument, count: u64) {
        if let Some((number, ..)) = self.open_file(descriptor) {
            *self.places.entry(number).or_default() += count;
        }
    }

    fn seek(&mut self, descriptor: &Argument, to: u64) {
        if let Some((number, ..)) = self.open_file(descriptor) {
            self.places.insert(number, to);
        }
    }

    fn write(&mut self, call: &Call, place: Option<u64>) {
        let Some((number, path, file)) = self.open_file(&call.arguments[0]) else { return };
        let mut bytes = call.arguments[1].bytes();
        bytes.truncate(call.result as usize);
        let at = place.unwrap_or_else(|| self.places[&number]);
        if place.is_none() {
            self.advance(&call.arguments[0], call.result);
        }
        self.step(call, path, vec![Change::Bytes { file, at, bytes }], Vec::new());
    }

    fn truncate(&mut self, call: &Call) {
        let Some((_, path, file)) = self.open_file(&call.arguments[0]) else { return };
        self.step(call, path, vec![Change::Length { file, bytes: call.arguments[1].number() }], Vec::new());
    }

    fn rename(&mut self, call: &Call, from: (&Argument, &Argument), to: (&Argument, &Argument)) {
        let (from, to) = match (self.path(from.0, from.1), self.path(to.0, to.1)) {
            (None, None) => return,
            (Some(from), Some(to)) => (from, to),
            _ => panic!("a file leaves or enters what is looked at: {call:?}"),
        };
        let id = self.live.find(&from).expect("what was renamed is there");
        let ((old, old_name), (new, new_name)) = (self.split(&from), self.split(&to));
        let gone = Change::Entry { folder: old, name: old_name, to: None };
        let there = Change::Entry { folder: new, name: new_name, to: Some(id) };
        self.step(call, to, vec![gone, there], Vec::new());
    }

    fn remove(&mut self, call: &Call, folder: &Argument, name: &Argument) {
        let Some(path) = self.path(folder, name) else { return };
        let (folder, name) = self.split(&path);
        self.step(call, path, vec![Change::Entry { folder, name, to: None }], Vec::new());
    }

    fn mode(&mut self, call: &Call) {
        let Some((_, path, node)) = self.open_file(&call.arguments[0]) else { return };
        self.step(call, path, vec![Change::Mode { node, mode: call.arguments[1].octal() }], Vec::new());
    }

    fn is_folder(&self, descriptor: &Argument) -> bool {
        self.open_file(descriptor).is_some_and(|(_, _, id)| matches!(self.live.node(id).body, Body::Folder(_)))
    }

    fn is_root_of_stick(&self, descriptor: &Argument) -> bool {
        self.open_file(descriptor).is_some_and(|(_, path, _)| path == Path::new(STICK))
    }

    fn sync(&mut self, call: &Call, all: impl Fn(&Disk, Id) -> Vec<Id>) {
        let Some((_, path, id)) = self.open_file(&call.arguments[0]) else { return };
        let synced = all(&self.live, id);
        self.step(call, path, Vec::new(), synced);
    }
}

/// The path without `..`: no folder on the way is a symbolic link.
fn straight(path: &Path) -> PathBuf {
    let mut straight = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => {
                straight.pop();
            }
            other => straight.push(other),
        }
    }
    straight
}
