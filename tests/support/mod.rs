//! What several test programs build with: git objects by hand, and repositories by the real git.

#![allow(dead_code)]

pub(crate) mod packfile;
pub(crate) mod pipe;

use std::{
    path::Path,
    process::{Command, Stdio},
    sync::LazyLock,
};

use giter_edge::{
    api::{DeviceId, Oid},
    git::pack,
    reconcile::ports::{NewObject, Object, ObjectKind, Want},
};

/// The file of a [`snapshot`].
pub(crate) const FILE: &str = "exchange.yaml";

/// The device that reads.
pub(crate) fn device() -> &'static DeviceId {
    static DEVICE: LazyLock<DeviceId> = LazyLock::new(|| "dev".parse().unwrap());
    &DEVICE
}

/// What the device reads of a commit.
pub(crate) fn reads(tip: Oid, have: Option<Oid>) -> Want<'static> {
    Want::Tip { tip, have, device: device() }
}

/// An object with its name.
pub(crate) fn object(kind: ObjectKind, data: &[u8]) -> NewObject {
    NewObject { id: pack::id_of(kind, data).unwrap(), object: Object { kind, data: data.to_vec() } }
}

/// A blob.
pub(crate) fn blob(data: &[u8]) -> NewObject {
    object(ObjectKind::Blob, data)
}

/// A tree of entries (mode, name, object), which must be sorted as git sorts them.
pub(crate) fn tree(entries: &[(&str, &str, Oid)]) -> NewObject {
    let mut data = Vec::new();
    for (mode, name, id) in entries {
        data.extend_from_slice(format!("{mode} {name}\0").as_bytes());
        data.extend_from_slice(id.as_bytes());
    }
    object(ObjectKind::Tree, &data)
}

/// A commit.
pub(crate) fn commit(tree: Oid, parents: &[Oid], message: &str) -> NewObject {
    let parents: String = parents.iter().map(|parent| format!("parent {parent}\n")).collect();
    let who = "A U Thor <author@example.com> 1700000000 +0000";
    let text = format!("tree {tree}\n{parents}author {who}\ncommitter {who}\n\n{message}\n");
    object(ObjectKind::Commit, text.as_bytes())
}

/// A commit of one file, with all its objects: blob, tree, commit. It is a file that every device reads.
pub(crate) fn snapshot(content: &[u8], parents: &[Oid]) -> [NewObject; 3] {
    let blob = blob(content);
    let tree = tree(&[("100644", FILE, blob.id)]);
    let commit = commit(tree.id, parents, "snapshot");
    [blob, tree, commit]
}

/// Runs git in a folder, with nothing of the machine's configuration; returns what it wrote.
pub(crate) fn git(folder: &Path, arguments: &[&str]) -> Vec<u8> {
    git_with(folder, arguments, b"")
}

/// Runs git with something on its standard input.
pub(crate) fn git_with(folder: &Path, arguments: &[&str], input: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut command = Command::new("git");
    command.current_dir(folder).args(arguments).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.envs([("GIT_CONFIG_NOSYSTEM", "1"), ("GIT_CONFIG_GLOBAL", "/dev/null"), ("HOME", "/nonexistent")]);
    for role in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{role}_NAME"), "A U Thor").env(format!("GIT_{role}_EMAIL"), "author@example.com");
        command.env(format!("GIT_{role}_DATE"), "1700000000 +0000");
    }
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().expect("the tests need the git program");
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// Runs git and reads the object name that it prints.
pub(crate) fn git_oid(folder: &Path, arguments: &[&str]) -> Oid {
    String::from_utf8(git(folder, arguments)).unwrap().trim().parse().unwrap()
}
