//! whyd's own series, made of its ledger, incidents and anomalies when they are asked for. Nothing of them is stored.

use std::collections::{BTreeMap, BTreeSet};

use whyd_signals::Timestamp;
use whyd_signals::schema::Restart;

use super::error::Error;
use super::labels::{Labels, NAME};
use super::source::Stop;
use crate::dto::Severity;
use crate::scope::Scope;

/// Milliseconds that an instant selector looks back.
pub(super) const LOOKBACK: i64 = 300_000;

/// Name, type and help of each.
pub(crate) const OWN: [(&str, &str, &str); 5] = [
    (INCIDENT_ACTIVE, "gauge", "1 while an incident is open and no suppression hides it"),
    (INCIDENT_START, "gauge", "when an open incident was opened, in milliseconds since the epoch"),
    (RESTART_TOTAL, "counter", "container instances that ended and pods that were replaced or never started"),
    (POD_INFO, "gauge", "1 for each pod that is there or restarted, with its workload and team"),
    (ANOMALY_SCORE, "gauge", "how unlike its past a measure is, above 1 where it was found to be"),
];

const INCIDENT_ACTIVE: &str = "whyd_incident_active";
const INCIDENT_START: &str = "whyd_incident_start_ms";
const RESTART_TOTAL: &str = "whyd_restart_total";
const POD_INFO: &str = "whyd_pod_info";
const ANOMALY_SCORE: &str = "whyd_anomaly_score";

/// A series over all of its time, in milliseconds.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Curve {
    /// Holds from each instant on; `None` ends it.
    Steps(Vec<(i64, Option<f64>)>),
    /// Samples as others have them.
    Samples(Vec<(i64, f64)>),
}

impl Curve {
    /// What holds at an instant.
    pub(super) fn at(steps: &[(i64, Option<f64>)], at: i64) -> Option<f64> {
        let after = steps.partition_point(|(from, _)| *from <= at);
        steps.get(after.checked_sub(1)?)?.1
    }

    /// The first and the last instant at which there may be something.
    fn extent(&self) -> Option<(i64, i64)> {
        match self {
            Self::Steps(steps) => Some((steps.first()?.0, steps.last().map(|(at, v)| v.map_or(*at, |_| i64::MAX))?)),
            Self::Samples(samples) => Some((samples.first()?.0, samples.last()?.0.saturating_add(LOOKBACK))),
        }
    }

    /// Whether there may be something from the first to the last instant.
    pub(super) fn touches(&self, from: i64, to: i64) -> bool {
        self.extent().is_some_and(|(first, last)| first <= to && last >= from)
    }
}

/// All of one metric that the caller may see. Nothing is told of the time after `until`.
pub(super) fn series(scope: &Scope<'_>, metric: &str, until: i64, stop: &Stop) -> Result<Vec<(Labels, Curve)>, Error> {
    stop.check()?;
    match metric {
        INCIDENT_ACTIVE => incidents(scope, metric, until, stop, |_| 1.0),
        INCIDENT_START => incidents(scope, metric, until, stop, |opened| opened as f64),
        RESTART_TOTAL => restarts(scope, until, stop),
        POD_INFO => pods(scope, until, stop),
        ANOMALY_SCORE => anomalies(scope, stop),
        _ => Ok(Vec::new()),
    }
}

fn millis(at: Timestamp) -> i64 {
    at.nanos().div_euclid(1_000_000)
}

/// One series for each workload that an incident touches, so that a workload's page finds what befell it; what is to
/// blame is the label `root`.
fn incidents(
    scope: &Scope<'_>,
    metric: &str,
    until: i64,
    stop: &Stop,
    value: impl Fn(i64) -> f64,
) -> Result<Vec<(Labels, Curve)>, Error> {
    let rows = scope.incidents(|i| i.suppressed_by.is_none());
    let owners = Owners::of(scope);
    let mut all = Vec::new();
    for row in &rows {
        stop.check()?;
        // What the caller may not see of it is left out before it becomes a label.
        let shown = scope.incident(row);
        let root = shown.root.as_ref().map(|r| format!("{}/{}", r.kind, r.name)).unwrap_or_default();
        let severity = match shown.severity {
            Severity::Warning => "warning",
            Severity::Critical => "critical",
        };
        let opened = millis(shown.opened_at);
        let end = shown.resolved_at.map_or(until, millis);
        let mut touched: BTreeSet<(&str, &str)> = shown.members.iter().filter_map(|m| owners.of_member(m)).collect();
        if touched.is_empty() {
            touched.insert((if scope.owns(&row.namespace) { &row.namespace } else { "" }, ""));
        }
        for (namespace, workload) in touched {
            let labels = Labels::new([
                (NAME, metric),
                ("incident_id", &shown.id),
                ("team", &shown.team),
                ("namespace", namespace),
                ("workload", workload),
                ("root", &root),
                ("severity", severity),
                ("cause", &shown.cause),
            ]);
            let steps = vec![(opened, Some(value(opened))), (end.max(opened), None)];
            all.push((labels, Curve::Steps(steps)));
        }
    }
    Ok(all)
}

/// The workload of each pod, by namespace and name: of those that are there and of those that ended.
struct Owners(BTreeMap<(String, String), String>);

impl Owners {
    fn of(scope: &Scope<'_>) -> Self {
        let ended = scope.restarts(|r| r.pod.is_some());
        let ended =
            ended.iter().map(|r| ((r.namespace.clone(), r.pod.clone().unwrap_or_default()), r.workload.clone()));
        let there = scope.pods().into_iter().map(|p| ((p.namespace, p.name), p.workload));
        Self(ended.chain(there).collect())
    }

    /// Namespace and workload of an incident's member, which is `namespace/pod` or `namespace/pod/container`.
    fn of_member<'a>(&'a self, member: &'a str) -> Option<(&'a str, &'a str)> {
        let mut parts = member.split('/');
        let (namespace, pod) = (parts.next()?, parts.next()?);
        let workload = self.0.get(&(namespace.to_owned(), pod.to_owned()));
        Some((namespace, workload.map_or("", String::as_str)))
    }
}

/// A counter for each container and cause. It stands at zero for the five minutes before its first restart, so that
/// `increase` counts that one too.
fn restarts(scope: &Scope<'_>, until: i64, stop: &Stop) -> Result<Vec<(Labels, Curve)>, Error> {
    let mut ends: BTreeMap<Labels, Vec<i64>> = BTreeMap::new();
    for row in scope.restarts(|_| true) {
        stop.check()?;
        let Restart { pod, container, finished_at, seen_at, .. } = &*row;
        let labels = Labels::new([
            (NAME, RESTART_TOTAL),
            ("team", row.team.as_str()),
            ("namespace", &row.namespace),
            ("workload", &row.workload),
            ("pod", pod.as_deref().unwrap_or_default()),
            ("container", container.as_deref().unwrap_or_default()),
            ("cause", &row.cause),
        ]);
        ends.entry(labels).or_default().push(millis(finished_at.unwrap_or(*seen_at)));
    }
    let counter = |mut ends: Vec<i64>| {
        ends.sort_unstable();
        let mut steps: Vec<(i64, Option<f64>)> = Vec::with_capacity(ends.len() + 2);
        steps.extend(ends.first().map(|first| (first.saturating_sub(LOOKBACK), Some(0.0))));
        steps.extend((1_u32..).zip(&ends).map(|(n, at)| (*at, Some(f64::from(n)))));
        let last = steps.last().map_or(until, |(at, _)| *at);
        steps.push((until.max(last), None));
        Curve::Steps(steps)
    };
    Ok(ends.into_iter().map(|(labels, ends)| (labels, counter(ends))).collect())
}

/// What there is to choose from, whether or not it ever restarted.
fn pods(scope: &Scope<'_>, until: i64, stop: &Stop) -> Result<Vec<(Labels, Curve)>, Error> {
    let labels = |team: &str, namespace: &str, workload: &str, pod: &str| {
        let pairs = [(NAME, POD_INFO), ("team", team), ("namespace", namespace), ("workload", workload), ("pod", pod)];
        Labels::new(pairs)
    };
    let mut all = BTreeSet::new();
    for row in scope.restarts(|_| true) {
        stop.check()?;
        all.insert(labels(row.team.as_str(), &row.namespace, &row.workload, row.pod.as_deref().unwrap_or_default()));
    }
    for pod in scope.pods() {
        stop.check()?;
        all.insert(labels(pod.team.as_str(), &pod.namespace, &pod.workload, &pod.name));
    }
    Ok(all.into_iter().map(|labels| (labels, Curve::Steps(vec![(0, Some(1.0)), (until, None)]))).collect())
}

fn anomalies(scope: &Scope<'_>, stop: &Stop) -> Result<Vec<(Labels, Curve)>, Error> {
    let mut scores: BTreeMap<Labels, BTreeMap<i64, f64>> = BTreeMap::new();
    for row in scope.anomalies() {
        stop.check()?;
        let labels = Labels::new([
            (NAME, ANOMALY_SCORE),
            ("team", row.team.as_str()),
            ("namespace", &row.namespace),
            ("pod", &row.pod),
            ("container", &row.container),
            ("metric", &row.metric),
        ]);
        let score = scores.entry(labels).or_default().entry(millis(row.ts)).or_insert(row.score);
        *score = score.max(row.score);
    }
    let curve = |samples: BTreeMap<i64, f64>| Curve::Samples(samples.into_iter().collect());
    Ok(scores.into_iter().map(|(labels, samples)| (labels, curve(samples))).collect())
}
