//! The wire between the device's network namespace and the hub's: two TUN devices whose packets this program carries.
//!
//! ```text
//! device's namespace [tun] --- up: count, delay, lose --> [tun] hub's namespace
//!                          <-- down: count, delay, lose --
//! ```
//!
//! What is carried are IP packets, without headers of a link and never larger than they would be on Ethernet. So bytes
//! are counted where they pass, and a line is emulated without the kernel's help (`sch_netem` is not in every kernel).

use std::{
    io,
    net::Ipv4Addr,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc},
    thread,
    time::{Duration, Instant},
};

use tappers::{Interface, Tun};

use crate::{
    Result,
    command::run,
    line::{Lane, Line},
};

/// Where the device is.
pub(crate) const DEVICE: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);
/// Where the hub is.
pub(crate) const HUB: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);

/// How long nothing passes before an exchange is over: longer than an acknowledgement is put off (200 ms at most).
const QUIET: Duration = Duration::from_millis(250);
/// The largest packet, as on Ethernet.
const MTU: usize = 1500;

/// Makes an end of the wire in the namespace of the calling thread.
pub(crate) fn end(name: &str, here: Ipv4Addr, there: Ipv4Addr) -> Result<Tun> {
    let tun = Tun::new_named(Interface::new(name)?)
        .map_err(|error| format!("cannot make a TUN device ({error}): it takes root and /dev/net/tun"))?;
    let (here, there) = (here.to_string(), there.to_string());
    run(std::process::Command::new("ip").args(["address", "add", &here, "peer", &there, "dev", name]))?;
    run(std::process::Command::new("ip").args(["link", "set", name, "mtu", &MTU.to_string(), "up"]))?;
    Ok(tun)
}

/// What passed between two moments.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Traffic {
    /// IP bytes to the hub.
    pub(crate) up: u64,
    /// IP bytes to the device.
    pub(crate) down: u64,
}

impl Traffic {
    /// IP bytes in both directions.
    pub(crate) fn bytes(&self) -> u64 {
        self.up + self.down
    }
}

/// The wire, which carries packets until the program ends.
pub(crate) struct Wire {
    shared: Arc<Shared>,
}

#[derive(Clone, Copy, PartialEq)]
enum Way {
    Up,
    Down,
}

struct Shared {
    state: Mutex<State>,
    passed: Condvar,
}

struct State {
    lanes: [Lane; 2],
    round_trip: Duration,
    traffic: Traffic,
    /// Packets on their way.
    under_way: usize,
    last: Instant,
}

impl Wire {
    /// Joins both ends.
    pub(crate) fn join(device: Tun, hub: Tun) -> Self {
        let state = State {
            lanes: lanes(&Line::NONE, 0),
            round_trip: Duration::ZERO,
            traffic: Traffic::default(),
            under_way: 0,
            last: Instant::now(),
        };
        let shared = Arc::new(Shared { state: Mutex::new(state), passed: Condvar::new() });
        let (device, hub) = (Arc::new(device), Arc::new(hub));
        shared.carry(Way::Up, &device, &hub);
        shared.carry(Way::Down, &hub, &device);
        Self { shared }
    }

    /// Puts a line in between.
    pub(crate) fn set(&self, line: &Line, seed: u64) {
        let mut state = self.shared.lock();
        state.lanes = lanes(line, seed);
        state.round_trip = line.round_trip;
    }

    /// Waits until nothing passes any more, and returns what has passed since the last call.
    pub(crate) fn take(&self) -> Traffic {
        let mut state = self.shared.lock();
        loop {
            let quiet = state.last.elapsed();
            let enough = QUIET + 2 * state.round_trip;
            if state.under_way == 0 && quiet >= enough {
                return std::mem::take(&mut state.traffic);
            }
            let wait = enough.saturating_sub(quiet).max(Duration::from_millis(1));
            state = self.shared.passed.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

fn lanes(line: &Line, seed: u64) -> [Lane; 2] {
    [Lane::new(line, line.up, 2 * seed), Lane::new(line, line.down, 2 * seed + 1)]
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Carries packets one way: one thread takes them in, another hands them out when they are due.
    fn carry(self: &Arc<Self>, way: Way, from: &Arc<Tun>, to: &Arc<Tun>) {
        let (from, to) = (Arc::clone(from), Arc::clone(to));
        let (entered, due) = mpsc::channel::<(Instant, Vec<u8>)>();
        let shared = Arc::clone(self);
        thread::spawn(move || {
            let mut buffer = [0; MTU];
            loop {
                let length = match from.recv(&mut buffer) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    received => received.expect("a TUN device that is up yields its packets"),
                };
                // The kernel says a word in IPv6 by itself.
                let packet = &buffer[..length];
                if packet.first().is_some_and(|first| first >> 4 == 4)
                    && let Some(at) = shared.enter(way, packet)
                    && entered.send((at, packet.to_vec())).is_err()
                {
                    return;
                }
            }
        });
        let shared = Arc::clone(self);
        thread::spawn(move || {
            for (at, packet) in due {
                thread::sleep(at.saturating_duration_since(Instant::now()));
                shared.leave();
                // A kernel that does not take a packet has lost it, as kernels do.
                let _ = to.send(&packet);
            }
        });
    }

    /// A packet is sent: it costs its bytes, whether it arrives or not.
    fn enter(&self, way: Way, packet: &[u8]) -> Option<Instant> {
        let (state, now) = (&mut *self.lock(), Instant::now());
        state.last = now;
        let count = if way == Way::Up { &mut state.traffic.up } else { &mut state.traffic.down };
        *count += packet.len() as u64;
        let at = state.lanes[way as usize].carry(packet.len(), now);
        state.under_way += usize::from(at.is_some());
        at
    }

    /// A packet arrives.
    fn leave(&self) {
        let state = &mut *self.lock();
        state.last = Instant::now();
        state.under_way -= 1;
        self.passed.notify_all();
    }
}
