//! Whole bundles: whatever one is, it is taken into the quarantine or refused for a reason of its own, and what is taken
//! and not kept leaves no file.
//!
//! The input is a bundle but for the pack's checksum, which is made right, so that the fuzzer comes past it.

use std::{fs, path::PathBuf, process, thread};

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
    let left = FOLDER.with(|folder| folder.join("store/quarantine").exists());
    assert!(!left, "files are left in the quarantine");
}

/// Takes a bundle as a device does that has nothing yet, up to the proof of its tip.
pub(crate) fn import(data: &[u8]) -> Result<()> {
    let device: DeviceId = "dev".parse().unwrap();
    let (bundle, store) = FOLDER.with(|folder| (folder.join("a.bundle"), folder.join("store")));
    fs::write(&bundle, sealed(data)).unwrap();
    let settings = Settings {
        device: device.clone(),
        branch: "main".into(),
        status_ref: "refs/giter/status/dev".into(),
        exchange: None,
    };
    let mut link = StickLink::open(Place::Bundle(bundle), &settings, &Record::default());
    let mut store = PackStore::open(&store).unwrap();
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

thread_local! {
    /// Each thread's own: tests run side by side.
    static FOLDER: PathBuf = {
        let name = format!("giter-fuzz-import-{}-{:?}", process::id(), thread::current().id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        folder
    };
}
