//! A kind of line that came steadily and stopped, while others of its container go on.
//!
//! Time is counted in minutes in which the container said anything: where all is silent, the lines may be late or their
//! source down, and nothing has vanished. What stopped at about this hour on two earlier days and came again stops with the
//! day's work.

use serde::{Deserialize, Serialize};
use whyd_signals::Timestamp;

/// So many minutes with the kind make it known.
const KNOWN: u32 = 30;
/// Of a steady kind no gap is longer than so many mean ones.
const STEADY: f64 = 3.0;
/// It has vanished after so many of its longest gaps, and so many minutes.
const GAPS: u32 = 5;
const LEAST: u32 = 5;
/// And where as long a gap has a chance below `exp(-TAIL)`, were each minute a draw.
const TAIL: f64 = 12.0;
/// No kind is surer to come than this.
const SUREST: f64 = 0.98;
/// No score is higher.
const MOST: f64 = 10.0;
/// So many times that it stopped are remembered, for so long: from one week to the next but one.
const STOPS: usize = 4;
const KEPT_H: u16 = 15 * 24;
const HOUR_NS: i64 = 3_600_000_000_000;

/// When a kind came, in minutes of its container.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Presence {
    /// The first minute, and the last.
    born: u32,
    last: u32,
    /// Minutes with it, and its lines.
    minutes: u32,
    lines: u64,
    /// The most minutes from one with it to the next.
    longest: u32,
    gone: bool,
}

/// The hours in which a kind stopped, since the epoch, the last first; 0 where there are fewer. After seven years they are taken
/// for others: nothing is kept for so long.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Stops([u16; STOPS]);

impl Stops {
    /// It stopped then; whether it did so at about this hour on two earlier days, or at so many other hours that it does at any.
    pub fn note(&mut self, at: Timestamp) -> bool {
        let hour = at.0.div_euclid(HOUR_NS) as u16;
        let known = self.0.iter().copied().filter(|earlier| *earlier > 0 && hour.wrapping_sub(*earlier) <= KEPT_H);
        let mut days = known.clone().map(|earlier| hour.wrapping_sub(earlier)).filter(|ago| *ago > 1 && is_about(*ago));
        let first = days.next().map(days_of);
        let on_two_days = days.any(|ago| Some(days_of(ago)) != first);
        let alike =
            |(n, later): (usize, u16)| known.clone().skip(n + 1).any(|earlier| is_about(later.wrapping_sub(earlier)));
        let at_any_hour = known.clone().count() == STOPS && !known.clone().enumerate().any(alike);
        self.0.rotate_right(1);
        if let Some(newest) = self.0.first_mut() {
            *newest = hour;
        }
        on_two_days || at_any_hour
    }
}

/// Whether so many hours are about so many days: people, jobs and clocks that are changed are no more exact than an hour.
fn is_about(hours: u16) -> bool {
    matches!(hours % 24, 0 | 1 | 23)
}

fn days_of(hours: u16) -> u16 {
    hours.saturating_add(1) / 24
}

/// What has vanished.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Vanished {
    /// Above 1 is anomalous.
    pub score: f64,
    /// Lines a minute while it came.
    pub per_minute: f64,
    /// Minutes from its first to its last.
    pub came_for: u32,
}

impl Presence {
    /// A line came in this minute. One that had vanished begins anew.
    pub fn observe(&mut self, minute: u32) {
        if self.minutes == 0 || self.gone {
            *self = Self { born: minute, last: minute, minutes: 1, lines: 1, longest: 0, gone: false };
            return;
        }
        self.lines += 1;
        if minute > self.last {
            self.longest = self.longest.max(minute - self.last);
            self.last = minute;
            self.minutes += 1;
        }
    }

    /// The container may be another program from here on: what it does not say any more is not missed.
    pub fn forget(&mut self) {
        *self = Self::default();
    }

    /// Whether a line came in this minute, the newest that there is.
    pub fn was_in(&self, minute: u32) -> bool {
        self.minutes > 0 && self.last >= minute
    }

    /// Both are of one kind.
    pub fn join(&mut self, other: &Self) {
        if self.minutes == 0 || other.minutes == 0 {
            *self = if self.minutes == 0 { *other } else { *self };
            return;
        }
        let between = self.born.max(other.born).saturating_sub(self.last.min(other.last));
        *self = Self {
            born: self.born.min(other.born),
            last: self.last.max(other.last),
            minutes: self.minutes.max(other.minutes),
            lines: self.lines + other.lines,
            longest: self.longest.min(other.longest).max(between),
            gone: self.gone && other.gone,
        };
    }

    /// Whether it would be missed by now; asked when a minute is over.
    pub fn missed(&self, minute: u32) -> Option<Vanished> {
        if self.gone || self.minutes < KNOWN {
            return None;
        }
        let came_for = self.last - self.born + 1;
        let share = f64::from(self.minutes) / f64::from(came_for);
        let gap = minute.saturating_sub(self.last);
        if f64::from(self.longest.max(1)) > STEADY / share || gap < LEAST || gap < GAPS * self.longest {
            return None;
        }
        let rarity = -(1.0 - share.min(SUREST)).ln() * f64::from(gap);
        let per_minute = self.lines as f64 / f64::from(came_for);
        let score = (rarity / TAIL).min(MOST);
        (rarity > TAIL).then_some(Vanished { score, per_minute, came_for })
    }

    /// It was told: once until it comes again.
    pub fn tell(&mut self) {
        self.gone = true;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::detector::synthetic::Noise;

    /// The minutes at which it is missed, given the lines of each minute.
    fn missed(minutes: u32, lines: impl Fn(u32, &mut Noise) -> u64) -> Vec<u32> {
        let (mut presence, mut noise, mut found) = (Presence::default(), Noise::new(7), Vec::new());
        for minute in 0..minutes {
            (0..lines(minute, &mut noise)).for_each(|_| presence.observe(minute));
            if presence.missed(minute).is_some() {
                presence.tell();
                found.push(minute);
            }
        }
        found
    }

    #[test]
    fn what_came_steadily_is_missed_soon_and_once() {
        assert_eq!(missed(400, |m, _| u64::from(m < 200)), [204]);
        assert_eq!(missed(400, |m, n| if m < 200 { n.poisson(20.0) } else { 0 }), [204]);
        let slow = missed(800, |m, _| u64::from(m % 5 == 0 && m < 300));
        assert!(slow.len() == 1 && (320..360).contains(&slow[0]), "{slow:?}");
        let twice = missed(900, |m, _| u64::from(m < 200 || (400..600).contains(&m)));
        assert_eq!(twice, [204, 604]);
    }

    #[test]
    fn what_stops_at_its_hour_on_two_days_is_usual_at_it() {
        let told = |hours: &dyn Fn(i64) -> Option<i64>| -> Vec<i64> {
            let mut stops = Stops::default();
            let days = (0..40).filter_map(|day| Some((day, hours(day)?)));
            days.filter(|(day, hour)| !stops.note(Timestamp((480_000 + day * 24 + hour) * HOUR_NS)))
                .map(|(day, _)| day)
                .collect()
        };
        assert_eq!(told(&|_| Some(18)), [0, 1]);
        assert_eq!(told(&|day| Some(18 - day % 2)), [0, 1]);
        assert_eq!(told(&|day| Some(24 - day % 2)), [0, 1], "about midnight");
        assert_eq!(told(&|day| (day % 7 < 5).then_some(18)), [0, 1], "no work at the weekend");
        assert_eq!(told(&|day| (day % 7 == 0).then_some(18)), [0, 7], "once a week");
        assert_eq!(told(&|day| Some(if day == 20 { 11 } else { 18 })), [0, 1, 20]);
        assert_eq!(told(&|day| (!(10..30).contains(&day)).then_some(18)), [0, 1, 30, 31], "forgotten");
        // What comes and goes all day.
        let mut stops = Stops::default();
        let often = (0..100).filter(|n| !stops.note(Timestamp((480_000 + n * 3) * HOUR_NS))).count();
        assert_eq!(often, 4);
        // Twice within an hour is one time.
        let mut stops = Stops::default();
        let at = |hour: i64| Timestamp((480_000 + hour) * HOUR_NS);
        assert_eq!([0, 1, 24, 25, 48].map(|hour| stops.note(at(hour))), [false, false, false, false, true]);
    }

    #[test]
    fn what_was_never_steady_is_not_missed() {
        assert!(missed(3000, |m, n| if m < 2000 { n.poisson(0.2) } else { 0 }).is_empty());
        assert!(missed(3000, |_, n| n.poisson(0.5)).is_empty());
        assert!(missed(3000, |_, n| n.poisson(3.0)).is_empty());
        assert!(missed(500, |m, _| u64::from(m < 20)).is_empty(), "too little of it");
        assert!(missed(3000, |m, _| u64::from(m % 100 < 10)).is_empty(), "bursts");
        // A day's traffic that fades out.
        let fades = |m: u32, n: &mut Noise| n.poisson(20.0 * (-f64::from(m.saturating_sub(600)) / 60.0).exp());
        assert!(missed(2000, fades).is_empty());
    }
}
