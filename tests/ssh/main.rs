//! The links through SSH, and `giterd` as a program, against real git behind real SSH servers.
//!
//! `cargo test --test ssh`; it needs git, openssh-server and dropbear-bin, and fails where they are missing. The stories
//! are told four times: of the system's client and the builtin one, to OpenSSH's server and to dropbear.

// Each way is a module of its own with the same stories, so that a test is named after who talked to whom.
#![allow(clippy::duplicate_mod)]

#[path = "../common/mod.rs"]
mod common;
#[path = "../contracts/link.rs"]
mod contract;
#[allow(dead_code, reason = "the benches need more of it")]
#[path = "../common/daemon.rs"]
mod daemon;
#[path = "../support/mod.rs"]
mod support;

mod builtin;
mod enroll;
mod guarded;
mod relay;
mod served;
mod system;
mod way;

#[path = "."]
mod system_to_openssh {
    use super::{Server, SshClient, way::Way};
    const WAY: Way = Way { client: SshClient::System, server: Server::OpenSsh };
    #[path = "obsolete.rs"]
    mod obsolete;
    #[path = "stories/mod.rs"]
    pub(crate) mod stories;
    // Git's words are the same behind every server.
    #[path = "tampering.rs"]
    mod tampering;
}

#[path = "."]
mod system_to_dropbear {
    use super::{Server, SshClient, way::Way};
    const WAY: Way = Way { client: SshClient::System, server: Server::Dropbear };
    #[path = "stories/mod.rs"]
    mod stories;
}

#[path = "."]
mod builtin_to_openssh {
    use super::{Server, SshClient, way::Way};
    const WAY: Way = Way { client: SshClient::Builtin, server: Server::OpenSsh };
    #[path = "obsolete.rs"]
    mod obsolete;
    #[path = "stories/mod.rs"]
    mod stories;
    // Git's words are the same behind every server.
    #[path = "tampering.rs"]
    mod tampering;
}

#[path = "."]
mod builtin_to_dropbear {
    use super::{Server, SshClient, way::Way};
    const WAY: Way = Way { client: SshClient::Builtin, server: Server::Dropbear };
    #[path = "stories/mod.rs"]
    mod stories;
}

use std::{io::Read, time::Duration};

use common::sshd::Server;
use giter_edge::{
    api::{DeviceId, Error, Oid, Reason, Result, ledger::Generation},
    codec::config::SshClient,
    reconcile::ports::{NewObject, Object, ObjectKind, Objects, Quarantine},
};

/// The status ref of the tests.
const STATUS: &str = "refs/giter/status/dev";

/// Longer than any test takes.
const LONG: Duration = Duration::from_secs(300);

fn reason<T>(result: Result<T>) -> Reason {
    result.err().expect("an error").reason()
}

/// A quarantine that keeps the pack as it came.
#[derive(Default)]
struct Recorder(Vec<u8>);

impl Quarantine for Recorder {
    fn ingest(&mut self, pack: &mut dyn Read) -> Result<()> {
        let read = pack.read_to_end(&mut self.0);
        read.map(|_| ()).map_err(|e| Error::new(Reason::PackInvalid, "half a pack").caused_by(e))
    }

    fn promote(self: Box<Self>, _tip: Oid, _device: &DeviceId) -> Result<Generation> {
        unreachable!("a link does not promote")
    }
}

impl Objects for Recorder {
    fn read(&self, _id: Oid, _limit: usize) -> Result<Option<Object>> {
        unreachable!("a link does not read objects")
    }

    fn has(&self, _id: Oid) -> Result<bool> {
        unreachable!("a link does not look for objects")
    }
}

/// An object as git names it.
fn object(kind: ObjectKind, data: impl Into<Vec<u8>>) -> NewObject {
    let data = data.into();
    let id = giter_edge::git::pack::id_of(kind, &data).unwrap();
    NewObject { id, object: Object { kind, data } }
}

/// A status commit on top of another: its name and its three objects.
fn status(parent: Option<Oid>, text: &str) -> (Oid, Vec<NewObject>) {
    let blob = object(ObjectKind::Blob, text);
    let tree = object(ObjectKind::Tree, [b"100644 status\0", blob.id.as_bytes().as_slice()].concat());
    let parent = parent.map_or(String::new(), |parent| format!("parent {parent}\n"));
    let person = "Dev <dev@example.org> 1700000000 +0000";
    let commit = format!("tree {}\n{parent}author {person}\ncommitter {person}\n\nstatus\n", tree.id);
    let commit = object(ObjectKind::Commit, commit);
    (commit.id, vec![blob, tree, commit])
}
