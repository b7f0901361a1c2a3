//! The kernel's messages of devices, NETLINK_KOBJECT_UEVENT (netlink(7)).

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::{
    io::Errno,
    net::{
        AddressFamily, RecvFlags, SocketFlags, SocketType, bind,
        netlink::{KOBJECT_UEVENT, SocketAddrNetlink},
        recvfrom, socket_with,
    },
};

use crate::{api::limits, codec::uevent};

/// The group to which the kernel sends; udev's own words go to another.
const KERNEL: u32 = 1;

/// The socket.
pub(super) struct Uevents(OwnedFd);

impl Uevents {
    pub(super) fn open() -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::NETLINK, SocketType::DGRAM, flags, Some(KOBJECT_UEVENT))?;
        bind(&socket, &SocketAddrNetlink::new(0, KERNEL))?;
        Ok(Self(socket))
    }

    /// Takes in what was said; whether any of it was of a block device, or was lost, and might have been.
    pub(super) fn drain(&self) -> io::Result<bool> {
        let mut is_of_block_device = false;
        let mut message = [0; limits::UEVENT_BYTES];
        loop {
            match self.next(&mut message) {
                Ok((said, is_kernel)) => is_of_block_device |= is_kernel && uevent::is_of_block_device(said),
                Err(Errno::NOBUFS) => is_of_block_device = true,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(is_of_block_device),
                Err(e) => return Err(e.into()),
            }
        }
    }

    /// The next message, and whether it is the kernel's: a process that may send to this group has another port.
    fn next<'a>(&self, message: &'a mut [u8]) -> rustix::io::Result<(&'a [u8], bool)> {
        let (length, _, sender) = recvfrom(&self.0, &mut *message, RecvFlags::empty())?;
        let sender = sender.and_then(|sender| SocketAddrNetlink::try_from(sender).ok());
        Ok((&message[..length], sender.is_some_and(|sender| sender.pid() == 0)))
    }
}

impl AsFd for Uevents {
    /// Readable when something was said.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, process};

    use rustix::{
        event::{PollFd, PollFlags, poll},
        net::{SendFlags, sendto},
    };

    use super::*;

    /// Whether the kernel is taken for the sender of the next message that begins so; others speak on this machine, too.
    fn is_kernel(uevents: &Uevents, begin: &str) -> bool {
        let mut message = [0; limits::UEVENT_BYTES];
        loop {
            match uevents.next(&mut message) {
                Ok((said, is_kernel)) if said.starts_with(begin.as_bytes()) => return is_kernel,
                Ok(_) | Err(Errno::NOBUFS | Errno::INTR) => {}
                Err(Errno::AGAIN) => drop(poll(&mut [PollFd::new(uevents, PollFlags::IN)], None)),
                Err(e) => panic!("{e}"),
            }
        }
    }

    /// Whether this process has CAP_NET_ADMIN, the 12th of capabilities(7).
    fn may_administer_networks() -> bool {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap();
        u64::from_str_radix(effective.trim(), 16).unwrap() >> 12 & 1 == 1
    }

    #[test]
    fn who_is_not_the_kernel_is_told_from_it() {
        let uevents = Uevents::open().unwrap();
        let forger = socket_with(AddressFamily::NETLINK, SocketType::DGRAM, SocketFlags::CLOEXEC, Some(KOBJECT_UEVENT));
        let begin = format!("add@/devices/forged-by-{}", process::id());
        let forged = format!("{begin}\0ACTION=add\0SUBSYSTEM=block\0");
        assert!(uevent::is_of_block_device(forged.as_bytes()));
        let to = SocketAddrNetlink::new(0, KERNEL);
        match sendto(forger.unwrap(), forged.as_bytes(), SendFlags::empty(), &to) {
            // The kernel lets only those speak there who may administer the network: none that is refused can forge.
            Err(Errno::PERM) => return assert!(!may_administer_networks()),
            sent => assert_eq!(sent, Ok(forged.len())),
        }
        assert!(!is_kernel(&uevents, &begin));
        // The control: the kernel says so if it is asked to.
        let device = fs::read_dir("/sys/class/block").unwrap().map(|entry| entry.unwrap().path()).next().unwrap();
        fs::write(device.join("uevent"), "change").unwrap();
        assert!(is_kernel(&uevents, "change@"));
    }
}
