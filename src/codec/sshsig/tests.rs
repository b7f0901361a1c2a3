use super::{
    armour::{BEGIN, END},
    *,
};
use crate::{
    api::limits,
    codec::pubkey::{ED25519, SK_ED25519},
};

/// `ssh-keygen -Y sign -n file` of OpenSSH 9.2 over `hello\n`, with `tests/vectors/ops.key`.
const SHA512: &str = include_str!("../../../tests/vectors/hello.sha512.sig");
/// The same with `-O hashalg=sha256`.
const SHA256: &str = include_str!("../../../tests/vectors/hello.sha256.sig");
const HELLO: &[u8] = b"hello\n";

fn key() -> SecretKey {
    SecretKey::from_openssh("ops.key", include_bytes!("../../../tests/vectors/ops.key")).unwrap()
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
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
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
    let in_64: String = in_one.as_bytes().chunks(64).flat_map(|line| [str::from_utf8(line).unwrap(), "\n"]).collect();
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
