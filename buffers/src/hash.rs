//! One fast hash with fixed keys: the same input gives the same order in every run.

use std::hash::{BuildHasherDefault, Hasher};

const K0: u64 = 0x9e37_79b9_7f4a_7c15;
const K1: u64 = 0xe703_7ed1_a0b4_28db;

/// Builds [`FixedHasher`]s.
pub type FixedState = BuildHasherDefault<FixedHasher>;
/// For maps whose keys are hashes already.
pub(crate) type HashedState = BuildHasherDefault<Hashed>;

fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product as u64) ^ ((product >> 64) as u64)
}

fn word(bytes: &[u8]) -> u64 {
    match bytes.first_chunk::<8>() {
        Some(w) => u64::from_le_bytes(*w),
        None => bytes.iter().rev().fold(0, |acc, b| (acc << 8) | u64::from(*b)),
    }
}

fn absorb(state: u64, bytes: &[u8]) -> u64 {
    let mut h = state ^ (bytes.len() as u64).wrapping_mul(K0);
    let (pairs, rest) = bytes.as_chunks::<16>();
    for pair in pairs {
        h = fold(word(&pair[..8]) ^ K1, word(&pair[8..]) ^ h);
    }
    let (low, high) = rest.split_at(rest.len().min(8));
    fold(word(low) ^ K1, word(high) ^ h)
}

/// Hash of one byte string. Two halves of it are absorbed beside each other: one product waits for the one before.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    let (low, high) = bytes.split_at(bytes.len() / 32 * 16);
    fold(absorb(K0, low) ^ K1, absorb(K1, high) ^ K0)
}

/// Hash of several strings, lengths included: `["a", "bc"]` is not `["ab", "c"]`.
pub(crate) fn hash_parts(parts: &[&str]) -> u64 {
    fold(parts.iter().fold(K0, |h, p| absorb(h, p.as_bytes())), K1)
}

/// What a label set is known by wherever it is written: 128 bits of FNV-1a over its canonical bytes.
pub(crate) fn lasting(bytes: &[u8]) -> [u8; 16] {
    const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    bytes.iter().fold(OFFSET, |h, b| (h ^ u128::from(*b)).wrapping_mul(PRIME)).to_be_bytes()
}

/// The fixed hash behind the standard trait.
#[derive(Default)]
pub struct FixedHasher(u64);

impl Hasher for FixedHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = absorb(self.0, bytes);
    }

    // A number is one word; what ends a string needs none, as its length is in its hash.
    fn write_u8(&mut self, n: u8) {
        self.0 = self.0.rotate_left(8) ^ u64::from(n);
    }

    fn write_u32(&mut self, n: u32) {
        self.write_u64(u64::from(n));
    }

    fn write_u64(&mut self, n: u64) {
        self.0 = fold(self.0 ^ n ^ K1, K0);
    }

    fn write_usize(&mut self, n: usize) {
        self.write_u64(n as u64);
    }

    fn finish(&self) -> u64 {
        fold(self.0 ^ K0, K1)
    }
}

/// Passes a `u64` through.
#[derive(Default)]
pub(crate) struct Hashed(u64);

impl Hasher for Hashed {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = absorb(self.0, bytes);
    }

    fn write_u64(&mut self, n: u64) {
        self.0 = n;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_and_order_matter() {
        assert_ne!(hash(b""), hash(b"\0"));
        assert_ne!(hash(b"abcdefgh"), hash(b"abcdefgh\0"));
        assert_ne!(hash_parts(&["a", "bc"]), hash_parts(&["ab", "c"]));
        let distinct: std::collections::BTreeSet<u64> = (0..100_000u32).map(|n| hash(&n.to_le_bytes())).collect();
        assert_eq!(distinct.len(), 100_000);
    }

    #[test]
    fn keys_of_several_parts_are_told_apart() {
        use std::hash::BuildHasher;
        let of = |key: (u32, &str, u8)| FixedState::default().hash_one(key);
        let texts = ["", "a", "b", "pod-1", "pod-2"];
        let keys =
            (0..1000).flat_map(|n| texts.map(|text| (n, text))).flat_map(|(n, t)| (0..4).map(move |b| (n, t, b)));
        let distinct: std::collections::BTreeSet<u64> = keys.map(of).collect();
        assert_eq!(distinct.len(), 20_000);
    }
}
