//! A kind of line that was never there before, for those who watch one container's lines.
//!
//! An error is told at its first line; anything else only where it comes in number, since programs that are well have
//! more to say, too. A program that keeps saying new things is one, and tells nothing by one more.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use whyd_signals::Timestamp;

/// In this time a kind has to come in number.
const FIRST: Duration = Duration::from_secs(60);
/// So many lines are in number, and such a part of all lines of that time.
const MANY: u32 = 20;
const PART: f64 = 0.1;
/// New kinds are forgotten as a habit in this time, and so many are one.
const HABIT_S: f64 = 3600.0;
const HABIT: f64 = 2.5;
/// No score is higher.
const MOST: f64 = 10.0;

/// How often a container says something new.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Novelty {
    /// New kinds, the older the less.
    habit: f64,
    last: Timestamp,
}

/// A kind in its first minute.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Fresh {
    first: Timestamp,
    lines: u32,
    /// Lines of the container at its first.
    of_all: u64,
}

impl Novelty {
    /// Takes note of a new kind, whose first line is at `ts`; whether it is unusual that there is one. `known` is for how long
    /// every kind is remembered, `learning` for how long it has to be.
    pub fn is_unusual(&mut self, ts: Timestamp, known: Duration, learning: Duration) -> bool {
        let passed = ts.seconds_since(self.last).max(0.0);
        let habit = self.habit * (-passed / HABIT_S).exp();
        self.habit = habit + 1.0;
        self.last = self.last.max(ts);
        known >= learning && habit < HABIT
    }
}

impl Novelty {
    /// The clock was ahead, and it is this time.
    pub(super) fn set_back(&mut self, now: Timestamp) {
        self.last = self.last.min(now);
    }
}

impl Fresh {
    /// From its first line on; `of_all` is how many lines of the container there were until then.
    pub fn new(first: Timestamp, of_all: u64) -> Self {
        Self { first, lines: 1, of_all }
    }

    /// One more line of it: `None` once its first minute is over, else whether it has just come to be in number.
    pub fn observe(&mut self, ts: Timestamp, of_all: u64) -> Option<bool> {
        if ts > self.first.plus(FIRST) {
            return None;
        }
        self.lines += 1;
        let all = of_all.saturating_sub(self.of_all).max(1);
        Some(self.lines >= MANY && f64::from(self.lines) >= PART * all as f64)
    }

    /// Lines so far.
    pub fn lines(&self) -> u32 {
        self.lines
    }
}

/// 1 after just enough learning, and more the longer it was not there.
pub fn score(known: Duration, learning: Duration) -> f64 {
    let times = known.as_secs_f64() / learning.as_secs_f64().max(1.0);
    times.sqrt().clamp(1.01, MOST)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn at(minute: i64) -> Timestamp {
        Timestamp(minute * 60_000_000_000)
    }

    #[test]
    fn one_after_a_quiet_time_is_unusual_and_a_habit_is_not() {
        let mut novelty = Novelty::default();
        assert!(!novelty.is_unusual(at(1), HOUR / 2, HOUR), "it learns");
        assert!(novelty.is_unusual(at(300), HOUR, HOUR));
        let told = (0..10).filter(|n| novelty.is_unusual(at(400 + n * 5), HOUR, HOUR)).count();
        assert_eq!(told, 3);
        assert!(novelty.is_unusual(at(1000), HOUR, HOUR), "a habit is forgotten");
    }

    #[test]
    fn in_number_is_many_of_its_first_minute_and_a_part_of_all() {
        let mut fresh = Fresh::new(at(1), 100);
        assert!((0..18).all(|n| fresh.observe(at(1), 101 + n) == Some(false)));
        assert_eq!(fresh.observe(at(1), 150), Some(true));
        let mut few = Fresh::new(at(1), 0);
        assert!((0..50).all(|n| few.observe(at(1), 1000 + n) == Some(false)));
        assert_eq!(few.observe(at(3), 5000), None);
    }

    #[test]
    fn the_longer_it_was_not_there_the_more_it_scores() {
        let scores = [1, 3, 24, 10_000].map(|hours| score(HOUR * hours, HOUR));
        assert!(scores.is_sorted() && scores[0] > 1.0 && scores[3] <= 10.0, "{scores:?}");
    }
}
