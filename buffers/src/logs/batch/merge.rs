//! One batch of several: where each line goes is found first, then every column is copied by itself.

use super::{Batch, Levels, Run};

/// Streams are counted, instead of sorted, where their numbers span no more than so many times their runs.
const SPARSE: usize = 8;

/// Where a line lies.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    batch: u32,
    row: u32,
}

/// What the batches have of one stream.
#[derive(Debug, Clone, Copy)]
struct Stream {
    /// When the last of its lines was written.
    newest: i64,
    /// How many there are; then where the next one goes.
    lines: u32,
    levels: Levels,
}

/// Where all lines go.
struct Layout {
    places: Vec<Place>,
    runs: Vec<Run>,
    /// Whether the lines of each stream are in the order of time.
    in_order: bool,
}

impl Batch {
    /// One batch of several, which come in the order of arrival.
    pub(crate) fn merge(some: &[&Self], received: (i64, i64), tier: u8) -> Self {
        let Layout { mut places, runs, in_order } = Layout::of(some);
        let mut ts = gathered(some, &places, |b| &b.ts);
        for run in runs.iter().filter(|_| !in_order) {
            let (Some(places), Some(ts)) = (places.get_mut(run.rows()), ts.get_mut(run.rows())) else { continue };
            if !ts.is_sorted() {
                let time = |place: &Place| some.get(place.batch as usize).and_then(|b| b.ts.get(place.row as usize));
                places.sort_by_key(time);
                ts.sort_unstable();
            }
        }
        let first_arrival = some.iter().map(|b| b.first_arrival).min().unwrap_or(0);
        let (text, ends) = texts(some, &places);
        Self {
            text,
            ends,
            ts,
            arrival: arrivals(some, &places, first_arrival),
            levels: gathered(some, &places, |b| &b.levels),
            templates: gathered(some, &places, |b| &b.templates),
            runs,
            first_arrival,
            min_ts: some.iter().map(|b| b.min_ts).min().unwrap_or(i64::MAX),
            max_ts: some.iter().map(|b| b.max_ts).max().unwrap_or(i64::MIN),
            received,
            tier,
            generation: some.iter().map(|b| b.generation).max().unwrap_or(0),
        }
    }
}

impl Layout {
    /// Stream by stream, of each the lines in the order of the batches and of their rows.
    fn of(some: &[&Batch]) -> Self {
        // The runs of each batch are in order already.
        let low = some.iter().filter_map(|b| b.runs.first()).map(|run| run.stream).min().unwrap_or(0);
        let high = some.iter().filter_map(|b| b.runs.last()).map(|run| run.stream).max().unwrap_or(0);
        let (count, streams) = (some.iter().map(|b| b.runs.len()).sum(), (high - low) as usize + 1);
        if streams > SPARSE * count { Self::by_sorting(some) } else { Self::by_counting(some, low, streams, count) }
    }

    fn by_sorting(some: &[&Batch]) -> Self {
        let runs = some.iter().zip(0..).flat_map(|(b, n)| b.runs.iter().map(move |run| (*run, n)));
        let mut all: Vec<(Run, u32)> = runs.collect();
        all.sort_by_key(|(run, _)| run.stream);
        let (mut places, mut runs): (Vec<Place>, Vec<Run>) = (Vec::new(), Vec::new());
        for (run, batch) in all {
            let first = places.len() as u32;
            places.extend((run.first..run.end).map(|row| Place { batch, row }));
            let end = places.len() as u32;
            match runs.last_mut().filter(|last| last.stream == run.stream) {
                Some(last) => (last.end, last.levels) = (end, last.levels.or(run.levels)),
                None => runs.push(Run { first, end, ..run }),
            }
        }
        Self { places, runs, in_order: false }
    }

    fn by_counting(some: &[&Batch], low: u32, streams: usize, count: usize) -> Self {
        let none = Stream { newest: i64::MIN, lines: 0, levels: Levels::default() };
        let mut of_streams = vec![none; streams];
        let mut in_order = true;
        for batch in some {
            for run in &batch.runs {
                let Some(stream) = of_streams.get_mut((run.stream - low) as usize) else { continue };
                let time = |row: u32| batch.ts.get(row as usize).copied().unwrap_or(i64::MIN);
                in_order &= time(run.first) >= stream.newest;
                stream.newest = time(run.end - 1);
                stream.lines += run.end - run.first;
                stream.levels = stream.levels.or(run.levels);
            }
        }
        // Each is written, and where it has no line the next one in its place: a guess whether it has would often be wrong.
        let mut runs = vec![Run { stream: 0, first: 0, end: 0, levels: none.levels }; streams.min(count) + 1];
        let (mut kept, mut first) = (0, 0);
        for (of_stream, stream) in of_streams.iter_mut().zip(low..) {
            let end = first + of_stream.lines;
            if let Some(run) = runs.get_mut(kept) {
                *run = Run { stream, first, end, levels: of_stream.levels };
            }
            kept += usize::from(end > first);
            of_stream.lines = std::mem::replace(&mut first, end);
        }
        runs.truncate(kept);
        runs.shrink_to_fit();
        let mut places = vec![Place::default(); first as usize];
        for (batch, n) in some.iter().zip(0..) {
            for run in &batch.runs {
                let Some(stream) = of_streams.get_mut((run.stream - low) as usize) else { continue };
                for row in run.first..run.end {
                    if let Some(place) = places.get_mut(stream.lines as usize) {
                        *place = Place { batch: n, row };
                    }
                    stream.lines += 1;
                }
            }
        }
        Self { places, runs, in_order }
    }
}

/// What a column has at each of these places.
fn gathered<T: Copy + Default>(some: &[&Batch], places: &[Place], column: impl Fn(&Batch) -> &[T]) -> Vec<T> {
    let columns: Vec<&[T]> = some.iter().map(|b| column(b)).collect();
    let at = |place: &Place| columns.get(place.batch as usize).and_then(|c| c.get(place.row as usize));
    places.iter().map(|place| at(place).copied().unwrap_or_default()).collect()
}

/// The arrivals at each of these places, relative to the first of all.
fn arrivals(some: &[&Batch], places: &[Place], first: u64) -> Vec<u32> {
    let columns: Vec<(&[u32], u32)> = some.iter().map(|b| (&*b.arrival, (b.first_arrival - first) as u32)).collect();
    let at = |place: &Place| {
        let (column, later) = columns.get(place.batch as usize)?;
        Some(column.get(place.row as usize)? + later)
    };
    places.iter().map(|place| at(place).unwrap_or_default()).collect()
}

/// The texts at each of these places, one after the other, and where each ends.
fn texts(some: &[&Batch], places: &[Place]) -> (String, Vec<u32>) {
    let sources: Vec<(&str, &[u32])> = some.iter().map(|b| (b.text.as_str(), b.ends.as_slice())).collect();
    let mut text = String::with_capacity(sources.iter().map(|(text, _)| text.len()).sum());
    let mut ends = Vec::with_capacity(places.len());
    for place in places {
        let (of, from) = sources.get(place.batch as usize).copied().unwrap_or_default();
        let row = place.row as usize;
        let start = row.checked_sub(1).and_then(|before| from.get(before)).map_or(0, |end| *end as usize);
        let end = from.get(row).map_or(0, |end| *end as usize);
        text.push_str(of.get(start..end).unwrap_or_default());
        ends.push(text.len() as u32);
    }
    (text, ends)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use whyd_signals::TemplateId;

    use super::super::Filling;
    use super::*;
    use crate::logs::Level;

    proptest::proptest! {
        /// However far apart the numbers of the streams are, and whatever their order of time.
        #[test]
        fn a_merged_batch_has_all_lines_by_stream_and_time(
            pushes in proptest::collection::vec(proptest::collection::vec((0u32..6, 0i64..9, 0usize..4), 1..20), 1..12),
            apart in proptest::prop_oneof![proptest::prelude::Just(1), proptest::prelude::Just(1_000)],
            late: bool,
        ) {
            let levels = [Level::Unknown, Level::Info, Level::Error, Level::Fatal];
            let (mut batches, mut expected, mut arrived) = (Vec::new(), BTreeMap::new(), 100);
            for (n, push) in pushes.iter().enumerate() {
                let (mut filling, first) = (Filling::like((0, 0)), arrived);
                for (stream, ts, level) in push {
                    let (stream, ts) = (7 + stream * apart, if late { *ts } else { ts + 10 * n as i64 });
                    let text = format!("é{arrived}");
                    filling.push(stream, ts, levels[*level], &text);
                    expected.entry(stream).or_insert_with(Vec::new).push((ts, arrived, levels[*level], text));
                    arrived += 1;
                }
                let mut batch = filling.finish(first, (n as i64, n as i64));
                batch.set_templates(|_, text| TemplateId(text.len() as u64));
                batches.push(batch);
            }
            let merged = Batch::merge(&batches.iter().collect::<Vec<_>>(), (0, pushes.len() as i64), 3);
            proptest::prop_assert_eq!(merged.streams().collect::<Vec<_>>(), expected.keys().copied().collect::<Vec<_>>());
            for (run, (stream, mut lines)) in merged.runs.iter().zip(expected) {
                lines.sort_by_key(|(ts, arrival, ..)| (*ts, *arrival));
                let found = merged.between(stream, i64::MIN, i64::MAX);
                let found: Vec<_> = found.map(|l| (l.ts, l.arrival, l.level, l.text.to_owned(), l.template)).collect();
                proptest::prop_assert_eq!(run.levels, lines.iter().map(|(_, _, level, _)| *level).collect());
                let lines = lines.into_iter().map(|(ts, arrival, level, text)| {
                    let template = TemplateId(text.len() as u64);
                    (ts, arrival, level, text, template)
                });
                proptest::prop_assert_eq!(found, lines.collect::<Vec<_>>());
            }
            let times = || batches.iter().flat_map(|b| b.ts.iter().copied());
            proptest::prop_assert_eq!((merged.min_ts, merged.max_ts), (times().min().unwrap(), times().max().unwrap()));
            proptest::prop_assert_eq!((merged.len() as u64, merged.first_arrival, merged.tier), (arrived - 100, 100, 3));
        }
    }
}
