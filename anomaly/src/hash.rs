//! Hashing that is the same in every process: ids and table orders must not depend on a random seed.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasherDefault, Hasher};

use serde::{Serialize, Serializer};

const SEED: u64 = 0x9e37_79b9_7f4a_7c15;
const FACTOR: u64 = 0xd6e8_feb8_6659_fd93;

/// For maps whose order of iteration is never observed.
pub(crate) type Fixed = BuildHasherDefault<FixedHasher>;

/// A map as it is written: the same state is the same bytes, in whatever order it came to be.
pub(crate) fn in_order<V: Serialize, S: Serializer>(map: &HashMap<u64, V, Fixed>, to: S) -> Result<S::Ok, S::Error> {
    to.collect_map(map.iter().collect::<BTreeMap<_, _>>())
}

/// Folds the 128-bit product of two words, the step of wyhash.
pub(crate) fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product as u64) ^ ((product >> 64) as u64)
}

/// A 64-bit hash of these bytes, the same on every machine. Not for untrusted maps without a bound.
pub fn hash64(bytes: &[u8]) -> u64 {
    let mut hasher = FixedHasher(SEED ^ bytes.len() as u64);
    hasher.write(bytes);
    hasher.finish()
}

/// Eight bytes a step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FixedHasher(u64);

impl Default for FixedHasher {
    fn default() -> Self {
        Self(SEED)
    }
}

impl Hasher for FixedHasher {
    fn finish(&self) -> u64 {
        fold(self.0 ^ FACTOR, SEED)
    }

    fn write(&mut self, bytes: &[u8]) {
        let mut words = bytes.chunks_exact(8);
        for word in words.by_ref() {
            let mut eight = [0; 8];
            eight.copy_from_slice(word);
            self.write_u64(u64::from_le_bytes(eight));
        }
        let rest = words.remainder();
        if !rest.is_empty() {
            let mut eight = [0; 8];
            eight[..rest.len()].copy_from_slice(rest);
            self.write_u64(u64::from_le_bytes(eight));
        }
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = fold(self.0.rotate_left(23) ^ word, FACTOR).wrapping_add(SEED);
    }

    fn write_u32(&mut self, word: u32) {
        self.write_u64(u64::from(word));
    }
}
