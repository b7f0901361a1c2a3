//! A request for enrolment, from a stranger's commit to what a person can judge.

use giter_edge::{
    api::{Device, DeviceId, Error, Oid, Reason, Result, limits, object::ObjectKind},
    codec::{
        commit,
        enrolment::{self, Notes},
        pubkey::PublicKey,
        sshsig,
    },
};

use crate::chain::Reader;

/// A request that is proven: whoever made it has the key that it asks for.
pub(crate) struct Request {
    /// Who asks, or says so.
    pub(crate) device: DeviceId,
    /// The request's commit.
    pub(crate) commit: Oid,
    /// What is asked for.
    pub(crate) asked: Device,
    /// The key in it.
    pub(crate) key: PublicKey,
    /// What it says of itself.
    pub(crate) notes: Notes,
}

impl Request {
    /// Proves the request at a commit to be this device's: a commit without parents, that the device is the author of,
    /// with one file, signed by the key that the file asks for.
    ///
    /// # Errors
    ///
    /// `EnrolmentInvalid`; `GitFailed`.
    pub(crate) fn prove(reader: &mut Reader, device: &DeviceId, id: Oid) -> Result<Self> {
        let refuse = |what: String| {
            let what = format!("the request of {device}, {}, is none: {what}", id.short());
            Error::new(Reason::EnrolmentInvalid, what)
                .hint("do not approve it; find out who may write that ref, and delete it with --reject")
        };
        let mut read = |id, kind, limit| -> Result<Vec<u8>> {
            reader.object(id, kind, limit)?.map_err(|flaw| refuse(flaw.to_string()))
        };
        let data = read(id, ObjectKind::Commit, limits::COMMIT_BYTES)?;
        let parsed = commit::parse(&data).map_err(|why| refuse(why.into()))?;
        if !parsed.parents.is_empty() {
            return Err(refuse("its commit has parents".into()));
        }
        if !enrolment::is_by(device, &data) {
            return Err(refuse(format!("its commit is not by {device}")));
        }
        let tree = read(parsed.tree, ObjectKind::Tree, limits::REQUEST_BYTES)?;
        let blob = enrolment::only_file(&tree);
        let blob = blob.ok_or_else(|| refuse(format!("its tree is not exactly one {}", enrolment::FILE)))?;
        let text = read(blob, ObjectKind::Blob, limits::REQUEST_BYTES)?;
        let asked = enrolment::read(device, &text).map_err(|error| refuse(error.one_line()))?;
        let key = enrolment::key(&asked).map_err(|error| refuse(error.one_line()))?;
        let signer = signer(&data).map_err(refuse)?;
        if signer != key {
            return Err(refuse(format!("it asks for the key {key}, and is signed by {signer}")));
        }
        Ok(Self { device: device.clone(), commit: id, asked, key, notes: enrolment::notes(&text) })
    }
}

fn signer(commit: &[u8]) -> Result<PublicKey, String> {
    let seal = commit::seal(commit)?.ok_or("it is not signed")?;
    sshsig::verify(&seal.armour, sshsig::GIT, &seal.payload)
        .map_err(|error| format!("its signature proves nothing: {error}"))
}
