//! What is shown of the detectors: their figures, what they watch, and what they know of each workload.

use std::collections::BTreeMap;
use std::sync::Arc;

use whyd_anomaly::calls::CallsKnown;
use whyd_anomaly::detector::robust::Direction;
use whyd_anomaly::{Basis, Detectors, Kind as Read, Standing, Stats, WatchList, Watched};
use whyd_api::dto::{self, BaselineState};
use whyd_api::{Kind, Metric};
use whyd_buffers::{Scoped, SeriesMeta};
use whyd_core::Core;
use whyd_signals::Timestamp;
use whyd_signals::schema::Restart;

/// The detectors as they are shown.
#[derive(Clone, Default)]
pub struct DetectionShown {
    /// What they hold and what they turned away.
    pub stats: Stats,
    /// Anomalies let go, there being too many.
    pub let_go: u64,
    /// Series by series, what is known of it.
    pub standings: Vec<Arc<[Standing]>>,
    /// What is known of calls between workloads.
    pub calls: Arc<[CallsKnown]>,
    /// What is watched.
    pub watch_list: WatchList,
}

/// Whose baseline it is: namespace, workload, container and metric.
type Whose = (String, String, String, String);

impl DetectionShown {
    /// Those of this core.
    pub fn of(core: &Core) -> Self {
        Self {
            stats: core.detector_stats(),
            let_go: core.let_go_anomalies(),
            standings: core.standings(),
            calls: core.calls_known(),
            watch_list: core.watch_list(),
        }
    }

    pub(crate) fn metrics(&self) -> Vec<Metric> {
        let stats = &self.stats;
        let metric = |name, help, kind, samples| Metric { name, help, kind, samples };
        let one = |v: f64| vec![(Vec::new(), v)];
        let refused = [
            ("samples", stats.refused_samples),
            ("probes", stats.refused_probes),
            ("lines", stats.refused_lines),
            ("kinds", stats.refused_kinds),
            ("shapes", stats.refused_shapes),
            ("baselines", stats.refused_baselines),
            ("late", stats.late_samples),
            ("pods", stats.refused_pods),
            ("requests", stats.refused_requests),
            ("callers", stats.refused_callers),
            ("calls", stats.refused_calls),
            ("episodes", stats.refused_episodes),
            ("anomalies", self.let_go),
        ];
        let refused = refused.map(|(what, n)| (vec![("what", what.to_owned())], n as f64)).to_vec();
        vec![
            metric("whyd_anomalies_total", "anomalies told", Kind::Counter, one(stats.anomalies as f64)),
            metric("whyd_detector_series", "series watched by a detector", Kind::Gauge, one(stats.series as f64)),
            metric(
                "whyd_detector_streams",
                "containers of workloads whose lines are counted",
                Kind::Gauge,
                one(stats.streams as f64),
            ),
            metric("whyd_detector_probes", "probes watched by a detector", Kind::Gauge, one(stats.probes as f64)),
            metric(
                "whyd_detector_baselines",
                "metrics of workloads whose usual days are kept for their next pods",
                Kind::Gauge,
                one(stats.baselines as f64),
            ),
            metric(
                "whyd_detector_pod_models",
                "workloads that have a model of their pods' metrics taken together",
                Kind::Gauge,
                one(stats.pod_models as f64),
            ),
            metric(
                "whyd_detector_calls",
                "kinds of calls between workloads, and of their own parts of requests, of which it is known how long they take",
                Kind::Gauge,
                one(stats.calls as f64),
            ),
            metric(
                "whyd_detector_withheld_calls_total",
                "times in which calls were slow and nobody was blamed at first, since what somebody says might be missing",
                Kind::Counter,
                one(stats.withheld_calls as f64),
            ),
            metric(
                "whyd_detector_trainings_total",
                "trainings of these models, by whether there is a new one or the earlier one stays",
                Kind::Counter,
                [("new", stats.trained), ("none", stats.untrained)]
                    .map(|(model, n)| (vec![("model", model.to_owned())], n as f64))
                    .to_vec(),
            ),
            metric(
                "whyd_detector_bytes",
                "bytes of all that detectors hold, at the most",
                Kind::Gauge,
                one(stats.bytes as f64),
            ),
            metric(
                "whyd_detector_series_bytes",
                "bytes of one watched series, at the most",
                Kind::Gauge,
                one(Detectors::SERIES_BYTES as f64),
            ),
            metric(
                "whyd_detector_values_total",
                "values that were judged, or learnt from",
                Kind::Counter,
                one(stats.judged as f64),
            ),
            metric(
                "whyd_detector_refused_total",
                "what detectors had no room for: samples, counts of probes, lines, lines whose kinds are not known, lines of new shapes, baselines, measures of pods, lines of requests, those of workloads that are not known there, calls, how long anomalies go on, anomalies; and samples no newer than the last of their series",
                Kind::Counter,
                refused,
            ),
            metric(
                "whyd_detector_late_lines_total",
                "log lines that were not counted, being more than two minutes late",
                Kind::Counter,
                one(stats.late_lines as f64),
            ),
            metric(
                "whyd_detector_evicted_total",
                "series, containers, probes and what is known of workloads that were forgotten, being idle or for want of room",
                Kind::Counter,
                one(stats.evicted as f64),
            ),
        ]
    }

    /// What is watched, by name.
    pub(crate) fn watched(&self) -> Vec<dto::WatchedMetric> {
        self.watch_list.rows().iter().map(|watched| shown(watched)).collect()
    }

    /// What is known of the metrics of each workload that this caller may see; of one namespace or workload where that is asked.
    pub(crate) fn baselines(&self, scoped: &Scoped, wanted: &dyn Fn(&str, &str) -> bool) -> Vec<dto::Baseline> {
        let mut all: BTreeMap<Whose, dto::Baseline> = BTreeMap::new();
        let mut usual: BTreeMap<Whose, Vec<f64>> = BTreeMap::new();
        // Pods have many series, which lie together.
        let mut last: Option<(Arc<str>, Arc<str>, String)> = None;
        for standing in self.standings.iter().flat_map(|part| part.iter()) {
            let Some(meta) = scoped.meta(standing.series) else { continue };
            let workload = match &last {
                Some((namespace, pod, workload)) if *namespace == meta.namespace && *pod == meta.pod => {
                    workload.clone()
                }
                _ => workload_of(scoped, meta),
            };
            if !meta.pod.is_empty() {
                last = Some((Arc::clone(&meta.namespace), Arc::clone(&meta.pod), workload.clone()));
            }
            if !wanted(&meta.namespace, &workload) {
                continue;
            }
            let whose = (meta.namespace.to_string(), workload, meta.container.to_string(), meta.name.to_string());
            usual.entry(whose.clone()).or_default().extend(standing.usual.filter(|usual| usual.is_finite()));
            let watched = self.watch_list.of(&meta.name);
            let words = watched.as_ref().map_or(meta.name.as_ref(), |watched| watched.words.as_ref());
            match all.get_mut(&whose) {
                Some(known) => join(known, standing),
                None => drop(all.insert(whose.clone(), first(whose, words, standing))),
            }
        }
        let mut all: Vec<dto::Baseline> = all
            .into_iter()
            .map(|(whose, baseline)| dto::Baseline { usual: usual.remove(&whose).and_then(middle), ..baseline })
            .collect();
        for baseline in &mut all {
            if baseline.state != BaselineState::Learning {
                baseline.until = None;
            }
        }
        let sees = |calls: &&CallsKnown| scoped.access().allows(&scoped.team_of(&calls.namespace));
        let calls = self.calls.iter().filter(sees).filter(|calls| wanted(&calls.namespace, &calls.workload));
        all.extend(calls.map(of_calls));
        all
    }

    /// Where no metric of this row's container was known for long enough when it ended: since when they are, and until when
    /// they are or were learnt. `None` where one was, and where none is watched.
    pub(crate) fn learning(&self, scoped: &Scoped, row: &Restart) -> Option<dto::Learning> {
        let (container, end) = (row.container.as_deref()?, row.finished_at?);
        let mut found: Option<(Timestamp, Timestamp)> = None;
        for standing in self.standings.iter().flat_map(|part| part.iter()) {
            let Some(meta) = scoped.meta(standing.series) else { continue };
            let own = *meta.namespace == row.namespace && *meta.container == *container;
            if !own || standing.since > end || workload_of(scoped, meta) != row.workload {
                continue;
            }
            let until = standing.learnt_at;
            if until <= end {
                return None;
            }
            let (since, soonest) = found.unwrap_or((standing.since, until));
            found = Some((since.min(standing.since), soonest.min(until)));
        }
        found.map(|(since, until)| dto::Learning { since, until })
    }
}

/// How long requests take, of a container of a workload: of kinds of calls as of series.
fn of_calls(calls: &CallsKnown) -> dto::Baseline {
    let state = if calls.usual.is_some() { BaselineState::Hours } else { BaselineState::Learning };
    dto::Baseline {
        namespace: calls.namespace.clone(),
        workload: calls.workload.clone(),
        container: calls.container.clone(),
        metric: "calls".to_owned(),
        words: "seconds that requests take with others, and its own part of them".to_owned(),
        state,
        since: calls.since,
        until: None,
        usual: calls.usual,
        newest: calls.newest,
        series: calls.kinds,
        learning: calls.learning,
    }
}

/// A series as the first of its workload.
fn first((namespace, workload, container, metric): Whose, words: &str, standing: &Standing) -> dto::Baseline {
    let (state, learning) = state(standing.basis);
    dto::Baseline {
        namespace,
        workload,
        container,
        metric,
        words: words.to_owned(),
        state,
        since: standing.since,
        until: (state == BaselineState::Learning).then_some(standing.learnt_at),
        usual: None,
        newest: standing.newest,
        series: 1,
        learning,
    }
}

/// One more of them: what is known best is what is known of the workload.
fn join(known: &mut dto::Baseline, standing: &Standing) {
    let (state, learning) = state(standing.basis);
    known.series += 1;
    known.learning += learning;
    known.newest = known.newest.max(standing.newest);
    if state > known.state || (state == known.state && standing.since < known.since) {
        known.since = standing.since;
    }
    if state == BaselineState::Learning {
        known.until = known.until.map(|until| until.min(standing.learnt_at));
    }
    known.state = known.state.max(state);
}

fn state(basis: Basis) -> (BaselineState, u64) {
    match basis {
        Basis::Learning => (BaselineState::Learning, 1),
        Basis::Hours => (BaselineState::Hours, 0),
        Basis::Days => (BaselineState::Days, 0),
    }
}

fn middle(mut values: Vec<f64>) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

fn workload_of(scoped: &Scoped, meta: &SeriesMeta) -> String {
    if meta.pod.is_empty() {
        return if meta.node.is_empty() { String::new() } else { format!("Node/{}", meta.node) };
    }
    let space = scoped.cluster().namespace(&meta.namespace);
    let pod = space.and_then(|space| Some(space.workload_of(&space.pod_named(&meta.pod)?.object)));
    pod.unwrap_or_else(|| format!("Pod/{}", meta.pod))
}

fn shown(watched: &Watched) -> dto::WatchedMetric {
    let text = |text: &str| text.to_owned();
    dto::WatchedMetric {
        metric: text(&watched.metric),
        kind: text(match watched.kind {
            Read::Gauge => "gauge",
            Read::Counter => "counter",
        }),
        bad: text(match watched.tuning.direction {
            Direction::Above => "more",
            Direction::Below => "less",
            Direction::Both => "both",
        }),
        words: text(&watched.words),
        why: text(&watched.why),
    }
}
