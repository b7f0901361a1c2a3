//! The ports' contracts, and the real adapters held to them. The simulated world holds its fakes to the same suites.
//!
//! A machine that builds this has no GPIO chip of its own: the line suite runs on the simulated board's lines alone.

mod board;
mod ledger;

mod disk;
mod drivers;

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
