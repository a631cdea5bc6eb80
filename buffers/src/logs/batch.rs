//! Lines of some pushes, stream by stream in time order, immutable: one buffer of text and columns of the rest.

use whyd_signals::TemplateId;

use super::Level;

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

/// A batch. Columns are in the order of (stream, time, arrival).
#[derive(Default)]
pub(crate) struct Batch {
    text: String,
    /// End of each line in `text`.
    ends: Vec<u32>,
    ts: Vec<i64>,
    arrival: Vec<u32>,
    levels: Vec<Level>,
    pub(crate) templates: Vec<TemplateId>,
    /// Each stream and its first row.
    streams: Vec<(u32, u32)>,
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
    /// Lays lines out; they come in any order.
    pub(crate) fn new(mut lines: Vec<Line<'_>>, received: (i64, i64), tier: u8) -> Self {
        lines.sort_unstable_by_key(|l| (l.stream, l.ts, l.arrival));
        let first_arrival = lines.iter().map(|l| l.arrival).min().unwrap_or(0);
        let bounds = lines.iter().fold((i64::MAX, i64::MIN), |(a, b), l| (a.min(l.ts), b.max(l.ts)));
        let mut batch = Self { first_arrival, min_ts: bounds.0, max_ts: bounds.1, received, tier, ..Self::default() };
        batch.text.reserve_exact(lines.iter().map(|l| l.text.len()).sum());
        for column in [&mut batch.ends, &mut batch.arrival] {
            column.reserve_exact(lines.len());
        }
        batch.ts.reserve_exact(lines.len());
        batch.levels.reserve_exact(lines.len());
        batch.templates.reserve_exact(lines.len());
        for line in lines {
            if batch.streams.last().is_none_or(|(stream, _)| *stream != line.stream) {
                batch.streams.push((line.stream, batch.ts.len() as u32));
            }
            batch.text.push_str(line.text);
            batch.ends.push(batch.text.len() as u32);
            batch.ts.push(line.ts);
            batch.arrival.push((line.arrival - first_arrival) as u32);
            batch.levels.push(line.level);
            batch.templates.push(line.template);
        }
        batch
    }

    /// How many lines there are.
    pub(crate) fn len(&self) -> usize {
        self.ts.len()
    }

    /// The streams in it.
    pub(crate) fn streams(&self) -> impl Iterator<Item = u32> {
        self.streams.iter().map(|(stream, _)| *stream)
    }

    fn row(&self, stream: u32, i: usize) -> Option<Line<'_>> {
        let start = i.checked_sub(1).and_then(|before| self.ends.get(before)).map_or(0, |end| *end as usize);
        Some(Line {
            stream,
            ts: *self.ts.get(i)?,
            arrival: self.first_arrival + u64::from(*self.arrival.get(i)?),
            level: *self.levels.get(i)?,
            template: *self.templates.get(i)?,
            text: self.text.get(start..*self.ends.get(i)? as usize)?,
        })
    }

    /// Lines of one stream from `from` to `to`, both included, in order of time.
    pub(crate) fn between(&self, stream: u32, from: i64, to: i64) -> impl DoubleEndedIterator<Item = Line<'_>> {
        let rows = match self.streams.binary_search_by_key(&stream, |(s, _)| *s) {
            Ok(at) => self.rows_of(at),
            Err(_) => 0..0,
        };
        let times = self.ts.get(rows.clone()).unwrap_or_default();
        let first = rows.start + times.partition_point(|ts| *ts < from);
        let end = rows.start + times.partition_point(|ts| *ts <= to);
        (first..end).filter_map(move |i| self.row(stream, i))
    }

    fn rows_of(&self, at: usize) -> std::ops::Range<usize> {
        let start = self.streams.get(at).map_or(0, |(_, row)| *row as usize);
        start..self.streams.get(at + 1).map_or(self.len(), |(_, row)| *row as usize)
    }

    /// All lines, stream by stream.
    pub(crate) fn lines(&self) -> impl Iterator<Item = Line<'_>> {
        let streams = self.streams.iter().enumerate();
        streams.flat_map(|(at, (stream, _))| self.rows_of(at).filter_map(|i| self.row(*stream, i)))
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        size_of::<Self>() + self.text.len() + self.len() * (4 + 8 + 4 + 1 + 8) + self.streams.len() * 8
    }
}
