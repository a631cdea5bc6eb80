//! Right rows laid out by key and time, with the group of each.

use crate::joins::layout::{Layout, Rights};

/// Right rows by the number of their key; those of one key in order of time, those of one time in the order in which they came.
pub(super) struct Laid {
    layout: Layout,
    /// In the order of the layout, as the groups.
    pub(super) times: Vec<i64>,
    pub(super) groups: Vec<u32>,
}

/// Right rows that came in runs, each of one key and in order of time.
#[derive(Default)]
pub(super) struct Runs {
    /// Of each run the key, and where it ends.
    pub(super) runs: Vec<(u32, u32)>,
    pub(super) times: Vec<i64>,
    pub(super) groups: Vec<u32>,
}

impl Runs {
    /// The rows of a run.
    fn rows(&self, run: usize) -> (&[i64], &[u32]) {
        let start = run.checked_sub(1).and_then(|before| self.runs.get(before)).map_or(0, |(_, end)| *end as usize);
        let end = self.runs.get(run).map_or(start, |(_, end)| *end as usize);
        (self.times.get(start..end).unwrap_or_default(), self.groups.get(start..end).unwrap_or_default())
    }
}

impl Laid {
    /// Of rows as they were fetched.
    pub(super) fn of_rows(keys: &[u32], times: &[i64], groups: &[u32], count: usize) -> Self {
        let Rights { layout, times } = Rights::of(keys, times, count);
        let groups = layout.rows.iter().map(|row| groups.get(*row as usize).copied().unwrap_or_default()).collect();
        Self { layout, times, groups }
    }

    /// The same of rows that came in runs, of the keys of one part. Which row each was is not kept.
    pub(super) fn of_runs(all: &[&Runs], count: usize, (part, parts): (usize, usize)) -> Self {
        let keys = |runs: &Runs| -> Vec<u32> { runs.runs.iter().map(|(key, _)| *key).collect() };
        let orders: Vec<Layout> = all.iter().map(|runs| Layout::of(&keys(runs), count)).collect();
        let rows = all.iter().map(|runs| runs.times.len()).sum::<usize>() / parts.max(1);
        let (mut times, mut groups) = (Vec::with_capacity(rows), Vec::with_capacity(rows));
        let mut layout = Layout::empty(count);
        let mut sorted: Vec<(i64, u32)> = Vec::new();
        for key in 0..count {
            let first = times.len();
            let mut is_sorted = true;
            let of_part = if key % parts.max(1) == part { all } else { &[] };
            for (runs, order) in of_part.iter().zip(&orders) {
                for run in order.rows.get(order.range(key)).unwrap_or_default() {
                    let (of_run, groups_of_run) = runs.rows(*run as usize);
                    let last = times.get(first..).and_then(<[i64]>::last);
                    is_sorted &= last.zip(of_run.first()).is_none_or(|(last, next)| last <= next);
                    times.extend_from_slice(of_run);
                    groups.extend_from_slice(groups_of_run);
                }
            }
            layout.ends(key, times.len() as u32);
            if !is_sorted {
                sort(
                    times.get_mut(first..).unwrap_or_default(),
                    groups.get_mut(first..).unwrap_or_default(),
                    &mut sorted,
                );
            }
        }
        Self { layout, times, groups }
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

/// Puts rows of one key in order of time.
fn sort(times: &mut [i64], groups: &mut [u32], sorted: &mut Vec<(i64, u32)>) {
    sorted.clear();
    sorted.extend(times.iter().copied().zip(groups.iter().copied()));
    sorted.sort_by_key(|(ts, _)| *ts);
    for ((time, group), (ts, number)) in times.iter_mut().zip(groups).zip(sorted.iter()) {
        (*time, *group) = (*ts, *number);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Runs are laid out as their rows are, whoever read them and however many lay them out.
        #[test]
        fn runs_as_rows(
            read in proptest::collection::vec((0usize..2, 0u32..5, proptest::collection::vec(0i64..20, 0..6)), 0..20),
            parts in 1usize..4,
        ) {
            // Of one time they come in the order of who read them.
            let mut runs = [Runs::default(), Runs::default()];
            let (mut keys, mut times) = (Vec::new(), Vec::new());
            for reader in 0..2 {
                for (_, key, of_run) in read.iter().filter(|(of, ..)| *of == reader) {
                    let mut of_run = of_run.clone();
                    of_run.sort_unstable();
                    let runs = &mut runs[reader];
                    runs.groups.extend(times.len() as u32..(times.len() + of_run.len()) as u32);
                    times.extend(&of_run);
                    runs.times.extend(of_run);
                    keys.resize(times.len(), *key);
                    runs.runs.push((*key, runs.times.len() as u32));
                }
            }
            let groups: Vec<u32> = (0..times.len() as u32).collect();
            let all = [&runs[0], &runs[1]];
            let rows = Laid::of_rows(&keys, &times, &groups, 6);
            for part in 0..parts {
                let runs = Laid::of_runs(&all, 6, (part, parts));
                for key in (0..6).filter(|key| key % parts == part) {
                    let (of_rows, of_runs) = (rows.range(key), runs.range(key));
                    prop_assert_eq!(&rows.times[of_rows.clone()], &runs.times[of_runs.clone()]);
                    prop_assert_eq!(&rows.groups[of_rows], &runs.groups[of_runs]);
                }
                let own: usize = (0..6).filter(|key| key % parts == part).map(|key| rows.range(key).len()).sum();
                prop_assert_eq!(runs.times.len(), own);
            }
        }
    }
}
