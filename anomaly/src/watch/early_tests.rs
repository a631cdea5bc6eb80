#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
//! What is told of a series in its first minutes.

use whyd_signals::SeriesId;

use whyd_signals::Team;

use super::*;
use crate::detector::synthetic::Noise;

const MIB: f64 = 1_048_576.0;
const MEMORY: &str = "container_memory_working_set_bytes";
const CPU: &str = "container_cpu_usage_seconds_total";
const ERRORS: &str = "container_network_receive_errors_total";

struct Case {
    name: &'static str,
    metric: &'static str,
    limit: Option<f64>,
    /// The value of a gauge, the rate of a counter.
    value: fn(f64, &mut Noise) -> f64,
}

/// What is told in the first eight minutes, with the second, of a series scraped every `step` seconds, but for `gap`.
fn told(case: &Case, (step, seed): (f64, u64), gap: std::ops::Range<f64>) -> Vec<(f64, Anomaly)> {
    let (mut detectors, mut noise) = (Detectors::new(Config::default()), Noise::new(seed));
    let (team, watched) = (Team::new("demo"), detectors.watches(case.metric).unwrap());
    let key = SeriesKey {
        id: SeriesId(7),
        team: &team,
        namespace: "shop",
        pod: "cart-0",
        container: "cart",
        watched: &watched,
        workload: 1,
    };
    let (mut s, mut count, mut found) = (0.0, 0.0, Vec::new());
    while s < 480.0 {
        let value = (case.value)(s, &mut noise);
        // A counter that is worth nothing begins anew: a restart.
        count = if value < 0.0 { 0.0 } else { count + value * step };
        let sample = if watched.kind == Kind::Counter { count } else { value.max(0.0) };
        if !gap.contains(&s) {
            let ts = Timestamp(1_000_000_000_000 + (s * 1e9) as i64);
            found.extend(detectors.observe_sample(&key, case.limit, (ts, sample), &()).map(|anomaly| (s, anomaly)));
        }
        s += step;
    }
    found
}

#[test]
fn a_sudden_step_is_told_within_two_values_and_says_how_little_is_known() {
    let cases = [
        (
            Case {
                name: "memory of a limit",
                metric: MEMORY,
                limit: Some(128.0 * MIB),
                value: |s, n| (2.0 + 0.1 * n.normal() + if s < 90.0 { 0.0 } else { 80.0 }) * MIB,
            },
            "memory working set",
        ),
        (
            Case {
                name: "memory without a limit",
                metric: MEMORY,
                limit: None,
                value: |s, n| (20.0 + n.normal() + if s < 90.0 { 0.0 } else { 200.0 }) * MIB,
            },
            "memory working set",
        ),
        (
            Case {
                name: "a busy loop",
                metric: CPU,
                limit: None,
                value: |s, n| (0.01 * n.normal()).abs() + if s <= 90.0 { 0.01 } else { 1.0 },
            },
            "CPU usage",
        ),
        (
            Case { name: "errors", metric: ERRORS, limit: None, value: |s, _| if s <= 90.0 { 0.0 } else { 5.0 } },
            "network receive errors 5/s, usually 0/s, seen for ",
        ),
    ];
    for (case, text) in &cases {
        for step in [5.0, 10.0, 15.0] {
            for seed in 1..=5 {
                let found = told(case, (step, seed), 0.0..0.0);
                let all = format!("{}, step {step}, seed {seed}: {found:?}", case.name);
                assert_eq!(found.len(), 1, "{all}");
                let (at, anomaly) = &found[0];
                assert!((90.0..=90.0 + 2.0 * step).contains(at), "{all}");
                assert!(anomaly.text.starts_with(text) && anomaly.text.contains(", seen for "), "{all}");
                assert!(anomaly.text.ends_with(" s only") && anomaly.score > 1.0, "{all}");
            }
        }
    }
}

#[test]
fn starts_restarts_gaps_and_noise_are_not_told() {
    let case = |name, metric, limit, value| Case { name, metric, limit, value };
    let limit = Some(128.0 * MIB);
    let healthy = [
        case("a program that loads what it needs", MEMORY, limit, |s, n| ((3.0 * s).min(80.0) + n.normal()) * MIB),
        case("one that does so half a minute after its start", MEMORY, limit, |s, _| {
            if s < 25.0 { 2.0 * MIB } else { 80.0 * MIB }
        }),
        case("one that fills its cache", MEMORY, limit, |s, n| {
            (20.0 + 70.0 * (1.0 - (-s / 120.0).exp()) + n.normal()) * MIB
        }),
        case("memory that is collected", MEMORY, limit, |s, n| (40.0 + (s % 60.0) + n.normal()) * MIB),
        case("a step to less than half of the limit", MEMORY, limit, |s, _| if s < 90.0 { MIB } else { 60.0 * MIB }),
        case("a step that is little in bytes", MEMORY, None, |s, _| if s < 90.0 { MIB } else { 40.0 * MIB }),
        case("memory that is given back", MEMORY, limit, |s, _| if s < 90.0 { 80.0 * MIB } else { MIB }),
        case("a busy start", CPU, None, |s, _| if s < 20.0 { 1.0 } else { 0.02 }),
        case("restarts, each with a busy start", CPU, None, |s, _| match s % 120.0 {
            t if t < 5.0 => -1.0,
            t if t < 20.0 => 0.6,
            _ => 0.02,
        }),
        case("noise", CPU, None, |_, n| 0.2 + 0.1 * n.normal().abs()),
        case("work that comes and goes", CPU, None, |s, _| if s % 40.0 < 20.0 { 0.5 } else { 0.01 }),
        case("half a core's fifth", CPU, None, |s, _| if s < 90.0 { 0.001 } else { 0.1 }),
        case("a lost packet", ERRORS, None, |s, n| if s > 60.0 { n.poisson(0.05) as f64 / 5.0 } else { 0.0 }),
    ];
    for case in &healthy {
        for step in [5.0, 10.0, 15.0] {
            for seed in 1..=5 {
                for gap in [0.0..0.0, 60.0..130.0, 10.0..40.0] {
                    let found = told(case, (step, seed), gap.clone());
                    assert!(found.is_empty(), "{}, step {step}, seed {seed}, gap {gap:?}: {found:?}", case.name);
                }
            }
        }
    }
}

#[test]
fn what_was_told_early_is_not_told_again_once_its_usual_is_known() {
    let case = Case {
        name: "memory that stays",
        metric: MEMORY,
        limit: Some(128.0 * MIB),
        value: |s, n| (2.0 + 0.1 * n.normal() + if s < 90.0 { 0.0 } else { 80.0 }) * MIB,
    };
    let (mut detectors, mut noise, mut found) = (Detectors::new(Config::default()), Noise::new(1), 0);
    let (team, watched) = (Team::new("demo"), detectors.watches(case.metric).unwrap());
    let key = SeriesKey {
        id: SeriesId(7),
        team: &team,
        namespace: "shop",
        pod: "cart-0",
        container: "cart",
        watched: &watched,
        workload: 1,
    };
    for n in 0..700i64 {
        let value = (case.value)(n as f64 * 5.0, &mut noise);
        let ts = Timestamp(1_000_000_000_000 + n * 5_000_000_000);
        found += usize::from(detectors.observe_sample(&key, case.limit, (ts, value), &()).is_some());
    }
    assert_eq!(found, 1);
}

/// Feeds the CPU usage of a pod that works after so many seconds, for ten minutes from then on; what is told.
fn works_after(
    detectors: &mut Detectors,
    (pod, begins): (u32, i64),
    (after, cores): (i64, f64),
    background: &dyn Background,
) -> Vec<Anomaly> {
    works_for(detectors, (pod, begins), (after, 400, cores), background)
}

fn works_for(
    detectors: &mut Detectors,
    (pod, begins): (u32, i64),
    (after, until, cores): (i64, i64, f64),
    background: &dyn Background,
) -> Vec<Anomaly> {
    let (team, watched) = (Team::new("demo"), detectors.watches(CPU).unwrap());
    let name = format!("cart-{pod}");
    let key = SeriesKey {
        id: SeriesId(pod),
        team: &team,
        namespace: "shop",
        pod: &name,
        container: "cart",
        watched: &watched,
        workload: 7,
    };
    let (mut count, mut found) = (0.0, Vec::new());
    for s in (0..until).step_by(15) {
        count += 15.0 * if s < after { 0.02 } else { cores };
        let ts = Timestamp(1_000_000_000_000 + (begins + s) * 1_000_000_000);
        found.extend(detectors.observe_sample(&key, None, (ts, count), background));
        detectors.tick(ts);
    }
    found
}

#[test]
fn what_pods_of_a_workload_come_to_is_told_of_the_first_two_and_known_of_the_next() {
    let mut detectors = Detectors::new(Config::default());
    let runs: Vec<usize> =
        (0..48).map(|n| works_after(&mut detectors, (n, i64::from(n) * 3600), (90, 0.95), &()).len()).collect();
    assert_eq!(runs.iter().sum::<usize>(), 2, "{runs:?}");
    assert_eq!(runs[..2], [1, 1]);
    // More than that is more than they come to.
    assert_eq!(works_after(&mut detectors, (100, 48 * 3600), (90, 2.0), &()).len(), 1);
    // What is known outlives the detectors that learnt it.
    let mut resumed = Detectors::new(Config::default());
    resumed.resume(detectors.learnt());
    assert!(works_after(&mut resumed, (101, 49 * 3600), (90, 0.95), &()).is_empty());
}

#[test]
fn what_one_pod_goes_on_with_for_most_of_an_hour_is_one_time() {
    let mut detectors = Detectors::new(Config::default());
    let runs: Vec<usize> =
        (0..4).map(|n| works_for(&mut detectors, (n, i64::from(n) * 7200), (90, 3000, 0.95), &()).len()).collect();
    assert_eq!(runs, [1, 1, 0, 0]);
}

#[test]
fn a_container_that_starts_again_and_again_is_told_until_it_did_so_at_two_times() {
    let mut detectors = Detectors::new(Config::default());
    // Each start has a series of its own.
    let found: Vec<usize> =
        (0..12).map(|n| works_for(&mut detectors, (n, i64::from(n) * 420), (90, 300, 0.95), &()).len()).collect();
    assert_eq!(found, [1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn two_pods_that_fail_in_the_same_minutes_are_both_told() {
    let mut detectors = Detectors::new(Config::default());
    let found: Vec<usize> = (0..4).map(|n| works_after(&mut detectors, (n, 0), (90, 0.95), &()).len()).collect();
    assert_eq!(found, [1; 4]);
}

#[test]
fn a_new_pod_does_what_its_sibling_has_done_for_days() {
    let mut detectors = Detectors::new(Config::default());
    let (team, watched, mut noise) = (Team::new("demo"), detectors.watches(CPU).unwrap(), Noise::new(3));
    let sibling = SeriesKey {
        id: SeriesId(1),
        team: &team,
        namespace: "shop",
        pod: "cart-0",
        container: "cart",
        watched: &watched,
        workload: 7,
    };
    let mut count = 0.0;
    for n in 0..2 * 1440 {
        count += 60.0 * (0.9 + 0.05 * noise.normal());
        let ts = Timestamp(1_000_000_000_000 + n * 60_000_000_000);
        assert_eq!(detectors.observe_sample(&sibling, None, (ts, count), &()), None);
    }
    assert!(works_after(&mut detectors, (2, 2 * 86_400), (75, 0.9), &()).is_empty());
    assert_eq!(works_after(&mut detectors, (3, 2 * 86_400), (75, 3.0), &()).len(), 1);
}

/// What is known of a pod that is ready since then, or not yet, and was scraped since then.
struct Pod(Readiness, Option<Timestamp>);

impl Background for Pod {
    fn readiness(&self) -> Readiness {
        self.0
    }

    fn runs_to_its_end(&self) -> bool {
        false
    }

    fn scraped_without_it_since(&self) -> Option<Timestamp> {
        self.1
    }
}

#[test]
fn a_start_goes_on_until_well_after_the_pod_is_ready() {
    let at = |s: i64| Timestamp(1_000_000_000_000 + s * 1_000_000_000);
    let told = |after: i64, readiness: Readiness| {
        works_after(&mut Detectors::new(Config::default()), (1, 0), (after, 0.9), &Pod(readiness, None)).len()
    };
    assert_eq!(told(90, Readiness::Unknown), 1);
    assert_eq!(told(90, Readiness::NotYet), 0, "it loads what it needs");
    assert_eq!(told(90, Readiness::Since(at(75))), 0, "its first work");
    assert_eq!(told(150, Readiness::Since(at(75))), 1, "that is no first work");
    assert_eq!(told(90, Readiness::Since(at(5))), 1);
}

/// What is told of a count of errors that comes into being so many seconds after its program was first scraped.
fn errors_from(metric: &str, after: Option<i64>, (per_s, until): (f64, i64)) -> Vec<(i64, String)> {
    let mut detectors = Detectors::new(Config::default());
    let (team, watched) = (Team::new("demo"), detectors.watches(metric).unwrap());
    let key = SeriesKey {
        id: SeriesId(1),
        team: &team,
        namespace: "shop",
        pod: "cart-0",
        container: "cart",
        watched: &watched,
        workload: 7,
    };
    let at = |s: i64| Timestamp(1_000_000_000_000 + s * 1_000_000_000);
    let pod = Pod(Readiness::Unknown, after.map(|after| at(-after)));
    let told = (1..until / 15).filter_map(|n| {
        let found = detectors.observe_sample(&key, None, (at(n * 15), (n * 15) as f64 * per_s), &pod)?;
        Some((n * 15, found.text))
    });
    told.collect()
}

#[test]
fn a_count_that_comes_into_being_with_its_errors_is_told() {
    let text = "shop_payment_errors_total 40/s, usually 0/s";
    assert_eq!(errors_from("shop_payment_errors_total", Some(7200), (40.0, 3600)), [(30, text.to_owned())]);
    let young = errors_from("shop_payment_errors_total", Some(300), (40.0, 3600));
    assert_eq!(young, [(30, format!("{text}, seen for 5 min only"))]);
    // A stray error is none, nor is what was there from the first scrape on, or of which no one knows.
    assert_eq!(errors_from("shop_payment_errors_total", Some(7200), (0.2, 600)), []);
    for after in [None, Some(0), Some(60)] {
        assert_eq!(errors_from("shop_payment_errors_total", after, (40.0, 3600)), []);
    }
    // Requests under way come with the first of their kind.
    assert_eq!(errors_from("http_request_duration_seconds_sum", Some(7200), (40.0, 600)), []);
}

/// A pod that runs to its end.
struct Job;

impl Background for Job {
    fn readiness(&self) -> Readiness {
        Readiness::Unknown
    }

    fn runs_to_its_end(&self) -> bool {
        true
    }

    fn scraped_without_it_since(&self) -> Option<Timestamp> {
        None
    }
}

#[test]
fn the_work_of_a_job_is_none_of_what_it_did_before() {
    let mut detectors = Detectors::new(Config::default());
    for n in 0..5 {
        assert_eq!(works_after(&mut detectors, (n, i64::from(n) * 86_400), (90, 0.95), &Job), [], "run {n}");
    }
    // One that serves is told of.
    assert_eq!(works_after(&mut Detectors::new(Config::default()), (1, 0), (90, 0.95), &()).len(), 1);
}

#[test]
fn a_job_that_needs_much_of_its_limit_is_told_twice_and_one_that_needs_more_is_told() {
    let (mut detectors, team) = (Detectors::new(Config::default()), Team::new("demo"));
    let watched = detectors.watches(MEMORY).unwrap();
    // An hour each, in which it loads so many of a hundred in ten minutes.
    let mut run = |n: u32, most: f64, background: &dyn Background| {
        let name = format!("load-{n}");
        let key = SeriesKey {
            id: SeriesId(n),
            team: &team,
            namespace: "shop",
            pod: &name,
            container: "load",
            watched: &watched,
            workload: 7,
        };
        let told = (0..60).filter(|step| {
            let ts = Timestamp((1_000 + i64::from(n) * 3600 + step * 10) * 1_000_000_000);
            let value = 20.0 + (most - 20.0) * *step as f64 / 60.0;
            detectors.observe_sample(&key, Some(100.0 * MIB), (ts, value * MIB), background).is_some()
        });
        told.count()
    };
    let told: Vec<usize> = (0..12).map(|n| run(n, 85.0, &Job)).collect();
    assert_eq!(told, [1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(run(12, 99.0, &Job), 1);
    assert_eq!(run(13, 85.0, &()), 1, "one that serves is not known to live");
}
