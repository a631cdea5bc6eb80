//! Series of which one sample is hard to find by walking, each by its times.

use std::collections::HashMap;

use crate::hash::HashedState;

/// What an entry takes, its place in the table and the slack of that.
const ENTRY: usize = 48;

/// A walk has to pass so many rows before its series is looked up by time from then on.
pub(super) const LONG: usize = 512;

/// Samples of some series by time. Emptied when rows are sealed, and filled again where it is needed.
#[derive(Default)]
pub(super) struct Crowded {
    series: HashMap<u32, HashMap<i64, u64>, HashedState>,
    entries: usize,
}

impl Crowded {
    pub(super) fn knows(&self, series: u32) -> bool {
        !self.series.is_empty() && self.series.contains_key(&series)
    }

    pub(super) fn exact(&self, series: u32, ts: i64) -> Option<u64> {
        self.series.get(&series)?.get(&ts).copied()
    }

    /// Takes up a series with all its rows.
    pub(super) fn fill(&mut self, series: u32, rows: impl Iterator<Item = (i64, u64)>) {
        let times: HashMap<i64, u64> = rows.collect();
        self.entries += times.len();
        self.series.insert(series, times);
    }

    pub(super) fn add(&mut self, series: u32, ts: i64, bits: u64) {
        if self.series.is_empty() {
            return;
        }
        if let Some(times) = self.series.get_mut(&series) {
            self.entries += usize::from(times.insert(ts, bits).is_none());
        }
    }

    pub(super) fn remove(&mut self, series: u32, ts: i64) {
        if let Some(times) = self.series.get_mut(&series) {
            self.entries -= usize::from(times.remove(&ts).is_some());
        }
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(super) fn bytes(&self) -> usize {
        self.entries * ENTRY
    }
}
