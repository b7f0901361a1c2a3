//! Private keys: the file that `ssh-keygen -t ed25519` writes (PROTOCOL.key of OpenSSH), without a passphrase.
//!
//! The bytes are wiped when they are dropped. Where the file lies and who may read it is the caller's care.

use std::fmt;

use ed25519_dalek::{Signer, SigningKey};
use ssh_key::{
    LineEnding, PrivateKey,
    private::{Ed25519Keypair, Ed25519PrivateKey, KeypairData},
    public::Ed25519PublicKey,
};
use zeroize::Zeroizing;

use super::pubkey::{ED25519, PublicKey};
use crate::api::{Error, Reason, Result, limits};

/// An ed25519 private key.
#[derive(Clone)]
pub struct SecretKey(SigningKey);

impl SecretKey {
    /// The key that grows from 32 random bytes.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// Reads the text of a private key file; `name` is what errors call the file.
    ///
    /// # Errors
    ///
    /// `BadKeyFile` if it is no OpenSSH private key, has a passphrase, or is of another type than ed25519.
    pub fn from_openssh(name: &str, text: &[u8]) -> Result<Self> {
        let bad = |what: &str| Error::new(Reason::BadKeyFile, format!("{name} {what}"));
        if text.len() > limits::CONFIG_BYTES {
            return Err(bad("is too long for a private key").hint(MAKE_ONE));
        }
        let file = PrivateKey::from_openssh(text)
            .map_err(|e| bad("is not an OpenSSH private key of type ssh-ed25519").hint(MAKE_ONE).caused_by(e))?;
        match file.key_data() {
            KeypairData::Ed25519(pair) => Some(Self::from_seed(pair.private.as_ref()))
                .filter(|key| key.0.verifying_key().as_bytes() == pair.public.as_ref())
                .ok_or_else(|| bad("has a public half that is not the private half's").hint(MAKE_ONE)),
            KeypairData::Encrypted(_) => Err(bad("is protected by a passphrase, which nobody could type on a device")
                .hint(format!("remove it with: ssh-keygen -p -N '' -f {name}"))),
            _ => Err(bad(&format!("has the type {}, not {ED25519}", file.algorithm())).hint(MAKE_ONE)),
        }
    }

    /// The text of a private key file, as ssh-keygen reads it. The comment stands in the file, for people.
    ///
    /// # Errors
    ///
    /// `Bug` if the comment does not fit the format.
    pub fn to_openssh(&self, comment: &str) -> Result<Zeroizing<String>> {
        let pair = Ed25519Keypair {
            public: Ed25519PublicKey(self.0.verifying_key().to_bytes()),
            private: Ed25519PrivateKey::from_bytes(self.0.as_bytes()),
        };
        PrivateKey::new(KeypairData::Ed25519(pair), comment)
            .and_then(|file| file.to_openssh(LineEnding::LF))
            .map_err(|e| Error::new(Reason::Bug, "cannot write a private key").caused_by(e))
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        PublicKey::of(&self.0)
    }

    /// Signs (RFC 8032, plain ed25519). See [`sshsig::sign`](super::sshsig::sign) for what OpenSSH and git understand.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({})", self.public())
    }
}

const MAKE_ONE: &str = "make a key with: ssh-keygen -t ed25519 -N ''";

#[cfg(test)]
mod tests {
    use super::*;

    const OPS: &str = include_str!("../../tests/vectors/ops.key");
    const OPS_PUB: &str = include_str!("../../tests/vectors/ops.key.pub");

    fn refusal(text: &[u8]) -> String {
        let error = SecretKey::from_openssh("ssh.key", text).unwrap_err();
        assert_eq!(error.reason(), Reason::BadKeyFile);
        assert!(error.get_hint().is_some());
        error.to_string()
    }

    #[test]
    fn a_key_of_ssh_keygen_is_read_and_written() {
        let key = SecretKey::from_openssh("ops.key", OPS.as_bytes()).unwrap();
        assert_eq!(format!("{} ops@plant-7\n", key.public().to_openssh()), OPS_PUB);
        let again = key.to_openssh("ops@plant-7").unwrap();
        let again = SecretKey::from_openssh("again", again.as_bytes()).unwrap();
        assert_eq!(again.public(), key.public());
        assert_eq!(again.sign(b"x"), key.sign(b"x"));
    }

    #[test]
    fn what_cannot_be_used_is_refused_in_clear_words() {
        let encrypted = include_bytes!("../../tests/vectors/encrypted.key");
        assert!(refusal(encrypted).contains("protected by a passphrase"));
        assert!(refusal(include_bytes!("../../tests/vectors/rsa.key")).contains("has the type ssh-rsa"));
        for garbage in [&b""[..], b"\xff\0", OPS_PUB.as_bytes(), &OPS.as_bytes()[..200], &[b'A'; 100_000]] {
            refusal(garbage);
        }
    }

    #[test]
    fn a_foreign_public_half_is_refused() {
        let seed = [7; 32];
        let pair = Ed25519Keypair { public: Ed25519PublicKey([9; 32]), private: Ed25519PrivateKey::from_bytes(&seed) };
        let text = PrivateKey::new(KeypairData::Ed25519(pair), "").unwrap().to_openssh(LineEnding::LF).unwrap();
        assert!(refusal(text.as_bytes()).contains("public half"));
    }

    #[test]
    fn debug_shows_no_secret() {
        let key = SecretKey::from_seed(&[7; 32]);
        assert_eq!(format!("{key:?}"), format!("SecretKey({})", key.public().fingerprint()));
    }
}
