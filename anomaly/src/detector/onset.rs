//! From a stream of scores to one report for each episode.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use whyd_signals::Timestamp;

/// An episode ends when nothing was over the threshold for this long.
const QUIET: Duration = Duration::from_secs(300);
/// This far over the threshold one value is enough; below it takes two in a row.
const CERTAIN: f64 = 2.0;

/// Whether an episode goes on.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Onset {
    over: u8,
    active: bool,
    last_over: Timestamp,
}

impl Onset {
    /// Whether this score opens an episode: two in a row above 1, or one above 2. While it lasts, nothing is opened.
    pub fn observe(&mut self, ts: Timestamp, score: f64) -> bool {
        if score <= 1.0 {
            self.over = 0;
            if self.active && ts > self.last_over.plus(QUIET) {
                self.active = false;
            }
            return false;
        }
        if self.active && ts > self.last_over.plus(QUIET) {
            self.active = false;
            self.over = 0;
        }
        self.last_over = self.last_over.max(ts);
        self.over = self.over.saturating_add(1);
        let opens = !self.active && (self.over >= 2 || score >= CERTAIN);
        self.active |= opens;
        opens
    }

    /// While an episode lasts, when a score was last over the threshold.
    pub fn lasts(&self) -> Option<Timestamp> {
        self.active.then_some(self.last_over)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn check(name: &str, step_s: i64, scores: &[f64], expected: &[usize]) {
        let mut onset = Onset::default();
        let opened: Vec<usize> = scores
            .iter()
            .enumerate()
            .filter(|(i, score)| onset.observe(Timestamp(*i as i64 * step_s * 1_000_000_000), **score))
            .map(|(i, _)| i)
            .collect();
        assert_eq!(opened, expected, "{name}");
    }

    #[test]
    fn one_report_an_episode() {
        check("one mild value is none", 15, &[0.1, 1.5, 0.1, 1.5, 0.1], &[]);
        check("two in a row", 15, &[0.1, 1.5, 1.5, 1.5, 1.5], &[2]);
        check("one certain", 15, &[0.1, 9.0, 0.1, 9.0, 9.0], &[1]);
        check("again after quiet", 200, &[9.0, 0.1, 0.1, 9.0], &[0, 3]);
        check("not while it flaps", 60, &[9.0, 0.1, 0.1, 9.0, 0.1, 0.1, 9.0], &[0]);
    }

    #[test]
    fn an_episode_lasts_while_scores_are_over() {
        let mut onset = Onset::default();
        let at = |s: i64| Timestamp(s * 1_000_000_000);
        let lasts: Vec<_> = [(0, 1.5), (60, 1.5), (120, 1.2), (180, 0.0), (420, 0.0), (421, 0.0)]
            .map(|(s, score)| {
                onset.observe(at(s), score);
                onset.lasts()
            })
            .into();
        assert_eq!(lasts, [None, Some(at(60)), Some(at(120)), Some(at(120)), Some(at(120)), None]);
    }
}
