//! Publishing, sealing and dropping.

use std::ops::Range;
use std::sync::Arc;

use whyd_signals::objects::Object;
use whyd_signals::templates::TreeId;
use whyd_signals::{Sample, SeriesId, StreamId, Team, TemplateId, Timestamp, Verb};

use super::{Mark, StagedObject, Writer};
use crate::logs::{Batch, Level};
use crate::seal;
use crate::state::Applied;
use crate::tail::Block;

/// Rows for each series that make a chunk worth its entries.
const ROWS_PER_SERIES: u64 = 16;
/// Rows below which sealing by number does not start.
const FEW_ROWS: u64 = 1 << 16;
/// Rows that are merged at a time: some 30 ms of work.
const MERGED_ROWS: u64 = 1 << 20;
/// Sweeps for idle series within one window.
const SWEEPS: i64 = 16;

/// What became visible: for the detectors and for who follows the cluster. It holds what it tells of, so the writer
/// is free again.
#[derive(Default)]
pub struct Published {
    /// Changes of the cluster, in order, already applied.
    pub objects: Vec<Applied>,
    rows: Vec<(Arc<Block>, Range<u32>)>,
    batches: Vec<Arc<Batch>>,
}

impl Published {
    /// New samples in order of arrival. Values that won over one stored before are not among them.
    pub fn samples(&self) -> impl Iterator<Item = (SeriesId, Sample)> {
        self.rows
            .iter()
            .flat_map(|(block, range)| block.rows(range.clone()))
            .map(|(series, ts, bits)| (SeriesId(series), Sample { ts: Timestamp(ts), value: f64::from_bits(bits) }))
    }

    /// New log lines, push by push, stream by stream, the lines of a stream in order of time.
    /// [`crate::Scoped::stream`] tells whose they are.
    pub fn lines(&self) -> impl Iterator<Item = StreamLines<'_>> {
        self.batches.iter().flat_map(|b| b.tallies()).map(|t| StreamLines {
            id: StreamId(t.stream),
            text: t.text,
            ends: t.ends,
            ts: t.ts,
            levels: t.levels,
            templates: t.templates,
        })
    }

    /// Whether nothing is new.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty() && self.rows.is_empty() && self.batches.is_empty()
    }
}

/// New lines of one stream, at least one.
#[derive(Debug, Clone, Copy)]
pub struct StreamLines<'a> {
    /// The stream.
    pub id: StreamId,
    text: (&'a str, usize),
    ends: &'a [u32],
    ts: &'a [i64],
    levels: &'a [Level],
    templates: &'a [TemplateId],
}

impl<'a> StreamLines<'a> {
    /// What each line says, in the order of [`StreamLines::iter`].
    pub fn texts(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let (text, mut start) = self.text;
        self.ends.iter().map(move |end| {
            let line = text.get(start..*end as usize).unwrap_or_default();
            start = *end as usize;
            line
        })
    }

    /// When each line was written, how bad it says it is, and the id of its shape.
    pub fn iter(&self) -> impl Iterator<Item = (Timestamp, Level, TemplateId)> + Clone {
        let lines = self.ts.iter().zip(self.levels).zip(self.templates);
        lines.map(|((ts, level), template)| (Timestamp(*ts), *level, *template))
    }
}

impl std::fmt::Debug for Published {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Published").field("objects", &self.objects.len()).finish_non_exhaustive()
    }
}

impl Writer {
    /// Lets readers see everything staged up to this mark: its record is durable.
    pub fn publish(&mut self, mark: Mark) -> Published {
        // First, so that nothing is copied for a snapshot that nobody holds.
        self.changed();
        let mut published = Published { rows: self.tail.publish(mark.rows), ..Published::default() };
        self.published_series = self.published_series.max(mark.series);
        self.published_streams = self.published_streams.max(mark.streams);
        while self.waiting.front().is_some_and(|w| w.number <= mark.number) {
            let Some(waiting) = self.waiting.pop_front() else { break };
            self.stats.samples += waiting.stored;
            if !waiting.corrections.is_empty() {
                Arc::make_mut(&mut self.corrections).extend(waiting.corrections);
            }
            for alert in waiting.alerts {
                let dropped = self.alerts.put(alert, waiting.received, self.limits.alert_bytes());
                *self.stats.dropped.entry("alerts").or_default() += dropped;
            }
            for o in waiting.objects {
                if !self.has_room_for(&o) {
                    *self.stats.dropped.entry("cluster").or_default() += 1;
                    continue;
                }
                let cluster = Arc::make_mut(&mut self.cluster);
                cluster.apply(o.resource, o.verb, o.object.as_ref(), &o.uids, (o.received, o.bytes));
                if let Some(Object::Namespace(namespace)) = &o.object {
                    self.reassign(&namespace.metadata.name);
                }
                let (resource, verb, received, object) = (o.resource, o.verb, o.received, o.object);
                published.objects.push(Applied { resource, verb, received, object });
            }
        }
        let (cluster, templates) = (&self.cluster, &mut self.templates);
        // A tree for each namespace, asked for once.
        let mut trees: Vec<Option<TreeId>> = Vec::new();
        let template = |namespace: u32, name: &dyn Fn() -> Option<Arc<str>>, text: &str| -> TemplateId {
            let known = trees.get(namespace as usize).copied().flatten();
            let tree = known.unwrap_or_else(|| {
                let space = name().unwrap_or_default();
                let tree = templates.tree(&if space.is_empty() { Team::platform() } else { cluster.team_of(&space) });
                if trees.len() <= namespace as usize {
                    trees.resize(namespace as usize + 1, None);
                }
                if let Some(place) = trees.get_mut(namespace as usize) {
                    *place = Some(tree);
                }
                tree
            });
            templates.template_of(tree, text)
        };
        published.batches = self.logs.publish(mark.number, nanos(self.limits.window) / 8, self.kept, template);
        self.stats.lines += published.batches.iter().map(|b| b.len() as u64).sum::<u64>();
        let registry = &self.logs.streams.registry;
        let is_podless = |stream: u32| registry.meta(stream).is_some_and(|meta| meta.pod.is_empty());
        let tallies = published.batches.iter().flat_map(|b| b.tallies());
        self.stats.podless += tallies.filter(|t| is_podless(t.stream)).map(|t| t.ts.len() as u64).sum::<u64>();
        published
    }

    /// Makes room in the cluster's share by letting go of what is over. An object that is new and has none all the same is
    /// not taken: what is known goes on, and what went from it is news.
    fn has_room_for(&mut self, o: &StagedObject) -> bool {
        let most = self.limits.cluster_bytes();
        if self.cluster.bytes() <= most {
            self.cluster_full = false;
            return true;
        }
        if !self.cluster_full {
            let dropped = Arc::make_mut(&mut self.cluster).shed(most / 16 * 15);
            *self.stats.dropped.entry("cluster").or_default() += dropped;
            self.cluster_full = self.cluster.bytes() > most;
        }
        if !self.cluster_full {
            return true;
        }
        // Something that can go will be there after this.
        self.cluster_full = o.verb == Verb::Apply;
        o.verb != Verb::Apply || o.object.as_ref().is_some_and(|object| self.cluster.knows(object))
    }

    /// A namespace may be another team's now, and its series and streams with it.
    fn reassign(&mut self, namespace: &str) {
        let Some(id) = self.namespaces.known(namespace) else { return };
        let team = self.cluster.team_of(namespace);
        self.series.shares.belongs(id, &team);
        self.logs.streams.shares.belongs(id, &team);
    }

    /// Moves old rows of the tail into chunks, merges some, drops what was received before the window or is over the
    /// bytes, and forgets series and objects that are gone. To be called now and then; what is not due costs nothing.
    pub fn seal(&mut self, now: Timestamp) {
        let tail_rows = self.tail.rows();
        let many = tail_rows >= FEW_ROWS.max(ROWS_PER_SERIES * self.series.registry.live() as u64);
        let large = self.tail.bytes() > self.limits.tail_bytes();
        let old = self.tail.oldest().is_some_and(|t| t < now.minus(self.limits.lateness).0);
        if many || large || old {
            self.seal_tail(large || old);
        }
        self.merge();
        let horizon = now.minus(self.limits.window);
        let dropped =
            self.chunks.drop_before(horizon.0) + self.logs.drop_before(horizon.0) + self.alerts.drop_before(horizon);
        if dropped > 0 {
            *self.stats.dropped.entry("window").or_default() += dropped;
            self.forget_corrections();
            self.changed();
        }
        self.shrink();
        self.sweep(now.0, horizon);
    }

    /// Seals what is published; the block that is being filled only when `open` asks for it.
    pub(super) fn seal_tail(&mut self, open: bool) {
        let blocks = self.tail.take(open);
        if blocks.is_empty() {
            return;
        }
        self.changed();
        let registry = &self.series.registry;
        let namespace_of = |id| registry.slot(id).filter(|s| s.key().is_some()).map(|s| s.about.namespace);
        let corrections = Arc::make_mut(&mut self.corrections);
        for alike in blocks.chunk_by(|a, b| self.kept.class(a.generation) == self.kept.class(b.generation)) {
            for (namespace, chunk) in seal::chunks_of(alike, self.kept, namespace_of, corrections) {
                self.chunks.push(namespace, chunk);
                self.unmerged.insert(namespace);
            }
        }
    }

    /// Merges small chunks, no more at a time than a reader or a sender will notice.
    fn merge(&mut self) {
        let widest = nanos(self.limits.window) / 4;
        let mut moved = 0;
        while moved < MERGED_ROWS
            && let Some(namespace) = self.unmerged.first().copied()
        {
            self.changed();
            let merged = self.chunks.merge(namespace, widest, self.kept, Arc::make_mut(&mut self.corrections));
            moved += merged.unwrap_or(0);
            if merged.is_none() {
                self.unmerged.remove(&namespace);
            }
        }
    }

    /// Drops the oldest of whatever is larger, samples or lines, until all fits.
    pub(super) fn shrink(&mut self) {
        let fixed = self.series.bytes() + self.names.bytes() + self.logs.streams.bytes() + self.alerts.bytes();
        let (mut metrics, mut logs) = (self.tail.bytes() + self.chunks.bytes(), self.logs.bytes());
        let mut dropped = 0;
        while fixed + metrics + logs > self.limits.bytes {
            let from_chunks = metrics >= logs;
            let first = if from_chunks { self.chunks.drop_oldest() } else { self.logs.drop_oldest() };
            if let Some((rows, bytes)) = first {
                dropped += rows;
                let owner = if from_chunks { &mut metrics } else { &mut logs };
                *owner = owner.saturating_sub(bytes);
                continue;
            }
            let other = if from_chunks { self.logs.drop_oldest() } else { self.chunks.drop_oldest() };
            let Some((rows, bytes)) = other else { break };
            dropped += rows;
            let owner = if from_chunks { &mut logs } else { &mut metrics };
            *owner = owner.saturating_sub(bytes);
        }
        if dropped > 0 {
            *self.stats.dropped.entry("bytes").or_default() += dropped;
            self.changed();
        }
    }

    /// Forgets corrections of what is older than all that is held.
    fn forget_corrections(&mut self) {
        let tail = self.tail.view();
        let oldest = self.chunks.iter().map(|(_, c)| c.min_ts).chain(tail.iter().map(|b| b.min_ts)).min();
        let gone = |ts: i64| oldest.is_none_or(|oldest| ts < oldest);
        if self.corrections.keys().any(|(_, ts)| gone(*ts)) {
            Arc::make_mut(&mut self.corrections).retain(|(_, ts), _| !gone(*ts));
        }
    }

    /// Frees the numbers of namespaces of which nothing is held.
    pub(super) fn free_namespaces(&mut self) {
        let mut used = vec![false; self.namespaces.names().len()];
        let (series, streams) = (&self.series.registry.catalog, &self.logs.streams.registry.catalog);
        let of_series = series.view(series.len());
        let of_streams = streams.view(streams.len());
        let ids = of_series.iter().map(|(_, meta)| meta.namespace_id);
        let ids = ids.chain(of_streams.iter().map(|(_, meta)| meta.namespace_id));
        for id in ids.chain(self.chunks.iter().map(|(id, _)| id)).chain(self.unmerged.iter().copied()) {
            if let Some(used) = used.get_mut(id as usize) {
                *used = true;
            }
        }
        self.namespaces.sweep(|id| used.get(id as usize).copied().unwrap_or(true));
    }

    /// Forgets series and streams without rows for a window, and objects deleted before it.
    fn sweep(&mut self, now: i64, horizon: Timestamp) {
        let every = (nanos(self.limits.window) / SWEEPS).max(1);
        let due = self.swept.is_none_or(|at| now.saturating_sub(at) >= every);
        // Nothing may be half added while ids are taken away.
        let busy = !self.waiting.is_empty() || self.series.registry.has_fresh();
        if !due || busy || self.logs.streams.registry.has_fresh() {
            return;
        }
        let first = self.swept.is_none();
        self.swept = Some(now);
        if first {
            return;
        }
        // A chunk may span a quarter of the window more than the window.
        let kept = SWEEPS as u32 + SWEEPS as u32 / 4 + 1;
        let oldest = |epoch: u32| epoch.saturating_sub(kept);
        self.series.sweep(oldest(self.series.registry.epoch));
        self.logs.streams.sweep(oldest(self.logs.streams.registry.epoch));
        self.names.sweep();
        self.free_namespaces();
        Arc::make_mut(&mut self.cluster).expire(horizon);
        self.changed();
    }
}

fn nanos(d: std::time::Duration) -> i64 {
    i64::try_from(d.as_nanos()).unwrap_or(i64::MAX)
}
