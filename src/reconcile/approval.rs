//! Whether the exchange lets this device speak: its key is one of those that its `Device` resource names.
//!
//! A device that is not approved can do nothing but ask (`giterd enroll`): the tip is refused, what was accepted stays in
//! force, and no status is pushed. Where the exchange names no keys of the device, everybody's word is as good as before:
//! then the publishers' own lists of keys say whose a status is.

use crate::{
    api::{Device, DeviceId, Error, Reason, Result},
    codec::{
        device,
        pubkey::PublicKey,
        signers::{Distrust, Signer},
        sshsig,
    },
};

/// Why a device may speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Approval {
    /// The exchange names its key.
    Named,
    /// The exchange names no keys of it.
    Open,
}

/// Whether what an exchange says of a device lets it speak with this key, at a second since 1970.
///
/// # Errors
///
/// `NotApproved`, with the fingerprints to compare; `InvalidValue` for a key or time that is none.
pub fn check(device: &DeviceId, named: Option<&Device>, key: &PublicKey, at: i64) -> Result<Approval> {
    let Some(named) = named.filter(|named| !named.status_keys.is_empty()) else { return Ok(Approval::Open) };
    let keys = device::status_keys(device, named)?;
    let Err(distrust) = keys.judge(key, sshsig::GIT, at) else { return Ok(Approval::Named) };
    let own = format!("this device's key {} ({key})", key.short_fingerprint());
    let what = match distrust {
        Distrust::NotYet(_) => format!("the exchange names {own} for a later time"),
        Distrust::NoLonger(_) => format!("the exchange names {own} for an earlier time only"),
        Distrust::Unknown | Distrust::Namespace => {
            let named: Vec<_> = keys.signers().iter().map(fingerprint).collect();
            format!("the exchange names {} for {device}, and not {own}", named.join(", "))
        }
    };
    let hint = format!("ask with 'giterd enroll'; a publisher then compares and types 'giterctl approve {device}'");
    Err(Error::new(Reason::NotApproved, what).hint(hint))
}

fn fingerprint(signer: &Signer) -> String {
    signer.key.short_fingerprint()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{api::DeviceKey, codec::keyfile::SecretKey};

    fn public(seed: u8) -> PublicKey {
        SecretKey::from_seed(&[seed; 32]).public()
    }

    fn named(keys: &[(u8, Option<&str>, Option<&str>)]) -> Device {
        let key = |&(seed, after, before): &(u8, Option<&str>, Option<&str>)| DeviceKey {
            key: public(seed).to_openssh().into(),
            valid_after: after.map(Into::into),
            valid_before: before.map(Into::into),
        };
        Device {
            name: "pump-07".parse().unwrap(),
            status_keys: keys.iter().map(key).collect(),
            ssh_keys: vec![public(9).to_openssh().into()],
            relays: vec![],
        }
    }

    /// 2026-11-21T00:00:00Z.
    const DAY: i64 = 1_795_219_200;

    fn verdict(named: Option<&Device>, at: i64) -> Option<String> {
        let error = check(&"site-a/pump-07".parse().unwrap(), named, &public(1), at).err()?;
        assert_eq!(error.reason(), Reason::NotApproved);
        assert!(error.get_hint().unwrap().contains("giterctl approve site-a/pump-07"));
        Some(error.one_line())
    }

    #[test]
    fn an_exchange_that_names_no_keys_lets_every_key_speak() {
        assert_eq!(verdict(None, DAY), None);
        assert_eq!(verdict(Some(&named(&[])), DAY), None);
    }

    #[test]
    fn one_of_the_named_keys_has_to_be_the_devices() {
        assert_eq!(verdict(Some(&named(&[(2, None, None), (1, None, None)])), DAY), None);
        let said = verdict(Some(&named(&[(2, None, None), (3, None, None)])), DAY).unwrap();
        for seed in [1, 2, 3] {
            assert!(said.contains(&public(seed).short_fingerprint()), "{said}");
        }
        assert!(said.contains(&public(1).fingerprint()), "{said}");
        assert!(!said.contains(&public(9).short_fingerprint()), "{said}");
    }

    #[test]
    fn a_key_counts_in_its_time() {
        let now = named(&[(1, Some("2026-11-21"), Some("2026-11-22"))]);
        assert!(verdict(Some(&now), DAY - 1).unwrap().contains("for a later time"));
        assert_eq!(verdict(Some(&now), DAY), None);
        assert_eq!(verdict(Some(&now), DAY + 86_399), None);
        assert!(verdict(Some(&now), DAY + 86_400).unwrap().contains("for an earlier time only"));
    }
}
