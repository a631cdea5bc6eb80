#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use whyd_signals::{SeriesId, Team, TemplateId};

use super::*;
use crate::detector::robust::Direction;
use crate::detector::synthetic::Noise;

const MIB: f64 = 1_048_576.0;
const HOUR: f64 = 3600.0;

struct Case {
    name: &'static str,
    metric: &'static str,
    limit: Option<f64>,
    hours: f64,
    /// The value of a gauge, the rate of a counter.
    value: fn(f64, &mut Noise) -> f64,
    /// The second at which it is told at the latest, after when, and a part of the text.
    expected: Option<(f64, f64, &'static str)>,
}

fn run(case: &Case, step: f64, seed: u64) -> Vec<Anomaly> {
    let mut detectors = Detectors::new(Config::default());
    let mut noise = Noise::new(seed);
    let team = Team::new("demo");
    let watched = detectors.watches(case.metric).unwrap();
    let key = SeriesKey {
        id: SeriesId(7),
        team: &team,
        namespace: "shop",
        pod: "cart-0",
        container: "cart",
        watched: &watched,
        workload: 1,
    };
    let (mut s, mut count) = (0.0, 0.0);
    let mut found = Vec::new();
    while s < case.hours * HOUR {
        let value = (case.value)(s, &mut noise);
        count += value.max(0.0) * step;
        let sample = if watched.kind == Kind::Counter { count } else { value };
        let ts = Timestamp((s * 1e9) as i64);
        found.extend(detectors.observe_sample(&key, case.limit, (ts, sample), &()));
        detectors.tick(ts);
        s += step;
    }
    found
}

fn check(case: &Case) {
    for step in [5.0, 15.0, 60.0] {
        for seed in 1..=3 {
            let found = run(case, step, seed);
            let told = format!("{}, step {step}, seed {seed}: {found:#?}", case.name);
            match case.expected {
                None => assert!(found.is_empty(), "{told}"),
                Some((from, to, text)) => {
                    assert_eq!(found.len(), 1, "{told}");
                    let at = found[0].ts.0 as f64 / 1e9;
                    assert!((from..=to + 2.0 * step).contains(&at), "{told}");
                    assert!(found[0].text.contains(text) && found[0].score > 1.0, "{told}");
                }
            }
        }
    }
}

#[test]
fn health() {
    let cases: &[Case] = &[
        Case {
            name: "constant memory",
            metric: "container_memory_working_set_bytes",
            limit: Some(256.0 * MIB),
            hours: 24.0,
            value: |_, _| 100.0 * MIB,
            expected: None,
        },
        Case {
            name: "collected memory",
            metric: "container_memory_working_set_bytes",
            limit: Some(256.0 * MIB),
            hours: 24.0,
            value: |s, n| (80.0 + (s % 700.0) / 7.0 + n.normal()) * MIB,
            expected: None,
        },
        Case {
            name: "memory of a start",
            metric: "container_memory_working_set_bytes",
            limit: Some(256.0 * MIB),
            hours: 12.0,
            value: |s, n| ((10.0 + s).min(160.0) + n.normal()) * MIB,
            expected: None,
        },
        Case {
            name: "busy CPU",
            metric: "container_cpu_usage_seconds_total",
            limit: None,
            hours: 24.0,
            value: |s, n| 0.4 + 0.2 * (s / 900.0).sin() + 0.05 * n.normal(),
            expected: None,
        },
        Case {
            name: "idle CPU",
            metric: "container_cpu_usage_seconds_total",
            limit: None,
            hours: 24.0,
            value: |_, n| 0.002 * (0.8 * n.normal()).exp(),
            expected: None,
        },
        Case {
            name: "a packet lost now and then",
            metric: "container_network_receive_errors_total",
            limit: None,
            hours: 24.0,
            value: |_, n| n.poisson(0.02) as f64 / 15.0,
            expected: None,
        },
        Case {
            name: "node memory",
            metric: "node_memory_MemAvailable_bytes",
            limit: None,
            hours: 24.0,
            value: |s, n| (8000.0 + 900.0 * (s / 5000.0).sin() + 100.0 * n.normal()) * MIB,
            expected: None,
        },
    ];
    cases.iter().for_each(check);
}

#[test]
fn faults() {
    let cases: &[Case] = &[
        Case {
            name: "memory step",
            metric: "container_memory_working_set_bytes",
            limit: None,
            hours: 2.2,
            value: |s, n| (n.normal() + if s < 2.0 * HOUR { 100.0 } else { 310.0 }) * MIB,
            expected: Some((2.0 * HOUR, 2.0 * HOUR, "memory working set 3.1x its usual")),
        },
        Case {
            name: "leak from the start, without a past",
            metric: "container_memory_working_set_bytes",
            limit: Some(256.0 * MIB),
            hours: 0.149,
            value: |s, n| (20.0 + s * 0.44 + 0.2 * n.normal()) * MIB,
            expected: Some((300.0, 390.0, "of its limit and climbing 4")),
        },
        Case {
            name: "busy loop",
            metric: "container_cpu_usage_seconds_total",
            limit: None,
            hours: 2.2,
            value: |s, n| if s < 2.0 * HOUR { 0.2 + 0.02 * n.normal() } else { 1.0 },
            expected: Some((2.0 * HOUR, 2.0 * HOUR, "CPU usage")),
        },
        Case {
            name: "network errors",
            metric: "container_network_receive_errors_total",
            limit: None,
            hours: 2.2,
            value: |s, _| if s < 2.0 * HOUR { 0.0 } else { 5.0 },
            expected: Some((2.0 * HOUR, 2.0 * HOUR, "network receive errors 5/s, usually 0/s")),
        },
        Case {
            name: "node out of memory",
            metric: "node_memory_MemAvailable_bytes",
            limit: None,
            hours: 2.2,
            value: |s, n| (100.0 * n.normal() + if s < 2.0 * HOUR { 8000.0 } else { 700.0 }) * MIB,
            expected: Some((2.0 * HOUR, 2.0 * HOUR, "memory left on the node at")),
        },
    ];
    cases.iter().for_each(check);
}

#[test]
fn what_began_well_before_it_was_told_says_since_when() {
    let case = Case {
        name: "more, then too much",
        metric: "container_memory_working_set_bytes",
        limit: None,
        hours: 2.5,
        value: |s, n| {
            let more = if s < 2.0 * HOUR { 0.0 } else { 15.0 };
            (n.normal() + if s < 2.4 * HOUR { 100.0 + more } else { 300.0 }) * MIB
        },
        expected: None,
    };
    for seed in 1..=3 {
        let found = run(&case, 15.0, seed);
        assert_eq!(found.len(), 1, "seed {seed}: {found:?}");
        assert!(found[0].ts.0 >= 144 * 60_000_000_000, "{found:?}");
        assert!(found[0].text.ends_with(", since 02:00 UTC"), "{found:?}");
    }
}

#[test]
fn what_is_not_watched_gives_nothing_and_bounds_hold() {
    let team = Team::platform();
    let mut detectors = Detectors::new(Config { series: 2, streams: 1, ..Config::default() });
    assert_eq!(detectors.watches("up"), None);
    let memory = detectors.watches("container_memory_working_set_bytes").unwrap();
    let key = |id, container| SeriesKey {
        id: SeriesId(id),
        team: &team,
        namespace: "a",
        pod: "p",
        container,
        watched: &memory,
        workload: u64::from(id),
    };
    for s in 0..1000 {
        // The sums over the pod are none and take no place.
        for (id, container) in [(1, ""), (2, "POD"), (3, "c"), (4, "d"), (5, "e")] {
            let value = if s < 500 || id > 2 { 1e8 } else { 1e10 };
            let key = key(id, container);
            assert_eq!(detectors.observe_sample(&key, None, (Timestamp(s * 15_000_000_000), value), &()), None);
        }
    }
    let line = |group| LineKey { group, team: &team, namespace: "a", pod: "p", container: "c" };
    let three = [Line { ts: Timestamp(1), is_error: false, template: TemplateId(1) }; 3].into_iter();
    detectors.observe_lines(&line(1), Timestamp(1), three.clone(), &|_| None, |_| ());
    detectors.observe_lines(&line(2), Timestamp(1), three, &|_| None, |_| ());
    let stats = detectors.stats();
    assert_eq!((stats.series, stats.streams, stats.refused_samples, stats.refused_lines), (2, 1, 1000, 3));
    // One goes on, and so do the lines of a group; the rest is idle.
    for minute in 0..1500 {
        let ts = Timestamp((250 + minute) * 60_000_000_000);
        detectors.observe_sample(&key(3, "c"), None, (ts, 1e8), &());
        let one = [Line { ts, is_error: false, template: TemplateId(1) }].into_iter();
        detectors.observe_lines(&line(1), ts, one, &|_| None, |_| ());
        detectors.tick(ts);
    }
    assert_eq!((detectors.stats().series, detectors.stats().streams, detectors.stats().evicted), (1, 1, 1));
}

#[test]
fn neither_an_outage_nor_a_leap_of_the_clock_makes_idle() {
    let mut detectors = Detectors::new(Config::default());
    feed(&mut detectors, (1, "container_threads"), 0..30);
    // The driver's clock leaps by a day, and comes back.
    detectors.tick(Timestamp(1470 * 60_000_000_000));
    feed(&mut detectors, (1, "container_threads"), 31..60);
    // Nobody is heard for five hours.
    for second in 3600..18_000 {
        detectors.tick(Timestamp(second * 1_000_000_000));
    }
    // Nor does whyd live for ten.
    let mut resumed = Detectors::new(Config::default());
    resumed.resume(detectors.learnt());
    feed(&mut resumed, (2, "container_threads"), 1000..1090);
    assert_eq!((resumed.stats().series, resumed.stats().evicted), (2, 0));
    // Nor is one of two sources away for a night. Then the first is silent for a day in which the second is not.
    feed(&mut resumed, (2, "container_threads"), 1090..1090 + 12 * 60);
    assert_eq!((resumed.stats().series, resumed.stats().evicted), (2, 0));
    feed(&mut resumed, (2, "container_threads"), 1090 + 12 * 60..1090 + 24 * 60);
    assert_eq!((resumed.stats().series, resumed.stats().evicted), (1, 1));
}

#[test]
fn a_sample_that_is_not_newer_is_counted() {
    let mut detectors = Detectors::new(Config::default());
    feed(&mut detectors, (1, "container_threads"), 0..3);
    feed(&mut detectors, (1, "container_threads"), 1..3);
    assert_eq!((detectors.stats().judged, detectors.stats().late_samples), (3, 2));
}

#[test]
fn a_group_is_counted_where_there_is_no_room_for_what_it_says() {
    let team = Team::new("demo");
    let bytes = 13 * Detectors::KINDS_BYTES;
    let mut detectors = Detectors::new(Config { bytes, ..Config::default() });
    let line = [Line { ts: Timestamp(1), is_error: false, template: TemplateId(1) }; 2].into_iter();
    for group in 1..=2 {
        let key = LineKey { group, team: &team, namespace: "a", pod: "p", container: "c" };
        detectors.observe_lines(&key, Timestamp(1), line.clone(), &|_| None, |_| ());
    }
    let stats = detectors.stats();
    assert_eq!((stats.streams, stats.refused_lines, stats.refused_kinds), (2, 0, 2));
    // By default all groups are counted.
    let counted = Config::default().bytes / 100 * learnt::STREAMS_PERCENT / Detectors::STREAM_BYTES;
    assert!(counted > Config::default().streams, "{counted}");
}

#[test]
fn an_error_burst_is_told_once() {
    let team = Team::new("demo");
    let mut detectors = Detectors::new(Config::default());
    let key = LineKey { group: 1, team: &team, namespace: "shop", pod: "cart-0", container: "cart" };
    let mut found = Vec::new();
    for s in 0..3700i64 {
        let errors = if s >= 3600 { 5 } else { 0 };
        for i in 0..3 + errors {
            let template = TemplateId(u64::from(i < errors));
            let one = Line { ts: Timestamp(s * 1_000_000_000 + i), is_error: i < errors, template };
            detectors.observe_lines(&key, one.ts, std::iter::once(one), &|_| None, |anomaly| found.push(anomaly));
        }
    }
    let told: Vec<_> = found.iter().map(|a| (a.metric.as_str(), a.text.as_str())).collect();
    let (metric, text) = told[0];
    assert_eq!(metric, "log_errors");
    assert!(text.starts_with("error lines: ") && text.ends_with(", usually none"), "{text}");
    assert_eq!(told.iter().filter(|(m, _)| *m == "log_errors").count(), 1);
    assert!(found[0].ts.0 < 3610 * 1_000_000_000);
}

/// Feeds days of a container's CPU usage, a value a minute; what is told, with the day, hour and minute.
fn days_of(
    detectors: &mut Detectors,
    id: u32,
    days: std::ops::Range<i64>,
    cores: impl Fn(i64, i64) -> f64,
) -> Vec<(i64, i64, String)> {
    let team = Team::new("demo");
    let key = SeriesKey {
        id: SeriesId(id),
        team: &team,
        namespace: "shop",
        pod: "cart",
        container: "cart",
        watched: &detectors.watches("container_cpu_usage_seconds_total").unwrap(),
        workload: 7,
    };
    let (mut noise, mut count, mut found) = (Noise::new(u64::from(id)), 0.0, Vec::new());
    for minute in days.start * 1440..days.end * 1440 {
        count += (cores(minute / 1440, minute % 1440) + 0.01 * noise.normal()).max(0.0) * 60.0;
        let told = detectors.observe_sample(&key, None, (Timestamp(minute * 60_000_000_000), count), &());
        found.extend(told.map(|anomaly| (minute / 1440, minute % 1440, anomaly.text)));
    }
    found
}

/// A working day from eight to six, and work at three in the night of the ninth day.
fn working_day(day: i64, minute: i64) -> f64 {
    let work = (480..1080).contains(&minute);
    if work || (day == 9 && (180..210).contains(&minute)) { 1.0 } else { 0.1 }
}

#[test]
fn what_happens_each_day_is_told_until_it_is_known_and_by_night_is_told_with_its_hour() {
    let mut detectors = Detectors::new(Config::default());
    let found = days_of(&mut detectors, 1, 0..10, working_day);
    assert!(found.iter().any(|(day, ..)| *day == 0), "the first morning is no usual one: {found:?}");
    assert!(!found.iter().any(|(day, ..)| (4..9).contains(day)), "days that are known: {found:?}");
    let (_, minute, text) = found.iter().find(|(day, ..)| *day == 9).unwrap();
    assert!((180..184).contains(minute), "{found:?}");
    // The epoch's ninth day was a Saturday.
    assert!(text.contains("for Saturday 03:0"), "{text}");
}

#[test]
fn a_new_pod_knows_its_workloads_days_and_a_new_workload_does_not() {
    let mut detectors = Detectors::new(Config::default());
    days_of(&mut detectors, 1, 0..6, working_day);
    assert_eq!(detectors.stats().baselines, 1);
    let of_next = days_of(&mut detectors, 2, 6..8, working_day);
    assert!(of_next.is_empty(), "{of_next:?}");
    let mut other = Detectors::new(Config::default());
    assert!(!days_of(&mut other, 2, 6..8, working_day).is_empty());
    // What is known outlives the detectors that learnt it.
    let mut resumed = Detectors::new(Config::default());
    resumed.resume(detectors.learnt());
    assert!(days_of(&mut resumed, 3, 8..9, working_day).is_empty());
}

#[test]
fn a_pod_that_becomes_known_later_knows_its_workloads_days_from_then_on() {
    let mut detectors = Detectors::new(Config::default());
    days_of(&mut detectors, 1, 0..6, working_day);
    let (team, watched) = (Team::new("demo"), detectors.watches("container_cpu_usage_seconds_total").unwrap());
    let first = |workload| SeriesKey {
        id: SeriesId(2),
        team: &team,
        namespace: "shop",
        pod: "cart",
        container: "cart",
        watched: &watched,
        workload,
    };
    detectors.observe_sample(&first(99), None, (Timestamp((6 * 1440 - 2) * 60_000_000_000), 0.0), &());
    detectors.observe_sample(&first(99), None, (Timestamp((6 * 1440 - 1) * 60_000_000_000), 6.0), &());
    let of_next = days_of(&mut detectors, 2, 6..8, working_day);
    assert!(of_next.is_empty(), "{of_next:?}");
}

#[test]
fn a_limit_that_becomes_known_later_is_held_against_what_came_before() {
    let mut detectors = Detectors::new(Config::default());
    let (team, watched) = (Team::new("demo"), detectors.watches("container_memory_working_set_bytes").unwrap());
    let key = SeriesKey {
        id: SeriesId(2),
        team: &team,
        namespace: "shop",
        pod: "cart",
        container: "cart",
        watched: &watched,
        workload: 7,
    };
    let values: Vec<_> = (0..8).map(|n| (Timestamp(n * 10_000_000_000), (20.0 + 10.0 * n as f64) * MIB)).collect();
    for (ts, value) in &values {
        assert_eq!(detectors.observe_sample(&key, None, (*ts, *value), &()), None);
    }
    let found = detectors.learn_limit(&key, 100.0 * MIB, values.iter().copied(), &()).unwrap();
    assert_eq!(found.ts, Timestamp(60_000_000_000));
    assert!(found.text.starts_with("memory working set at 80 % of its limit and climbing"), "{}", found.text);
    assert_eq!(detectors.learn_limit(&key, 100.0 * MIB, values.into_iter(), &()), None, "it is told once");
}

/// Feeds one series of a gauge for some minutes.
fn feed(detectors: &mut Detectors, (id, metric): (u32, &str), minutes: std::ops::Range<i64>) -> Vec<Anomaly> {
    let (team, watched) = (Team::new("demo"), detectors.watches(metric).unwrap());
    let key = SeriesKey {
        id: SeriesId(id),
        team: &team,
        namespace: "shop",
        pod: "cart-0",
        container: "cart",
        watched: &watched,
        workload: 7,
    };
    let mut found = Vec::new();
    for minute in minutes {
        found.extend(detectors.observe_sample(&key, None, (Timestamp(minute * 60_000_000_000), 100.0), &()));
        detectors.tick(Timestamp(minute * 60_000_000_000));
    }
    found
}

#[test]
fn what_programs_tell_of_themselves_takes_a_part_of_the_room_and_no_more() {
    let asked = Watched::asked("jobs_waiting".to_owned(), Kind::Gauge, (Direction::Above, 0.0), false);
    let mut detectors = Detectors::new(Config { series: 8, asked: vec![asked], ..Config::default() });
    for id in 0..6 {
        feed(&mut detectors, (id, "jobs_waiting"), 0..2);
    }
    assert_eq!((detectors.stats().series, detectors.stats().refused_samples), (2, 8));
    for id in 10..20 {
        feed(&mut detectors, (id, "container_threads"), 0..1);
    }
    assert_eq!((detectors.stats().series, detectors.stats().refused_samples), (8, 12));
    assert_eq!(detectors.stats().judged, 10);
}

#[test]
fn a_series_says_what_it_is_judged_by() {
    let mut detectors = Detectors::new(Config::default());
    let standing = |detectors: &Detectors| detectors.standings().concat()[0];
    let minute = |n: i64| Timestamp(n * 60_000_000_000);
    feed(&mut detectors, (1, "container_threads"), 30..33);
    let learning = standing(&detectors);
    assert_eq!((learning.series, learning.since, learning.usual), (SeriesId(1), minute(30), None));
    assert_eq!((learning.basis, learning.learnt_at), (Basis::Learning, minute(40)));
    feed(&mut detectors, (1, "container_threads"), 33..41);
    assert_eq!((standing(&detectors).basis, standing(&detectors).usual), (Basis::Hours, Some(100.0)));
    feed(&mut detectors, (1, "container_threads"), 41..1600);
    assert_eq!((standing(&detectors).basis, standing(&detectors).since), (Basis::Days, minute(30)));
    // The workload's next pod learns how it starts, and knows the days of the one before.
    feed(&mut detectors, (2, "container_threads"), 1600..1601);
    let next = detectors.standings().concat()[1];
    assert_eq!((next.basis, next.since), (Basis::Learning, minute(1600)));
    feed(&mut detectors, (2, "container_threads"), 1601..1612);
    let next = detectors.standings().concat()[1];
    assert_eq!((next.basis, next.since), (Basis::Days, minute(30)));
}

#[test]
fn how_series_stand_is_known_of_all_after_five_ticks() {
    let mut detectors = Detectors::new(Config { bytes: 1 << 30, ..Config::default() });
    let (team, threads) = (Team::new("demo"), detectors.watches("container_threads").unwrap());
    for id in 0..20_000u32 {
        let key = SeriesKey {
            id: SeriesId(id),
            team: &team,
            namespace: "shop",
            pod: "cart-0",
            container: "cart",
            watched: &threads,
            workload: u64::from(id),
        };
        detectors.observe_sample(&key, None, (Timestamp(1), 5.0), &());
    }
    for second in 0..5 {
        detectors.tick(Timestamp(second * 1_000_000_000));
    }
    assert_eq!(detectors.standings().concat().len(), 20_000);
}

#[test]
fn a_metric_that_is_asked_for_is_told_where_it_is_off_what_is_usual() {
    let asked = Watched::asked("jobs".to_owned(), Kind::Gauge, (Direction::Both, 0.0), true);
    let mut detectors = Detectors::new(Config { asked: vec![asked], ..Config::default() });
    let (team, watched) = (Team::new("demo"), detectors.watches("jobs").unwrap());
    let key = SeriesKey {
        id: SeriesId(1),
        team: &team,
        namespace: "shop",
        pod: "cart-0",
        container: "cart",
        watched: &watched,
        workload: 7,
    };
    let mut found = Vec::new();
    for minute in 0..150 {
        let value = if minute < 120 { 1000.0 } else { 1500.0 };
        found.extend(detectors.observe_sample(&key, None, (Timestamp(minute * 60_000_000_000), value), &()));
    }
    assert_eq!(found.len(), 1, "{found:?}");
}

#[test]
fn a_metric_that_is_read_otherwise_begins_anew() {
    let with = |kind| {
        let asked = Watched::asked("jobs".to_owned(), kind, (Direction::Both, 0.0), true);
        Detectors::new(Config { asked: vec![asked], ..Config::default() })
    };
    let mut gauge = with(Kind::Gauge);
    feed(&mut gauge, (1, "jobs"), 0..60);
    let mut counter = with(Kind::Counter);
    counter.resume(gauge.learnt());
    feed(&mut counter, (1, "jobs"), 60..64);
    let standing = counter.standings().concat()[0];
    assert_eq!((standing.since, standing.usual), (Timestamp(61 * 60_000_000_000), None));
}
