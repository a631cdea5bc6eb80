//! Shows what was published to the detectors and says which namespaces have something new.

mod example;
mod kept;
mod kills;
mod place;
mod pod;
mod probed;
mod probes;
mod streams;
mod targets;
mod watched;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use kept::Kept;
use kills::{Killed, Kills};
use pod::Pod;
use probed::probed;
use probes::Probes;
use serde::{Deserialize, Serialize};
use streams::Streams;
use targets::Targets;
use watched::{Facts, Series};
use whyd_anomaly::calls::Speaker;
use whyd_anomaly::pods::{Measure, Owner};
use whyd_anomaly::{Detectors, Line, LineKey, ProbeKey, SeriesKey};
use whyd_buffers::{Level, Published, Scoped};
use whyd_correlate::redact::redacted;
use whyd_signals::schema::Anomaly;
use whyd_signals::templates::Template;
use whyd_signals::{TemplateId, Timestamp, request};

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
    anomalies: Kept,
    kills: Kills,
    probes: Probes,
    targets: Targets,
}

/// Of values that came before their limit was known, how many are held against it.
const LOOKED_BACK: Duration = Duration::from_secs(600);

impl Feed {
    /// A copy of all but what can be asked again.
    pub(crate) fn held(&self) -> Self {
        let Self { anomalies, kills, probes, targets, series: _, streams: _ } = self;
        let (anomalies, kills) = (anomalies.clone(), kills.clone());
        let (probes, targets) = (probes.clone(), targets.clone());
        Self { anomalies, kills, probes, targets, ..Self::default() }
    }

    /// Feeds one published batch; gives the namespaces with new samples or lines.
    pub(crate) fn follow(
        &mut self,
        (published, received): (&Published, Timestamp),
        scoped: &Scoped,
        detectors: &mut Detectors,
    ) -> BTreeSet<String> {
        detectors.hear(received);
        let mut touched = BTreeSet::new();
        let mut namespace: Option<Arc<str>> = None;
        for (id, sample) in published.samples() {
            let asked = (&*detectors, &mut self.targets);
            let Some((watched, has_new_limit)) = self.series.watched(id, received, scoped, asked) else { continue };
            let meta = &watched.meta;
            if watched.counts_kills {
                self.kills.observe(id, sample.value, || kills::found(id, meta, sample, scoped));
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
                let found = detectors.observe_probe(&key, count, || probed(meta, &probe.kind, scoped));
                let found = found.map(|found| of(&watched.facts, found));
                self.anomalies.extend(found.and_then(|found| self.probes.hold(received, found)));
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
            let pod = Pod { series: (id, sample.ts), meta, scoped, scraped_since: watched.scraped_since };
            if let Some(limit) = watched.limit.filter(|_| has_new_limit) {
                let seen = scoped.slice(id, sample.ts.minus(LOOKED_BACK), sample.ts.minus(Duration::from_nanos(1)));
                let seen = seen.iter().map(|s| (s.ts, s.value));
                let found = detectors.learn_limit(&key, limit, seen, &pod);
                self.anomalies.extend(found.map(|found| of(&watched.facts, found)));
            }
            let value = (sample.ts, sample.value);
            let found = detectors.observe_sample(&key, watched.limit, value, &pod);
            let found = found.map(|found| of(&watched.facts, found));
            self.anomalies
                .extend(found.map(|found| if read.by_name { found } else { place::placed(found, meta, scoped) }));
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
            let found = detectors.observe_pod(&owner, sample.ts.min(received), measure);
            self.anomalies.extend(found.map(|found| of(&watched.facts, found)));
        }
        self.follow_lines((published, received), scoped, detectors, &mut touched);
        self.series.sweep(scoped);
        self.kills.sweep(scoped);
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
            if lines.iter().next().is_none() {
                continue;
            }
            if !touched.contains(meta.namespace.as_ref()) {
                touched.insert(meta.namespace.to_string());
            }
            let Some(facts) = self.streams.facts(lines.id, received, scoped) else { continue };
            let key = LineKey {
                group: facts.workload_key,
                team: &facts.team,
                namespace: &meta.namespace,
                pod: &meta.pod,
                container: &meta.container,
            };
            let owner = owner(facts, &meta.namespace, &meta.pod, &meta.container);
            let is_error = |level| matches!(level, Level::Error | Level::Fatal);
            // What is dated ahead is of now.
            let line = |(ts, level, template): (Timestamp, Level, _)| Line {
                ts: ts.min(received),
                is_error: is_error(level),
                template,
            };
            let each = lines.iter().map(line);
            let resolve = |id| resolve(scoped, &meta.namespace, id);
            detectors.observe_lines(&key, received, each.clone(), &resolve, |found| {
                self.anomalies.push(of(facts, found));
            });
            let told = each.clone().map(|line| (line.ts, line.is_error));
            detectors.observe_pod_lines(&owner, received, told, |found| self.anomalies.push(of(facts, found)));
            let requests = each.zip(lines.texts()).filter_map(|(line, text)| Some((line.ts, request::of(text)?)));
            let mut requests = requests.peekable();
            let started = requests.peek().and_then(|_| started(scoped, &meta.namespace, &meta.pod, &meta.container));
            let speaker = Speaker {
                workload_key: facts.workload_key,
                team: &facts.team,
                namespace: &meta.namespace,
                workload: &facts.workload,
                pod: &meta.pod,
                container: &meta.container,
                started,
            };
            detectors.observe_requests(&speaker, received, requests, |found, request| {
                self.anomalies.push(example::shown_by(found, request, scoped));
            });
        }
        self.streams.sweep(scoped);
    }

    /// The kills that were seen since the last call.
    pub(crate) fn take_killed(&mut self) -> Vec<Killed> {
        self.kills.take()
    }

    /// Tells of probes what was held back until now.
    pub(crate) fn tick(&mut self, now: Timestamp, scoped: impl FnOnce() -> Scoped) {
        if self.probes.is_due(now) {
            self.anomalies.extend(self.probes.release(now, &scoped()));
        }
    }

    /// Notes which of what was told goes on, where it is time to.
    pub(crate) fn go_on(&mut self, now: Timestamp, detectors: &mut Detectors) {
        if self.anomalies.is_due(now) {
            self.anomalies.go_on(now, detectors.take_episodes());
        }
    }

    /// Anomalies that were let go, there being too many.
    pub(crate) fn let_go(&self) -> u64 {
        self.anomalies.let_go
    }

    /// All anomalies that are kept.
    pub(crate) fn anomalies(&self) -> Arc<Vec<Arc<Anomaly>>> {
        self.anomalies.rows()
    }

    /// All anomalies that are kept, where one is not as it was at the last call.
    pub(crate) fn take_anomalies(&mut self) -> Option<Arc<Vec<Arc<Anomaly>>>> {
        self.anomalies.take_fresh()
    }
}

/// Since when a container runs, where the cluster says so.
fn started(scoped: &Scoped, namespace: &str, pod: &str, container: &str) -> Option<Timestamp> {
    let status = &scoped.cluster().namespace(namespace)?.pod_named(pod)?.object.status;
    let of = status.container_statuses.iter().find(|of| of.name == container)?;
    of.state.running.as_ref()?.started_at
}

/// The template that a shape stands for by now, its text without secrets: it may be told.
fn resolve(scoped: &Scoped, namespace: &str, id: TemplateId) -> Option<Template> {
    let template = scoped.template(namespace, id)?;
    Some(Template { text: redacted(&template.text), ..template })
}

/// What was told is this one's.
fn of(facts: &Facts, told: Anomaly) -> Anomaly {
    // What is of no pod is of no workload.
    let workload = if told.pod.is_empty() { String::new() } else { facts.workload.to_string() };
    Anomaly { workload, ..told }
}

fn owner<'a>(facts: &'a Facts, namespace: &'a str, pod: &'a str, container: &'a str) -> Owner<'a> {
    let Facts { team, pod_key, workload_key, .. } = facts;
    Owner { pod_key: *pod_key, workload_key: *workload_key, team, namespace, pod, container }
}
