//! The two files that a device's status comes as: `status.postcard`, and `status.yaml` for publishers without giterctl.

use std::collections::BTreeMap;

use giter_edge::{
    api::{
        Condition, DeviceId, DeviceStatus, Error, Name, Oid, Reason, ResourceKey, ResourceStatus, Result,
        condition::Text,
        limits,
        resource::Kind,
        status::{Clock, Field},
    },
    codec::status,
};
use serde::Deserialize;

/// Most bytes of either file.
pub(crate) use giter_edge::api::limits::STATUS_FILE_BYTES as BYTES;
/// The names a status can have in its commit's tree.
pub(crate) use giter_edge::codec::status::FILES as NAMES;

/// Reads either file.
///
/// # Errors
///
/// `StatusInvalid`, and why.
pub(crate) fn read(name: &str, bytes: &[u8]) -> Result<DeviceStatus> {
    let invalid =
        |why: String| Error::new(Reason::StatusInvalid, format!("{name} is not a device's status")).caused_by(why);
    if !is_yaml(bytes) {
        return status::decode(bytes).map_err(|why| invalid(why.into()));
    }
    if bytes.len() > BYTES {
        return Err(invalid("it is longer than any status".into()));
    }
    let text = str::from_utf8(bytes).map_err(|e| invalid(e.to_string()))?;
    if text.contains(|c: char| c.is_control() && c != '\n') {
        return Err(invalid("it has control characters".into()));
    }
    let written: Written = serde_saphyr::from_str(text).map_err(|e| invalid(first_line(&e.to_string())))?;
    written.into_status().ok_or_else(|| invalid("it holds more than a status can".into()))
}

/// Whether the bytes can only be meant as YAML: the compact form begins with its version, a control character.
pub(crate) fn is_yaml(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(|byte| !byte.is_ascii_control())
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

/// The fields of [`StatusView`](giter_edge::codec::status::StatusView).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Written {
    device: DeviceId,
    board: Text<48>,
    agent: Text<24>,
    boot_id: String,
    sequence: u64,
    uptime_seconds: u64,
    clock: Clock,
    observed_revision: Option<String>,
    advances: u64,
    conditions: heapless::Vec<Condition, 4>,
    resources: Vec<WrittenResource>,
    lost: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WrittenResource {
    kind: Kind,
    name: Name,
    observed_digest: String,
    conditions: heapless::Vec<Condition, 3>,
    observed: BTreeMap<String, Text<80>>,
}

impl Written {
    /// `None` if an object's name or the boot id is none, or there are too many resources.
    fn into_status(self) -> Option<DeviceStatus> {
        if self.resources.len() > limits::RESOURCES {
            return None;
        }
        let observed_revision = match self.observed_revision {
            Some(id) => Some(id.parse().ok()?),
            None => None,
        };
        Some(DeviceStatus {
            device: self.device,
            board: self.board,
            agent: self.agent,
            boot_id: uuid(&self.boot_id)?,
            sequence: self.sequence,
            uptime: self.uptime_seconds,
            clock: self.clock,
            observed_revision,
            advances: self.advances,
            conditions: self.conditions,
            resources: self.resources.into_iter().map(WrittenResource::into_status).collect::<Option<_>>()?,
            lost: self.lost,
        })
    }
}

impl WrittenResource {
    fn into_status(self) -> Option<ResourceStatus> {
        let mut observed = heapless::Vec::new();
        for (name, value) in self.observed {
            observed.push(Field { name: Text::new(&name), value }).ok()?;
        }
        let key = ResourceKey { kind: self.kind, name: self.name };
        let observed_digest: Oid = self.observed_digest.parse().ok()?;
        Some(ResourceStatus { key, observed_digest, conditions: self.conditions, observed })
    }
}

/// RFC 9562, section 4.
fn uuid(text: &str) -> Option<[u8; 16]> {
    let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b'-').collect();
    let mut bytes = [0; 16];
    if digits.len() != 32 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMPACT: &[u8] = include_bytes!("../../../tests/vectors/status-v1.postcard");
    const YAML: &[u8] = include_bytes!("../../../tests/vectors/status-v1.yaml");

    #[test]
    fn both_files_say_the_same() {
        let status = read("status.postcard", COMPACT).unwrap();
        let sorted = |mut status: DeviceStatus| {
            status
                .resources
                .iter_mut()
                .for_each(|resource| resource.observed.sort_by_key(|field| field.name.to_string()));
            status
        };
        assert_eq!(sorted(read("status.yaml", YAML).unwrap()), sorted(status));
    }

    #[test]
    fn anything_else_is_refused() {
        let yaml = str::from_utf8(YAML).unwrap();
        let wrong = [
            "".into(),
            "\u{1}".into(),
            "hello".into(),
            "device: a".into(),
            format!("# \u{1b}[31m\n{yaml}"),
            format!("{yaml}extra: 1\n"),
            yaml.replacen("observedRevision: ", "observedRevision: x", 1),
            yaml.replacen("bootId: ", "bootId: x", 1),
        ];
        for text in wrong {
            assert_eq!(read("x", text.as_bytes()).unwrap_err().reason(), Reason::StatusInvalid, "{text}");
        }
    }
}
