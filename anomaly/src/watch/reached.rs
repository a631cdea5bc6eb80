//! How far a metric of a workload went, kept for its next pods' first minutes.
//!
//! A pod's own first values say little: the download before the work of a job, the wait for the first request. What pods of
//! its workload came to at two times is no news in the next one. Twice, since what was reached once may have been a fault, and
//! what one series goes on with for less than an hour is one time.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use whyd_signals::Timestamp;

use super::SeriesKey;
use crate::detector::early::Matters;
use crate::detector::robust::Direction;
use crate::hash64;
use crate::slots::{Slots, owner};

/// Two times are so far apart, in minutes; and those of one series.
const APART: u32 = 10;
const APART_OF_ONE: u32 = 60;
/// Of each side so many times are remembered.
const TIMES: usize = 4;
/// For so long, in minutes.
const KEPT: u32 = 14 * 1440;
/// What is beyond what was reached by less than this part of it is near it.
const NEAR: f64 = 0.5;
/// A series notes its next value then, or when it went further by this part.
const FURTHER: f32 = 0.02;

/// By workload and metric.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Reached(Slots<u64, Sides>);

#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Sides {
    highest: Furthest,
    /// Of the values turned round.
    lowest: Furthest,
}

/// The furthest values.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Furthest([Option<Time>; TIMES]);

/// A value, when it was reached, in minutes since the epoch, and a part of the id of the series that did: a container that
/// starts again has another.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Time {
    at: u32,
    value: f32,
    series: u16,
}

/// What a series noted last: when, and how high and low it was since.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(super) struct Noted(Option<(u32, f32, f32)>);

impl Furthest {
    fn note(&mut self, at: u32, value: f32, series: u16) {
        let own = |time: &Time| time.series == series && at.abs_diff(time.at) < APART_OF_ONE;
        let has_own = self.0.iter().flatten().any(own);
        let near = |time: &&mut Time| if has_own { own(time) } else { at.abs_diff(time.at) < APART };
        if let Some(time) = self.0.iter_mut().flatten().find(near) {
            // Who went furthest goes on with it.
            if value > time.value {
                (time.value, time.series) = (value, series);
            }
            return;
        }
        let worth = |place: &Option<Time>| match place {
            Some(time) if at.saturating_sub(time.at) < KEPT => time.value,
            _ => f32::NEG_INFINITY,
        };
        let least = self.0.iter_mut().min_by(|a, b| worth(a).total_cmp(&worth(b)));
        if let Some(place) = least.filter(|place| worth(place) < value) {
            *place = Some(Time { at, value, series });
        }
    }

    /// What was reached twice, without what this series came to just now.
    fn twice(&self, at: u32, series: u16) -> Option<f64> {
        let (mut first, mut second) = (None, None::<f32>);
        let counts = |time: &&Time| {
            let ago = at.saturating_sub(time.at);
            ago < KEPT && (time.series != series || ago >= APART_OF_ONE)
        };
        for Time { value, .. } in self.0.iter().flatten().filter(counts) {
            if first.is_none_or(|first| *value > first) {
                second = first.replace(*value);
            } else if second.is_none_or(|second| *value > second) {
                second = Some(*value);
            }
        }
        second.map(f64::from)
    }
}

impl Reached {
    /// The most that one takes, in bytes.
    pub(super) const BYTES: usize = size_of::<Sides>() + 64;

    pub(super) fn new(most: usize) -> Self {
        Self(Slots::new(most))
    }

    pub(super) fn resume(&mut self, held: Self) {
        self.0.resume(held.0);
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Times that there was no room for one.
    pub(super) fn refused(&self) -> u64 {
        self.0.refused
    }

    pub(super) fn evicted(&self) -> u64 {
        self.0.evicted
    }

    /// Notes what a series came to. Asked at each value: what it noted already costs nothing.
    pub(super) fn note(
        &mut self,
        key: &SeriesKey<'_>,
        (ts, value): (Timestamp, f64),
        noted: &mut Noted,
        now: Timestamp,
    ) {
        let (at, value) = (minute(ts), value as f32);
        if let Some((then, low, high)) = noted.0
            && at.abs_diff(then) < APART
            && value <= high + FURTHER * high.abs()
            && value >= low - FURTHER * low.abs()
        {
            return;
        }
        let recent = noted.0.filter(|(then, ..)| at.abs_diff(*then) < APART);
        let (then, low, high) = recent.unwrap_or((at, value, value));
        noted.0 = Some((then, low.min(value), high.max(value)));
        let Some(sides) = self.0.entry_of(|| owner(key.team), place(key), now, Sides::default) else { return };
        let series = series(key);
        sides.highest.note(at, value, series);
        sides.lowest.note(at, -value, series);
    }

    /// Whether pods of its workload came this far at two times, or nearly.
    pub(super) fn is_known(&self, key: &SeriesKey<'_>, (ts, value): (Timestamp, f64), matters: &Matters) -> bool {
        let (at, series) = (minute(ts), series(key));
        let Some(sides) = self.0.get(place(key)) else { return false };
        let within = |furthest: &Furthest, value: f64| {
            furthest.twice(at, series).is_some_and(|reached| value - reached < matters.least.max(NEAR * reached.abs()))
        };
        match matters.direction {
            Direction::Above => within(&sides.highest, value),
            Direction::Below => within(&sides.lowest, -value),
            Direction::Both => within(&sides.highest, value) && within(&sides.lowest, -value),
        }
    }

    /// How high pods of its workload came at two times.
    pub(super) fn highest(&self, key: &SeriesKey<'_>, ts: Timestamp) -> Option<f64> {
        self.0.get(place(key))?.highest.twice(minute(ts), series(key))
    }

    pub(super) fn sweep(&mut self, now: Timestamp, most: usize) {
        self.0.sweep(now, Duration::from_secs(u64::from(KEPT) * 60), most);
    }
}

fn series(key: &SeriesKey<'_>) -> u16 {
    key.id.0 as u16
}

fn minute(ts: Timestamp) -> u32 {
    u32::try_from(ts.0.div_euclid(60_000_000_000)).unwrap_or_default()
}

/// Of each way to count, which [`super::SeriesState::kind`] tells, another.
fn place(key: &SeriesKey<'_>) -> u64 {
    key.workload.rotate_left(key.watched.kind as u32 + 1) ^ hash64(key.watched.metric.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_reached_at_two_times_is_known_for_two_weeks() {
        let mut furthest = Furthest::default();
        for (at, value) in [(0, 1.0), (5, 5.0), (9, 3.0)] {
            furthest.note(at, value, 1);
        }
        assert_eq!(furthest.twice(10, 0), None, "one time");
        furthest.note(9, 4.0, 2);
        assert_eq!(furthest.twice(10, 0), None, "one time, of two series");
        furthest.note(59, 4.5, 1);
        assert_eq!(furthest.twice(59, 0), None, "it goes on");
        furthest.note(12, 4.0, 2);
        assert_eq!(furthest.twice(12, 0), Some(4.0));
        assert_eq!(furthest.twice(12, 2), None, "it has no part in it");
        for n in 2..100 {
            furthest.note(n * 100, 2.0, 1);
        }
        assert_eq!(furthest.twice(9900, 0), Some(4.0), "the furthest stay");
        furthest.note(1050, 4.5, 1);
        assert_eq!(furthest.twice(9900, 0), Some(4.5));
        assert_eq!(furthest.twice(KEPT + 1050, 0), None);
        furthest.note(KEPT + 1200, -1.0, 1);
        furthest.note(KEPT + 1220, -2.0, 2);
        assert_eq!(furthest.twice(KEPT + 1220, 0), Some(-2.0));
    }

    #[test]
    fn who_went_further_at_the_time_of_another_goes_on_with_it() {
        let mut furthest = Furthest::default();
        for (at, value, series) in [(0, 1.0, 1), (5, 10.0, 2), (15, 10.0, 2), (59, 11.0, 2)] {
            furthest.note(at, value, series);
        }
        assert_eq!(furthest.twice(60, 3), None);
        // It raises its own time, where that of another is nearer.
        let mut furthest = Furthest::default();
        for (at, value, series) in [(50, 2.0, 3), (30, 1.0, 2), (45, 12.0, 2)] {
            furthest.note(at, value, series);
        }
        assert_eq!(furthest.twice(50, 4), Some(2.0));
    }
}
