//! Making folders so that a power cut does not lose them.

use std::{
    fs::{DirBuilder, File},
    io,
    os::{fd::AsFd, unix::fs::DirBuilderExt},
    path::Path,
};

use rustix::{
    fs::{Mode, OFlags, fsync, mkdirat, openat, syncfs},
    io::Errno,
};

/// Makes the folder and those above it where they are missing, with these permission bits as far as the umask lets.
///
/// # Errors
///
/// Those of the system calls.
pub fn make(folder: &Path, mode: u32) -> io::Result<()> {
    let missing: Vec<_> = folder.ancestors().take_while(|folder| !folder.exists()).collect();
    DirBuilder::new().recursive(true).mode(mode).create(folder)?;
    missing.iter().filter_map(|made| made.parent()).try_for_each(|above| {
        let above = if above.as_os_str().is_empty() { Path::new(".") } else { above };
        File::open(above)?.sync_all()
    })
}

/// Lets all that was written to the file system of a folder reach its medium.
///
/// # Errors
///
/// Those of the system calls: it may not have.
pub fn sync_file_system(folder: &Path) -> io::Result<()> {
    Ok(syncfs(File::open(folder)?)?)
}

/// Opens a folder below one that is there, by the names of those on the way, and makes what is missing. No symbolic link
/// below the first is followed: what is written there stays there, whoever made the medium.
///
/// # Errors
///
/// Those of the system calls.
pub fn below<'a>(root: &Path, names: impl IntoIterator<Item = &'a str>) -> io::Result<File> {
    below_open(File::open(root)?, names)
}

/// Likewise, below one that is open.
///
/// # Errors
///
/// Those of the system calls.
pub fn below_open<'a>(root: impl AsFd, names: impl IntoIterator<Item = &'a str>) -> io::Result<File> {
    let mut folder = File::from(root.as_fd().try_clone_to_owned()?);
    for name in names {
        match mkdirat(&folder, name, Mode::from_raw_mode(0o755)) {
            Ok(()) => fsync(&folder)?,
            Err(Errno::EXIST) => {}
            Err(e) => return Err(e.into()),
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        folder = openat(&folder, name, flags, Mode::empty())?.into();
    }
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    #[test]
    fn folders_are_made_once_and_links_are_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("stick");
        assert!(below(&root, ["a"]).is_err());
        fs::create_dir(&root).unwrap();
        for _ in 0..2 {
            below(&root, ["a", "b"]).unwrap();
        }
        assert!(root.join("a/b").is_dir());
        symlink(dir.path(), root.join("out")).unwrap();
        assert!(below(&root, ["out", "x"]).is_err());
        assert!(!dir.path().join("x").exists());
    }
}
