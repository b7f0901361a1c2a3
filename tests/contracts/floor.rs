//! What every `FloorCopy` owes, as `reconcile::ports` says it.

use giter_edge::{
    api::ledger::{Accepted, Charter, Floor, LastStatus},
    reconcile::ports::FloorCopy,
};

/// Holds a copy of the floor to the contract. Each call of `open` is a restart: the copy of the same device.
pub(crate) fn check(mut open: impl FnMut() -> Box<dyn FloorCopy>) {
    assert_eq!(open().load().unwrap(), None, "a new device has a floor");
    let mut copy = open();
    for number in 1..=4 {
        copy.save(&floor(number)).unwrap();
        assert_eq!(copy.load().unwrap(), Some(floor(number)), "a saved floor is not read back");
        assert_eq!(open().load().unwrap(), Some(floor(number)), "a saved floor does not survive a restart");
    }
    // It does not judge what is higher: the agent does.
    open().save(&floor(2)).unwrap();
    assert_eq!(open().load().unwrap(), Some(floor(2)));
}

/// A floor in which every field is set, and depends on the number.
fn floor(number: u64) -> Floor {
    let oid = format!("{number:040x}").parse().unwrap();
    let charter = Some(Charter { serial: number, blob: oid, sha256: [7; 32], anchor: [8; 16] });
    Floor {
        device: "site-a/pump-07".parse().unwrap(),
        exchange: Some("5f0c1f0e3d5b4d0e9a7c2b6e8f1a4c3d".parse().unwrap()),
        tip: Accepted {
            commit: oid,
            tree: oid,
            time: 1_795_000_000,
            signer: "ops@plant-7".into(),
            charter,
            reset: number,
        },
        advances: number,
        status: Some(LastStatus {
            commit: oid,
            parent: Some(oid),
            replaces: None,
            sequence: number,
            digest: [7; 16],
            heartbeat: true,
        }),
    }
}
