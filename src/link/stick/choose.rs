//! Which of the bundles on a stick is the one to take.

use crate::api::{Error, Oid, Reason, Result};

/// The commits that a device has with what it reads of them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Have {
    /// The last accepted tip.
    pub accepted: Option<Oid>,
    /// The tip before.
    pub previous: Option<Oid>,
}

impl Have {
    /// On which of the commits that the device has a bundle builds.
    fn base(&self, prerequisites: &[Oid]) -> Option<Oid> {
        [self.accepted, self.previous].into_iter().flatten().find(|have| prerequisites.contains(have))
    }
}

/// A bundle that has the branch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer<T> {
    /// Which one.
    pub bundle: T,
    /// The branch's tip.
    pub tip: Oid,
    /// A status of the device's own that comes along.
    pub status: Option<Oid>,
    /// The commits on which it builds.
    pub prerequisites: Vec<Oid>,
}

/// How good an offer is, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Worth {
    /// Something else than what the device has, on a base that it has, or whole.
    New,
    /// What is accepted already.
    Accepted,
    /// What was accepted before.
    Older,
    /// On a base that the device does not have.
    Baseless,
}

impl<T> Offer<T> {
    /// On which of the commits that a device has it builds; one that was accepted before builds on itself.
    pub fn base(&self, have: &Have) -> Option<Oid> {
        have.base(&self.prerequisites).or(have.previous.filter(|previous| *previous == self.tip))
    }

    /// How good it is to a device. A prerequisite that is not there may be one that only an older one leads to: what git
    /// bundles between two commits can name several, and the proof asks for no more than one.
    pub fn worth(&self, have: &Have) -> Worth {
        let has_base = self.prerequisites.is_empty() || have.base(&self.prerequisites).is_some();
        match Some(self.tip) {
            tip if tip == have.accepted => Worth::Accepted,
            tip if tip == have.previous => Worth::Older,
            _ if has_base => Worth::New,
            _ => Worth::Baseless,
        }
    }
}

/// The best of what is offered, the first among equals; `None` where nothing is.
///
/// # Errors
///
/// `BundleBaseMissing` if none of them builds on what the device has.
pub fn best<T>(offers: Vec<Offer<T>>, have: &Have) -> Result<Option<Offer<T>>> {
    let Some(best) = offers.into_iter().min_by_key(|offer| offer.worth(have)) else { return Ok(None) };
    if best.worth(have) == Worth::Baseless {
        let base = best.prerequisites.first().map_or(String::new(), Oid::short);
        let has = have.accepted.map_or("nothing yet".into(), |accepted| accepted.short());
        let what = format!("the bundle of {} builds on {base}, and this device has accepted {has}", best.tip.short());
        return Err(Error::new(Reason::BundleBaseMissing, what));
    }
    Ok(Some(best))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn oid(number: u8) -> Oid {
        Oid::new([number; 20])
    }

    fn offer(tip: u8, prerequisites: &[u8]) -> Offer<u8> {
        let prerequisites = prerequisites.iter().map(|&number| oid(number)).collect();
        Offer { bundle: tip, tip: oid(tip), status: None, prerequisites }
    }

    #[test]
    fn the_best_is_what_is_new_and_fits() {
        let have = Have { accepted: Some(oid(3)), previous: Some(oid(2)) };
        let taken = |offers: &[Offer<u8>]| best(offers.to_vec(), &have).map(|offer| offer.map(|offer| offer.bundle));
        assert_eq!(taken(&[]).unwrap(), None);
        assert_eq!(taken(&[offer(2, &[]), offer(3, &[9]), offer(4, &[2]), offer(5, &[3])]).unwrap(), Some(4));
        assert_eq!(taken(&[offer(4, &[1]), offer(5, &[]), offer(6, &[1, 3])]).unwrap(), Some(5));
        assert_eq!(taken(&[offer(4, &[1]), offer(6, &[1, 3])]).unwrap(), Some(6));
        assert_eq!(taken(&[offer(4, &[1]), offer(2, &[1]), offer(3, &[1])]).unwrap(), Some(3));
        assert_eq!(taken(&[offer(4, &[1]), offer(2, &[1])]).unwrap(), Some(2));
        let error = taken(&[offer(4, &[1])]).unwrap_err();
        assert_eq!(error.reason(), Reason::BundleBaseMissing);
        let bases = [offer(4, &[2, 3]), offer(4, &[2]), offer(2, &[1]), offer(4, &[1])].map(|offer| offer.base(&have));
        assert_eq!(bases, [Some(oid(3)), Some(oid(2)), Some(oid(2)), None]);
    }

    #[test]
    fn a_new_device_takes_what_is_whole() {
        let have = Have::default();
        assert_eq!(best(vec![offer(1, &[]), offer(2, &[])], &have).unwrap(), Some(offer(1, &[])));
        let error = best(vec![offer(2, &[1])], &have).unwrap_err();
        assert!(error.to_string().ends_with("has accepted nothing yet"), "{error}");
    }
}
