//! The lines of a batch stream by stream, as they lie.

use whyd_signals::{StreamId, TemplateId};

use super::{Batch, Level, Levels, Run};
use crate::stream_marks::StreamMarks;

/// Runs that are read ahead.
const AHEAD: usize = 16;
/// Bytes that a cache fetches at once.
const CACHED: usize = 64;
/// Bytes of the text of a run that are read ahead.
const TEXT_AHEAD: usize = 1024;

/// Lines of one stream that lie together, in order of time.
pub struct LineRun<'a> {
    batch: &'a Batch,
    stream: u32,
    rows: std::ops::Range<usize>,
}

impl<'a> LineRun<'a> {
    /// Whose lines these are.
    pub fn stream(&self) -> StreamId {
        StreamId(self.stream)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// When each was written, in nanoseconds.
    pub fn times(&self) -> &'a [i64] {
        self.batch.ts.get(self.rows.clone()).unwrap_or_default()
    }

    /// How bad each is.
    pub fn levels(&self) -> &'a [Level] {
        self.batch.levels.get(self.rows.clone()).unwrap_or_default()
    }

    /// The template that each was given when it came; by now it may stand for another.
    pub fn templates(&self) -> &'a [TemplateId] {
        self.batch.templates.get(self.rows.clone()).unwrap_or_default()
    }

    /// The `i`th line.
    pub fn text(&self, i: usize) -> &'a str {
        let row = self.rows.start + i;
        let end = self.batch.ends.get(row).map_or(0, |end| *end as usize);
        self.batch.text.get(self.batch.start(row)..end).unwrap_or_default()
    }
}

impl LineRun<'_> {
    fn touch_columns(&self) -> i64 {
        let (first, batch) = (self.rows.start, self.batch);
        let level = batch.levels.get(first).map_or(0, |level| *level as i64);
        batch.ts.get(first).copied().unwrap_or(0) ^ level ^ batch.ends.get(first).map_or(0, |end| i64::from(*end))
    }

    fn touch_text(&self) -> u8 {
        let end =
            self.rows.end.checked_sub(1).and_then(|last| self.batch.ends.get(last)).map_or(0, |end| *end as usize);
        let text = self.batch.text.as_bytes().get(self.batch.start(self.rows.start)..end).unwrap_or_default();
        text.iter().take(TEXT_AHEAD).step_by(CACHED).fold(0, |all, byte| all ^ byte)
    }
}

/// The same runs, whose memory was waited for together: one after another each waits for its own, which no cache holds.
pub(crate) fn ahead<'a>(
    mut runs: impl Iterator<Item = (u32, LineRun<'a>)>,
) -> impl Iterator<Item = (u32, LineRun<'a>)> {
    let mut waiting: Vec<(u32, LineRun<'a>)> = Vec::with_capacity(AHEAD);
    std::iter::from_fn(move || {
        if waiting.is_empty() {
            waiting.extend(runs.by_ref().take(AHEAD));
            let columns = waiting.iter().fold(0, |all, (_, run)| all ^ run.touch_columns());
            let text = waiting.iter().fold(0, |all, (_, run)| all ^ run.touch_text());
            std::hint::black_box((columns, text));
            waiting.reverse();
        }
        waiting.pop()
    })
}

impl Batch {
    /// What each stream from the run of number `first` on has from the first to the second time, both included, and the run's
    /// number; lines of one of `levels`, where those are.
    pub(crate) fn runs_between<'a>(
        &'a self,
        first: usize,
        range: (i64, i64),
        levels: Option<Levels>,
    ) -> impl Iterator<Item = (usize, LineRun<'a>)> {
        let some = self.runs.iter().enumerate().skip(first);
        let some = some.filter(move |(_, run)| levels.is_none_or(|levels| levels.meets(run.levels)));
        some.filter_map(move |(n, run)| Some((n, self.run_between(run, range)?)))
    }

    /// The same of each marked stream, with its number; of so many parts of the runs, those of that number.
    pub(crate) fn runs_marked<'a>(
        &'a self,
        range: (i64, i64),
        marks: &'a StreamMarks,
        levels: Option<Levels>,
        (part, parts): (usize, usize),
    ) -> impl Iterator<Item = (u32, LineRun<'a>)> {
        let from = |part: usize| self.runs.len() * part / parts.max(1);
        let some = self.runs.get(from(part)..from(part + 1)).unwrap_or_default().iter();
        let some = some.filter(move |run| levels.is_none_or(|levels| levels.meets(run.levels)));
        some.filter_map(move |run| Some((marks.get(run.stream)?, self.run_between(run, range)?)))
    }

    /// The rows of a run from the first to the second time, where there are some.
    fn run_between(&self, run: &Run, (from, to): (i64, i64)) -> Option<LineRun<'_>> {
        let mut rows = run.rows();
        if from > self.min_ts || to < self.max_ts {
            let times = self.ts.get(rows.clone()).unwrap_or_default();
            let (first, end) = (times.partition_point(|ts| *ts < from), times.partition_point(|ts| *ts <= to));
            rows = rows.start + first..rows.start + end;
        }
        (!rows.is_empty()).then_some(LineRun { batch: self, stream: run.stream, rows })
    }
}
