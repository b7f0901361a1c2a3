//! Deltas: one object as what it shares with another, in git's copy and insert form (gitformat-pack(5)).
//!
//! ```text
//! size of the base | size of the target | copy OFFSET SIZE | insert N BYTES | ...
//! ```
//!
//! Greedy: the longest of some places in the base where the next block of the target stands, taken as far as both agree,
//! to either side. Time and memory are bounded by the sizes of the two, whatever they hold.

use crate::api::limits;

/// The shortest run that is looked for, and what a copy has to be longer than to be worth its own bytes.
const BLOCK: usize = 16;
/// The longest run that one copy of a version 2 pack names.
const COPY: usize = 0x1_0000;
/// The most bytes that one insertion holds.
const INSERT: usize = 0x7f;

/// The target as a delta on the base; `None` where that is no shorter than the target.
pub fn encode(base: &[u8], target: &[u8]) -> Option<Vec<u8>> {
    let index = Index::of(base)?;
    let mut delta = Delta::between(base.len(), target.len());
    let (mut at, mut inserted) = (0, 0);
    while at + BLOCK <= target.len() && delta.0.len() < target.len() {
        let Some((from, length)) = index.longest(&target[at..]) else {
            at += 1;
            continue;
        };
        let back = common(base[..from].iter().rev(), target[inserted..at].iter().rev());
        delta.insert(&target[inserted..at - back]);
        delta.copy(from - back, length + back);
        at += length;
        inserted = at;
    }
    delta.insert(&target[inserted..]);
    (delta.0.len() < target.len()).then_some(delta.0)
}

/// Where in a base blocks stand, by a hash of each.
struct Index<'a> {
    base: &'a [u8],
    /// How far one block that is known lies from the next.
    step: usize,
    /// The first block of each hash, as a number; [`NONE`] if there is none.
    first: Vec<u32>,
    /// The next block of the same hash, for each.
    next: Vec<u32>,
}

const NONE: u32 = u32::MAX;

impl<'a> Index<'a> {
    /// `None` where the base has no block.
    fn of(base: &'a [u8]) -> Option<Self> {
        let places = base.len().checked_sub(BLOCK)? + 1;
        let step = places.div_ceil(limits::DELTA_BLOCKS);
        let count = places.div_ceil(step);
        let mut index = Self { base, step, first: vec![NONE; count.next_power_of_two()], next: vec![NONE; count] };
        for number in (0..count).rev() {
            let slot = index.slot(&base[number * step..]);
            index.next[number] = index.first[slot];
            index.first[slot] = number as u32;
        }
        Some(index)
    }

    fn slot(&self, block: &[u8]) -> usize {
        const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
        let word = |at: usize| block[at..at + 8].iter().fold(0, |word: u64, byte| word << 8 | u64::from(*byte));
        let hash = (word(0).wrapping_mul(SPREAD) ^ word(8)).wrapping_mul(SPREAD);
        (hash >> 32) as usize & (self.first.len() - 1)
    }

    /// Where in the base the longest run stands with which the target goes on, and how long that is.
    fn longest(&self, target: &[u8]) -> Option<(usize, usize)> {
        let mut best = None;
        let mut number = self.first[self.slot(target)];
        for _ in 0..limits::DELTA_PROBES {
            if number == NONE {
                break;
            }
            let from = number as usize * self.step;
            let length = common(&self.base[from..], target);
            if length >= BLOCK && best.is_none_or(|(_, longest)| length > longest) {
                best = Some((from, length));
            }
            if length == target.len() {
                break;
            }
            number = self.next[number as usize];
        }
        best
    }
}

/// For how long two runs agree.
fn common<'a>(one: impl IntoIterator<Item = &'a u8>, other: impl IntoIterator<Item = &'a u8>) -> usize {
    one.into_iter().zip(other).take_while(|(one, other)| one == other).count()
}

/// A delta as it is written.
struct Delta(Vec<u8>);

impl Delta {
    fn between(base: usize, target: usize) -> Self {
        let mut delta = Self(Vec::new());
        delta.size(base);
        delta.size(target);
        delta
    }

    /// Seven bits a byte, the lowest first; all bytes but the last have the highest bit set.
    fn size(&mut self, mut size: usize) {
        while size >= 0x80 {
            self.0.push(size as u8 | 0x80);
            size >>= 7;
        }
        self.0.push(size as u8);
    }

    fn insert(&mut self, bytes: &[u8]) {
        for piece in bytes.chunks(INSERT) {
            self.0.push(piece.len() as u8);
            self.0.extend_from_slice(piece);
        }
    }

    fn copy(&mut self, mut from: usize, mut length: usize) {
        while length > 0 {
            let piece = length.min(COPY);
            self.copy_one(from, piece);
            from += piece;
            length -= piece;
        }
    }

    /// Of the four bytes of the offset and the two of the size, those that are not zero; the first byte tells which. A size
    /// of zero stands for [`COPY`].
    fn copy_one(&mut self, from: usize, length: usize) {
        let opcode = self.0.len();
        self.0.push(0x80);
        let numbers = (from as u32).to_le_bytes().into_iter().chain((length as u16).to_le_bytes());
        for (bit, byte) in numbers.enumerate().filter(|(_, byte)| *byte != 0) {
            self.0[opcode] |= 1 << bit;
            self.0.push(byte);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Applies a delta as gitformat-pack(5) has it.
    fn apply(base: &[u8], delta: &[u8]) -> Vec<u8> {
        let mut bytes = delta.iter().copied();
        let mut size = || {
            let (mut size, mut shift) = (0, 0);
            loop {
                let byte = bytes.next().unwrap();
                size |= usize::from(byte & 0x7f) << shift;
                shift += 7;
                if byte & 0x80 == 0 {
                    return size;
                }
            }
        };
        let (base_size, target_size) = (size(), size());
        assert_eq!(base_size, base.len());
        let mut target = Vec::new();
        while let Some(opcode) = bytes.next() {
            if opcode & 0x80 == 0 {
                assert_ne!(opcode, 0);
                target.extend(bytes.by_ref().take(opcode.into()));
                continue;
            }
            let mut number = |bits: std::ops::Range<u32>| {
                bits.enumerate().fold(0usize, |number, (at, bit)| match opcode >> bit & 1 {
                    0 => number,
                    _ => number | usize::from(bytes.next().unwrap()) << (8 * at),
                })
            };
            let (from, length) = (number(0..4), number(4..7));
            let length = if length == 0 { COPY } else { length };
            target.extend_from_slice(&base[from..from + length]);
        }
        assert_eq!(target.len(), target_size);
        target
    }

    /// Bytes without a pattern, the same for each seed.
    fn noise(seed: u64, length: usize) -> Vec<u8> {
        let mut state = seed.wrapping_mul(2).wrapping_add(1);
        let mut byte = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        };
        (0..length).map(|_| byte()).collect()
    }

    #[test]
    fn what_is_encoded_comes_back() {
        for seed in 0..400u64 {
            let of = |number: u64, most: u64| (seed.wrapping_mul(number) % most) as usize;
            let base = noise(seed, of(7_919, 3_000));
            let mut target = base.clone();
            for edit in 0..of(31, 6) as u64 {
                let at = of(104_729 + edit, target.len() as u64 + 1);
                let end = (at + of(53 + edit, 200)).min(target.len());
                target.splice(at..end, noise(seed + edit, of(97 + edit, 150)));
            }
            if let Some(delta) = encode(&base, &target) {
                assert!(delta.len() < target.len());
                assert_eq!(apply(&base, &delta), target, "seed {seed}");
            }
        }
    }

    #[test]
    fn one_change_in_a_long_list_takes_little() {
        let base = noise(1, 40_000);
        let mut target = base.clone();
        target.splice(20_000..20_020, noise(2, 20));
        let delta = encode(&base, &target).unwrap();
        assert_eq!(apply(&base, &delta), target);
        assert!(delta.len() < 50, "{}", delta.len());
    }

    #[test]
    fn runs_longer_than_one_copy_are_copied() {
        let base = noise(3, 300_000);
        let target = [&base[100_000..], b"between", &base[..100_000]].concat();
        let delta = encode(&base, &target).unwrap();
        assert_eq!(apply(&base, &delta), target);
        assert!(delta.len() < 60, "{}", delta.len());
    }

    #[test]
    fn what_repeats_itself_takes_no_longer_than_it_has_to() {
        let (base, target) = (vec![0; limits::OBJECT_BYTES], vec![0; limits::OBJECT_BYTES - 1]);
        assert_eq!(apply(&base, &encode(&base, &target).unwrap()), target);
    }

    #[test]
    fn what_has_nothing_in_common_is_no_delta() {
        for (base, target) in [(noise(4, 500), noise(5, 500)), (vec![], noise(6, 9)), (noise(7, 9), vec![])] {
            assert_eq!(encode(&base, &target), None);
        }
    }
}
