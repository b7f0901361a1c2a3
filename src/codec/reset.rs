//! Resets: where they stand, who signed one, and whom it is for.

use super::{manifest, paper::Paper, pattern::PathPattern, signers::Keyring};
use crate::api::{DeviceId, Reason, Reset, Result};

/// A reset's path in the exchange.
pub const PATH: &str = "reset.yaml";
/// The path of its signatures.
pub const SIGNATURE_PATH: &str = "reset.yaml.sig";

const PAPER: Paper = Paper { path: PATH, signatures: SIGNATURE_PATH, untrusted: Reason::UntrustedKey };

/// Reads the bytes of `reset.yaml`, which count where a root of the keyring has signed them; who it was.
///
/// # Errors
///
/// `UntrustedKey`: none has, at the given second since 1970; the first finding's reason.
pub fn read<'a>(roots: &'a Keyring, bytes: &[u8], signatures: &[u8], at: i64) -> Result<(Reset, &'a str)> {
    let signer = PAPER.signer(roots, bytes, signatures, at)?;
    Ok((manifest::parse_reset(PATH, bytes)?, signer))
}

/// Whether a reset names a device.
pub fn names(reset: &Reset, device: &DeviceId) -> bool {
    let mut patterns = reset.devices.iter().filter_map(|pattern| PathPattern::new(pattern).ok());
    patterns.any(|pattern| pattern.matches(device.as_str()))
}
