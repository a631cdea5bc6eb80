//! A snapshot as one caller may see it: the kernels `asof` and `slice`, look-ups, log lines and whyd's own rows.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, PoisonError};

use whyd_signals::schema::{Alert, Anomaly, Incident, Restart};
use whyd_signals::templates::Template;
use whyd_signals::{Access, Range, Sample, SeriesId, StreamId, Team, TemplateId, Timestamp};

use crate::logs::{Line, LineRef, LogLine, StreamMeta};
use crate::series_index::SeriesMeta;
use crate::snapshot::Snapshot;
use crate::state::ClusterView;
use crate::stream_marks::StreamMarks;

const UNASKED: u8 = 0;
const SEEN: u8 = 1;
const HIDDEN: u8 = 2;

/// The only thing a table provider, an operator, a route or an error text may hold of the buffers.
///
/// Rows, series, names and counts of other teams are not in it. What has no namespace is the platform's.
#[derive(Clone)]
pub struct Scoped {
    pub(crate) snapshot: Arc<Snapshot>,
    view: ClusterView,
    access: Access,
    /// What is known of each namespace; empty when all may be seen.
    judged: Arc<[AtomicU8]>,
}

impl std::fmt::Debug for Scoped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scoped").field("access", &self.access).finish_non_exhaustive()
    }
}

impl Scoped {
    pub(crate) fn new(snapshot: Arc<Snapshot>, access: &Access) -> Self {
        let namespaces = if *access == Access::All { 0 } else { snapshot.namespaces.len() };
        let judged = (0..namespaces).map(|_| AtomicU8::new(UNASKED)).collect();
        let view = snapshot.cluster.view(access);
        Self { snapshot, view, access: access.clone(), judged }
    }

    /// Who sees it.
    pub fn access(&self) -> &Access {
        &self.access
    }

    /// The cluster's objects.
    pub fn cluster(&self) -> &ClusterView {
        &self.view
    }

    /// The team of a namespace; rows without a namespace are the platform's.
    pub fn team_of(&self, namespace: &str) -> Team {
        if namespace.is_empty() { Team::platform() } else { self.view.team_of(namespace) }
    }

    /// The namespaces that have an object, or that something is sent about, each with its team.
    pub fn namespaces(&self) -> Vec<(Team, String)> {
        let objects = self.view.namespaces().map(|space| space.name.as_str());
        let sent = self.snapshot.namespaces.iter().map(AsRef::as_ref).filter(|name: &&str| !name.is_empty());
        let names: BTreeSet<&str> = objects.chain(sent).collect();
        let all = names.into_iter().map(|name| (self.team_of(name), name.to_owned()));
        all.filter(|(team, _)| self.access.allows(team)).collect()
    }

    /// Whether rows of the namespace of this number may be seen.
    pub(crate) fn sees(&self, namespace: u32) -> bool {
        if self.access == Access::All {
            return true;
        }
        let Some(judged) = self.judged.get(namespace as usize) else { return false };
        match judged.load(Ordering::Relaxed) {
            UNASKED => {
                let name = self.snapshot.namespaces.get(namespace as usize);
                let seen = name.is_some_and(|n| self.access.allows(&self.team_of(n)));
                judged.store(if seen { SEEN } else { HIDDEN }, Ordering::Relaxed);
                seen
            }
            judgement => judgement == SEEN,
        }
    }

    pub(crate) fn sees_named(&self, namespace: &str) -> bool {
        self.access == Access::All || self.access.allows(&self.team_of(namespace))
    }

    /// The series of a metric of a pod, of one container or of all, in id order. A look-up, not a scan.
    pub fn series_of(&self, metric: &str, namespace: &str, pod: &str, container: Option<&str>) -> Vec<SeriesId> {
        if !self.sees_named(namespace) {
            return Vec::new();
        }
        let lookup = self.snapshot.series_lookup.read().unwrap_or_else(PoisonError::into_inner);
        let candidates = lookup.of_pod(metric, namespace, pod).iter().map(|id| SeriesId(*id));
        let fits = |m: &SeriesMeta| {
            *m.name == *metric
                && *m.namespace == *namespace
                && *m.pod == *pod
                && container.is_none_or(|c| *m.container == *c)
        };
        candidates.filter(|id| self.snapshot.series.get(id.0).is_some_and(|m| fits(m))).collect()
    }

    /// All series of a metric, in id order.
    pub fn series_named(&self, metric: &str) -> Vec<SeriesId> {
        let ids = {
            let lookup = self.snapshot.series_lookup.read().unwrap_or_else(PoisonError::into_inner);
            lookup.named(metric).to_vec()
        };
        ids.into_iter().map(SeriesId).filter(|id| self.meta(*id).is_some()).collect()
    }

    /// All series, in id order.
    pub fn all_series(&self) -> impl Iterator<Item = (SeriesId, &SeriesMeta)> {
        let all = self.snapshot.series.iter().map(|(id, meta)| (SeriesId(id), meta.as_ref()));
        all.filter(|(_, meta)| self.sees(meta.namespace_id))
    }

    /// What a series is about; `None` when there is none of this id or it is another team's.
    pub fn meta(&self, id: SeriesId) -> Option<&SeriesMeta> {
        self.shared_meta(id).map(AsRef::as_ref)
    }

    /// The same, to be kept.
    pub fn shared_meta(&self, id: SeriesId) -> Option<&Arc<SeriesMeta>> {
        self.snapshot.series.get(id.0).filter(|m| self.sees(m.namespace_id))
    }

    /// The newest sample at or before `at`, stale markers included.
    pub fn asof(&self, id: SeriesId, at: Timestamp) -> Option<Sample> {
        self.history(id)?.asof(at)
    }

    /// The samples from `from` to `to`, both included, in time order.
    pub fn slice(&self, id: SeriesId, from: Timestamp, to: Timestamp) -> Vec<Sample> {
        let mut samples = Vec::new();
        if let Some(history) = self.history(id) {
            history.between(from, to, &mut samples);
        }
        samples
    }

    fn sealed(&self) -> impl Iterator<Item = &Arc<crate::chunk::Chunk>> {
        self.snapshot.chunks.iter().filter(|(n, _)| self.sees(*n)).map(|(_, chunk)| chunk)
    }

    /// How many samples are sealed, and of how many series at most.
    pub fn sealed_samples(&self) -> (u64, usize) {
        let most = self.snapshot.chunks.most_series(|namespace| self.sees(namespace));
        (self.sealed().map(|chunk| chunk.rows).sum(), most)
    }

    /// How many lines there are; for who sees all alone, since lines of many teams lie together.
    pub fn lines_held(&self) -> Option<usize> {
        (self.access == Access::All).then(|| self.snapshot.batches.iter().map(|b| b.len()).sum())
    }

    /// Whether there is any metric series of this namespace.
    pub fn has_metrics(&self, namespace: &str) -> bool {
        let lookup = self.snapshot.series_lookup.read().unwrap_or_else(PoisonError::into_inner);
        self.sees_named(namespace) && lookup.has_namespace(namespace)
    }

    /// Whether there is any log stream of this namespace.
    pub fn has_logs(&self, namespace: &str) -> bool {
        let lookup = self.snapshot.stream_lookup.read().unwrap_or_else(PoisonError::into_inner);
        self.sees_named(namespace) && lookup.has_namespace(namespace)
    }

    /// Whether a source of metrics could not be asked for some of this time.
    pub fn lacks_metrics(&self, range: Range) -> bool {
        self.snapshot.lacking.metrics.meets(range)
    }

    /// Whether a source of log lines could not be asked for some of this time.
    pub fn lacks_logs(&self, range: Range) -> bool {
        self.snapshot.lacking.logs.meets(range)
    }

    /// The lines of a container from `from` to `to`, both included, in time order, ties in order of arrival.
    /// An empty `container` stands for all of the pod.
    pub fn lines_of(
        &self,
        namespace: &str,
        pod: &str,
        container: &str,
        from: Timestamp,
        to: Timestamp,
    ) -> Vec<LogLine> {
        let mut lines = self.find(namespace, pod, container, from, to);
        lines.sort_unstable_by_key(|l| (l.ts, l.arrival));
        lines.into_iter().filter_map(|l| self.own(l.into())).collect()
    }

    /// The last `n` of the lines that [`Scoped::lines_of`] would return; no other is looked at, however many there are.
    pub fn last_lines_of(
        &self,
        (namespace, pod, container): (&str, &str, &str),
        from: Timestamp,
        to: Timestamp,
        n: usize,
    ) -> Vec<LogLine> {
        let streams = self.streams_of(namespace, pod, container);
        let batches = self.batches_between(from, to);
        let mut lines: Vec<Line<'_>> =
            batches.flat_map(|b| streams.iter().flat_map(move |s| last(b, *s, from, to, n))).collect();
        lines.sort_unstable_by_key(|l| (l.ts, l.arrival));
        let first = lines.len().saturating_sub(n);
        lines.drain(first..).filter_map(|l| self.own(l.into())).collect()
    }

    /// The times of the first and the last line of a pod; `None` where it has none.
    pub fn lines_span(&self, namespace: &str, pod: &str) -> Option<(Timestamp, Timestamp)> {
        let streams = self.streams_of(namespace, pod, "");
        let (from, to) = (Timestamp::MIN, Timestamp::MAX);
        let of_batch = |batch: &crate::logs::Batch| {
            let times = |stream: &u32| {
                let mut lines = batch.between(*stream, from.0, to.0);
                let first = Timestamp(lines.next()?.ts);
                Some((first, lines.next_back().map_or(first, |last| Timestamp(last.ts))))
            };
            streams.iter().filter_map(times).collect::<Vec<_>>()
        };
        let spans = self.batches_between(from, to).flat_map(of_batch);
        spans.reduce(|(first, last), (from, to)| (first.min(from), last.max(to)))
    }

    /// Visits the last of the lines that [`Scoped::lines_of`] would return where they lie, in no particular order: all
    /// of the last `n`, and at most `n` older ones for each batch that they lie in.
    pub fn visit_last_lines(
        &self,
        (namespace, pod, container): (&str, &str, &str),
        from: Timestamp,
        to: Timestamp,
        n: usize,
        mut visit: impl FnMut(LineRef<'_>),
    ) {
        let streams = self.streams_of(namespace, pod, container);
        for batch in self.batches_between(from, to) {
            for stream in &streams {
                last(batch, *stream, from, to, n).for_each(|l| visit(l.into()));
            }
        }
    }

    fn find(&self, namespace: &str, pod: &str, container: &str, from: Timestamp, to: Timestamp) -> Vec<Line<'_>> {
        let streams = self.streams_of(namespace, pod, container);
        let batches = self.batches_between(from, to);
        batches.flat_map(|b| streams.iter().flat_map(move |s| b.between(*s, from.0, to.0))).collect()
    }

    pub(crate) fn batches_between(&self, from: Timestamp, to: Timestamp) -> impl Iterator<Item = &crate::logs::Batch> {
        let batches = self.snapshot.batches.iter().map(AsRef::as_ref);
        batches.filter(move |b| b.min_ts <= to.0 && b.max_ts >= from.0)
    }

    pub(crate) fn streams_of(&self, namespace: &str, pod: &str, container: &str) -> Vec<u32> {
        if !self.sees_named(namespace) {
            return Vec::new();
        }
        let lookup = self.snapshot.stream_lookup.read().unwrap_or_else(PoisonError::into_inner);
        let candidates = lookup.of_pod(namespace, pod).iter().copied();
        let streams = &self.snapshot.streams;
        candidates
            .filter(|id| {
                streams.get(*id).is_some_and(|m| {
                    *m.namespace == *namespace && *m.pod == *pod && (container.is_empty() || *m.container == *container)
                })
            })
            .collect()
    }

    /// All streams, in id order.
    pub fn all_streams(&self) -> impl Iterator<Item = (StreamId, &StreamMeta)> {
        let all = self.snapshot.streams.iter().map(|(id, meta)| (StreamId(id), meta.as_ref()));
        all.filter(|(_, meta)| self.sees(meta.namespace_id))
    }

    /// Numbers of those of these streams that may be seen.
    pub fn mark_streams(&self, some: impl IntoIterator<Item = (StreamId, u32)>) -> StreamMarks {
        StreamMarks::of(self, some.into_iter().filter(|(id, _)| self.stream(*id).is_some()))
    }

    /// What a stream is about; `None` when there is none of this id or it is another team's.
    pub fn stream(&self, id: StreamId) -> Option<&StreamMeta> {
        self.snapshot.streams.get(id.0).map(AsRef::as_ref).filter(|m| self.sees(m.namespace_id))
    }

    /// The template that lines of this namespace with this id belong to by now; `None` where another team's, or where
    /// there was no room for its text.
    pub fn template(&self, namespace: &str, id: TemplateId) -> Option<Template> {
        let team = self.team_of(namespace);
        self.access.allows(&team).then(|| self.snapshot.templates.resolve(&team, id))?
    }

    /// The log templates of all teams that may be seen, team by team.
    pub fn templates(&self) -> Vec<(Team, Template)> {
        let named = self.snapshot.namespaces.iter().map(|name| self.team_of(name));
        let teams: BTreeSet<Team> = named.chain([Team::platform()]).filter(|t| self.access.allows(t)).collect();
        let all = |team: Team| self.snapshot.templates.all(&team).into_iter().map(move |t| (team.clone(), t));
        teams.into_iter().flat_map(all).collect()
    }

    /// An owned line of what [`Scoped::visit_last_lines`] shows; `None` when its stream is another team's or gone.
    pub fn own(&self, line: LineRef<'_>) -> Option<LogLine> {
        let meta = self.stream(line.stream)?;
        Some(LogLine {
            ts: line.ts,
            line: line.line.to_owned(),
            level: line.level,
            template_id: line.template_id,
            namespace: Arc::clone(&meta.namespace),
            pod: Arc::clone(&meta.pod),
            container: Arc::clone(&meta.container),
        })
    }

    /// The ledger.
    pub fn restarts(&self) -> Vec<Arc<Restart>> {
        self.each_restart().map(Arc::clone).collect()
    }

    /// The ledger, one row after the other.
    pub fn each_restart(&self) -> impl Iterator<Item = &Arc<Restart>> {
        self.snapshot.restarts.iter().filter(|r| self.access.allows(&r.team))
    }

    /// The incidents, but for those that another one tells of.
    pub fn incidents(&self) -> Vec<Arc<Incident>> {
        self.each_incident().filter(|i| !i.is_told_by_another(&self.access)).map(Arc::clone).collect()
    }

    /// All incidents, one after the other.
    pub fn each_incident(&self) -> impl Iterator<Item = &Arc<Incident>> {
        self.snapshot.incidents.iter().filter(|i| i.is_seen_by(&self.access))
    }

    /// The alerts that others raised, whoever owns the namespace now; one without is the platform's.
    pub fn each_alert(&self) -> impl Iterator<Item = &Arc<Alert>> {
        self.snapshot.alerts.values().map(|held| &held.alert).filter(|alert| self.sees_named(&alert.namespace))
    }

    /// What the detectors found.
    pub fn anomalies(&self) -> Vec<Arc<Anomaly>> {
        let shown = |told: &Arc<Anomaly>| {
            let team = self.team_of(&told.namespace);
            if told.team == team { Arc::clone(told) } else { Arc::new(Anomaly { team, ..Anomaly::clone(told) }) }
        };
        self.each_anomaly().map(shown).collect()
    }

    /// What the detectors found, one after the other: of namespaces that are the caller's by now, as all else.
    pub fn each_anomaly(&self) -> impl Iterator<Item = &Arc<Anomaly>> {
        self.snapshot.anomalies.iter().filter(|a| self.sees_named(&a.namespace))
    }
}

/// The last `n` lines of a stream in a batch, the newest first.
fn last(
    batch: &crate::logs::Batch,
    stream: u32,
    from: Timestamp,
    to: Timestamp,
    n: usize,
) -> impl Iterator<Item = Line<'_>> {
    batch.between(stream, from.0, to.0).rev().take(n)
}
