//! Queries as data: the samples, the query, and what comes out at one instant.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;

use whyd_signals::Access;
use whyd_signals::schema::Incident;

use super::*;
use crate::routes::fixture::{Fixture, Sent, at, restart, sent};

fn source(samples: Vec<Sent>) -> Fixture {
    Fixture { samples: Arc::new(samples), ..Fixture::default() }
}

/// `{labels} value` of each, or the error.
fn shown(fixture: &Fixture, text: &str, second: i64) -> String {
    let now = at(600);
    let source = Source::new(fixture, &Access::All, now, Stop::default());
    let ms = at(second).nanos() / 1_000_000;
    let result = query(text).and_then(|expr| instant(&source, &expr, ms));
    match result {
        Ok(Instant::Scalar(value)) => value.to_string(),
        Ok(Instant::Vector(series)) => {
            series.iter().map(|s| format!("{} {}", s.labels, s.points[0].value)).collect::<Vec<_>>().join("; ")
        }
        Ok(Instant::Matrix(series)) => {
            series.iter().map(|(l, s)| format!("{l} {}", s.len())).collect::<Vec<_>>().join("; ")
        }
        Err(why) => format!("error: {why}"),
    }
}

#[test]
fn queries_at_an_instant() {
    let stale = f64::from_bits(whyd_signals::sample::STALE_BITS);
    let one = |name: &str, labels: &[(&str, &str)], samples: &[(i64, f64)]| {
        let mut all = vec![("__name__", name)];
        all.extend_from_slice(labels);
        sent(&all, samples)
    };
    let fixture = source(vec![
        one("m", &[("x", "1"), ("y", "a")], &[(0, 1.0), (60, 2.0)]),
        one("m", &[("x", "2"), ("y", "a")], &[(0, 3.0), (60, 4.0)]),
        one("m", &[("x", "3"), ("y", "b")], &[(0, 5.0), (60, stale)]),
        one("n", &[("x", "1")], &[(60, 10.0)]),
        one("n", &[("x", "2")], &[(60, 20.0)]),
        one("c", &[], &[(0, 10.0), (30, 20.0), (60, 5.0)]),
        one("d", &[], &[(0, 10.0), (30, 20.0), (60, 5.0)]),
    ]);
    let cases = [
        ("1+1", 60, "2"),
        ("time()", 60, "1790000060"),
        ("2 ^ 10 % 7 - -1", 60, "3"),
        ("m", 60, r#"{__name__="m", x="1", y="a"} 2; {__name__="m", x="2", y="a"} 4"#),
        ("m{x=\"3\"}", 59, r#"{__name__="m", x="3", y="b"} 5"#),
        ("m{x=\"3\"}", 60, ""),
        // Five minutes back, both ends included.
        ("n{x=\"1\"}", 360, r#"{__name__="n", x="1"} 10"#),
        ("n{x=\"1\"}", 361, ""),
        ("n{x=~\"1|3\"} offset 1m", 120, r#"{__name__="n", x="1"} 10"#),
        ("n{x!~\"2|3\"} @ 1790000060", 5000, r#"{__name__="n", x="1"} 10"#),
        ("{__name__=~\"n|c\",x!=\"1\"}", 60, r#"{__name__="c"} 5; {__name__="n", x="2"} 20"#),
        ("sum(m)", 60, "{} 6"),
        ("sum by (y) (m)", 59, r#"{y="a"} 4; {y="b"} 5"#),
        ("avg without (x) (m)", 59, r#"{y="a"} 2; {y="b"} 5"#),
        ("count(m) + max(m) * min(m)", 59, "{} 8"),
        ("topk(2, m)", 59, r#"{__name__="m", x="3", y="b"} 5; {__name__="m", x="2", y="a"} 3"#),
        ("bottomk(1, m)", 59, r#"{__name__="m", x="1", y="a"} 1"#),
        ("topk(0, m)", 59, ""),
        ("topk(NaN, m)", 59, "error: Scalar value NaN overflows int64"),
        ("topk(NaN, nothing)", 59, "error: Scalar value NaN overflows int64"),
        ("bottomk(Inf, nothing)", 59, "error: Scalar value +Inf overflows int64"),
        ("sort_desc(m)", 60, r#"{__name__="m", x="2", y="a"} 4; {__name__="m", x="1", y="a"} 2"#),
        ("m > 2", 60, r#"{__name__="m", x="2", y="a"} 4"#),
        ("2 < m", 60, r#"{__name__="m", x="2", y="a"} 4"#),
        ("m > bool 2", 60, r#"{x="1", y="a"} 0; {x="2", y="a"} 1"#),
        ("1 > bool 2", 60, "0"),
        ("-m", 60, r#"{x="1", y="a"} -2; {x="2", y="a"} -4"#),
        ("m / ignoring(y) n", 60, r#"{x="1"} 0.2; {x="2"} 0.2"#),
        ("m * on(x) n", 60, r#"{x="1"} 20; {x="2"} 80"#),
        ("m * on(x) group_left n", 60, r#"{x="1", y="a"} 20; {x="2", y="a"} 80"#),
        (
            "n * on(x) group_right(x) m",
            60,
            "error: 1:26: parse error: label \"x\" must not occur in ON and GROUP clause at once",
        ),
        ("m == on(x) m", 60, r#"{x="1"} 2; {x="2"} 4"#),
        ("m == m", 60, r#"{__name__="m", x="1", y="a"} 2; {__name__="m", x="2", y="a"} 4"#),
        ("n and on(x) m{x=\"1\"}", 60, r#"{__name__="n", x="1"} 10"#),
        ("n unless on(x) m{x=\"1\"}", 60, r#"{__name__="n", x="2"} 20"#),
        (
            "m{x=\"1\"} or n",
            60,
            r#"{__name__="m", x="1", y="a"} 2; {__name__="n", x="1"} 10; {__name__="n", x="2"} 20"#,
        ),
        ("increase(c[1m])", 60, "{} 15"),
        ("rate(c[1m])", 60, "{} 0.25"),
        ("irate(c[1m])", 60, "{} 0.16666666666666666"),
        ("delta(c[1m])", 60, "{} -5"),
        ("sum_over_time(c[30s])", 60, "{} 25"),
        ("last_over_time(c[30s])", 60, "{__name__=\"c\"} 5"),
        ("quantile_over_time(0.5, c[1m])", 60, "{} 10"),
        ("c[1m]", 60, "{__name__=\"c\"} 3"),
        ("rate(c[10s])", 60, ""),
        ("scalar(c)", 60, "5"),
        ("scalar(m)", 60, "NaN"),
        ("vector(3)", 60, "{} 3"),
        ("round(c / 3, 0.5)", 60, "{} 1.5"),
        ("clamp(m, 3, 10)", 60, r#"{x="1", y="a"} 3; {x="2", y="a"} 4"#),
        ("clamp(m, 3, 1)", 60, ""),
        ("clamp_max(vector(NaN), 3)", 60, "{} NaN"),
        ("abs(floor(-c / 2))", 60, "{} 3"),
        ("rate({__name__=~\"c|d\"}[1m])", 60, "error: vector cannot contain metrics with the same labelset"),
        ("-{__name__=~\"c|d\"}", 60, "error: vector cannot contain metrics with the same labelset"),
        ("{__name__=~\"c|d\"} + 1", 60, "error: vector cannot contain metrics with the same labelset"),
    ];
    for (text, second, want) in cases {
        let got = shown(&fixture, text, second);
        assert_eq!(got, want, "{text} at {second}");
    }
    let errors = [
        ("n + on(y) m", "on the right hand-side"),
        ("m + on(y) n", "found duplicate series for the match group {} on the right hand-side"),
        ("m + on(y) group_right n", "on the left hand-side"),
        ("c + on() n", "found duplicate series for the match group {}"),
        ("m{x=~\"1|2\"} + on(y) m{x=\"1\"}", "multiple matches for labels: many-to-one matching must be explicit"),
        ("n * on() group_left(x) m{x=\"1\"}", "same labelset"),
    ];
    for (text, want) in errors {
        let got = shown(&fixture, text, 60);
        assert!(got.starts_with("error: ") && got.contains(want), "{text}: {got}");
    }
}

const SPREAD: &str =
    "{namespace=\"a\", workload=\"Deployment/api\"} 1; {namespace=\"canary\", workload=\"Deployment/web\"} 1";
const CALM: &str =
    "{__name__=\"whyd_pod_info\", namespace=\"a\", pod=\"calm-1\", team=\"a\", workload=\"Deployment/calm\"} 1";

#[test]
fn whyds_own_series_follow_the_ledger() {
    // Rows of `Fixture`: web-1/web ended at 10 and 20, i-1 was open from 10 to 70.
    let fixture = Fixture::default();
    let active = "{__name__=\"whyd_incident_active\", cause=\"oom-limit\", incident_id=\"i-1\", namespace=\"a\", root=\"Deployment/web\", severity=\"critical\", team=\"a\", workload=\"Deployment/web\"} 1";
    // Of two at one instant the greater stands.
    let score = "{__name__=\"whyd_anomaly_score\", container=\"web\", metric=\"container_memory_working_set_bytes\", namespace=\"a\", pod=\"web-1\", team=\"a\"} 2.5";
    let cases = [
        ("whyd_incident_active{incident_id=\"i-1\"}", 9, ""),
        ("whyd_incident_active{incident_id=\"i-1\"}", 10, active),
        ("whyd_incident_active{incident_id=\"i-1\"}", 69, active),
        ("whyd_incident_active{incident_id=\"i-1\"}", 70, ""),
        // One series for each workload that it touches.
        ("count(count by (incident_id) (whyd_incident_active))", 60, "{} 4"),
        ("count by (namespace, workload) (whyd_incident_active{incident_id=\"i-spread\"})", 60, SPREAD),
        ("whyd_pod_info{namespace=\"a\",pod=\"calm-1\"}", 60, CALM),
        ("count by (team) (whyd_pod_info{pod=\"web-1\",team=\"a\"})", 60, "{team=\"a\"} 1"),
        (
            "whyd_incident_start_ms{incident_id=\"i-1\"} - 1790000010000",
            60,
            &active.replace("__name__=\"whyd_incident_active\", ", "").replace(" 1", " 0"),
        ),
        ("sum(whyd_restart_total{pod=\"web-1\",namespace=\"a\",container=\"web\"})", 9, "{} 0"),
        ("sum(whyd_restart_total{pod=\"web-1\",namespace=\"a\",container=\"web\"})", 10, "{} 1"),
        ("sum(whyd_restart_total{pod=\"web-1\",namespace=\"a\",container=\"web\"})", 300, "{} 2"),
        ("round(sum(increase(whyd_restart_total{pod=\"web-1\",namespace=\"a\",container=\"web\"}[5m])))", 120, "{} 2"),
        ("whyd_restart_total", 901, ""),
        ("whyd_anomaly_score{namespace=\"a\"}", 9, ""),
        ("whyd_anomaly_score{namespace=\"a\"}", 24, score),
        ("max(whyd_anomaly_score{namespace=\"a\"})", 25, "{} 3"),
        (
            "max_over_time(whyd_anomaly_score{namespace=\"a\"}[1m]) > 2.9",
            60,
            &score.replace("__name__=\"whyd_anomaly_score\", ", "").replace("2.5", "3"),
        ),
        ("whyd_anomaly_score{namespace=\"a\"}", 326, ""),
    ];
    for (text, second, want) in cases {
        assert_eq!(shown(&fixture, text, second), want, "{text} at {second}");
    }
}

#[test]
fn a_score_stays_while_it_goes_on() {
    let mut fixture = Fixture::default();
    let open = &mut Arc::make_mut(&mut fixture.anomalies[0]);
    (open.score, open.until) = (2.0, at(900));
    let score = "max(whyd_anomaly_score{namespace=\"a\"})";
    for (second, want) in [(24, "{} 2.5"), (26, "{} 3"), (324, "{} 3"), (326, "{} 2"), (900, "{} 2"), (1199, "{} 2")] {
        assert_eq!(shown(&fixture, score, second), want, "at {second}");
    }
    assert_eq!(shown(&fixture, score, 1200), "");
    assert_eq!(
        shown(&fixture, "min_over_time(whyd_anomaly_score{namespace=\"a\"}[5m])", 800).matches("} 2").count(),
        1
    );
}

#[test]
fn what_is_scraped_from_us_and_sent_back_counts_once() {
    let back = |name| sent(&[("__name__", name), ("instance", "whyd-0:8080"), ("incident_id", "i-1")], &[(0, 7.0)]);
    let mut fixture = Fixture::default();
    let all = "{__name__=~\"whyd_.+\"}";
    let before = shown(&fixture, all, 60);
    fixture.samples = Arc::new(own::OWN.iter().map(|(name, ..)| back(name)).collect());
    assert!(before.contains("whyd_incident_active") && before.contains("whyd_restart_total"), "{before}");
    assert_eq!(shown(&fixture, all, 60), before);
}

#[test]
fn a_suppressed_incident_is_not_active() {
    let mut fixture = Fixture::default();
    let hidden = Incident {
        suppressed_by: Some("known".into()),
        ..(**fixture.incidents.iter().find(|i| i.id == "i-1").unwrap()).clone()
    };
    let active =
        "count(whyd_incident_active{incident_id=\"i-1\"}) + count(whyd_incident_start_ms{incident_id=\"i-1\"})";
    assert_eq!(shown(&fixture, active, 30), "{} 2");
    fixture.incidents = vec![Arc::new(hidden)];
    assert_eq!(shown(&fixture, active, 30), "");
}

#[test]
fn a_range_of_eleven_thousand_steps_slides_over_the_samples() {
    let samples: Vec<(i64, f64)> = (0..11_000).map(|s| (s, (s % 500) as f64)).collect();
    let fixture = source((0..20).map(|n| sent(&[("__name__", "m"), ("n", &n.to_string())], &samples)).collect());
    let source = Source::new(&fixture, &Access::All, at(0), Stop::default());
    let start = at(0).nanos() / 1_000_000;
    let steps = Steps::range(start, start + 10_999_000, 1000);
    let began = std::time::Instant::now();
    let series = range(&source, &query("sum(rate(m[10m]))").unwrap(), steps).unwrap();
    assert_eq!(series[0].points.len(), 10_999);
    assert!(began.elapsed() < std::time::Duration::from_secs(5), "{:?}", began.elapsed());
}

#[test]
fn the_first_of_very_many_are_found_in_time() {
    let samples: Vec<(i64, f64)> = (0..40).map(|s| (s * 15, 1.0)).collect();
    let one = |n: i64| {
        let samples: Vec<(i64, f64)> = samples.iter().map(|(s, _)| (*s, ((n * 7919 + s) % 10_007) as f64)).collect();
        sent(&[("__name__", "m"), ("n", &n.to_string())], &samples)
    };
    let fixture = source((0..40_000).map(one).collect());
    let source = Source::new(&fixture, &Access::All, at(0), Stop::default());
    let start = at(0).nanos() / 1_000_000;
    let steps = Steps::range(start, start + 585_000, 15_000);
    let began = std::time::Instant::now();
    for (text, points) in [("topk(40000, m)", 1_600_000), ("bottomk(20000, m)", 800_000), ("topk(3, m)", 120)] {
        let series = range(&source, &query(text).unwrap(), steps).unwrap();
        assert_eq!(series.iter().map(|s| s.points.len()).sum::<usize>(), points, "{text}");
    }
    assert!(began.elapsed() < std::time::Duration::from_secs(60), "{:?}", began.elapsed());
}

#[test]
fn whyds_own_series_are_bounded_and_made_once() {
    let end = |n: usize| Arc::new(restart("a", "web", &format!("web-{n}"), "web", 10));
    let fixture = Fixture { restarts: (0..50_001).map(end).collect(), ..Fixture::default() };
    let why = shown(&fixture, "whyd_restart_total", 30);
    assert_eq!(why, "error: query processing would load too many series: more than 50000");
    assert_eq!(shown(&fixture, "whyd_restart_total{pod=\"web-7\"} > 9", 30), "");
    let stop = Stop::default();
    let source = Source::new(&fixture, &Access::All, at(600), stop.clone());
    let matchers = selector("whyd_restart_total{pod=\"web-7\"}", &mut Budget::default()).unwrap();
    let all = (i64::MIN, i64::MAX);
    let began = std::time::Instant::now();
    for _ in 0..100 {
        assert_eq!(source.find(&matchers, all).unwrap().len(), 1);
    }
    assert!(began.elapsed() < std::time::Duration::from_secs(60), "{:?}", began.elapsed());
    stop.set();
    assert!(matches!(source.find(&matchers, all), Err(Error::Canceled(_))));
    let fresh = Source::new(&fixture, &Access::All, at(600), stop);
    assert!(matches!(fresh.find(&matchers, all), Err(Error::Canceled(_))));
}

#[test]
fn what_is_too_much_or_no_longer_waited_for_ends() {
    let samples: Vec<(i64, f64)> = (0..11_000).map(|s| (s, 1.0)).collect();
    let fixture = source((0..500).map(|n| sent(&[("__name__", "m"), ("n", &n.to_string())], &samples)).collect());
    let start = at(0).nanos() / 1_000_000;
    let steps = Steps::range(start, start + 10_999_000, 1000);
    let expr = query("m").unwrap();
    let source = Source::new(&fixture, &Access::All, at(0), Stop::default());
    let why = range(&source, &expr, steps).unwrap_err().to_string();
    assert!(why.starts_with("query processing would load too many samples"), "{why}");
    let stop = Stop::default();
    stop.set();
    let source = Source::new(&fixture, &Access::All, at(0), stop);
    assert_eq!(range(&source, &expr, steps), Err(Error::Canceled("expression evaluation")));
}
