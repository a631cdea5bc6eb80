//! Times as a straight line and what they deviate from it.
//!
//! Scrapes come at even steps with a little jitter, so the deviation takes few bits, and a time is read by itself:
//! `t[i] = base + i * step + deviation[i]`. Since the deviation is bounded, a search starts next to its answer.

use super::{Pair, bits};

const MILLI: i64 = 1_000_000;

/// How the times of one series are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Form {
    /// Bits of a deviation.
    pub(crate) width: u8,
    /// Whether the unit is the millisecond, else the nanosecond.
    pub(crate) millis: bool,
}

/// Words before the deviations: base and step.
const HEAD: usize = 2;

impl Form {
    /// Reads what [`encode`] wrote.
    pub(crate) fn read(self, words: &[u64], count: usize) -> Times<'_> {
        let unit = if self.millis { MILLI } else { 1 };
        Times { base: words[0] as i64, step: words[1], unit, width: self.width, deviations: &words[HEAD..], count }
    }
}

/// Appends the times of these samples, which rise strictly.
pub(crate) fn encode(samples: &[Pair], out: &mut Vec<u64>) -> Form {
    let millis = samples.iter().all(|(t, _)| t % MILLI == 0);
    let width = if millis { encode_in::<MILLI>(samples, out) } else { encode_in::<1>(samples, out) };
    Form { width, millis }
}

fn encode_in<const UNIT: i64>(samples: &[Pair], out: &mut Vec<u64>) -> u8 {
    let first = samples.first().map_or(0, |(t, _)| t / UNIT);
    let last = samples.last().map_or(0, |(t, _)| t / UNIT);
    // A line through the first and the last; none where a time below it would not fit.
    let span = last.checked_sub(first).filter(|span| samples.len() > 1 && first.checked_sub(*span).is_some());
    let step = span.map_or(0, |span| span / (samples.len() as i64 - 1));
    let off = |(i, (t, _)): (usize, &Pair)| (t / UNIT).wrapping_sub((i as i64).wrapping_mul(step));
    let range = |(low, high): (i64, i64), off: i64| (low.min(off), high.max(off));
    let (base, highest) = samples.iter().enumerate().map(off).fold((i64::MAX, i64::MIN), range);
    let (base, highest) = if samples.is_empty() { (0, 0) } else { (base, highest) };
    let width = bits::width_of(highest.wrapping_sub(base) as u64);
    out.extend([base as u64, step as u64]);
    bits::pack(out, width, samples.iter().enumerate().map(|s| off(s).wrapping_sub(base) as u64));
    width
}

/// The times of one series, rising.
pub(crate) struct Times<'a> {
    base: i64,
    step: u64,
    unit: i64,
    width: u8,
    deviations: &'a [u64],
    count: usize,
}

impl Times<'_> {
    fn in_units(&self, i: usize) -> i64 {
        let line = (i as u64).wrapping_mul(self.step).wrapping_add(bits::get(self.deviations, i, self.width));
        self.base.wrapping_add(line as i64)
    }

    /// The time at `i`.
    pub(crate) fn get(&self, i: usize) -> i64 {
        self.in_units(i) * self.unit
    }

    /// Appends all of them.
    pub(crate) fn extend(&self, out: &mut Vec<i64>) {
        bits::each(self.deviations, self.width, self.count, |i, deviation| {
            let line = (i as u64).wrapping_mul(self.step).wrapping_add(deviation);
            out.push(self.base.wrapping_add(line as i64) * self.unit);
        });
    }

    /// How many times are at or before `at`.
    pub(crate) fn count_upto(&self, at: i64) -> usize {
        let at = at.div_euclid(self.unit);
        let (mut low, mut high) = (0, self.count);
        if self.step > 0
            && let Some(ahead) = at.checked_sub(self.base)
        {
            let Ok(ahead) = u64::try_from(ahead) else { return 0 };
            let widest = if self.width == 0 { 0 } else { u64::MAX >> (64 - u32::from(self.width)) };
            let bounds = [Some(ahead), ahead.checked_sub(widest)];
            let [most, least] = bounds.map(|n| n.map_or(0, |n| n / self.step + 1).min(self.count as u64) as usize);
            (low, high) = (least, most);
        }
        while low < high {
            let middle = low + (high - low) / 2;
            if self.in_units(middle) <= at {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn check(times: &[i64]) -> Form {
        let samples: Vec<Pair> = times.iter().map(|t| (*t, 0)).collect();
        let mut words = Vec::new();
        let form = encode(&samples, &mut words);
        let read = form.read(&words, times.len());
        for (i, t) in times.iter().enumerate() {
            assert_eq!(read.get(i), *t);
        }
        let mut all = Vec::new();
        read.extend(&mut all);
        assert_eq!(all, times);
        let around = times.iter().flat_map(|t| [t.saturating_sub(1), *t, t.saturating_add(1)]);
        for at in around.chain([i64::MIN, i64::MAX, 0]) {
            assert_eq!(read.count_upto(at), times.partition_point(|t| *t <= at), "at {at} of {times:?}");
        }
        form
    }

    #[test]
    fn even_steps_take_no_bits() {
        let times: Vec<i64> = (0..240).map(|n| 1_795_341_600_000_000_000 + n * 15_000_000_000).collect();
        assert_eq!(check(&times), Form { width: 0, millis: true });
    }

    #[test]
    fn extremes() {
        check(&[]);
        check(&[5]);
        check(&[i64::MIN, i64::MAX]);
        check(&[i64::MIN, i64::MIN + 1, i64::MIN + 2, 0]);
        check(&[i64::MIN, 0, i64::MAX - 1, i64::MAX]);
        check(&[-3_000_000, -1_000_000, 5_000_000]);
    }

    proptest! {
        #[test]
        fn roundtrip_any(times in proptest::collection::btree_set(any::<i64>(), 0..40)) {
            check(&times.into_iter().collect::<Vec<_>>());
        }

        #[test]
        fn roundtrip_scrapes(start in any::<i32>(), step in 1i64..60_000, jitter in proptest::collection::vec(0i64..5_000, 1..100)) {
            let millis = jitter.iter().enumerate().map(|(i, j)| i64::from(start) + i as i64 * step + j);
            let times: BTreeSet<i64> = millis.map(|ms| ms * MILLI).collect();
            check(&times.into_iter().collect::<Vec<_>>());
        }
    }
}
