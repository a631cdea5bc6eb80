//! Sealed samples of one namespace, series by series, immutable.
//!
//! A namespace belongs to one team at a time, so a chunk holds rows of one team only, and of which one is asked when
//! it is read: a namespace that changes its team takes its chunks along.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::encoding::{Pair, timestamps, values};

#[derive(Clone, Copy)]
struct Entry {
    /// First word of its times, which may be those of other series too: what is scraped together has the same.
    times_at: u32,
    /// First word of its values.
    values_at: u32,
    count: u32,
    times: timestamps::Form,
    values: values::Form,
}

/// The samples of some series within some time.
pub(crate) struct Chunk {
    series: Box<[u32]>,
    entries: Box<[Entry]>,
    words: Box<[u64]>,
    pub(crate) min_ts: i64,
    pub(crate) max_ts: i64,
    pub(crate) rows: u64,
    /// Between when its rows were received.
    pub(crate) received: (i64, i64),
    /// How often it was merged.
    pub(crate) level: u8,
    /// The checkpoint that is the first to hold its newest row.
    pub(crate) generation: u32,
}

/// The samples of one series in a chunk.
pub(crate) struct Run<'a> {
    entry: Entry,
    words: &'a [u64],
}

impl<'a> Run<'a> {
    fn times(&self) -> timestamps::Times<'a> {
        self.entry.times.read(&self.words[self.entry.times_at as usize..], self.len())
    }

    fn values(&self) -> &'a [u64] {
        &self.words[self.entry.values_at as usize..]
    }

    /// Reads the first words of times and values.
    pub(crate) fn touch(&self) -> u64 {
        let first = |at: u32| self.words.get(at as usize).copied().unwrap_or(0);
        first(self.entry.times_at) ^ first(self.entry.values_at)
    }

    /// How many samples there are.
    pub(crate) fn len(&self) -> usize {
        self.entry.count as usize
    }

    /// The newest at or before `at`.
    pub(crate) fn asof(&self, at: i64) -> Option<Pair> {
        let times = self.times();
        let i = times.count_upto(at).checked_sub(1)?;
        Some((times.get(i), self.entry.values.get(self.values(), i)))
    }

    /// Those from `from` to `to`, both included, in order.
    pub(crate) fn between(&self, from: i64, to: i64) -> impl Iterator<Item = Pair> + use<'a> {
        let times = self.times();
        let first = from.checked_sub(1).map_or(0, |before| times.count_upto(before));
        let (values, form, end) = (self.values(), self.entry.values, times.count_upto(to));
        (first..end).map(move |i| (times.get(i), form.get(values, i)))
    }

    /// Appends all of them, in order. `times` are those that the series before had in this chunk, since mostly they are the
    /// same.
    pub(crate) fn read(&self, times: &mut LastTimes, out: &mut Vec<Pair>) {
        if times.of != Some((self.entry.times_at, self.entry.count)) {
            times.times.clear();
            self.times().extend(&mut times.times);
            times.of = Some((self.entry.times_at, self.entry.count));
        }
        let first = out.len();
        out.extend(times.times.iter().map(|ts| (*ts, 0)));
        let mut rest = out.get_mut(first..).unwrap_or_default().iter_mut();
        self.entry.values.each(self.values(), self.len(), |value| {
            if let Some(sample) = rest.next() {
                sample.1 = value;
            }
        });
    }
}

/// Times of a chunk that were read last.
#[derive(Default)]
pub(crate) struct LastTimes {
    /// Where they lie, and how many.
    of: Option<(u32, u32)>,
    times: Vec<i64>,
}

impl Chunk {
    /// The place of a series in it.
    pub(crate) fn place(&self, series: u32) -> Option<u32> {
        self.series.binary_search(&series).ok().map(|place| place as u32)
    }

    /// What it holds of the series at this place.
    pub(crate) fn run_at(&self, i: usize) -> Option<Run<'_>> {
        let entry = *self.entries.get(i)?;
        Some(Run { entry, words: &self.words })
    }

    /// How many series it has.
    pub(crate) fn series_count(&self) -> usize {
        self.series.len()
    }

    /// All its series, in id order.
    pub(crate) fn runs(&self) -> impl Iterator<Item = (u32, Run<'_>)> {
        self.series.iter().enumerate().filter_map(|(i, id)| self.run_at(i).map(|run| (*id, run)))
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        size_of::<Self>() + self.words.len() * 8 + self.entries.len() * (size_of::<Entry>() + 4)
    }
}

/// How many of the last distinct columns of times are looked at for one that is the same.
const RECENT: usize = 4;

/// Times as they came, and where and how they are written.
struct Column {
    times: Vec<i64>,
    at: u32,
    form: timestamps::Form,
}

/// Builds a chunk series by series.
#[derive(Default)]
pub(crate) struct Builder {
    recent: VecDeque<Column>,
    series: Vec<u32>,
    entries: Vec<Entry>,
    words: Vec<u64>,
    /// What encoding needs meanwhile.
    room: Vec<i64>,
    range: Option<(i64, i64)>,
    rows: u64,
}

impl Builder {
    /// Adds a series, of a higher id than the one before; its samples rise strictly in time.
    pub(crate) fn push(&mut self, series: u32, samples: &[Pair]) {
        let (Some(first), Some(last)) = (samples.first(), samples.last()) else { return };
        let (times_at, times) = self.times(samples);
        let values_at = self.words.len() as u32;
        let values = values::encode(samples, &mut self.room, &mut self.words);
        self.series.push(series);
        self.entries.push(Entry { times_at, values_at, count: samples.len() as u32, times, values });
        let (min, max) = self.range.unwrap_or((first.0, last.0));
        self.range = Some((min.min(first.0), max.max(last.0)));
        self.rows += samples.len() as u64;
    }

    /// Where the times of these samples are, written now unless a series before had the same.
    fn times(&mut self, samples: &[Pair]) -> (u32, timestamps::Form) {
        let is_same = |column: &&Column| {
            column.times.len() == samples.len() && column.times.iter().zip(samples).all(|(t, (ts, _))| t == ts)
        };
        if let Some(column) = self.recent.iter().rev().find(is_same) {
            return (column.at, column.form);
        }
        let at = self.words.len() as u32;
        let form = timestamps::encode(samples, &mut self.words);
        let mut times = if self.recent.len() < RECENT {
            Vec::new()
        } else {
            self.recent.pop_front().map(|oldest| oldest.times).unwrap_or_default()
        };
        times.clear();
        times.extend(samples.iter().map(|(ts, _)| *ts));
        self.recent.push_back(Column { times, at, form });
        (at, form)
    }

    /// The chunk; `None` when nothing was added.
    pub(crate) fn finish(self, received: (i64, i64), level: u8, generation: u32) -> Option<Arc<Chunk>> {
        let (min_ts, max_ts) = self.range?;
        Some(Arc::new(Chunk {
            series: self.series.into(),
            entries: self.entries.into(),
            words: self.words.into(),
            min_ts,
            max_ts,
            rows: self.rows,
            received,
            level,
            generation,
        }))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn all(run: &Run<'_>) -> Vec<Pair> {
        let mut all = Vec::new();
        run.read(&mut LastTimes::default(), &mut all);
        all
    }

    proptest! {
        #[test]
        fn reads_as_written(
            series in proptest::collection::btree_map(0u32..50, proptest::collection::btree_map(-1000i64..1000, any::<f32>(), 1..30), 1..10),
            ats in proptest::collection::vec(-1100i64..1100, 20),
        ) {
            let mut builder = Builder::default();
            let pairs = |s: &BTreeMap<i64, f32>| s.iter().map(|(t, v)| (*t, f64::from(*v).to_bits())).collect::<Vec<_>>();
            for (id, samples) in &series {
                builder.push(*id, &pairs(samples));
            }
            let chunk = builder.finish((0, 0), 0, 1).unwrap();
            for id in 0..50 {
                let Some(samples) = series.get(&id) else {
                    prop_assert!(chunk.place(id).is_none());
                    continue;
                };
                let (run, samples) = (chunk.run_at(chunk.place(id).unwrap() as usize).unwrap(), pairs(samples));
                prop_assert_eq!(&all(&run), &samples);
                for w in ats.windows(2) {
                    prop_assert_eq!(run.asof(w[0]), samples.iter().copied().rfind(|(t, _)| *t <= w[0]));
                    let expected: Vec<Pair> = samples.iter().copied().filter(|(t, _)| (w[0]..=w[1]).contains(t)).collect();
                    prop_assert_eq!(run.between(w[0], w[1]).collect::<Vec<_>>(), expected);
                }
            }
        }
    }
}
