//! Charters as `ssh-keygen -Y sign` signs them, in histories that git makes.

use std::fs;

use base64ct::{Base64, Encoding};
use giter_edge::{
    api::{DeviceId, Oid, Reason, ledger::Accepted},
    codec::{
        keyfile::SecretKey,
        pubkey::PublicKey,
        signers::Keyring,
        sshsig::{EXCHANGE, SshSig},
    },
    reconcile::verify::{Policy, Reads, Trust, verify},
};
use sha2::{Digest, Sha256, Sha512};

use super::repo::{Repo, SecretKeyFile};

/// An exchange with its root file, and what the device accepted last.
pub(super) struct Exchange {
    pub(super) repo: Repo,
    device: DeviceId,
    root_file: Keyring,
    pub(super) floor: Option<Accepted>,
}

impl Exchange {
    /// With a charter of `root`, and `ops` for site-a.
    pub(super) fn new() -> (Self, SecretKeyFile, SecretKeyFile) {
        let mut repo = Repo::new();
        let (root, ops) = (repo.key("root", "ed25519"), repo.key("ops", "ed25519"));
        spec(&repo, "specs/site-a/pump.txt", "one");
        charter(&repo, 1, &[&root], &[(&ops, "paths: [specs/site-a/**]")], &[&root]);
        let tip = repo.commit("first", Some(&root));
        let device = "site-a".parse().unwrap();
        let mut exchange = Self { repo, device, root_file: root.keyring(), floor: None };
        assert_eq!(exchange.accept(tip), Ok("root".into()));
        (exchange, root, ops)
    }

    /// What the device holds a tip against.
    pub(super) fn trust(&self) -> Trust<'_> {
        Trust {
            floor: self.floor.as_ref(),
            previous: None,
            policy: Policy::Range,
            keyring: &self.root_file,
            exchange: None,
            reads: Reads::Device(&self.device),
            now: None,
        }
    }

    fn judge(&self, tip: Oid) -> Result<Accepted, Reason> {
        let verified = verify(tip, &self.trust(), &self.repo.objects()).map_err(|error| error.reason())?;
        Ok(verified.accepted().clone())
    }

    /// Accepts a tip; who signed it.
    fn accept(&mut self, tip: Oid) -> Result<Box<str>, Reason> {
        let accepted = self.judge(tip)?;
        Ok(self.floor.insert(accepted).signer.clone())
    }

    /// A commit that changes the device's folder.
    pub(super) fn change(&mut self, text: &str, by: &SecretKeyFile) -> Oid {
        spec(&self.repo, "specs/site-a/pump.txt", text);
        self.repo.commit(text, Some(by))
    }
}

pub(super) fn spec(repo: &Repo, path: &str, text: &str) {
    let file = repo.path(path);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, text).unwrap();
    repo.git(&["add", path]);
}

/// Writes a charter and has ssh-keygen sign it.
pub(super) fn charter(
    repo: &Repo,
    serial: u32,
    roots: &[&SecretKeyFile],
    publishers: &[(&SecretKeyFile, &str)],
    by: &[&SecretKeyFile],
) {
    let roots: String = roots.iter().map(|root| format!("  - {}\n", root.public())).collect();
    let publisher = |(key, rest): &(&SecretKeyFile, &str)| {
        format!("  - {{principal: ops@plant-7, key: \"{}\", {rest}}}\n", key.public())
    };
    let publishers: String = publishers.iter().map(publisher).collect();
    let publishers = if publishers.is_empty() { String::new() } else { format!("  publishers:\n{publishers}") };
    let text = format!(
        "apiVersion: edge.giter.dev/v1alpha1\nkind: Exchange\nmetadata: {{name: plant-7}}\nspec:\n  \
         id: 5f0c1f0e3d5b4d0e9a7c2b6e8f1a4c3d\n  branch: main\n  serial: {serial}\n  roots:\n{roots}{publishers}"
    );
    spec(repo, "exchange.yaml", &text);
    let sign = |key: &&SecretKeyFile| {
        let mut keygen = repo.isolated("ssh-keygen");
        keygen.args(["-q", "-Y", "sign", "-n", EXCHANGE, "-f"]).arg(key.path());
        String::from_utf8(repo.pipe(&mut keygen, text.as_bytes()).stdout).unwrap()
    };
    spec(repo, "exchange.yaml.sig", &by.iter().map(sign).collect::<String>());
}

#[test]
fn a_publisher_signs_what_the_charter_gives_him() {
    let (mut exchange, root, ops) = Exchange::new();
    let tip = exchange.change("two", &ops);
    assert_eq!(exchange.accept(tip), Ok("ops@plant-7".into()));
    charter(&exchange.repo, 2, &[&root], &[(&ops, "paths: [groups/**]")], &[&root]);
    exchange.repo.commit("ops is for groups now", Some(&root));
    let tip = exchange.change("three", &ops);
    assert_eq!(exchange.accept(tip), Err(Reason::KeyNotAllowed));
}

#[test]
fn a_lost_key_is_revoked() {
    let (mut exchange, root, ops) = Exchange::new();
    let next = exchange.repo.key("next", "ed25519");
    charter(&exchange.repo, 2, &[&root], &[(&next, "")], &[&root]);
    exchange.repo.commit("ops lost his key", Some(&root));
    let tip = exchange.change("two", &next);
    assert_eq!(exchange.accept(tip), Ok("ops@plant-7".into()));
    // The finder makes a commit that looks as old as the key is.
    exchange.repo.set_date(1_795_000_001);
    let tip = exchange.change("old-looking", &ops);
    assert_eq!(exchange.accept(tip), Err(Reason::UntrustedKey));
}

#[test]
fn a_device_that_was_away_follows_three_rotations() {
    let (mut exchange, root, ops) = Exchange::new();
    let [b, c, d] = ["b", "c", "d"].map(|name| exchange.repo.key(name, "ed25519"));
    for (serial, roots, by) in [(2, vec![&root, &b], &root), (3, vec![&b, &c], &b), (4, vec![&d], &c)] {
        charter(&exchange.repo, serial, &roots, &[(&ops, "")], &[by]);
        exchange.repo.commit("rotate", Some(by));
    }
    let tip = exchange.change("two", &ops);
    assert_eq!(exchange.accept(tip), Ok("ops@plant-7".into()));
    assert_eq!(exchange.floor.as_ref().unwrap().charter.as_ref().unwrap().serial, 4);
    for gone in [&root, &b, &c] {
        charter(&exchange.repo, 5, &[gone], &[], &[gone]);
        let tip = exchange.repo.commit("back", Some(gone));
        assert_eq!(exchange.judge(tip).unwrap_err(), Reason::CharterUntrusted);
        exchange.repo.git(&["reset", "-q", "--hard", "HEAD^"]);
    }
}

#[test]
fn a_new_device_needs_one_signature_by_the_root_it_knows() {
    let (mut exchange, root, ops) = Exchange::new();
    let next = exchange.repo.key("next", "ed25519");
    for (by, expected) in [(vec![&next, &root], Ok("ops@plant-7".into())), (vec![&next], Err(Reason::CharterUntrusted))]
    {
        charter(&exchange.repo, 2, &[&next], &[(&ops, "")], &by);
        let tip = exchange.repo.commit("new root", Some(&ops));
        exchange.floor = None;
        assert_eq!(exchange.accept(tip), expected);
    }
}

#[test]
fn a_charter_does_not_go_back() {
    let (mut exchange, root, ops) = Exchange::new();
    charter(&exchange.repo, 2, &[&root], &[], &[&root]);
    exchange.repo.commit("ops left", Some(&root));
    exchange.repo.git(&["checkout", "-q", "HEAD^", "--", "exchange.yaml", "exchange.yaml.sig"]);
    let tip = exchange.repo.commit("ops is back", Some(&root));
    assert_eq!(exchange.accept(tip), Err(Reason::CharterRollback));
    let tip = exchange.change("two", &ops);
    assert_eq!(exchange.accept(tip), Err(Reason::CharterRollback));
}

/// OpenSSH proves what we take for an authenticator's signature.
#[test]
fn ssh_keygen_agrees_about_authenticators() {
    let repo = Repo::new();
    let (key, armour) = touched(&SecretKey::from_seed(&[42; 32]), b"what is signed", 1);
    assert_eq!(SshSig::from_armour(armour.as_bytes()).unwrap().verify("git", b"what is signed").unwrap(), key);
    fs::write(repo.path("sig"), &armour).unwrap();
    fs::write(repo.path("signers"), format!("root {}\n", key.to_openssh())).unwrap();
    let mut keygen = repo.isolated("ssh-keygen");
    keygen.args(["-Y", "verify", "-f", "signers", "-I", "root", "-s", "sig", "-n", "git"]);
    let proof = repo.pipe(&mut keygen, b"what is signed");
    assert!(proof.status.success(), "{}", String::from_utf8_lossy(&proof.stderr));
}

/// What an authenticator that holds this key signs in git's namespace, put together as PROTOCOL.sshsig and
/// PROTOCOL.u2f of OpenSSH say.
fn touched(key: &SecretKey, message: &[u8], flags: u8) -> (PublicKey, String) {
    const TYPE: &[u8] = b"sk-ssh-ed25519@openssh.com";
    let strings = |fields: &[&[u8]]| -> Vec<u8> {
        fields.iter().flat_map(|field| [&(field.len() as u32).to_be_bytes()[..], field].concat()).collect()
    };
    let plain = key.public().to_blob();
    let public = strings(&[TYPE, &plain[plain.len() - 32..], b"ssh:"]);
    let hash = Sha512::digest(message);
    let signed = [&b"SSHSIG"[..], &strings(&[b"git", b"", b"sha512", &hash])].concat();
    let presence = [&[flags][..], &7u32.to_be_bytes()].concat();
    let signed = [&Sha256::digest(b"ssh:")[..], &presence, &Sha256::digest(signed)].concat();
    let signature = [&strings(&[TYPE, &key.sign(&signed)])[..], &presence].concat();
    let blob = [&b"SSHSIG\0\0\0\x01"[..], &strings(&[&public, b"git", b"", b"sha512", &signature])].concat();
    let base64 = Base64::encode_string(&blob);
    let lines: String =
        base64.as_bytes().chunks(70).map(|line| format!("{}\n", str::from_utf8(line).unwrap())).collect();
    let armour = format!("-----BEGIN SSH SIGNATURE-----\n{lines}-----END SSH SIGNATURE-----\n");
    (PublicKey::from_blob(&public).unwrap(), armour)
}
