//! Error lines of a container that is still being learnt: it said none for a while, and then hardly anything else.
//!
//! It takes as many as when it is known what is usual, over some seconds, since one failure may be told in many lines, and a
//! good part of all that is said meanwhile. How pods start is not looked at: they may well fail until others are there.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use whyd_signals::Timestamp;

/// So long, and so many lines, without an error make a past.
const START: Duration = Duration::from_secs(30);
const LINES: u32 = 20;
/// A run of errors is looked at for so long.
const RUN: Duration = Duration::from_secs(60);
/// It takes so many, over so long.
const ERRORS: u32 = 10;
const LASTS: Duration = Duration::from_secs(5);
/// And such a part of all that is said since its first.
const PART: f64 = 0.5;

/// A run of errors.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Run {
    /// Above 1 is anomalous.
    pub score: f64,
    /// Errors so far.
    pub errors: u32,
    /// For how long there was none before.
    pub known: Duration,
}

/// The detector of one stream of lines in its first minutes.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct EarlyErrors {
    /// Since when there was no error, and in how many lines.
    since: Option<Timestamp>,
    lines: u32,
    /// The first error of the run at hand, lines since, and errors of them.
    first: Option<Timestamp>,
    of: u32,
    errors: u32,
}

impl EarlyErrors {
    /// Takes a line; the run of errors that it belongs to, once that is one. `starts`: a pod of the container's workload came so
    /// shortly before that this may be how it starts.
    pub fn observe(&mut self, ts: Timestamp, is_error: bool, starts: bool) -> Option<Run> {
        if self.first.is_some_and(|first| starts || ts > first.plus(RUN)) {
            *self = Self::default();
        }
        let since = *self.since.get_or_insert(ts);
        if self.first.is_none() {
            if !is_error {
                self.lines = self.lines.saturating_add(1);
                return None;
            }
            if starts || self.lines < LINES || ts < since.plus(START) {
                *self = Self { since: Some(ts), ..Self::default() };
                return None;
            }
        }
        let first = *self.first.get_or_insert(ts);
        self.of = self.of.saturating_add(1);
        self.errors = self.errors.saturating_add(u32::from(is_error));
        let part = f64::from(self.errors) / f64::from(self.of);
        let enough = self.errors >= ERRORS && ts >= first.plus(LASTS) && part >= PART;
        let known = Duration::try_from_secs_f64(first.seconds_since(since)).unwrap_or_default();
        let score = f64::from(self.errors) / f64::from(ERRORS) + part;
        (enough && is_error).then_some(Run { score, errors: self.errors, known })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first second at which it is told, given ordinary lines and errors a second.
    fn told(says: impl Fn(i64) -> (u32, u32), starts: impl Fn(i64) -> bool) -> Option<i64> {
        let mut errors = EarlyErrors::default();
        for s in 0..600 {
            let (ordinary, of_errors) = says(s);
            for n in 0..ordinary + of_errors {
                let ts = Timestamp(1_000_000_000_000 + s * 1_000_000_000 + i64::from(n));
                if errors.observe(ts, n >= ordinary, starts(s)).is_some() {
                    return Some(s);
                }
            }
        }
        None
    }

    #[test]
    fn hardly_anything_but_errors_is_told_within_seconds() {
        assert_eq!(told(|s| if s < 45 { (1, 0) } else { (0, 2) }, |_| false), Some(50));
        assert_eq!(told(|s| if s < 45 { (1, 0) } else { (1, 1) }, |_| false), Some(54));
    }

    #[test]
    fn a_past_takes_time_and_lines() {
        assert_eq!(told(|s| if s < 20 { (3, 0) } else { (0, 1) }, |_| false), None);
        assert_eq!(told(|s| (u32::from(s % 10 == 0), u32::from(s > 100)), |_| false), None);
    }

    #[test]
    fn starts_single_failures_and_habits_are_not_told() {
        assert_eq!(told(|s| if s < 45 { (1, 0) } else { (0, 2) }, |s| (40..500).contains(&s)), None);
        assert_eq!(told(|s| (1, if s == 100 { 50 } else { 0 }), |_| false), None, "one failure in many lines");
        assert_eq!(told(|s| (1, u32::from(s % 6 == 0)), |_| false), None, "a habit");
        assert_eq!(told(|s| (20, if s > 100 { 2 } else { 0 }), |_| false), None, "a small part");
    }
}
