//! The ports' contracts: one suite for each port, run on the real adapters here, and on the simulated world's fakes by
//! the `sim` tests.
//!
//! A machine that builds this has no GPIO chip of its own: the line suite runs on the simulated board's lines alone.

mod board;
mod floor;
mod ledger;
mod link;
mod outbox;
mod store;
#[path = "../support/mod.rs"]
mod support;
mod upstream;

mod disk;
mod drivers;
mod file_hub;
mod stick_hub;

use std::path::PathBuf;

use giter_edge::{
    disk::FloorFile,
    git::{OutboxFile, PackStore, pack},
};

#[test]
fn files_of_the_drivers() {
    board::files(&mut drivers::Sim::new());
}

#[test]
fn lines_of_the_simulated_board() {
    board::lines(&mut drivers::Sim::new());
}

#[test]
fn leds_of_the_simulated_board() {
    board::leds(&mut drivers::Sim::new());
}

#[test]
fn leds_of_the_kernel() {
    board::leds(&mut drivers::KernelLeds::new());
}

#[test]
fn ledger_on_two_slots() {
    let disk = disk::Disk::new();
    ledger::check(|| disk.ledger());
}

#[test]
fn floor_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    floor::check(|| Box::new(FloorFile::new(&folder.path().join("giter.floor"))));
}

#[test]
fn outbox_in_a_bundle() {
    let folder = tempfile::tempdir().unwrap();
    outbox::check(|| Box::new(OutboxFile::new(folder.path(), "refs/giter/status/dev")));
}

#[test]
fn pack_store() {
    let folder = tempfile::tempdir().unwrap();
    let mut stores = (0..).map(|n| PackStore::open(&folder.path().join(n.to_string())).unwrap());
    store::check(&mut || stores.next().unwrap(), &|objects| pack::write(objects).unwrap());
}

#[test]
fn file_link() {
    hold(&file_hub::FileHub::new);
}

#[test]
fn git_with_filters() {
    hold(&|folder| file_hub::FileHub::served(folder, true));
}

#[test]
fn git_without_filters() {
    hold(&|folder| file_hub::FileHub::served(folder, false));
}

#[test]
fn stick_link() {
    hold_by(&stick_hub::StickHub::new, link::check_carried);
}

/// Holds a link to a hub in a folder to its contract.
fn hold(hub: &dyn Fn(PathBuf) -> file_hub::FileHub) {
    hold_by(hub, link::check);
    hold_by(hub, upstream::check);
}

/// What a link is held to, with empty hubs and empty stores.
type Contract<H> = fn(&mut dyn FnMut() -> H, &mut dyn FnMut() -> PackStore);

fn hold_by<H: link::Hub>(hub: &dyn Fn(PathBuf) -> H, contract: Contract<H>) {
    let folder = tempfile::tempdir().unwrap();
    let mut hubs = (0..).map(|n| hub(folder.path().join(format!("hub-{n}"))));
    let mut stores = (0..).map(|n| PackStore::open(&folder.path().join(format!("store-{n}"))).unwrap());
    contract(&mut || hubs.next().unwrap(), &mut || stores.next().unwrap());
}
