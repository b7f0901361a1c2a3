//! What the device's folder says of the device, and what it is to say once a request is approved.
//!
//! The manifest is written from what was read of the request, never from its bytes. One that people wrote in another form
//! is left to people: comments and order are theirs.

use std::{collections::BTreeMap, fs, io, path::Path};

use giter_edge::{
    api::{Device, DeviceId, DeviceKey, Error, Findings, Oid, Reason, Result, limits},
    codec::{calendar::Utc, device, manifest, pubkey::PublicKey},
};

/// What becomes of a key that was approved before.
#[derive(Clone, Debug)]
pub(crate) enum Before {
    /// There is to be none.
    Forbidden,
    /// It counts no more.
    Replaced,
    /// It counts until then: a day, or a second.
    KeptUntil(String),
}

/// The manifest that this program writes, by its path in the exchange.
pub(crate) fn path_of(device: &DeviceId) -> String {
    format!("specs/{device}/device.yaml")
}

/// What a device's folder says of the device.
pub(crate) struct Standing {
    /// The manifest, by its path in the exchange.
    pub(crate) path: String,
    /// What it says.
    pub(crate) says: Device,
    /// Whether it is as this program writes it, so that writing it anew loses nothing.
    pub(crate) is_ours: bool,
}

impl Standing {
    /// Reads the device's folder in a working tree.
    ///
    /// # Errors
    ///
    /// What is wrong with a manifest that may speak of the device; `EnrolmentConflict` if two do, or one speaks of
    /// something else where ours is to stand.
    pub(crate) fn read(top: &Path, device: &DeviceId) -> Result<Option<Self>> {
        let folder = top.join("specs").join(device.as_str());
        let unread = |e: io::Error| Error::new(Reason::Usage, format!("cannot read specs/{device}")).caused_by(e);
        let entries = match fs::read_dir(&folder) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            entries => entries.and_then(Iterator::collect::<io::Result<Vec<_>>>).map_err(unread)?,
        };
        let mut found: Option<Self> = None;
        for entry in entries {
            let path = format!("specs/{device}/{}", entry.file_name().to_string_lossy());
            if !(path.ends_with(".yaml") || path.ends_with(".yml")) || !entry.path().is_file() {
                continue;
            }
            let bytes = fs::read(entry.path()).map_err(unread)?;
            let here = Self::of(&path, &bytes)?;
            if path == path_of(device) && here.is_none() {
                return Err(conflict(format!("{path} is there, and speaks of something else"), "rename that file"));
            }
            if let (Some(first), Some(second)) = (&found, &here) {
                let what = format!("{} and {} both speak of the device", first.path, second.path);
                return Err(conflict(what, "leave one Device of the two"));
            }
            found = found.or(here);
        }
        Ok(found)
    }

    fn of(path: &str, bytes: &[u8]) -> Result<Option<Self>> {
        if !String::from_utf8_lossy(bytes).contains("Device") {
            return Ok(None);
        }
        let mut findings = Findings::default();
        let read = manifest::parse(path, Oid::new([0; 20]), bytes, &mut findings);
        findings.or(())?;
        let mut devices = read.devices;
        let Some(declared) = devices.pop() else { return Ok(None) };
        if !devices.is_empty() {
            return Err(conflict(format!("{path} speaks of the device twice"), "leave one Device of the two"));
        }
        let says = declared.device;
        let is_ours = path.ends_with("/device.yaml") && text(&says)?.as_bytes() == bytes;
        Ok(Some(Self { path: path.into(), says, is_ours }))
    }
}

/// A device's manifest, as this program writes it.
///
/// # Errors
///
/// `Bug` if it cannot be written.
pub(crate) fn text(device: &Device) -> Result<String> {
    device::to_yaml(device, &BTreeMap::new())
}

/// What the manifest is to say, once what was asked for is approved.
///
/// # Errors
///
/// `EnrolmentConflict` if another key stands there and nothing says what becomes of it; `TooMany`.
pub(crate) fn approved(asked: &Device, standing: Option<&Device>, before: &Before) -> Result<Device> {
    let asked = plain(asked)?;
    let Some(standing) = standing else { return Ok(asked) };
    let has_key = |key: &DeviceKey| asked.status_keys.iter().any(|asked| is_same(&asked.key, &key.key));
    let is_approved = |key: &DeviceKey| has_key(key) && key.valid_after.is_none() && key.valid_before.is_none();
    let kept = match before {
        Before::Replaced => return Ok(Device { relays: standing.relays.clone(), ..asked }),
        _ if standing.status_keys.iter().any(is_approved) => {
            let ssh_keys = union(&standing.ssh_keys, &asked.ssh_keys);
            return bounded(Device { ssh_keys, ..standing.clone() });
        }
        Before::KeptUntil(end) => {
            standing.status_keys.iter().filter(|key| !has_key(key)).map(|key| until(key, end)).collect()
        }
        Before::Forbidden if standing.status_keys.is_empty() => Vec::new(),
        Before::Forbidden => {
            return Err(conflict(
                "another key of this device is approved already".into(),
                "if the board, or its card, was replaced: --replace; with --keep-until TIME the old key counts until then, \
                 so that its statuses stay proven",
            ));
        }
    };
    let status_keys = kept.into_iter().chain(asked.status_keys).collect();
    let ssh_keys = union(&standing.ssh_keys, &asked.ssh_keys);
    bounded(Device { name: asked.name, status_keys, ssh_keys, relays: standing.relays.clone() })
}

/// What is asked for, without the comments of whoever asks.
fn plain(asked: &Device) -> Result<Device> {
    let plain = |key: &str| -> Result<Box<str>> {
        let key = PublicKey::from_openssh(key);
        let key = key.map_err(|wrong| Error::new(Reason::EnrolmentInvalid, "a key is none").caused_by(wrong))?;
        Ok(key.to_openssh().into())
    };
    let status_key = |key: &DeviceKey| Ok(DeviceKey { key: plain(&key.key)?, ..key.clone() });
    Ok(Device {
        name: asked.name.clone(),
        status_keys: asked.status_keys.iter().map(status_key).collect::<Result<_>>()?,
        ssh_keys: asked.ssh_keys.iter().map(|key| plain(key)).collect::<Result<_>>()?,
        relays: Vec::new(),
    })
}

/// A key that counts no longer than until then.
fn until(key: &DeviceKey, end: &str) -> DeviceKey {
    let seconds = |text: &str| Utc::from_rfc3339(text).and_then(Utc::to_seconds);
    let ends_before = |mine: &str| seconds(mine) <= seconds(end);
    let valid_before = key.valid_before.clone().filter(|mine| ends_before(mine)).unwrap_or_else(|| end.into());
    DeviceKey { valid_before: Some(valid_before), ..key.clone() }
}

fn union(first: &[Box<str>], more: &[Box<str>]) -> Vec<Box<str>> {
    let mut all = first.to_vec();
    all.extend(more.iter().filter(|key| !first.iter().any(|known| is_same(known, key))).cloned());
    all
}

fn bounded(device: Device) -> Result<Device> {
    if device.status_keys.len().max(device.ssh_keys.len()) <= limits::DEVICE_KEYS {
        return Ok(device);
    }
    let what = format!("a device has at most {} keys of each sort", limits::DEVICE_KEYS);
    Err(Error::new(Reason::TooMany, what).hint("take old keys from its Device first, or use --replace"))
}

/// Whether two texts are one key.
fn is_same(one: &str, other: &str) -> bool {
    matches!((PublicKey::from_openssh(one), PublicKey::from_openssh(other)), (Ok(one), Ok(other)) if one == other)
}

fn conflict(what: String, hint: &str) -> Error {
    Error::new(Reason::EnrolmentConflict, what).hint(hint)
}

#[cfg(test)]
mod tests {
    use giter_edge::codec::keyfile::SecretKey;

    use super::*;

    fn key(seed: u8) -> Box<str> {
        SecretKey::from_seed(&[seed; 32]).public().to_openssh().into()
    }

    fn status_key(seed: u8, before: Option<&str>) -> DeviceKey {
        DeviceKey { key: key(seed), valid_after: None, valid_before: before.map(Into::into) }
    }

    fn device(status: &[DeviceKey], ssh: &[u8]) -> Device {
        let ssh_keys = ssh.iter().map(|seed| key(*seed)).collect();
        Device { name: "pump-07".parse().unwrap(), status_keys: status.to_vec(), ssh_keys, relays: vec![] }
    }

    fn asked() -> Device {
        device(&[status_key(1, None)], &[8])
    }

    #[test]
    fn a_first_key_is_taken_without_its_comment() {
        let mut commented = asked();
        commented.status_keys[0].key = format!("{} \u{202e}evil", key(1)).into();
        commented.ssh_keys[0] = format!("{} # evil", key(8)).into();
        assert_eq!(approved(&commented, None, &Before::Forbidden).unwrap(), asked());
        let ssh_only = device(&[], &[9]);
        let both = device(&[status_key(1, None)], &[9, 8]);
        assert_eq!(approved(&asked(), Some(&ssh_only), &Before::Forbidden).unwrap(), both);
    }

    #[test]
    fn another_key_is_not_replaced_without_a_word() {
        let standing = device(&[status_key(2, None), status_key(3, Some("2026-01-01"))], &[9]);
        let error = approved(&asked(), Some(&standing), &Before::Forbidden).unwrap_err();
        assert_eq!(error.reason(), Reason::EnrolmentConflict);
        assert_eq!(approved(&asked(), Some(&standing), &Before::Replaced).unwrap(), asked());
        let end = "2026-11-21";
        let kept = [status_key(2, Some(end)), status_key(3, Some("2026-01-01")), status_key(1, None)];
        let both = approved(&asked(), Some(&standing), &Before::KeptUntil(end.into())).unwrap();
        assert_eq!(both, device(&kept, &[9, 8]));
    }

    #[test]
    fn a_key_that_is_approved_stays_as_it_is() {
        let standing = device(&[status_key(1, None), status_key(2, None)], &[8]);
        for before in [Before::Forbidden, Before::KeptUntil("2026-11-21".into())] {
            assert_eq!(approved(&asked(), Some(&standing), &before).unwrap(), standing);
        }
        assert_eq!(approved(&asked(), Some(&standing), &Before::Replaced).unwrap(), asked());
    }

    #[test]
    fn a_key_that_was_given_an_end_is_not_given_back_its_force_without_a_word() {
        let standing = device(&[status_key(1, Some("2026-01-01"))], &[]);
        assert!(approved(&asked(), Some(&standing), &Before::Forbidden).is_err());
        let again = approved(&asked(), Some(&standing), &Before::KeptUntil("2026-11-21".into())).unwrap();
        assert_eq!(again, asked());
    }

    #[test]
    fn there_is_an_end_to_keys() {
        let many: Vec<_> = (10..26).map(|seed| status_key(seed, None)).collect();
        let error = approved(&asked(), Some(&device(&many, &[])), &Before::KeptUntil("2026-11-21".into())).unwrap_err();
        assert_eq!(error.reason(), Reason::TooMany);
    }

    #[test]
    fn what_people_wrote_is_told_from_what_this_program_wrote() {
        let dir = tempfile::tempdir().unwrap();
        let id: DeviceId = "pump-07".parse().unwrap();
        let read = || Standing::read(dir.path(), &id);
        assert!(read().unwrap().is_none());
        let folder = dir.path().join("specs/pump-07");
        fs::create_dir_all(&folder).unwrap();
        let ours = text(&asked()).unwrap();
        for (file, content, is_ours) in [
            ("device.yaml", ours.clone(), true),
            ("device.yaml", format!("# mine\n{ours}"), false),
            ("all.yaml", ours.clone(), false),
        ] {
            fs::write(folder.join(file), content).unwrap();
            let standing = read().unwrap().unwrap();
            assert_eq!((standing.says, standing.is_ours), (asked(), is_ours), "{file}");
            fs::remove_file(folder.join(file)).unwrap();
        }
        fs::write(folder.join("device.yaml"), "kind: nothing").unwrap();
        assert!(read().is_err());
        fs::write(folder.join("device.yaml"), &ours).unwrap();
        fs::write(folder.join("all.yml"), &ours).unwrap();
        assert!(read().is_err());
        fs::write(folder.join("all.yml"), "kind: Device\nspec: {").unwrap();
        assert!(read().is_err());
    }
}
