//! Stretches of time: of which something is there, or is not.

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// From one instant up to another, which is not in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Range {
    pub from: Timestamp,
    pub to: Timestamp,
}

impl Range {
    /// From the first up to the second.
    pub const fn new(from: Timestamp, to: Timestamp) -> Self {
        Self { from, to }
    }

    /// Whether there is no instant in it.
    pub fn is_empty(self) -> bool {
        self.from >= self.to
    }

    /// Whether the instant is in it.
    pub fn contains(self, at: Timestamp) -> bool {
        self.from <= at && at < self.to
    }
}

/// A set of instants, as the fewest ranges that make it, in order of time.
///
/// How many ranges there are is bounded by [`Ranges::MOST`]: beyond that the oldest are forgotten.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ranges(Vec<Range>);

impl Ranges {
    /// Ranges held at most.
    pub const MOST: usize = 1024;

    /// In order of time; no two touch.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Range> {
        self.0.iter().copied()
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The oldest range.
    pub fn first(&self) -> Option<Range> {
        self.0.first().copied()
    }

    /// The newest range.
    pub fn last(&self) -> Option<Range> {
        self.0.last().copied()
    }

    /// Whether any instant of `range` is in it.
    pub fn meets(&self, range: Range) -> bool {
        let next = self.0.partition_point(|r| r.to <= range.from);
        !range.is_empty() && self.0.get(next).is_some_and(|r| r.from < range.to)
    }

    /// Whether every instant of `range` is in it.
    pub fn has(&self, range: Range) -> bool {
        let next = self.0.partition_point(|r| r.to <= range.from);
        range.is_empty() || self.0.get(next).is_some_and(|r| r.from <= range.from && range.to <= r.to)
    }

    /// Seconds in all.
    pub fn seconds(&self) -> f64 {
        self.0.iter().map(|r| r.to.seconds_since(r.from)).sum()
    }

    /// Adds a range.
    pub fn add(&mut self, range: Range) {
        if range.is_empty() {
            return;
        }
        let first = self.0.partition_point(|r| r.to < range.from);
        let end = first + self.0.iter().skip(first).take_while(|r| r.from <= range.to).count();
        let met = self.0.get(first..end).unwrap_or_default().iter();
        let whole = met.fold(range, |a, r| Range::new(a.from.min(r.from), a.to.max(r.to)));
        self.0.splice(first..end, [whole]);
        if self.0.len() > Self::MOST {
            self.0.remove(0);
        }
    }

    /// Takes a range out.
    pub fn remove(&mut self, range: Range) {
        if range.is_empty() {
            return;
        }
        let cut = |r: Range| [Range::new(r.from, r.to.min(range.from)), Range::new(r.from.max(range.to), r.to)];
        self.0 = self.0.iter().flat_map(|r| cut(*r)).filter(|r| !r.is_empty()).collect();
    }

    /// Takes out all that is in `others`.
    pub fn remove_all(&mut self, others: &Self) {
        others.iter().for_each(|r| self.remove(r));
    }

    /// Forgets what is before `horizon`.
    pub fn forget_before(&mut self, horizon: Timestamp) {
        if self.0.first().is_some_and(|r| r.from < horizon) {
            self.remove(Range::new(Timestamp::MIN, horizon));
        }
    }
}

impl FromIterator<Range> for Ranges {
    fn from_iter<I: IntoIterator<Item = Range>>(ranges: I) -> Self {
        let mut all = Self::default();
        ranges.into_iter().for_each(|r| all.add(r));
        all
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use std::collections::BTreeSet;

    use super::*;

    fn range(from: i64, to: i64) -> Range {
        Range::new(Timestamp(from), Timestamp(to))
    }

    #[test]
    fn it_is_the_set_of_its_instants() {
        // Every short sequence of additions and removals against a set of numbers.
        let steps: Vec<(bool, i64, i64)> = (0..400u64)
            .map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40)
            .map(|n| (n & 3 != 0, (n >> 2 & 31) as i64, (n >> 7 & 31) as i64))
            .collect();
        for start in 0..380 {
            let (mut ranges, mut set) = (Ranges::default(), BTreeSet::new());
            for (add, from, to) in &steps[start..start + 20] {
                if *add {
                    ranges.add(range(*from, *to));
                    set.extend(*from..*to);
                } else {
                    ranges.remove(range(*from, *to));
                    set.retain(|n| !(*from..*to).contains(n));
                }
                let held: Vec<i64> = ranges.iter().flat_map(|r| r.from.0..r.to.0).collect();
                assert_eq!(held, set.iter().copied().collect::<Vec<_>>());
                assert!(ranges.0.windows(2).all(|w| w[0].to < w[1].from), "two touch: {ranges:?}");
                for n in 0..32 {
                    let both = [set.contains(&n), set.contains(&(n + 1))];
                    assert_eq!(ranges.meets(range(n, n + 2)), both[0] || both[1]);
                    assert_eq!(ranges.has(range(n, n + 2)), both[0] && both[1]);
                }
            }
        }
    }

    #[test]
    fn it_is_bounded() {
        let all: Ranges = (0..2000).map(|n| range(n * 10, n * 10 + 5)).collect();
        assert_eq!(all.iter().count(), Ranges::MOST);
        assert_eq!(all.last(), Some(range(19_990, 19_995)));
    }
}
