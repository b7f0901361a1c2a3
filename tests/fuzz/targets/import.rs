//! Whole bundles: whatever one is, it is taken into the quarantine or refused for a reason of its own, and what is taken
//! and not kept leaves no file.
//!
//! The input is a bundle but for the pack's checksum, which is made right, so that the fuzzer comes past it.

use std::{fs, path::PathBuf, process, sync::LazyLock};

use giter_edge::{
    api::{
        DeviceId, Reason, Result,
        ledger::{Generation, Record},
    },
    git::PackStore,
    link::{
        StickLink,
        stick::{Place, Settings},
    },
    reconcile::ports::{Link, Store, Want},
};
use sha1::{Digest, Sha1};

pub(crate) fn check(data: &[u8]) {
    if let Err(error) = import(data) {
        let reason = error.reason();
        assert!(REASONS.contains(&reason), "{reason}: {error}");
    }
    assert!(!FOLDER.join("store/quarantine").exists(), "files are left in the quarantine");
}

/// Takes a bundle as a device does that has nothing yet, up to the proof of its tip.
pub(crate) fn import(data: &[u8]) -> Result<()> {
    let device: DeviceId = "dev".parse().unwrap();
    fs::write(FOLDER.join("a.bundle"), sealed(data)).unwrap();
    let settings = Settings {
        device: device.clone(),
        branch: "main".into(),
        status_ref: "refs/giter/status/dev".into(),
        exchange: None,
    };
    let mut link = StickLink::open(Place::Bundle(FOLDER.join("a.bundle")), &settings, &Record::default());
    let mut store = PackStore::open(&FOLDER.join("store")).unwrap();
    let mut quarantine = store.quarantine(&Generation::default()).unwrap();
    let tip = link.list()?.branch;
    link.fetch(Want::Tip { tip, have: None, device: &device }, &mut *quarantine)
}

/// What can be wrong with a bundle.
const REASONS: &[Reason] = &[
    Reason::BundleInvalid,
    Reason::BundleBaseMissing,
    Reason::BranchNotFound,
    Reason::PackInvalid,
    Reason::PackTooLarge,
    Reason::CommitNotFound,
];

/// A bundle whose pack ends in the right checksum.
fn sealed(data: &[u8]) -> Vec<u8> {
    let mut bundle = data.to_vec();
    if let Some(at) = data.windows(4).position(|bytes| bytes == b"PACK") {
        bundle.extend(Sha1::digest(&data[at..]));
    }
    bundle
}

static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = std::env::temp_dir().join(format!("giter-fuzz-import-{}", process::id()));
    fs::create_dir_all(&folder).unwrap();
    folder
});
