//! Sticks that come and go, by the kernel's word.
//!
//! ```text
//! /proc/self/mountinfo --POLLPRI--> mounts      --+
//!                                                 +-> Watch -> Plugged, Pulled
//! NETLINK_KOBJECT_UEVENT ---------> partitions  --+
//! ```
//!
//! The kernel's word is the occasion to look again, and no more: what is there says the table of mounts, and sysfs. A
//! word that was lost is made good by the next one. What is on a stick is not looked at here, nor whose it is.

mod mounting;
mod mounts;
mod partitions;
mod uevents;

use std::{collections::BTreeMap, io, os::fd::AsFd, path::PathBuf};

use rustix::event::{PollFd, PollFlags, poll};

pub use mounting::{Mounted, can_mount, clear};

use crate::{
    api::{Error, Reason, Result},
    codec::{
        config::{Mounting, Stick as Settings},
        mountinfo::{Device, Mount},
    },
};
use mounts::Mounts;
use uevents::Uevents;

/// A stick, as long as it is plugged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stick {
    /// What tells it from all others, and from itself when it is plugged in again.
    pub id: u64,
    /// Where it is.
    pub place: Place,
}

/// Where a stick is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Somebody has mounted it here.
    Mounted(PathBuf),
    /// Nobody has mounted this block device.
    Unmounted(PathBuf),
}

/// What has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A stick was plugged in, or was there at the start.
    Plugged(Stick),
    /// That stick is gone, or has been unmounted.
    Pulled(u64),
}

/// Notices sticks.
pub struct Watch {
    settings: Settings,
    mounts: Mounts,
    uevents: Option<Uevents>,
    present: BTreeMap<Device, Present>,
    next_id: u64,
}

/// A stick that was told of.
struct Present {
    id: u64,
    /// Another one for another plugging of what has the same device number.
    plugging: u64,
}

impl Watch {
    /// Begins to watch. What is there already is the first that [`Self::wait`] tells of.
    ///
    /// # Errors
    ///
    /// `StickFailed` if the kernel does not tell of mounts or devices here.
    pub fn new(settings: Settings) -> Result<Self> {
        let mounts = Mounts::open().map_err(|e| unseen("cannot watch /proc/self/mountinfo", e))?;
        let uevents = (settings.mount == Mounting::Auto).then(Uevents::open).transpose().map_err(|e| {
            unseen("cannot listen for block devices", e)
                .hint("let giterd use AF_NETLINK sockets, or set stick.mount to never")
        })?;
        Ok(Self { settings, mounts, uevents, present: BTreeMap::new(), next_id: 0 })
    }

    /// What is plugged in and was not told of, and what is gone.
    ///
    /// # Errors
    ///
    /// `StickFailed` if the kernel's tables cannot be read.
    pub fn look(&mut self) -> Result<Vec<Event>> {
        let mounts = self.mounts.read().map_err(|e| unseen("cannot read /proc/self/mountinfo", e))?;
        let mut found: BTreeMap<Device, (u64, Place)> = BTreeMap::new();
        if self.uevents.is_some() {
            let is_mounted =
                |device| mounts.iter().any(|mount| mount.device == device && mount.point != self.settings.at);
            let partitions = partitions::removable().map_err(|e| unseen("cannot read /sys/class/block", e))?;
            for partition in partitions {
                // What was met is not met again because somebody else has mounted it since.
                if self.present.contains_key(&partition.device) || !is_mounted(partition.device) {
                    found.insert(partition.device, (partition.plugging, Place::Unmounted(partition.node)));
                }
            }
        }
        for mount in mounts.into_iter().filter(|mount| self.is_watched(mount)) {
            found.entry(mount.device).or_insert((0, Place::Mounted(mount.point)));
        }
        Ok(self.compare(found))
    }

    /// Waits for an occasion to [look](Self::look); `false` once `end` is readable.
    ///
    /// # Errors
    ///
    /// `StickFailed` if the kernel cannot be waited for.
    pub fn wait(&mut self, end: impl AsFd) -> Result<bool> {
        loop {
            let mut fds = vec![PollFd::new(&end, PollFlags::IN), PollFd::new(&self.mounts, PollFlags::PRI)];
            fds.extend(self.uevents.as_ref().map(|uevents| PollFd::new(uevents, PollFlags::IN)));
            match poll(&mut fds, None) {
                Ok(_) => {}
                Err(rustix::io::Errno::INTR) => continue,
                Err(e) => return Err(unseen("cannot wait for sticks", e.into())),
            }
            let [ends, mounts] = [0, 1].map(|index| !fds[index].revents().is_empty());
            let told = fds.get(2).is_some_and(|fd| !fd.revents().is_empty());
            if ends {
                return Ok(false);
            }
            let is_of_block_device = match &self.uevents {
                Some(uevents) if told => uevents.drain().map_err(|e| unseen("cannot hear of block devices", e))?,
                _ => false,
            };
            if mounts || is_of_block_device {
                return Ok(true);
            }
        }
    }

    /// What an automounter has put there only shows when somebody goes in, which would wait for a stick that is not there.
    fn is_watched(&self, mount: &Mount) -> bool {
        let is_below = self.settings.watch.iter().any(|folder| mount.point.starts_with(folder));
        is_below && mount.point != self.settings.at && mount.kind != "autofs"
    }

    fn compare(&mut self, found: BTreeMap<Device, (u64, Place)>) -> Vec<Event> {
        let is_same = |device: &Device, present: &Present| {
            found.get(device).is_some_and(|(plugging, _)| *plugging == present.plugging)
        };
        let mut events: Vec<_> = self
            .present
            .extract_if(.., |device, present| !is_same(device, present))
            .map(|(_, present)| Event::Pulled(present.id))
            .collect();
        for (device, (plugging, place)) in found {
            if self.present.contains_key(&device) {
                continue;
            }
            self.next_id += 1;
            self.present.insert(device, Present { id: self.next_id, plugging });
            events.push(Event::Plugged(Stick { id: self.next_id, place }));
        }
        events
    }
}

fn unseen(what: &str, source: io::Error) -> Error {
    Error::new(Reason::StickFailed, what).caused_by(source).hint("see that /proc and /sys are mounted")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch(folders: &[&str]) -> Watch {
        let watch = folders.iter().map(PathBuf::from).collect();
        Watch::new(Settings { watch, mount: Mounting::Never, at: "/run/giter/stick".into(), led: None }).unwrap()
    }

    fn mounted(device: Device, plugging: u64, point: &str) -> (Device, (u64, Place)) {
        (device, (plugging, Place::Mounted(point.into())))
    }

    #[test]
    fn a_stick_is_told_of_once_for_each_plugging() {
        let mut watch = watch(&["/media"]);
        let (first, second) = (mounted((8, 17), 0, "/media/a"), mounted((8, 33), 0, "/media/b"));
        let plugged = |id, (_, (_, place)): &(Device, (u64, Place))| Event::Plugged(Stick { id, place: place.clone() });
        assert_eq!(watch.compare([first.clone()].into()), [plugged(1, &first)]);
        assert_eq!(watch.compare([first.clone()].into()), []);
        assert_eq!(watch.compare([first.clone(), second.clone()].into()), [plugged(2, &second)]);
        assert_eq!(watch.compare([second.clone()].into()), [Event::Pulled(1)]);
        assert_eq!(watch.compare([first.clone(), second].into()), [plugged(3, &first)]);
        let again = mounted((8, 17), 1, "/media/a");
        assert_eq!(watch.compare([again.clone()].into()), [Event::Pulled(3), Event::Pulled(2), plugged(4, &again)]);
    }

    #[test]
    fn only_what_is_mounted_at_or_below_a_watched_folder_counts() {
        let watch = watch(&["/media", "/run/giter"]);
        let is_watched = |point: &str, kind: &str| {
            watch.is_watched(&Mount { device: (8, 17), point: point.into(), kind: kind.into() })
        };
        assert!(is_watched("/media", "vfat") && is_watched("/media/ana/STICK", "ext4"));
        assert!(!is_watched("/mnt", "vfat") && !is_watched("/media2", "vfat") && !is_watched("/", "ext4"));
        assert!(!is_watched("/media/a", "autofs") && !is_watched("/run/giter/stick", "vfat"));
    }

    #[test]
    fn a_wait_ends_when_it_is_told_to() {
        let end = readable();
        assert!(!watch(&["/media"]).wait(end).unwrap());
    }

    fn readable() -> std::io::PipeReader {
        std::io::pipe().unwrap().0
    }
}
