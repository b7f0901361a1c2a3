//! Charters: what is sound to whoever lints it is sound to the device, and a root's signature proves what it was made
//! for alone.
//!
//! The input is cut at the bytes `ff ff` into `exchange.yaml` and its signatures.

use std::sync::LazyLock;

use giter_edge::{
    api::{Reason, limits},
    codec::{
        charter::{self, Charter},
        keyfile::SecretKey,
        manifest,
        signers::{Keyring, Signer},
    },
};

/// The one charter that the root of [`ROOTS`] has signed; `corpus/charter/signed` has it with that signature.
const SIGNED: &[u8] = b"signed\n";

pub(crate) fn check(data: &[u8]) {
    let cut = data.windows(2).position(|pair| pair == b"\xff\xff");
    let (yaml, signatures) = cut.map_or((data, &b""[..]), |at| (&data[..at], &data[at + 2..]));
    if let Ok(exchange) = manifest::parse_exchange(charter::PATH, yaml) {
        match Charter::of(&exchange) {
            Ok(charter) => check_rights(&charter),
            Err(error) => assert_eq!((error.reason(), exchange.roots.len()), (Reason::MissingField, 0)),
        }
    }
    assert!(charter::signed_by(&ROOTS, yaml, signatures, 0).is_err() || yaml == SIGNED);
}

fn check_rights(charter: &Charter) {
    assert!((1..=limits::SIGNERS).contains(&charter.roots.signers().len()));
    assert!(charter.publishers.len() <= limits::SIGNERS);
    for publisher in &charter.publishers {
        for pattern in &publisher.paths {
            let path = pattern.to_string();
            assert!(path.contains(['*', '?']) || publisher.may(&path), "{path} is not itself");
        }
    }
}

static ROOTS: LazyLock<Keyring> = LazyLock::new(|| {
    let (principals, key) = ("root".into(), SecretKey::from_seed(&[1; 32]).public());
    Keyring::new(vec![Signer { principals, key, namespaces: None, valid_after: None, valid_before: None }])
});
