//! All that is known of one series, found once and asked many times.

use std::sync::Arc;

use whyd_signals::{Sample, SeriesId, Timestamp};

use crate::chunk::{Chunk, Run};
use crate::encoding::Pair;
use crate::scoped::Scoped;
use crate::snapshot::Snapshot;

/// Where the samples of one series lie: its runs in chunks, and the tail that may have more.
///
/// Finding the runs is a search in each chunk of the namespace; who asks for many times of one series keeps this.
pub struct History {
    snapshot: Arc<Snapshot>,
    id: u32,
    namespace: u32,
    /// In the order of sealing: which chunk of the namespace, and the place of the series in it.
    runs: Vec<(u32, u32)>,
}

impl Scoped {
    /// What there is of this series; `None` when there is none of this id or it is another team's.
    pub fn history(&self, id: SeriesId) -> Option<History> {
        let namespace = self.meta(id)?.namespace_id;
        let chunks = self.snapshot.chunks.of(namespace).iter().enumerate();
        let runs = chunks.filter_map(|(n, chunk)| Some((n as u32, chunk.place(id.0)?))).collect();
        Some(History { snapshot: Arc::clone(&self.snapshot), id: id.0, namespace, runs })
    }
}

impl History {
    /// The chunks that have it, in the order of sealing, with its place in each.
    fn sealed(&self) -> impl DoubleEndedIterator<Item = (&Chunk, u32)> {
        let chunks = self.snapshot.chunks.of(self.namespace);
        self.runs.iter().filter_map(|(n, place)| Some((chunks.get(*n as usize)?.as_ref(), *place)))
    }

    /// The newest sample at or before `at`, stale markers included.
    pub fn asof(&self, at: Timestamp) -> Option<Sample> {
        let mut best: Option<Pair> = None;
        // Late rows may lie in newer blocks than earlier ones, so a block is passed over by its times alone.
        let worth = |min: i64, max: i64, best: Option<Pair>| min <= at.0 && best.is_none_or(|b| max > b.0);
        for block in self.snapshot.tail.iter().rev() {
            if worth(block.min_ts, block.max_ts, best) {
                newest(&mut best, block.asof(self.id, at.0));
            }
        }
        for (chunk, place) in self.sealed().rev() {
            if worth(chunk.min_ts, chunk.max_ts, best) {
                newest(&mut best, chunk.run_at(place as usize).and_then(|run| run.asof(at.0)));
            }
        }
        best.map(|pair| self.snapshot.sample(self.id, pair))
    }

    /// Reads where the answer to [`History::asof`] begins. Who asks for many does so for some of them first, so that the memory
    /// of all is waited for together.
    pub fn touch(&self, at: Timestamp) -> u64 {
        let near = self.sealed().filter(|(chunk, _)| chunk.min_ts <= at.0 && at.0 <= chunk.max_ts);
        near.filter_map(|(chunk, place)| chunk.run_at(place as usize)).fold(0, |all, run| all ^ run.touch())
    }

    /// Appends the samples from `from` to `to`, both included, in time order.
    pub fn between(&self, from: Timestamp, to: Timestamp, out: &mut Vec<Sample>) {
        let (from, to, start) = (from.0, to.0, out.len());
        let sample = |pair| self.snapshot.sample(self.id, pair);
        let meets = |min: i64, max: i64| min <= to && max >= from;
        for (chunk, place) in self.sealed().filter(|(c, _)| meets(c.min_ts, c.max_ts)) {
            let run: Option<Run<'_>> = chunk.run_at(place as usize);
            out.extend(run.into_iter().flat_map(|run| run.between(from, to)).map(sample));
        }
        let mut open: Vec<Pair> = Vec::new();
        for block in self.snapshot.tail.iter().filter(|b| meets(b.min_ts, b.max_ts)) {
            open.clear();
            block.collect(self.id, from, to, &mut open);
            out.extend(open.iter().rev().map(|pair| sample(*pair)));
        }
        if let Some(fresh) = out.get_mut(start..)
            && !fresh.is_sorted_by_key(|s| s.ts)
        {
            fresh.sort_unstable_by_key(|s| s.ts);
        }
    }
}

fn newest(best: &mut Option<Pair>, found: Option<Pair>) {
    if found.is_some_and(|f| best.is_none_or(|b| f.0 > b.0)) {
        *best = found;
    }
}
