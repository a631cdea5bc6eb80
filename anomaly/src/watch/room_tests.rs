#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
//! Who may have which places, and who makes room for whom.

use std::time::Duration;

use whyd_signals::{SeriesId, Team};

use super::*;
use crate::detector::robust::Direction;

const MEMORY: &str = "container_memory_working_set_bytes";
const CPU: &str = "container_cpu_usage_seconds_total";

#[test]
fn probes_have_a_place_each_and_there_are_so_many() {
    let team = Team::new("demo");
    let mut detectors = Detectors::new(Config { series: 8, ..Config::default() });
    let mut found = Vec::new();
    for scrape in 0..10i64 {
        for id in 0..3 {
            let key = ProbeKey {
                id,
                team: &team,
                namespace: "shop",
                pod: "cart-0",
                container: "cart",
                metric: "prober_probe_total",
                kind: "Readiness",
            };
            let ts = Timestamp(1_000_000_000_000 + scrape * 5_000_000_000);
            let (succeeded, failed) = (scrape.min(7), (scrape - 7).max(0));
            for (outcome, n) in [(Outcome::Failed, failed), (Outcome::Successful, succeeded)] {
                if n > 0 {
                    found.extend(detectors.observe_probe(&key, (outcome, ts, n as f64), || Probed {
                        goes: id == 1,
                        ..Probed::default()
                    }));
                }
            }
        }
    }
    let told: Vec<&str> = found.iter().map(|a| a.text.as_str()).collect();
    assert_eq!(told, ["readiness probe failed, after 7 that succeeded"], "one of two goes");
    let stats = detectors.stats();
    assert_eq!((stats.probes, stats.refused_probes, stats.anomalies), (2, 11, 1));
}

#[test]
fn what_nobody_asked_for_takes_half_of_the_room_of_what_somebody_did() {
    let asked = Watched::asked("jobs_waiting".to_owned(), Kind::Gauge, (Direction::Above, 0.0), false);
    let mut detectors = Detectors::new(Config { series: 16, asked: vec![asked], ..Config::default() });
    let team = Team::new("demo");
    let mut feed = |ids: std::ops::Range<u32>, metric: &str| {
        let watched = detectors.watches(metric).unwrap();
        for id in ids {
            let key = SeriesKey {
                id: SeriesId(id),
                team: &team,
                namespace: "shop",
                pod: "cart-0",
                container: "cart",
                watched: &watched,
                workload: 7,
            };
            detectors.observe_sample(&key, None, (Timestamp(1), 1.0), &());
        }
        detectors.stats().series
    };
    assert_eq!(feed(0..6, "jvm_memory_used_bytes"), 2);
    assert_eq!(feed(10..16, "jobs_waiting"), 4);
}

#[test]
fn no_team_takes_the_room_of_all_and_ended_pods_make_room() {
    let mut detectors = Detectors::new(Config { series: 320, ..Config::default() });
    let errors = detectors.watches("x_errors_total").unwrap();
    let memory = detectors.watches(MEMORY).unwrap();
    let feed = |detectors: &mut Detectors, team: &str, watched: &Watched, ids: std::ops::Range<u32>, ts: Timestamp| {
        let (before, team) = (detectors.stats().refused_samples, Team::new(team));
        for id in ids.clone() {
            let key = SeriesKey {
                id: SeriesId(id),
                team: &team,
                namespace: "shop",
                pod: "cart-0",
                container: "cart",
                watched,
                workload: 7,
            };
            detectors.observe_sample(&key, None, (ts, 1.0), &());
        }
        ids.len() as u64 - (detectors.stats().refused_samples - before)
    };
    let at = |s: i64| Timestamp(1_000_000_000_000 + s * 1_000_000_000);
    for (watched, all) in [(&errors, 40), (&memory, 280)] {
        let first = all * 1000;
        assert_eq!(feed(&mut detectors, "a", watched, first..first + 1000, at(0)), u64::from(all), "all that there is");
        assert_eq!(
            feed(&mut detectors, "b", watched, first + 1000..first + 2000, at(0)),
            u64::from(all / 2),
            "its share"
        );
        assert_eq!(feed(&mut detectors, "a", watched, first + 2000..first + 3000, at(0)), 0);
    }
    // A rollout: the pods before end, and say nothing from then on.
    for s in 1..=700 {
        detectors.tick(at(s));
        feed(&mut detectors, "b", &memory, 281_000..281_005, at(s));
    }
    let new = feed(&mut detectors, "a", &memory, 900_000..900_200, at(700));
    assert!(new >= 195, "{new}");
}

#[test]
fn what_containers_leave_no_room_for_takes_that_of_a_team_with_more_than_its_share_or_of_what_ended() {
    let at = |s: i64| Timestamp(1_000_000_000_000 + s * 1_000_000_000);
    let mut detectors = Detectors::new(Config { series: 320, ..Config::default() });
    let memory = detectors.watches(MEMORY).unwrap();
    let requests = detectors.watches("http_server_active_requests").unwrap();
    let feed = |detectors: &mut Detectors, team: &str, watched: &Watched, ids: std::ops::Range<u32>, ts: Timestamp| {
        let (before, team) = (detectors.stats().refused_samples, Team::new(team));
        for id in ids.clone() {
            let key = SeriesKey {
                id: SeriesId(id),
                team: &team,
                namespace: "shop",
                pod: "cart-0",
                container: "cart",
                watched,
                workload: 7,
            };
            detectors.observe_sample(&key, None, (ts, 1.0), &());
        }
        ids.len() as u64 - (detectors.stats().refused_samples - before)
    };
    assert_eq!(feed(&mut detectors, "a", &memory, 0..1000, at(0)), 320);
    assert_eq!(feed(&mut detectors, "a", &requests, 2000..2010, at(0)), 0, "it has more than its share");
    assert_eq!(feed(&mut detectors, "b", &requests, 3000..3100, at(0)), 80, "all that there is for such");
    assert_eq!(detectors.stats().series, 320);
    assert_eq!(feed(&mut detectors, "b", &memory, 4000..4300, at(0)), 120, "its share of these");
    for s in 1..=700 {
        detectors.tick(at(s));
        feed(&mut detectors, "b", &memory, 4000..4005, at(s));
    }
    // Its own ended, and so did most of the other's.
    assert!(feed(&mut detectors, "a", &requests, 5000..5080, at(700)) >= 75);
    assert_eq!(detectors.stats().series, 320);
}

#[test]
fn what_is_known_of_workloads_is_shared_by_teams_and_outlives_a_leap_of_the_clock() {
    let mut detectors = Detectors::new(Config { series: 64, ..Config::default() });
    let watched = detectors.watches(CPU).unwrap();
    let at = |minute: i64| Timestamp(1_000_000_000_000 + minute * 60_000_000_000);
    let mut count = 0.0;
    for minute in 0..3 * 1440 {
        count += 30.0;
        // One team has as many workloads as there are places for baselines, and another comes later.
        for (team, ids) in [("a", 0..40), ("b", 100..112)] {
            let team = Team::new(team);
            for id in ids.filter(|id| *id < 100 || minute > 1440) {
                let key = SeriesKey {
                    id: SeriesId(id),
                    team: &team,
                    namespace: "shop",
                    pod: "cart-0",
                    container: "cart",
                    watched: &watched,
                    workload: u64::from(id),
                };
                detectors.observe_sample(&key, None, (at(minute), count), &());
            }
        }
        detectors.tick(at(minute));
    }
    let of_b = |detectors: &Detectors| {
        let (team, cart) = (Team::new("b"), "cart");
        let known = (100..112).filter(|id| {
            let (workload, id) = (*id, SeriesId(0));
            let (namespace, pod, container) = ("shop", cart, cart);
            let key = SeriesKey { id, team: &team, namespace, pod, container, watched: &watched, workload };
            detectors.learnt.baselines.of(&key).reach() >= Duration::from_secs(86_400)
                && detectors.learnt.reached.highest(&key, at(3 * 1440)).is_some()
        });
        known.count()
    };
    assert_eq!((detectors.stats().baselines, of_b(&detectors)), (16, 8), "half of the places");
    detectors.tick(at(30 * 1440));
    assert_eq!((detectors.stats().baselines, of_b(&detectors)), (16, 8));
}
