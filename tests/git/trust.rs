//! What git and ssh-keygen sign we prove, and what we sign they prove; and what neither should, we refuse.

use std::fs;

use giter_edge::{
    api::{DeviceId, Oid, Reason, device::principal, ledger::Accepted},
    codec::{
        keyfile::SecretKey,
        signers::{Keyring, Signer},
        sshsig,
    },
    git::commit::{StatusDraft, status_commit},
    reconcile::{
        ports::{NewObject, ObjectKind},
        verify::{Policy, Reads, Trust, Verified, verify},
    },
};

use super::repo::{Repo, SecretKeyFile};

fn verdict(repo: &Repo, tip: Oid, floor: Option<&Accepted>, keyring: &Keyring) -> Result<Verified, Reason> {
    let device = "pump-07".parse().unwrap();
    let trust = Trust {
        floor,
        previous: None,
        policy: Policy::Range,
        keyring,
        exchange: None,
        reads: Reads::Device(&device),
        now: None,
    };
    verify(tip, &trust, &repo.objects()).map_err(|error| error.reason())
}

/// A repository with a key and one commit signed by it, accepted.
fn exchange() -> (Repo, SecretKeyFile, Accepted) {
    let mut repo = Repo::new();
    let ops = repo.key("ops", "ed25519");
    let first = repo.commit("first", Some(&ops));
    let accepted = verdict(&repo, first, None, &ops.keyring()).unwrap().accepted().clone();
    (repo, ops, accepted)
}

#[test]
fn commits_signed_by_git_are_proven() {
    let (mut repo, ops, first) = exchange();
    assert_eq!((&*first.signer, first.time), ("ops@plant-7", 1_795_000_001));
    repo.git(&["checkout", "-q", "-b", "side"]);
    repo.commit("side, with a long\n\nmessage and ümlaut", Some(&ops));
    repo.git(&["checkout", "-q", "main"]);
    repo.commit("second", Some(&ops));
    let tip = repo.merge("side", &ops);
    let verified = verdict(&repo, tip, Some(&first), &ops.keyring()).unwrap();
    assert_eq!((verified.commit(), verified.tree()), (tip, repo.oid("HEAD^{tree}")));
    assert_eq!(verified.accepted().time, 1_795_000_004);
}

#[test]
fn a_merge_of_a_signed_tag_is_proven() {
    let (mut repo, ops, first) = exchange();
    repo.git(&["checkout", "-q", "-b", "side"]);
    repo.commit("side", Some(&ops));
    let key = format!("user.signingKey={}", ops.path().display());
    repo.git(&["-c", &key, "tag", "-s", "-m", "release", "v1"]);
    repo.git(&["checkout", "-q", "main"]);
    let tip = repo.merge("v1", &ops);
    assert!(repo.git(&["cat-file", "commit", "HEAD"]).contains("\nmergetag "));
    assert!(verdict(&repo, tip, Some(&first), &ops.keyring()).is_ok());
}

#[test]
fn unsigned_and_foreign_commits_are_refused() {
    let (mut repo, ops, first) = exchange();
    let other = repo.key("other", "ed25519");
    let rsa = repo.key("rsa", "rsa");
    let ecdsa = repo.key("ecdsa", "ecdsa");
    for (key, reason) in [
        (None, Reason::UnsignedCommit),
        (Some(&other), Reason::UntrustedKey),
        (Some(&rsa), Reason::UnsupportedKey),
        (Some(&ecdsa), Reason::UnsupportedKey),
    ] {
        repo.git(&["reset", "-q", "--hard", &first.commit.to_string()]);
        let tip = repo.commit("tip", key);
        assert_eq!(verdict(&repo, tip, Some(&first), &ops.keyring()), Err(reason));
        // A sound commit on top does not heal it.
        let tip = repo.commit("on top", Some(&ops));
        assert_eq!(verdict(&repo, tip, Some(&first), &ops.keyring()), Err(reason));
    }
}

#[test]
fn a_merge_that_smuggles_is_refused() {
    let (mut repo, ops, first) = exchange();
    repo.git(&["checkout", "-q", "-b", "side"]);
    repo.commit("unsigned", None);
    repo.git(&["checkout", "-q", "main"]);
    let tip = repo.merge("side", &ops);
    assert_eq!(verdict(&repo, tip, Some(&first), &ops.keyring()), Err(Reason::UnsignedCommit));
}

#[test]
fn history_goes_forward_only() {
    let (mut repo, ops, first) = exchange();
    let second = repo.commit("second", Some(&ops));
    let second = verdict(&repo, second, Some(&first), &ops.keyring()).unwrap().accepted().clone();
    assert_eq!(verdict(&repo, first.commit, Some(&second), &ops.keyring()), Err(Reason::Rewound));

    repo.git(&["reset", "-q", "--hard", &first.commit.to_string()]);
    let fork = repo.commit("fork", Some(&ops));
    assert_eq!(verdict(&repo, fork, Some(&second), &ops.keyring()), Err(Reason::NotFastForward));

    repo.git(&["checkout", "-q", "--orphan", "unrelated"]);
    let unrelated = repo.commit("unrelated", Some(&ops));
    assert_eq!(verdict(&repo, unrelated, Some(&second), &ops.keyring()), Err(Reason::NotFastForward));
}

#[test]
fn a_tag_is_no_tip() {
    let (repo, ops, first) = exchange();
    repo.git(&["tag", "-a", "-m", "release", "v1"]);
    let tag = repo.oid("v1^{tag}");
    // The port has no tags: to the device such an object is not there.
    assert_eq!(verdict(&repo, tag, Some(&first), &ops.keyring()), Err(Reason::PackInvalid));
}

#[test]
fn a_signature_moved_to_another_commit_is_refused() {
    let (mut repo, ops, first) = exchange();
    let tip = repo.commit("harmless", Some(&ops));
    let bytes = repo.objects().0[&tip].data.clone();
    let forged = String::from_utf8(bytes).unwrap().replace("harmless", "harmful");
    let forged = repo.write("commit", forged.as_bytes());
    assert_eq!(verdict(&repo, forged, Some(&first), &ops.keyring()), Err(Reason::BadSignature));
}

#[test]
fn a_signature_with_sha256_is_proven() {
    let (repo, ops, first) = exchange();
    let payload = format!(
        "tree {}\nparent {}\nauthor A <a@b> 1795000009 +0000\ncommitter A <a@b> 1795000009 +0000\n\nby hand\n",
        first.tree, first.commit
    );
    let mut keygen = repo.isolated("ssh-keygen");
    keygen.args(["-q", "-Y", "sign", "-n", "git", "-O", "hashalg=sha256", "-f"]).arg(ops.path());
    let armour = String::from_utf8(repo.pipe(&mut keygen, payload.as_bytes()).stdout).unwrap();
    let header = format!("\ngpgsig {}\n\n", armour.trim_end().replace('\n', "\n "));
    let tip = repo.write("commit", payload.replacen("\n\n", &header, 1).as_bytes());
    assert!(verdict(&repo, tip, Some(&first), &ops.keyring()).is_ok());
}

#[test]
fn a_key_counts_only_where_its_line_says() {
    let (repo, ops, first) = exchange();
    for (options, expected) in [
        ("namespaces=\"git\"", Ok(())),
        ("namespaces=\"file\"", Err(Reason::UntrustedKey)),
        ("valid-before=\"20261117\"", Err(Reason::KeyNotValid)),
        ("valid-after=\"20261121Z\"", Err(Reason::KeyNotValid)),
        ("valid-after=\"20261118\",valid-before=\"20261120\"", Ok(())),
    ] {
        let line = ops.line("ops@plant-7", options);
        let keyring = Keyring::parse("root.keys", line.as_bytes()).unwrap();
        assert_eq!(verdict(&repo, first.commit, None, &keyring).map(drop), expected, "{options}");
        // git, with the same file, agrees.
        fs::write(repo.path("signers"), line).unwrap();
        let git = repo.try_git(&["-c", "gpg.ssh.allowedSignersFile=signers", "verify-commit", "HEAD"]);
        assert_eq!(git.status.success(), expected.is_ok(), "{options}");
    }
}

/// A status of a device whose key our code made.
fn status(repo: &Repo, parent: Option<Oid>) -> (SecretKey, DeviceId, [NewObject; 3]) {
    let key = SecretKey::from_seed(&[42; 32]);
    let device: DeviceId = "site-a/pump-07".parse().unwrap();
    let draft = StatusDraft {
        device: &device,
        parent,
        time: 1_795_238_229,
        message: "Ready: 3 of 3\n\nGpioLine/pump-relay high",
        file: "status.postcard",
        content: b"\x01\x00\xff".to_vec(),
    };
    let objects = status_commit(draft, &key).unwrap();
    for NewObject { id, object } in &objects {
        let kind = match object.kind {
            ObjectKind::Commit => "commit",
            ObjectKind::Tree => "tree",
            ObjectKind::Blob => "blob",
        };
        assert_eq!(repo.write(kind, &object.data), *id);
    }
    (key, device, objects)
}

#[test]
fn git_proves_our_status_commits() {
    let repo = Repo::new();
    let (key, device, [.., first]) = status(&repo, None);
    let (_, _, [blob, tree, second]) = status(&repo, Some(first.id));
    let signer = Signer {
        principals: principal(&device).into(),
        key: key.public(),
        namespaces: Some("git".into()),
        valid_after: None,
        valid_before: None,
    };
    fs::write(repo.path("signers"), format!("{signer}\n")).unwrap();

    let id = second.id.to_string();
    repo.git(&["update-ref", "refs/giter/status/site-a/pump-07", &id]);
    repo.git(&["fsck", "--strict"]);
    let proof = repo.try_git(&["-c", "gpg.ssh.allowedSignersFile=signers", "verify-commit", &id]);
    let said = String::from_utf8(proof.stderr).unwrap();
    assert!(proof.status.success(), "{said}");
    let expected = format!("Good \"git\" signature for site-a/pump-07@giter with ED25519 key {}", key.public());
    assert!(said.contains(&expected), "{said}");

    assert_eq!(repo.oid(&format!("{id}^")), first.id);
    assert_eq!(repo.oid(&format!("{id}^{{tree}}")), tree.id);
    assert_eq!(repo.oid(&format!("{id}:status.postcard")), blob.id);
    let said = repo.git(&["log", "-1", "--format=%an|%ae|%ct|%s", &id]);
    assert_eq!(said, "site-a/pump-07|site-a/pump-07@giter|1795238229|Ready: 3 of 3");
}

#[test]
fn ssh_keygen_proves_our_signatures_and_reads_our_keys() {
    let repo = Repo::new();
    let key = SecretKey::from_seed(&[42; 32]);
    let file = repo.path("device.key");
    fs::write(&file, key.to_openssh("site-a/pump-07").unwrap()).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(&file, mode).unwrap();
    let public = repo.isolated("ssh-keygen").arg("-yf").arg(&file).output().unwrap();
    let public = String::from_utf8(public.stdout).unwrap();
    assert_eq!(public.trim_end(), format!("{} site-a/pump-07", key.public().to_openssh()));

    fs::write(repo.path("device.pub"), &public).unwrap();
    let listed = repo.isolated("ssh-keygen").args(["-lf", "device.pub"]).output().unwrap();
    assert!(String::from_utf8(listed.stdout).unwrap().contains(&key.public().fingerprint()));

    let message = b"what is signed";
    fs::write(repo.path("sig"), sshsig::sign(&key, "giter-exchange", message)).unwrap();
    fs::write(repo.path("signers"), format!("root@plant-7 {public}")).unwrap();
    let verify = |namespace| {
        let mut keygen = repo.isolated("ssh-keygen");
        keygen.args(["-Y", "verify", "-f", "signers", "-I", "root@plant-7", "-s", "sig", "-n", namespace]);
        repo.pipe(&mut keygen, message).status.success()
    };
    assert!(verify("giter-exchange"));
    assert!(!verify("git"));

    let mut keygen = repo.isolated("ssh-keygen");
    keygen.args(["-q", "-Y", "sign", "-n", "giter-exchange", "-f"]).arg(&file);
    let theirs = String::from_utf8(repo.pipe(&mut keygen, message).stdout).unwrap();
    assert_eq!(theirs, sshsig::sign(&key, "giter-exchange", message));
}
