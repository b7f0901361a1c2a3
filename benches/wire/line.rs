//! What lies between the device and the hub: nothing, or a line that is slow, long or bad.

use std::time::{Duration, Instant};

/// How a line carries packets.
#[derive(Clone, Copy)]
pub(crate) struct Line {
    /// For the table.
    pub(crate) name: &'static str,
    /// There and back.
    pub(crate) round_trip: Duration,
    /// Bits in a second to the hub; 0 for as many as come.
    pub(crate) up: u64,
    /// Bits in a second to the device.
    pub(crate) down: u64,
    /// Of a thousand packets, how many are lost.
    pub(crate) loss: u64,
}

impl Line {
    /// No line at all.
    pub(crate) const NONE: Self = Self { name: "", round_trip: Duration::ZERO, up: 0, down: 0, loss: 0 };
    /// A line on which round trips are counted: far longer than what is computed between them.
    pub(crate) const LONG: Self = Self { round_trip: Duration::from_millis(800), ..Self::NONE };
    /// The lines that are emulated.
    pub(crate) const EMULATED: [Self; 3] = [
        Self { name: "100 ms, 30 kbit/s", round_trip: Duration::from_millis(100), up: 30_000, down: 30_000, loss: 0 },
        Self {
            name: "600 ms, 20/40 kbit/s",
            round_trip: Duration::from_millis(600),
            up: 20_000,
            down: 40_000,
            loss: 0,
        },
        Self { name: "60 ms, 2 % loss", round_trip: Duration::from_millis(60), loss: 20, ..Self::NONE },
    ];
}

/// One direction of a line: when a packet arrives that enters it now.
pub(crate) struct Lane {
    delay: Duration,
    bits: u64,
    loss: u64,
    random: u64,
    is_free: Instant,
}

impl Lane {
    /// A direction with its own losses, the same in each run of the same `seed`.
    pub(crate) fn new(line: &Line, bits: u64, seed: u64) -> Self {
        Self { delay: line.round_trip / 2, bits, loss: line.loss, random: seed, is_free: Instant::now() }
    }

    /// When a packet arrives; `None` if it is lost. Packets wait for those before them, however many they are.
    pub(crate) fn carry(&mut self, bytes: usize, now: Instant) -> Option<Instant> {
        let micros = (bytes as u64 * 8 * 1_000_000).checked_div(self.bits).unwrap_or(0);
        self.is_free = self.is_free.max(now) + Duration::from_micros(micros);
        // SplitMix64: enough for a die.
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut die = self.random;
        die = (die ^ (die >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        die = (die ^ (die >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let is_lost = (die ^ (die >> 31)) % 1_000 < self.loss;
        (!is_lost).then(|| self.is_free + self.delay)
    }
}
