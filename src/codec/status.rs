//! The status's bytes: a version, then the status as postcard, in one form only; and the view of it for people.
//!
//! A status is written whatever its size: what does not fit is left out and counted.

use std::{borrow::Cow, collections::BTreeMap};

use serde::Serialize;

use super::yaml;
use crate::api::{
    Condition, ConditionStatus, ConditionType, DeviceId, DeviceStatus, Error, Oid, Reason, ResourceStatus, Result,
    limits, status::Clock,
};

const VERSION: u8 = 1;

/// The names that a status can have in its commit's tree: in the compact form, and as YAML.
pub const FILES: [&str; 2] = ["status.postcard", "status.yaml"];

/// Encodes a status in at most [`limits::STATUS_BYTES`]. Where it is larger, resources are left out from the end, the
/// Ready ones first, and counted in `lost`.
///
/// # Errors
///
/// `Bug` if postcard cannot write it.
pub fn encode(status: &DeviceStatus) -> Result<Vec<u8>> {
    let mut bytes = vec![VERSION];
    bytes.extend(to_postcard(&*fitted(status)?)?);
    Ok(bytes)
}

/// Decodes a status; the error says what is wrong with the bytes.
///
/// # Errors
///
/// The bytes are not exactly what [`encode`] makes of a status.
pub fn decode(bytes: &[u8]) -> Result<DeviceStatus, &'static str> {
    if bytes.len() > limits::STATUS_BYTES {
        return Err("it is longer than any status");
    }
    let body = match bytes.split_first() {
        Some((&VERSION, body)) => body,
        Some(_) => return Err("it has a version that this program does not know"),
        None => return Err("it is empty"),
    };
    let (status, rest) = postcard::take_from_bytes::<DeviceStatus>(body).map_err(|_| "it is not a status")?;
    if !rest.is_empty() {
        return Err("bytes follow the status");
    }
    if status.resources.len() > limits::RESOURCES {
        return Err("it has more resources than a device can have");
    }
    match postcard::to_allocvec(&status) {
        Ok(same) if same == body => Ok(status),
        _ => Err("it is not in the one form that a status has"),
    }
}

/// What a status says of its place: enough to go on from it where nothing else is left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Whose it is.
    pub device: DeviceId,
    /// Its number.
    pub sequence: u64,
    /// The last accepted tip.
    pub observed_revision: Option<Oid>,
    /// How many tips were accepted.
    pub advances: u64,
}

impl Claim {
    /// Reads it from a status in either form, the YAML as [`to_yaml`] writes it.
    ///
    /// # Errors
    ///
    /// What is wrong with the bytes.
    pub fn read(file: &str, bytes: &[u8]) -> Result<Self, &'static str> {
        if file != FILES[1] {
            let DeviceStatus { device, sequence, observed_revision, advances, .. } = decode(bytes)?;
            return Ok(Self { device, sequence, observed_revision, advances });
        }
        let text = str::from_utf8(bytes).map_err(|_| "it is not text")?;
        let value = |name: &str| {
            let mut lines = text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            lines.next().map(|value| value.trim_matches('"'))
        };
        let number = |name| value(name).and_then(|value| value.parse().ok()).ok_or("a number is missing in it");
        Ok(Self {
            device: value("device").and_then(|id| id.parse().ok()).ok_or("it names no device")?,
            sequence: number("sequence")?,
            observed_revision: value("observedRevision")
                .map(|id| id.parse().map_err(|_| "it names no commit"))
                .transpose()?,
            advances: number("advances")?,
        })
    }
}

/// The status as YAML.
///
/// # Errors
///
/// `Bug` if the serializer cannot write it.
pub fn to_yaml(status: &DeviceStatus) -> Result<String> {
    yaml::to_string(&StatusView::from(status))
}

/// The part of a status that fits.
fn fitted(status: &DeviceStatus) -> Result<Cow<'_, DeviceStatus>> {
    /// The version, and the most that the count of resources and `lost` grow by.
    const SLACK: usize = 16;
    let sizes = status.resources.iter().map(|resource| Ok(to_postcard(resource)?.len())).collect::<Result<Vec<_>>>()?;
    let size = SLACK + to_postcard(status)?.len();
    let mut excess = size.saturating_sub(limits::STATUS_BYTES);
    if excess == 0 {
        return Ok(Cow::Borrowed(status));
    }
    let mut keep = vec![true; sizes.len()];
    for ready in [true, false] {
        for at in (0..sizes.len()).rev() {
            if excess > 0 && is_ready(&status.resources[at]) == ready {
                keep[at] = false;
                excess = excess.saturating_sub(sizes[at]);
            }
        }
    }
    let kept = status.resources.iter().zip(&keep).filter(|(_, keep)| **keep).map(|(resource, _)| resource.clone());
    let resources: Vec<ResourceStatus> = kept.collect();
    let left_out = status.resources.len() - resources.len();
    let lost = status.lost.saturating_add(u32::try_from(left_out).unwrap_or(u32::MAX));
    Ok(Cow::Owned(DeviceStatus { resources, lost, ..without_resources(status) }))
}

fn without_resources(status: &DeviceStatus) -> DeviceStatus {
    DeviceStatus {
        device: status.device.clone(),
        board: status.board.clone(),
        agent: status.agent.clone(),
        conditions: status.conditions.clone(),
        resources: Vec::new(),
        ..*status
    }
}

fn is_ready(resource: &ResourceStatus) -> bool {
    resource.condition(ConditionType::Ready).is_some_and(|condition| condition.status == ConditionStatus::True)
}

fn to_postcard(value: &impl Serialize) -> Result<Vec<u8>> {
    postcard::to_allocvec(value).map_err(|e| Error::new(Reason::Bug, "cannot encode the status").caused_by(e))
}

/// A status as people and scripts read it: Kubernetes' names, ids as text.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StatusView<'a> {
    /// See [`DeviceStatus::device`].
    pub device: &'a str,
    /// See [`DeviceStatus::board`].
    pub board: &'a str,
    /// See [`DeviceStatus::agent`].
    pub agent: &'a str,
    /// The boot id as the kernel writes it, a UUID.
    pub boot_id: String,
    /// See [`DeviceStatus::sequence`].
    pub sequence: u64,
    /// See [`DeviceStatus::uptime`].
    pub uptime_seconds: u64,
    /// See [`DeviceStatus::clock`].
    pub clock: Clock,
    /// The commit's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_revision: Option<String>,
    /// See [`DeviceStatus::advances`].
    pub advances: u64,
    /// See [`DeviceStatus::conditions`].
    pub conditions: &'a [Condition],
    /// The resources.
    pub resources: Vec<ResourceView<'a>>,
    /// See [`DeviceStatus::lost`].
    pub lost: u32,
}

/// A resource in a [`StatusView`].
#[derive(Clone, Debug, Serialize)]
pub struct ResourceView<'a> {
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub name: &'a str,
    /// Its status.
    #[serde(flatten)]
    pub status: ResourceStatusView<'a>,
}

/// The status of a resource, as it stands in the resource itself.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceStatusView<'a> {
    /// The name of the manifest's blob.
    pub observed_digest: String,
    /// See [`ResourceStatus::conditions`].
    pub conditions: &'a [Condition],
    /// The observed values by name.
    pub observed: BTreeMap<&'a str, &'a str>,
}

impl<'a> From<&'a DeviceStatus> for StatusView<'a> {
    fn from(status: &'a DeviceStatus) -> Self {
        Self {
            device: status.device.as_str(),
            board: status.board.as_str(),
            agent: status.agent.as_str(),
            boot_id: uuid(&status.boot_id),
            sequence: status.sequence,
            uptime_seconds: status.uptime,
            clock: status.clock,
            observed_revision: status.observed_revision.map(|id| id.to_string()),
            advances: status.advances,
            conditions: &status.conditions,
            resources: status.resources.iter().map(ResourceView::from).collect(),
            lost: status.lost,
        }
    }
}

impl<'a> From<&'a ResourceStatus> for ResourceView<'a> {
    fn from(resource: &'a ResourceStatus) -> Self {
        Self { kind: resource.key.kind.to_string(), name: resource.key.name.as_str(), status: resource.into() }
    }
}

impl<'a> From<&'a ResourceStatus> for ResourceStatusView<'a> {
    fn from(resource: &'a ResourceStatus) -> Self {
        Self {
            observed_digest: resource.observed_digest.to_string(),
            conditions: &resource.conditions,
            observed: resource.observed.iter().map(|field| (field.name.as_str(), field.value.as_str())).collect(),
        }
    }
}

/// A boot id as the kernel writes it (RFC 9562, section 4): 8-4-4-4-12 hexadecimal digits.
pub fn uuid(bytes: &[u8; 16]) -> String {
    let mut text = String::with_capacity(36);
    for (at, byte) in bytes.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{Oid, status::Field};

    fn resource(n: usize, ready: ConditionStatus, message: &str) -> ResourceStatus {
        ResourceStatus {
            key: format!("File/x{n}").parse().unwrap(),
            observed_digest: Oid::new([n as u8; 20]),
            conditions: [Condition::new(ConditionType::Ready, ready, "Applied", message)].into_iter().collect(),
            observed: [Field::new("sha256", n)].into_iter().collect(),
        }
    }

    fn status(resources: Vec<ResourceStatus>) -> DeviceStatus {
        DeviceStatus {
            device: "site-a/pump-07".parse().unwrap(),
            board: crate::api::condition::Text::new("sim"),
            agent: crate::api::condition::Text::new("0.1.0"),
            boot_id: *b"0123456789abcdef",
            sequence: 300,
            uptime: 86_400,
            clock: Clock::Plausible,
            observed_revision: Some(Oid::new([0xab; 20])),
            advances: 2,
            conditions: [Condition::new(ConditionType::Synced, ConditionStatus::True, "UpToDate", "")]
                .into_iter()
                .collect(),
            resources,
            lost: 0,
        }
    }

    #[test]
    fn what_is_written_is_read() {
        for status in [status(Vec::new()), status(vec![resource(1, ConditionStatus::True, "as the spec says")])] {
            assert_eq!(decode(&encode(&status).unwrap()), Ok(status));
        }
    }

    #[test]
    fn a_status_that_is_too_large_keeps_what_needs_attention() {
        let message = "m".repeat(limits::MESSAGE_BYTES);
        let resources = (0..limits::RESOURCES).map(|n| {
            let ready = if n % 2 == 0 { ConditionStatus::True } else { ConditionStatus::False };
            resource(n, ready, &message)
        });
        let status = status(resources.collect());
        let bytes = encode(&status).unwrap();
        assert!(bytes.len() <= limits::STATUS_BYTES && bytes.len() > limits::STATUS_BYTES - 400, "{}", bytes.len());
        let kept = decode(&bytes).unwrap();
        assert_eq!(kept.resources.len() + kept.lost as usize, limits::RESOURCES);
        assert!(kept.lost > 0);
        let unready = |status: &DeviceStatus| status.resources.iter().filter(|resource| !is_ready(resource)).count();
        assert_eq!(unready(&kept), unready(&status));
        let ready: Vec<&ResourceStatus> = kept.resources.iter().filter(|resource| is_ready(resource)).collect();
        assert_eq!(ready.last().unwrap().key.name.as_str(), format!("x{}", 2 * (ready.len() - 1)));
    }

    #[test]
    fn a_status_of_unready_resources_is_cut_too() {
        let message = "m".repeat(limits::MESSAGE_BYTES);
        let resources = (0..2 * limits::RESOURCES).map(|n| resource(n, ConditionStatus::Unknown, &message));
        let kept = decode(&encode(&DeviceStatus { lost: 7, ..status(resources.collect()) }).unwrap()).unwrap();
        assert_eq!(kept.resources.len() + kept.lost as usize, 2 * limits::RESOURCES + 7);
        assert_eq!(kept.resources[0].key.name.as_str(), "x0");
    }

    #[test]
    fn anything_else_is_refused() {
        let bytes = encode(&status(vec![resource(1, ConditionStatus::True, "fine")])).unwrap();
        (0..bytes.len()).for_each(|at| assert!(decode(&bytes[..at]).is_err(), "cut at {at}"));
        assert_eq!(decode(&[&bytes[..], b"x"].concat()), Err("bytes follow the status"));
        assert_eq!(decode(&[&[2], &bytes[1..]].concat()), Err("it has a version that this program does not know"));
        assert_eq!(decode(&vec![1; limits::STATUS_BYTES + 1]), Err("it is longer than any status"));
        assert!(decode(&[0; 4096]).is_err());
        assert!(decode(&[1; 4096]).is_err());
        // A length may be written longer than need be.
        let device = "site-a/pump-07".len() as u8;
        assert_eq!(bytes[..2], [VERSION, device]);
        let long = [&[VERSION, device | 0x80, 0], &bytes[2..]].concat();
        assert_eq!(decode(&long), Err("it is not in the one form that a status has"));
    }

    #[test]
    fn control_characters_are_refused() {
        let mut bytes = encode(&status(vec![resource(1, ConditionStatus::True, "fine")])).unwrap();
        let at = bytes.windows(4).position(|window| window == b"fine").unwrap();
        bytes[at] = 0x1b;
        assert_eq!(decode(&bytes), Err("it is not a status"));
    }

    #[test]
    fn mutations_never_panic_and_only_the_one_form_is_read() {
        let seed = encode(&status((0..3).map(|n| resource(n, ConditionStatus::False, "broken")).collect())).unwrap();
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        let mut below = |bound: usize| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            (random % bound as u64) as usize
        };
        for _ in 0..20_000 {
            let mut bytes = seed.clone();
            for _ in 0..1 + below(3) {
                let at = below(bytes.len());
                match below(3) {
                    0 => bytes[at] = below(256) as u8,
                    1 => bytes.truncate(at + 1),
                    _ => bytes.insert(at, below(256) as u8),
                }
            }
            if let Ok(status) = decode(&bytes) {
                assert_eq!(encode(&status).unwrap(), bytes);
                to_yaml(&status).unwrap();
            }
        }
    }

    #[test]
    fn a_boot_id_reads_as_the_kernel_writes_it() {
        assert_eq!(uuid(&[0xab; 16]), "abababab-abab-abab-abab-abababababab");
    }
}
