//! A publisher who signs in this process, because git and ssh-keygen would take minutes for thousands of commits.

use std::{fs, path::Path};

use giter_edge::{
    api::{
        Oid,
        object::{NewObject, ObjectKind},
    },
    codec::{keyfile::SecretKey, sshsig},
    git::commit::object,
};

use crate::{
    Result,
    command::{program, run, ssh_keygen},
};

/// The date of the first commit; each further one is a minute later.
const BEGIN: usize = 1_795_238_229;

/// A key as ssh-keygen made it.
pub(crate) struct Key {
    /// The public key's type and base64.
    pub(crate) words: String,
    pub(crate) secret: SecretKey,
}

impl Key {
    /// Makes a key at a path.
    pub(crate) fn make(path: &Path) -> Result<Self> {
        let words = ssh_keygen(path)?;
        let secret = SecretKey::from_openssh(&path.display().to_string(), &fs::read(path)?)?;
        Ok(Self { words, secret })
    }
}

/// Writes and signs the charter with the root's key in a folder, the file `root`. The publisher may change what the
/// pattern matches.
pub(crate) fn charter(dir: &Path, root: &Key, publisher: &Key, pattern: &str) -> Result<[Vec<u8>; 2]> {
    let path = dir.join("exchange.yaml");
    let charter = format!(
        "apiVersion: edge.giter.dev/v1alpha1\nkind: Exchange\nmetadata: {{name: bench}}\nspec:\n  \
         id: 5f0c1f0e3d5b4d0e9a7c2b6e8f1a4c3d\n  serial: 1\n  branch: main\n  verify: range\n  \
         roots: [\"{} root@bench\"]\n  publishers:\n  \
         - {{principal: publisher@bench, key: \"{}\", paths: [\"{pattern}\"]}}\n",
        root.words, publisher.words
    );
    fs::write(&path, &charter)?;
    run(program("ssh-keygen")
        .args(["-q", "-Y", "sign", "-n", sshsig::EXCHANGE, "-f"])
        .arg(dir.join("root"))
        .arg(&path))?;
    Ok([charter.into_bytes(), fs::read(dir.join("exchange.yaml.sig"))?])
}

/// Objects that are not in a repository yet.
#[derive(Default)]
pub(crate) struct Draft {
    pub(crate) objects: Vec<NewObject>,
}

impl Draft {
    /// Adds an object.
    pub(crate) fn add(&mut self, kind: ObjectKind, data: Vec<u8>) -> Result<Oid> {
        let new = object(kind, data)?;
        let id = new.id;
        self.objects.push(new);
        Ok(id)
    }

    /// Adds a tree of entries in its order: mode, name and object.
    pub(crate) fn tree<'a>(&mut self, entries: impl IntoIterator<Item = (&'a str, &'a str, Oid)>) -> Result<Oid> {
        let mut data = Vec::new();
        for (mode, name, id) in entries {
            data.extend_from_slice(format!("{mode} {name}\0").as_bytes());
            data.extend_from_slice(id.as_bytes());
        }
        self.add(ObjectKind::Tree, data)
    }

    /// Adds the root of a tree: the charter, its signature, and the specs.
    pub(crate) fn root(&mut self, [charter, signature]: [Oid; 2], specs: Oid) -> Result<Oid> {
        self.tree([
            ("100644", "exchange.yaml", charter),
            ("100644", "exchange.yaml.sig", signature),
            ("40000", "specs", specs),
        ])
    }

    /// Adds the signed commit of a tree, the line's `number`th.
    pub(crate) fn commit(&mut self, key: &SecretKey, root: Oid, parent: Option<Oid>, number: usize) -> Result<Oid> {
        let parent = parent.map(|parent| format!("parent {parent}\n")).unwrap_or_default();
        let who = format!("bench <root@bench> {} +0000", BEGIN + 60 * number);
        let header = format!("tree {root}\n{parent}author {who}\ncommitter {who}\n");
        let message = format!("\nSet value to {number}\n");
        let armour = sshsig::sign(key, sshsig::GIT, format!("{header}{message}").as_bytes());
        let signature = armour.trim_end().replace('\n', "\n ");
        self.add(ObjectKind::Commit, format!("{header}gpgsig {signature}\n{message}").into_bytes())
    }
}
