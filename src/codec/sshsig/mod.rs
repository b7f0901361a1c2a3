//! SSH signatures (SSHSIG): what `ssh-keygen -Y sign` and `git commit -S` with `gpg.format=ssh` write.
//!
//! The source is PROTOCOL.sshsig of OpenSSH. Of what it leaves open this reads the narrow form, so that bytes mean the
//! same here and in OpenSSH: nothing follows the signature, the reserved field is empty, the key is ed25519.
//!
//! ```text
//! blob:    "SSHSIG" uint32 version  string key  string namespace  string reserved  string hash  string signature
//! signed:  "SSHSIG"                             string namespace  string reserved  string hash  string H(message)
//! ```
//!
//! An authenticator (PROTOCOL.u2f of OpenSSH) does not sign these bytes but `SHA-256(application) flags counter
//! SHA-256(signed)`; its flags and counter follow the 64 bytes of its signature. It must have been touched for it.
//!
//! Whether the key is trusted is not known here: see [`signers`](super::signers).

mod armour;

use std::fmt;

use sha2::{Digest, Sha256, Sha512};

use super::{
    keyfile::SecretKey,
    pubkey::{Holder, KeyError, PublicKey, SK_APPLICATION},
    sshwire::{Fields, put_string},
};
use crate::api::Reason;

pub use armour::armours;

/// The namespace of git's signatures on commits and tags.
pub const GIT: &str = "git";
/// The namespace of the roots' signatures on a charter.
pub const EXCHANGE: &str = "giter-exchange";

const MAGIC: &[u8; 6] = b"SSHSIG";
const VERSION: u32 = 1;
/// The flag of an authenticator whose user touched it.
const TOUCHED: u8 = 1;
/// Longest namespace that is repeated in an error, in bytes.
const NAMESPACE_BYTES: usize = 64;

/// Why a signature does not prove its message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SigError {
    /// It is a signature of another kind, such as `an OpenPGP signature`.
    OtherKind(&'static str),
    /// It is no signature; says in which way.
    Malformed(&'static str),
    /// Its key is not one that is accepted.
    Key(KeyError),
    /// It was made for another purpose, given by its namespace.
    Namespace(Box<str>),
    /// Its hash algorithm is neither sha256 nor sha512.
    Hash,
    /// It is another message's, or another key's.
    Mismatch,
    /// The authenticator signed without being touched.
    Untouched,
}

impl SigError {
    /// The reason to refuse what is signed.
    pub fn reason(&self) -> Reason {
        match self {
            Self::OtherKind(_) | Self::Key(KeyError::Unsupported(_)) => Reason::UnsupportedKey,
            _ => Reason::BadSignature,
        }
    }
}

impl fmt::Display for SigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherKind(kind) => write!(f, "it is {kind}, not an SSH signature"),
            Self::Malformed(how) => write!(f, "it is not an SSH signature: {how}"),
            Self::Key(_) => f.write_str("its key is not accepted"),
            Self::Namespace(namespace) => write!(f, "it was made for the namespace {namespace:?}"),
            Self::Hash => f.write_str("its hash is neither sha256 nor sha512"),
            Self::Mismatch => f.write_str("it is not this key's signature of these bytes"),
            Self::Untouched => f.write_str("its authenticator made it without a touch"),
        }
    }
}

impl std::error::Error for SigError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Key(error) => Some(error),
            _ => None,
        }
    }
}

/// Checks that the armoured signature is one of the message, made for the namespace; returns the key that made it.
///
/// # Errors
///
/// It proves nothing; the error says why.
pub fn verify(armour: &[u8], namespace: &str, message: &[u8]) -> Result<PublicKey, SigError> {
    SshSig::from_armour(armour)?.verify(namespace, message)
}

/// Signs the message with SHA-512; returns the armour, byte for byte as `ssh-keygen -Y sign` writes it.
pub fn sign(key: &SecretKey, namespace: &str, message: &[u8]) -> String {
    let hash = Hash::Sha512;
    let signature = key.sign(&signed_bytes(namespace, hash, message));
    SshSig { key: key.public(), namespace: namespace.as_bytes().into(), hash, signature, presence: None }.to_armour()
}

/// A signature that is well formed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SshSig {
    key: PublicKey,
    namespace: Box<[u8]>,
    hash: Hash,
    signature: [u8; 64],
    /// What an authenticator says beside its signature.
    presence: Option<Presence>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Presence {
    flags: u8,
    counter: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hash {
    Sha256,
    Sha512,
}

impl SshSig {
    /// Reads the armoured form: the two marker lines with base64 between them, ending with or without a newline.
    ///
    /// # Errors
    ///
    /// The bytes are not exactly one signature of a kind that is accepted.
    pub fn from_armour(armour: &[u8]) -> Result<Self, SigError> {
        Self::from_blob(&armour::decode(armour)?)
    }

    /// Reads the binary form.
    ///
    /// # Errors
    ///
    /// The bytes are not exactly one signature by a key that is accepted.
    pub fn from_blob(blob: &[u8]) -> Result<Self, SigError> {
        const CUT: SigError = SigError::Malformed("it is cut short");
        let fields = blob.strip_prefix(MAGIC).ok_or(SigError::Malformed("it does not begin with SSHSIG"))?;
        let mut fields = Fields::of(fields);
        if fields.uint32().ok_or(CUT)? != VERSION {
            return Err(SigError::Malformed("its version is not 1"));
        }
        let key = fields.string().ok_or(CUT)?;
        let namespace = fields.string().ok_or(CUT)?;
        let reserved = fields.string().ok_or(CUT)?;
        let hash = fields.string().ok_or(CUT)?;
        let signature = fields.string().ok_or(CUT)?;
        if !fields.is_empty() {
            return Err(SigError::Malformed("bytes follow it"));
        }

        let key = PublicKey::from_blob(key).map_err(SigError::Key)?;
        if namespace.is_empty() {
            return Err(SigError::Malformed("its namespace is empty"));
        }
        // Off-spec: the specification ignores the reserved field; OpenSSH signs over an empty one whatever stands there.
        if !reserved.is_empty() {
            return Err(SigError::Malformed("its reserved field is not empty"));
        }
        let hash = match hash {
            b"sha256" => Hash::Sha256,
            b"sha512" => Hash::Sha512,
            _ => return Err(SigError::Hash),
        };
        let (signature, presence) = signature_of(key.holder(), signature)?;
        Ok(Self { key, namespace: namespace.into(), hash, signature, presence })
    }

    /// Checks that this is the signature of the message, made for the namespace; returns the key that made it.
    ///
    /// # Errors
    ///
    /// `Namespace`, `Mismatch` or `Untouched`.
    pub fn verify(&self, namespace: &str, message: &[u8]) -> Result<PublicKey, SigError> {
        if *self.namespace != *namespace.as_bytes() {
            let mut found = String::from_utf8_lossy(&self.namespace).into_owned();
            found.truncate(found.floor_char_boundary(NAMESPACE_BYTES));
            return Err(SigError::Namespace(found.into()));
        }
        let mut signed = signed_bytes(namespace, self.hash, message);
        if let Some(presence) = self.presence {
            signed = presence.signed_bytes(&signed);
        }
        if self.key.verifies(&signed, &self.signature) {
            match self.presence {
                Some(Presence { flags, .. }) if flags & TOUCHED == 0 => Err(SigError::Untouched),
                _ => Ok(self.key),
            }
        } else {
            Err(SigError::Mismatch)
        }
    }

    /// The armoured form, with a newline at its end.
    pub fn to_armour(&self) -> String {
        armour::encode(&self.to_blob())
    }

    /// The binary form.
    pub fn to_blob(&self) -> Vec<u8> {
        let mut signature = Vec::new();
        put_string(&mut signature, self.key.holder().type_name().as_bytes());
        put_string(&mut signature, &self.signature);
        if let Some(Presence { flags, counter }) = self.presence {
            signature.push(flags);
            signature.extend_from_slice(&counter.to_be_bytes());
        }

        let mut blob = MAGIC.to_vec();
        blob.extend_from_slice(&VERSION.to_be_bytes());
        put_string(&mut blob, &self.key.to_blob());
        put_string(&mut blob, &self.namespace);
        put_string(&mut blob, b"");
        put_string(&mut blob, self.hash.name());
        put_string(&mut blob, &signature);
        blob
    }
}

impl Hash {
    fn name(self) -> &'static [u8] {
        match self {
            Self::Sha256 => b"sha256",
            Self::Sha512 => b"sha512",
        }
    }
}

/// RFC 8709 section 6: `string` type, `string` of 64 bytes; of an authenticator `byte` flags and `uint32` counter too.
fn signature_of(holder: Holder, blob: &[u8]) -> Result<([u8; 64], Option<Presence>), SigError> {
    const LENGTH: SigError = SigError::Malformed("its signature does not have 64 bytes");
    let mut fields = Fields::of(blob);
    if fields.string() != Some(holder.type_name().as_bytes()) {
        return Err(SigError::Malformed("its signature is of another type than its key"));
    }
    let bytes = fields.string().and_then(|bytes| bytes.try_into().ok()).ok_or(LENGTH)?;
    let presence = match holder {
        Holder::File => None,
        Holder::Authenticator => {
            let presence = fields.byte().zip(fields.uint32()).map(|(flags, counter)| Presence { flags, counter });
            Some(presence.ok_or(SigError::Malformed("its signature has no flags and counter"))?)
        }
    };
    if fields.is_empty() { Ok((bytes, presence)) } else { Err(LENGTH) }
}

impl Presence {
    /// What an authenticator signs for the given bytes.
    fn signed_bytes(self, signed: &[u8]) -> Vec<u8> {
        let mut bytes = Sha256::digest(SK_APPLICATION).to_vec();
        bytes.push(self.flags);
        bytes.extend_from_slice(&self.counter.to_be_bytes());
        bytes.extend_from_slice(&Sha256::digest(signed));
        bytes
    }
}

/// What the key signs.
fn signed_bytes(namespace: &str, hash: Hash, message: &[u8]) -> Vec<u8> {
    let mut signed = MAGIC.to_vec();
    put_string(&mut signed, namespace.as_bytes());
    put_string(&mut signed, b"");
    put_string(&mut signed, hash.name());
    match hash {
        Hash::Sha256 => put_string(&mut signed, &Sha256::digest(message)),
        Hash::Sha512 => put_string(&mut signed, &Sha512::digest(message)),
    }
    signed
}

#[cfg(test)]
mod tests;
