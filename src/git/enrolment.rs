//! A device's request to be enrolled, as a commit that plain `git log --show-signature` reads.

use super::commit::{StatusDraft, status_commit};
use crate::{
    api::{DeviceId, Result},
    codec::{
        enrolment::{self, Notes},
        keyfile::SecretKey,
        pubkey::PublicKey,
    },
    reconcile::ports::NewObject,
};

/// Who asks, and for what.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// The device.
    pub device: &'a DeviceId,
    /// The key that is asked for, which signs: whoever asks has it.
    pub key: &'a SecretKey,
    /// The key with which the device logs in to the hub.
    pub ssh_key: Option<&'a PublicKey>,
    /// What it says of itself.
    pub notes: Notes,
    /// The commit's date. Asked again with the same date, the request is the same commit.
    pub time: i64,
}

/// The objects of a request: its blob, its tree and last its commit, which has no parents.
///
/// # Errors
///
/// `Bug` if it cannot be written.
pub fn request_commit(request: Request<'_>) -> Result<[NewObject; 3]> {
    let Request { device, key, ssh_key, notes, time } = request;
    let public = key.public();
    let content = enrolment::write(device, &public, ssh_key, &notes)?.into_bytes();
    let message =
        format!("{device} asks to be enrolled\n\nKey: {}\nFingerprint: {public}\n", public.short_fingerprint());
    status_commit(StatusDraft { device, parent: None, time, message: &message, file: enrolment::FILE, content }, key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{commit, sshsig};

    fn request(time: i64) -> [NewObject; 3] {
        let key = SecretKey::from_seed(&[7; 32]);
        let device = "site-a/pump-07".parse().unwrap();
        let notes = Notes { board: "sim".into(), agent: "0.1.0".into() };
        request_commit(Request { device: &device, key: &key, ssh_key: None, notes, time }).unwrap()
    }

    #[test]
    fn a_request_proves_that_who_asks_has_the_key() {
        let [blob, tree, made] = request(1_795_238_229);
        let device = "site-a/pump-07".parse().unwrap();
        let asked = enrolment::read(&device, &blob.object.data).unwrap();
        assert_eq!(enrolment::only_file(&tree.object.data), Some(blob.id));
        assert!(enrolment::is_by(&device, &made.object.data));
        let read = commit::parse(&made.object.data).unwrap();
        assert_eq!((read.tree, read.parents), (tree.id, vec![]));
        let seal = commit::seal(&made.object.data).unwrap().unwrap();
        let key = sshsig::verify(&seal.armour, sshsig::GIT, &seal.payload).unwrap();
        assert_eq!(key, enrolment::key(&asked).unwrap());
    }

    #[test]
    fn the_same_request_is_the_same_commit() {
        assert_eq!(request(1)[2].id, request(1)[2].id);
        assert_ne!(request(1)[2].id, request(2)[2].id);
    }
}
