//! A mean that moved while each single value stays usual: the mean of the last residuals over its usual size.

use serde::{Deserialize, Serialize};

use super::cadence::Pace;
use super::season::Error;

/// The weight of one value in the mean, which so spans sixteen.
const GAIN: f64 = 2.0 / 17.0;
/// Values after a start before the mean says anything, and means before their usual size is known.
const SETTLE: u8 = 48;
const KNOWN: u32 = 20;

#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(super) struct Drift {
    mean: f64,
    error: Error,
    seen: u8,
}

impl Drift {
    /// Takes the residual into the mean, and gives the mean over its usual size.
    pub(super) fn deviation(&mut self, residual: f64, floor: f64) -> Option<f64> {
        self.mean += GAIN * (residual - self.mean);
        if self.seen < SETTLE || self.error.count() < KNOWN {
            return None;
        }
        // A mean of sixteen varies less than one value by the square root of the gain.
        Some(self.mean.abs() / (1.2 * self.error.mean() + floor * 0.343))
    }

    /// How far the mean is from what was expected.
    pub(super) fn distance(&self) -> f64 {
        self.mean.abs()
    }

    pub(super) fn push(&mut self, pace: &Pace) {
        self.error.push(self.mean.abs(), pace);
        self.seen = self.seen.saturating_add(1);
    }

    pub(super) fn restart(&mut self) {
        self.mean = 0.0;
        self.seen = 0;
    }
}
