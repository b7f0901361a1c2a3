//! The status commit: what a device writes to its status ref, signed so that plain `git verify-commit` proves it.
//!
//! ```text
//! commit (gpgsig by the device's key) -> tree -> blob status.postcard
//!    `-> parent: the status before
//! ```

use gix::objs;

use crate::{
    api::{DeviceId, Error, Oid, Reason, Result, device::principal},
    codec::{keyfile::SecretKey, sshsig},
    reconcile::ports::{NewObject, Object, ObjectKind},
};

/// A status commit before it is signed.
#[derive(Clone, Debug)]
pub struct StatusDraft<'a> {
    /// Who speaks: author and committer.
    pub device: &'a DeviceId,
    /// The status before; `None` begins a history.
    pub parent: Option<Oid>,
    /// The date, in seconds since 1970; one before that is written as 1970.
    pub time: i64,
    /// The message, for people.
    pub message: &'a str,
    /// The name of the only file: `status.postcard` or `status.yaml`.
    pub file: &'a str,
    /// What is in it.
    pub content: Vec<u8>,
}

/// The objects of a signed status: its blob, its tree and last its commit, whose name the ref is to hold.
///
/// # Errors
///
/// `Bug` if an object hashes as one made to collide.
pub fn status_commit(draft: StatusDraft<'_>, key: &SecretKey) -> Result<[NewObject; 3]> {
    let StatusDraft { device, parent, time, message, file, content } = draft;
    let blob = object(ObjectKind::Blob, content)?;

    let mut entry = format!("100644 {file}\0").into_bytes();
    entry.extend_from_slice(blob.id.as_bytes());
    let tree = object(ObjectKind::Tree, entry)?;

    let who = format!("{device} <{}> {} +0000", principal(device), time.max(0));
    let parent = parent.map(|parent| format!("parent {parent}\n")).unwrap_or_default();
    let header = format!("tree {}\n{parent}author {who}\ncommitter {who}\n", tree.id);
    let message = format!("{}\n", message.trim_end().replace('\0', " "));
    let commit = object(ObjectKind::Commit, signed(&header, &message, key))?;
    Ok([blob, tree, commit])
}

/// Names an object by its hash.
///
/// # Errors
///
/// `Bug` if it hashes as one made to collide.
pub fn object(kind: ObjectKind, data: Vec<u8>) -> Result<NewObject> {
    let git_kind = match kind {
        ObjectKind::Commit => objs::Kind::Commit,
        ObjectKind::Tree => objs::Kind::Tree,
        ObjectKind::Blob => objs::Kind::Blob,
    };
    let id = objs::compute_hash(gix::hash::Kind::Sha1, git_kind, &data)
        .map_err(|e| Error::new(Reason::Bug, "an object hashes as one made to collide").caused_by(e))?;
    let mut name = [0; 20];
    name.copy_from_slice(id.as_bytes());
    Ok(NewObject { id: Oid::new(name), object: Object { kind, data } })
}

/// The commit with its signature as git places it: the last header, its lines after the first indented by a space.
fn signed(header: &str, message: &str, key: &SecretKey) -> Vec<u8> {
    let armour = sshsig::sign(key, sshsig::GIT, format!("{header}\n{message}").as_bytes());
    format!("{header}gpgsig {}\n\n{message}", armour.trim_end().replace('\n', "\n ")).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::commit;

    fn draft(device: &DeviceId) -> StatusDraft<'_> {
        StatusDraft {
            device,
            parent: Some(Oid::new([7; 20])),
            time: 1_795_238_229,
            message: "Ready\n\nFile/motd: applied\n\n",
            file: "status.postcard",
            content: b"\x01status".to_vec(),
        }
    }

    #[test]
    fn a_status_reads_back_and_proves_itself() {
        let key = SecretKey::from_seed(&[7; 32]);
        let device = "site-a/pump-07".parse().unwrap();
        let [blob, tree, made] = status_commit(draft(&device), &key).unwrap();

        let read = commit::parse(&made.object.data).unwrap();
        let expected = commit::Commit { tree: tree.id, parents: vec![Oid::new([7; 20])], date: 1_795_238_229 };
        assert_eq!(read, expected);
        assert!(tree.object.data.ends_with(blob.id.as_bytes()));

        let seal = commit::seal(&made.object.data).unwrap().unwrap();
        assert_eq!(sshsig::verify(&seal.armour, sshsig::GIT, &seal.payload), Ok(key.public()));
        let text = String::from_utf8(seal.payload).unwrap();
        assert!(text.contains("\nauthor site-a/pump-07 <site-a/pump-07@giter> 1795238229 +0000\n"), "{text}");
        assert!(text.ends_with("\n\nReady\n\nFile/motd: applied\n"), "{text}");
    }

    #[test]
    fn the_same_status_is_the_same_commit() {
        let device = "pump".parse().unwrap();
        let commit = |seed| status_commit(draft(&device), &SecretKey::from_seed(&[seed; 32])).unwrap()[2].id;
        assert_eq!(commit(7), commit(7));
        assert_ne!(commit(7), commit(8));
    }

    #[test]
    fn objects_are_named_as_git_names_them() {
        let blob = object(ObjectKind::Blob, b"hello\n".to_vec()).unwrap();
        assert_eq!(blob.id.to_string(), "ce013625030ba8dba906f756967f9e9ca394464a");
        let tree = object(ObjectKind::Tree, Vec::new()).unwrap();
        assert_eq!(tree.id.to_string(), "4b825dc642cb6eb9a060e54bf8d69288fbee4904");
    }
}
