//! The files of a new exchange.

use giter_edge::{
    api::{API_VERSION, DeviceId, Name, Result},
    cli,
    codec::yaml,
};

/// Whose commits devices accept.
pub(super) const ROOT_KEYS: &str = "root.keys";
/// Whom the publisher's git believes.
pub(super) const ALLOWED_SIGNERS: &str = "allowed_signers";

/// What the files are made of.
pub(super) struct Exchange {
    pub(super) name: Name,
    pub(super) id: String,
    pub(super) branch: String,
    pub(super) devices: Vec<DeviceId>,
    /// The folder, on the devices, of the example file.
    pub(super) file_root: String,
    /// The publisher's public key.
    pub(super) key: String,
    /// Who the publisher is.
    pub(super) principal: String,
}

impl Exchange {
    /// Each file's path and text.
    pub(super) fn files(&self) -> Result<Vec<(String, String)>> {
        let Self { key, principal, .. } = self;
        let mut files = vec![
            ("exchange.yaml".into(), self.charter()?),
            (".gitattributes".into(), "status.postcard diff=giter-status\n".into()),
            ("README.md".into(), self.fill(include_str!("README.md"))),
            (ROOT_KEYS.into(), format!("{principal} namespaces=\"git,giter-exchange\" {key}\n")),
            (ALLOWED_SIGNERS.into(), format!("{principal} namespaces=\"git\" {key}\n")),
        ];
        for device in &self.devices {
            let mut add = |name: &str, text: String| files.push((format!("specs/{device}/{name}"), text));
            add("motd.yaml", self.motd(device)?);
            add("pump-relay.yaml", self.fill(include_str!("pump-relay.yaml")));
            add("activity.yaml", self.fill(include_str!("activity.yaml")));
        }
        Ok(files)
    }

    fn charter(&self) -> Result<String> {
        let root = scalar(&format!("{} {}", self.key, self.principal))?;
        Ok(self
            .fill(include_str!("exchange.yaml"))
            .replace("{branch_scalar}", &scalar(&self.branch)?)
            .replace("{name_scalar}", &scalar(self.name.as_str())?)
            .replace("{id_scalar}", &scalar(&self.id)?)
            .replace("{root_scalar}", &root))
    }

    fn motd(&self, device: &DeviceId) -> Result<String> {
        let path = scalar(&format!("{}/motd", self.file_root.trim_end_matches('/')))?;
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

/// A text as YAML writes it on one line, in quotes where it would be taken for something else. JSON's quotes are YAML's.
fn scalar(text: &str) -> Result<String> {
    let text = if text.contains(' ') { cli::json(&text)? } else { yaml::to_string(&text)? };
    Ok(text.trim_end().to_owned())
}
