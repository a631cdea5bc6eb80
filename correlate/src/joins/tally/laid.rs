//! Right rows laid out by key and time, with the group of each.

use crate::joins::layout::{Layout, Rights};

/// Right rows by the number of their key; those of one key in order of time, those of one time in the order in which they came.
pub(super) struct Laid {
    layout: Layout,
    /// In the order of the layout, as the groups.
    pub(super) times: Vec<i64>,
    pub(super) groups: Vec<u32>,
}

impl Laid {
    /// Of rows as they were fetched.
    pub(super) fn of_rows(keys: &[u32], times: &[i64], groups: &[u32], count: usize) -> Self {
        let Rights { layout, times } = Rights::of(keys, times, count);
        let groups = layout.rows.iter().map(|row| groups.get(*row as usize).copied().unwrap_or_default()).collect();
        Self { layout, times, groups }
    }

    /// The same of rows that came in runs, each of one key and in order of time: of each run the key, and where it ends.
    /// Which row each was is not kept.
    pub(super) fn of_runs(runs: &[(u32, u32)], times: &[i64], groups: &[u32], count: usize) -> Self {
        let keys: Vec<u32> = runs.iter().map(|(key, _)| *key).collect();
        let order = Layout::of(&keys, count);
        let mut laid = Self {
            layout: Layout::empty(count),
            times: Vec::with_capacity(times.len()),
            groups: Vec::with_capacity(groups.len()),
        };
        let mut sorted: Vec<(i64, u32)> = Vec::new();
        for key in 0..count {
            let first = laid.times.len();
            let mut is_sorted = true;
            for run in order.rows.get(order.range(key)).unwrap_or_default() {
                let run = *run as usize;
                let start = run.checked_sub(1).and_then(|before| runs.get(before)).map_or(0, |(_, end)| *end as usize);
                let end = runs.get(run).map_or(start, |(_, end)| *end as usize);
                let (Some(times), Some(groups)) = (times.get(start..end), groups.get(start..end)) else { continue };
                let last = laid.times.get(first..).and_then(<[i64]>::last);
                is_sorted &= last.zip(times.first()).is_none_or(|(last, next)| last <= next);
                laid.times.extend_from_slice(times);
                laid.groups.extend_from_slice(groups);
            }
            laid.layout.ends(key, laid.times.len() as u32);
            if is_sorted {
                continue;
            }
            let (times, groups) = (laid.times.get_mut(first..), laid.groups.get_mut(first..));
            let (times, groups) = (times.unwrap_or_default(), groups.unwrap_or_default());
            sorted.clear();
            sorted.extend(times.iter().copied().zip(groups.iter().copied()));
            sorted.sort_by_key(|(ts, _)| *ts);
            for ((time, group), (ts, number)) in times.iter_mut().zip(groups.iter_mut()).zip(&sorted) {
                (*time, *group) = (*ts, *number);
            }
        }
        laid
    }

    /// Where the rows of a key are.
    pub(super) fn range(&self, key: usize) -> std::ops::Range<usize> {
        self.layout.range(key)
    }

    /// Which rows, as they were fetched, lie in this range.
    pub(super) fn rows(&self, range: std::ops::Range<usize>) -> &[u32] {
        self.layout.rows.get(range).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Runs are laid out as their rows are.
        #[test]
        fn runs_as_rows(runs in proptest::collection::vec((0u32..5, proptest::collection::vec(0i64..20, 0..6)), 0..20)) {
            let (mut keys, mut times, mut ends) = (Vec::new(), Vec::new(), Vec::new());
            for (key, mut of_run) in runs {
                of_run.sort_unstable();
                times.extend(of_run);
                keys.resize(times.len(), key);
                ends.push((key, times.len() as u32));
            }
            let groups: Vec<u32> = (0..times.len() as u32).collect();
            let (rows, runs) = (Laid::of_rows(&keys, &times, &groups, 6), Laid::of_runs(&ends, &times, &groups, 6));
            prop_assert_eq!((&rows.times, &rows.groups), (&runs.times, &runs.groups));
            for key in 0..6 {
                prop_assert_eq!(rows.range(key), runs.range(key));
            }
        }
    }
}
