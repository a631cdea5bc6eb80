//! What the API reads: the newest snapshot and how complete it is.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use whyd_api::alertmanager::{Active, Board};
use whyd_api::dto::{self, MemorySample, MemoryUse};
use whyd_api::{Kind, Metric, PodName, Reader, SeriesSet, SourceStatus, Status, TellsOf, Told, Visit, Wanted};
use whyd_buffers::{Scoped, SeriesMeta, Snapshot, Stats};
use whyd_core::{Core, Counters, Pulls};
use whyd_correlate::redact::redact;
use whyd_correlate::{changes, cohorts};
use whyd_signals::schema::{Alert, Anomaly, Change, Incident, Restart, Shared};
use whyd_signals::{Access, Ranges, Resource, Sample, SeriesId, Timestamp};

use crate::checkpointing::CheckpointsShown;
use crate::detection::DetectionShown;
use crate::doors::Doors;
use crate::log_health::LogShown;
use crate::pull_health::PullHealth;
use crate::suspects::Most;
use crate::watches::Watches;
use crate::{process, report, suspects};

/// What the driver publishes after each step that changed something.
#[derive(Clone)]
pub struct Shown {
    /// The data.
    pub snapshot: Arc<Snapshot>,
    /// What the core counted.
    pub counters: Counters,
    /// The buffers' figures.
    pub stats: Stats,
    /// Verdicts reached, ledger rows dropped.
    pub ledger: (u64, u64),
    /// The detectors.
    pub detection: DetectionShown,
    /// Bytes of what is known of symbols, and how often it was forgotten.
    pub symbols: (usize, u64),
    /// The log's figures and how it fares.
    pub log: LogShown,
    /// The checkpoints' figures.
    pub checkpoints: CheckpointsShown,
}

impl Shown {
    /// What this core shows now.
    pub fn of(core: &Core, log: LogShown) -> Self {
        Self {
            snapshot: core.snapshot(),
            counters: core.counters().clone(),
            stats: core.stats(),
            ledger: core.ledger_counts(),
            detection: DetectionShown::of(core),
            symbols: core.symbols(),
            log,
            checkpoints: CheckpointsShown::default(),
        }
    }

    /// The same with how the checkpoints fare.
    #[must_use]
    pub fn with_checkpoints(self, checkpoints: CheckpointsShown) -> Self {
        Self { checkpoints, ..self }
    }
}

/// Shared by the driver, which replaces it, and the routes, which read it.
pub struct View {
    shown: RwLock<Arc<Shown>>,
    replayed: AtomicBool,
    stopping: AtomicBool,
    alerts: Arc<Board>,
    watches: Option<Watches>,
    pulled: Option<PullHealth>,
    doors: Option<Doors>,
    /// No cluster is watched.
    without_cluster: bool,
}

impl View {
    /// A view of this, not ready yet.
    pub fn new(shown: Shown) -> Self {
        Self {
            shown: RwLock::new(Arc::new(shown)),
            replayed: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            alerts: Arc::default(),
            watches: None,
            pulled: None,
            doors: None,
            without_cluster: false,
        }
    }

    /// The same view with the alerts that this board shows.
    #[must_use]
    pub fn with_alerts(self, alerts: Arc<Board>) -> Self {
        Self { alerts, ..self }
    }

    /// The same view with what these doors count.
    #[must_use]
    pub fn with_doors(self, doors: Doors) -> Self {
        Self { doors: Some(doors), ..self }
    }

    /// The same view with how these watches fare.
    #[must_use]
    pub fn with_watches(self, watches: Watches) -> Self {
        Self { watches: Some(watches), ..self }
    }

    /// The same view where no cluster is watched: one source that is not there, and not one for each resource.
    #[must_use]
    pub fn without_cluster(self) -> Self {
        Self { without_cluster: true, ..self }
    }

    /// The same view with how these sources fare.
    #[must_use]
    pub fn with_pulls(self, pulled: PullHealth) -> Self {
        Self { pulled: Some(pulled), ..self }
    }

    /// What was had of the sources that are asked.
    pub fn pulls(&self) -> Arc<Pulls> {
        Arc::clone(&self.now().counters.pulls)
    }

    /// When metrics were pushed.
    pub fn metrics_pushed(&self) -> Ranges {
        self.now().counters.pushed.clone()
    }

    /// Whether the cluster's pods and nodes were listed since the start: until then, absence means nothing.
    pub fn listed(&self) -> bool {
        self.now().counters.caught_up
    }

    /// Replaces what is seen. The lock is held for one pointer.
    pub fn show(&self, shown: Shown) {
        *self.shown.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(shown);
    }

    /// The log has been read back.
    pub fn ready(&self) {
        self.replayed.store(true, Ordering::Release);
    }

    /// The daemon is about to end.
    pub fn stopping(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    /// What a caller may see now.
    pub fn scoped(&self, access: &Access) -> Scoped {
        self.now().snapshot.scoped(access)
    }

    /// A figure that rises with every message and every verdict: while it stands still, nothing is new.
    pub fn progress(&self) -> u64 {
        let shown = self.now();
        shown.counters.inputs.values().sum::<u64>() + shown.ledger.0
    }

    fn now(&self) -> Arc<Shown> {
        Arc::clone(&self.shown.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Names of the sources in answers: the watched resources, then what is pushed.
const PUSHED: [&str; 2] = ["metrics", "logs"];

impl Reader for View {
    fn restarts(&self, access: &Access, wanted: &dyn Fn(&Restart) -> bool) -> Vec<Arc<Restart>> {
        self.scoped(access).each_restart().filter(|r| wanted(r)).cloned().collect()
    }

    fn incidents(&self, access: &Access, wanted: &dyn Fn(&Incident) -> bool) -> Vec<Arc<Incident>> {
        self.scoped(access).each_incident().filter(|i| wanted(i)).cloned().collect()
    }

    fn anomalies(&self, access: &Access) -> Vec<Arc<Anomaly>> {
        self.scoped(access).anomalies()
    }

    fn changes(&self, access: &Access, namespace: &str) -> Vec<Change> {
        let scoped = self.scoped(access);
        let mut found: Vec<Change> =
            scoped.cluster().namespace(namespace).map(changes::of_namespace).unwrap_or_default();
        found.extend(scoped.cluster().nodes().flat_map(changes::of_node));
        found.sort();
        found
    }

    fn cohorts(&self, access: &Access, since: Timestamp, until: Timestamp) -> dto::Cohorts {
        let found = cohorts::of(&self.scoped(access), since, until);
        let (workloads, troubled) = (found.workloads, found.troubled);
        let cohort = |c: cohorts::Cohort| {
            let Shared { what, value, version } = c.shared;
            let shares = what.as_str();
            let of = if version.is_empty() { String::new() } else { format!(" in resource version {version}") };
            let text = format!(
                "{} of {troubled} workloads in trouble share the {shares} {value}{of}, which {} of all {workloads} have",
                c.troubled_sharing, c.sharing
            );
            let (shares, members) = (shares.to_owned(), c.members);
            let (troubled_sharing, sharing, chance) = (c.troubled_sharing, c.sharing, c.chance);
            dto::Cohort { shares, value, version, troubled_sharing, sharing, chance, members, text }
        };
        let cohorts = found.cohorts.into_iter().map(cohort).collect();
        dto::Cohorts { workloads, troubled, cohorts, ..dto::Cohorts::default() }
    }

    fn baselines(&self, access: &Access, wanted: &dyn Fn(&str, &str) -> bool) -> Vec<dto::Baseline> {
        let shown = self.now();
        shown.detection.baselines(&shown.snapshot.scoped(access), wanted)
    }

    fn watched(&self) -> Vec<dto::WatchedMetric> {
        self.now().detection.watched()
    }

    fn learning(&self, access: &Access, row: &Restart) -> Option<dto::Learning> {
        let shown = self.now();
        shown.detection.learning(&shown.snapshot.scoped(access), row)
    }
    fn suspects(&self, access: &Access, at: Timestamp, namespace: Option<&str>) -> dto::Suspects {
        suspects::ranking(&self.scoped(access), at, namespace, Most::default())
    }

    fn told(&self, access: &Access, of: &TellsOf<'_>) -> Vec<Told> {
        let scoped = self.scoped(access);
        let is_asked_for = |alert: &Alert| {
            let of_node = alert.kind == "Node" && of.node == Some(alert.object.as_str());
            of_node || of.namespaces.contains(&alert.namespace)
        };
        let told = |alert: &Arc<Alert>| Told {
            team: scoped.team_of(&alert.namespace),
            workload: workload_of(&scoped, alert),
            alert: without_secrets(alert),
        };
        scoped.each_alert().filter(|alert| is_asked_for(alert)).map(told).collect()
    }

    fn memory(&self, access: &Access, row: &Restart) -> Option<MemoryUse> {
        if !report::has_memory(&row.mechanism) {
            return None;
        }
        let scoped = self.scoped(access);
        let own = |r: &&Arc<Restart>| r.pod_uid == row.pod_uid && r.container == row.container;
        let all: Vec<dto::Restart> = scoped.each_restart().filter(own).map(|r| r.as_ref().into()).collect();
        let drawn = report::memory(&scoped, &row.into(), &all)?;
        let samples = drawn.samples.iter().map(|s| MemorySample { at: s.ts, bytes: s.value }).collect();
        let limit_bytes = (drawn.limit > 0.0).then_some(drawn.limit);
        Some(MemoryUse { limit_bytes, samples, ends: drawn.ends })
    }

    fn pods(&self, access: &Access) -> Vec<PodName> {
        let scoped = self.scoped(access);
        let mut pods = Vec::new();
        for space in scoped.cluster().namespaces() {
            let team = scoped.cluster().team_of(&space.name);
            for pod in space.pods.values().filter(|p| p.deleted_at.is_none()) {
                let name = pod.object.metadata.name.clone();
                let workload = space.workload_of(&pod.object);
                pods.push(PodName { team: team.clone(), namespace: space.name.clone(), name, workload });
            }
        }
        pods
    }

    fn sees(&self, access: &Access, namespace: &str) -> bool {
        let scoped = self.scoped(access);
        namespace.is_empty() || access.allows(&scoped.cluster().team_of(namespace))
    }

    fn alerts(&self, access: &Access) -> Vec<Active> {
        let scoped = self.scoped(access);
        let sees = |namespace: &str| namespace.is_empty() || access.allows(&scoped.cluster().team_of(namespace));
        let active = self.alerts.active();
        let seen = active.iter().filter(|a| access.allows(&a.identity.team) && sees(&a.identity.namespace));
        seen.cloned().collect()
    }

    fn series(&self, access: &Access) -> Box<dyn SeriesSet> {
        Box::new(Series(self.scoped(access)))
    }

    fn status(&self) -> Status {
        let shown = self.now();
        let scoped = shown.snapshot.scoped(&Access::All);
        let last = |source: &str| shown.counters.last_seen.get(source).copied();
        let none = SourceStatus { source: "kubernetes", synced: false, newest: None };
        let resources = Resource::ALL.into_iter().filter(|_| !self.without_cluster);
        let watched = resources.map(|r| SourceStatus {
            source: r.plural(),
            synced: scoped.cluster().synced(r),
            newest: last(if r == Resource::Events { "events" } else { "kube" }),
        });
        let pushed = PUSHED.into_iter().map(|source| SourceStatus {
            source,
            synced: last(source).is_some(),
            newest: last(source),
        });
        Status {
            replayed: self.replayed.load(Ordering::Acquire),
            stopping: self.stopping.load(Ordering::Acquire),
            trouble: shown.log.trouble(),
            note: shown.checkpoints.note(),
            sources: watched
                .chain(self.without_cluster.then_some(none))
                .chain(pushed)
                .chain(self.pulled.iter().flat_map(PullHealth::sources))
                .collect(),
        }
    }

    fn metrics(&self) -> Vec<Metric> {
        let shown = self.now();
        let by = |label: &'static str, map: &BTreeMap<&'static str, u64>| {
            map.iter().map(|(k, v)| (vec![(label, (*k).to_owned())], *v as f64)).collect::<Vec<_>>()
        };
        let c = &shown.counters;
        let refused = c.refused.iter().map(|(why, n)| (vec![("reason", why.as_str().to_owned())], *n as f64)).collect();
        let seen = c.last_seen.iter().map(|(k, at)| (vec![("source", (*k).to_owned())], seconds(*at))).collect();
        let one = |v: f64| vec![(Vec::new(), v)];
        let metric = |name, help, kind, samples| Metric { name, help, kind, samples };
        let mut metrics = vec![
            metric("whyd_inputs_total", "messages taken, by source", Kind::Counter, by("source", &c.inputs)),
            metric(
                "whyd_rows_total",
                "samples, lines and objects stored, by source",
                Kind::Counter,
                by("source", &c.rows),
            ),
            metric("whyd_discarded_total", "rows and native histograms refused, by reason", Kind::Counter, refused),
            metric(
                "whyd_unkept_total",
                "what is accepted of remote write and not kept, by kind",
                Kind::Counter,
                [("exemplars", c.exemplars), ("histograms", c.histograms)]
                    .map(|(kind, n)| (vec![("kind", kind.to_owned())], n as f64))
                    .to_vec(),
            ),
            metric(
                "whyd_alerts_truncated_total",
                "alerts that an Alertmanager left out of its notifications",
                Kind::Counter,
                one(c.truncated_alerts as f64),
            ),
            metric("whyd_malformed_total", "bodies that could not be read", Kind::Counter, one(c.malformed as f64)),
            metric("whyd_source_newest_seconds", "when each source last sent something", Kind::Gauge, seen),
            metric(
                "whyd_verdicts_total",
                "verdicts reached, revisions included",
                Kind::Counter,
                one(shown.ledger.0 as f64),
            ),
            metric(
                "whyd_ledger_dropped_total",
                "ledger rows lost to its bound",
                Kind::Counter,
                one(shown.ledger.1 as f64),
            ),
            metric(
                "whyd_symbols_bytes",
                "bytes of what is known of the symbols of remote write 2.0 from body to body",
                Kind::Gauge,
                one(shown.symbols.0 as f64),
            ),
            metric(
                "whyd_symbols_forgotten_total",
                "times that all of it was forgotten, having no room and being of no use",
                Kind::Counter,
                one(shown.symbols.1 as f64),
            ),
        ];
        metrics.extend(c.detecting.map(|took| {
            let help = "processor time that detectors took of the thread that takes everything in";
            metric("whyd_detector_cpu_seconds_total", help, Kind::Counter, one(took.as_secs_f64()))
        }));
        metrics.extend(shown.detection.metrics());
        metrics.extend(shown.log.metrics());
        metrics.extend(shown.checkpoints.metrics());
        metrics.extend(buffer_metrics(&shown.stats));
        metrics.extend(process::metrics());
        metrics.extend(self.doors.iter().flat_map(Doors::metrics));
        metrics.extend(self.alerts.metrics());
        metrics.extend(self.watches.iter().flat_map(Watches::metrics));
        metrics.extend(self.pulled.iter().flat_map(PullHealth::metrics));
        metrics
    }
}

/// The workload that an alert is about: it may name that, or one of its pods.
fn workload_of(scoped: &Scoped, alert: &Alert) -> String {
    match alert.kind.as_ref() {
        "" | "Namespace" | "Node" => String::new(),
        "Pod" => {
            let space = scoped.cluster().namespace(&alert.namespace);
            let pod = space.and_then(|space| Some((space, space.pod_named(&alert.object)?)));
            pod.map_or_else(String::new, |(space, pod)| space.workload_of(&pod.object))
        }
        kind => format!("{kind}/{}", alert.object),
    }
}

/// A rule may quote the lines that it counts.
fn without_secrets(alert: &Arc<Alert>) -> Arc<Alert> {
    match redact(&alert.summary) {
        Cow::Borrowed(_) => Arc::clone(alert),
        Cow::Owned(summary) => Arc::new(Alert { summary, ..Alert::clone(alert) }),
    }
}

/// The metric series of one scoped snapshot.
struct Series(Scoped);

impl SeriesSet for Series {
    fn visit(&self, wanted: &Wanted<'_>, visit: &mut Visit<'_>) {
        let fits = |wanted: Option<&str>, has: &str| wanted.is_none_or(|w| w == has);
        // The labels of what the index or a comparison leaves out are never decoded.
        let mut one = |id: SeriesId, meta: &SeriesMeta| {
            if !fits(wanted.name, &meta.name)
                || !fits(wanted.namespace, &meta.namespace)
                || !fits(wanted.pod, &meta.pod)
            {
                return true;
            }
            let labels: Vec<(&str, &str)> = meta.labels.iter().collect();
            visit(id, &labels)
        };
        let ids = match (wanted.name, wanted.namespace, wanted.pod) {
            (Some(name), Some(namespace), Some(pod)) => self.0.series_of(name, namespace, pod, None),
            (Some(name), ..) => self.0.series_named(name),
            _ => {
                let _ = self.0.all_series().all(|(id, meta)| one(id, meta));
                return;
            }
        };
        let _ = ids.into_iter().filter_map(|id| self.0.meta(id).map(|meta| (id, meta))).all(|(id, meta)| one(id, meta));
    }

    fn samples(&self, id: SeriesId, from: Timestamp, to: Timestamp) -> Vec<Sample> {
        self.0.slice(id, from, to)
    }

    fn newest(&self, id: SeriesId, to: Timestamp) -> Option<Timestamp> {
        self.0.asof(id, to).map(|sample| sample.ts)
    }
}

fn seconds(at: Timestamp) -> f64 {
    at.nanos() as f64 / 1e9
}

fn buffer_metrics(stats: &Stats) -> Vec<Metric> {
    let one = |v: f64| vec![(Vec::new(), v)];
    let by = |label: &'static str, rows: Vec<(&'static str, f64)>| {
        rows.into_iter().map(|(k, v)| (vec![(label, k.to_owned())], v)).collect::<Vec<_>>()
    };
    let metric = |name, help, kind, samples| Metric { name, help, kind, samples };
    let bytes = by("owner", stats.bytes.iter().map(|(k, v)| (*k, *v as f64)).collect());
    let dropped = by("reason", stats.dropped.iter().map(|(k, v)| (*k, *v as f64)).collect());
    vec![
        metric("whyd_samples_total", "samples published", Kind::Counter, one(stats.samples as f64)),
        metric("whyd_lines_total", "log lines published", Kind::Counter, one(stats.lines as f64)),
        metric(
            "whyd_deduplicated_total",
            "samples of replicas that are not the elected one of their cluster",
            Kind::Counter,
            one(stats.deduplicated as f64),
        ),
        metric(
            "whyd_replica_clusters",
            "clusters of replicas known now",
            Kind::Gauge,
            one(stats.replica_clusters as f64),
        ),
        metric(
            "whyd_replica_failovers_total",
            "times that another replica of a cluster was elected",
            Kind::Counter,
            one(stats.failovers as f64),
        ),
        metric(
            "whyd_repeated_total",
            "rows that were there already, bit for bit",
            Kind::Counter,
            one(stats.repeated as f64),
        ),
        metric("whyd_series", "series known", Kind::Gauge, one(stats.series as f64)),
        metric("whyd_streams", "log streams known", Kind::Gauge, one(stats.streams as f64)),
        metric(
            "whyd_namespaces",
            "namespaces of series and streams, of 65536",
            Kind::Gauge,
            one(stats.namespaces as f64),
        ),
        metric("whyd_alerts_received", "alerts of others known", Kind::Gauge, one(stats.alerts as f64)),
        metric(
            "whyd_template_trees",
            "teams with a tree of log templates",
            Kind::Gauge,
            one(stats.templates.trees as f64),
        ),
        metric("whyd_template_shapes", "shapes of log lines known", Kind::Gauge, one(stats.templates.shapes as f64)),
        metric(
            "whyd_template_bytes",
            "bytes of all trees of log templates",
            Kind::Gauge,
            one(stats.templates.bytes as f64),
        ),
        metric(
            "whyd_template_forgotten_total",
            "shapes of log lines forgotten to make room, not having come again",
            Kind::Counter,
            one(stats.templates.forgotten as f64),
        ),
        metric(
            "whyd_template_refused_total",
            "log lines of new shapes there was no room for",
            Kind::Counter,
            one(stats.templates.refused as f64),
        ),
        metric("whyd_buffer_bytes", "bytes held, by owner", Kind::Gauge, bytes),
        metric("whyd_dropped_total", "rows dropped after they were stored, by reason", Kind::Counter, dropped),
    ]
}
