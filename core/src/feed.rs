//! Shows what was published to the detectors and says which namespaces have something new.

mod pod;
mod probed;
mod streams;
mod targets;
mod watched;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use pod::Pod;
use probed::probed;
use serde::{Deserialize, Serialize};
use streams::Streams;
use watched::{Facts, Series};
use whyd_anomaly::pods::{Measure, Owner, Pods};
use whyd_anomaly::{Detectors, Line, LineKey, ProbeKey, SeriesKey, told};
use whyd_buffers::{Level, Published, Scoped, SeriesMeta};
use whyd_correlate::redact::redacted;
use whyd_signals::schema::Anomaly;
use whyd_signals::templates::Template;
use whyd_signals::{Sample, SeriesId, TemplateId, Timestamp};

/// How many anomalies are kept; of the team with the most the oldest go first.
const KEPT: usize = 10_000;
/// The metric whose limit is known from the pod's spec.
const WORKING_SET: &str = "container_memory_working_set_bytes";
const CPU_SECONDS: &str = "container_cpu_usage_seconds_total";

/// What is remembered between batches.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Feed {
    /// Asked again after a start.
    #[serde(skip)]
    series: Series,
    #[serde(skip)]
    streams: Streams,
    pods: Pods,
    anomalies: Kept,
    killed: Vec<Killed>,
    /// By series id, how many kills of it were told.
    told_kills: BTreeMap<u32, f64>,
}

/// A child of a container that the OOM killer took.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Killed {
    pub(crate) namespace: String,
    pub(crate) pod_uid: String,
    pub(crate) container: String,
    pub(crate) at: Timestamp,
    /// How many there were in the container until then.
    pub(crate) kills: u64,
}

/// How long before its first sample a container may have started for all its kills to be new.
const YOUNG: Duration = Duration::from_secs(60);

/// A counter of OOM kills that rose while it was watched, or in a container that is hardly older than its first sample.
/// Asked at each sample until it is told, since the pod may become known later than its samples.
fn killed(id: SeriesId, meta: &SeriesMeta, sample: Sample, scoped: &Scoped) -> Option<Killed> {
    let pod = &scoped.cluster().pod_named(&meta.namespace, &meta.pod)?.object;
    let status = pod.statuses().find(|s| s.name == *meta.container)?;
    let started = status.state.running.as_ref()?.started_at?;
    let samples = scoped.slice(id, started, sample.ts);
    let lowest = samples.iter().map(|s| s.value).fold(sample.value, f64::min);
    let first = samples.first().map_or(sample.ts, |s| s.ts);
    let rose = sample.value > lowest || first.minus(YOUNG) <= started;
    let (pod_uid, container) = (pod.metadata.uid.clone(), status.name.clone());
    let namespace = pod.metadata.namespace.clone();
    rose.then_some(Killed { namespace, pod_uid, container, at: sample.ts, kills: sample.value as u64 })
}

/// So many told counters are kept before those of series that are gone are let go.
const TOLD: usize = 10_000;

/// The anomalies that readers see.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Kept {
    rows: Vec<Arc<Anomaly>>,
    fresh: bool,
    /// How many were let go to make room.
    let_go: u64,
}

impl Kept {
    fn push(&mut self, anomaly: Anomaly) {
        if self.rows.len() >= KEPT {
            self.let_go += told::let_go(&mut self.rows, KEPT / 10);
        }
        self.rows.push(Arc::new(anomaly));
        self.fresh = true;
    }

    fn extend(&mut self, anomalies: impl IntoIterator<Item = Anomaly>) {
        anomalies.into_iter().for_each(|anomaly| self.push(anomaly));
    }
}

impl Feed {
    /// A copy of all but what can be asked again.
    pub(crate) fn held(&self) -> Self {
        let Self { pods, anomalies, killed, told_kills, .. } = self;
        let (pods, anomalies, killed, told_kills) =
            (pods.clone(), anomalies.clone(), killed.clone(), told_kills.clone());
        Self { pods, anomalies, killed, told_kills, ..Self::default() }
    }

    /// Feeds one published batch; gives the namespaces with new samples or lines.
    pub(crate) fn follow(
        &mut self,
        (published, received): (&Published, Timestamp),
        scoped: &Scoped,
        detectors: &mut Detectors,
    ) -> BTreeSet<String> {
        let mut touched = BTreeSet::new();
        let mut namespace: Option<Arc<str>> = None;
        for (id, sample) in published.samples() {
            let Some(watched) = self.series.watched(id, sample.ts, scoped, detectors) else { continue };
            let meta = &watched.meta;
            if watched.counts_kills
                && sample.value > self.told_kills.get(&id.0).copied().unwrap_or(0.0)
                && let Some(found) = killed(id, meta, sample, scoped)
            {
                self.told_kills.insert(id.0, sample.value);
                self.killed.push(found);
            }
            if namespace.as_ref().is_none_or(|last| !Arc::ptr_eq(last, &meta.namespace)) {
                namespace = Some(Arc::clone(&meta.namespace));
                if !meta.namespace.is_empty() && !touched.contains(meta.namespace.as_ref()) {
                    touched.insert(meta.namespace.to_string());
                }
            }
            if let Some(probe) = &watched.probe {
                let key = ProbeKey {
                    id: probe.id,
                    team: &watched.facts.team,
                    namespace: &meta.namespace,
                    pod: &meta.pod,
                    container: &meta.container,
                    metric: &meta.name,
                    kind: &probe.kind,
                };
                let count = (probe.outcome, sample.ts, sample.value);
                self.anomalies.extend(detectors.observe_probe(&key, count, || probed(meta, &probe.kind, scoped)));
            }
            let Some(read) = &watched.read else { continue };
            let key = SeriesKey {
                id,
                team: &watched.facts.team,
                namespace: &meta.namespace,
                pod: &meta.pod,
                container: &meta.container,
                watched: read,
                workload: watched.facts.workload_key,
            };
            let pod = Pod { meta, scoped, scraped_since: watched.scraped_since };
            let value = (sample.ts, sample.value);
            self.anomalies.extend(detectors.observe_sample_of(&key, watched.limit, value, &pod));
            let measure = match (meta.name.as_ref(), watched.limit) {
                (WORKING_SET, Some(limit)) if limit > 0.0 => Measure::MemoryFraction(sample.value / limit),
                (CPU_SECONDS, _) => Measure::CpuSeconds(sample.value),
                _ => continue,
            };
            // A pod's own cgroup has no container, and the stale marker is no measure.
            if meta.container.is_empty() || sample.value.is_nan() {
                continue;
            }
            let owner = owner(&watched.facts, &meta.namespace, &meta.pod, &meta.container);
            if let Some(found) = self.pods.observe(&owner, sample.ts, measure) {
                self.anomalies.push(found);
            }
        }
        self.follow_lines((published, received), scoped, detectors, &mut touched);
        self.series.sweep(scoped);
        if self.told_kills.len() > TOLD {
            self.told_kills.retain(|id, _| scoped.meta(SeriesId(*id)).is_some());
        }
        touched
    }

    /// Stream by stream: what is asked of the cluster and of the detectors' tables is asked once for all its lines.
    fn follow_lines(
        &mut self,
        (published, received): (&Published, Timestamp),
        scoped: &Scoped,
        detectors: &mut Detectors,
        touched: &mut BTreeSet<String>,
    ) {
        for lines in published.lines() {
            let Some(meta) = scoped.stream(lines.id) else { continue };
            let Some((newest, ..)) = lines.iter().last() else { continue };
            if !touched.contains(meta.namespace.as_ref()) {
                touched.insert(meta.namespace.to_string());
            }
            let Some(facts) = self.streams.facts(lines.id, newest, scoped) else { continue };
            let key = LineKey {
                group: facts.workload_key,
                team: &facts.team,
                namespace: &meta.namespace,
                pod: &meta.pod,
                container: &meta.container,
            };
            let owner = owner(facts, &meta.namespace, &meta.pod, &meta.container);
            let is_error = |level| matches!(level, Level::Error | Level::Fatal);
            let each = lines.iter().map(|(ts, level, template)| Line { ts, is_error: is_error(level), template });
            let resolve = |id| resolve(scoped, &meta.namespace, id);
            detectors.observe_lines(&key, received, each.clone(), &resolve, |found| self.anomalies.push(found));
            let told = each.map(|line| (line.ts, line.is_error));
            self.pods.observe_lines(&owner, told, |found| self.anomalies.push(found));
        }
        self.streams.sweep(scoped);
    }

    /// The kills that were seen since the last call.
    pub(crate) fn take_killed(&mut self) -> Vec<Killed> {
        std::mem::take(&mut self.killed)
    }

    /// Forgets pods that are gone.
    pub(crate) fn tick(&mut self, now: Timestamp) {
        self.pods.tick(now);
    }

    /// Measures of pods that there was no room for, taken together.
    pub(crate) fn refused_pods(&self) -> u64 {
        self.pods.refused
    }

    /// Anomalies that were let go, there being too many.
    pub(crate) fn let_go(&self) -> u64 {
        self.anomalies.let_go
    }

    /// All anomalies that are kept.
    pub(crate) fn anomalies(&self) -> Arc<Vec<Arc<Anomaly>>> {
        Arc::new(self.anomalies.rows.clone())
    }

    /// All anomalies that are kept, where there is a new one since the last call.
    pub(crate) fn take_anomalies(&mut self) -> Option<Arc<Vec<Arc<Anomaly>>>> {
        std::mem::take(&mut self.anomalies.fresh).then(|| Arc::new(self.anomalies.rows.clone()))
    }
}

/// The template that a shape stands for by now, its text without secrets: it may be told.
fn resolve(scoped: &Scoped, namespace: &str, id: TemplateId) -> Option<Template> {
    let template = scoped.template(namespace, id)?;
    Some(Template { text: redacted(&template.text), ..template })
}

fn owner<'a>(facts: &'a Facts, namespace: &'a str, pod: &'a str, container: &'a str) -> Owner<'a> {
    let Facts { team, pod_key, workload_key } = facts;
    Owner { pod_key: *pod_key, workload_key: *workload_key, team, namespace, pod, container }
}
