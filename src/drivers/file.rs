//! `File`: regular files below the allowed roots.
//!
//! A root itself may be a symbolic link. Below it no link is followed: every folder of a path is opened from the one
//! above it, so that neither a link nor a swap at the wrong moment leads outside.

use std::{
    fs::File,
    io::{self, Read},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use rustix::{
    fs::{self, AtFlags, CWD, FileType, Gid, Mode, OFlags, Stat, Uid},
    io::Errno,
};
use sha2::{Digest, Sha256};

use super::io_error;
use crate::{
    api::{Error, Reason, Result, limits, resource::FilePath},
    disk::atomic::{self, Access},
    reconcile::goal::Observed,
};

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
// Without waiting, should a FIFO stand where a file was.
const FILE: OFlags = OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);

/// The files below some roots.
pub(super) struct Files {
    roots: Vec<PathBuf>,
    reserved: Vec<PathBuf>,
}

/// A path taken apart: the root it lies below, the folders between, its last component.
struct Place<'a> {
    root: &'a Path,
    folders: Vec<&'a str>,
    name: &'a str,
}

impl Files {
    /// What is reserved lies outside all of them: a link to it is followed once, here.
    pub(super) fn new(roots: Vec<PathBuf>, reserved: Vec<PathBuf>) -> Self {
        let real: Vec<_> = reserved.iter().filter_map(|path| path.canonicalize().ok()).collect();
        Self { roots, reserved: [reserved, real].concat() }
    }

    /// Whether the path lies below a root.
    pub(super) fn allow(&self, path: &FilePath) -> Result<()> {
        self.place(path).map(drop)
    }

    pub(super) fn observe(&self, path: &FilePath) -> Result<Observed> {
        let failed = |e: io::Error| io_error(Reason::FileFailed, format!("cannot read {path}"), e);
        let place = self.place(path)?;
        let Some(folder) = place.open(false)? else { return Ok(Observed::NoFile) };
        let Some(stat) = stat(&folder, place.name).map_err(failed)? else { return Ok(Observed::NoFile) };
        if let Some(what) = not_a_file(&stat) {
            return Ok(Observed::NotAFile { what });
        }
        let file = fs::openat(&folder, place.name, FILE, Mode::empty()).map_err(|e| failed(e.into()))?;
        // The file that was opened counts, not the one that was there before.
        let stat = fs::fstat(&file).map_err(|e| failed(e.into()))?;
        Ok(Observed::File {
            sha256: digest(file.into(), stat.st_size as u64).map_err(failed)?,
            size: stat.st_size as u64,
            mode: stat.st_mode & 0o7777,
            uid: stat.st_uid,
            gid: stat.st_gid,
        })
    }

    /// Makes or replaces the file, and makes the folders above it that are missing (0755, below the root).
    pub(super) fn write(&self, path: &FilePath, content: &[u8], access: Access) -> Result<()> {
        let failed = |e: io::Error| io_error(Reason::FileFailed, format!("cannot write {path}"), e);
        let place = self.place(path)?;
        let folder = place.open(true)?.ok_or_else(|| failed(io::ErrorKind::NotFound.into()))?;
        if let Some(what) = stat(&folder, place.name).map_err(failed)?.as_ref().and_then(not_a_file) {
            return Err(Error::new(Reason::FileFailed, format!("cannot write {path}: {what} stands there"))
                .hint("remove it, or give the File another path"));
        }
        atomic::replace(&folder, place.name, content, access).map_err(failed)
    }

    /// Sets permissions and owner, and leaves the content alone.
    pub(super) fn set(&self, path: &FilePath, access: Access) -> Result<()> {
        let failed = |e: io::Error| io_error(Reason::FileFailed, format!("cannot set mode and owner of {path}"), e);
        let place = self.place(path)?;
        let folder = place.open(false)?.ok_or_else(|| failed(io::ErrorKind::NotFound.into()))?;
        set_open(&folder, place.name, access).map_err(failed)
    }

    /// Removes the file, and what a power cut left of its replacement. Anything but a regular file stays.
    pub(super) fn remove(&self, path: &FilePath) -> Result<()> {
        let failed = |e: io::Error| io_error(Reason::FileFailed, format!("cannot remove {path}"), e);
        let place = self.place(path)?;
        let Some(folder) = place.open(false)? else { return Ok(()) };
        for name in [place.name, &atomic::temporary_name(place.name)] {
            if stat(&folder, name).map_err(failed)?.is_some_and(|stat| not_a_file(&stat).is_none()) {
                fs::unlinkat(&folder, name, AtFlags::empty()).map_err(|e| failed(e.into()))?;
            }
        }
        fs::fsync(&folder).map_err(|e| failed(e.into()))
    }

    /// The longest root wins: where one root is a link inside another, the operator allowed both.
    fn place<'a>(&'a self, path: &'a FilePath) -> Result<Place<'a>> {
        let below = |root: &'a PathBuf| Some((root.as_path(), path.as_path().strip_prefix(root).ok()?.to_str()?));
        let found = self.roots.iter().filter_map(below).filter(|(_, rest)| !rest.is_empty());
        let Some((root, rest)) = found.min_by_key(|(_, rest)| rest.len()) else {
            let roots: Vec<_> = self.roots.iter().map(|root| root.display().to_string()).collect();
            return Err(Error::new(Reason::PathNotAllowed, format!("{path} is outside the allowed roots")).hint(
                match roots.as_slice() {
                    [] => "name the folders that File may write to as [files] roots in giterd.toml".into(),
                    roots => {
                        format!("choose a path below {}, or add to [files] roots in giterd.toml", roots.join(", "))
                    }
                },
            ));
        };
        let real = root.canonicalize().map_or_else(|_| path.as_path().to_owned(), |root| root.join(rest));
        let is_own = |own: &PathBuf| path.as_path().starts_with(own) || real.starts_with(own);
        if self.reserved.iter().any(is_own) || atomic::is_temporary(rest) {
            return Err(Error::new(Reason::PathNotAllowed, format!("{path} is the agent's own"))
                .hint("choose another path; what makes a device itself is out of the exchange's reach"));
        }
        let (folders, name) = rest.rsplit_once('/').map_or((None, rest), |(folders, name)| (Some(folders), name));
        Ok(Place { root, folders: folders.into_iter().flat_map(|folders| folders.split('/')).collect(), name })
    }
}

impl Place<'_> {
    /// Opens the folder that the file is in; `None` if it is missing and not to be made.
    fn open(&self, make: bool) -> Result<Option<OwnedFd>> {
        let mut path = self.root.to_owned();
        let mut folder = match fs::openat(CWD, self.root, FOLDER, Mode::empty()) {
            Err(Errno::NOENT) if !make => return Ok(None),
            Err(e) => {
                return Err(io_error(Reason::FileFailed, format!("cannot open the root {}", path.display()), e.into())
                    .hint("create it, or take it out of [files] roots in giterd.toml"));
            }
            Ok(folder) => folder,
        };
        for name in &self.folders {
            path.push(name);
            folder = match open_below(&folder, name, make) {
                Err(Errno::NOENT) if !make => return Ok(None),
                Err(Errno::NOTDIR | Errno::LOOP) => return Err(no_folder(&folder, name, &path)),
                Err(e) => {
                    return Err(io_error(Reason::FileFailed, format!("cannot open {}", path.display()), e.into()));
                }
                Ok(below) => below,
            };
        }
        Ok(Some(folder))
    }
}

/// Opens a folder in a folder, and makes it first if that is asked and needed.
fn open_below(folder: &OwnedFd, name: &str, make: bool) -> Result<OwnedFd, Errno> {
    let open = || fs::openat(folder, name, FOLDER.union(OFlags::NOFOLLOW), Mode::empty());
    match open() {
        Err(Errno::NOENT) if make => {
            fs::mkdirat(folder, name, Mode::from_raw_mode(0o755))?;
            fs::fsync(folder)?;
            open()
        }
        other => other,
    }
}

fn no_folder(folder: &OwnedFd, name: &str, path: &Path) -> Error {
    let path = path.display();
    match stat(folder, name) {
        Ok(Some(stat)) if FileType::from_raw_mode(stat.st_mode).is_symlink() => {
            Error::new(Reason::PathNotAllowed, format!("{path} is a symbolic link, which could lead outside the roots"))
                .hint("give the path that it leads to, or add the link itself to [files] roots in giterd.toml")
        }
        _ => Error::new(Reason::FileFailed, format!("{path} is not a folder"))
            .hint("remove it, or give the File another path"),
    }
}

/// Looks at a name without following it; `None` if nothing is there.
fn stat(folder: &OwnedFd, name: &str) -> io::Result<Option<Stat>> {
    match fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => Ok(None),
        other => Ok(Some(other?)),
    }
}

/// What it is, if it is not a regular file.
fn not_a_file(stat: &Stat) -> Option<&'static str> {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => None,
        FileType::Directory => Some("a directory"),
        FileType::Symlink => Some("a symbolic link"),
        FileType::Fifo => Some("a FIFO"),
        FileType::Socket => Some("a socket"),
        _ => Some("a device"),
    }
}

fn set_open(folder: &OwnedFd, name: &str, access: Access) -> io::Result<()> {
    let file = fs::openat(folder, name, FILE, Mode::empty())?;
    if let Some(what) = not_a_file(&fs::fstat(&file)?) {
        return Err(io::Error::other(format!("it is {what}")));
    }
    if access.uid.is_some() || access.gid.is_some() {
        fs::fchown(&file, access.uid.map(Uid::from_raw), access.gid.map(Gid::from_raw))?;
    }
    fs::fchmod(&file, Mode::from_raw_mode(access.mode))?;
    Ok(fs::fsync(&file)?)
}

/// SHA-256 of a file that is not larger than any source.
fn digest(mut file: File, size: u64) -> io::Result<Option<[u8; 32]>> {
    let limit = limits::SOURCE_BYTES as u64;
    if size > limit {
        return Ok(None);
    }
    let mut hash = Sha256::new();
    let mut buffer = [0; 8 << 10];
    let mut total = 0;
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(Some(hash.finalize().into())),
            n => {
                total += n as u64;
                if total > limit {
                    return Ok(None);
                }
                hash.update(&buffer[..n]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs as std_fs,
        os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    };

    use super::*;

    /// A folder with an allowed root, `etc`, and one that is not allowed, `secret`.
    struct World {
        dir: tempfile::TempDir,
        files: Files,
    }

    impl World {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let files = Files::new(vec![dir.path().join("etc")], Vec::new());
            for folder in ["etc", "secret"] {
                std_fs::create_dir(dir.path().join(folder)).unwrap();
            }
            std_fs::write(dir.path().join("secret/key"), "untouched").unwrap();
            Self { dir, files }
        }

        fn at(&self, path: &str) -> PathBuf {
            self.dir.path().join(path)
        }

        fn path(&self, path: &str) -> FilePath {
            self.at(path).to_str().unwrap().parse().unwrap()
        }

        fn write(&self, path: &str, content: &str) -> Result<()> {
            self.files.write(&self.path(path), content.as_bytes(), Access { mode: 0o644, uid: None, gid: None })
        }

        fn assert_outside_is_untouched(&self) {
            assert_eq!(std_fs::read_to_string(self.at("secret/key")).unwrap(), "untouched");
            assert_eq!(self.at("secret").read_dir().unwrap().count(), 1);
        }
    }

    #[test]
    fn what_is_the_agents_own_is_not_allowed_below_any_root() {
        let world = World::new();
        std_fs::write(world.at("etc/root.keys"), "").unwrap();
        std::os::unix::fs::symlink(world.at("etc"), world.at("alias")).unwrap();
        let roots = vec![world.at("etc"), world.at("alias")];
        let files = Files::new(roots, vec![world.at("alias/root.keys"), world.at("etc/state")]);
        let own = [
            "etc/root.keys",
            "alias/root.keys",
            "etc/state",
            "etc/state/ledger.a",
            "alias/state/x",
            "etc/.x.giter-tmp",
        ];
        for name in own {
            let path = world.at(name).to_str().unwrap().parse().unwrap();
            assert_eq!(files.allow(&path).unwrap_err().reason(), Reason::PathNotAllowed, "{name}");
        }
        let path = world.at("etc/root.keys.old").to_str().unwrap().parse().unwrap();
        files.allow(&path).unwrap();
    }

    #[test]
    fn paths_outside_the_roots_are_not_allowed() {
        let world = World::new();
        for path in ["secret/key", "etc", "etcetera/motd"] {
            let error = world.files.allow(&world.path(path)).unwrap_err();
            assert_eq!(error.reason(), Reason::PathNotAllowed, "{path}");
        }
        world.files.allow(&world.path("etc/a/b")).unwrap();
        let all = Files::new(vec!["/".into()], Vec::new());
        all.allow(&"/etc/motd".parse().unwrap()).unwrap();
        let none = Files::new(Vec::new(), Vec::new()).allow(&"/etc/motd".parse().unwrap()).unwrap_err();
        assert!(none.get_hint().unwrap().starts_with("name the folders"), "{none:?}");
    }

    #[test]
    fn links_below_a_root_are_not_followed() {
        let world = World::new();
        symlink(world.at("secret"), world.at("etc/link")).unwrap();
        symlink("../secret", world.at("etc/relative")).unwrap();
        symlink(world.at("secret/key"), world.at("etc/file")).unwrap();
        for path in ["etc/link/key", "etc/relative/key", "etc/link/new/key"] {
            let path = world.path(path);
            let access = Access::PRIVATE;
            for error in [
                world.files.observe(&path).unwrap_err(),
                world.files.write(&path, b"x", access).unwrap_err(),
                world.files.set(&path, access).unwrap_err(),
                world.files.remove(&path).unwrap_err(),
            ] {
                assert_eq!(error.reason(), Reason::PathNotAllowed, "{error}");
            }
        }
        let file = world.path("etc/file");
        assert_eq!(world.files.observe(&file).unwrap(), Observed::NotAFile { what: "a symbolic link" });
        assert_eq!(world.write("etc/file", "x").unwrap_err().reason(), Reason::FileFailed);
        assert_eq!(world.files.set(&file, Access::PRIVATE).unwrap_err().reason(), Reason::FileFailed);
        world.files.remove(&file).unwrap();
        assert!(world.at("etc/file").is_symlink());
        world.assert_outside_is_untouched();
    }

    #[test]
    fn a_root_may_be_a_link_and_the_longest_root_counts() {
        let mut world = World::new();
        symlink(world.at("secret"), world.at("etc/link")).unwrap();
        world.files.roots.push(world.at("etc/link"));
        world.write("etc/link/new", "x").unwrap();
        assert_eq!(std_fs::read_to_string(world.at("secret/new")).unwrap(), "x");
    }

    #[test]
    fn missing_folders_are_made_below_the_root_only() {
        let mut world = World::new();
        assert_eq!(world.files.observe(&world.path("etc/a/b/c")).unwrap(), Observed::NoFile);
        world.files.remove(&world.path("etc/a/b/c")).unwrap();
        assert!(!world.at("etc/a").exists());
        world.write("etc/a/b/c", "x").unwrap();
        assert_eq!(std_fs::read_to_string(world.at("etc/a/b/c")).unwrap(), "x");
        world.files.roots = vec![world.at("missing")];
        assert_eq!(world.files.observe(&world.path("missing/c")).unwrap(), Observed::NoFile);
        assert_eq!(world.write("missing/c", "x").unwrap_err().reason(), Reason::FileFailed);
        assert!(!world.at("missing").exists());
    }

    #[test]
    fn other_things_than_files_are_told_and_left_alone() {
        let world = World::new();
        std_fs::create_dir(world.at("etc/folder")).unwrap();
        std_fs::write(world.at("etc/file"), "").unwrap();
        let folder = world.path("etc/folder");
        assert_eq!(world.files.observe(&folder).unwrap(), Observed::NotAFile { what: "a directory" });
        assert!(world.write("etc/folder", "x").unwrap_err().to_string().ends_with("a directory stands there"));
        assert_eq!(world.files.set(&folder, Access::PRIVATE).unwrap_err().reason(), Reason::FileFailed);
        world.files.remove(&folder).unwrap();
        assert!(world.at("etc/folder").is_dir());
        let error = world.write("etc/file/below", "x").unwrap_err();
        assert_eq!(error.reason(), Reason::FileFailed);
        assert!(error.to_string().ends_with("etc/file is not a folder"), "{error}");
    }

    #[test]
    fn a_file_larger_than_any_source_is_not_read() {
        let world = World::new();
        let limit = limits::SOURCE_BYTES as u64;
        for (size, read) in [(limit, true), (limit + 1, false), (1 << 40, false)] {
            File::create(world.at("etc/big")).unwrap().set_len(size).unwrap();
            let seen = world.files.observe(&world.path("etc/big")).unwrap();
            let Observed::File { sha256, size: seen, .. } = seen else { panic!("{seen:?}") };
            assert_eq!((sha256.is_some(), seen), (read, size));
        }
    }

    #[test]
    fn the_mode_is_set_without_writing_and_what_a_power_cut_left_is_removed() {
        let world = World::new();
        world.write("etc/motd", "hello").unwrap();
        let before = world.at("etc/motd").metadata().unwrap();
        world.files.set(&world.path("etc/motd"), Access { mode: 0o600, uid: None, gid: None }).unwrap();
        let after = world.at("etc/motd").metadata().unwrap();
        assert_eq!(after.permissions().mode() & 0o7777, 0o600);
        assert_eq!((after.ino(), after.mtime_nsec()), (before.ino(), before.mtime_nsec()));
        std_fs::write(world.at("etc/.motd.giter-tmp"), "half").unwrap();
        world.files.remove(&world.path("etc/motd")).unwrap();
        assert_eq!(world.at("etc").read_dir().unwrap().count(), 0);
    }
}
