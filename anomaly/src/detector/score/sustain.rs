//! How unusual the last hours were: the highest of a short mean of scores, held.
//!
//! One odd value is worth less than a few in a row, hence the mean; what happened stays in view for a while, hence the
//! hold. For how long is the geometric mean of a time and a number of steps: half a day at five minutes, two and a half
//! hours at fifteen seconds.

use serde::{Deserialize, Serialize};
use whyd_signals::Timestamp;

use super::cadence::Pace;

/// Of a step of one second; it grows with the square root.
const HOLD_S: f64 = 2165.0;
/// The weight of one score in the mean, which so spans eight.
const GAIN: f64 = 2.0 / 9.0;
/// The hold is so many cells.
const CELLS: usize = 16;

#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(super) struct Sustain {
    mean: f64,
    cells: [f32; CELLS],
    at: u8,
    opened: Timestamp,
    highest: f32,
}

impl Sustain {
    /// Takes a score; the highest mean within the hold.
    pub(super) fn observe(&mut self, ts: Timestamp, score: f64, pace: &Pace) -> f64 {
        self.mean += GAIN * (score - self.mean);
        let cell_s = (HOLD_S * pace.root_s / CELLS as f64).max(pace.step_s);
        let passed = ts.seconds_since(self.opened);
        if passed >= cell_s {
            for _ in 0..((passed / cell_s) as usize).clamp(1, CELLS) {
                self.at = (self.at + 1) % CELLS as u8;
                if let Some(cell) = self.cells.get_mut(usize::from(self.at)) {
                    *cell = 0.0;
                }
            }
            self.opened = ts;
            self.highest = self.cells.iter().copied().fold(0.0, f32::max);
        }
        let mean = self.mean as f32;
        if let Some(cell) = self.cells.get_mut(usize::from(self.at)) {
            *cell = cell.max(mean);
        }
        self.highest = self.highest.max(mean);
        f64::from(self.highest)
    }
}
