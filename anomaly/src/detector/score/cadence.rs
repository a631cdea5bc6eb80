//! How often a series has values, learnt; gaps; and how much one value weighs in a memory of so much time.

use serde::{Deserialize, Serialize};
use whyd_signals::Timestamp;

/// What the long memory spans, and the least number of values in it.
const MEMORY_S: f64 = 10.0 * 86_400.0;
const LEAST_MEMORY: f64 = 1000.0;
/// So many steps without a value are a gap.
const GAP_STEPS: f64 = 5.0;
const ASSUMED_STEP_S: f64 = 60.0;

/// The pace at one value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Pace {
    /// The learnt step, in seconds, and its square root, which may lag.
    pub(super) step_s: f64,
    pub(super) root_s: f64,
    /// What this value weighs in a mean over the long memory; more while there is little past.
    pub(super) gain: f64,
    /// What it weighs once there is much.
    pub(super) steady: f64,
    /// How many values there were, this one among them.
    pub(super) count: u32,
    /// Whether it comes after a gap.
    pub(super) gap: bool,
}

#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(super) struct Cadence {
    first: Timestamp,
    last: Timestamp,
    step_s: f64,
    count: u32,
    root_s: f64,
    reach_s: f64,
}

impl Cadence {
    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// When the first value was.
    pub(super) fn first(&self) -> Timestamp {
        self.first
    }

    /// How far the past reaches, holes left out.
    pub(super) fn reach_s(&self) -> f64 {
        self.reach_s
    }

    pub(super) fn observe(&mut self, ts: Timestamp) -> Pace {
        let mut gap = false;
        if self.count > 0 {
            let passed = ts.seconds_since(self.last);
            if passed > 0.0 {
                if self.step_s <= 0.0 {
                    self.step_s = passed;
                } else if passed < GAP_STEPS * self.step_s {
                    self.reach_s += passed;
                    self.step_s += (passed - self.step_s) * (1.0 / f64::from(self.count)).max(0.01);
                } else {
                    // A hole says little of the cadence, unless holes are the cadence.
                    self.step_s *= 1.02;
                    gap = true;
                }
            }
        }
        if self.count == 0 {
            self.first = ts;
        }
        self.last = self.last.max(ts);
        self.count = self.count.saturating_add(1);
        let step_s = if self.step_s > 0.0 { self.step_s } else { ASSUMED_STEP_S };
        if self.count < 64 || self.count.is_multiple_of(64) {
            self.root_s = step_s.sqrt();
        }
        let steady = (step_s / MEMORY_S).min(1.0 / LEAST_MEMORY);
        Pace { step_s, root_s: self.root_s, gain: either(steady, self.count), steady, count: self.count, gap }
    }
}

/// What one of so many weighs in their mean, and no less than `steady`. A division is what it avoids.
pub(super) fn either(steady: f64, count: u32) -> f64 {
    let count = f64::from(count);
    if steady * count >= 1.0 { steady } else { 1.0 / count }
}
