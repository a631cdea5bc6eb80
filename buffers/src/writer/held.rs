//! What the buffers held at one instant: how it is taken without holding up the writer, and taken up again.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use whyd_signals::Team;

use super::Writer;
use crate::alerts;
use crate::chunk::Chunk;
use crate::logs::Batch;
use crate::registry::{HeldIds, Place};
use crate::replicas::Elected;
use crate::seal::Durable;
use crate::snapshot::Snapshot;
use crate::state::Cluster;

/// All that the buffers held at one instant, to be written by another thread. Taking it copies no row and no label.
pub struct Cut {
    pub(crate) snapshot: Arc<Snapshot>,
    /// Rows of generations after the durable ones, up to this one, are in no checkpoint yet.
    pub(crate) generation: u32,
    pub(crate) kept: Durable,
    series: Vec<Place>,
    streams: Vec<Place>,
    small: Small,
}

/// What is copied as it is.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Small {
    series_given: u32,
    series_epoch: u32,
    streams_given: u32,
    streams_epoch: u32,
    previous: u32,
    elected: BTreeMap<Box<str>, Elected>,
    arrivals: u64,
    swept: Option<i64>,
    samples: u64,
    lines: u64,
}

/// The buffers without their samples and lines, as written.
#[derive(Serialize, Deserialize)]
pub(crate) struct Held {
    /// By number.
    namespaces: Vec<Arc<str>>,
    pub(crate) series: HeldIds,
    streams: HeldIds,
    corrections: Vec<((u32, i64), u64)>,
    cluster: Cluster,
    alerts: Vec<alerts::Held>,
    small: Small,
}

impl Cut {
    /// Its number, for [`Writer::keep`] once it is durable.
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// All but the samples and lines.
    pub(crate) fn held(&self) -> Held {
        let (snapshot, small) = (&self.snapshot, &self.small);
        let series = |id| snapshot.series.get(id).map(|meta| Arc::clone(meta.labels.canonical()));
        let streams = |id| snapshot.streams.get(id).map(|meta| Arc::clone(meta.labels.canonical()));
        Held {
            namespaces: snapshot.namespaces.to_vec(),
            series: HeldIds::new(&self.series, series, small.series_given, small.series_epoch),
            streams: HeldIds::new(&self.streams, streams, small.streams_given, small.streams_epoch),
            corrections: snapshot.corrections.iter().map(|(key, bits)| (*key, *bits)).collect(),
            cluster: Cluster::clone(&snapshot.cluster),
            alerts: snapshot.alerts.values().cloned().collect(),
            small: small.clone(),
        }
    }
}

impl std::fmt::Debug for Cut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cut").field("generation", &self.generation).finish_non_exhaustive()
    }
}

impl Held {
    /// The number of the namespace of each series, by its id.
    pub(crate) fn namespace_of(&self) -> impl Fn(u32) -> Option<u32> + use<> {
        let numbers: BTreeMap<&str, u32> = (0..).zip(&self.namespaces).map(|(n, name)| (name.as_ref(), n)).collect();
        let mut of = vec![u32::MAX; self.series.len as usize];
        for (id, key) in self.series.iter() {
            let labels = crate::labels::Labels::from_canonical(Arc::clone(key));
            let number = numbers.get(labels.get("namespace").unwrap_or_default());
            if let Some((place, number)) = of.get_mut(id as usize).zip(number) {
                *place = *number;
            }
        }
        move |id| of.get(id as usize).copied().filter(|n| *n != u32::MAX)
    }
}

/// The samples and lines that were held, all of them in durable checkpoints.
#[derive(Default)]
pub(crate) struct HeldRows {
    /// Each with the number of its namespace.
    pub(crate) chunks: Vec<(u32, Arc<Chunk>)>,
    pub(crate) batches: Vec<Arc<Batch>>,
}

impl HeldRows {
    /// Bytes that they take.
    pub(crate) fn bytes(&self) -> usize {
        let chunks: usize = self.chunks.iter().map(|(_, chunk)| chunk.bytes()).sum();
        chunks + self.batches.iter().map(|batch| batch.bytes()).sum::<usize>()
    }
}

impl Writer {
    /// What is held now; `None` while anything waits to be published. What comes from here on is in the next cut.
    pub fn cut(&mut self) -> Option<Cut> {
        if !self.waiting.is_empty() {
            return None;
        }
        let (series, streams) = (&self.series.registry, &self.logs.streams.registry);
        let small = Small {
            series_given: series.catalog.len(),
            series_epoch: series.epoch,
            streams_given: streams.catalog.len(),
            streams_epoch: streams.epoch,
            previous: self.series.previous(),
            elected: self.replicas.elected(),
            arrivals: self.logs.arrivals(),
            swept: self.swept,
            samples: self.stats.samples,
            lines: self.stats.lines,
        };
        let cut = Cut {
            snapshot: self.snapshot(),
            generation: self.generation,
            kept: self.kept,
            series: series.places(),
            streams: streams.places(),
            small,
        };
        self.kept.cut = self.generation;
        self.generation += 1;
        self.tail.begin_generation(self.generation);
        self.logs.begin_generation(self.generation);
        Some(cut)
    }

    /// The cut of this generation, and with it all that is older, is in a durable checkpoint.
    pub fn keep(&mut self, generation: u32) {
        self.kept.kept = self.kept.kept.max(generation);
    }

    /// Takes up what was held. To be called before anything is written.
    pub(crate) fn resume(&mut self, held: Held, rows: HeldRows) {
        let Held { namespaces, series, streams, corrections, cluster, alerts, small } = held;
        self.namespaces.resume(namespaces);
        self.series.resume(&series, small.previous, &mut self.names, &mut self.namespaces);
        self.logs.streams.resume(&streams, &mut self.names, &mut self.namespaces);
        self.names.commit();
        self.namespaces.commit();
        self.corrections = Arc::new(corrections.into_iter().collect());
        Arc::make_mut(&mut self.cluster).resume(cluster);
        let cluster = &self.cluster;
        let team_of = |name: &str| if name.is_empty() { Team::platform() } else { cluster.team_of(name) };
        self.series.share(team_of);
        self.logs.streams.share(team_of);
        self.alerts.resume(alerts, self.limits.alert_bytes());
        self.replicas.resume(small.elected);
        self.swept = small.swept;
        (self.stats.samples, self.stats.lines) = (small.samples, small.lines);
        for (namespace, chunk) in rows.chunks {
            self.chunks.push(namespace, chunk);
            self.unmerged.insert(namespace);
        }
        self.free_namespaces();
        self.logs.resume(rows.batches, small.arrivals);
        self.learn_templates();
        (self.published_series, self.published_streams) = (series.len, streams.len);
        self.shrink();
        self.changed();
    }

    /// Shows the lines that are held to the templates: their ids are those that they have, and get their text again.
    fn learn_templates(&mut self) {
        let (cluster, templates) = (&self.cluster, &mut self.templates);
        let mut trees = BTreeMap::new();
        for batch in self.logs.batches().iter() {
            for stream in batch.streams() {
                let Some(meta) = self.logs.streams.registry.meta(stream) else { continue };
                let tree = *trees.entry(meta.namespace_id).or_insert_with(|| {
                    let space = &meta.namespace;
                    templates.tree(&if space.is_empty() { Team::platform() } else { cluster.team_of(space) })
                });
                for line in batch.between(stream, i64::MIN, i64::MAX) {
                    templates.template_of(tree, line.text);
                }
            }
        }
    }
}
