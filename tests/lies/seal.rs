//! Signatures by hand, each part of which can be wrong (PROTOCOL.sshsig of OpenSSH). Shares no code with the verifier.

use std::{
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use base64ct::{Base64, Encoding};
use giter_edge::codec::{keyfile::SecretKey, pubkey::PublicKey};
use sha2::{Digest, Sha256, Sha512};

use crate::recipe::Seal;

/// The key of that name; any name has one.
pub(crate) fn key(name: &str) -> SecretKey {
    SecretKey::from_seed(&Sha256::digest(name).into())
}

/// The public half in OpenSSH's text form; that of an authenticator for `NAME@APPLICATION`.
pub(crate) fn public(name: &str) -> String {
    match name.split_once('@') {
        None => PublicKey::to_openssh(&key(name).public()),
        Some((name, application)) => {
            let blob = strings(&[AUTHENTICATOR.as_bytes(), &point(name), application.as_bytes()]);
            format!("{AUTHENTICATOR} {}", Base64::encode_string(&blob))
        }
    }
}

const AUTHENTICATOR: &str = "sk-ssh-ed25519@openssh.com";

fn point(name: &str) -> [u8; 32] {
    *key(name).public().to_blob().last_chunk().unwrap()
}

/// The armoured signature of the bytes. `folder` is for ssh-keygen, if that is who signs.
pub(crate) fn armour(seal: &Seal, message: &[u8], folder: &Path) -> String {
    let mut armour = match (&seal.text, seal.by.as_deref()) {
        (Some(text), _) => text.clone(),
        (None, None) => wrap(&blob(seal, message)),
        (None, Some("ssh-keygen")) => ssh_keygen(seal, message, folder),
        (None, Some(other)) => panic!("{other} makes no signatures"),
    };
    for [from, to] in &seal.armour {
        assert!(armour.contains(from.as_str()), "the armour has no {from:?}");
        armour = armour.replacen(from.as_str(), to, 1);
    }
    armour
}

fn blob(seal: &Seal, message: &[u8]) -> Vec<u8> {
    let (name, application) = seal.key.split_once('@').map_or((&*seal.key, None), |(name, of)| (name, Some(of)));
    let (secret, kind) = (key(name), application.map_or("ssh-ed25519", |_| AUTHENTICATOR));
    let hash = match seal.hash.as_str() {
        "sha256" => Sha256::digest(message).to_vec(),
        _ => Sha512::digest(message).to_vec(),
    };
    let mut signed = b"SSHSIG".to_vec();
    for field in [seal.namespace.as_bytes(), seal.reserved.as_bytes(), seal.hash.as_bytes(), &hash] {
        put(&mut signed, field);
    }
    // PROTOCOL.u2f of OpenSSH: flags, and how often the authenticator was used.
    let presence = application.map_or(vec![], |_| vec![u8::from(seal.touched), 0, 0, 0, 7]);
    if let Some(application) = application {
        signed = [&Sha256::digest(application)[..], &presence, &Sha256::digest(&signed)].concat();
    }
    let mut signature = secret.sign(&signed).to_vec();
    if let Some(bytes) = &seal.signature {
        signature = hex(bytes);
    }
    if seal.unreduced {
        add_order(&mut signature[32..]);
    }

    let point = seal.point.as_ref().map_or(point(name).to_vec(), |point| hex(point));
    let mut public = Vec::new();
    put(&mut public, seal.key_type.as_deref().unwrap_or(kind).as_bytes());
    match &seal.key_body {
        Some(body) => public.extend(hex(body)),
        None => put(&mut public, &point),
    }
    if let Some(application) = application {
        put(&mut public, application.as_bytes());
    }
    let mut typed = Vec::new();
    put(&mut typed, seal.signature_type.as_deref().unwrap_or(kind).as_bytes());
    put(&mut typed, &signature);
    typed.extend(presence);

    let mut blob = seal.magic.as_bytes().to_vec();
    blob.extend(seal.version.to_be_bytes());
    for field in [&public[..], seal.namespace.as_bytes(), seal.reserved.as_bytes(), seal.hash.as_bytes(), &typed] {
        put(&mut blob, field);
    }
    blob.extend(hex(&seal.trailing));
    blob.resize(blob.len() + seal.padding, 0);
    blob
}

fn wrap(blob: &[u8]) -> String {
    let base64 = Base64::encode_string(blob);
    let lines: Vec<_> = base64.as_bytes().chunks(70).map(|line| str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN SSH SIGNATURE-----\n{}\n-----END SSH SIGNATURE-----\n", lines.join("\n"))
}

/// S + L, the order of the base point (RFC 8032 section 5.1): the same number to whoever does not look closely.
fn add_order(scalar: &mut [u8]) {
    let order = hex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
    let mut carry = 0;
    for (byte, add) in scalar.iter_mut().zip(order) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        (*byte, carry) = (sum as u8, sum >> 8);
    }
    assert_eq!(carry, 0);
}

fn ssh_keygen(seal: &Seal, message: &[u8], folder: &Path) -> String {
    let file = write_key(folder, &seal.key);
    let hash = format!("hashalg={}", seal.hash);
    let mut child = Command::new("ssh-keygen")
        .args(["-q", "-Y", "sign", "-n", &seal.namespace, "-O", &hash, "-f"])
        .arg(file)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the tests need ssh-keygen");
    child.stdin.take().unwrap().write_all(message).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "ssh-keygen failed");
    String::from_utf8(output.stdout).unwrap()
}

/// Puts a private key where ssh-keygen and giterd can read it, and nobody else.
pub(crate) fn write_key(folder: &Path, name: &str) -> std::path::PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let path = folder.join(format!("{name}.key"));
    std::fs::write(&path, &*key(name).to_openssh(name).unwrap()).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    path
}

pub(crate) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

fn strings(fields: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    fields.iter().for_each(|field| put(&mut out, field));
    out
}

fn put(out: &mut Vec<u8>, field: &[u8]) {
    out.extend((field.len() as u32).to_be_bytes());
    out.extend(field);
}
