//! How rare a deviation is: the tail beyond a high quantile, learnt as the values come.
//!
//! As in SPOT (Siffer et al., KDD 2017) only what exceeds a quantile is modelled. Deviations of real series have heavy
//! tails, so it is the logarithm of the excess that is taken as exponential (Hill's estimator of a Pareto tail), which
//! needs one mean and no fitting. The quantile is followed by steps, so it drifts with the series, as DSPOT does. A
//! series that mostly stands still is rare in two ways: that it moves at all, and how far among its moves.

use serde::{Deserialize, Serialize};

use super::cadence::either;

/// The quantile where the tail begins.
const BODY: f64 = 0.98;
/// Where more than a tenth of all deviations lie as near to the quantile as this or beyond, it is no quantile but a
/// value that comes often: a series of few distinct values. Then that share counts.
const NEAR: f64 = 0.95;
const DISCRETE: f64 = 0.1;
/// What the quantile moves by at the least, and in what share of it frequencies follow.
const FOLLOW: f64 = 0.003;
const STRIDE: f64 = 3.0;
const RATE: f64 = 0.001;
/// The mean log excess of a series of which nothing is known, worth so many excesses; and how many are remembered.
const PRIOR: f64 = 0.5;
const PRIOR_WEIGHT: f64 = 5.0;
const REMEMBERED: f64 = 60.0;
/// Where the quantile starts, in spreads.
const START: f64 = 3.0;
/// Until so many values the tail is known too loosely, and its word counts by their share.
const KNOWN: f64 = 300.0;
/// A deviation below this is none: what rounding leaves of a series that stands still.
const NONE: f64 = 1e-3;

/// The tail of one part's deviations.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Tail {
    quantile: f64,
    excess: f64,
    /// The share of values that deviate at all, and of these the share near the quantile or beyond.
    moving: f64,
    beyond: f64,
    nonzero: u32,
    count: u32,
    excesses: u32,
}

impl Default for Tail {
    fn default() -> Self {
        Self { quantile: START, excess: PRIOR, moving: 1.0, beyond: 1.0, nonzero: 0, count: 0, excesses: 0 }
    }
}

impl Tail {
    /// The negative natural logarithm of the chance of a deviation so large, which then is learnt.
    ///
    /// `scaled` says whether the deviation is in units of a spread that is known. A series that stood still so far has
    /// none: then its first move is as rare as once in all of its past, however large.
    pub(super) fn observe(&mut self, deviation: f64, scaled: bool) -> f64 {
        self.count = self.count.saturating_add(1);
        let n = f64::from(self.count);
        let gain = either(RATE, self.count.saturating_add(1));
        if !(deviation >= NONE && deviation.is_finite()) {
            self.moving -= self.moving * gain;
            return 0.0;
        }
        if !scaled && self.nonzero == 0 {
            self.quantile = deviation;
        }
        let excess = ln(deviation / self.quantile);
        let mut rare = excess / self.excess - ln((self.moving * (self.beyond - DISCRETE).max(1.0 - BODY)).max(1e-12));
        if !scaled {
            rare = rare.min(ln(n + 1.0));
        }
        self.nonzero = self.nonzero.saturating_add(1);
        self.moving += (1.0 - self.moving) * gain;
        self.beyond += (f64::from(u8::from(deviation >= NEAR * self.quantile)) - self.beyond)
            * either(RATE, self.nonzero.saturating_add(1));
        let stride = STRIDE * either(FOLLOW, self.nonzero);
        if excess > 0.0 {
            self.excesses = self.excesses.saturating_add(1);
            self.excess += (excess - self.excess) / (PRIOR_WEIGHT + f64::from(self.excesses)).min(REMEMBERED);
            self.quantile = (self.quantile * (1.0 + stride * BODY)).min(deviation);
        } else {
            self.quantile = (self.quantile * (1.0 - stride * (1.0 - BODY))).max(deviation);
        }
        self.quantile = self.quantile.clamp(1e-6, 1e12);
        if n < KNOWN { rare.max(0.0) * n / KNOWN } else { rare.max(0.0) }
    }
}

/// The natural logarithm of a positive normal number, within 1e-5: the same on every machine, and three times as fast
/// as the exact one. The mantissa is brought to √½..√2, where the series of the inverse hyperbolic tangent is short.
fn ln(x: f64) -> f64 {
    const SQRT_HALF_BITS: u64 = 0x3fe6_a09e_667f_3bcd;
    let bits = x.to_bits();
    let shifted = bits.wrapping_sub(SQRT_HALF_BITS);
    let exponent = (shifted as i64) >> 52;
    let mantissa = f64::from_bits(bits.wrapping_sub((exponent << 52) as u64));
    let t = (mantissa - 1.0) / (mantissa + 1.0);
    let t2 = t * t;
    2.0 * t * (1.0 + t2 * (1.0 / 3.0 + t2 * (0.2 + t2 / 7.0))) + exponent as f64 * std::f64::consts::LN_2
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::detector::synthetic::Noise;

    #[test]
    fn the_logarithm_is_near_enough() {
        for i in -2000..2000 {
            let x = 1.013_f64.powi(i);
            assert!((ln(x) - x.ln()).abs() < 1e-5, "{x}: {} {}", ln(x), x.ln());
        }
    }

    #[test]
    fn the_rarity_of_a_pareto_tail_is_its_own() {
        // P(z > x) = x^-3: a z of 20 has the chance 1/8000, whose negative logarithm is 9.
        let mut tail = Tail::default();
        let mut noise = Noise::new(3);
        for _ in 0..20_000 {
            tail.observe(noise.uniform().max(1e-9).powf(-1.0 / 3.0), true);
        }
        let rare = tail.observe(20.0, true);
        assert!((rare - 9.0).abs() < 2.0, "{rare}");
    }

    #[test]
    fn what_moves_always_by_the_same_is_as_rare_as_it_moves() {
        let mut tail = Tail::default();
        let mut last = 0.0;
        for i in 0..10_000 {
            let rare = tail.observe(if i % 100 == 99 { 7.0 } else { 0.0 }, true);
            last = if i % 100 == 99 { rare } else { last };
        }
        assert!((last - 100f64.ln()).abs() < 1.0, "{last}");
    }
}
