//! A device's request to be enrolled: the `Device` resource that it asks for, in a commit that it signs with the key it
//! asks for.
//!
//! ```text
//! refs/giter/enroll/<device> -> commit without parents (gpgsig by the key) -> tree -> device.yaml
//! ```
//!
//! Whoever reads one has to check the ref, the commit, its signature and the tree besides the bytes that are read here:
//! all of a request is a stranger's word, up to the moment at which a person compared the fingerprint.

use std::collections::BTreeMap;

use super::{
    device,
    manifest::{self, Document},
    pubkey::PublicKey,
};
use crate::api::{Device, DeviceId, DeviceKey, Error, Findings, Oid, Reason, Result, device::principal, limits};

/// The folder of the refs with requests.
pub const REFS: &str = "refs/giter/enroll";
/// The only file of a request.
pub const FILE: &str = "device.yaml";

/// The annotation that says what board asks.
const BOARD: &str = "edge.giter.dev/board";
/// The annotation that says with which agent.
const AGENT: &str = "edge.giter.dev/agent";

/// The ref on which a device asks.
pub fn ref_of(device: &DeviceId) -> String {
    format!("{REFS}/{device}")
}

/// What a device says of itself for people, and nobody relies on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notes {
    /// The board's name; empty if it does not say.
    pub board: String,
    /// The agent's version; empty if it does not say.
    pub agent: String,
}

/// The manifest of a request.
///
/// # Errors
///
/// `Bug` if it cannot be written.
pub fn write(device: &DeviceId, key: &PublicKey, ssh_key: Option<&PublicKey>, notes: &Notes) -> Result<String> {
    let name = last_part(device).parse();
    let asked = Device {
        name: name.map_err(|wrong| Error::new(Reason::Bug, "a device's name has no last part").caused_by(wrong))?,
        status_keys: vec![DeviceKey { key: key.to_openssh().into(), valid_after: None, valid_before: None }],
        ssh_keys: ssh_key.map(|key| key.to_openssh().into()).into_iter().collect(),
        relays: Vec::new(),
    };
    device::to_yaml(&asked, &BTreeMap::from([(BOARD, &*notes.board), (AGENT, &*notes.agent)]))
}

/// Reads the manifest of a request by this device: one `Device` of its name with one key, which has no dates, and
/// perhaps keys with which it logs in to the hub.
///
/// # Errors
///
/// `EnrolmentInvalid`.
pub fn read(device: &DeviceId, bytes: &[u8]) -> Result<Device> {
    let refuse = |what: String| Error::new(Reason::EnrolmentInvalid, format!("the request of {device} {what}"));
    if bytes.len() > limits::REQUEST_BYTES {
        return Err(refuse(format!("has more than {} bytes", limits::REQUEST_BYTES)));
    }
    let mut findings = Findings::default();
    let read = manifest::parse(FILE, Oid::new([0; 20]), bytes, &mut findings);
    findings.or(()).map_err(|findings| refuse("cannot be read".into()).caused_by(Error::from(findings)))?;
    let asked = match <[_; 1]>::try_from(read.devices) {
        Ok([declared]) if read.resources.is_empty() => declared.device,
        _ => return Err(refuse("is not one Device and nothing else".into())),
    };
    if asked.name.as_str() != last_part(device) {
        return Err(refuse(format!("names {}", asked.name)));
    }
    if !asked.relays.is_empty() {
        return Err(refuse("asks to carry for others, which a publisher alone can let it".into()));
    }
    match &asked.status_keys[..] {
        [DeviceKey { valid_after: None, valid_before: None, .. }] => Ok(asked),
        [_] => Err(refuse("sets dates to its own key".into())),
        keys => Err(refuse(format!("has {} status keys, and not one", keys.len()))),
    }
}

/// The key that a request asks for.
///
/// # Errors
///
/// `EnrolmentInvalid` if there is none.
pub fn key(asked: &Device) -> Result<PublicKey> {
    let invalid = || Error::new(Reason::EnrolmentInvalid, "the request has no status key");
    let key = asked.status_keys.first().ok_or_else(invalid)?;
    PublicKey::from_openssh(&key.key).map_err(|wrong| invalid().caused_by(wrong))
}

/// What a request says for people, in printable ASCII and cut short. Of one that cannot be read, nothing.
pub fn notes(bytes: &[u8]) -> Notes {
    let documents = if bytes.len() > limits::REQUEST_BYTES { Ok(Vec::new()) } else { manifest::documents(FILE, bytes) };
    let documents = documents.unwrap_or_default();
    let note = |name: &str| {
        let text = |document: &Document| {
            Some(document.root.get("metadata")?.get("annotations")?.get(name)?.scalar()?.to_owned())
        };
        let text = documents.first().and_then(text).unwrap_or_default();
        text.chars().filter(|c| matches!(c, ' '..='~')).take(limits::NOTE_CHARS).collect()
    };
    Notes { board: note(BOARD), agent: note(AGENT) }
}

/// Whether a commit's author is the device: its manifest has no more than the last part of the name, and a request must
/// not be good for the namesake of another site.
pub fn is_by(device: &DeviceId, commit: &[u8]) -> bool {
    let author = format!("author {device} <{}> ", principal(device));
    let mut header = commit.split(|byte| *byte == b'\n').take_while(|line| !line.is_empty());
    header.any(|line| line.starts_with(author.as_bytes()))
}

/// The blob of a request's tree, if that holds the one file and nothing else.
pub fn only_file(tree: &[u8]) -> Option<Oid> {
    let id = tree.strip_prefix(format!("100644 {FILE}\0").as_bytes())?;
    Some(Oid::new(id.try_into().ok()?))
}

fn last_part(device: &DeviceId) -> &str {
    device.as_str().rsplit('/').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::keyfile::SecretKey;

    fn device() -> DeviceId {
        "site-a/pump-07".parse().unwrap()
    }

    fn public(seed: u8) -> PublicKey {
        SecretKey::from_seed(&[seed; 32]).public()
    }

    fn text() -> String {
        let notes = Notes { board: "sim".into(), agent: "0.1.0".into() };
        write(&device(), &public(7), Some(&public(8)), &notes).unwrap()
    }

    fn refusal(text: impl AsRef<[u8]>) -> String {
        let error = read(&device(), text.as_ref()).unwrap_err();
        assert_eq!(error.reason(), Reason::EnrolmentInvalid);
        error.one_line()
    }

    #[test]
    fn a_request_has_one_form() {
        let expected = "apiVersion: edge.giter.dev/v1alpha1\n\
            kind: Device\n\
            metadata:\n  name: pump-07\n  annotations:\n    edge.giter.dev/agent: \"0.1.0\"\n    edge.giter.dev/board: sim\n\
            spec:\n  statusKeys:\n  - key: KEY7\n  sshKeys:\n  - KEY8\n"
            .replace("KEY7", &public(7).to_openssh())
            .replace("KEY8", &public(8).to_openssh());
        assert_eq!(text(), expected);
        assert!(expected.len() <= limits::REQUEST_BYTES / 4);
    }

    #[test]
    fn a_request_reads_back() {
        let asked = read(&device(), text().as_bytes()).unwrap();
        assert_eq!(key(&asked).unwrap(), public(7));
        assert_eq!(asked.ssh_keys, [public(8).to_openssh().into()]);
        assert_eq!(notes(text().as_bytes()), Notes { board: "sim".into(), agent: "0.1.0".into() });
    }

    #[test]
    fn what_is_no_request_is_refused() {
        let text = text();
        let key = public(9).to_openssh();
        let more = |entry: &str| text.replace("  sshKeys", &format!("  - {entry}\n  sshKeys"));
        for (bad, why) in [
            (text.replace("pump-07", "pump-08"), "names pump-08"),
            (more(&format!("key: {key}")), "has 2 status keys"),
            (
                text.replace("  statusKeys:\n  - key: ", "  sshKeys:\n  - ").replacen("  sshKeys:\n", "", 1),
                "cannot be read",
            ),
            (text.replace("  sshKeys", "    validBefore: \"2036-01-01\"\n  sshKeys"), "sets dates"),
            (format!("{text}---\n{text}"), "not one Device"),
            (format!("{text}{}", "#".repeat(limits::REQUEST_BYTES)), "has more than 4096 bytes"),
            (text.replace("Device", "Exchange"), "cannot be read"),
            (text.replace("ssh-ed25519", "ssh-rsa"), "ssh-rsa keys are not accepted"),
            (text.replace("spec:", "spec:\n  groups: [all]"), "cannot be read"),
            (text.replace("spec:", "spec:\n  relays: [fan-01]"), "carry for others"),
            (String::new(), "not one Device"),
        ] {
            assert!(refusal(&bad).contains(why), "{}\n{bad}", refusal(&bad));
        }
        assert!(refusal(b"\xff").contains("UTF-8"));
    }

    #[test]
    fn no_damaged_request_is_read_as_another() {
        let text = text();
        let whole = read(&device(), text.as_bytes()).unwrap();
        for at in 0..text.len() {
            for byte in [b'\0', b'\n', b' ', b':', b'-', b'"', b'A', 0xff] {
                let mut bytes = text.clone().into_bytes();
                bytes[at] = byte;
                if let Ok(asked) = read(&device(), &bytes) {
                    assert_eq!(asked.name, whole.name);
                    assert_eq!(asked.status_keys.len(), 1);
                    key(&asked).unwrap();
                }
                assert!(notes(&bytes).board.len() <= 4 * limits::NOTE_CHARS);
            }
            let _ = read(&device(), &text.as_bytes()[..at]);
        }
    }

    #[test]
    fn notes_are_short_and_printable() {
        let long = text().replace("sim", &format!("\"\\e[31m\u{202e}{}\"", "x".repeat(500)));
        let Notes { board, .. } = notes(long.as_bytes());
        assert_eq!(board.len(), limits::NOTE_CHARS);
        assert!(board.starts_with("[31mx"));
        assert_eq!(notes(b"\xff"), Notes::default());
    }

    #[test]
    fn a_request_is_its_authors() {
        let commit = |who: &str| format!("tree 0\nauthor {who} <{who}@giter> 1 +0000\n\nauthor {} <", device());
        assert!(is_by(&device(), commit("site-a/pump-07").as_bytes()));
        for other in ["pump-07", "site-b/pump-07", "site-a/pump-071"] {
            assert!(!is_by(&device(), commit(other).as_bytes()), "{other}");
        }
    }

    #[test]
    fn a_tree_of_one_file_is_told_from_others() {
        let entry = |name: &str| [format!("100644 {name}\0").as_bytes(), &[7; 20]].concat();
        assert_eq!(only_file(&entry("device.yaml")), Some(Oid::new([7; 20])));
        for other in [entry("device.yml"), [entry("device.yaml"), entry("x")].concat(), Vec::new()] {
            assert_eq!(only_file(&other), None);
        }
    }
}
