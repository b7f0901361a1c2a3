//! The stick that is read: what lies where a device of this exchange puts it, and nothing else.
//!
//! Nothing there is trusted. No symbolic link is followed, nothing but a plain file is opened for its bytes, and names,
//! sizes and counts are bounded before anything is read.

use std::{
    fs::File,
    io::{self, Read},
    os::fd::OwnedFd,
    path::Path,
    rc::Rc,
};

use giter_edge::{
    api::{DeviceId, Error, Reason, Result, limits},
    codec::stick::{FROM_DEVICE, Paper, TOP},
    link::stick::medium::Folder,
};
use rustix::{
    fs::{Dir, FileType, Mode, OFlags, openat},
    io::Errno,
};

/// A file from a device.
pub(super) struct Found {
    pub(super) device: DeviceId,
    pub(super) paper: Paper,
    /// Its path from the top of the stick.
    pub(super) path: String,
    folder: Rc<Folder>,
    file: String,
}

impl Found {
    /// Its bytes.
    ///
    /// # Errors
    ///
    /// `StickFailed` if it is no plain file, or cannot be read; `FileTooLarge`.
    pub(super) fn read(&self) -> Result<Vec<u8>> {
        let gone = || Error::new(Reason::StickFailed, format!("{} is gone", self.path));
        let most = self.paper.most();
        let source = self.folder.file(&self.file, u64::MAX)?.ok_or_else(gone)?;
        let (size, mut bytes) = (source.size(), Vec::new());
        if size <= most {
            let failed = |e| Error::io(Reason::StickFailed, format!("cannot read {}", self.path), e);
            source.take(most + 1).read_to_end(&mut bytes).map_err(failed)?;
        }
        if size.max(bytes.len() as u64) > most {
            let what = format!("{} has more than {most} bytes", self.path);
            return Err(
                Error::new(Reason::FileTooLarge, what).hint("it is not what giterd writes: see what is on the stick")
            );
        }
        Ok(bytes)
    }
}

/// What is on a stick.
#[derive(Default)]
pub(super) struct Stick {
    /// What devices of this exchange left, by path.
    pub(super) found: Vec<Found>,
    /// The folders of other exchanges.
    pub(super) others: Vec<String>,
}

impl Stick {
    /// Looks at a stick that is mounted there, in the folders of these names.
    ///
    /// # Errors
    ///
    /// `StickFailed` if it cannot be read, or is none; `TooMany`.
    pub(super) fn read(root: &Path, exchanges: &[&str]) -> Result<Self> {
        let failed = |e| Error::io(Reason::StickFailed, format!("cannot read {}", root.display()), e);
        let root_folder = File::open(root).map_err(failed)?;
        let Some(top) = folder(&root_folder, TOP).map_err(failed)? else {
            let what = format!("{} has no folder {TOP}", root.display());
            return Err(Error::new(Reason::StickFailed, what).hint("name the folder where the stick is mounted"));
        };
        let mut walk = Walk { stick: Self::default(), seen: 0 };
        for (name, _) in walk.list(&top).map_err(failed)? {
            if !exchanges.contains(&&*name) {
                walk.stick.others.push(name);
                continue;
            }
            if let Some(exchange) = folder(&top, &name).map_err(failed)?
                && let Some(from) = folder(&exchange, FROM_DEVICE).map_err(failed)?
            {
                walk.look(from, &format!("{TOP}/{name}/{FROM_DEVICE}"), "", 0).map_err(failed)?;
            }
        }
        if walk.seen > limits::STICK_FILES {
            let what = format!("{} has more than {} files", root.display(), limits::STICK_FILES);
            return Err(Error::new(Reason::TooMany, what)
                .hint("see what is on the stick, and remove what devices did not write"));
        }
        let mut stick = walk.stick;
        stick.others.sort();
        stick.found.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(stick)
    }
}

struct Walk {
    stick: Stick,
    /// Names that were read.
    seen: usize,
}

impl Walk {
    fn look(&mut self, from: OwnedFd, path: &str, device: &str, depth: usize) -> io::Result<()> {
        let from = Rc::new(Folder::from(from));
        for (name, kind) in self.list(&*from)? {
            let (inner_path, named) = (format!("{path}/{name}"), |stem: &str| format!("{device}{stem}"));
            if let Some((paper, device)) =
                paper(&name).and_then(|(paper, stem)| Some((paper, named(stem).parse().ok()?)))
            {
                self.stick.found.push(Found { device, paper, path: inner_path, folder: from.clone(), file: name });
            } else if matches!(kind, FileType::Directory | FileType::Unknown)
                && depth + 1 < limits::DEVICE_DEPTH
                && named(&name).parse::<DeviceId>().is_ok()
                && let Some(inner) = folder(&*from, &name)?
            {
                self.look(inner, &inner_path, &format!("{device}{name}/"), depth + 1)?;
            }
        }
        Ok(())
    }

    /// The names in a folder that are text, up to one more than is taken.
    fn list(&mut self, folder: impl std::os::fd::AsFd) -> io::Result<Vec<(String, FileType)>> {
        let mut names = Vec::new();
        for entry in Dir::read_from(folder)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().to_str() else { continue };
            if name != "." && name != ".." {
                self.seen += 1;
                names.push((name.to_owned(), entry.file_type()));
            }
            if self.seen > limits::STICK_FILES {
                break;
            }
        }
        Ok(names)
    }
}

/// A folder in another one; `None` if there is no folder of that name.
fn folder(above: impl std::os::fd::AsFd, name: &str) -> io::Result<Option<OwnedFd>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match openat(above, name, flags, Mode::empty()) {
        Ok(folder) => Ok(Some(folder)),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
        Err(e) => Err(e.into()),
    }
}

/// What a file from a device is, by its name, and what stands before that in it.
fn paper(name: &str) -> Option<(Paper, &str)> {
    // A request's name ends as that of statuses does, and in more.
    [Paper::Request, Paper::Statuses, Paper::Report]
        .into_iter()
        .find_map(|paper| Some((paper, name.strip_suffix(paper.ending())?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_known_by_their_names() {
        assert_eq!(paper("pump-07.bundle"), Some((Paper::Statuses, "pump-07")));
        assert_eq!(paper("pump-07.enroll.bundle"), Some((Paper::Request, "pump-07")));
        assert_eq!(paper("pump-07.txt"), Some((Paper::Report, "pump-07")));
        assert_eq!(paper("pump-07.ack"), None);
    }
}
