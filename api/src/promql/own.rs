//! whyd's own series, made of its ledger, incidents and anomalies when they are asked for. Nothing of them is stored.

use std::collections::{BTreeMap, BTreeSet};

use whyd_signals::Timestamp;
use whyd_signals::schema::Restart;

use super::error::Error;
use super::labels::{Labels, NAME};
use super::source::Stop;
use crate::dto::Severity;
use crate::owners::Owners;
use crate::scope::Scope;

/// Milliseconds that an instant selector looks back.
pub(super) const LOOKBACK: i64 = 300_000;

/// Name, type and help of each.
pub(crate) const OWN: [(&str, &str, &str); 5] = [
    (INCIDENT_ACTIVE, "gauge", "1 while an incident is open and no suppression hides it"),
    (INCIDENT_START, "gauge", "when an open incident was opened, in milliseconds since the epoch"),
    (RESTART_TOTAL, "counter", "container instances that ended and pods that were replaced or never started"),
    (POD_INFO, "gauge", "1 for each pod that is there or restarted, with its workload and team"),
    (ANOMALY_SCORE, "gauge", "how unlike its past a measure is, above 1 as long as it is found to be"),
];

const INCIDENT_ACTIVE: &str = "whyd_incident_active";
const INCIDENT_START: &str = "whyd_incident_start_ms";
const RESTART_TOTAL: &str = "whyd_restart_total";
const POD_INFO: &str = "whyd_pod_info";
const ANOMALY_SCORE: &str = "whyd_anomaly_score";

/// A series over all of its time, in milliseconds: what holds from each instant on; `None` ends it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Curve(pub(super) Vec<(i64, Option<f64>)>);

impl Curve {
    /// What holds at an instant.
    pub(super) fn at(&self, at: i64) -> Option<f64> {
        let after = self.0.partition_point(|(from, _)| *from <= at);
        self.0.get(after.checked_sub(1)?)?.1
    }

    /// Whether there may be something from the first to the last instant.
    pub(super) fn touches(&self, from: i64, to: i64) -> bool {
        let extent = self.0.first().zip(self.0.last());
        let extent = extent.map(|(first, last)| (first.0, last.1.map_or(last.0, |_| i64::MAX)));
        extent.is_some_and(|(first, last)| first <= to && last >= from)
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
        let shown = scope.named(row);
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
            all.push((labels, Curve(steps)));
        }
    }
    Ok(all)
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
        Curve(steps)
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
    Ok(all.into_iter().map(|labels| (labels, Curve(vec![(0, Some(1.0)), (until, None)]))).collect())
}

/// One series for each measure of a pod: how unlike its past it is found to be, until five minutes after it was last seen to be so.
fn anomalies(scope: &Scope<'_>, stop: &Stop) -> Result<Vec<(Labels, Curve)>, Error> {
    let mut spans: BTreeMap<Labels, Vec<(i64, i64, f64)>> = BTreeMap::new();
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
        let end = millis(row.until.max(row.ts)).saturating_add(LOOKBACK);
        spans.entry(labels).or_default().push((millis(row.ts), end, row.score));
    }
    Ok(spans.into_iter().map(|(labels, spans)| (labels, Curve(highest(&spans)))).collect())
}

/// At each time the highest of what holds from its first to its second time.
fn highest(spans: &[(i64, i64, f64)]) -> Vec<(i64, Option<f64>)> {
    let mut turns: Vec<(i64, bool, f64)> = Vec::with_capacity(spans.len() * 2);
    turns.extend(spans.iter().map(|(from, _, score)| (*from, true, *score)));
    turns.extend(spans.iter().map(|(_, end, score)| (*end, false, *score)));
    turns.sort_unstable_by_key(|turn| turn.0);
    // How many hold of each score, none of which is below 0: their bits are in their order.
    let mut holding: BTreeMap<u64, usize> = BTreeMap::new();
    let mut steps: Vec<(i64, Option<f64>)> = Vec::new();
    for same in turns.chunk_by(|a, b| a.0 == b.0) {
        for (_, begins, score) in same {
            let held = holding.entry(score.max(0.0).to_bits()).or_default();
            *held = if *begins { *held + 1 } else { held.saturating_sub(1) };
        }
        holding.retain(|_, held| *held > 0);
        let score = holding.last_key_value().map(|(bits, _)| f64::from_bits(*bits));
        steps.extend(same.first().map(|turn| (turn.0, score)));
    }
    steps.dedup_by(|next, held| next.1 == held.1);
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_holds_of_what_overlaps() {
        let spans = [(10, 40, 2.0), (20, 30, 3.0), (25, 50, 2.0), (70, 80, 1.5)];
        let held = [(10, Some(2.0)), (20, Some(3.0)), (30, Some(2.0)), (50, None), (70, Some(1.5)), (80, None)];
        assert_eq!(highest(&spans), held);
        // One of two that are alike ends, and a lower one begins with the end of a higher one.
        assert_eq!(highest(&[(1, 9, 2.0), (1, 5, 2.0), (9, 12, 1.1)]), [(1, Some(2.0)), (9, Some(1.1)), (12, None)]);
        assert_eq!(highest(&[]), []);
    }
}
