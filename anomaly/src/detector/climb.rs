//! A gauge that climbs steadily towards its limit: a leak seen before it ends in an OOM kill.
//!
//! Needs no learnt past, so it works in a container's first minutes. The slope is Theil and Sen's: the median of the
//! slopes of all pairs, which no single sample moves.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use whyd_signals::Timestamp;

/// Points are at least this far apart, [`POINTS`] of them at most.
const SPACING: Duration = Duration::from_secs(5);
const POINTS: usize = 24;
/// Older points say nothing about where it goes now.
const WINDOW: Duration = Duration::from_secs(600);
/// Below this share of the limit a climb may well be a start.
const NEAR: f64 = 0.75;
/// A peak this near the limit is no evidence of health.
const FATAL: f64 = 0.95;
/// Of all pairs of points this share must rise.
const STEADY: f64 = 0.9;
/// A climb is told when it gets there within this, and within the time for which it was seen to climb.
const HORIZON: Duration = WINDOW;

/// A climb towards the limit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Climb {
    /// Units a second.
    pub slope_per_s: f64,
    /// Where it is now.
    pub fraction_of_limit: f64,
    /// When it gets there at this slope; zero when it is there.
    pub reaches_limit_in: Duration,
    /// Where the window began.
    pub from: f64,
}

impl Climb {
    /// Above 1: the horizon over the time that is left, at most 100.
    pub fn score(&self) -> f64 {
        (HORIZON.as_secs_f64() / self.reaches_limit_in.as_secs_f64().max(1.0)).clamp(1.0, 100.0)
    }
}

/// The detector of one gauge with a limit.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ClimbDetector {
    points: Vec<(Timestamp, f64)>,
    peak: f64,
}

impl ClimbDetector {
    /// The most that one takes, in bytes.
    pub const BYTES: usize = size_of::<Self>() + (POINTS + 8) * size_of::<(Timestamp, f64)>();

    /// The climb that this value is the end of, if it is one.
    ///
    /// A fall by a fifth of the window's highest starts afresh: a restart, or a collection. What was reached before
    /// such a fall is no climb a second time, unless it was at the limit.
    pub fn observe(&mut self, ts: Timestamp, value: f64, limit: f64) -> Option<Climb> {
        if !(value.is_finite() && limit.is_finite() && limit > 0.0) {
            return None;
        }
        let highest = self.points.iter().map(|(_, v)| *v).fold(f64::MIN, f64::max);
        if value < 0.8 * highest {
            if highest < FATAL * limit {
                self.peak = self.peak.max(highest);
            }
            self.points.clear();
        }
        let near = value >= NEAR * limit && value > 1.05 * self.peak;
        match self.points.last() {
            Some((last, _)) if ts < last.plus(SPACING) => {
                if ts <= *last || !near {
                    return None;
                }
            }
            _ => {
                self.points.retain(|(at, _)| *at >= ts.minus(WINDOW));
                if self.points.len() >= POINTS {
                    let mut odd = false;
                    self.points.retain(|_| {
                        odd = !odd;
                        odd
                    });
                }
                self.points.push((ts, value));
            }
        }
        if near && self.points.len() >= 4 { self.project(value, limit) } else { None }
    }

    fn project(&self, value: f64, limit: f64) -> Option<Climb> {
        let mut slopes = [0f64; POINTS * (POINTS - 1) / 2];
        let mut n = 0;
        for (i, (at, v)) in self.points.iter().enumerate() {
            for (earlier, w) in &self.points[..i] {
                slopes[n] = (v - w) / at.seconds_since(*earlier).max(1e-3);
                n += 1;
            }
        }
        let slopes = &mut slopes[..n];
        let rising = slopes.iter().filter(|s| **s > 0.0).count();
        if (rising as f64) < STEADY * n as f64 {
            return None;
        }
        let (_, slope, _) = slopes.select_nth_unstable_by(n / 2, f64::total_cmp);
        let left = ((limit - value) / *slope).max(0.0);
        let seen = self.points.first().zip(self.points.last()).map_or(0.0, |(a, b)| b.0.seconds_since(a.0));
        if left > HORIZON.as_secs_f64().min(seen) {
            return None;
        }
        Some(Climb {
            slope_per_s: *slope,
            fraction_of_limit: value / limit,
            reaches_limit_in: Duration::try_from_secs_f64(left).ok()?,
            from: self.points.first().map_or(value, |(_, v)| *v),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::detector::synthetic::Noise;

    fn climbs(step_s: f64, until_s: f64, value: impl Fn(f64, &mut Noise) -> f64) -> Vec<(f64, Climb)> {
        let mut detector = ClimbDetector::default();
        let mut noise = Noise::new(11);
        let mut found = Vec::new();
        let mut s = 0.0;
        while s < until_s {
            let ts = Timestamp((s * 1e9) as i64);
            found.extend(detector.observe(ts, value(s, &mut noise), 100.0).map(|c| (s, c)));
            s += step_s;
        }
        found
    }

    #[test]
    fn health_is_no_climb() {
        type Series = fn(f64, &mut Noise) -> f64;
        let healthy: &[(&str, Series)] = &[
            ("constant near the limit", |_, _| 97.0),
            ("noise near the limit", |_, n| 90.0 + 2.0 * n.normal()),
            ("a start to its plateau", |s, n| (10.0 + s / 2.0).min(70.0) + 0.1 * n.normal()),
            ("a wave up to 85 %", |s, n| 70.0 + 10.0 * (s / 400.0).sin() + 2.0 * n.normal()),
            ("collected at 70 %", |s, n| 40.0 + (s % 600.0) / 20.0 + 0.2 * n.normal()),
            ("a day's growth", |s, n| 80.0 + s / 21_600.0 + 0.05 * n.normal()),
            ("falls", |s, _| 99.0 - s / 10_000.0),
        ];
        for (name, value) in healthy {
            for step in [5.0, 15.0, 60.0] {
                let found = climbs(step, 6.0 * 3600.0, value);
                assert!(found.is_empty(), "{name}, step {step}: {:?}", found.first());
            }
        }
    }

    #[test]
    fn a_leak_is_found_before_the_limit() {
        for (step, per_s) in [(5.0, 0.5), (15.0, 0.1), (15.0, 0.5), (60.0, 0.1), (60.0, 0.02)] {
            let found = climbs(step, 4000.0, |s, n| (20.0 + per_s * s + 0.05 * n.normal()).min(100.0));
            let (at, climb) = found.first().unwrap_or_else(|| panic!("step {step}, {per_s}/s: not found"));
            let crossed = ((NEAR * 100.0 - 20.0) / per_s).max(80.0 / per_s - HORIZON.as_secs_f64());
            assert!(*at <= crossed + 2.0 * step && *at < 80.0 / per_s, "step {step}, {per_s}/s: at {at}");
            assert!((climb.slope_per_s / per_s - 1.0).abs() < 0.1, "{climb:?}");
            let left = 80.0 / per_s - at;
            assert!((climb.reaches_limit_in.as_secs_f64() - left).abs() < 0.2 * left + step, "{climb:?}, {left}");
        }
    }

    #[test]
    fn a_sawtooth_alarms_in_its_first_tooth_at_most() {
        let found = climbs(15.0, 6.0 * 3600.0, |s, _| 50.0 + (s % 900.0) / 25.0);
        assert!(found.iter().all(|(s, _)| *s < 900.0), "{:?}", found.last());
    }

    #[test]
    fn a_restart_starts_afresh() {
        let found = climbs(15.0, 600.0, |s, _| if s < 300.0 { 20.0 + s / 4.0 } else { 5.0 + (s - 300.0) / 10.0 });
        assert!(found.iter().all(|(s, _)| *s < 300.0) && !found.is_empty(), "{found:?}");
    }
}
