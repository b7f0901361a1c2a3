//! Stories about one device in a simulated world, each told again with every one of its effects struck by a fault.
//!
//! ```text
//! world/         the hub, the disk, the board and the clock in memory, and the ports over them
//! publisher      what the device shall be, as signed commits
//! run            the agent in the world: ticks, reboots, what a story says and does
//! invariants     what holds after every tick and every fault
//! faults         a story again and again, the power cut at each effect in turn
//! stories        straight code        recovery   the same, of what was forgotten
//! sticks         the same, of what is carried
//! reports        the same, of heartbeats, and of what has to wait
//! random         stories and faults from a seed
//! sabotage       broken parts, to show that the invariants can fail
//! contracts      the fakes under the suites of the real adapters
//! ```

mod contracts;
mod faults;
mod invariants;
mod publisher;
mod random;
mod recovery;
mod reports;
mod run;
mod sabotage;
mod sticks;
mod stories;
#[path = "../support/mod.rs"]
mod support;
mod world;
