//! The link through ssh, and `giterd` as a program, against real git behind a real sshd.
//!
//! `cargo test --test ssh`; it needs git and openssh-server, and fails where they are missing.

#[path = "../common/mod.rs"]
mod common;
#[path = "../contracts/link.rs"]
mod contract;
#[path = "../support/mod.rs"]
mod support;

mod enroll;
mod fetch;
mod guarded;
mod hubs;
mod kept;
mod push;
mod refusals;
mod sync;

use std::{io::Read, path::Path, time::Duration};

use common::sshd::Sshd;
use giter_edge::{
    api::{Error, Oid, Reason, Result, ledger::Generation},
    link::{Cancel, SshConfig, SshLink, Url},
    reconcile::ports::{Object, ObjectKind, Objects, Quarantine},
};

/// The status ref of the tests.
const STATUS: &str = "refs/giter/status/dev";

/// Longer than any test takes.
const LONG: Duration = Duration::from_secs(300);

/// How a link to a repository behind a server is configured, as its key and host key are.
fn config(sshd: &Sshd, repository: &Path) -> SshConfig {
    config_at(sshd, &sshd.url(repository))
}

fn config_at(sshd: &Sshd, url: &str) -> SshConfig {
    let Url::Ssh(url) = url.parse().unwrap() else { panic!("{url} is a file") };
    SshConfig {
        url,
        branch: "main".to_owned(),
        status_ref: STATUS.to_owned(),
        identity: Some(sshd.file("user_key")),
        known_hosts: Some(sshd.file("known_hosts")),
        program: sshd.file("ssh"),
        timeout: LONG,
        protocol_in_command: false,
    }
}

fn link(config: SshConfig) -> SshLink {
    SshLink::new(config, Cancel::new().unwrap())
}

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

    fn promote(self: Box<Self>, _tip: Oid) -> Result<Generation> {
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
fn object(kind: ObjectKind, data: impl Into<Vec<u8>>) -> giter_edge::reconcile::ports::NewObject {
    let data = data.into();
    let id = giter_edge::git::pack::id_of(kind, &data).unwrap();
    giter_edge::reconcile::ports::NewObject { id, object: Object { kind, data } }
}
