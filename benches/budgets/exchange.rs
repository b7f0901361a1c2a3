//! An exchange for measuring: a bare repository, and a publisher who signs what is pushed there.

use std::{
    cell::Cell,
    fs,
    path::{Path, PathBuf},
};

use crate::{
    Result,
    command::{git, ssh_keygen},
};

/// An exchange of `File` resources, one manifest each.
///
/// Its hub keeps each push as the pack that it came in (`receive.unpackLimit`), so that a push can be weighed.
pub(crate) struct Exchange {
    dir: PathBuf,
    changes: Cell<u32>,
}

impl Exchange {
    /// Makes and publishes an exchange of `device-0`, `device-1` and so on, each with as many resources.
    pub(crate) fn create(dir: &Path, devices: usize, resources: usize) -> Result<Self> {
        let exchange = Self { dir: dir.to_owned(), changes: Cell::new(0) };
        let (hub, publisher) = (exchange.hub(), exchange.publisher());
        fs::create_dir_all(exchange.files())?;
        let key = ssh_keygen(&exchange.key())?;
        fs::write(exchange.signers(), format!("root@bench {key}\n"))?;

        git(dir, ["init", "-q", "--bare", "-b", "main", "hub.git"])?;
        git(&hub, ["config", "receive.unpackLimit", "1"])?;
        git(dir, ["init", "-q", "-b", "main", "publisher"])?;
        for (name, value) in [("user.name", "root"), ("user.email", "root@bench"), ("gpg.format", "ssh")] {
            git(&publisher, ["config", name, value])?;
        }
        git(&publisher, ["config", "user.signingKey", &exchange.key().display().to_string()])?;
        for device in 0..devices {
            let name = format!("device-{device}");
            fs::create_dir_all(exchange.specs(&name))?;
            (0..resources).try_for_each(|resource| exchange.write(&name, resource))?;
        }
        exchange.publish("Publish")?;
        Ok(exchange)
    }

    /// Publishes another content of one resource of a device, as long as the one before.
    pub(crate) fn change(&self, device: &str) -> Result<()> {
        self.changes.set(self.changes.get() + 1);
        self.write(device, 0)?;
        self.publish("Change one resource")
    }

    /// The bare repository.
    pub(crate) fn hub(&self) -> PathBuf {
        self.dir.join("hub.git")
    }

    /// The packs of the bare repository.
    pub(crate) fn packs(&self) -> Result<Vec<PathBuf>> {
        let entries = fs::read_dir(self.hub().join("objects/pack"))?.collect::<std::io::Result<Vec<_>>>()?;
        let is_pack = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "pack");
        Ok(entries.into_iter().map(|entry| entry.path()).filter(is_pack).collect())
    }

    /// The folder that everything of this exchange lies in.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The folder that the `File` resources are in.
    pub(crate) fn files(&self) -> PathBuf {
        self.dir.join("files")
    }

    /// The publisher's private key.
    pub(crate) fn key(&self) -> PathBuf {
        self.dir.join("root")
    }

    /// The allowed_signers file that names the publisher.
    pub(crate) fn signers(&self) -> PathBuf {
        self.dir.join("root.keys")
    }

    fn publisher(&self) -> PathBuf {
        self.dir.join("publisher")
    }

    fn specs(&self, device: &str) -> PathBuf {
        self.publisher().join("specs").join(device)
    }

    fn write(&self, device: &str, resource: usize) -> Result<()> {
        let path = self.files().join(format!("{device}-{resource}.conf"));
        let manifest = format!(
            "apiVersion: edge.giter.dev/v1alpha1\nkind: File\nmetadata:\n  name: file-{resource}\nspec:\n  \
             path: {}\n  mode: \"0644\"\n  content: |\n    # {device}\n    value = \"{:06}\"\n",
            path.display(),
            self.changes.get()
        );
        Ok(fs::write(self.specs(device).join(format!("file-{resource}.yaml")), manifest)?)
    }

    fn publish(&self, message: &str) -> Result<()> {
        let publisher = self.publisher();
        git(&publisher, ["add", "."])?;
        git(&publisher, ["commit", "-q", "-S", "-m", message])?;
        git(&publisher, ["push", "-q", &self.hub().display().to_string(), "main"]).map(drop)
    }
}
