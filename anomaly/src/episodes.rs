//! Which of what was told goes on: the number of each, and when it was last seen.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use whyd_signals::Timestamp;

use crate::hash::fold;

/// More do not go on at a time: no more anomalies are kept.
const MOST: usize = 10_000;

/// What told of it: the numbers of each are its own.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Of {
    Series = 1,
    Lines,
    Errors,
    Kinds,
    Probe,
    Pod,
    Calls,
}

/// The number of the episode of one series, group of lines, probe, pod or workload.
pub(crate) fn number(of: Of, key: u64) -> u64 {
    fold(key ^ SEED, (of as u64).wrapping_mul(SEED))
}

const SEED: u64 = 0x9e37_79b9_7f4a_7c15;

/// Episodes that went on since they were taken last.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Episodes {
    last: BTreeMap<u64, Timestamp>,
    /// Times that there was no room for one more.
    pub(crate) refused: u64,
}

impl Episodes {
    /// It went on then.
    pub(crate) fn note(&mut self, episode: u64, at: Timestamp) {
        if self.last.len() >= MOST && !self.last.contains_key(&episode) {
            self.refused += 1;
            return;
        }
        let last = self.last.entry(episode).or_insert(at);
        *last = at.max(*last);
    }

    /// Upper bound of the bytes that it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.last.len() * 4 * size_of::<u64>()
    }

    /// Gives what went on since the last time.
    pub(crate) fn take(&mut self) -> BTreeMap<u64, Timestamp> {
        std::mem::take(&mut self.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_time_of_each_counts_and_there_are_so_many() {
        let mut episodes = Episodes::default();
        (0..MOST as u64 + 3).for_each(|n| episodes.note(n, Timestamp(5)));
        episodes.note(7, Timestamp(9));
        episodes.note(8, Timestamp(2));
        let taken = episodes.take();
        assert_eq!((taken.len(), episodes.refused), (MOST, 3));
        assert_eq!((taken[&7], taken[&8]), (Timestamp(9), Timestamp(5)));
        assert!(episodes.take().is_empty());
        assert_ne!(number(Of::Series, 7), number(Of::Probe, 7));
    }
}
