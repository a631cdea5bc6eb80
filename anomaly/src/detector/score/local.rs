//! The last few values: how far one is from their mean, a polynomial of degree 0. Higher degrees found less.

use serde::{Deserialize, Serialize};

use super::cadence::Pace;
use super::season::Error;

const VALUES: usize = 8;

#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(super) struct Local {
    ring: [f64; VALUES],
    filled: u8,
    at: u8,
    error: Error,
    now: Option<f64>,
}

impl Local {
    /// The distance from the mean of the last eight, over its usual.
    pub(super) fn deviation(&mut self, value: f64, floor: f64) -> Option<f64> {
        if usize::from(self.filled) < VALUES {
            self.now = None;
            return None;
        }
        let mean = self.ring.iter().sum::<f64>() / VALUES as f64;
        let off = (value - mean).abs();
        self.now = Some(off);
        (self.error.count() >= 32).then(|| off / (1.2 * self.error.mean() + floor))
    }

    pub(super) fn push(&mut self, value: f64, pace: &Pace) {
        if let Some(off) = self.now.take() {
            self.error.push(off, pace);
        }
        if let Some(slot) = self.ring.get_mut(usize::from(self.at)) {
            *slot = value;
        }
        self.at = (self.at + 1) % VALUES as u8;
        self.filled = (self.filled + 1).min(VALUES as u8);
    }

    pub(super) fn restart(&mut self) {
        self.filled = 0;
        self.now = None;
    }
}
