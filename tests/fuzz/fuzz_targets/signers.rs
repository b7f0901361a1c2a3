//! allowed_signers: what is read reads the same after it is written.

#![no_main]

use giter_edge::codec::signers::Keyring;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(keyring) = Keyring::parse("root.keys", data) else { return };
    let text: String = keyring.signers().iter().map(|signer| format!("{signer}\n")).collect();
    assert_eq!(Keyring::parse("again", text.as_bytes()).unwrap(), keyring);
});
