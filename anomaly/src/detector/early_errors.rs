//! Error lines of a container that is still being learnt: it said hardly any for a while, and then hardly anything else.
//!
//! It takes as many as when it is known what is usual, over some seconds, since one failure may be told in many lines, and a
//! good part of all that is said meanwhile. What pods say while they start is no part of such a run: they may well fail until
//! others are there. The last minute is kept apart from what was before, so that an error now and then hides nothing: a run may
//! begin at any error of the minute, and all lines before it are its past.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use whyd_signals::Timestamp;

/// So long, and so many lines, make a past.
const START: Duration = Duration::from_secs(30);
const LINES: u32 = 20;
/// And of it one in so many at the most is an error: a tenth of what a run takes.
const STRAY: u32 = 20;
/// It takes so many errors, over so long.
const ERRORS: u32 = 10;
const LASTS: Duration = Duration::from_secs(5);
/// And such a part of all that is said since its first.
const PART: f64 = 0.5;
const SLOT_NS: i64 = 5_000_000_000;
/// A minute of them.
const SLOTS: i64 = 12;

/// A run of errors.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Run {
    /// Above 1 is anomalous.
    pub score: f64,
    /// Errors of the last minute.
    pub errors: u32,
    /// What was before its first.
    pub past: Past,
}

/// The lines before a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Past {
    /// How long they had been heard.
    pub lasted: Duration,
    /// Errors among them.
    pub errors: u32,
}

/// Lines that follow each other.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Stretch {
    since: Option<Timestamp>,
    lines: u32,
    errors: u32,
}

impl Stretch {
    fn add(&mut self, (since, lines, errors): (Timestamp, u32, u32)) {
        if lines > 0 {
            self.since = Some(self.since.map_or(since, |known| known.min(since)));
            self.lines = self.lines.saturating_add(lines);
            self.errors = self.errors.saturating_add(errors);
        }
    }

    fn is_quiet(&self) -> bool {
        self.errors.saturating_mul(STRAY) <= self.lines
    }

    /// What there was until then, if that is a past.
    fn past(&self, until: Timestamp) -> Option<Past> {
        let lasted = Duration::try_from_secs_f64(until.seconds_since(self.since?)).ok()?;
        let enough = self.is_quiet() && self.lines >= LINES && lasted >= START;
        enough.then_some(Past { lasted, errors: self.errors })
    }
}

/// Some seconds.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Slot {
    /// Lines before its first error and from then on; where there are too many to count, parts of all of them.
    before: u16,
    since: u16,
    errors: u16,
    /// Errors of pods that start, which are none of these.
    aside: u16,
    /// Milliseconds from its beginning to its first line, and to its first error.
    line_at: u16,
    error_at: u16,
}

impl Slot {
    fn lines(&self) -> u32 {
        [self.before, self.since, self.aside].into_iter().map(u32::from).sum()
    }

    /// With those of pods that start.
    fn all_errors(&self) -> u32 {
        u32::from(self.errors) + u32::from(self.aside)
    }

    fn take(&mut self, ts: Timestamp, is_error: bool, starts: bool) {
        let millis = (ts.0.rem_euclid(SLOT_NS) / 1_000_000) as u16;
        self.line_at = if self.lines() == 0 { millis } else { self.line_at.min(millis) };
        if is_error && starts {
            self.aside += 1;
        } else if is_error || self.errors > 0 {
            self.error_at = if self.errors == 0 { millis } else { self.error_at };
            self.errors += u16::from(is_error);
            self.since += 1;
        } else {
            self.before += 1;
        }
        let counts = [&mut self.before, &mut self.since, &mut self.errors, &mut self.aside];
        if counts.iter().any(|count| **count == u16::MAX) {
            counts.into_iter().for_each(|count| *count /= 2);
        }
    }
}

/// The detector of one stream of lines in its first minutes.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct EarlyErrors {
    /// The number of the newest slot.
    newest: Option<i64>,
    slots: [Slot; SLOTS as usize],
    /// What was before these. Where it is not quiet it begins anew.
    older: Stretch,
}

impl EarlyErrors {
    /// Takes a line; the run of errors that it belongs to, once that is one. `starts`: its pod came so shortly before that this
    /// may be how it starts.
    pub fn observe(&mut self, ts: Timestamp, is_error: bool, starts: bool) -> Option<Run> {
        let at = ts.0.div_euclid(SLOT_NS);
        let newest = *self.newest.get_or_insert(at);
        for next in (newest + 1..=at).take(SLOTS as usize) {
            // Of slots that follow a silence only which they are counts.
            let gone = std::mem::take(self.slot(next));
            self.age(gone, next - SLOTS);
        }
        let newest = newest.max(at);
        self.newest = Some(newest);
        if at <= newest - SLOTS {
            self.older.add((ts, 1, u32::from(is_error)));
            return None;
        }
        self.slot(at).take(ts, is_error, starts);
        if is_error && !starts { self.run(ts, newest) } else { None }
    }

    fn slot(&mut self, number: i64) -> &mut Slot {
        &mut self.slots[number.rem_euclid(SLOTS) as usize]
    }

    fn at(&self, number: i64) -> Slot {
        self.slots[number.rem_euclid(SLOTS) as usize]
    }

    fn age(&mut self, slot: Slot, number: i64) {
        self.older.add((time(number, slot.line_at), slot.lines(), slot.all_errors()));
        if !self.older.is_quiet() {
            self.older = Stretch::default();
        }
    }

    /// The shortest run that ends here and is one, with the longest past before it.
    fn run(&self, ts: Timestamp, newest: i64) -> Option<Run> {
        let (mut of, mut errors) = (0_u32, 0_u32);
        for number in (newest - SLOTS + 1..=newest).rev() {
            let slot = self.at(number);
            let first = time(number, slot.error_at);
            let (since, found) = (of + u32::from(slot.since), errors + u32::from(slot.errors));
            let part = f64::from(found) / f64::from(since.max(1));
            if slot.errors > 0
                && found >= ERRORS
                && part >= PART
                && ts >= first.plus(LASTS)
                && let Some(past) = self.past(number, newest, first)
            {
                let all = self.slots.iter().map(|slot| u32::from(slot.errors)).sum();
                return Some(Run { score: f64::from(found) / f64::from(ERRORS) + part, errors: all, past });
            }
            of = since + u32::from(slot.before);
            errors = found;
        }
        None
    }

    fn past(&self, of: i64, newest: i64, first: Timestamp) -> Option<Past> {
        let slot = self.at(of);
        let mut stretch = Stretch::default();
        let (before, aside) = (u32::from(slot.before), u32::from(slot.aside));
        stretch.add((time(of, slot.line_at), before + aside, aside));
        let mut longest = stretch.past(first);
        for number in (newest - SLOTS + 1..of).rev() {
            let slot = self.at(number);
            stretch.add((time(number, slot.line_at), slot.lines(), slot.all_errors()));
            longest = stretch.past(first).or(longest);
        }
        if let Some(since) = self.older.since {
            stretch.add((since, self.older.lines, self.older.errors));
        }
        stretch.past(first).or(longest)
    }
}

fn time(slot: i64, millis: u16) -> Timestamp {
    Timestamp(slot.saturating_mul(SLOT_NS).saturating_add(i64::from(millis) * 1_000_000))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    /// The first second at which a run is told, and it, given ordinary lines and errors a second.
    fn run(says: impl Fn(i64) -> (u32, u32), starts: impl Fn(i64) -> bool) -> Option<(i64, Run)> {
        let mut errors = EarlyErrors::default();
        for s in 0..600 {
            let (ordinary, of_errors) = says(s);
            for n in 0..ordinary + of_errors {
                let ts = Timestamp(1_000_000_000_000 + s * 1_000_000_000 + i64::from(n));
                if let Some(run) = errors.observe(ts, n >= ordinary, starts(s)) {
                    return Some((s, run));
                }
            }
        }
        None
    }

    fn told(says: impl Fn(i64) -> (u32, u32), starts: impl Fn(i64) -> bool) -> Option<i64> {
        run(says, starts).map(|(s, _)| s)
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
        let at_first = |s: i64| if s < 28 { (1, 1) } else { (0, 1) };
        assert_eq!(told(at_first, |s| s < 30), None, "who failed while it started, and goes on so");
    }

    #[test]
    fn an_error_now_and_then_hides_no_run_and_is_told_with_it() {
        for before in [0, 5, 15, 25, 29, 31, 40, 50, 59, 61, 90, 150] {
            let says = |s: i64| match s {
                430 => (1, 1),
                s if s >= 430 + before => (0, 2),
                _ => (2, 0),
            };
            let (at, Run { past, .. }) = run(says, |_| false).unwrap();
            assert!((430 + before + 4..=430 + before + 6).contains(&at), "{before} s before: {at}");
            let of_run = before <= 5;
            assert_eq!((past.errors, past.lasted.as_secs() as i64), if of_run { (0, 430) } else { (1, 430 + before) });
        }
    }

    #[test]
    fn a_past_full_of_errors_is_none_until_it_is_long_gone() {
        let says = |quiet: i64| move |s: i64| if s < 60 || s >= 60 + quiet { (0, 2) } else { (2, 0) };
        assert_eq!(told(says(20), |_| false), None);
        assert_eq!(told(says(40), |_| false), Some(105));
    }

    #[test]
    fn more_lines_than_can_be_counted_are_counted_in_proportion() {
        let mut slot = Slot::default();
        (0..400_000).for_each(|n| slot.take(Timestamp(n), n % 4 == 0, false));
        assert!((0.2..0.3).contains(&(f64::from(slot.errors) / f64::from(slot.lines()))), "{slot:?}");
    }
}
