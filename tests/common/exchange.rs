//! An exchange as its publisher has it: keys, and a work tree from which signed commits are pushed to the hub.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use giter_edge::api::Oid;

use super::hub::{Hub, git, git_with};

/// The device whose folder the exchange has.
pub(crate) const DEVICE: &str = "pump-07";

/// Its one manifest.
pub(crate) const MANIFEST: &str = "specs/pump-07/all.yaml";

/// A hub, and beside it the publisher's work tree and everybody's keys.
pub(crate) struct Exchange {
    /// The hub.
    pub(crate) hub: Hub,
}

/// Who signs a commit.
#[derive(Clone, Copy)]
pub(crate) enum By {
    /// The publisher whom the device trusts.
    Ops,
    /// Somebody with a key, whom nobody trusts.
    Eve,
    /// Nobody.
    Nobody,
}

impl Exchange {
    /// An empty hub, an empty work tree, and the keys `ops` (trusted, by `root.keys`), `eve` (not) and `device`.
    pub(crate) fn new() -> Self {
        Self::with(Hub::empty())
    }

    /// The same in memory, where fsync costs nothing.
    pub(crate) fn in_memory() -> Self {
        let memory = Path::new("/dev/shm");
        let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        let exchange = Self::with(Hub::empty_in(folder.unwrap()));
        fs::remove_dir_all(exchange.hub.path().join("hooks")).unwrap();
        exchange
    }

    fn with(hub: Hub) -> Self {
        let exchange = Self { hub };
        for name in ["ops", "eve", "device"] {
            keygen(&exchange.beside(name), "");
        }
        fs::write(exchange.beside("root.keys"), exchange.signer("ops@plant-7", "ops")).unwrap();
        fs::write(exchange.beside("device.signers"), exchange.signer("pump-07@giter", "device")).unwrap();
        fs::create_dir(exchange.work()).unwrap();
        exchange.git(&["init", "--quiet"]);
        exchange.git(&["config", "gpg.format", "ssh"]);
        exchange
    }

    /// A file or folder beside the hub.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.hub.beside(name)
    }

    /// The publisher's work tree.
    pub(crate) fn work(&self) -> PathBuf {
        self.beside("work")
    }

    /// The device's status ref.
    pub(crate) fn status(&self) -> Option<Oid> {
        self.hub.value(&status_ref())
    }

    /// Runs git in the work tree.
    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        git(&self.work(), arguments)
    }

    /// Writes a file of the work tree, and the folders above it.
    pub(crate) fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.work().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Commits the work tree as it stands; the commit.
    pub(crate) fn commit(&self, by: By) -> Oid {
        self.commit_with(by, &[])
    }

    /// Likewise, with more arguments for git-commit.
    pub(crate) fn commit_with(&self, by: By, arguments: &[&str]) -> Oid {
        self.git(&["add", "--all", "."]);
        self.commit_index(by, arguments)
    }

    /// Commits what was put into the index, by [`Exchange::add_entry`] too; the commit.
    pub(crate) fn commit_as_is(&self, by: By) -> Oid {
        self.commit_index(by, &[])
    }

    fn commit_index(&self, by: By, arguments: &[&str]) -> Oid {
        let key = match by {
            By::Ops | By::Nobody => self.beside("ops"),
            By::Eve => self.beside("eve"),
        };
        let key = format!("user.signingKey={}", key.display());
        let sign = if matches!(by, By::Nobody) { "--no-gpg-sign" } else { "--gpg-sign" };
        let commit = ["-c", &key, "commit", "--quiet", "--allow-empty", "--message=set", sign];
        self.git(&[&commit, arguments].concat());
        self.head()
    }

    /// The work tree's commit.
    pub(crate) fn head(&self) -> Oid {
        self.git(&["rev-parse", "HEAD"]).parse().unwrap()
    }

    /// Makes the hub's `main` what the work tree's is, whatever it was.
    pub(crate) fn push(&self) {
        self.git(&["push", "--quiet", "--force", &self.hub.path().display().to_string(), "HEAD:refs/heads/main"]);
    }

    /// Publishes a commit whose one manifest is of a file with this content.
    pub(crate) fn publish_file(&self, file: &Path, content: &str) -> Oid {
        let file = file.display();
        self.write(
            MANIFEST,
            format!(
                "apiVersion: edge.giter.dev/v1alpha1\nkind: File\nmetadata: {{name: motd}}\n\
                 spec: {{path: {file}, content: \"{content}\"}}\n"
            ),
        );
        self.publish()
    }

    /// Commits the work tree as it stands, signed by the publisher, and pushes it.
    pub(crate) fn publish(&self) -> Oid {
        let commit = self.commit(By::Ops);
        self.push();
        commit
    }

    /// Makes the work tree what it was at a commit.
    pub(crate) fn reset(&self, to: Oid) {
        self.git(&["reset", "--quiet", "--hard", &to.to_string()]);
        self.git(&["clean", "--quiet", "-fdx"]);
    }

    /// Writes a commit object whose text is the head's after a change, and pushes it.
    pub(crate) fn push_altered(&self, change: impl FnOnce(&str) -> String) {
        let commit = self.git(&["cat-file", "commit", "HEAD"]) + "\n";
        let altered =
            git_with(&self.work(), &["hash-object", "-w", "-t", "commit", "--stdin"], change(&commit).as_bytes());
        self.git(&["update-ref", "HEAD", &altered]);
        self.push();
    }

    /// Puts an entry without a file into the next commit: a link, a submodule.
    pub(crate) fn add_entry(&self, mode: &str, id: &str, path: &str) {
        self.git(&["update-index", "--add", "--cacheinfo", &format!("{mode},{id},{path}")]);
    }

    /// The SSH signature over a text, as ssh-keygen makes it in a namespace.
    pub(crate) fn sign(&self, text: &str, namespace: &str) -> String {
        let file = self.beside("signed");
        fs::write(&file, text).unwrap();
        let mut keygen = Command::new("ssh-keygen");
        run(keygen.args(["-q", "-Y", "sign", "-n", namespace, "-f"]).arg(self.beside("ops")).arg(&file));
        fs::read_to_string(self.beside("signed.sig")).unwrap()
    }

    fn signer(&self, principal: &str, key: &str) -> String {
        format!("{principal} {}", fs::read_to_string(self.beside(key).with_extension("pub")).unwrap())
    }
}

/// The device's status ref.
pub(crate) fn status_ref() -> String {
    format!("refs/giter/status/{DEVICE}")
}

/// Makes an ed25519 key.
pub(crate) fn keygen(path: &Path, passphrase: &str) {
    run(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", passphrase, "-f"]).arg(path));
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}; apt-get install openssh-client"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
