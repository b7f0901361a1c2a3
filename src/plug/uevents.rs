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
            match recvfrom(&self.0, &mut message, RecvFlags::empty()) {
                Ok((length, _, sender)) => {
                    // A process that may send to this group has another port than the kernel's.
                    let is_kernel = sender
                        .and_then(|sender| SocketAddrNetlink::try_from(sender).ok())
                        .is_some_and(|sender| sender.pid() == 0);
                    is_of_block_device |= is_kernel && uevent::is_of_block_device(&message[..length]);
                }
                Err(Errno::NOBUFS) => is_of_block_device = true,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(is_of_block_device),
                Err(e) => return Err(e.into()),
            }
        }
    }
}

impl AsFd for Uevents {
    /// Readable when something was said.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
