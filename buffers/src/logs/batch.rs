//! Lines of some pushes, immutable: one buffer of text and columns of the rest.
//!
//! The lines of a stream lie together, in the order of time; the streams lie in any order, so that a push of well-kept
//! streams is a batch as it came, and batches are merged column by column.

use whyd_signals::TemplateId;

use super::{Level, Levels};

mod merge;
mod runs;

pub use runs::LineRun;
pub(crate) use runs::ahead;

/// One line, borrowed from where it lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Line<'a> {
    pub(crate) stream: u32,
    pub(crate) ts: i64,
    /// Its place in the order of arrival.
    pub(crate) arrival: u64,
    pub(crate) level: Level,
    pub(crate) template: TemplateId,
    pub(crate) text: &'a str,
}

/// The rows of one stream.
#[derive(Debug, Clone, Copy)]
struct Run {
    stream: u32,
    first: u32,
    end: u32,
    /// Which levels there are among them.
    levels: Levels,
}

impl Run {
    fn rows(self) -> std::ops::Range<usize> {
        self.first as usize..self.end as usize
    }
}

/// The lines of one stream, column by column.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tally<'a> {
    pub(crate) stream: u32,
    /// The text of the batch, where the first line begins in it, and where each ends.
    pub(crate) text: (&'a str, usize),
    pub(crate) ends: &'a [u32],
    pub(crate) ts: &'a [i64],
    pub(crate) levels: &'a [Level],
    /// None before it is published.
    pub(crate) templates: &'a [TemplateId],
}

/// A batch.
#[derive(Default)]
pub(crate) struct Batch {
    text: String,
    /// End of each line in `text`.
    ends: Vec<u32>,
    ts: Vec<i64>,
    /// Relative to the first.
    arrival: Vec<u32>,
    levels: Vec<Level>,
    templates: Vec<TemplateId>,
    /// In the order of streams.
    runs: Vec<Run>,
    first_arrival: u64,
    pub(crate) min_ts: i64,
    pub(crate) max_ts: i64,
    pub(crate) received: (i64, i64),
    /// How often it was merged.
    pub(crate) tier: u8,
    /// The checkpoint that is the first to hold its newest line.
    pub(crate) generation: u32,
}

impl Batch {
    /// Which line came first, of all that ever came.
    pub(crate) fn first_arrival(&self) -> u64 {
        self.first_arrival
    }

    /// Lines that were laid out before and are read back, in any order.
    pub(crate) fn of_lines(mut lines: Vec<Line<'_>>, received: (i64, i64), tier: u8) -> Self {
        lines.sort_unstable_by_key(|l| (l.stream, l.ts, l.arrival));
        let mut filling = Filling::like((lines.len(), lines.iter().map(|l| l.text.len()).sum()));
        for line in &lines {
            filling.push(line.stream, line.ts, line.level, line.text);
        }
        let first_arrival = lines.iter().map(|l| l.arrival).min().unwrap_or(0);
        let mut batch = filling.finish(first_arrival, received);
        batch.arrival = lines.iter().map(|l| (l.arrival - first_arrival) as u32).collect();
        batch.templates = lines.iter().map(|l| l.template).collect();
        batch.tier = tier;
        batch
    }

    /// How many lines there are.
    pub(crate) fn len(&self) -> usize {
        self.ts.len()
    }

    /// The streams in it.
    pub(crate) fn streams(&self) -> impl Iterator<Item = u32> {
        self.runs.iter().map(|run| run.stream)
    }

    /// Stream by stream, its lines: what they say, when they were written, how bad they are and of which shape.
    pub(crate) fn tallies(&self) -> impl Iterator<Item = Tally<'_>> {
        self.runs.iter().map(|run| Tally {
            stream: run.stream,
            text: (&self.text, self.start(run.first as usize)),
            ends: self.ends.get(run.rows()).unwrap_or_default(),
            ts: self.ts.get(run.rows()).unwrap_or_default(),
            levels: self.levels.get(run.rows()).unwrap_or_default(),
            templates: self.templates.get(run.rows()).unwrap_or_default(),
        })
    }

    fn start(&self, row: usize) -> usize {
        row.checked_sub(1).and_then(|before| self.ends.get(before)).map_or(0, |end| *end as usize)
    }

    fn row(&self, stream: u32, i: usize) -> Option<Line<'_>> {
        Some(Line {
            stream,
            ts: *self.ts.get(i)?,
            arrival: self.first_arrival + u64::from(*self.arrival.get(i)?),
            level: *self.levels.get(i)?,
            template: self.templates.get(i).copied().unwrap_or_default(),
            text: self.text.get(self.start(i)..*self.ends.get(i)? as usize)?,
        })
    }

    /// Lines of one stream from `from` to `to`, both included, in order of time.
    pub(crate) fn between(&self, stream: u32, from: i64, to: i64) -> impl DoubleEndedIterator<Item = Line<'_>> {
        let found = self.runs.binary_search_by_key(&stream, |run| run.stream).ok().and_then(|at| self.runs.get(at));
        let rows = found.map_or(0..0, |run| run.rows());
        let times = self.ts.get(rows.clone()).unwrap_or_default();
        let first = rows.start + times.partition_point(|ts| *ts < from);
        let end = rows.start + times.partition_point(|ts| *ts <= to);
        (first..end).filter_map(move |i| self.row(stream, i))
    }

    /// How many lines of one stream have this time.
    pub(crate) fn count(&self, stream: u32, ts: i64) -> usize {
        let found = self.runs.binary_search_by_key(&stream, |run| run.stream).ok().and_then(|at| self.runs.get(at));
        let times = found.and_then(|run| self.ts.get(run.rows())).unwrap_or_default();
        times.partition_point(|t| *t <= ts) - times.partition_point(|t| *t < ts)
    }

    /// Gives each line its template, asked by stream and text, stream by stream.
    pub(crate) fn set_templates(&mut self, mut template: impl FnMut(u32, &str) -> TemplateId) {
        let mut templates = vec![TemplateId::default(); self.len()];
        for run in &self.runs {
            let mut start = self.start(run.first as usize);
            for i in run.rows() {
                let (Some(end), Some(place)) = (self.ends.get(i), templates.get_mut(i)) else { continue };
                let text = self.text.get(start..*end as usize).unwrap_or_default();
                *place = template(run.stream, text);
                start = *end as usize;
            }
        }
        self.templates = templates;
    }

    /// Copies a row of another batch, which has no templates yet, to the end.
    fn append(&mut self, from: &Self, row: usize) {
        let (Some(end), Some(ts), Some(arrival), Some(level)) =
            (from.ends.get(row), from.ts.get(row), from.arrival.get(row), from.levels.get(row))
        else {
            return;
        };
        self.text.push_str(from.text.get(from.start(row)..*end as usize).unwrap_or_default());
        self.ends.push(self.text.len() as u32);
        self.ts.push(*ts);
        self.arrival.push(*arrival);
        self.levels.push(*level);
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        size_of::<Self>() + self.text.len() + self.len() * (4 + 8 + 4 + 1 + 8) + self.runs.len() * size_of::<Run>()
    }
}

/// A batch in the making: lines as they come.
#[derive(Default)]
pub(crate) struct Filling {
    batch: Batch,
    /// Whether the lines of some stream do not lie together or not in order of time.
    disordered: bool,
}

impl Filling {
    /// As large as the one before and a little more, since pushes are alike.
    pub(crate) fn like(last: (usize, usize)) -> Self {
        let (lines, text) = (last.0 + last.0 / 8, last.1 + last.1 / 8);
        let batch = Batch {
            text: String::with_capacity(text),
            ends: Vec::with_capacity(lines),
            ts: Vec::with_capacity(lines),
            levels: Vec::with_capacity(lines),
            min_ts: i64::MAX,
            max_ts: i64::MIN,
            ..Batch::default()
        };
        Self { batch, disordered: false }
    }

    /// Whether there is no line.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.batch.ts.is_empty()
    }

    /// How many lines and bytes of text there are.
    pub(crate) fn size(&self) -> (usize, usize) {
        (self.batch.len(), self.batch.text.len())
    }

    /// Adds one line.
    #[inline]
    pub(crate) fn push(&mut self, stream: u32, ts: i64, level: Level, text: &str) {
        let batch = &mut self.batch;
        let row = batch.ts.len() as u32;
        match batch.runs.last_mut() {
            Some(run) if run.stream == stream => {
                self.disordered |= batch.ts.last().is_some_and(|last| *last > ts);
                run.end = row + 1;
                run.levels = run.levels.or(level.into());
            }
            _ => batch.runs.push(Run { stream, first: row, end: row + 1, levels: level.into() }),
        }
        batch.text.push_str(text);
        batch.ends.push(batch.text.len() as u32);
        batch.ts.push(ts);
        batch.levels.push(level);
        batch.min_ts = batch.min_ts.min(ts);
        batch.max_ts = batch.max_ts.max(ts);
    }

    /// When the newest line of each stream was written; a stream may come more than once.
    pub(crate) fn newest(&self) -> impl Iterator<Item = (u32, i64)> {
        self.batch.tallies().filter_map(|t| Some((t.stream, *t.ts.iter().max()?)))
    }

    /// The batch, whose lines arrived from `first_arrival` on.
    pub(crate) fn finish(self, first_arrival: u64, received: (i64, i64)) -> Batch {
        let Self { mut batch, mut disordered } = self;
        batch.arrival = (0..batch.ts.len() as u32).collect();
        batch.first_arrival = first_arrival;
        batch.received = received;
        batch.runs.sort_unstable_by_key(|run| (run.stream, run.first));
        disordered |= batch.runs.windows(2).any(|pair| pair[0].stream == pair[1].stream);
        if disordered { in_order(&batch) } else { batch.fitted() }
    }
}

/// The rows of a batch whose runs are repeated or not in order of time, laid out anew.
fn in_order(batch: &Batch) -> Batch {
    let mut rows: Vec<(u32, i64, usize)> =
        batch.runs.iter().flat_map(|run| run.rows().filter_map(|i| Some((run.stream, *batch.ts.get(i)?, i)))).collect();
    rows.sort_unstable();
    let mut ordered = Batch {
        text: String::with_capacity(batch.text.len()),
        first_arrival: batch.first_arrival,
        min_ts: batch.min_ts,
        max_ts: batch.max_ts,
        received: batch.received,
        tier: batch.tier,
        ..Batch::default()
    };
    for (stream, _, i) in rows {
        let (row, levels) = (ordered.ts.len() as u32, batch.levels.get(i).copied().unwrap_or_default().into());
        match ordered.runs.last_mut() {
            Some(run) if run.stream == stream => {
                run.end = row + 1;
                run.levels = run.levels.or(levels);
            }
            _ => ordered.runs.push(Run { stream, first: row, end: row + 1, levels }),
        }
        ordered.append(batch, i);
    }
    ordered.fitted()
}

impl Batch {
    /// Without the room that was kept for more, where that is much.
    fn fitted(mut self) -> Self {
        if self.text.capacity() > self.text.len() / 4 * 5 + 1024 {
            self.text.shrink_to_fit();
            self.ends.shrink_to_fit();
            self.ts.shrink_to_fit();
            self.levels.shrink_to_fit();
        }
        self
    }
}
