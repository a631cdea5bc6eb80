//! What the hours of earlier days reached: what comes every night at its hour is usual, however rare it is.
//!
//! How rare a value is says nothing of when it comes. So for each hour of the day the most is kept that was reached on
//! two days, the hours next to it included, since jobs and people come a little earlier or later. What goes half as far
//! again is more than that. What was reached once waits to be reached again; both are forgotten when nothing came near
//! them for two weeks, so that what comes once a week stays known.

use serde::{Deserialize, Serialize};
use whyd_signals::Timestamp;

const HOURS: usize = 24;
const HOUR_NS: i64 = 3_600_000_000_000;
/// A day more than two weeks: from one week to the next but one.
const KEPT_DAYS: u8 = 15;
/// What comes in so many hours of the day may come in each.
const ANY_HOURS: usize = 4;
/// So much more than what was reached is more; and what comes as near as that keeps it known.
const MORE: f32 = 1.5;

/// A distance, no less than 0, within a hundredth: the upper half of a single precision number, its highest byte first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Rough([u8; 2]);

impl Rough {
    fn of(value: f32) -> Self {
        let [first, second, ..] = value.max(0.0).to_be_bytes();
        Self([first, second])
    }

    fn get(self) -> f32 {
        f32::from_be_bytes([self.0[0], self.0[1], 0, 0])
    }
}

/// What was reached, and the last day on which something came near it.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Reached {
    most: Rough,
    day: u8,
}

impl Reached {
    /// How many days before `day` it was; `None` where that is too long ago.
    fn age(self, day: u8) -> Option<u8> {
        Some(day.wrapping_sub(self.day)).filter(|age| *age <= KEPT_DAYS)
    }

    fn at(self, day: u8) -> Rough {
        self.age(day).map_or(Rough::default(), |_| self.most)
    }

    /// Takes what is reached on `day`, where that is `seen`.
    fn renew(&mut self, reached: Rough, seen: Rough, day: u8) {
        let known = self.at(day);
        self.most = known.max(reached);
        if known != self.most || MORE * seen.get() >= known.get() {
            self.day = day;
        }
    }
}

/// Of one hour: on two days, and once.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Cell {
    twice: Reached,
    once: Reached,
}

/// The table of one kind of distance, such as how far above what was expected a value is.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Daily {
    cells: Box<[Cell]>,
    /// The hour at hand, since the epoch, the most in it so far, and what is usual in it.
    hour: i64,
    most: f32,
    usual: f32,
}

impl Daily {
    /// Bytes of the table.
    pub(crate) const HEAP: usize = HOURS * size_of::<Cell>();

    /// Takes a distance; whether it is more than what is usual at this hour.
    pub(crate) fn observe(&mut self, ts: Timestamp, distance: f64) -> bool {
        let hour = hour_of(ts);
        // What comes late belongs to the hour at hand: it is no new visit of an earlier one.
        if hour > self.hour {
            self.turn(hour);
        }
        let distance = distance as f32;
        self.most = self.most.max(distance);
        distance > MORE * self.usual
    }

    /// The clock was ahead, and it is this time: the hour at hand is not there yet, and what it reached was at another.
    pub(crate) fn set_back(&mut self, ts: Timestamp) {
        let hour = hour_of(ts);
        if hour < self.hour {
            self.begin(hour);
        }
    }

    /// Whether a distance is more than what comes at any hour: what four hours reached, on two days at the least.
    pub(crate) fn is_beyond_any(&self, distance: f64) -> bool {
        let mut reached: Vec<(Rough, u8)> = (self.hour - HOURS as i64 + 1..=self.hour)
            .filter_map(|hour| {
                let (at, day) = place(hour);
                let once = self.cells.get(at)?.once;
                (once.age(day)? > 0).then_some((once.most, once.day))
            })
            .collect();
        reached.sort_unstable_by(|a, b| b.cmp(a));
        let days =
            |upto: usize| reached.iter().take(upto).any(|(_, day)| Some(*day) != reached.first().map(|(_, day)| *day));
        let usual = (ANY_HOURS..=reached.len()).find(|upto| days(*upto)).and_then(|upto| reached.get(upto - 1));
        distance as f32 > MORE * usual.map_or(0.0, |(most, _)| most.get())
    }

    fn turn(&mut self, hour: i64) {
        if self.cells.is_empty() {
            self.cells = vec![Cell::default(); HOURS].into_boxed_slice();
        } else {
            self.leave();
        }
        self.begin(hour);
    }

    fn begin(&mut self, hour: i64) {
        self.hour = hour;
        self.most = 0.0;
        self.usual = self.around(hour).map(|(cell, day)| cell.twice.at(day).get()).fold(0.0, f32::max);
    }

    /// The cells of this hour and of those next to it, each with its day.
    fn around(&self, hour: i64) -> impl Iterator<Item = (Cell, u8)> {
        (hour - 1..=hour + 1).filter_map(|hour| {
            let (at, day) = place(hour);
            Some((*self.cells.get(at)?, day))
        })
    }

    /// Notes what the hour at hand reached.
    fn leave(&mut self) {
        let seen = Rough::of(self.most);
        let earlier = self.around(self.hour).filter(|(cell, day)| cell.once.age(*day).is_some_and(|age| age > 0));
        let again = earlier.map(|(cell, _)| cell.once.most).max().unwrap_or_default().min(seen);
        let (at, day) = place(self.hour);
        if let Some(cell) = self.cells.get_mut(at) {
            cell.twice.renew(again, seen, day);
            cell.once.renew(seen, seen, day);
        }
    }
}

/// The hour since the epoch.
fn hour_of(ts: Timestamp) -> i64 {
    ts.0.div_euclid(HOUR_NS)
}

/// The cell of an hour since the epoch, and its day, which comes again after 256: nothing is kept for so long.
fn place(hour: i64) -> (usize, u8) {
    (hour.rem_euclid(HOURS as i64) as usize, hour.div_euclid(HOURS as i64) as u8)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    /// Minutes of these days, `reached` of day and minute; the days on which something was more than usual.
    fn told(days: std::ops::Range<i64>, reached: impl Fn(i64, i64) -> f64) -> Vec<i64> {
        let mut daily = Daily::default();
        let mut told: Vec<i64> = days
            .flat_map(|day| (0..1440).map(move |minute| (day, minute)))
            .filter(|(day, minute)| {
                let ts = Timestamp((20_000 * 1440 + day * 1440 + minute) * 60_000_000_000);
                daily.observe(ts, reached(*day, *minute)) && reached(*day, *minute) > 2.0
            })
            .map(|(day, _)| day)
            .collect();
        told.dedup();
        told
    }

    #[test]
    fn what_two_days_reached_at_an_hour_is_usual_at_it() {
        let night = |minute: i64| if (120..125).contains(&minute) { 10.0 } else { 1.0 };
        assert_eq!(told(0..30, |_, minute| night(minute)), [0, 1]);
        assert_eq!(told(0..30, |day, minute| if day == 20 { 1.4 } else { 1.0 } * night(minute)), [0, 1]);
        assert_eq!(told(0..30, |day, minute| if day == 20 { 2.0 } else { 1.0 } * night(minute)), [0, 1, 20]);
        assert_eq!(told(0..30, |day, minute| night(if day == 20 { minute - 180 } else { minute })), [0, 1, 20]);
        // Some minutes before or after the full hour.
        let early = |day: i64| if day % 2 == 0 { -3 } else { 1 };
        assert_eq!(told(0..30, |day, minute| night(minute + early(day))), [0, 1]);
        // About midnight, whose hours are of two days.
        assert_eq!(told(0..30, |day, minute| night((minute + 120 + early(day)).rem_euclid(1440))), [0, 1]);
    }

    #[test]
    fn what_a_clock_that_was_ahead_reached_is_of_no_hour() {
        let at = |day: i64, hour: i64| Timestamp(((20_000 + day) * 24 + hour) * HOUR_NS);
        for ahead in [at(3, 2), at(3, 20), at(4, 8), at(13, 8)] {
            let mut daily = Daily::default();
            let reaches = |hour: i64| if (8..18).contains(&hour) { 10.0 } else { 1.0 };
            for (day, hour) in (0..3).flat_map(|day| (0..24).map(move |hour| (day, hour))).chain([(3, 0), (3, 1)]) {
                daily.observe(at(day, hour), reaches(hour));
            }
            daily.observe(ahead, 1000.0);
            daily.set_back(at(3, 1));
            let more: Vec<i64> = (1..24).filter(|hour| daily.observe(at(3, *hour), reaches(*hour))).collect();
            assert!(more.is_empty(), "{more:?}");
            assert!(daily.observe(at(4, 2), 2.0) && daily.observe(at(4, 9), 16.0) && !daily.observe(at(4, 9), 14.0));
        }
    }

    #[test]
    fn what_comes_once_a_week_stays_known_and_what_comes_no_more_does_not() {
        let weekly = |day: i64, minute: i64| if day % 7 == 3 && (120..125).contains(&minute) { 10.0 } else { 1.0 };
        assert_eq!(told(0..60, weekly), [3, 10]);
        assert_eq!(
            told(0..60, |day, minute| if (20..50).contains(&day) { 1.0 } else { weekly(day, minute) }),
            [3, 10, 52, 59]
        );
    }

    #[test]
    fn what_comes_now_and_then_comes_at_any_hour() {
        let mut daily = Daily::default();
        let at = |minute: i64| Timestamp(minute * 60_000_000_000);
        // Every seven hours, five minutes long.
        for minute in 0..4 * 1440 {
            daily.observe(at(minute), if minute % 420 < 5 { 10.0 } else { 1.0 });
        }
        assert!(!daily.is_beyond_any(14.0) && daily.is_beyond_any(16.0));
        // What one day is full of does not.
        for minute in 4 * 1440..6 * 1440 {
            daily.observe(at(minute), if minute < 5 * 1440 { 30.0 } else { 1.0 });
        }
        assert!(daily.is_beyond_any(31.0));
        // And each night.
        let mut daily = Daily::default();
        for minute in 0..9 * 1440 {
            daily.observe(at(minute), if minute % 1440 < 60 { 10.0 } else { 1.0 });
        }
        assert!(daily.is_beyond_any(9.0));
    }

    #[test]
    fn what_lasts_for_hours_makes_itself_no_usual() {
        assert_eq!(told(0..3, |day, minute| if day == 2 && minute > 300 { 9.0 } else { 1.0 }), [2]);
        let mut daily = Daily::default();
        let mut more = 0;
        for minute in 0..4 * 1440i64 {
            let value = if minute >= 3 * 1440 { 9.0 } else { 1.0 };
            more += i64::from(daily.observe(Timestamp(minute * 60_000_000_000), value) && value > 2.0);
        }
        assert_eq!(more, 1440);
    }
}
