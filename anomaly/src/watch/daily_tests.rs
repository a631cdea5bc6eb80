//! What happens every day at its hour, told once or twice and then no more; and what is unlike it, told still.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use whyd_signals::SeriesId;

use whyd_signals::Team;

use super::*;
use crate::detector::synthetic::Noise;

const DAY_S: i64 = 86_400;
/// A Monday, at midnight.
const BEGAN: i64 = 20_721 * DAY_S;

/// A metric at every `step` seconds of these days, `value` of the second since the beginning; the days on which something
/// was told, and what was told last.
fn told(metric: &str, step: i64, days: i64, value: impl Fn(i64, &mut Noise) -> f64) -> (Vec<i64>, String) {
    told_of_pods(metric, step, (days, &[]), value)
}

/// The same of pods each of which is replaced by the next at these hours of the day.
fn told_of_pods(
    metric: &str,
    step: i64,
    (days, replaced): (i64, &[i64]),
    value: impl Fn(i64, &mut Noise) -> f64,
) -> (Vec<i64>, String) {
    let mut detectors = Detectors::new(Config::default());
    let watched = detectors.watches(metric).unwrap();
    let team = Team::new("a");
    let mut noise = Noise::new(23);
    let mut pods = 1;
    let (mut total, mut found, mut text) = (0.0, Vec::new(), String::new());
    for second in (0..days * DAY_S).step_by(step as usize) {
        let now = value(second, &mut noise).max(0.0);
        if second % 3600 == 0 && replaced.contains(&(second % DAY_S / 3600)) {
            (pods, total) = (pods + 1, 0.0);
        }
        let pod = format!("p-{pods}");
        let (id, team, namespace, container) = (SeriesId(pods), &team, "n", "c");
        let key = SeriesKey { id, team, namespace, pod: &pod, container, watched: &watched, workload: 5 };
        total += now * step as f64;
        let sample = if watched.kind == Kind::Counter { total } else { now };
        let ts = Timestamp((BEGAN + second) * 1_000_000_000);
        if let Some(anomaly) = detectors.observe_sample(&key, None, (ts, sample), &()) {
            found.push(second / DAY_S);
            text = anomaly.text;
        }
    }
    (found, text)
}

const CPU: &str = "container_cpu_usage_seconds_total";

/// As far as a job is late on a day, or people are, evenly within so many seconds to either side.
fn late(day: i64, most: i64) -> i64 {
    (day * 2_654_435_761).rem_euclid(2 * most + 1) - most
}

fn noisy(value: f64, noise: &mut Noise) -> f64 {
    value * (1.0 + 0.1 * noise.normal())
}

/// A job of so many seconds at about two at night.
fn nightly(second: i64, length: i64, jitter: i64) -> f64 {
    let since = second % DAY_S - 7200 - late(second / DAY_S, jitter);
    if (0..length).contains(&since) { 1.0 } else { 0.02 }
}

/// Work from about eight in the morning on, which people take up in two minutes.
fn mornings(second: i64) -> f64 {
    let since = second % DAY_S - 8 * 3600 - late(second / DAY_S, 600);
    0.05 + if (0..36_000).contains(&since) { 0.8 * (since as f64 / 120.0).min(1.0) } else { 0.0 }
}

#[test]
fn what_comes_every_night_is_told_in_the_first_nights_only() {
    for step in [15, 30, 60] {
        for (length, jitter) in [(300, 0), (300, 600), (1200, 0), (3600, 300)] {
            let (days, text) = told(CPU, step, 24, |s, noise| noisy(nightly(s, length, jitter), noise));
            assert!(days.len() <= 3 && days.iter().all(|day| *day < 3), "{step} {length} {jitter}: {days:?} {text}");
        }
    }
}

#[test]
fn mornings_are_no_alarm() {
    for step in [15, 30, 60] {
        let (days, text) = told(CPU, step, 24, |s, noise| noisy(mornings(s), noise));
        assert!(days.len() <= 2 && days.iter().all(|day| *day < 5), "{step}: {days:?} {text}");
    }
}

#[test]
fn pods_that_are_replaced_every_day_know_their_mornings() {
    for replaced in [&[20][..], &[6, 20], &[11, 16, 20], &[0, 3, 6, 9, 12, 15, 18, 21]] {
        let (days, text) = told_of_pods(CPU, 15, (12, replaced), |s, noise| noisy(mornings(s), noise));
        assert!(days.len() <= 2 && days.iter().all(|day| *day < 4), "{replaced:?}: {days:?} {text}");
        // Three times the work of the day, in the afternoon.
        let flood = |s: i64| if (0..900).contains(&(s - 10 * DAY_S - 48_600)) { 3.0 } else { 1.0 };
        let (days, text) = told_of_pods(CPU, 15, (12, replaced), |s, noise| noisy(flood(s) * mornings(s), noise));
        assert!(days.contains(&10), "{replaced:?}: {days:?} {text}");
    }
}

#[test]
fn of_gauges_too_in_either_direction() {
    let mib = f64::from(1 << 20);
    let rows = [
        ("container_memory_working_set_bytes", 100.0 * mib, 300.0 * mib),
        ("container_file_descriptors", 50.0, 300.0),
        ("container_threads", 20.0, 200.0),
        ("node_memory_MemAvailable_bytes", 8000.0 * mib, 4000.0 * mib),
    ];
    for (metric, usual, at_night) in rows {
        let value = |s: i64, noise: &mut Noise| {
            let level = if nightly(s, 300, 120) > 0.5 { at_night } else { usual };
            level * (1.0 + 0.01 * noise.normal())
        };
        let (days, text) = told(metric, 15, 21, value);
        assert!(days.len() <= 3 && days.iter().all(|day| *day < 3), "{metric}: {days:?} {text}");
    }
}

#[test]
fn what_is_unlike_the_usual_night_or_day_is_told() {
    let on =
        |s: i64, day: i64, hour: f64, length: i64| (0..length).contains(&(s - day * DAY_S - (hour * 3600.0) as i64));
    type Doing = fn(i64) -> f64;
    let night: Doing = |s| nightly(s, 300, 0);
    let office: Doing = |s| if (8 * 3600..18 * 3600).contains(&(s % DAY_S)) { 0.8 } else { 0.05 };
    // Twice the work of the usual hour, the usual work at another hour, and twice that of the day.
    for (what, usual, (hour, length), factor, more) in [
        ("twice", night, (2.0, 300), 2.0, 0.0),
        ("at another hour", night, (14.0, 300), 1.0, 1.0),
        ("at noon", office, (12.0, 900), 2.0, 0.0),
        ("at night", office, (3.0, 900), 1.0, 0.4),
    ] {
        let (days, text) = told(CPU, 15, 14, |s, noise| {
            let is_on = on(s, 10, hour, length);
            noisy(usual(s) * if is_on { factor } else { 1.0 } + if is_on { more } else { 0.0 }, noise)
        });
        assert!(days.contains(&10) && days.iter().all(|day| *day < 3 || *day == 10), "{what}: {days:?} {text}");
    }
}
