//! How rare a deviation is: the tail beyond a high quantile, learnt as the values come.
//!
//! As in SPOT (Siffer et al., KDD 2017) only what exceeds a quantile is modelled. Deviations of real series have heavy
//! tails, so it is the logarithm of the excess that is taken as exponential (Hill's estimator of a Pareto tail), which
//! needs one mean and no fitting. The quantile is followed by steps, so it drifts with the series, as DSPOT does.

use serde::{Deserialize, Serialize};

use super::cadence::Pace;

/// The quantile beyond which the tail begins, and the negative logarithm of what lies beyond.
const BODY: f64 = 0.98;
const BEYOND: f64 = 3.912_023;
/// What the quantile moves by at the least, for each value.
const FOLLOW: f64 = 0.003;
const STRIDE: f64 = 3.0;
/// The mean log excess of a series of which nothing is known, worth so many excesses; and how many are remembered.
const PRIOR: f64 = 0.5;
const PRIOR_WEIGHT: f64 = 5.0;
const REMEMBERED: f64 = 60.0;
/// Until so many values the tail is known too loosely, and its word counts by their share.
const KNOWN: f64 = 300.0;
/// With fewer excesses than this nothing is rarer than once in the past seen: a constant that moves a first time.
const EXCESSES: u32 = 3;

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Tail {
    quantile: f64,
    excess: f64,
    moving: f32,
    nonzero: u32,
    count: u32,
    excesses: u32,
}

impl Default for Tail {
    fn default() -> Self {
        Self { quantile: 0.0, excess: PRIOR, moving: 1.0, nonzero: 0, count: 0, excesses: 0 }
    }
}

impl Tail {
    /// The negative natural logarithm of the chance of a deviation so large, which then is learnt.
    pub(super) fn observe(&mut self, deviation: f64, _pace: &Pace) -> f64 {
        self.count = self.count.saturating_add(1);
        let n = f64::from(self.count);
        let gain = (1.0 / (n + 1.0)).max(FOLLOW / 3.0) as f32;
        if deviation <= 0.0 || !deviation.is_finite() {
            self.moving -= self.moving * gain;
            return 0.0;
        }
        let still = if self.moving > 0.999 { 0.0 } else { -f64::from(self.moving).max(1e-9).ln() };
        self.moving += (1.0 - self.moving) * gain;
        self.nonzero = self.nonzero.saturating_add(1);
        let once = || (n + 1.0).ln();
        if self.nonzero == 1 {
            self.quantile = deviation;
            return still.min(once()) * (n / KNOWN).min(1.0);
        }
        let excess = (deviation / self.quantile).ln();
        let mut rare = (still + BEYOND + excess / self.excess).max(0.0);
        if self.excesses < EXCESSES {
            rare = rare.min(once());
        }
        let stride = STRIDE * FOLLOW.max(1.0 / f64::from(self.nonzero));
        if excess > 0.0 {
            self.excesses = self.excesses.saturating_add(1);
            self.excess += (excess - self.excess) / (PRIOR_WEIGHT + f64::from(self.excesses)).min(REMEMBERED);
            self.quantile *= 1.0 + stride * BODY;
        } else {
            self.quantile *= 1.0 - (stride * (1.0 - BODY)).min(0.5);
        }
        self.quantile = self.quantile.clamp(1e-12, 1e12);
        rare * (n / KNOWN).min(1.0)
    }
}
