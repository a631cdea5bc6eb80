#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::detector::onset::Onset;
use crate::detector::synthetic::Noise;

const HOUR: f64 = 3600.0;
const LEARNING: Duration = Duration::from_secs(600);
const PLAIN: Tuning = Tuning { direction: Direction::Both, floor: 0.1, relative: 0.05 };

/// The times, in seconds, at which episodes open.
fn onsets(step_s: f64, hours: f64, mut value: impl FnMut(f64) -> f64) -> Vec<f64> {
    let mut robust = Robust::default();
    let mut onset = Onset::default();
    let mut found = Vec::new();
    let mut s = 0.0;
    while s < hours * HOUR {
        let ts = Timestamp((s * 1e9) as i64);
        let score = robust.observe(ts, value(s), &PLAIN, LEARNING).map_or(0.0, |j| j.score);
        if onset.observe(ts, score) {
            found.push(s);
        }
        s += step_s;
    }
    found
}

type Healthy = (&'static str, fn(f64, &mut Noise) -> f64);

/// Healthy series: none may alarm, at any step, with any seed.
const HEALTHY: &[Healthy] = &[
    ("constant", |_, _| 100.0),
    ("zero", |_, _| 0.0),
    ("gaussian", |_, n| 100.0 + 10.0 * n.normal()),
    ("wide gaussian", |_, n| 100.0 + 40.0 * n.normal()),
    ("uniform", |_, n| 100.0 * n.uniform()),
    ("log-normal", |_, n| 10.0 * (0.5 * n.normal()).exp()),
    ("exponential", |_, n| -10.0 * n.uniform().max(1e-12).ln()),
    ("counts", |_, n| n.poisson(4.0) as f64),
    ("rare counts", |_, n| n.poisson(0.05) as f64 * 0.05),
    ("ten-minute wave", |s, n| 100.0 + 50.0 * (s / 600.0 * std::f64::consts::TAU).sin() + n.normal()),
    ("hourly wave", |s, n| 100.0 + 50.0 * (s / HOUR * std::f64::consts::TAU).sin() + n.normal()),
    ("daily wave", |s, n| 100.0 + 80.0 * (s / 86400.0 * std::f64::consts::TAU).sin() + 2.0 * n.normal()),
    ("sawtooth", |s, n| 100.0 + (s % 900.0) / 9.0 + n.normal()),
    ("slow growth", |s, n| 100.0 + s / 600.0 + n.normal()),
    ("slow decline", |s, n| 400.0 - s / 600.0 + n.normal()),
];

#[test]
fn healthy_series_give_no_alarm() {
    for (name, value) in HEALTHY {
        for step in [5.0, 15.0, 60.0] {
            for seed in 1..=5 {
                let mut noise = Noise::new(seed);
                let found = onsets(step, 24.0, |s| value(s, &mut noise));
                assert!(found.is_empty(), "{name}, step {step}, seed {seed}: {found:?}");
            }
        }
    }
}

/// Faults that begin at 3 h: found within two scrape intervals, and reported once.
const FAULTS: &[Healthy] = &[
    ("step on a constant", |s, _| if s < 3.0 * HOUR { 100.0 } else { 200.0 }),
    ("step on noise", |s, n| n.normal() * 5.0 + if s < 3.0 * HOUR { 100.0 } else { 200.0 }),
    ("drop to nothing", |s, n| if s < 3.0 * HOUR { 100.0 + 5.0 * n.normal() } else { 0.0 }),
    ("burst from zero", |s, _| if s < 3.0 * HOUR { 0.0 } else { 20.0 }),
    ("jump over a wave", |s, _| if s < 3.0 * HOUR { 100.0 + 20.0 * (s / 300.0).sin() } else { 400.0 }),
];

#[test]
fn faults_are_found_within_two_scrapes_and_once() {
    for (name, value) in FAULTS {
        for step in [5.0, 15.0, 60.0] {
            for seed in 1..=5 {
                let mut noise = Noise::new(seed);
                let found = onsets(step, 3.25, |s| value(s + 7.0, &mut noise));
                assert_eq!(found.len(), 1, "{name}, step {step}, seed {seed}: {found:?}");
                let late = found[0] + 7.0 - 3.0 * HOUR;
                assert!((0.0..=2.0 * step).contains(&late), "{name}, step {step}, seed {seed}: {late} s late");
            }
        }
    }
}

#[test]
fn what_recurs_becomes_usual() {
    let found = onsets(15.0, 12.0, |s| if s % 1200.0 < 30.0 { 500.0 } else { 100.0 });
    assert!(found.len() <= 3, "{found:?}");
    assert!(found.iter().all(|s| *s < HOUR), "{found:?}");
}

#[test]
fn a_young_series_is_not_judged() {
    let mut robust = Robust::default();
    for s in 0..30 {
        let judged = robust.observe(Timestamp(s * 15_000_000_000), (s * s) as f64, &PLAIN, LEARNING);
        assert_eq!(judged, None, "{s}");
    }
}
