//! Histories that git makes, of which a device has what git's server sends it.

use giter_edge::{
    api::{Reason, ledger::Generation},
    git::PackStore,
    reconcile::{
        ports::{Link, Store, Want},
        verify::{Unproven, prove},
    },
};

use super::{
    charter::{Exchange, charter, spec},
    pipe,
};

/// The device's store, with what it reads of the tip that it accepted.
struct Device {
    store: PackStore,
    generation: Generation,
    /// How many objects the proofs lacked so far.
    lacked: usize,
    _folder: tempfile::TempDir,
}

impl Device {
    /// With the exchange's tip.
    fn new(exchange: &mut Exchange) -> Self {
        exchange.repo.git(&["config", "uploadpack.allowFilter", "true"]);
        exchange.floor = None;
        let folder = tempfile::tempdir().unwrap();
        let store = PackStore::open(&folder.path().join("store")).unwrap();
        let mut device = Self { store, generation: Generation::default(), lacked: 0, _folder: folder };
        device.follow(exchange).unwrap();
        device
    }

    /// Fetches the tip over a new link and proves it, as the agent does; who signed it.
    fn follow(&mut self, exchange: &mut Exchange) -> Result<Box<str>, Reason> {
        let (mut link, _) = pipe::link(exchange.repo.path(""));
        let (tip, device) = (link.list().unwrap().branch, "site-a".parse().unwrap());
        let have = exchange.floor.as_ref().map(|floor| floor.commit);
        let mut quarantine = self.store.quarantine(&self.generation).unwrap();
        link.fetch(Want::Tip { tip, have, device: &device }, &mut *quarantine).unwrap();
        let verified = loop {
            match prove(tip, &exchange.trust(), &*quarantine) {
                Ok(verified) => break verified,
                Err(Unproven::Refused(error)) => return Err(error.reason()),
                Err(Unproven::Lacks(ids, _)) => {
                    self.lacked += ids.len();
                    link.fetch(Want::Objects(&ids), &mut *quarantine).unwrap();
                }
            }
        };
        self.generation = quarantine.promote(tip, &device).unwrap();
        Ok(exchange.floor.insert(verified.accepted().clone()).signer.clone())
    }
}

#[test]
fn a_rotation_in_the_middle_of_a_range_is_followed() {
    let (mut exchange, root, ops) = Exchange::new();
    let mut device = Device::new(&mut exchange);
    let [new_root, new_ops] = ["new-root", "new-ops"].map(|name| exchange.repo.key(name, "ed25519"));
    exchange.change("two", &ops);
    charter(&exchange.repo, 2, &[&new_root], &[(&new_ops, "paths: [specs/site-a/**]")], &[&root]);
    exchange.repo.commit("rotate", Some(&root));
    exchange.change("three", &new_ops);
    exchange.change("four", &new_ops);
    assert_eq!(device.follow(&mut exchange), Ok("ops@plant-7".into()));
    assert_eq!(exchange.floor.as_ref().unwrap().charter.as_ref().unwrap().serial, 2);
    exchange.change("five", &ops);
    exchange.change("six", &new_ops);
    assert_eq!(device.follow(&mut exchange), Err(Reason::UntrustedKey));
}

#[test]
fn a_long_range_by_a_key_without_a_right_to_the_folder_is_proven_by_the_trees_on_the_way() {
    let (mut exchange, root, ops) = Exchange::new();
    charter(&exchange.repo, 2, &[&root], &[(&ops, "paths: [specs/site-b/**]")], &[&root]);
    exchange.repo.commit("ops is for site-b now", Some(&root));
    let mut device = Device::new(&mut exchange);
    let commits = 30;
    for at in 0..commits {
        spec(&exchange.repo, "specs/site-b/pump.txt", &format!("{at}"));
        exchange.repo.commit("elsewhere", Some(&ops));
    }
    device.lacked = 0;
    assert_eq!(device.follow(&mut exchange), Ok("ops@plant-7".into()));
    assert!(device.lacked >= commits - 1, "{} trees were asked for by their names", device.lacked);
    exchange.change("not his", &ops);
    exchange.change("one", &ops);
    assert_eq!(device.follow(&mut exchange), Err(Reason::KeyNotAllowed));
}
