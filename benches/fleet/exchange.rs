//! The publisher: specs for every device, signed by a root, pushed to the hub and so judged by its hook.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    Result,
    agent::Device,
    command::{git, program, run, ssh_keygen},
    hub::Hub,
};

/// The publisher's clone.
pub(crate) struct Exchange {
    dir: PathBuf,
}

impl Exchange {
    /// Makes a key that is a root's, and an empty clone.
    pub(crate) fn create(dir: &Path) -> Result<Self> {
        fs::create_dir(dir)?;
        let exchange = Self { dir: dir.to_owned() };
        let key = ssh_keygen(&exchange.key())?;
        fs::write(exchange.root_file(), format!("root@bench {key}\n"))?;
        git(dir, ["init", "-q", "-b", "main", "clone"])?;
        let signing_key = exchange.key().display().to_string();
        let settings = [
            ("user.name", "root"),
            ("user.email", "root@bench"),
            ("gpg.format", "ssh"),
            ("user.signingKey", &signing_key),
        ];
        settings.into_iter().try_for_each(|(name, value)| git(&exchange.clone(), ["config", name, value]).map(drop))?;
        Ok(exchange)
    }

    /// The devices' root file.
    pub(crate) fn root_file(&self) -> PathBuf {
        self.dir.join("root.keys")
    }

    /// The publisher's clone.
    pub(crate) fn clone(&self) -> PathBuf {
        self.dir.join("clone")
    }

    /// Names the device's keys.
    pub(crate) fn approve(&self, device: &Device) -> Result<()> {
        let Device { name, status_key, ssh_key, .. } = device;
        let manifest = format!(
            "apiVersion: edge.giter.dev/v1alpha1\nkind: Device\nmetadata: {{name: {name}}}\nspec:\n  \
             statusKeys: [{{key: \"{status_key}\"}}]\n  sshKeys: [\"{ssh_key}\"]\n"
        );
        self.write(device, "device.yaml", &manifest)
    }

    /// Gives the device a line, an LED and a file with this text.
    pub(crate) fn specify(&self, device: &Device, text: &str) -> Result<()> {
        let manifest = format!(
            "apiVersion: edge.giter.dev/v1alpha1\nkind: File\nmetadata: {{name: motd}}\n\
             spec: {{path: {:?}, content: {text:?}}}\n---\n\
             apiVersion: edge.giter.dev/v1alpha1\nkind: GpioLine\nmetadata: {{name: pump}}\n\
             spec: {{line: GPIO17, direction: output, value: high, failsafe: low}}\n---\n\
             apiVersion: edge.giter.dev/v1alpha1\nkind: Led\nmetadata: {{name: activity}}\n\
             spec: {{led: ACT, brightness: 255}}\n",
            device.file(),
        );
        self.write(device, "all.yaml", &manifest)
    }

    /// Commits and pushes what was written; the commit.
    pub(crate) fn publish(&self, hub: &Hub, message: &str) -> Result<String> {
        let clone = self.clone();
        git(&clone, ["add", "."])?;
        git(&clone, ["commit", "-q", "-S", "-m", message])?;
        git(&clone, ["push", "-q", &hub.repository().display().to_string(), "main"])?;
        git(&clone, ["rev-parse", "HEAD"])
    }

    /// Has `giterctl` prove every status that the hub has.
    pub(crate) fn verify(&self, hub: &Hub) -> Result<()> {
        let url = hub.repository().display().to_string();
        git(&self.clone(), ["fetch", "-q", &url, "+refs/giter/status/*:refs/giter/status/*"])?;
        let mut giterctl = program(env!("CARGO_BIN_EXE_giterctl"));
        run(giterctl.arg("verify").current_dir(self.clone())).map(drop)
    }

    /// The root's private key.
    fn key(&self) -> PathBuf {
        self.dir.join("root")
    }

    fn write(&self, device: &Device, file: &str, text: &str) -> Result<()> {
        let folder = self.clone().join("specs").join(&device.name);
        fs::create_dir_all(&folder)?;
        Ok(fs::write(folder.join(file), text)?)
    }
}
