//! From the tail into chunks, from small chunks into larger ones, and out when too old or too many.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::chunk::{Builder, Chunk, LastTimes};
use crate::encoding::Pair;
use crate::tail::Visible;

/// How many chunks of one level are merged into one of the next.
const MERGE: usize = 8;

/// Values that won over one stored for the same series and time, until a chunk is written with them.
pub(crate) type Corrections = BTreeMap<(u32, i64), u64>;

/// All chunks, by number of their namespace, each list in the order of sealing.
#[derive(Clone, Default)]
pub(crate) struct Chunks {
    by_namespace: Arc<Vec<Arc<Vec<Arc<Chunk>>>>>,
}

impl Chunks {
    /// The chunks of one namespace, the oldest first.
    pub(crate) fn of(&self, namespace: u32) -> &[Arc<Chunk>] {
        self.by_namespace.get(namespace as usize).map_or(&[], |list| list.as_slice())
    }

    /// All chunks with the number of their namespace.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Arc<Chunk>)> {
        self.by_namespace.iter().enumerate().flat_map(|(n, list)| list.iter().map(move |c| (n as u32, c)))
    }

    /// How many series the fullest chunk of each namespace has, together.
    pub(crate) fn most_series(&self, sees: impl Fn(u32) -> bool) -> usize {
        let lists = self.by_namespace.iter().enumerate().filter(|(n, _)| sees(*n as u32));
        lists.map(|(_, list)| list.iter().map(|c| c.series_count()).max().unwrap_or(0)).sum()
    }

    fn change(&mut self, namespace: u32) -> Option<&mut Vec<Arc<Chunk>>> {
        let lists = Arc::make_mut(&mut self.by_namespace);
        if namespace as usize >= lists.len() {
            lists.resize_with(namespace as usize + 1, Arc::default);
        }
        lists.get_mut(namespace as usize).map(Arc::make_mut)
    }

    /// Adds a chunk.
    pub(crate) fn push(&mut self, namespace: u32, chunk: Arc<Chunk>) {
        if let Some(list) = self.change(namespace) {
            list.push(chunk);
        }
    }

    /// Merges the oldest chunks of this namespace that are of one level and class and span no more than `widest`
    /// nanoseconds; gives how many rows that moved, `None` when there are none to merge.
    pub(crate) fn merge(
        &mut self,
        namespace: u32,
        widest: i64,
        kept: Durable,
        corrections: &mut Corrections,
    ) -> Option<u64> {
        let list = self.of(namespace);
        let (from, level) =
            list.windows(MERGE).enumerate().find_map(|(i, some)| Some((i, mergeable(some, widest, kept)?)))?;
        let merged = merge(list.get(from..from + MERGE)?, level, kept, corrections)?;
        let rows = merged.rows;
        self.change(namespace)?.splice(from..from + MERGE, [merged]);
        Some(rows)
    }

    /// Drops what was received before `horizon`; returns how many rows.
    pub(crate) fn drop_before(&mut self, horizon: i64) -> u64 {
        let old: Vec<u32> = self.iter().filter(|(_, c)| c.received.1 < horizon).map(|(n, _)| n).collect();
        let mut rows = 0;
        for namespace in old {
            if let Some(list) = self.change(namespace) {
                list.retain(|c| {
                    let keep = c.received.1 >= horizon;
                    rows += if keep { 0 } else { c.rows };
                    keep
                });
            }
        }
        rows
    }

    /// Drops the chunk received longest ago; returns its rows and bytes.
    pub(crate) fn drop_oldest(&mut self) -> Option<(u64, usize)> {
        let (namespace, _) = self.iter().min_by_key(|(n, c)| (c.received.1, *n))?;
        let list = self.change(namespace)?;
        let at = list.iter().enumerate().min_by_key(|(_, c)| c.received.1)?.0;
        let chunk = list.remove(at);
        Some((chunk.rows, chunk.bytes()))
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        self.iter().map(|(_, c)| c.bytes()).sum()
    }

    /// Rows held.
    pub(crate) fn rows(&self) -> u64 {
        self.iter().map(|(_, c)| c.rows).sum()
    }
}

fn span(chunks: &[Arc<Chunk>]) -> (i64, i64) {
    chunks.iter().fold((i64::MAX, i64::MIN), |(a, b), c| (a.min(c.received.0), b.max(c.received.1)))
}

/// The last checkpoint that is durable. Rows that it holds and rows that it does not hold never mix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Durable {
    /// The last generation that is in a durable checkpoint.
    pub(crate) kept: u32,
    /// The last one that was cut: its rows are being written as they are.
    pub(crate) cut: u32,
}

impl Durable {
    /// Rows of one class may lie in one chunk.
    pub(crate) fn class(self, generation: u32) -> u32 {
        if self.holds(generation) { 0 } else { generation }
    }

    /// Whether rows of this generation are in a durable checkpoint.
    pub(crate) fn holds(self, generation: u32) -> bool {
        generation <= self.kept
    }

    /// Whether what is changed of rows of this generation will be in the checkpoint that is the first to hold them.
    fn is_open(self, generation: u32) -> bool {
        generation > self.kept.max(self.cut)
    }
}

/// The level that these chunks make together.
fn mergeable(chunks: &[Arc<Chunk>], widest: i64, kept: Durable) -> Option<u8> {
    let (level, class) = chunks.first().map(|c| (c.level, kept.class(c.generation)))?;
    let (from, to) = span(chunks);
    (chunks.iter().all(|c| c.level == level && kept.class(c.generation) == class) && to.saturating_sub(from) <= widest)
        .then_some(level + 1)
}

/// Hands over what these chunks hold of each series, in order of id, the samples in order of their chunks.
pub(crate) fn each_series(chunks: &[Arc<Chunk>], mut each: impl FnMut(u32, &mut Vec<Pair>)) {
    let mut sources: Vec<_> = chunks.iter().map(|c| (c.runs().peekable(), LastTimes::default())).collect();
    let mut samples = Vec::new();
    while let Some(series) = sources.iter_mut().filter_map(|(runs, _)| runs.peek().map(|(id, _)| *id)).min() {
        samples.clear();
        for (runs, times) in &mut sources {
            if let Some((_, run)) = runs.next_if(|(id, _)| *id == series) {
                run.read(times, &mut samples);
            }
        }
        each(series, &mut samples);
    }
}

fn merge(chunks: &[Arc<Chunk>], level: u8, kept: Durable, corrections: &mut Corrections) -> Option<Arc<Chunk>> {
    let generation = chunks.iter().map(|c| c.generation).max()?;
    let done = kept.is_open(generation);
    let mut builder = Builder::default();
    each_series(chunks, |series, samples| {
        settle(series, samples, corrections, done);
        builder.push(series, samples);
    });
    builder.finish(span(chunks), level, generation)
}

fn in_order(samples: &[Pair]) -> bool {
    samples.is_sorted_by(|a, b| a.0 < b.0)
}

/// Brings samples of one series into strict order and applies the corrections to them. They are done with, unless a
/// checkpoint has the samples as they were.
pub(crate) fn settle(series: u32, samples: &mut Vec<Pair>, corrections: &mut Corrections, done: bool) {
    if !in_order(samples) {
        samples.sort_by_key(|(ts, _)| *ts);
        samples.dedup_by(|later, first| {
            let same = later.0 == first.0;
            if same && f64::from_bits(later.1).total_cmp(&f64::from_bits(first.1)).is_gt() {
                first.1 = later.1;
            }
            same
        });
    }
    if corrections.is_empty() {
        return;
    }
    let (Some(first), Some(last)) = (samples.first(), samples.last()) else { return };
    let range = (series, first.0)..=(series, last.0);
    let due: Vec<((u32, i64), u64)> = corrections.range(range).map(|(k, v)| (*k, *v)).collect();
    for (key, bits) in due {
        if let Ok(at) = samples.binary_search_by_key(&key.1, |(ts, _)| *ts)
            && let Some(sample) = samples.get_mut(at)
        {
            sample.1 = bits;
            if done {
                corrections.remove(&key);
            }
        }
    }
}

/// Sorts the rows of these blocks, which are of one generation, by series and makes a chunk of each namespace.
pub(crate) fn chunks_of(
    blocks: &[Visible],
    kept: Durable,
    namespace_of: impl Fn(u32) -> Option<u32>,
    corrections: &mut Corrections,
) -> Vec<(u32, Arc<Chunk>)> {
    let Some(generation) = blocks.iter().map(|b| b.generation).max() else { return Vec::new() };
    let received = blocks.iter().fold((i64::MAX, i64::MIN), |(a, b), s| (a.min(s.received.0), b.max(s.received.1)));
    let done = kept.is_open(generation);
    let ids = blocks.iter().filter_map(Visible::ids).reduce(|a, b| a.start.min(b.start)..a.end.max(b.end));
    let Some(ids) = ids else { return Vec::new() };
    let at = |id: u32| (id - ids.start) as usize;
    let rows = || blocks.iter().flat_map(Visible::scan);
    let mut places = vec![0u32; ids.len()];
    rows().for_each(|(id, ..)| places[at(id)] += 1);
    let order = by_namespace(ids.clone().zip(places.iter().copied()).filter(|(_, rows)| *rows > 0), namespace_of);
    let mut total = 0u32;
    for of in &order {
        places[at(of.id)] = total;
        total += of.rows;
    }
    let mut sorted: Vec<Pair> = vec![(0, 0); total as usize];
    rows().for_each(|(id, ts, bits)| {
        let place = &mut places[at(id)];
        sorted[*place as usize] = (ts, bits);
        *place += 1;
    });
    let (mut out, mut from, mut samples) = (Vec::new(), 0usize, Vec::new());
    for group in order.chunk_by(|a, b| a.namespace == b.namespace) {
        let mut builder = Builder::default();
        for Placed { id, rows, .. } in group {
            let run = &sorted[from..from + *rows as usize];
            from += run.len();
            if corrections.is_empty() && in_order(run) {
                builder.push(*id, run);
                continue;
            }
            samples.clear();
            samples.extend_from_slice(run);
            settle(*id, &mut samples, corrections, done);
            builder.push(*id, &samples);
        }
        let namespace = group.first().map_or(GONE, |of| of.namespace);
        if namespace != GONE
            && let Some(chunk) = builder.finish(received, 0, generation)
        {
            out.push((namespace, chunk));
        }
    }
    out
}

/// Stands for the namespace of a series that is gone meanwhile: it was not written for longer than the window.
const GONE: u32 = u32::MAX;

/// How many rows a series has, and where it belongs.
#[derive(Clone, Copy)]
struct Placed {
    namespace: u32,
    id: u32,
    rows: u32,
}

/// Series by namespace, those of one in the order in which they come, those that are gone last.
fn by_namespace(series: impl Iterator<Item = (u32, u32)>, namespace_of: impl Fn(u32) -> Option<u32>) -> Vec<Placed> {
    let all: Vec<Placed> =
        series.map(|(id, rows)| Placed { namespace: namespace_of(id).unwrap_or(GONE), id, rows }).collect();
    let most = all.iter().map(|of| of.namespace).filter(|namespace| *namespace != GONE).max();
    let last = most.map_or(0, |most| most as usize + 1);
    let mut places = vec![0u32; last + 1];
    all.iter().for_each(|of| places[(of.namespace as usize).min(last)] += 1);
    let mut total = 0;
    for place in &mut places {
        total += std::mem::replace(place, total);
    }
    let mut order = vec![Placed { namespace: GONE, id: 0, rows: 0 }; all.len()];
    for of in all {
        let place = &mut places[(of.namespace as usize).min(last)];
        order[*place as usize] = of;
        *place += 1;
    }
    order
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn chunk(rows: &[(u32, i64, u64)], received: i64) -> Arc<Chunk> {
        chunk_of(rows, received, 1)
    }

    fn chunk_of(rows: &[(u32, i64, u64)], received: i64, generation: u32) -> Arc<Chunk> {
        let mut builder = Builder::default();
        for group in rows.chunk_by(|a, b| a.0 == b.0) {
            builder.push(group[0].0, &group.iter().map(|(_, t, v)| (*t, *v)).collect::<Vec<_>>());
        }
        builder.finish((received, received), 0, generation).unwrap()
    }

    fn rows(c: &Chunk) -> Vec<(u32, i64, u64)> {
        let (mut all, mut times) = (Vec::new(), LastTimes::default());
        for (id, run) in c.runs() {
            let mut samples = Vec::new();
            run.read(&mut times, &mut samples);
            all.extend(samples.into_iter().map(|(t, v)| (id, t, v)));
        }
        all
    }

    #[test]
    fn eight_of_a_level_become_one() {
        let (mut chunks, mut none) = (Chunks::default(), Corrections::new());
        chunks.push(2, chunk(&[(9, 9, 9)], -200));
        for n in 0..8 {
            assert_eq!(chunks.merge(2, 100, Durable::default(), &mut none), None);
            chunks.push(2, chunk(&[(1, n * 10, n as u64), (n as u32 + 5, 0, 9)], n));
        }
        assert_eq!(
            (chunks.merge(2, 100, Durable::default(), &mut none), chunks.merge(2, 100, Durable::default(), &mut none)),
            (Some(16), None)
        );
        let list = chunks.of(2);
        assert_eq!((list.len(), list[1].level, list[1].received), (2, 1, (0, 7)));
        let first = (0..8).map(|n| (1, n * 10, n as u64));
        assert_eq!(rows(&list[1]), first.chain((5..13).map(|id| (id, 0, 9))).collect::<Vec<_>>());
        assert!(chunks.of(0).is_empty() && chunks.of(9).is_empty());
    }

    #[test]
    fn chunks_too_far_apart_stay_apart_and_the_oldest_go_first() {
        let (mut chunks, mut none) = (Chunks::default(), Corrections::new());
        for n in 0..9 {
            chunks.push(0, chunk(&[(1, n, 0)], n * 100));
            assert_eq!(chunks.merge(0, 50, Durable::default(), &mut none), None);
        }
        assert_eq!(chunks.of(0).len(), 9);
        assert_eq!(chunks.drop_before(200), 2);
        assert_eq!(chunks.drop_oldest().map(|(rows, _)| rows), Some(1));
        assert_eq!(chunks.of(0).first().map(|c| c.received.1), Some(300));
    }

    #[test]
    fn what_a_checkpoint_holds_stays_apart_and_is_corrected_for_good() {
        let (mut chunks, kept) = (Chunks::default(), Durable { kept: 1, cut: 1 });
        let mut corrections = Corrections::from([((1, 0), 7), ((1, 30), 8)]);
        let classes = [vec![1; MERGE - 1], vec![2; MERGE - 1], vec![3; MERGE - 1]].concat();
        for (n, generation) in classes.iter().enumerate() {
            chunks.push(0, chunk_of(&[(1, n as i64, 0)], n as i64, *generation));
            assert_eq!(chunks.merge(0, 100, kept, &mut corrections), None, "so many in a row are never of one class");
        }
        for n in 0..MERGE as i64 {
            chunks.push(1, chunk_of(&[(1, n * 10, 0)], n, n as u32 / 2));
        }
        assert_eq!(chunks.merge(1, 100, Durable { kept: 3, cut: 3 }, &mut corrections), Some(MERGE as u64));
        assert_eq!((chunks.of(1).len(), chunks.of(1)[0].generation), (1, 3), "all are in durable checkpoints");
        assert_eq!(
            rows(&chunks.of(1)[0]),
            (0..8).map(|n| (1, n * 10, [7, 0, 0, 8].get(n as usize).copied().unwrap_or(0))).collect::<Vec<_>>()
        );
        assert_eq!(corrections.len(), 2, "the checkpoints have the values as they were");
    }

    #[test]
    fn a_correction_of_what_is_being_written_is_kept() {
        for (cut, left) in [(0, 0), (1, 1)] {
            let (mut chunks, mut corrections) = (Chunks::default(), Corrections::from([((1, 0), 7)]));
            for n in 0..MERGE as i64 {
                chunks.push(0, chunk_of(&[(1, n, 0)], n, 1));
            }
            chunks.merge(0, 100, Durable { kept: 0, cut }, &mut corrections).unwrap();
            assert_eq!((rows(&chunks.of(0)[0])[0], corrections.len()), ((1, 0, 7), left), "cut {cut}");
        }
    }

    #[test]
    fn corrections_and_disorder_are_settled() {
        let mut corrections = Corrections::from([((1, 20), 7), ((1, 99), 8)]);
        let mut samples = vec![(30, 3), (20, 2), (10, 1)];
        settle(1, &mut samples, &mut corrections, true);
        assert_eq!(samples, [(10, 1), (20, 7), (30, 3)]);
        assert_eq!(corrections.len(), 1);
        let mut twice = vec![(10, 1.0f64.to_bits()), (10, 2.0f64.to_bits()), (5, 0)];
        settle(2, &mut twice, &mut corrections, true);
        assert_eq!(twice, [(5, 0), (10, 2.0f64.to_bits())]);
    }
}
