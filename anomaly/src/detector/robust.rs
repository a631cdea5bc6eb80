//! One value against its own past: how far from the median, in robust spreads.
//!
//! The spread is the interquartile range over 1.349, the upper or lower tail where that is wider, and never less than
//! a floor, so that a constant series does not alarm at its first digit. What was reached before at two separate
//! times, and half as much again, is usual.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use whyd_signals::Timestamp;

use super::history::{History, Usual};

/// Spreads from the median to a score of 1, with much past.
const SPREADS: f64 = 6.0;
/// With little past the estimate of the spread is loose: the threshold is wider by this over the number of values.
const LOOSE: f64 = 8.0;
/// No score is higher; it keeps rows finite where the past was exactly constant.
const MAX_SCORE: f64 = 1000.0;

/// Which way is bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Only more than usual.
    Above,
    /// Only less than usual.
    Below,
    /// Either.
    Both,
}

/// What the numbers of a metric mean to the detector.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tuning {
    /// Which way is bad.
    pub direction: Direction,
    /// The least spread, in the metric's unit.
    pub floor: f64,
    /// The least spread, as a share of the median.
    pub relative: f64,
}

/// A value judged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judged {
    /// Above 1 is anomalous.
    pub score: f64,
    /// What was usual.
    pub expected: f64,
}

/// The detector of one gauge or rate.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Robust {
    history: History,
}

impl Robust {
    /// The most that one takes, in bytes.
    pub const BYTES: usize = History::BYTES;

    /// Judges a finite value against the past, then adds it; `None` while it learns.
    pub fn observe(&mut self, ts: Timestamp, value: f64, tuning: &Tuning, learning: Duration) -> Option<Judged> {
        let judged = self.history.usual(ts, learning).map(|usual| judge(value, &usual, tuning));
        self.history.push(ts, value);
        judged
    }

    /// When it has learnt for long enough, of values that come as they did; `None` before the first.
    pub fn learnt_by(&self, learning: Duration) -> Option<Timestamp> {
        self.history.learnt_by(learning)
    }
}

fn judge(value: f64, usual: &Usual, tuning: &Tuning) -> Judged {
    let median = usual.median;
    let base = ((usual.q75 - usual.q25) / 1.349).max(tuning.relative * median.abs()).max(tuning.floor);
    let spreads = SPREADS * (1.0 + LOOSE / usual.values as f64);
    let side = |deviation: f64, tail: f64, seen: f64| {
        let threshold = (spreads * base.max(tail / 1.645)).max(1.5 * seen);
        if deviation <= 0.0 { 0.0 } else { (deviation / threshold.max(f64::MIN_POSITIVE)).min(MAX_SCORE) }
    };
    let above = || side(value - median, usual.q95 - median, usual.high - median);
    let below = || side(median - value, median - usual.q05, median - usual.low);
    let score = match tuning.direction {
        Direction::Above => above(),
        Direction::Below => below(),
        Direction::Both => above().max(below()),
    };
    Judged { score, expected: median }
}

#[cfg(test)]
mod tests;
