//! The kernel's word that a device came, went or changed: `ACTION@DEVPATH`, and variables, each ended by a zero byte.
//!
//! Only so much is read as says whether it is worth a look: what is there, sysfs says.

/// Whether the message is of a block device, which is a disk or a part of one.
pub fn is_of_block_device(message: &[u8]) -> bool {
    let mut fields = message.split(|byte| *byte == 0);
    fields.next().is_some_and(|header| header.contains(&b'@')) && fields.any(|field| field == b"SUBSYSTEM=block")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDED: &[u8] =
        b"add@/devices/x/block/sdb/sdb1\0ACTION=add\0DEVPATH=/devices/x/block/sdb/sdb1\0SUBSYSTEM=block\0SEQNUM=9\0";

    #[test]
    fn a_block_device_is_told_from_others() {
        assert!(is_of_block_device(ADDED));
        let of = |subsystem: &str| format!("change@/devices/x\0ACTION=change\0SUBSYSTEM={subsystem}\0");
        assert!(is_of_block_device(of("block").as_bytes()));
        for other in ["net", "blocks", "bloc", ""] {
            assert!(!is_of_block_device(of(other).as_bytes()), "{other}");
        }
    }

    #[test]
    fn what_is_no_message_of_the_kernels_is_of_nothing() {
        for wrong in [&b""[..], b"\0", b"SUBSYSTEM=block", b"\0SUBSYSTEM=block\0", b"libudev\0SUBSYSTEM=block\0"] {
            assert!(!is_of_block_device(wrong), "{wrong:?}");
        }
        for at in 0..ADDED.len() {
            let whole = ADDED[..at].windows(15).any(|part| part == b"SUBSYSTEM=block");
            assert_eq!(is_of_block_device(&ADDED[..at]), whole, "{at}");
        }
    }
}
