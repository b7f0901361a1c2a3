//! What roots sign beside commits: files at the root of the exchange, each with its signatures in a file of their own.

use super::{
    calendar::Utc,
    pubkey::PublicKey,
    signers::{Distrust, Keyring},
    sshsig,
};
use crate::api::{Error, Reason, Result, limits};

/// A file that counts where a root has signed it.
pub(super) struct Paper {
    pub(super) path: &'static str,
    /// The path of its signatures.
    pub(super) signatures: &'static str,
    /// The reason to refuse it where no root has.
    pub(super) untrusted: Reason,
}

impl Paper {
    /// The root of the keyring that made one of the signatures over the bytes, at the given second since 1970.
    ///
    /// # Errors
    ///
    /// None did. The cause is the last signature's.
    pub(super) fn signer<'a>(&self, roots: &'a Keyring, bytes: &[u8], signatures: &[u8], at: i64) -> Result<&'a str> {
        let Self { path, signatures: beside, untrusted } = self;
        let refused = || {
            Error::new(*untrusted, format!("{beside} has no signature by a root that is trusted"))
                .hint(format!("as a root: ssh-keygen -Y sign -n {} -f KEY {path}", sshsig::EXCHANGE))
        };
        let mut last = refused();
        for armour in sshsig::armours(signatures).take(limits::CHARTER_SIGNATURES) {
            last = match sshsig::verify(armour, sshsig::EXCHANGE, bytes) {
                Ok(key) => match roots.judge(&key, sshsig::EXCHANGE, at) {
                    Ok(name) => return Ok(name),
                    Err(distrust) => refused().caused_by(Stranger(key, distrust)),
                },
                Err(error) => refused().caused_by(error),
            };
        }
        Err(last)
    }
}

/// A key that signed and is not trusted to.
#[derive(Debug)]
struct Stranger(PublicKey, Distrust);

impl std::fmt::Display for Stranger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self(key, distrust) = self;
        match distrust {
            Distrust::Unknown => write!(f, "{key} is no root"),
            Distrust::Namespace => write!(f, "{key} is a root, but not for the namespace {}", sshsig::EXCHANGE),
            Distrust::NotYet(first) => write!(f, "{key} is a root from {}", Utc::of_seconds(*first)),
            Distrust::NoLonger(last) => write!(f, "{key} was a root until {}", Utc::of_seconds(*last)),
        }
    }
}

impl std::error::Error for Stranger {}
