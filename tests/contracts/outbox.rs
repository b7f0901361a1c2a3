//! What every `Outbox` owes, as `reconcile::ports` says it.

use giter_edge::{
    api::Oid,
    reconcile::{outbox::Statuses, ports::Outbox},
};

use crate::support::snapshot;

/// Holds an outbox to the contract. Each call of `open` is a restart: the outbox of the same device.
pub(crate) fn check(mut open: impl FnMut() -> Box<dyn Outbox>) {
    assert_eq!(open().load().unwrap(), Statuses::default(), "a new device has an outbox");
    let mut outbox = open();
    let base = snapshot(b"heard", &[])[2].id;
    for statuses in [chain(None, 1), chain(None, 3), chain(Some(base), 2), chain(Some(base), 0), chain(None, 1)] {
        outbox.save(&statuses).unwrap();
        assert_eq!(outbox.load().unwrap(), statuses, "what was saved is not read back");
        assert_eq!(open().load().unwrap(), statuses, "what was saved does not survive a restart");
    }
    for _ in 0..2 {
        open().save(&Statuses::default()).unwrap();
        assert_eq!(open().load().unwrap(), Statuses::default());
    }
}

/// So many statuses, each on top of the one before.
fn chain(base: Option<Oid>, count: u8) -> Statuses {
    let mut statuses = Statuses::none_after(base);
    for number in 0..count {
        let parents: Vec<_> = statuses.tip().into_iter().collect();
        statuses.links.push(snapshot(&[number; 200], &parents));
    }
    statuses
}
