//! Signatures: what is read as one reads the same after it is written, and nothing proves bytes it was not made for.

#![no_main]

use giter_edge::codec::sshsig::{GIT, SshSig};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    for read in [SshSig::from_armour(data), SshSig::from_blob(data)].into_iter().flatten() {
        assert_eq!(SshSig::from_blob(&read.to_blob()).as_ref(), Ok(&read));
        assert_eq!(SshSig::from_armour(read.to_armour().as_bytes()).as_ref(), Ok(&read));
        assert!(read.verify(GIT, b"a message that nobody signs").is_err());
    }
});
