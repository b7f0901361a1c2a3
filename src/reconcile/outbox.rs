//! The statuses that wait for a stick: made, and not known to have arrived at the hub.
//!
//! ```text
//! base <- status <- status <- status, the last that was made
//!  `-- the hub is known to have it     `-- the record names it
//! ```
//!
//! All of them go with every stick, until the hub is known to have them: a stick that is lost takes nothing with it that
//! the next one does not bring.

use super::ports::NewObject;
use crate::api::{Oid, limits};

/// A chain of statuses, each with its objects (blob, tree, commit).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statuses {
    /// The last status that the hub is known to have; `None` if it has none.
    pub base: Option<Oid>,
    /// What follows it, the oldest first.
    pub links: Vec<[NewObject; 3]>,
}

impl Statuses {
    /// None, after one that the hub has.
    pub fn none_after(base: Option<Oid>) -> Self {
        Self { base, links: Vec::new() }
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.links.is_empty()
    }

    /// The last of them; the base if nothing waits.
    pub fn tip(&self) -> Option<Oid> {
        self.links.last().map(commit).or(self.base)
    }

    /// How many follow a status of the chain, the base too; `None` if it is not of the chain.
    pub fn after(&self, status: Option<Oid>) -> Option<usize> {
        if status == self.base {
            return Some(self.links.len());
        }
        let at = self.links.iter().rposition(|link| Some(commit(link)) == status)?;
        Some(self.links.len() - at - 1)
    }

    /// The objects of the last so many.
    pub fn last(&self, count: usize) -> Vec<NewObject> {
        self.links[self.links.len() - count..].concat()
    }

    /// Drops all up to one that the hub has, if that is of the chain.
    pub fn heard(&mut self, status: Oid) -> bool {
        let Some(count) = self.after(Some(status)) else { return false };
        self.links.drain(..self.links.len() - count);
        self.base = Some(status);
        true
    }

    /// Drops all that follows one of the chain, if it is one.
    pub fn cut_after(&mut self, status: Oid) -> bool {
        let Some(count) = self.after(Some(status)) else { return false };
        self.links.truncate(self.links.len() - count);
        true
    }

    /// Whether one more is too many.
    pub fn is_full(&self) -> bool {
        let bytes: usize = self.links.iter().flatten().map(|new| new.object.data.len()).sum();
        self.links.len() >= limits::OUTBOX_STATUSES || bytes >= limits::OUTBOX_BYTES
    }
}

fn commit(link: &[NewObject; 3]) -> Oid {
    link[2].id
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::object::{Object, ObjectKind};

    fn oid(number: u8) -> Oid {
        Oid::new([number; 20])
    }

    /// The statuses 1 to `count` on top of 0, with so many bytes each.
    fn statuses(count: u8, bytes: usize) -> Statuses {
        let object =
            |number| NewObject { id: oid(number), object: Object { kind: ObjectKind::Blob, data: vec![0; bytes] } };
        Statuses { base: Some(oid(0)), links: (1..=count).map(|number| [0; 3].map(|_| object(number))).collect() }
    }

    #[test]
    fn what_the_hub_has_is_dropped() {
        let mut three = statuses(3, 1);
        assert_eq!(
            (three.tip(), three.after(Some(oid(0))), three.after(Some(oid(1)))),
            (Some(oid(3)), Some(3), Some(2))
        );
        assert!(!three.heard(oid(9)) && three == statuses(3, 1));
        assert!(three.heard(oid(0)) && three == statuses(3, 1));
        assert!(three.heard(oid(2)));
        assert_eq!((three.base, three.links.len(), three.last(1)[2].id), (Some(oid(2)), 1, oid(3)));
        assert!(three.heard(oid(3)) && three == Statuses::none_after(Some(oid(3))));
    }

    #[test]
    fn what_no_record_names_is_dropped() {
        let mut three = statuses(3, 1);
        assert!(!three.cut_after(oid(9)));
        assert!(three.cut_after(oid(1)));
        assert_eq!(three, statuses(1, 1));
        assert!(three.cut_after(oid(0)) && three.is_empty());
    }

    #[test]
    fn it_is_full_by_number_and_by_size() {
        assert!(!statuses(200, 1).is_full());
        let one = statuses(1, 1).links[0].clone();
        let many = Statuses { base: None, links: vec![one; limits::OUTBOX_STATUSES] };
        assert!(many.is_full());
        assert!(statuses(2, limits::OUTBOX_BYTES / 6 + 1).is_full());
    }
}
