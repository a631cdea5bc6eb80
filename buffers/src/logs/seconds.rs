//! In which seconds lines were written, whoever wrote them: whether silence is a program's or that of what should have sent its lines.
//! It is kept as lines come, so that asking costs the same however many streams and batches there are.

use whyd_signals::Timestamp;

const NANOS: i64 = 1_000_000_000;
/// Seconds that are known before the newest, a little more than an hour.
const KEPT: i64 = 4096;
const WORDS: usize = KEPT as usize / 64;

/// The seconds of the newest hour, and the newest line of each namespace.
#[derive(Debug, Clone)]
pub struct Seconds {
    /// In nanoseconds.
    newest: Option<i64>,
    /// A bit for each second, in turn.
    bits: [u64; WORDS],
    /// By the number of a namespace.
    of: Vec<Option<i64>>,
}

impl Default for Seconds {
    fn default() -> Self {
        Self { newest: None, bits: [0; WORDS], of: Vec::new() }
    }
}

impl Seconds {
    /// Lines of a namespace; their times are in order.
    pub(crate) fn take(&mut self, namespace: u32, times: &[i64]) {
        let Some(last) = times.last() else { return };
        let mut before = None;
        for second in times.iter().map(|ns| ns.div_euclid(NANOS)) {
            if before.replace(second) != Some(second) {
                self.mark(second);
            }
        }
        self.newest = self.newest.max(Some(*last));
        let namespace = namespace as usize;
        if namespace >= self.of.len() {
            self.of.resize(namespace + 1, None);
        }
        if let Some(own) = self.of.get_mut(namespace) {
            *own = (*own).max(Some(*last));
        }
    }

    fn mark(&mut self, second: i64) {
        let newest = self.newest.map_or(second, |ns| ns.div_euclid(NANOS));
        if second <= newest - KEPT {
            return;
        }
        if second - newest >= KEPT {
            self.bits = [0; WORDS];
        } else {
            (newest + 1..second).for_each(|passed| self.put(passed, false));
        }
        self.put(second, true);
        self.newest = self.newest.max(Some(second * NANOS));
    }

    fn put(&mut self, second: i64, set: bool) {
        let place = second.rem_euclid(KEPT) as usize;
        if let Some(word) = self.bits.get_mut(place / 64) {
            *word = *word & !(1 << (place % 64)) | u64::from(set) << (place % 64);
        }
    }

    /// When the newest line was written.
    pub fn newest(&self) -> Option<Timestamp> {
        self.newest.map(Timestamp)
    }

    /// When the newest line of the namespace of this number was.
    pub(crate) fn newest_of(&self, namespace: u32) -> Option<Timestamp> {
        self.of.get(namespace as usize).copied().flatten().map(Timestamp)
    }

    /// Whether a line was written in any of so many seconds up to the one that is so long before the newest's; what is longer ago than
    /// an hour is not known.
    pub fn any(&self, before: i64, seconds: i64) -> bool {
        let Some(newest) = self.newest.map(|ns| ns.div_euclid(NANOS)) else { return false };
        let oldest = (newest - before - seconds + 1).max(newest - KEPT + 1);
        (oldest..=newest - before).any(|second| {
            let place = second.rem_euclid(KEPT) as usize;
            self.bits.get(place / 64).is_some_and(|word| word >> (place % 64) & 1 == 1)
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_says_what_a_set_of_seconds_would(
            runs in proptest::collection::vec((0_u32..3, 0_i64..20_000, proptest::collection::vec(0_i64..3_000_000_000, 1..5)), 1..40),
            asked in proptest::collection::vec((0_i64..5_000, 1_i64..200), 20),
        ) {
            let mut seconds = Seconds::default();
            let (mut known, mut of) = (BTreeSet::new(), [None; 3]);
            for (namespace, from, mut times) in runs {
                times.iter_mut().for_each(|ns| *ns += from * NANOS);
                times.sort_unstable();
                seconds.take(namespace, &times);
                of[namespace as usize] = of[namespace as usize].max(times.last().copied());
                known.extend(times);
            }
            let newest = *known.last().unwrap();
            prop_assert_eq!(seconds.newest(), Some(Timestamp(newest)));
            for (n, own) in of.iter().enumerate() {
                prop_assert_eq!(seconds.newest_of(n as u32), own.map(Timestamp));
            }
            let last = newest.div_euclid(NANOS);
            for (before, long) in asked {
                let is_within = |ns: &i64| {
                    let second = ns.div_euclid(NANOS);
                    second > last - KEPT && second > last - before - long && second <= last - before
                };
                prop_assert_eq!(seconds.any(before, long), known.iter().any(is_within), "{} {}", before, long);
            }
        }
    }
}
