//! Every released wire form, pinned: what an older program wrote is read, and what is written has not changed.
//!
//! A vector is never edited. A new form gets a new version and a vector of its own.

use giter_edge::{
    api::{
        Condition, ConditionStatus, ConditionType, DeviceStatus, Oid, ResourceStatus,
        board::{Bias, Level, LineConfig},
        condition::Text,
        ledger::{Accepted, Charter, Generation, HubTraits, LastStatus, Owned, Pushes, Record, Refused, Release},
        status::{Clock, Field},
    },
    codec::{floor, record, status},
};

const STATUS_V1: &[u8] = include_bytes!("status-v1.postcard");
const RECORD_V1: &[u8] = include_bytes!("record-v1.bin");
const RECORD_V2: &[u8] = include_bytes!("record-v2.bin");
const FLOOR_V1: &[u8] = include_bytes!("floor-v1.bin");
const FLOOR_V2: &[u8] = include_bytes!("floor-v2.bin");

fn oid(byte: u8) -> Oid {
    Oid::new([byte; 20])
}

fn device_status() -> DeviceStatus {
    use ConditionStatus::{False, True, Unknown};
    use ConditionType::{Degraded, Drifted, Ready, Synced};
    let motd = ResourceStatus {
        key: "File/motd".parse().unwrap(),
        observed_digest: oid(0x11),
        conditions: [Condition::new(Ready, True, "Applied", "")].into_iter().collect(),
        observed: [Field::new("size", 6), Field::new("mode", "0644")].into_iter().collect(),
    };
    let relay = ResourceStatus {
        key: "GpioLine/pump-relay".parse().unwrap(),
        observed_digest: oid(0x22),
        conditions: [
            Condition::new(Ready, True, "Corrected", "driven high again"),
            Condition::new(Drifted, True, "ChangedOutside", "value: low, not high"),
        ]
        .into_iter()
        .collect(),
        observed: [Field::new("value", "high")].into_iter().collect(),
    };
    let activity = ResourceStatus {
        key: "Led/activity".parse().unwrap(),
        observed_digest: oid(0x22),
        conditions: [
            Condition::new(Ready, Unknown, "LedFailed", "cannot read it"),
            Condition::new(Degraded, True, "LedFailed", "cannot write to ACT: I/O error – on «ACT»"),
        ]
        .into_iter()
        .collect(),
        observed: Default::default(),
    };
    DeviceStatus {
        device: "site-a/pump-07".parse().unwrap(),
        board: Text::new("raspberry-pi-4b"),
        agent: Text::new("0.1.0"),
        boot_id: *b"\x5f\x0c\x1f\x0e\x3d\x5b\x4d\x0e\x9a\x7c\x2b\x6e\x8f\x1a\x4c\x3d",
        sequence: 300,
        uptime: 86_400,
        clock: Clock::Plausible,
        observed_revision: Some(oid(0xab)),
        advances: 17,
        conditions: [
            Condition::new(Synced, False, "UnsignedCommit", "the commit cdcdcdcdcdcd has no signature"),
            Condition::new(Ready, False, "NotReady", "2 of 3 resources are ready"),
        ]
        .into_iter()
        .collect(),
        resources: vec![motd, relay, activity],
        lost: 1,
    }
}

fn ledger_record() -> Record {
    let line = LineConfig { output: Some(Level::Low), active_low: true, bias: Some(Bias::PullUp) };
    let owned = |key: &str, release: Release, applied: Option<[u8; 16]>| Owned {
        key: key.parse().unwrap(),
        release,
        applied,
        corrected: 2,
    };
    let accepted = |byte: u8| Accepted {
        commit: oid(byte),
        tree: oid(byte + 1),
        time: 1_795_000_000 + i64::from(byte),
        signer: "ops@plant-7".into(),
        charter: (byte == 0x20).then(|| Charter { serial: 300, blob: oid(0x60), sha256: [7; 32], anchor: [8; 16] }),
        reset: u64::from(byte == 0x20) * 300,
    };
    Record {
        serial: 300,
        tip: Some(accepted(0x20)),
        generation: Generation { packs: vec![oid(0x30), oid(0x31)] },
        previous: Some((accepted(0x10), Generation { packs: vec![oid(0x30)] })),
        advances: 17,
        exchange: Some("5f0c1f0e3d5b4d0e9a7c2b6e8f1a4c3d".parse().unwrap()),
        owned: vec![
            owned("File/motd", Release::File { path: "/etc/motd".parse().unwrap(), remove: true }, Some([1; 16])),
            owned("File/issue", Release::File { path: "/etc/issue".parse().unwrap(), remove: false }, Some([2; 16])),
            owned("GpioLine/pump-relay", Release::Line { line: "GPIO17".into(), last: Some(line) }, None),
            owned("GpioLine/door", Release::Line { line: "GPIO18".into(), last: None }, Some([3; 16])),
            owned("Led/activity", Release::Led { led: "ACT".into(), brightness: Some(255) }, Some([4; 16])),
        ],
        status: Some(LastStatus {
            commit: oid(0x40),
            parent: Some(oid(0x41)),
            replaces: Some(oid(0x42)),
            sequence: 299,
            digest: [5; 16],
            heartbeat: true,
        }),
        refused: Some(Refused {
            tip: oid(0x50),
            inputs: [6; 16],
            reason: "UnsignedCommit".into(),
            message: "the commit has no signature".into(),
            hint: Some("sign it".into()),
        }),
        stranger: Some([9; 16]),
        hub: HubTraits { protocol_in_command: true },
        pushes: Some(Pushes { boot_id: [0x70; 16], uptime: 3600, spent: 1_234, appended: Some(5) }),
    }
}

/// What version 1 knew of it.
fn ledger_record_v1() -> Record {
    let record = ledger_record();
    let status = record.status.clone().map(|status| LastStatus { replaces: None, heartbeat: false, ..status });
    Record { status, pushes: None, ..record }
}

#[test]
fn status_v1_is_read_and_written() {
    assert_eq!(status::decode(STATUS_V1), Ok(device_status()));
    assert_eq!(status::encode(&device_status()).unwrap(), STATUS_V1);
}

#[test]
fn status_v1_reads_as_yaml() {
    assert_eq!(status::to_yaml(&device_status()).unwrap(), include_str!("status-v1.yaml"));
}

#[test]
fn record_v2_is_read_and_written() {
    assert_eq!(record::decode(RECORD_V2), Ok(ledger_record()));
    assert_eq!(record::encode(&ledger_record()).unwrap(), RECORD_V2);
}

#[test]
fn record_v1_is_read() {
    assert_eq!(record::decode(RECORD_V1), Ok(ledger_record_v1()));
}

#[test]
fn floor_v2_is_read_and_written() {
    let copy = ledger_record().floor(&"site-a/pump-07".parse().unwrap()).unwrap();
    assert_eq!(floor::decode(FLOOR_V2), Ok(copy.clone()));
    assert_eq!(floor::encode(&copy).unwrap(), FLOOR_V2);
}

#[test]
fn floor_v1_is_read() {
    let copy = ledger_record_v1().floor(&"site-a/pump-07".parse().unwrap()).unwrap();
    assert_eq!(floor::decode(FLOOR_V1), Ok(copy));
}

#[test]
fn a_version_is_what_the_checksum_says() {
    for bytes in [RECORD_V1, RECORD_V2] {
        let with_version = |version: u8| [&bytes[..4], &[version], &bytes[5..]].concat();
        assert_eq!(record::decode(&with_version(3 - bytes[4])), Err("its checksum does not match"));
        assert_eq!(record::decode(&with_version(3)), Err("it has a version that this giterd does not know"));
    }
}
