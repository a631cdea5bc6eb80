//! The same time of the day and of the week: a table of each, and whether it foretells better than the level.
//!
//! A cell is the mean of what was seen there on earlier days; what is seen now enters when the cell is left. A season
//! is believed where its mean error proved smaller than that of the level, so a series without one loses nothing.

use serde::{Deserialize, Serialize};
use whyd_signals::Timestamp;

use super::cadence::{Pace, either};

const DAY_S: i64 = 86_400;
/// A quarter of an hour, and an hour.
const DAY_CELLS: usize = 96;
const WEEK_CELLS: usize = 168;
/// What a visit weighs at the least.
const DAY_GAIN: f32 = 0.15;
const WEEK_GAIN: f32 = 0.2;
/// Visits before a cell is believed.
const VISITS: u8 = 1;
/// Errors known before a season is, and how much smaller they must be than the level's, or the day's.
const PROVEN: u32 = 100;
const DAY_BETTER: f64 = 0.8;
const WEEK_BETTER: f64 = 0.9;

/// A mean of distances, each cut to six means so that one does not spoil it.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(super) struct Error {
    mean: f64,
    count: u32,
}

impl Error {
    const CUT: f64 = 6.0;
    const LET: f64 = 0.01;
    const LOOSE: u32 = 40;

    pub(super) fn mean(&self) -> f64 {
        self.mean
    }

    pub(super) fn count(&self) -> u32 {
        self.count
    }

    pub(super) fn push(&mut self, distance: f64, pace: &Pace) {
        self.count = self.count.saturating_add(1);
        // A share of what is cut is let through, so that a mean of nothing can grow.
        let cut = if self.count > Self::LOOSE { Self::CUT * self.mean + Self::LET * distance } else { f64::MAX };
        self.mean += (distance.min(cut) - self.mean) * either(pace.steady, self.count);
    }
}

/// A table over a cycle.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Cycle {
    means: Box<[f32]>,
    visits: Box<[u8]>,
    cell: u16,
    sum: f64,
    values: u32,
    origin: f64,
    error: Error,
}

impl Cycle {
    const fn heap(cells: usize) -> usize {
        cells * (size_of::<f32>() + size_of::<u8>())
    }

    fn expected(&self, cell: usize) -> Option<f64> {
        let visits = self.visits.get(cell)?;
        (*visits >= VISITS).then(|| self.origin + f64::from(self.means.get(cell).copied().unwrap_or_default()))
    }

    fn push(&mut self, value: f64, cell: usize, cells: usize, gain: f32) {
        if self.means.is_empty() {
            self.means = vec![0.0; cells].into_boxed_slice();
            self.visits = vec![0; cells].into_boxed_slice();
            // Kept as distances from the first value: single precision would lose them on a high plateau.
            self.origin = value;
            self.cell = cell as u16;
        }
        if cell != usize::from(self.cell) {
            self.leave(gain);
            self.cell = cell as u16;
        }
        self.sum += value - self.origin;
        self.values += 1;
    }

    fn leave(&mut self, gain: f32) {
        let at = usize::from(self.cell);
        if let (Some(mean), Some(visits), true) = (self.means.get_mut(at), self.visits.get_mut(at), self.values > 0) {
            *visits = visits.saturating_add(1);
            let seen = (self.sum / f64::from(self.values)) as f32;
            *mean += (seen - *mean) * gain.max(1.0 / f32::from(*visits));
        }
        self.sum = 0.0;
        self.values = 0;
    }
}

/// What a value is measured against.
#[derive(Debug, Clone, Copy)]
pub(super) struct Footing {
    /// By the best of level, day and week.
    pub(super) expected: f64,
    /// The mean error of that.
    pub(super) usual: f64,
    /// Mean distance from the level's median.
    pub(super) level_usual: f64,
    /// Distance from the better season, and its mean.
    pub(super) season: Option<(f64, f64)>,
    /// Whether that season foretells better than the level.
    pub(super) proven: bool,
    cells: (usize, usize),
    errors: (f64, Option<f64>, Option<f64>),
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Season {
    day: Cycle,
    week: Cycle,
    level: Error,
}

impl Season {
    /// Bytes of the tables.
    pub(super) const HEAP: usize = Cycle::heap(DAY_CELLS) + Cycle::heap(WEEK_CELLS);

    pub(super) fn footing(&self, ts: Timestamp, value: f64, median: f64) -> Footing {
        let second = ts.0.div_euclid(1_000_000_000);
        let day_cell = (second.rem_euclid(DAY_S) * DAY_CELLS as i64 / DAY_S) as usize;
        let week_cell = (second.rem_euclid(7 * DAY_S) * WEEK_CELLS as i64 / (7 * DAY_S)) as usize;
        let day = self.day.expected(day_cell);
        let week = self.week.expected(week_cell);
        let mut footing = Footing {
            expected: median,
            usual: self.level.mean(),
            level_usual: self.level.mean(),
            season: None,
            proven: false,
            cells: (day_cell, week_cell),
            errors: ((value - median).abs(), day.map(|d| (value - d).abs()), week.map(|w| (value - w).abs())),
        };
        let mut better = |expected: Option<f64>, error: &Error, by: f64| {
            let Some(expected) = expected.filter(|_| error.count() > PROVEN) else { return };
            let proven = error.mean() < by * footing.usual;
            if proven || footing.season.is_none() {
                footing.season = Some(((value - expected).abs(), error.mean()));
            }
            if proven {
                (footing.expected, footing.usual, footing.proven) = (expected, error.mean(), true);
            }
        };
        better(day, &self.day.error, DAY_BETTER);
        better(week, &self.week.error, WEEK_BETTER);
        footing
    }

    pub(super) fn push(&mut self, value: f64, pace: &Pace, footing: &Footing) {
        let (level, day, week) = footing.errors;
        self.level.push(level, pace);
        if let Some(day) = day {
            self.day.error.push(day, pace);
        }
        if let Some(week) = week {
            self.week.error.push(week, pace);
        }
        self.day.push(value, footing.cells.0, DAY_CELLS, DAY_GAIN);
        self.week.push(value, footing.cells.1, WEEK_CELLS, WEEK_GAIN);
    }
}
