//! A disk that keeps apart what programs see and what a power cut leaves.
//!
//! As POSIX has it: a file's bytes are durable once the file was synced, and a name (made, replaced or removed) once its
//! folder was. What was not synced may or may not survive; [`Cache`] says which.

use std::collections::BTreeMap;

use super::dice::Dice;

/// What a power cut leaves of what was not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cache {
    /// Nothing.
    Lazy,
    /// Everything.
    Eager,
    /// The names, but only half of the bytes: a journal that holds names alone.
    Torn,
    /// For each name and each file, what the dice say.
    Mixed(u64),
}

/// A file's bytes.
#[derive(Clone, Debug, Default)]
struct File {
    seen: Vec<u8>,
    durable: Vec<u8>,
}

/// Folders are the parts of a path before its last `/`; they need not be made.
#[derive(Clone, Debug)]
pub(crate) struct Disk {
    files: Vec<File>,
    seen: BTreeMap<String, usize>,
    durable: BTreeMap<String, usize>,
    /// Whether a sync does anything, as it does not on a disk that lies.
    pub(crate) syncs: bool,
}

impl Disk {
    pub(crate) fn new() -> Self {
        Self { files: Vec::new(), seen: BTreeMap::new(), durable: BTreeMap::new(), syncs: true }
    }

    pub(crate) fn read(&self, path: &str) -> Option<&[u8]> {
        self.seen.get(path).map(|&file| self.files[file].seen.as_slice())
    }

    /// The names in a folder, without it.
    pub(crate) fn list(&self, folder: &str) -> Vec<String> {
        let below = |path: &String| Some(path.strip_prefix(folder)?.strip_prefix('/')?.to_owned());
        self.seen.keys().filter_map(below).collect()
    }

    /// Makes a new file of that name.
    pub(crate) fn write(&mut self, path: &str, bytes: &[u8]) {
        self.files.push(File { seen: bytes.to_vec(), durable: Vec::new() });
        self.seen.insert(path.into(), self.files.len() - 1);
    }

    pub(crate) fn sync(&mut self, path: &str) {
        if self.syncs {
            let file = &mut self.files[self.seen[path]];
            file.durable.clone_from(&file.seen);
        }
    }

    pub(crate) fn rename(&mut self, from: &str, to: &str) {
        if let Some(file) = self.seen.remove(from) {
            self.seen.insert(to.into(), file);
        }
    }

    pub(crate) fn remove(&mut self, path: &str) {
        self.seen.remove(path);
    }

    pub(crate) fn sync_folder(&mut self, folder: &str) {
        if self.syncs {
            let inside = |path: &str| path.rsplit_once('/').is_some_and(|(above, _)| above == folder);
            self.durable.retain(|path, _| !inside(path));
            self.durable
                .extend(self.seen.iter().filter(|(path, _)| inside(path)).map(|(path, &file)| (path.clone(), file)));
        }
    }

    /// Flips a bit of a file where it lies.
    pub(crate) fn rot(&mut self, path: &str) {
        let file = &mut self.files[self.seen[path]];
        for bytes in [&mut file.seen, &mut file.durable] {
            let middle = bytes.len() / 2;
            if let Some(byte) = bytes.get_mut(middle) {
                *byte ^= 1;
            }
        }
    }

    /// A folder is gone, with all that is below it.
    pub(crate) fn lose(&mut self, folder: &str) {
        let inside = |path: &String| path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
        self.seen.retain(|path, _| !inside(path));
        self.durable.retain(|path, _| !inside(path));
    }

    /// The power goes, and comes back.
    pub(crate) fn cut(&mut self, cache: Cache) {
        let mut dice = Dice::new(if let Cache::Mixed(seed) = cache { seed } else { 0 });
        let mut names = std::mem::take(&mut self.durable);
        let paths: Vec<_> = names.keys().chain(self.seen.keys()).cloned().collect();
        for path in paths {
            let survives = match cache {
                Cache::Lazy => false,
                Cache::Eager | Cache::Torn => true,
                Cache::Mixed(_) => dice.one_in(2),
            };
            match self.seen.get(&path) {
                _ if !survives => {}
                Some(&file) => drop(names.insert(path, file)),
                None => drop(names.remove(&path)),
            }
        }
        for file in &mut self.files {
            let half = file.seen.len() / 2;
            let left = match cache {
                _ if file.seen == file.durable => file.seen.len(),
                Cache::Lazy => 0,
                Cache::Eager => file.seen.len(),
                Cache::Torn => half,
                Cache::Mixed(_) => [0, half, file.seen.len()][dice.below(3)],
            };
            file.seen.truncate(left);
            file.durable.clone_from(&file.seen);
        }
        self.seen.clone_from(&names);
        self.durable = names;
    }

    /// The least that a power cut at this moment would leave.
    pub(crate) fn at_worst(&self) -> Self {
        let mut disk = Self::new();
        for (path, &file) in &self.durable {
            disk.write(path, &self.files[file].durable);
        }
        disk
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file that was replaced: written, perhaps synced, renamed, its folder perhaps synced.
    fn replaced(file: bool, folder: bool, cache: Cache) -> Option<Vec<u8>> {
        let mut disk = Disk::new();
        disk.write("a/x", b"old!");
        disk.sync("a/x");
        disk.sync_folder("a");
        disk.write("a/tmp", b"new!");
        if file {
            disk.sync("a/tmp");
        }
        disk.rename("a/tmp", "a/x");
        if folder {
            disk.sync_folder("a");
        }
        assert_eq!(disk.read("a/x"), Some(&b"new!"[..]));
        disk.cut(cache);
        assert_eq!(disk.list("a"), ["x"]);
        disk.read("a/x").map(<[u8]>::to_vec)
    }

    #[test]
    fn what_was_synced_survives_and_the_rest_as_the_cache_says() {
        for cache in [Cache::Lazy, Cache::Eager, Cache::Torn, Cache::Mixed(1)] {
            assert_eq!(replaced(true, true, cache), Some(b"new!".to_vec()), "{cache:?}");
        }
        assert_eq!(replaced(true, false, Cache::Lazy), Some(b"old!".to_vec()));
        assert_eq!(replaced(false, false, Cache::Lazy), Some(b"old!".to_vec()));
        assert_eq!(replaced(false, false, Cache::Eager), Some(b"new!".to_vec()));
        assert_eq!(replaced(false, false, Cache::Torn), Some(b"ne".to_vec()));
        assert_eq!(replaced(false, true, Cache::Lazy), Some(b"".to_vec()));
    }

    #[test]
    fn a_removed_file_comes_back_unless_its_folder_was_synced() {
        for (sync, left) in [(false, 1), (true, 0)] {
            let mut disk = Disk::new();
            disk.write("a/x", b"old");
            disk.sync_folder("a");
            disk.remove("a/x");
            if sync {
                disk.sync_folder("a");
            }
            disk.cut(Cache::Lazy);
            assert_eq!(disk.list("a").len(), left);
        }
    }
}
