//! allowed_signers: what is read reads the same after it is written, and a device's keys are among its fleet's.

use giter_edge::codec::{
    signers::Keyring,
    sshsig::{EXCHANGE, GIT},
};

pub(crate) fn check(data: &[u8]) {
    let _ = Keyring::parse_fleet("allowed_signers", data, "@giter").map(|fleet| fleet.of("pump-07@giter"));
    let Ok(keyring) = Keyring::parse("root.keys", data) else { return };
    let text: String = keyring.signers().iter().map(|signer| format!("{signer}\n")).collect();
    assert_eq!(Keyring::parse("again", text.as_bytes()).unwrap(), keyring);
    for signer in keyring.signers() {
        for namespace in [GIT, EXCHANGE] {
            let at = signer.valid_after.or(signer.valid_before).unwrap_or(0);
            let is_trusted = keyring.judge(&signer.key, namespace, at).is_ok();
            assert!(is_trusted || signer.distrust(namespace, at).is_some());
        }
    }
}
