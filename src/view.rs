//! What the API reads: the newest snapshot and how complete it is.

mod heard;
mod metrics;
mod series;
mod standing;

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use whyd_api::alertmanager::{Active, Board};
use whyd_api::dto::{self, MemorySample, MemoryUse};
use whyd_api::{Metric, PodName, Reader, SeriesSet, SourceStatus, Status, TellsOf, Told, Unheard, Whom, WrongAt};
use whyd_buffers::{Scoped, Snapshot, Stats};
use whyd_core::{Core, Counters, Pulls};
use whyd_correlate::redact::redact;
use whyd_correlate::{changes, cohorts};
use whyd_signals::objects::Meta;
use whyd_signals::schema::{Alert, Anomaly, Change, Incident, Restart, Shared};
use whyd_signals::{Access, Asked, Ranges, Resource, Team, Timestamp};

use crate::checkpointing::CheckpointsShown;
use crate::clock::SteadyClock;
use crate::detection::DetectionShown;
use crate::doors::Doors;
use crate::log_health::LogShown;
use crate::pull_health::PullHealth;
use crate::suspects::Most;
use crate::watches::{Heard, Watches};
use crate::{report, suspects};

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
    /// When the cluster's pods were heard of last, as the log has it.
    pub last_heard: Option<Timestamp>,
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
            last_heard: core.last_heard().map(|(at, _)| at),
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
    clock: Option<SteadyClock>,
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
            clock: None,
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

    /// The same view with the leaps of this clock.
    #[must_use]
    pub fn with_clock(self, clock: SteadyClock) -> Self {
        Self { clock: Some(clock), ..self }
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

    /// Whether the cluster's pods are heard of now; `None` where no cluster is watched.
    pub fn hears_pods(&self) -> Option<Heard> {
        let watches = self.watches.as_ref().filter(|_| !self.without_cluster)?;
        Some(watches.hears_pods(self.time()))
    }

    /// When the cluster's pods were heard of last, before the start too.
    fn last_heard(&self) -> Option<Timestamp> {
        self.hears_pods().and_then(|heard| heard.at).or(self.now().last_heard)
    }

    /// The daemon's time, where it has a clock.
    fn time(&self) -> Option<Timestamp> {
        self.clock.as_ref().map(SteadyClock::now)
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

    /// What is amiss and may pass.
    fn note(&self) -> Option<&'static str> {
        let clock = self.clock.as_ref().and_then(SteadyClock::note);
        clock.or_else(|| self.watches.as_ref().and_then(Watches::note))
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
            let (troubled_sharing, sharing, chance) = (c.troubled_sharing, c.sharing, dto::figure(c.chance));
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
    fn suspects(&self, access: &Access, at: WrongAt, namespace: Option<&str>) -> dto::Suspects {
        let snapshot = Arc::clone(&self.now().snapshot);
        let (own, everybody) = (snapshot.scoped(access), snapshot.scoped(&Access::All));
        suspects::ranking((&own, &everybody), at, namespace, Most::default())
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
        let limit_bytes = Some(drawn.limit).filter(|limit| *limit > 0.0 && limit.is_finite());
        Some(MemoryUse { limit_bytes, samples, ends: drawn.ends })
    }

    fn standing(&self, access: &Access, whom: &Whom<'_>, at: Timestamp) -> Option<dto::Standing> {
        let mut now = standing::of(&self.scoped(access), whom, at)?;
        if self.hears_pods().is_none_or(|heard| heard.lost) {
            let when = self.last_heard().map_or(String::new(), |at| format!(", at {}", at.whole()));
            (now.text, now.since) = (format!("when the cluster was heard last{when}: {}", now.text), None);
        }
        Some(now)
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

    fn namespaces(&self, access: &Access) -> Vec<(Team, String)> {
        self.scoped(access).namespaces()
    }

    fn workloads(&self, access: &Access) -> Vec<(String, String)> {
        let scoped = self.scoped(access);
        let mut workloads = Vec::new();
        for space in scoped.cluster().namespaces() {
            let named = |kind: &str, name: &str| (space.name.clone(), format!("{kind}/{name}"));
            // The pods of a ReplicaSet are counted to what it is of; of all others that an operator or CronJob made to them.
            let has_pods =
                |resource: &Resource, meta: &Meta| *resource != Resource::ReplicaSets || meta.controller().is_none();
            let there = space.workloads.values().filter(|(_, record)| record.deleted_at.is_none());
            let there = there.filter(|(resource, record)| has_pods(resource, &record.object.metadata));
            workloads.extend(there.map(|(resource, record)| named(resource.kind(), &record.object.metadata.name)));
            let jobs = space.jobs.values().filter(|job| job.deleted_at.is_none());
            workloads.extend(jobs.map(|job| named(Resource::Jobs.kind(), &job.object.metadata.name)));
        }
        workloads
    }

    fn heard(&self, access: &Access, asked: &Asked, namespace: Option<&str>) -> Vec<dto::Heard> {
        heard::of(&self.scoped(access), asked, namespace)
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
        Box::new(series::Series(self.scoped(access)))
    }

    fn status(&self) -> Status {
        let shown = self.now();
        let scoped = shown.snapshot.scoped(&Access::All);
        let last = |source: &str| shown.counters.last_seen.get(source).copied();
        let none = SourceStatus { source: "kubernetes", synced: false, newest: None };
        let resources = Resource::ALL.into_iter().filter(|_| !self.without_cluster);
        let (failing, all_fail) = self.watches.as_ref().map(|watches| watches.unheard(self.time())).unwrap_or_default();
        let watched = resources.map(|r| SourceStatus {
            source: r.plural(),
            synced: scoped.cluster().synced(r) && failing.iter().all(|(unheard, _)| *unheard != r),
            newest: self.watches.as_ref().and_then(|w| w.heard_at(r)).or(match r {
                Resource::Events => last("events"),
                _ => last("kube"),
            }),
        });
        // What this start has not heard the one before may have.
        let failing = failing.iter().map(|(resource, heard)| (resource.plural(), heard.or(shown.last_heard))).collect();
        let pushed = PUSHED.into_iter().map(|source| SourceStatus {
            source,
            synced: last(source).is_some(),
            newest: last(source),
        });
        Status {
            replayed: self.replayed.load(Ordering::Acquire),
            stopping: self.stopping.load(Ordering::Acquire),
            trouble: shown.log.trouble(),
            note: self.note().or_else(|| shown.checkpoints.note()),
            unheard: Unheard { failing, all_fail },
            sources: watched
                .chain(self.without_cluster.then_some(none))
                .chain(pushed)
                .chain(self.pulled.iter().flat_map(PullHealth::sources))
                .collect(),
        }
    }

    fn metrics(&self) -> Vec<Metric> {
        self.all_metrics()
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

#[cfg(test)]
mod tests;
