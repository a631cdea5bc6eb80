//! The level of the last days: median and quartiles, each followed by steps up and down.
//!
//! A quantile moves up by its share of a step when a value is above it and down by the rest when below, so that it
//! rests where the shares balance. Steps shrink as the past grows. No value is kept.

use serde::{Deserialize, Serialize};

use super::cadence::Pace;

const SHARES: [f64; 3] = [0.25, 0.5, 0.75];
/// The first step is so many mean errors.
const STRIDE: f64 = 4.0;

#[derive(Debug, Clone, Copy)]
pub(super) struct Usual {
    pub(super) median: f64,
    /// The interquartile range as a standard deviation.
    pub(super) spread: f64,
    /// The standard deviation, not robust: what was anomalous counts, and so does the value at hand.
    pub(super) deviation: f64,
    /// Whether all values so far were the same.
    pub(super) still: bool,
}

#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(super) struct Level {
    quartiles: [f64; 3],
    mean: f64,
    variance: f64,
    slow: f64,
}

impl Level {
    /// What was usual before this value.
    pub(super) fn usual(&mut self, value: f64, pace: &Pace) -> Usual {
        if pace.count <= 1 {
            *self = Self { quartiles: [value; 3], mean: value, variance: 0.0, slow: 1.0 };
        }
        let [low, median, high] = self.quartiles;
        let off = value - self.mean;
        let deviation = (self.variance.max(0.0) + off * off * pace.gain).sqrt();
        // What rounding leaves of a mean of equal values is no movement.
        let still = self.variance.max(0.0).sqrt() <= 1e-12 * value.abs();
        Usual { median, spread: (high - low).max(0.0) / 1.349, deviation, still }
    }

    /// `error` is the mean distance from the median.
    pub(super) fn push(&mut self, value: f64, pace: &Pace, error: f64) {
        if pace.count < 64 || pace.count.is_multiple_of(64) {
            // The steps of a stochastic approximation: n to the -¾.
            let root = f64::from(pace.count).sqrt();
            self.slow = 1.0 / (root * root.sqrt());
        }
        let stride = STRIDE * self.slow.max(pace.steady) * error;
        for (quartile, share) in self.quartiles.iter_mut().zip(SHARES) {
            if value > *quartile {
                *quartile += stride * share;
            } else if value < *quartile {
                *quartile -= stride * (1.0 - share);
            }
        }
        let off = value - self.mean;
        self.mean += off * pace.gain;
        self.variance += (off * (value - self.mean) - self.variance) * pace.gain;
    }
}
