//! When it began: the values of an episode that are its onset or a new record, and since when values lean one way.

use serde::{Deserialize, Serialize};
use whyd_signals::Timestamp;

use super::cadence::Pace;

/// So many steps without a record end an episode.
const QUIET_STEPS: f64 = 100.0;
/// A record is so much more than the one before.
const MORE: f64 = 1.1;
/// Nothing opens below this.
const OPENS: f64 = 0.664;

/// Tells the first of an episode, and what exceeds all of it so far. A series of slowly growing records would be told
/// often; hence the tenth more.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(super) struct Record {
    peak: f64,
    at: Timestamp,
}

impl Record {
    pub(super) fn observe(&mut self, ts: Timestamp, score: f64, pace: &Pace) -> bool {
        if ts.seconds_since(self.at) > QUIET_STEPS * pace.step_s {
            self.peak = 0.0;
        }
        let record = score > OPENS && score > MORE * self.peak;
        if record {
            self.peak = score;
            self.at = ts;
        }
        record
    }
}

/// What each value may be off, in mean errors, before a sum of them says so.
const SLACK: f64 = 1.0;
const CUT: f64 = 6.0;
/// A sum never needs more than this many values to be undone.
const MOST: f64 = 50.0;

/// Page's sums of residuals on either side; they date a change and detect nothing.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(super) struct Dating {
    above: (f64, Timestamp),
    below: (f64, Timestamp),
}

impl Dating {
    /// Takes a residual in its usual size; since when the residuals lean to its side.
    pub(super) fn observe(&mut self, ts: Timestamp, residual: f64) -> Timestamp {
        let residual = residual.clamp(-CUT, CUT);
        for (side, residual) in [(&mut self.above, residual), (&mut self.below, -residual)] {
            if side.0 <= 0.0 {
                side.1 = ts;
            }
            side.0 = (side.0 + residual - SLACK).clamp(0.0, MOST);
        }
        let (sum, since) = if residual >= 0.0 { self.above } else { self.below };
        if sum > 0.0 { since } else { ts }
    }
}
