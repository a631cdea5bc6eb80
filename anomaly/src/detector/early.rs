//! One value against the little that is known of a series that is still being learnt.
//!
//! What a few values say of the usual is little, so it takes more to be off it: several times all that was seen, and so much in
//! the metric's own unit that it matters whatever is usual. A container's first values are its start, and say nothing; its last
//! ones are no past yet, since what grows quickly would hide behind its own beginning. What is off and has a reason, by those
//! who know more, is a past like the rest.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use whyd_signals::Timestamp;

use super::robust::Direction;

/// A start takes so long, and so many values, from the first one on, and from when its pod was first ready.
pub const START: Duration = Duration::from_secs(30);
const VALUES: u32 = 4;
/// What came within this time is no past yet: two scrapes as they mostly are. Of more than so many values the oldest are.
const RECENT: Duration = Duration::from_secs(30);
const MOST: usize = 4;
/// So many times all that was seen it has to be, and so many times as far off as that was spread.
const TIMES: f64 = 3.0;
const SPREADS: f64 = 3.0;
/// No score is higher.
const MAX_SCORE: f64 = 10.0;

/// What matters of a metric, however little is known of what is usual.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Matters {
    /// Which way is bad.
    pub direction: Direction,
    /// The least distance from all that was seen; nothing matters of a metric of which it is 0.
    pub least: f64,
    /// What is below this is well.
    pub level: f64,
}

/// A value judged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judged {
    /// Above 1 is anomalous.
    pub score: f64,
    /// The middle of what was seen.
    pub expected: f64,
    /// For how long it was seen.
    pub known: Duration,
}

/// The extremes of a series' first values.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Early {
    since: Option<Timestamp>,
    values: u32,
    low: f64,
    high: f64,
    /// The last values, the older first, and when they came, in seconds since the first.
    recent: [(f32, f32); MOST],
    held: u8,
}

impl Early {
    /// Of a count that came into being now, and would have been there since then if there had been anything to count.
    pub fn of_nothing(since: Timestamp) -> Self {
        Self { since: Some(since), values: VALUES, ..Self::default() }
    }

    /// Judges a finite value against those well before it, then keeps it, unless it is off; `None` while it starts, and where
    /// it is off and `excused`, which is asked then only.
    pub fn observe(
        &mut self,
        ts: Timestamp,
        value: f64,
        matters: &Matters,
        excused: impl FnOnce() -> bool,
    ) -> Option<Judged> {
        let since = *self.since.get_or_insert(ts);
        let age = ts.seconds_since(since);
        let recent = age - RECENT.as_secs_f64();
        while self.held > 0 && f64::from(self.recent[0].0) <= recent {
            self.pass();
        }
        let judged = (self.values >= VALUES && ts >= since.plus(START)).then(|| Judged {
            score: self.score(value, matters),
            expected: f64::midpoint(self.low, self.high),
            known: Duration::try_from_secs_f64(age).unwrap_or_default(),
        });
        match judged {
            None => self.add(value),
            Some(judged) if judged.score <= 1.0 => {
                if usize::from(self.held) == MOST {
                    self.pass();
                }
                if let Some(place) = self.recent.get_mut(usize::from(self.held)) {
                    *place = (age as f32, value as f32);
                    self.held += 1;
                }
            }
            Some(_) if excused() => {
                self.add(value);
                return None;
            }
            Some(_) => {}
        }
        judged
    }

    /// The oldest of the last values is past.
    fn pass(&mut self) {
        self.add(f64::from(self.recent[0].1));
        self.recent.rotate_left(1);
        self.held -= 1;
    }

    fn add(&mut self, value: f64) {
        (self.low, self.high) = match self.values {
            0 => (value, value),
            _ => (self.low.min(value), self.high.max(value)),
        };
        self.values = self.values.saturating_add(1);
    }

    fn score(&self, value: f64, matters: &Matters) -> f64 {
        if matters.least <= 0.0 || value.abs() < matters.level {
            return 0.0;
        }
        let least = matters.least.max(SPREADS * (self.high - self.low));
        let above = || (value - self.high) / least.max((TIMES - 1.0) * self.high.abs());
        let below = || (self.low - value) / least.max((1.0 - 1.0 / TIMES) * self.low.abs());
        let score = match matters.direction {
            Direction::Above => above(),
            Direction::Below => below(),
            Direction::Both => above().max(below()),
        };
        score.clamp(0.0, MAX_SCORE)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::detector::synthetic::Noise;

    const ABOVE: Matters = Matters { direction: Direction::Above, least: 32.0, level: 64.0 };

    /// The seconds at which it is off.
    fn off(step_s: i64, until_s: i64, matters: &Matters, value: impl Fn(i64, &mut Noise) -> f64) -> Vec<i64> {
        let (mut early, mut noise, mut found) = (Early::default(), Noise::new(5), Vec::new());
        for s in (0..until_s).step_by(step_s as usize) {
            let ts = Timestamp(1_000_000_000_000 + s * 1_000_000_000);
            let judged = early.observe(ts, value(s, &mut noise), matters, || false);
            found.extend(judged.filter(|judged| judged.score > 1.0).map(|_| s));
        }
        found
    }

    #[test]
    fn a_step_is_off_from_its_first_value_on() {
        for step in [5, 10, 15] {
            let found = off(step, 180, &ABOVE, |s, n| n.normal() + if s < 75 { 2.0 } else { 86.0 });
            let first = (75 + step - 1) / step * step;
            assert_eq!(found.first(), Some(&first), "step {step}: {found:?}");
            assert_eq!(found.len() as i64, (180 - first) / step, "step {step}: {found:?}");
        }
        let below = Matters { direction: Direction::Below, least: 10.0, level: 0.0 };
        assert_eq!(off(5, 60, &below, |s, _| if s < 50 { 100.0 } else { 5.0 }), [50, 55]);
    }

    #[test]
    fn what_grows_quickly_is_off_once_it_matters() {
        for (step, per_s, first) in [(5, 4.0, 80), (10, 4.0, 80), (15, 3.0, 90)] {
            let found = off(step, 120, &ABOVE, |s, n| 2.0 + n.normal() + per_s * (s - 60).max(0) as f64);
            assert!(found.first().is_some_and(|s| (75..=first).contains(s)), "step {step}: {found:?}");
        }
    }

    #[test]
    fn what_is_no_step_or_does_not_matter_is_not_off() {
        type Series = fn(i64, &mut Noise) -> f64;
        let healthy: &[(&str, Series)] = &[
            ("a start within half a minute", |s, _| if s < 25 { 3.0 } else { 100.0 }),
            ("a start that slows down", |s, n| 100.0 * (1.0 - (-s as f64 / 40.0).exp()) + n.normal()),
            ("a line upwards", |s, n| s as f64 / 2.0 + n.normal()),
            ("a start higher than what follows", |s, _| if s < 5 { 90.0 } else { 20.0 + (s % 60) as f64 }),
            ("noise", |_, n| 30.0 + 20.0 * n.normal().abs().min(3.0)),
            ("too little to matter", |s, _| if s < 60 { 0.1 } else { 20.0 }),
            ("not far enough above what was seen", |s, _| if s < 60 { 45.0 } else { 100.0 }),
            ("the other way", |s, _| if s < 60 { 100.0 } else { 0.0 }),
        ];
        for (name, value) in healthy {
            for step in [5, 10, 15, 60] {
                let found = off(step, 600, &ABOVE, value);
                assert!(found.is_empty(), "{name}, step {step}: {found:?}");
            }
        }
    }

    #[test]
    fn what_has_a_reason_is_a_past_like_the_rest() {
        let (mut early, mut found) = (Early::default(), Vec::new());
        for s in (0..300).step_by(15) {
            let value = if s < 75 {
                2.0
            } else if s < 150 {
                86.0
            } else {
                100.0
            };
            let ts = Timestamp(1_000_000_000_000 + s * 1_000_000_000);
            let judged = early.observe(ts, value, &ABOVE, || s < 90);
            found.extend(judged.filter(|judged| judged.score > 1.0).map(|_| s));
        }
        assert!(found.is_empty(), "{found:?}");
    }

    #[test]
    fn what_was_not_there_was_nothing() {
        let at = |s: i64| Timestamp(1_000_000_000_000 + s * 1_000_000_000);
        let mut early = Early::of_nothing(at(0));
        let judged = early.observe(at(600), 90.0, &ABOVE, || false).unwrap();
        assert_eq!((judged.expected, judged.known), (0.0, Duration::from_secs(600)));
        assert!(judged.score > 1.0);
        assert_eq!(Early::of_nothing(at(590)).observe(at(600), 90.0, &ABOVE, || false), None, "that is a start");
    }

    #[test]
    fn nothing_matters_of_what_has_no_least() {
        let none = Matters { direction: Direction::Above, least: 0.0, level: 0.0 };
        assert!(off(5, 600, &none, |s, _| if s < 60 { 0.0 } else { 1e12 }).is_empty());
    }
}
