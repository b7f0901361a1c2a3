//! `giterd enroll` to a hub behind sshd, as a device that has nothing yet.

use std::fs;

use giter_edge::codec::{enrolment, keyfile::SecretKey, pubkey::PublicKey};

use super::common::{
    device::Device,
    exchange::{Exchange, MANIFEST},
    hub::git_agrees,
    sshd::Sshd,
};

const REQUEST: &str = "refs/giter/enroll/pump-07";

/// A device without keys, whose SSH key is to be made as `ssh_key`.
fn device(sshd: &Sshd, exchange: &Exchange) -> Device {
    exchange.write(MANIFEST, "");
    exchange.publish();
    let device = Device::new(exchange, &sshd.url(&exchange.hub.path()));
    let link = format!(
        "[link]\nidentity = \"{}\"\nknown_hosts = \"{}\"\nprogram = \"{}\"\n",
        device.name("ssh_key").display(),
        sshd.file("known_hosts").display(),
        sshd.file("ssh").display()
    );
    device.write_config(&device.config().replace("[link]\n", &link));
    fs::remove_file(exchange.beside("device")).unwrap();
    device
}

#[test]
fn a_new_device_asks_once_the_hub_knows_its_ssh_key() {
    let (sshd, exchange) = (Sshd::start(), Exchange::new());
    let device = device(&sshd, &exchange);
    let refused = device.run(&["enroll"]);
    assert_eq!((refused.exit, refused.said("reason")), (Some(2), "SshKeyRefused"), "{}{}", refused.out, refused.err);
    let ssh_key = refused.out.lines().find_map(|line| line.strip_prefix("ssh key       ")).unwrap().to_owned();
    assert!(refused.said("hint").ends_with(&ssh_key), "{}", refused.err);
    assert_eq!(exchange.hub.value(REQUEST), None);

    let mut known = fs::read_to_string(sshd.file("authorized_keys")).unwrap();
    known.push_str(&format!("{ssh_key}\n"));
    fs::write(sshd.file("authorized_keys"), known).unwrap();
    let sent = device.run(&["enroll"]);
    assert_eq!((sent.exit, sent.err.as_str()), (Some(0), ""), "{}", sent.out);
    assert!(sent.out.contains(&format!("\nrequest       sent to {REQUEST}\n")), "{}", sent.out);
    let commit = exchange.hub.value(REQUEST).unwrap();
    let again = device.run(&["enroll"]);
    assert!(again.out.contains(&format!("\nrequest       stands at {REQUEST} already\n")), "{}", again.out);

    let key = fs::read(exchange.beside("device")).unwrap();
    let key = SecretKey::from_openssh("device", &key).unwrap().public();
    let text = exchange.hub.git(&["show", &format!("{REQUEST}:device.yaml")]) + "\n";
    let asked = enrolment::read(&"pump-07".parse().unwrap(), text.as_bytes()).unwrap();
    assert_eq!(enrolment::key(&asked).unwrap(), key);
    assert_eq!(PublicKey::from_openssh(&asked.ssh_keys[0]), PublicKey::from_openssh(&ssh_key));
    let signers = exchange.beside("request.signers");
    fs::write(&signers, format!("pump-07@giter {}\n", key.to_openssh())).unwrap();
    let signers = format!("gpg.ssh.allowedSignersFile={}", signers.display());
    assert!(git_agrees(&exchange.hub.path(), &["-c", &signers, "verify-commit", &commit.to_string()]));
}

#[test]
fn another_request_is_replaced_by_force_and_a_hub_that_declines_is_quoted() {
    let (sshd, exchange) = (Sshd::start(), Exchange::new());
    let device = device(&sshd, &exchange);
    fs::copy(sshd.file("user_key"), device.name("ssh_key")).unwrap();
    assert_eq!(device.run(&["enroll"]).exit, Some(0));
    let first = exchange.hub.value(REQUEST);
    fs::remove_file(exchange.beside("device")).unwrap();
    let conflict = device.run(&["enroll"]);
    assert_eq!((conflict.exit, conflict.said("reason")), (Some(1), "EnrolmentConflict"), "{}", conflict.err);
    assert_eq!(exchange.hub.value(REQUEST), first);
    assert_eq!(device.run(&["enroll", "--force"]).exit, Some(0));
    assert_ne!(exchange.hub.value(REQUEST), first);

    exchange.hub.hook("pre-receive", "echo 'ask the office first' >&2; exit 1");
    exchange.hub.git(&["update-ref", "-d", REQUEST]);
    let declined = device.run(&["enroll"]);
    assert_eq!((declined.exit, declined.said("reason")), (Some(3), "PushRejected"), "{}", declined.err);
    assert!(declined.said("error").contains("ask the office first"), "{}", declined.err);
    assert!(declined.said("hint").contains("--stick DIR"), "{}", declined.err);
}
