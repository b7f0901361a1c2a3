//! A device's keys, as `kind: Device` names them.

use super::signers::{Keyring, Signer};
use crate::api::{Device, DeviceId, DeviceKey, Error, Reason, Result, device::principal};

/// The keys that speak for the device, each under the principal `<device>@giter` and in git's namespace alone.
///
/// # Errors
///
/// `InvalidValue` for a key or time that is none.
pub fn status_keys(device: &DeviceId, says: &Device) -> Result<Keyring> {
    let principal = principal(device);
    let signer = |DeviceKey { key, valid_after, valid_before }: &DeviceKey| {
        Signer::from_manifest(&principal, key, valid_after.as_deref(), valid_before.as_deref()).map_err(|wrong| {
            let what = format!("the Device of {device} has a status key that is none");
            Error::new(Reason::InvalidValue, what).caused_by(wrong)
        })
    };
    says.status_keys.iter().map(signer).collect::<Result<_>>().map(Keyring::new)
}
