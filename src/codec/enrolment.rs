//! What a device asks for before anybody knows it: a `kind: Device` with the one key that it signs with.

use super::manifest::{self, Manifest};
use crate::api::{Device, DeviceId, Error, Findings, Oid, Reason, Result, limits};

/// The only file of a request.
pub const FILE: &str = "device.yaml";

/// Reads the bytes of a device's request.
///
/// # Errors
///
/// `EnrolmentInvalid`, and why.
pub fn read(device: &DeviceId, bytes: &[u8]) -> Result<Device> {
    let invalid = |why: String| {
        Error::new(Reason::EnrolmentInvalid, format!("{FILE} is not a request of {device}")).caused_by(why)
    };
    if bytes.len() > limits::ENROLMENT_BYTES {
        return Err(invalid(format!("it has more than {} bytes", limits::ENROLMENT_BYTES)));
    }
    let mut findings = Findings::default();
    let Manifest { resources, mut devices } = manifest::parse(FILE, Oid::new([0; 20]), bytes, &mut findings);
    if !findings.is_empty() {
        return Err(invalid(Error::from(findings).one_line()));
    }
    let (Some(found), true, true) = (devices.pop(), devices.is_empty(), resources.is_empty()) else {
        return Err(invalid("it is not one document of kind Device".into()));
    };
    let says = found.device;
    let name = device.as_str().rsplit('/').next().unwrap_or_default();
    if says.name.as_str() != name {
        return Err(invalid(format!("it is called {}, not {name}", says.name)));
    }
    match says.status_keys.len() {
        1 => Ok(says),
        count => Err(invalid(format!("it names {count} status keys, not one"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::keyfile::SecretKey;

    fn key(seed: u8) -> String {
        SecretKey::from_seed(&[seed; 32]).public().to_openssh()
    }

    fn document(kind: &str, name: &str, keys: &[u8]) -> String {
        let keys: Vec<_> = keys.iter().map(|seed| format!("{{key: \"{}\"}}", key(*seed))).collect();
        let keys = keys.join(", ");
        format!(
            "apiVersion: edge.giter.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {{statusKeys: [{keys}]}}\n"
        )
    }

    #[test]
    fn a_request_names_one_key() {
        let device = "site-a/pump-07".parse().unwrap();
        let request = document("Device", "pump-07", &[1]);
        assert_eq!(&*read(&device, request.as_bytes()).unwrap().status_keys[0].key, key(1));
        let padded = format!("{request}#{}\n", " ".repeat(limits::ENROLMENT_BYTES));
        for (text, why) in [
            (document("Device", "pump-08", &[1]), "it is called pump-08, not pump-07"),
            (document("Device", "pump-07", &[]), "0 status keys"),
            (document("Device", "pump-07", &[1, 2]), "2 status keys"),
            (document("Led", "pump-07", &[1]), "spec"),
            (format!("{request}---\n{request}"), "not one document"),
            (String::new(), "not one document"),
            ("\u{1}".into(), "device.yaml:1"),
            (padded, "more than 8192 bytes"),
        ] {
            let error = read(&device, text.as_bytes()).unwrap_err();
            assert_eq!(error.reason(), Reason::EnrolmentInvalid);
            assert!(error.one_line().contains(why), "{}", error.one_line());
        }
    }
}
