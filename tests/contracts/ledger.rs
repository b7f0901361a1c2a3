//! What every `Ledger` owes, as `reconcile::ports` says it.

use giter_edge::{
    api::{
        board::{Level, LineConfig},
        ledger::{Accepted, Generation, LastStatus, Owned, Record, Refused, Release},
    },
    reconcile::ports::Ledger,
};

/// Holds a ledger to the contract. Each call of `open` is a restart: the ledger of the same device, opened anew.
pub(crate) fn check(mut open: impl FnMut() -> Box<dyn Ledger>) {
    assert_eq!(open().load().unwrap(), Record::default(), "a new device has a record");

    let mut last = Record::default();
    for serial in 1..=5 {
        let record = record(serial);
        let mut ledger = open();
        assert_eq!(ledger.load().unwrap(), last);
        ledger.save(&record).unwrap();
        assert_eq!(ledger.load().unwrap(), record, "a saved record is not read back");
        assert_eq!(open().load().unwrap(), record, "a saved record does not survive a restart");
        last = record;
    }

    // Several saves without a load between them, and one without a load before it.
    let mut ledger = open();
    for serial in 6..=9 {
        ledger.save(&record(serial)).unwrap();
    }
    assert_eq!(open().load().unwrap(), record(9));
}

/// A record in which every field is set, and depends on the serial.
fn record(serial: u64) -> Record {
    let oid = format!("{serial:040x}").parse().unwrap();
    let tip =
        Accepted { commit: oid, tree: oid, time: 1_795_000_000, signer: "ops@plant-7".into(), charter: None, reset: 0 };
    let generation = Generation { packs: vec![oid; serial as usize] };
    let last = LineConfig { output: Some(Level::Low), active_low: true, bias: None };
    Record {
        serial,
        tip: Some(tip.clone()),
        generation: generation.clone(),
        previous: Some((tip, generation)),
        advances: serial,
        exchange: Some("5f0c1f0e3d5b4d0e9a7c2b6e8f1a4c3d".parse().unwrap()),
        owned: vec![Owned {
            key: "GpioLine/pump-relay".parse().unwrap(),
            release: Release::Line { line: "GPIO17".into(), last: Some(last) },
            applied: Some([serial as u8; 16]),
            corrected: 3,
        }],
        status: Some(LastStatus {
            commit: oid,
            parent: None,
            replaces: Some(oid),
            sequence: serial,
            digest: [7; 16],
            heartbeat: true,
        }),
        refused: Some(Refused {
            tip: oid,
            inputs: [9; 16],
            reason: "UnsignedCommit".into(),
            message: "it has no signature".into(),
            hint: None,
        }),
        ..Record::default()
    }
}
