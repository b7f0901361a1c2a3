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

use std::fmt;

use base64ct::{Base64, Encoding};
use sha2::{Digest, Sha256, Sha512};

use super::{
    keyfile::SecretKey,
    pubkey::{Holder, KeyError, PublicKey, SK_APPLICATION},
    sshwire::{Fields, put_string},
};
use crate::api::{Reason, limits};

/// The namespace of git's signatures on commits and tags.
pub const GIT: &str = "git";
/// The namespace of the roots' signatures on a charter.
pub const EXCHANGE: &str = "giter-exchange";

const MAGIC: &[u8; 6] = b"SSHSIG";
const VERSION: u32 = 1;
const BEGIN: &str = "-----BEGIN SSH SIGNATURE-----";
const END: &str = "-----END SSH SIGNATURE-----";
/// Columns of a base64 line as ssh-keygen writes it.
const COLUMNS: usize = 70;
/// Columns of the longest base64 line that is read: MIME's.
const MOST_COLUMNS: usize = 76;
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

/// The armoured signatures that stand one after another in a file, as `cat a.sig b.sig` leaves them.
pub fn armours(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let end = rest.windows(END.len()).position(|window| window == END.as_bytes()).map(|at| at + END.len());
        let end = end.map(|end| end + usize::from(rest.get(end) == Some(&b'\n')));
        let (armour, after) = rest.split_at(end.unwrap_or(rest.len()));
        rest = after;
        Some(armour).filter(|armour| !armour.is_empty())
    })
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
        if armour.len() > limits::SIGNATURE_BYTES {
            return Err(SigError::Malformed("it is too long"));
        }
        let text = str::from_utf8(armour).map_err(|_| SigError::Malformed("it is not text"))?;
        for (begin, kind) in [
            ("-----BEGIN PGP SIGNATURE-----", "an OpenPGP signature"),
            ("-----BEGIN PGP MESSAGE-----", "an OpenPGP signature"),
            ("-----BEGIN SIGNED MESSAGE-----", "an X.509 signature"),
        ] {
            if text.starts_with(begin) {
                return Err(SigError::OtherKind(kind));
            }
        }
        let body = text.strip_prefix(BEGIN).and_then(|text| text.strip_prefix('\n'));
        let body = body.ok_or(SigError::Malformed("it does not begin with its marker line"))?;
        let body = body.strip_suffix('\n').unwrap_or(body);
        let body = body.strip_suffix(END).and_then(|text| text.strip_suffix('\n'));
        let body = body.ok_or(SigError::Malformed("it does not end with its marker line"))?;

        let mut base64 = String::with_capacity(body.len());
        for line in body.split('\n') {
            if line.is_empty() || line.len() > MOST_COLUMNS {
                return Err(SigError::Malformed("a line is empty or too long"));
            }
            base64.push_str(line);
        }
        Self::from_blob(&Base64::decode_vec(&base64).map_err(|_| SigError::Malformed("its base64 is damaged"))?)
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
        let base64 = Base64::encode_string(&self.to_blob());
        let mut armour = String::with_capacity(base64.len() + 80);
        armour.push_str(BEGIN);
        for (at, character) in base64.char_indices() {
            if at % COLUMNS == 0 {
                armour.push('\n');
            }
            armour.push(character);
        }
        armour.push('\n');
        armour.push_str(END);
        armour.push('\n');
        armour
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
mod tests {
    use super::*;
    use crate::codec::pubkey::{ED25519, SK_ED25519};

    /// `ssh-keygen -Y sign -n file` of OpenSSH 9.2 over `hello\n`, with `tests/vectors/ops.key`.
    const SHA512: &str = include_str!("../../tests/vectors/hello.sha512.sig");
    /// The same with `-O hashalg=sha256`.
    const SHA256: &str = include_str!("../../tests/vectors/hello.sha256.sig");
    const HELLO: &[u8] = b"hello\n";

    fn key() -> SecretKey {
        SecretKey::from_openssh("ops.key", include_bytes!("../../tests/vectors/ops.key")).unwrap()
    }

    fn blob(armour: &str) -> Vec<u8> {
        SshSig::from_armour(armour.as_bytes()).unwrap().to_blob()
    }

    /// The blob of a signature from its parts, each as given.
    fn assembled(key: &[u8], reserved: &[u8], hash: &[u8], signature: &[u8]) -> Vec<u8> {
        let mut blob = b"SSHSIG\0\0\0\x01".to_vec();
        for field in [key, b"file", reserved, hash, signature] {
            put_string(&mut blob, field);
        }
        blob
    }

    fn typed(name: &str, bytes: &[u8]) -> Vec<u8> {
        let mut typed = Vec::new();
        put_string(&mut typed, name.as_bytes());
        put_string(&mut typed, bytes);
        typed
    }

    #[test]
    fn what_ssh_keygen_signed_verifies() {
        for armour in [SHA512, SHA256] {
            assert_eq!(verify(armour.as_bytes(), "file", HELLO), Ok(key().public()));
            assert_eq!(SshSig::from_armour(armour.as_bytes()).unwrap().to_armour(), armour);
        }
    }

    #[test]
    fn what_we_sign_is_what_ssh_keygen_writes() {
        assert_eq!(sign(&key(), "file", HELLO), SHA512);
    }

    #[test]
    fn another_message_or_namespace_is_refused() {
        assert_eq!(verify(SHA512.as_bytes(), "file", b"hello"), Err(SigError::Mismatch));
        assert_eq!(verify(SHA512.as_bytes(), GIT, HELLO), Err(SigError::Namespace("file".into())));
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_refused() {
        let good = blob(SHA512);
        for at in 0..good.len() {
            assert!(SshSig::from_blob(&good[..at]).is_err(), "cut at {at}");
            for bit in 0..8 {
                let mut bad = good.clone();
                bad[at] ^= 1 << bit;
                let verdict = SshSig::from_blob(&bad).and_then(|sig| sig.verify("file", HELLO));
                assert!(verdict.is_err(), "bit {bit} of byte {at}");
            }
        }
        assert_eq!(SshSig::from_blob(&[&good[..], b"\0"].concat()), Err(SigError::Malformed("bytes follow it")));
    }

    /// What an authenticator with the seed's key would sign.
    fn touched(flags: u8) -> SshSig {
        let key = SecretKey::from_seed(&[7; 32]);
        let mut blob = Vec::new();
        put_string(&mut blob, SK_ED25519.as_bytes());
        blob.extend_from_slice(&key.public().to_blob()[4 + ED25519.len()..]);
        put_string(&mut blob, SK_APPLICATION.as_bytes());
        let presence = Presence { flags, counter: 9 };
        let signature = key.sign(&presence.signed_bytes(&signed_bytes("file", Hash::Sha512, HELLO)));
        let key = PublicKey::from_blob(&blob).unwrap();
        SshSig { key, namespace: (*b"file").into(), hash: Hash::Sha512, signature, presence: Some(presence) }
    }

    #[test]
    fn an_authenticator_signs_when_it_is_touched() {
        for flags in [1, 5] {
            let sig = touched(flags);
            assert_eq!(SshSig::from_armour(sig.to_armour().as_bytes()), Ok(sig.clone()));
            assert_eq!(sig.verify("file", HELLO), Ok(sig.key));
            assert_eq!(sig.verify("file", b"hello"), Err(SigError::Mismatch));
        }
        assert_eq!(touched(0).verify("file", HELLO), Err(SigError::Untouched));
        // Neither flags nor counter can be changed afterwards.
        for presence in [Presence { flags: 5, counter: 9 }, Presence { flags: 1, counter: 8 }] {
            let changed = SshSig { presence: Some(presence), ..touched(1) };
            assert_eq!(changed.verify("file", HELLO), Err(SigError::Mismatch));
        }
        let good = touched(1).to_blob();
        for end in 0..good.len() {
            assert!(SshSig::from_blob(&good[..end]).is_err(), "cut at {end}");
        }
    }

    #[test]
    fn signatures_stand_one_after_another() {
        let both = format!("{SHA512}{SHA256}");
        assert_eq!(armours(both.as_bytes()).collect::<Vec<_>>(), [SHA512.as_bytes(), SHA256.as_bytes()]);
        assert_eq!(armours(b"").count(), 0);
        let junk = format!("{SHA512}junk");
        assert_eq!(armours(junk.as_bytes()).collect::<Vec<_>>(), [SHA512.as_bytes(), b"junk"]);
    }

    #[test]
    fn a_signature_that_is_not_reduced_is_refused() {
        // The order of the base point, RFC 8032 section 5.1, little-endian.
        const L: [u8; 32] = [
            0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0,
            0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
        ];
        let mut sig = SshSig::from_armour(SHA512.as_bytes()).unwrap();
        let mut carry = 0;
        for (byte, add) in sig.signature[32..].iter_mut().zip(L) {
            let sum = u16::from(*byte) + u16::from(add) + carry;
            (*byte, carry) = (sum as u8, sum >> 8);
        }
        assert_eq!(carry, 0);
        assert_eq!(sig.verify("file", HELLO), Err(SigError::Mismatch));
    }

    #[test]
    fn a_key_of_small_order_signs_nothing() {
        // With the identity as key, R = identity and S = 0 satisfy the equation for every message.
        let mut identity = [0; 32];
        identity[0] = 1;
        let mut signature = [0; 64];
        signature[0] = 1;
        let blob = assembled(&typed(ED25519, &identity), b"", b"sha512", &typed(ED25519, &signature));
        assert_eq!(SshSig::from_blob(&blob), Err(SigError::Key(KeyError::Weak)));
    }

    #[test]
    fn other_kinds_are_refused_by_name() {
        let rsa = assembled(&typed("ssh-rsa", &[1]), b"", b"sha512", &typed("rsa-sha2-512", &[1]));
        let error = SshSig::from_blob(&rsa).unwrap_err();
        assert_eq!(error, SigError::Key(KeyError::Unsupported("ssh-rsa".into())));
        assert_eq!(error.reason(), Reason::UnsupportedKey);
        for (armour, kind) in [
            ("-----BEGIN PGP SIGNATURE-----\n\niQ==\n-----END PGP SIGNATURE-----\n", "an OpenPGP signature"),
            ("-----BEGIN SIGNED MESSAGE-----\nMIA=\n-----END SIGNED MESSAGE-----\n", "an X.509 signature"),
        ] {
            assert_eq!(SshSig::from_armour(armour.as_bytes()), Err(SigError::OtherKind(kind)));
        }
    }

    #[test]
    fn fields_out_of_line_are_refused() {
        let sig = SshSig::from_armour(SHA512.as_bytes()).unwrap();
        let key = sig.key.to_blob();
        let good = typed(ED25519, &sig.signature);
        assert_eq!(SshSig::from_blob(&assembled(&key, b"", b"sha512", &good)), Ok(sig.clone()));
        assert_eq!(SshSig::from_blob(&assembled(&key, b"", b"sha1", &good)), Err(SigError::Hash));
        for blob in [
            assembled(&key, b"x", b"sha512", &good),
            assembled(&key, b"", b"sha512", &typed("ssh-rsa", &sig.signature)),
            assembled(&key, b"", b"sha512", &typed(ED25519, &sig.signature[..63])),
            assembled(&key, b"", b"sha512", &[&good[..], b"\0"].concat()),
            assembled(&[&key[..], b"\0"].concat(), b"", b"sha512", &good),
        ] {
            assert_eq!(SshSig::from_blob(&blob).unwrap_err().reason(), Reason::BadSignature);
        }
    }

    #[test]
    fn armour_is_read_narrowly() {
        let body = SHA512.strip_prefix(BEGIN).unwrap().strip_suffix(&format!("{END}\n")).unwrap();
        let in_one = body.replace('\n', "");
        let in_64: String =
            in_one.as_bytes().chunks(64).flat_map(|line| [str::from_utf8(line).unwrap(), "\n"]).collect();
        for good in [format!("{BEGIN}{body}{END}"), format!("{BEGIN}\n{in_64}{END}\n")] {
            assert_eq!(verify(good.as_bytes(), "file", HELLO), Ok(key().public()), "{good}");
        }
        for bad in [
            String::new(),
            format!("{BEGIN}\n{END}\n"),
            format!("{BEGIN}{END}\n"),
            format!("{BEGIN}\n{in_one}\n{END}\n"),
            format!(" {SHA512}"),
            format!("{SHA512}\n"),
            format!("{SHA512}x"),
            format!("{SHA512}{SHA512}"),
            SHA512.replace('\n', "\r\n"),
            SHA512.replace('\n', "\n\n"),
            SHA512.replace("\nU1NI", "\n U1NI"),
            SHA512.replace("\nU1NI", "\nU1=I"),
            SHA512.replace(END, ""),
            SHA512[..SHA512.len() - 20].into(),
            format!("{BEGIN}\n{}\n{END}\n", "A\n".repeat(limits::SIGNATURE_BYTES)),
        ] {
            assert_eq!(SshSig::from_armour(bad.as_bytes()).unwrap_err().reason(), Reason::BadSignature, "{bad}");
        }
        assert!(SshSig::from_armour(b"\xff").is_err());
    }
}
