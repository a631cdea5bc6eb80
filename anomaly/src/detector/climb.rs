//! A gauge that climbs steadily towards its limit: a leak seen before it ends in an OOM kill.
//!
//! Needs no learnt past, so it works in a container's first minutes. The slope is Theil and Sen's: the median of the
//! slopes of all pairs, which no single sample moves. It is looked at over minutes, and over hours for what leaks slowly; over
//! hours caches fill, too, most of them not to the end and ever more slowly.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use whyd_signals::Timestamp;

/// Over which time a climb is looked at.
struct Scale {
    /// Points are at least this far apart, so many of them at most.
    spacing: Duration,
    points: usize,
    /// Older points say nothing about where it goes now.
    window: Duration,
    /// A climb is told when it gets there within this, and within the time for which it was seen to climb.
    horizon: Duration,
    /// Below this share of the limit a climb may well be a start.
    near: f64,
    /// Whether it may slow down meanwhile.
    slows: bool,
}

const MINUTES: Scale = Scale {
    spacing: Duration::from_secs(5),
    points: 24,
    window: Duration::from_secs(600),
    horizon: Duration::from_secs(600),
    near: 0.75,
    slows: false,
};
const HOURS: Scale = Scale {
    spacing: Duration::from_secs(480),
    points: 16,
    window: Duration::from_secs(2 * 3600),
    horizon: Duration::from_secs(3600),
    near: 0.85,
    slows: true,
};
/// The most of both.
const POINTS: usize = 24;
/// A peak this near the limit is no evidence of health.
const FATAL: f64 = 0.95;
/// Above a peak that was none it has to be by this factor.
const ABOVE: f64 = 1.05;
/// Of all pairs of points this share must rise.
const STEADY: f64 = 0.9;

/// How quick a climb is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// It gets there within minutes.
    Minutes,
    /// Within an hour, having climbed for as long.
    Hours,
}

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
    /// Climbs of this kind are told when they get there within this.
    pub horizon: Duration,
}

impl Climb {
    /// Above 1: the horizon over the time that is left, at most 100.
    pub fn score(&self) -> f64 {
        (self.horizon.as_secs_f64() / self.reaches_limit_in.as_secs_f64().max(1.0)).clamp(1.0, 100.0)
    }
}

/// The detector of one gauge with a limit.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ClimbDetector {
    minutes: Points,
    hours: Points,
    peak: f64,
}

/// Points of one scale, the oldest first.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Points(Vec<(Timestamp, f64)>);

impl ClimbDetector {
    /// The most that one takes, in bytes.
    pub const BYTES: usize = size_of::<Self>() + (MINUTES.points + 8 + HOURS.points) * size_of::<(Timestamp, f64)>();

    /// The climb that this value is the end of, if it is one. `usual` is how far others of its kind went, as far as that matters
    /// for one that is slow, or is not.
    ///
    /// A fall by a fifth of the window's highest starts afresh: a restart, or a collection. What was reached before
    /// such a fall is no climb a second time, unless it was at the limit; nor is what others reached where that matters.
    pub fn observe(
        &mut self,
        ts: Timestamp,
        value: f64,
        limit: f64,
        usual: impl FnOnce(Pace) -> Option<f64>,
    ) -> Option<Climb> {
        if !(value.is_finite() && limit.is_finite() && limit > 0.0) {
            return None;
        }
        let highest = self.minutes.highest().max(self.hours.highest());
        if value < 0.8 * highest {
            if highest < FATAL * limit {
                self.peak = self.peak.max(highest);
            }
            self.minutes.0.clear();
            self.hours.0.clear();
        }
        let near = |scale: &Scale| value >= scale.near * limit && value > ABOVE * self.peak;
        let quick = self.minutes.observe((ts, value), limit, &MINUTES, near(&MINUTES));
        let slow = self.hours.observe((ts, value), limit, &HOURS, near(&HOURS));
        let (climb, pace) = quick.map(|climb| (climb, Pace::Minutes)).or(slow.map(|climb| (climb, Pace::Hours)))?;
        let is_new = |usual: f64| value > ABOVE * usual || usual >= FATAL * limit;
        usual(pace).is_none_or(is_new).then_some(climb)
    }
}

impl Points {
    fn highest(&self) -> f64 {
        self.0.iter().map(|(_, v)| *v).fold(f64::MIN, f64::max)
    }

    fn observe(&mut self, (ts, value): (Timestamp, f64), limit: f64, scale: &Scale, near: bool) -> Option<Climb> {
        match self.0.last() {
            Some((last, _)) if ts < last.plus(scale.spacing) => {
                if ts <= *last || !near {
                    return None;
                }
            }
            _ => {
                self.0.retain(|(at, _)| *at >= ts.minus(scale.window));
                if self.0.len() >= scale.points {
                    let mut odd = false;
                    self.0.retain(|_| {
                        odd = !odd;
                        odd
                    });
                }
                self.0.push((ts, value));
            }
        }
        if near && self.0.len() >= 4 { self.project(value, limit, scale) } else { None }
    }

    fn project(&self, value: f64, limit: f64, scale: &Scale) -> Option<Climb> {
        let slope = slope(&self.0)?;
        // What fills up more and more slowly does not get there at the slope of the beginning: it loses as much again.
        let slope = if scale.slows {
            let later = self::slope(self.0.get(self.0.len() / 2..)?)?;
            slope.min(2.0 * later - slope)
        } else {
            slope
        };
        if slope <= 0.0 {
            return None;
        }
        let left = ((limit - value) / slope).max(0.0);
        let seen = self.0.first().zip(self.0.last()).map_or(0.0, |(a, b)| b.0.seconds_since(a.0));
        let horizon = scale.horizon.as_secs_f64();
        // What comes and goes within an hour climbs in a part of it.
        if (scale.slows && seen < horizon) || left > horizon.min(seen) {
            return None;
        }
        Some(Climb {
            slope_per_s: slope,
            fraction_of_limit: value / limit,
            reaches_limit_in: Duration::try_from_secs_f64(left).ok()?,
            from: self.0.first().map_or(value, |(_, v)| *v),
            horizon: scale.horizon,
        })
    }
}

/// The median of the slopes of all pairs, where nearly all rise.
fn slope(points: &[(Timestamp, f64)]) -> Option<f64> {
    let mut slopes = [0f64; POINTS * (POINTS - 1) / 2];
    let mut n = 0;
    for (i, (at, v)) in points.iter().enumerate() {
        for (earlier, w) in points.iter().take(i) {
            *slopes.get_mut(n)? = (v - w) / at.seconds_since(*earlier).max(1e-3);
            n += 1;
        }
    }
    let slopes = slopes.get_mut(..n).filter(|slopes| !slopes.is_empty())?;
    let rising = slopes.iter().filter(|s| **s > 0.0).count();
    if (rising as f64) < STEADY * n as f64 {
        return None;
    }
    let (_, slope, _) = slopes.select_nth_unstable_by(n / 2, f64::total_cmp);
    Some(*slope)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::detector::synthetic::Noise;

    fn climbs(step_s: f64, until_s: f64, value: impl Fn(f64, &mut Noise) -> f64) -> Vec<(f64, Climb)> {
        climbs_of(None, step_s, until_s, value)
    }

    /// Where others went so far.
    fn climbs_of(
        usual: Option<f64>,
        step_s: f64,
        until_s: f64,
        value: impl Fn(f64, &mut Noise) -> f64,
    ) -> Vec<(f64, Climb)> {
        let mut detector = ClimbDetector::default();
        let mut noise = Noise::new(11);
        let mut found = Vec::new();
        let mut s = 0.0;
        while s < until_s {
            let ts = Timestamp((s * 1e9) as i64);
            found.extend(
                detector
                    .observe(ts, value(s, &mut noise), 100.0, |pace| usual.filter(|_| pace == Pace::Hours))
                    .map(|c| (s, c)),
            );
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
            ("a working day's", |s, n| 69.0 + 25.0 * (s / 13_751.0).sin() + 0.1 * n.normal()),
            ("a cache that fills up", |s, n| 92.0 - 60.0 * (-s / 7200.0).exp() + 0.1 * n.normal()),
        ];
        for (name, value) in healthy {
            for step in [5.0, 15.0, 60.0] {
                let found = climbs(step, 12.0 * 3600.0, value);
                assert!(found.is_empty(), "{name}, step {step}: {:?}", found.first());
            }
        }
    }

    #[test]
    fn a_leak_is_found_before_the_limit() {
        for (step, per_s) in [(5.0, 0.5), (15.0, 0.1), (15.0, 0.5), (60.0, 0.1), (60.0, 0.02)] {
            let found = climbs(step, 4000.0, |s, n| (20.0 + per_s * s + 0.05 * n.normal()).min(100.0));
            let (at, climb) = found.first().unwrap_or_else(|| panic!("step {step}, {per_s}/s: not found"));
            let crossed = ((MINUTES.near * 100.0 - 20.0) / per_s).max(80.0 / per_s - MINUTES.horizon.as_secs_f64());
            assert!(*at <= crossed + 2.0 * step && *at < 80.0 / per_s, "step {step}, {per_s}/s: at {at}");
            assert!((climb.slope_per_s / per_s - 1.0).abs() < 0.1, "{climb:?}");
            let left = 80.0 / per_s - at;
            assert!((climb.reaches_limit_in.as_secs_f64() - left).abs() < 0.2 * left + step, "{climb:?}, {left}");
        }
    }

    #[test]
    fn a_slow_leak_is_found_an_hour_before_the_limit() {
        for per_h in [10.0, 3.0, 1.0] {
            for step in [15.0, 60.0] {
                let leak = |s: f64, n: &mut Noise| (60.0 + per_h * s / 3600.0 + 0.02 * n.normal()).min(100.0);
                let full = 40.0 / per_h * 3600.0;
                let (at, climb) = climbs(step, full, leak)[0];
                assert!((3000.0..=3900.0).contains(&(full - at)), "{per_h} an hour, step {step}: {at} of {full}");
                let left = climb.reaches_limit_in.as_secs_f64();
                assert!((left - (full - at)).abs() < 0.2 * left + step && climb.score() >= 1.0, "{climb:?}");
                // Where others of its kind went as far it is told in the last minutes only.
                let found = climbs_of(Some(94.0), step, full, leak);
                let slow = found
                    .iter()
                    .filter(|(at, _)| full - at > 700.0)
                    .filter(|(_, climb)| climb.fraction_of_limit < 0.94 * ABOVE);
                assert_eq!(slow.count(), 0, "{per_h} an hour, step {step}");
                assert!(!climbs_of(Some(99.0), step, full, leak).is_empty(), "they died of it");
            }
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
