//! Shows what was published to the detectors and says which namespaces have something new.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::BuildHasher;
use std::hash::BuildHasherDefault;
use std::sync::Arc;
use std::time::Duration;

use whyd_anomaly::{Detectors, Kind, LineKey, SeriesKey};
use whyd_buffers::{Level, Published, Scoped};
use whyd_correlate::case::quantity;
use whyd_signals::schema::Anomaly;
use whyd_signals::{SeriesId, Team, Timestamp};

/// How many anomalies are kept; the oldest go first.
const KEPT: usize = 10_000;
/// The metric whose limit is known from the pod's spec.
const WORKING_SET: &str = "container_memory_working_set_bytes";
/// A limit is looked up again after so long: a new pod of the same name may have another.
const LIMIT_AGE: Duration = Duration::from_secs(60);

/// A watched series with all that a detector asks.
struct Watched {
    kind: Kind,
    team: Team,
    limit: Option<f64>,
    asked: Timestamp,
}

/// What is remembered between batches.
#[derive(Default)]
pub(crate) struct Feed {
    /// By series id; `None`: not watched.
    series: Vec<Option<Option<Watched>>>,
    anomalies: Vec<Arc<Anomaly>>,
    fresh: bool,
}

impl Feed {
    /// Feeds one published batch; gives the namespaces with new samples or lines.
    pub(crate) fn follow(
        &mut self,
        published: &Published,
        scoped: &Scoped,
        detectors: &mut Detectors,
    ) -> BTreeSet<String> {
        let mut touched = BTreeSet::new();
        for (id, sample) in published.samples() {
            let Some(meta) = scoped.meta(id) else { continue };
            let Some(watched) = self.watched(id, sample.ts, scoped, detectors) else { continue };
            if !meta.namespace.is_empty() && !touched.contains(meta.namespace.as_ref()) {
                touched.insert(meta.namespace.to_string());
            }
            let key = SeriesKey {
                id,
                team: &watched.team,
                namespace: &meta.namespace,
                pod: &meta.pod,
                container: &meta.container,
                metric: &meta.name,
                kind: watched.kind,
            };
            if let Some(anomaly) = detectors.observe_sample(&key, watched.limit, sample.ts, sample.value) {
                self.keep(anomaly);
            }
        }
        self.follow_lines(published, scoped, detectors, &mut touched);
        touched
    }

    fn follow_lines(
        &mut self,
        published: &Published,
        scoped: &Scoped,
        detectors: &mut Detectors,
        touched: &mut BTreeSet<String>,
    ) {
        let mut groups: BTreeMap<(Arc<str>, Arc<str>, Arc<str>), (Team, u64)> = BTreeMap::new();
        for line in published.lines() {
            let Some(line) = scoped.own(line) else { continue };
            if !touched.contains(line.namespace.as_ref()) {
                touched.insert(line.namespace.to_string());
            }
            let key = (Arc::clone(&line.namespace), Arc::clone(&line.pod), Arc::clone(&line.container));
            let (team, group) = groups.entry(key).or_insert_with(|| {
                let cluster = scoped.cluster();
                let workload = cluster
                    .pod_named(&line.namespace, &line.pod)
                    .and_then(|p| cluster.namespace(&line.namespace).map(|n| n.workload_of(&p.object)));
                let of = (&line.namespace, workload.unwrap_or_else(|| line.pod.to_string()), &line.container);
                let hasher = BuildHasherDefault::<std::collections::hash_map::DefaultHasher>::default();
                (cluster.team_of(&line.namespace), hasher.hash_one(of))
            });
            let key =
                LineKey { group: *group, team, namespace: &line.namespace, pod: &line.pod, container: &line.container };
            let is_error = matches!(line.level, Level::Error | Level::Fatal);
            if let Some(anomaly) = detectors.observe_line(&key, line.ts, is_error) {
                self.keep(anomaly);
            }
        }
    }

    fn watched(&mut self, id: SeriesId, now: Timestamp, scoped: &Scoped, detectors: &Detectors) -> Option<&Watched> {
        let at = id.0 as usize;
        if self.series.len() <= at {
            self.series.resize_with(at + 1, || None);
        }
        let slot = self.series.get_mut(at)?;
        if slot.is_none() {
            let meta = scoped.meta(id)?;
            *slot = Some(detectors.watches(&meta.name).map(|kind| Watched {
                kind,
                team: scoped.cluster().team_of(&meta.namespace),
                limit: None,
                asked: Timestamp::MIN,
            }));
        }
        let watched = slot.as_mut()?.as_mut()?;
        if now >= watched.asked.plus(LIMIT_AGE) {
            watched.asked = now;
            watched.limit = memory_limit(id, scoped);
            // A namespace's labels may come after its first samples, and change.
            watched.team = scoped.cluster().team_of(&scoped.meta(id)?.namespace);
        }
        Some(watched)
    }

    fn keep(&mut self, anomaly: Anomaly) {
        if self.anomalies.len() >= KEPT {
            self.anomalies.drain(..KEPT / 10);
        }
        self.anomalies.push(Arc::new(anomaly));
        self.fresh = true;
    }

    /// All anomalies that are kept, where there is a new one since the last call.
    pub(crate) fn take_anomalies(&mut self) -> Option<Arc<Vec<Arc<Anomaly>>>> {
        std::mem::take(&mut self.fresh).then(|| Arc::new(self.anomalies.clone()))
    }
}

fn memory_limit(id: SeriesId, scoped: &Scoped) -> Option<f64> {
    let meta = scoped.meta(id).filter(|m| m.name.as_ref() == WORKING_SET)?;
    let pod = scoped.cluster().pod_named(&meta.namespace, &meta.pod)?;
    quantity(pod.object.container(&meta.container)?.resources.limits.get("memory")?)
}
