//! Public keys: ed25519 in OpenSSH's forms (RFC 4253 section 6.6, RFC 8709 section 4), held by a file or by a FIDO
//! authenticator (PROTOCOL.u2f of OpenSSH).
//!
//! A [`PublicKey`] is fit to prove something from the moment it exists: a point of small order, which lets anybody
//! sign anything, and a second encoding of the same point are refused when the key is read, not when it is used.

use std::fmt;

use base64ct::{Base64, Base64Unpadded, Encoding};
use ed25519_dalek::{Signature, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};

use super::sshwire::{Fields, put_string};

/// The type of a key in a file, as OpenSSH names it.
pub const ED25519: &str = "ssh-ed25519";
/// The type of a key in an authenticator, as OpenSSH names it.
pub const SK_ED25519: &str = "sk-ssh-ed25519@openssh.com";
/// The application that an authenticator signs for: ssh-keygen's own.
pub const SK_APPLICATION: &str = "ssh:";

/// Longest key type that is repeated in an error, in bytes.
const NAME_BYTES: usize = 64;

/// Why bytes or text are not a key that is accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyError {
    /// They are no key at all; says in which way.
    Malformed(&'static str),
    /// They are a key of another type, given by its name, such as `ssh-rsa`.
    Unsupported(Box<str>),
    /// The point has small order, or is not encoded in the one canonical way.
    Weak,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(how) => write!(f, "it is not a public key: {how}"),
            Self::Unsupported(name) => write!(f, "{name} keys are not accepted, only {ED25519} and {SK_ED25519}"),
            Self::Weak => f.write_str("the key is a point of small order or not canonical, so it proves nothing"),
        }
    }
}

impl std::error::Error for KeyError {}

/// An ed25519 public key. The same point in a file and in an authenticator are two keys.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey {
    point: VerifyingKey,
    holder: Holder,
}

/// What holds the private half.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// A file, or an agent that read one.
    File,
    /// A FIDO authenticator.
    Authenticator,
}

impl Holder {
    /// The type of such a key and of its signatures.
    pub fn type_name(self) -> &'static str {
        match self {
            Self::File => ED25519,
            Self::Authenticator => SK_ED25519,
        }
    }

    fn of_type(name: &[u8]) -> Result<Self, KeyError> {
        let found = [Self::File, Self::Authenticator].into_iter().find(|holder| holder.type_name().as_bytes() == name);
        found.ok_or_else(|| unsupported(name))
    }
}

impl PublicKey {
    /// Takes the 32 bytes of RFC 8032 section 5.1.2, for a key in a file.
    ///
    /// # Errors
    ///
    /// The bytes are no point, or one that proves nothing.
    pub fn new(bytes: &[u8; 32]) -> Result<Self, KeyError> {
        Self::held(Holder::File, bytes)
    }

    fn held(holder: Holder, bytes: &[u8; 32]) -> Result<Self, KeyError> {
        let point =
            VerifyingKey::from_bytes(bytes).map_err(|_| KeyError::Malformed("its bytes are not on the curve"))?;
        let canonical = point.to_edwards().compress().as_bytes() == bytes;
        if point.is_weak() || !canonical { Err(KeyError::Weak) } else { Ok(Self { point, holder }) }
    }

    /// The public half of a private key. It cannot be weak: RFC 8032 section 5.1.5 clamps the private scalar to a
    /// multiple of 8 between 0 and 8 times the (odd) order of the base point, so the point has the full order.
    pub(super) fn of(key: &SigningKey) -> Self {
        Self { point: key.verifying_key(), holder: Holder::File }
    }

    /// Reads OpenSSH's binary form: `string` type, `string` of 32 bytes, and of an authenticator's key `string`
    /// application.
    ///
    /// # Errors
    ///
    /// The bytes are not exactly one such key.
    pub fn from_blob(blob: &[u8]) -> Result<Self, KeyError> {
        let mut fields = Fields::of(blob);
        let name = fields.string().ok_or(KeyError::Malformed("it is cut short"))?;
        let holder = Holder::of_type(name)?;
        let point = fields.string().ok_or(KeyError::Malformed("it is cut short"))?;
        let point = point.try_into().map_err(|_| KeyError::Malformed("it does not have 32 bytes"))?;
        if holder == Holder::Authenticator && fields.string() != Some(SK_APPLICATION.as_bytes()) {
            return Err(KeyError::Malformed("its application is not ssh:"));
        }
        if !fields.is_empty() {
            return Err(KeyError::Malformed("bytes follow the key"));
        }
        Self::held(holder, point)
    }

    /// Reads OpenSSH's text form, `ssh-ed25519 AAAA... [comment]`, as it stands in a `.pub` file.
    ///
    /// # Errors
    ///
    /// The text is not one such key.
    pub fn from_openssh(text: &str) -> Result<Self, KeyError> {
        let mut words = text.split_ascii_whitespace();
        let name = words.next().ok_or(KeyError::Malformed("it is empty"))?;
        let base64 = words.next().ok_or(KeyError::Malformed("type and base64 are not both there"))?;
        let holder = Holder::of_type(name.as_bytes())?;
        let key =
            Self::from_blob(&Base64::decode_vec(base64).map_err(|_| KeyError::Malformed("its base64 is damaged"))?)?;
        if key.holder == holder { Ok(key) } else { Err(KeyError::Malformed("its base64 is of another type")) }
    }

    /// OpenSSH's binary form.
    pub fn to_blob(&self) -> Vec<u8> {
        let mut blob = Vec::with_capacity(80);
        put_string(&mut blob, self.holder.type_name().as_bytes());
        put_string(&mut blob, self.point.as_bytes());
        if self.holder == Holder::Authenticator {
            put_string(&mut blob, SK_APPLICATION.as_bytes());
        }
        blob
    }

    /// OpenSSH's text form without a comment.
    pub fn to_openssh(&self) -> String {
        format!("{} {}", self.holder.type_name(), Base64::encode_string(&self.to_blob()))
    }

    /// The fingerprint as `ssh-keygen -l` prints it: `SHA256:` and 43 characters.
    pub fn fingerprint(&self) -> String {
        format!("SHA256:{}", Base64Unpadded::encode_string(&Sha256::digest(self.to_blob())))
    }

    /// The first 80 bits of what the fingerprint is of, in four groups of four, for people to compare between a screen
    /// and a board: Crockford's base32 in lower case, which has no `i`, `l`, `o` and `u`. To find a second key with the
    /// same takes 2^80 tries.
    pub fn short_fingerprint(&self) -> String {
        const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
        let digest = Sha256::digest(self.to_blob());
        let bits = digest[..10].iter().fold(0u128, |bits, byte| bits << 8 | u128::from(*byte));
        let digit = |at: u32| char::from(DIGITS[(bits >> (75 - 5 * at)) as usize & 31]);
        let group = |group: u32| (4 * group..4 * group + 4).map(digit).collect::<String>();
        [0, 1, 2, 3].map(group).join("-")
    }

    /// What holds the private half, which decides what its signatures look like.
    pub fn holder(&self) -> Holder {
        self.holder
    }

    /// Whether the 64 bytes of RFC 8032 section 5.1.6 are this key's signature of the message; in the strict reading,
    /// in which one key and message have no second valid encoding of one signature.
    pub fn verifies(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        self.point.verify_strict(message, &Signature::from_bytes(signature)).is_ok()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.fingerprint())
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

/// The error for a key of another type; the name is repeated only if it looks like one (RFC 4251 section 6).
fn unsupported(name: &[u8]) -> KeyError {
    match str::from_utf8(name) {
        Ok(name) if is_name(name) => KeyError::Unsupported(name.into()),
        _ => KeyError::Malformed("its type is not a name"),
    }
}

fn is_name(name: &str) -> bool {
    (1..=NAME_BYTES).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',')
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAID5Z3qgA6KaIKisTzbmldeOgtK3hyHmwaIBUB7S9Ao8u ops@plant-7";

    #[test]
    fn text_blob_and_bytes_agree() {
        let key = PublicKey::from_openssh(LINE).unwrap();
        assert_eq!(format!("{} ops@plant-7", key.to_openssh()), LINE);
        assert_eq!(PublicKey::from_blob(&key.to_blob()), Ok(key));
        assert_eq!(key.fingerprint(), "SHA256:kG3IX0oYeG7A8hTRgrTo9v++PBx5Fk9vdz3uhTmYHlE");
    }

    /// `ssh-keygen -lf ops.key.pub | cut -d: -f2 | cut -d' ' -f1 | base64 -d | head -c 10 | base32`, in other digits.
    #[test]
    fn a_short_fingerprint_is_four_groups_of_base32() {
        let short = |line: &str| PublicKey::from_openssh(line).unwrap().short_fingerprint();
        assert_eq!(short(LINE), "j1pw-gqta-31w6-xg7j");
        let digits = |short: &str| short.bytes().filter(|byte| *byte != b'-').all(|byte| byte.is_ascii_alphanumeric());
        for seed in 0..=u8::MAX {
            let key = SigningKey::from_bytes(&[seed; 32]);
            let short = PublicKey::of(&key).short_fingerprint();
            assert!(short.len() == 19 && digits(&short) && !short.contains(['i', 'l', 'o', 'u']), "{short}");
        }
    }

    #[test]
    fn a_key_in_an_authenticator_is_another_key() {
        let key = PublicKey::from_openssh(LINE).unwrap();
        let blob = |application: &str| {
            let mut blob = Vec::new();
            put_string(&mut blob, SK_ED25519.as_bytes());
            put_string(&mut blob, key.point.as_bytes());
            put_string(&mut blob, application.as_bytes());
            blob
        };
        let held = PublicKey::from_blob(&blob("ssh:")).unwrap();
        assert_ne!(held, key);
        assert_eq!(held.to_blob(), blob("ssh:"));
        assert_eq!(PublicKey::from_openssh(&held.to_openssh()), Ok(held));
        for bad in [blob("web:"), blob("")[..blob("").len() - 4].into(), [&blob("ssh:")[..], b"x"].concat()] {
            assert!(PublicKey::from_blob(&bad).is_err());
        }
        let mixed = held.to_openssh().replacen(SK_ED25519, ED25519, 1);
        assert!(PublicKey::from_openssh(&mixed).is_err());
    }

    #[test]
    fn other_types_are_refused_by_name() {
        for name in
            ["ssh-rsa", "ecdsa-sha2-nistp256", "sk-ecdsa-sha2-nistp256@openssh.com", "ssh-ed25519-cert-v01@openssh.com"]
        {
            let mut blob = Vec::new();
            put_string(&mut blob, name.as_bytes());
            put_string(&mut blob, &[3; 32]);
            let unsupported = KeyError::Unsupported(name.into());
            assert_eq!(PublicKey::from_blob(&blob), Err(unsupported.clone()));
            assert_eq!(PublicKey::from_openssh(&format!("{name} AAAA")), Err(unsupported));
        }
    }

    #[test]
    fn a_name_that_is_none_is_not_repeated() {
        for name in [&b"\x1b[2J"[..], b"", &[b'x'; 65], b"\xff"] {
            let mut blob = Vec::new();
            put_string(&mut blob, name);
            assert_eq!(PublicKey::from_blob(&blob), Err(KeyError::Malformed("its type is not a name")));
        }
    }

    /// The encodings, canonical and not, of the eight points of small order: `y` and the sign of `x`.
    #[test]
    fn points_that_prove_nothing_are_refused() {
        let near_p = |low: u8| {
            let mut bytes = [0xff; 32];
            (bytes[0], bytes[31]) = (low, 0x7f);
            bytes
        };
        let small = |low: u8| {
            let mut bytes = [0; 32];
            bytes[0] = low;
            bytes
        };
        let of_order_8 = [
            [
                0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5,
                0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
            ],
            [
                0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a,
                0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
            ],
        ];
        let orders_1_to_4 = [small(1), near_p(0xec), small(0), near_p(0xed), near_p(0xee)];
        for mut bytes in orders_1_to_4.into_iter().chain(of_order_8) {
            assert_eq!(PublicKey::new(&bytes), Err(KeyError::Weak), "{bytes:02x?}");
            bytes[31] |= 0x80;
            assert_eq!(PublicKey::new(&bytes), Err(KeyError::Weak), "{bytes:02x?}");
        }
    }

    #[test]
    fn a_second_encoding_of_a_good_point_is_refused() {
        // y = p + 3 and p + 4 are on the curve and of large order; their canonical forms are 3 and 4.
        let found = (0..19u8).filter_map(|low| {
            let mut bytes = [0xff; 32];
            bytes[0] = 0xed + low;
            bytes[31] = 0x7f;
            let key = VerifyingKey::from_bytes(&bytes).ok().filter(|key| !key.is_weak())?;
            Some((key, bytes))
        });
        let found: Vec<_> = found.collect();
        assert!(!found.is_empty());
        for (key, bytes) in found {
            assert_eq!(PublicKey::new(&bytes), Err(KeyError::Weak));
            assert!(PublicKey::new(key.to_edwards().compress().as_bytes()).is_ok());
        }
    }

    #[test]
    fn damaged_keys_are_refused() {
        let blob = PublicKey::from_openssh(LINE).unwrap().to_blob();
        for end in 0..blob.len() {
            assert!(PublicKey::from_blob(&blob[..end]).is_err(), "cut at {end}");
        }
        assert!(PublicKey::from_blob(&[&blob[..], b"\0"].concat()).is_err());
        for text in ["", "ssh-ed25519", "ssh-ed25519 AAAA", "ssh-ed25519 !!!!", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA"]
        {
            assert!(PublicKey::from_openssh(text).is_err(), "{text}");
        }
    }
}
