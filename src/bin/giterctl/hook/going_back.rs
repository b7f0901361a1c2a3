//! A branch that goes back because a root lets every device go back with it.

use std::collections::BTreeSet;

use giter_edge::{
    api::{DeviceId, Error, Oid, Reason, Result},
    codec::reset,
    reconcile::{
        decode::{self, GitTree},
        verify::{Followers, Verified},
    },
};

use super::{fleet::Fleet, hub::Hub};
use crate::resets;

/// Whether a reset may allow what was refused, as on a device: the tip does not go forward.
pub(super) fn may_be_allowed(refusal: &Error) -> bool {
    matches!(refusal.reason(), Reason::NotFastForward | Reason::Rewound | Reason::RangeTooLong)
}

/// Proves a tip that does not go forward, by a reset there that every device follows: one that the device's own verifier
/// takes for each of those that have a folder, before the push or after it, and whose serial is above all in the history
/// of the branch.
///
/// # Errors
///
/// The refusal, with why no reset allows it.
pub(super) fn judge(hub: &Hub<'_>, tip: Oid, refusal: Error) -> Result<Verified> {
    match allowed(hub, tip) {
        Ok(Some(verified)) => Ok(verified),
        Ok(None) => Err(refusal),
        Err(why) => Err(not_allowed(&refusal, why)),
    }
}

fn allowed(hub: &Hub<'_>, tip: Oid) -> Result<Option<Verified>> {
    let Some(floor) = hub.standing.floor() else { return Ok(None) };
    if hub.git.ask(&["rev-parse", "--verify", "--quiet", &format!("{tip}:{}", reset::PATH)])?.is_err() {
        return Ok(None);
    }
    let followers = Followers {
        devices: devices(hub, tip)?,
        exchange: decode::exchange(&GitTree::new(hub.objects, floor.tree))?.map(|exchange| exchange.id),
        seen: resets::highest_serial(hub.git, &[&floor.commit.to_string()])?,
    };
    hub.standing.go_back(tip, &followers, hub.now)
}

/// The devices that follow the branch: those that have a folder at its tip, or will have one.
fn devices(hub: &Hub<'_>, tip: Oid) -> Result<BTreeSet<DeviceId>> {
    let new = hub.git.run(&["rev-parse", "--verify", &format!("{tip}^{{tree}}")])?.parse().ok();
    let mut devices = BTreeSet::new();
    for tree in hub.tree().into_iter().chain(new) {
        let (found, _) = Fleet::of(hub.git, tree)?.devices_in(&BTreeSet::from(["specs"]), hub.objects)?;
        devices.extend(found);
    }
    Ok(devices)
}

fn not_allowed(refusal: &Error, why: Error) -> Error {
    let what = format!("{}, and {} does not allow it", refusal.one_line(), reset::PATH);
    let hint = match why.reason() {
        Reason::DeviceNotFound => "every device follows this branch: let the reset name all, with giterctl reset '**'",
        Reason::CharterRollback | Reason::CharterUnsigned | Reason::CharterUntrusted => {
            "trust does not go back: as a root, git restore --source OLD_TIP exchange.yaml exchange.yaml.sig, commit \
             these, and then giterctl reset '**' --to COMMIT"
        }
        _ => {
            "let a root make the reset on the branch as it is to be, with giterctl reset '**' --to COMMIT, and push that"
        }
    };
    Error::new(refusal.reason(), what).hint(hint).caused_by(why)
}
