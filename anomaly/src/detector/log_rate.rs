//! Lines and error lines of one container or workload against their own past, counted in a sliding minute.
//!
//! A line costs an addition and a comparison: the threshold is set when a minute closes. It is the highest of a robust
//! one (median and spread), a Poisson tail, a multiple of the usual and a least count, and where there are more pods than usual
//! it is as many times as high. What pods say while they start is left out where all lines are counted, since a rollout is many
//! starts; errors are errors. And what comes at its hour every day, the day's work or a nightly job, is usual ([`Daily`]).

use std::time::Duration;

use serde::{Deserialize, Serialize};
use whyd_signals::Timestamp;

use super::early_errors::{EarlyErrors, Past};
use super::history::{History, Usual};
use super::holes::Holes;
use super::onset::Onset;
use super::score::daily::Daily;
use super::speakers::{Speaker, Speakers};

const SLOT_NS: i64 = 10_000_000_000;
const SLOTS: usize = 6;
const MINUTE: Duration = Duration::from_secs(60);
/// Chance of a healthy minute being over the Poisson threshold, as `-ln p`.
const TAIL: f64 = 20.7;
/// Spreads from the median, as for gauges.
const SPREADS: f64 = 6.0;
/// And so many times the median.
const MULTIPLE: f64 = 2.0;
/// Lines that are received so much later than they were written are late. Earlier ones count for now where their minute is over:
/// that is no more than a second minute in one, and a burst takes more.
const LATE: Duration = Duration::from_secs(120);
/// Errors say little so long after their pod came.
const STARTS: Duration = Duration::from_secs(30);
/// After a silence this many empty minutes are enough to know it.
const MOST_EMPTY: i64 = 400;

/// What burst.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// All lines.
    Lines,
    /// Lines that tell an error.
    Errors,
}

/// A burst of lines.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Burst {
    /// Of which lines.
    pub what: What,
    /// Above 1 is anomalous.
    pub score: f64,
    /// Lines in the last minute.
    pub per_minute: f64,
    /// What was usual.
    pub expected: f64,
    /// What was heard before, where that is too little to know what is usual.
    pub past: Option<Past>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Count {
    slots: [u32; SLOTS],
    sum: u32,
    history: History,
    /// Median and threshold, once learnt.
    usual: Option<(f64, f64)>,
    /// There are so many times as many pods as usual.
    pods: f32,
    /// Lines a minute that each hour of earlier days reached.
    daily: Daily,
    onset: Onset,
}

impl Count {
    /// Empties the slot that falls out of the minute.
    fn roll(&mut self, slot: i64) {
        let at = slot.rem_euclid(SLOTS as i64) as usize;
        self.sum -= self.slots[at];
        self.slots[at] = 0;
    }

    /// Of the minute at hand nothing was counted.
    fn empty(&mut self) {
        (self.slots, self.sum) = ([0; SLOTS], 0);
    }

    /// The clock that dates what is counted was ahead.
    fn set_back(&mut self, now: Timestamp) {
        self.empty();
        self.history.set_back(now);
        self.daily.set_back(now);
    }

    /// What was counted in a minute in which nobody was heard is no count.
    fn close_minute(&mut self, at: Timestamp, is_heard: bool) {
        let score = self.score();
        self.onset.observe(at, score.min(1.0));
        self.daily.observe(at, f64::from(self.sum));
        if is_heard {
            self.history.push(at, f64::from(self.sum));
        }
    }

    /// What is usual for so many times as many pods as usual.
    fn learn(&mut self, now: Timestamp, learning: Duration, pods: f32, least: f64) {
        self.pods = pods;
        self.usual = self.history.usual(now, learning).map(|usual| {
            let usual = of_pods(usual, f64::from(pods));
            (usual.median, threshold(&usual, least, MULTIPLE))
        });
    }

    fn score(&self) -> f64 {
        match self.usual {
            Some((median, threshold)) => (f64::from(self.sum) - median) / (threshold - median).max(1.0),
            None => 0.0,
        }
    }

    fn add(&mut self, ts: Timestamp, slot: i64, what: What) -> Option<Burst> {
        let at = slot.rem_euclid(SLOTS as i64) as usize;
        // One that is full counts no further, so that the sum stays the sum.
        let one = u32::from(self.sum < u32::MAX);
        self.slots[at] += one;
        self.sum += one;
        let (median, threshold) = self.usual?;
        let sum = f64::from(self.sum);
        if sum <= threshold || !self.daily.observe(ts, sum) {
            return None;
        }
        let score = self.score();
        // A minute over the threshold is many lines: no second look is needed.
        let burst = Burst { what, score, per_minute: sum, expected: median, past: None };
        self.onset.observe(ts, score.max(2.0)).then_some(burst)
    }
}

/// The same where there are so many times as many pods.
fn of_pods(usual: Usual, pods: f64) -> Usual {
    let Usual { values, median, q05, q25, q75, q95, mean, high, low } = usual;
    Usual {
        values,
        median: median * pods,
        q05: q05 * pods,
        q25: q25 * pods,
        q75: q75 * pods,
        q95: q95 * pods,
        mean: mean * pods,
        high: high * pods,
        low: low * pods,
    }
}

fn threshold(usual: &Usual, least: f64, multiple: f64) -> f64 {
    let n = usual.values as f64;
    let spread = ((usual.q75 - usual.q25) / 1.349).max((usual.q95 - usual.median) / 1.645);
    let robust = usual.median + SPREADS * (1.0 + 8.0 / n) * spread;
    let seen = usual.median + 1.5 * (usual.high - usual.median);
    // Three more than were seen: a mean of nothing in n minutes may still be 3/n.
    let poisson = poisson_tail(usual.mean.max(usual.median) + 3.0 / n);
    robust.max(seen).max(poisson).max(multiple * usual.median).max(least)
}

/// The count that a Poisson variable of this mean exceeds with a chance below `exp(-TAIL)`, by Chernoff's bound.
fn poisson_tail(mean: f64) -> f64 {
    let exponent = |n: f64| n * (n / mean).ln() - n + mean;
    let (mut low, mut high) = (mean, mean + 10.0 * mean.sqrt() + 40.0);
    for _ in 0..40 {
        let middle = f64::midpoint(low, high);
        if exponent(middle) < TAIL {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

/// The detector of one stream of lines.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct LogRate {
    current: Option<i64>,
    lines: Count,
    errors: Count,
    early: EarlyErrors,
    speakers: Speakers,
    late: u64,
}

impl LogRate {
    /// The most that one takes, in bytes.
    pub const BYTES: usize =
        size_of::<Self>() + 2 * (History::BYTES - size_of::<History>() + Daily::HEAP) + Speakers::HEAP;
    /// Fewer lines a minute are no burst.
    pub const LEAST_LINES: f64 = 100.0;
    /// Fewer error lines a minute are no burst.
    pub const LEAST_ERRORS: f64 = 10.0;

    /// Lines of this pod come next, from the oldest to the newest. Once a run of lines.
    pub fn of_pod(&mut self, pod: u64, times: (Timestamp, Timestamp)) -> Speaker {
        self.speakers.hear(pod, times)
    }

    /// Counts a line of a pod, which was received then; the burst that it opens, errors before lines. One that is dated ahead is
    /// one of now, whatever the clock of its node says; one that is late is not counted.
    pub fn observe(
        &mut self,
        (ts, is_error): (Timestamp, bool),
        (of, received): (&Speaker, Timestamp),
        learning: Duration,
        holes: &Holes,
    ) -> Option<Burst> {
        let ts = ts.min(received);
        let mut slot = ts.0.div_euclid(SLOT_NS);
        // No minute is ahead of the receipt, unless the receipt's clock was set back: what was counted is of another time.
        if self.current.is_some_and(|current| received.0.div_euclid(SLOT_NS) < current - SLOTS as i64) {
            self.lines.set_back(received);
            self.errors.set_back(received);
            self.current = None;
        }
        let current = *self.current.get_or_insert(slot);
        if slot <= current - SLOTS as i64 {
            if ts.plus(LATE) < received {
                self.late += 1;
                return None;
            }
            slot = current;
        }
        if slot > current {
            self.advance(current, slot, learning, holes);
        }
        let errors = if is_error { self.errors.add(ts, slot, What::Errors) } else { None };
        let lines = if ts < of.settles { None } else { self.lines.add(ts, slot, What::Lines) };
        errors.or(lines).or_else(|| self.early_errors(ts, is_error, ts < of.came.plus(STARTS)))
    }

    /// Errors that hardly leave room for anything else, while it is not known how many are usual.
    fn early_errors(&mut self, ts: Timestamp, is_error: bool, starts: bool) -> Option<Burst> {
        if self.errors.usual.is_some() {
            return None;
        }
        let run = self.early.observe(ts, is_error, starts)?;
        let (what, per_minute, past) = (What::Errors, f64::from(run.errors), Some(run.past));
        let burst = Burst { what, score: run.score, per_minute, expected: 0.0, past };
        self.errors.onset.observe(ts, run.score.max(2.0)).then_some(burst)
    }

    /// Bursts that go on, and when each was last seen to.
    pub fn lasts(&self) -> impl Iterator<Item = (What, Timestamp)> {
        let all = [(What::Lines, &self.lines), (What::Errors, &self.errors)];
        all.into_iter().filter_map(|(what, count)| Some((what, count.onset.lasts()?)))
    }

    /// Lines that came too late to be counted.
    pub fn late(&self) -> u64 {
        self.late
    }

    fn advance(&mut self, current: i64, slot: i64, learning: Duration, holes: &Holes) {
        let from = current.max(slot - MOST_EMPTY * SLOTS as i64);
        let now = Timestamp(slot.saturating_mul(SLOT_NS));
        let is_over = from != current || slot.div_euclid(SLOTS as i64) != current.div_euclid(SLOTS as i64);
        // While all pods start nothing is known of those that run.
        let is_settled = !is_over || self.speakers.close_minute(Timestamp(current.saturating_mul(SLOT_NS)));
        for next in from + 1..=slot {
            let starts_minute = next.rem_euclid(SLOTS as i64) == 0;
            let at = Timestamp(next.saturating_mul(SLOT_NS).saturating_sub(1));
            let is_heard = !starts_minute || !holes.touch(at.minus(MINUTE), at);
            for (count, is_known) in [(&mut self.lines, is_settled), (&mut self.errors, true)] {
                if starts_minute {
                    count.close_minute(at, is_heard && is_known);
                }
                count.roll(next);
            }
        }
        let (settled, all) = self.speakers.more_than_usual(now);
        for (count, pods, least) in
            [(&mut self.lines, settled, Self::LEAST_LINES), (&mut self.errors, all, Self::LEAST_ERRORS)]
        {
            if is_over || pods != count.pods {
                count.learn(now, learning, pods, least);
            }
        }
        self.current = Some(slot);
    }
}

#[cfg(test)]
mod tests;
