//! The armoured form of a signature: two marker lines with base64 between them.

use base64ct::{Base64, Encoding};

use super::SigError;
use crate::api::limits;

pub(super) const BEGIN: &str = "-----BEGIN SSH SIGNATURE-----";
pub(super) const END: &str = "-----END SSH SIGNATURE-----";
/// Columns of a base64 line as ssh-keygen writes it.
const COLUMNS: usize = 70;
/// Columns of the longest base64 line that is read: MIME's.
const MOST_COLUMNS: usize = 76;

/// The armoured signatures that stand one after another in a file, as `cat a.sig b.sig` leaves them.
pub fn armours(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let end = rest.windows(END.len()).position(|window| window == END.as_bytes()).map(|at| at + END.len());
        let end = end.map(|end| end + usize::from(rest.get(end) == Some(&b'\n')));
        let (armour, after) = rest.split_at(end.unwrap_or(rest.len()));
        rest = after;
        Some(armour).filter(|armour| !armour.is_empty())
    })
}

/// The binary form in an armour, which ends with or without a newline.
pub(super) fn decode(armour: &[u8]) -> Result<Vec<u8>, SigError> {
    if armour.len() > limits::SIGNATURE_BYTES {
        return Err(SigError::Malformed("it is too long"));
    }
    let text = str::from_utf8(armour).map_err(|_| SigError::Malformed("it is not text"))?;
    for (begin, kind) in [
        ("-----BEGIN PGP SIGNATURE-----", "an OpenPGP signature"),
        ("-----BEGIN PGP MESSAGE-----", "an OpenPGP signature"),
        ("-----BEGIN SIGNED MESSAGE-----", "an X.509 signature"),
    ] {
        if text.starts_with(begin) {
            return Err(SigError::OtherKind(kind));
        }
    }
    let body = text.strip_prefix(BEGIN).and_then(|text| text.strip_prefix('\n'));
    let body = body.ok_or(SigError::Malformed("it does not begin with its marker line"))?;
    let body = body.strip_suffix('\n').unwrap_or(body);
    let body = body.strip_suffix(END).and_then(|text| text.strip_suffix('\n'));
    let body = body.ok_or(SigError::Malformed("it does not end with its marker line"))?;

    let mut base64 = String::with_capacity(body.len());
    for line in body.split('\n') {
        if line.is_empty() || line.len() > MOST_COLUMNS {
            return Err(SigError::Malformed("a line is empty or too long"));
        }
        base64.push_str(line);
    }
    Base64::decode_vec(&base64).map_err(|_| SigError::Malformed("its base64 is damaged"))
}

/// The armour of a binary form, with a newline at its end.
pub(super) fn encode(blob: &[u8]) -> String {
    let base64 = Base64::encode_string(blob);
    let mut armour = String::with_capacity(base64.len() + 80);
    armour.push_str(BEGIN);
    for (at, character) in base64.char_indices() {
        if at % COLUMNS == 0 {
            armour.push('\n');
        }
        armour.push(character);
    }
    armour.push('\n');
    armour.push_str(END);
    armour.push('\n');
    armour
}
