//! Whether a request for enrolment from a stick is one, and whether it is news.

use giter_edge::{
    api::{DeviceId, Error, Oid, Reason, Result},
    codec::enrolment,
};

use crate::{approve::request::Request, chain::Reader, objects::GitObjects, statuses};

/// A request that is proven.
pub(super) struct Standing {
    /// The fingerprint of the key that is asked for, as the device shows it.
    pub(super) fingerprint: String,
    /// Why there is nothing to do, if that is so.
    pub(super) known: Option<String>,
}

/// Judges a request, which the reader sees, beside the one that stands at `old` and the keys that a tree names.
///
/// # Errors
///
/// `EnrolmentInvalid`; `EnrolmentConflict` if another key asks already.
pub(super) fn judge(
    reader: &mut Reader,
    (objects, tree): (&GitObjects, Oid),
    device: &DeviceId,
    old: Option<Oid>,
    new: Oid,
) -> Result<Standing> {
    let request = Request::prove(reader, device, new)?;
    let own = statuses::keys(objects, tree, device)?;
    let standing = |known: Option<&str>| Standing {
        fingerprint: request.key.short_fingerprint(),
        known: known.map(str::to_owned),
    };
    if own.signers().iter().any(|signer| signer.key == request.key) {
        return Ok(standing(Some("its key is approved already")));
    }
    let Some(old) = old else { return Ok(standing(None)) };
    let first = if old == new { Ok(request.key) } else { Request::prove(reader, device, old).map(|first| first.key) };
    match first {
        Ok(first) if first != request.key => {
            let what = format!("another key asks to be {device} already, at {}", enrolment::ref_of(device));
            Err(Error::new(Reason::EnrolmentConflict, what)
                .hint(format!("find out which is the device's; delete the other: giterctl approve {device} --reject")))
        }
        Ok(_) => Ok(standing(Some("it asks already"))),
        // What stands there is no request.
        Err(_) => Ok(standing(None)),
    }
}
