//! Signatures: what is read as one reads the same after it is written, and nothing proves bytes it was not made for.

use giter_edge::codec::sshsig::{self, EXCHANGE, GIT, SshSig};

pub(crate) fn check(data: &[u8]) {
    for read in [SshSig::from_armour(data), SshSig::from_blob(data)].into_iter().flatten() {
        assert_eq!(SshSig::from_blob(&read.to_blob()).as_ref(), Ok(&read));
        assert_eq!(SshSig::from_armour(read.to_armour().as_bytes()).as_ref(), Ok(&read));
        for namespace in [GIT, EXCHANGE, "file"] {
            assert!(read.verify(namespace, b"a message that nobody signs").is_err());
        }
    }
    let armours: Vec<&[u8]> = sshsig::armours(data).collect();
    assert_eq!(armours.concat(), data);
}
