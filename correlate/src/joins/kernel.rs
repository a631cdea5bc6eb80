//! As-of and interval joins as plain functions over a scoped snapshot: a look-up and a binary search a row, no plan.
//!
//! The same answers can be had in SQL over the tables; `tests/sql/twins.rs` holds the two against each other.

use whyd_buffers::{LogLine, Scoped};
use whyd_signals::{Sample, SeriesId, Timestamp};

/// Log lines wanted: of a pod, from a time to a time, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinesOf<'a> {
    /// The pod's namespace.
    pub namespace: &'a str,
    /// The pod's name.
    pub pod: &'a str,
    /// One container; empty for all of the pod.
    pub container: &'a str,
    /// The earliest time.
    pub from: Timestamp,
    /// The latest time.
    pub to: Timestamp,
}

/// The as-of join: for each left row the newest sample of its series at or before its time.
///
/// Every left row is kept, in its place, with at most one match: `None` where the series has no such sample, is
/// unknown or another team's. Stale markers are samples; whether one ends the series is the caller's to say.
pub fn asof(scoped: &Scoped, left: &[(Timestamp, SeriesId)]) -> Vec<Option<Sample>> {
    left.iter().map(|(at, series)| scoped.asof(*series, *at)).collect()
}

/// As-of for a metric of a pod, which may be several series (one a disk, one a CPU): the newest sample of any of
/// them, of equally new ones the largest by `total_cmp`. `container` as in [`Scoped::series_of`].
pub fn asof_newest(
    scoped: &Scoped,
    metric: &str,
    namespace: &str,
    pod: &str,
    container: Option<&str>,
    at: Timestamp,
) -> Option<Sample> {
    let series = scoped.series_of(metric, namespace, pod, container);
    let found = series.into_iter().filter_map(|id| scoped.asof(id, at));
    found.max_by(|a, b| a.ts.cmp(&b.ts).then(a.value.total_cmp(&b.value)))
}

/// The interval join of samples: for each left row (series, from, to) all samples in it, both ends included.
///
/// Pairs of the left row's place and a sample, in the order of the left rows and then of time. A left row without
/// a match is not there.
pub fn slice(scoped: &Scoped, left: &[(SeriesId, Timestamp, Timestamp)]) -> Vec<(usize, Sample)> {
    let mut pairs = Vec::new();
    for (row, (series, from, to)) in left.iter().enumerate() {
        if from <= to {
            pairs.extend(scoped.slice(*series, *from, *to).into_iter().map(|s| (row, s)));
        }
    }
    pairs
}

/// The interval join of log lines, by the same rules as [`slice`]; lines of one time are in order of arrival.
pub fn slice_lines(scoped: &Scoped, left: &[LinesOf<'_>]) -> Vec<(usize, LogLine)> {
    let mut pairs = Vec::new();
    for (row, l) in left.iter().enumerate() {
        if l.from <= l.to {
            let lines = scoped.lines_of(l.namespace, l.pod, l.container, l.from, l.to);
            pairs.extend(lines.into_iter().map(|line| (row, line)));
        }
    }
    pairs
}
