//! The files of a new exchange.

use giter_edge::{
    api::{API_VERSION, DeviceId, Name, Result},
    codec::{charter, yaml},
};

use crate::keys::PublicLine;

/// Whose commits devices accept.
pub(super) const ROOT_KEYS: &str = "root.keys";
/// Whom the publisher's git believes.
pub(super) const ALLOWED_SIGNERS: &str = "allowed_signers";

/// The bytes of what is signed are never converted.
const ATTRIBUTES: &str = "status.postcard diff=giter-status\nexchange.yaml -text\nexchange.yaml.sig -text\n";

/// What the files are made of.
pub(super) struct Exchange {
    pub(super) name: Name,
    pub(super) id: String,
    pub(super) branch: String,
    pub(super) devices: Vec<DeviceId>,
    /// The folder, on the devices, of the example file.
    pub(super) file_root: String,
    /// The root's key, with his name.
    pub(super) root: PublicLine,
    /// The publisher's, with his; `None` where he is the root.
    pub(super) publisher: Option<PublicLine>,
}

impl Exchange {
    /// Each file's path and text.
    pub(super) fn files(&self) -> Result<Vec<(String, String)>> {
        let line = |PublicLine { key, comment }: &PublicLine, namespaces: &str| {
            format!("{comment} namespaces=\"{namespaces}\" {}\n", key.to_openssh())
        };
        let root = line(&self.root, "git,giter-exchange");
        let publisher = self.publisher.as_ref().map(|key| line(key, "git")).unwrap_or_default();
        let mut files = vec![
            (charter::PATH.into(), self.charter()?),
            (".gitattributes".into(), ATTRIBUTES.into()),
            ("README.md".into(), self.fill(include_str!("README.md"))),
            (ROOT_KEYS.into(), root.clone()),
            (ALLOWED_SIGNERS.into(), root + &publisher),
        ];
        for device in &self.devices {
            let mut add = |name: &str, text: String| files.push((format!("specs/{device}/{name}"), text));
            add("motd.yaml", self.motd(device)?);
            add("pump-relay.yaml", self.fill(include_str!("pump-relay.yaml")));
            add("activity.yaml", self.fill(include_str!("activity.yaml")));
        }
        Ok(files)
    }

    pub(super) fn charter(&self) -> Result<String> {
        let charter = self
            .fill(include_str!("exchange.yaml"))
            .replace("{branch_scalar}", &yaml::scalar(&self.branch)?)
            .replace("{name_scalar}", &yaml::scalar(self.name.as_str())?)
            .replace("{id_scalar}", &yaml::scalar(&self.id)?)
            .replace("{root_scalar}", &yaml::scalar(&self.root.to_string())?);
        let Some(publisher) = &self.publisher else { return Ok(charter) };
        let (principal, key) = (yaml::scalar(&publisher.comment)?, yaml::scalar(&publisher.to_string())?);
        Ok(format!("{charter}  publishers:\n  - principal: {principal}\n    key: {key}\n"))
    }

    fn motd(&self, device: &DeviceId) -> Result<String> {
        let path = yaml::scalar(&format!("{}/motd", self.file_root.trim_end_matches('/')))?;
        let text = self.fill(include_str!("motd.yaml"));
        Ok(text.replace("{path_scalar}", &path).replace("{device}", device.as_str()))
    }

    fn fill(&self, template: &str) -> String {
        let device = self.devices.first().map_or("edge-01", DeviceId::as_str);
        template
            .replace("{api_version}", API_VERSION)
            .replace("{name}", self.name.as_str())
            .replace("{branch}", &self.branch)
            .replace("{file_root}", &self.file_root)
            .replace("{first_device}", device)
    }
}
