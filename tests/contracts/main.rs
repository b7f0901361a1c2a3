//! The ports' contracts: one suite for each port, run on every adapter and on the simulated world's fakes.

mod link;
mod store;
#[path = "../support/mod.rs"]
mod support;

mod file_hub;

use giter_edge::git::{PackStore, pack};

#[test]
fn pack_store() {
    let folder = tempfile::tempdir().unwrap();
    let mut stores = (0..).map(|n| PackStore::open(&folder.path().join(n.to_string())).unwrap());
    store::check(&mut || stores.next().unwrap(), &|objects| pack::write(objects).unwrap());
}

#[test]
fn file_link() {
    let folder = tempfile::tempdir().unwrap();
    let mut hubs = (0..).map(|n| file_hub::FileHub::new(folder.path().join(format!("hub-{n}"))));
    let mut stores = (0..).map(|n| PackStore::open(&folder.path().join(format!("store-{n}"))).unwrap());
    link::check(&mut || hubs.next().unwrap(), &mut || stores.next().unwrap());
}
