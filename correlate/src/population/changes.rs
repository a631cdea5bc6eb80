//! How far back what was counted may have changed since.

use std::collections::VecDeque;

use whyd_signals::Timestamp;

/// Changes that are kept; of what was before the oldest nothing is known.
const KEPT: usize = 1_024;

/// What the population was at some instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct State(u64);

/// Changes, each with the time from which on it shows. One that reaches as far back as those before it stands for them, so
/// that these times rise.
#[derive(Debug, Clone, Default)]
pub(super) struct Changes {
    last: u64,
    all: VecDeque<(u64, Timestamp)>,
    /// The last that is not kept.
    forgotten: u64,
}

impl Changes {
    /// Something changed that shows from this time on.
    pub(super) fn note(&mut self, from: Timestamp) {
        self.last += 1;
        while self.all.back().is_some_and(|(_, at)| *at >= from) {
            self.all.pop_back();
        }
        self.all.push_back((self.last, from));
        if self.all.len() > KEPT {
            self.forgotten = self.all.pop_front().map_or(self.forgotten, |(n, _)| n);
        }
    }

    pub(super) fn state(&self) -> State {
        State(self.last)
    }

    /// From when on what is counted may be another than it was then.
    pub(super) fn since(&self, then: State) -> Timestamp {
        if then.0 < self.forgotten {
            return Timestamp::MIN;
        }
        let first = self.all.partition_point(|(n, _)| *n <= then.0);
        self.all.get(first).map_or(Timestamp::MAX, |(_, at)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_of_what_came_since_is_told_and_nothing_is_known_of_long_ago() {
        let (mut changes, mut all) = (Changes::default(), Vec::new());
        let mut seed = 3_u64;
        for n in 0..3_000_i64 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let from = Timestamp(n * 10 - (seed >> 33) as i64 % 400);
            changes.note(from);
            all.push(from);
            for back in [0, 1, 7, 300] {
                let then = all.len().saturating_sub(back);
                let wanted = all[then..].iter().min().copied().unwrap_or(Timestamp::MAX);
                assert_eq!(changes.since(State(then as u64)), wanted);
            }
        }
        for n in 0..3_000 {
            changes.note(Timestamp(100_000 + n));
        }
        assert!(changes.all.len() == KEPT && changes.since(State(1)) == Timestamp::MIN);
    }
}
