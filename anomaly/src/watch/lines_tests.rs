#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;

use whyd_signals::TemplateId;
use whyd_signals::templates::Template;

use whyd_signals::Team;

use super::*;

/// A line: its pod, how many seconds ahead of its receipt it is dated, whether it tells of an error, and its kind.
type Said = (u32, i64, bool, u64);

/// What is told of a group whose pods say this each second, by second and metric.
fn told(seconds: i64, says: impl Fn(i64) -> Vec<Said>) -> Vec<(i64, Anomaly)> {
    let mut detectors = Detectors::new(Config::default());
    let team = Team::new("demo");
    let resolve = |id: TemplateId| Some(Template { id, text: Arc::from(format!("kind {}", id.0)) });
    let mut found = Vec::new();
    for s in 0..seconds {
        let received = Timestamp((1_000_000 + s) * 1_000_000_000);
        for (pod, ahead, is_error, kind) in says(s) {
            let pod = format!("cart-{pod}");
            let key = LineKey { group: 1, team: &team, namespace: "shop", pod: &pod, container: "cart" };
            let ts = Timestamp(received.0 + ahead * 1_000_000_000);
            let line = std::iter::once(Line { ts, is_error, template: TemplateId(kind) });
            detectors.observe_lines(&key, received, line, &resolve, |anomaly| found.push((s, anomaly)));
        }
    }
    found
}

fn of_metric(found: &[(i64, Anomaly)], metric: &str) -> Vec<i64> {
    found.iter().filter(|(_, a)| a.metric == metric).map(|(s, _)| *s).collect()
}

#[test]
fn errors_of_many_pods_are_told_while_they_are_learnt() {
    for pods in [3, 128, 140] {
        let found = told(240, |s| (0..pods).map(|pod| (pod, 0, s >= 150, u64::from(s >= 150))).collect());
        let at = of_metric(&found, "log_errors");
        assert!(matches!(at[..], [150..160]), "{pods} pods: {found:?}");
    }
}

#[test]
fn a_line_dated_ahead_is_one_of_now_and_is_told_as_one() {
    for ahead in [0, 540] {
        let found = told(120, |s| match s {
            50 => vec![(1, ahead, false, 1), (1, 0, false, 1)],
            s => vec![(1, 0, s >= 60, 1), (2, 0, s >= 60, 1)],
        });
        assert_eq!(of_metric(&found, "log_errors"), [65], "{ahead} s ahead");
    }
    let found = told(120, |s| vec![(1, 300, s >= 60, 1), (1, 300, s >= 60, 1)]);
    let [(65, anomaly)] = &found[..] else { panic!("{found:?}") };
    assert_eq!(anomaly.ts, Timestamp(1_000_065_000_000_000));
    assert_eq!(anomaly.text, "error lines: 11 in the last minute, after 60 s of lines, none of them an error");
}

#[test]
fn late_lines_are_counted_as_such() {
    let mut detectors = Detectors::new(Config::default());
    let team = Team::new("demo");
    let key = LineKey { group: 1, team: &team, namespace: "shop", pod: "cart-0", container: "cart" };
    let received = Timestamp(1_000_000_000_000);
    let line = |s: i64| Line { ts: Timestamp(s * 1_000_000_000), is_error: false, template: TemplateId(1) };
    detectors.observe_lines(&key, received, [1000, 950, 800, 700].map(line).into_iter(), &|_| None, |_| ());
    assert_eq!(detectors.stats().late_lines, 2);
}

#[test]
fn what_stops_is_missed_of_a_hundred_pods_and_of_more_than_can_be_told_apart_it_is_not() {
    for (pods, expected) in [(100, 1), (140, 0)] {
        let found = told(9000, |s| {
            let pod = (s % pods) as u32;
            let beats = s < 7200 && s % 30 == 0;
            [Some((pod, 0, false, 1)), beats.then_some((pod, 0, false, 2))].into_iter().flatten().collect()
        });
        assert_eq!(of_metric(&found, "log_vanished").len(), expected, "{pods} pods: {found:?}");
    }
}
