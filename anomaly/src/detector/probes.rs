//! A probe that fails after it had succeeded: a program that hangs, or that turns its callers away.
//!
//! The kubelet counts the outcomes of a container's probe in a counter each. Both are looked at together, scrape by scrape, from
//! the first on: a probe that succeeded says by itself what is usual. Until it has done so some times the container starts, and
//! what fails then is no fault. The first failure after that counts at once; a probe that fails now and then has to fail as
//! often as makes the kubelet act.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use whyd_signals::Timestamp;

use super::onset::Onset;

/// So many successes end a start.
const STARTED: u32 = 5;
/// A probe that failed in more than one of so many fails now and then.
const RARELY: u32 = 100;
/// The kubelet acts after so many in a row, if it is told nothing else.
const IN_A_ROW: u32 = 3;
/// Two scrapes further apart say nothing about the time between.
const MAX_GAP: Duration = Duration::from_secs(300);
/// Old outcomes count half from so many on.
const MANY: u32 = 1000;
/// No score is lower, or higher.
const SCORES: (f64, f64) = (1.5, 10.0);

/// How a probe went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// As it should.
    Successful,
    /// It did not.
    Failed,
}

impl Outcome {
    /// By the label of the kubelet's metric; `None` for what neither helps nor harms.
    pub fn of(result: &str) -> Option<Self> {
        match result {
            "successful" => Some(Self::Successful),
            "failed" => Some(Self::Failed),
            _ => None,
        }
    }
}

/// A probe that fails.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Failing {
    /// Above 1 is anomalous.
    pub score: f64,
    /// How often it failed since it last succeeded.
    pub failed: u32,
    /// How often it had succeeded before.
    pub succeeded: u32,
}

#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Count {
    at: Option<Timestamp>,
    /// The scrape before.
    before: Option<Timestamp>,
    total: f64,
    rise: u32,
}

/// The detector of one probe of one container.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Probe {
    successful: Count,
    failed: Count,
    /// The scrape that was looked at last.
    looked: Option<Timestamp>,
    succeeded: u32,
    /// Failures that passed by.
    passed: u32,
    in_a_row: u32,
    onset: Onset,
}

impl Probe {
    /// Takes the count of one outcome; a probe that fails as of this scrape. A count that came into being since the last scrape
    /// began at nothing; one that fell begins anew with the other.
    pub fn observe(&mut self, outcome: Outcome, ts: Timestamp, total: f64) -> Option<Failing> {
        if !total.is_finite() || total < 0.0 {
            return None;
        }
        let (own, other) = match outcome {
            Outcome::Successful => (self.successful, self.failed),
            Outcome::Failed => (self.failed, self.successful),
        };
        if own.at.is_some_and(|at| ts <= at) {
            return None;
        }
        let fell = own.at.is_some() && total < own.total;
        if fell {
            *self = Self::default();
        }
        // The counts of a scrape come in either order.
        let (last, from) = match own.at {
            _ if fell => (None, 0.0),
            None if other.at == Some(ts) => (other.before, 0.0),
            None => (other.at, 0.0),
            at => (at, own.total),
        };
        let rise = last.filter(|last| ts <= last.plus(MAX_GAP)).map_or(0, |_| (total - from) as u32);
        let count = Count { at: Some(ts), before: last, total, rise };
        match outcome {
            Outcome::Successful => self.successful = count,
            Outcome::Failed => self.failed = count,
        }
        if last.is_none() {
            self.begin();
        }
        if self.failed.at.is_some() && self.failed.at != self.successful.at {
            return None;
        }
        self.look(ts)
    }

    /// What it did before it was watched is a past, too. What failed while it started is none.
    fn begin(&mut self) {
        let counted = |count: &Count| count.total.min(f64::from(MANY)) as u32;
        self.succeeded = counted(&self.successful);
        self.passed = if self.succeeded >= STARTED { counted(&self.failed) } else { 0 };
    }

    /// Both counts of one scrape are there, or there is only that of successes.
    fn look(&mut self, ts: Timestamp) -> Option<Failing> {
        let again = self.looked.replace(ts) == Some(ts);
        let fails = if self.failed.at == Some(ts) { self.failed.rise } else { 0 };
        let succeeds = self.successful.rise;
        let started = self.succeeded >= STARTED;
        if !started || fails <= succeeds {
            if !again && succeeds > 0 {
                self.succeeded = self.succeeded.saturating_add(succeeds);
                self.passed = self.passed.saturating_add(self.in_a_row);
                self.in_a_row = 0;
            }
            if started && succeeds > 0 {
                self.passed = self.passed.saturating_add(fails);
            }
            if self.succeeded > MANY {
                (self.succeeded, self.passed) = (self.succeeded / 2, self.passed / 2);
            }
            self.onset.observe(ts, 0.0);
            return None;
        }
        if fails == 0 {
            return None;
        }
        self.in_a_row = self.in_a_row.saturating_add(fails);
        let rarely = self.passed.saturating_mul(RARELY) <= self.succeeded;
        if !rarely && self.in_a_row < IN_A_ROW {
            return None;
        }
        let surprise = (f64::from(self.succeeded + 2) / f64::from(self.passed + 1)).ln() * f64::from(self.in_a_row);
        let score = surprise.clamp(SCORES.0, SCORES.1);
        // A probe is a judgement already: no second look is needed.
        let opens = self.onset.observe(ts, score.max(2.0));
        opens.then_some(Failing { score, failed: self.in_a_row, succeeded: self.succeeded })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    /// The scrapes at which it is told to fail, given both counts at each; a count that is not there yet is negative.
    fn told(step_s: i64, scrapes: &[(f64, f64)]) -> Vec<(usize, u32, u32)> {
        let in_order = |failed_first: bool| {
            let mut probe = Probe::default();
            let mut found = Vec::new();
            for (n, (successful, failed)) in scrapes.iter().enumerate() {
                let ts = Timestamp(1_000_000_000_000 + n as i64 * step_s * 1_000_000_000);
                let mut counts = [(Outcome::Failed, *failed), (Outcome::Successful, *successful)];
                if !failed_first {
                    counts.reverse();
                }
                for (outcome, total) in counts {
                    let failing = (total >= 0.0).then(|| probe.observe(outcome, ts, total)).flatten();
                    found.extend(failing.map(|f| (n, f.failed, f.succeeded)));
                }
            }
            found
        };
        let found = in_order(true);
        let other: Vec<(usize, u32)> = in_order(false).iter().map(|(n, failed, _)| (*n, *failed)).collect();
        assert_eq!(other, found.iter().map(|(n, failed, _)| (*n, *failed)).collect::<Vec<_>>(), "the other way round");
        found
    }

    /// Scrapes at which it succeeds, then some at which it fails.
    fn then_fails(succeeds: usize, before: f64) -> Vec<(f64, f64)> {
        let well = (0..succeeds).map(|n| (n as f64 + 1.0, before));
        let fails = (0..4).map(|n| (succeeds as f64, before.max(0.0) + f64::from(n) + 1.0));
        well.chain(fails).collect()
    }

    #[test]
    fn the_first_failure_after_a_start_is_told_at_once_and_once() {
        for before in [-1.0, 0.0, 4.0] {
            assert_eq!(told(5, &then_fails(8, before)), [(8, 1, 8)], "{before} failures while it started");
        }
        let again: Vec<_> = then_fails(8, -1.0).into_iter().chain([(9.0, 4.0), (9.0, 5.0)]).collect();
        assert_eq!(told(5, &again), [(8, 1, 8)], "one episode");
    }

    #[test]
    fn two_failures_and_a_success_between_two_scrapes_are_a_failure() {
        let mixed = [(9.0, -1.0), (11.0, -1.0), (13.0, -1.0), (14.0, 2.0), (14.0, 3.0)];
        assert_eq!(told(5, &mixed), [(3, 2, 13)]);
        assert_eq!(told(5, &[(9.0, -1.0), (11.0, -1.0), (13.0, 1.0), (15.0, 1.0)]), [], "one of three is none");
    }

    #[test]
    fn a_start_is_none_however_long_it_takes() {
        let slow = (0..100).map(|n| (-1.0, f64::from(n)));
        assert_eq!(told(5, &slow.clone().collect::<Vec<_>>()), []);
        let comes_up: Vec<_> = slow.chain((1..100).map(|n| (f64::from(n), 99.0))).collect();
        assert_eq!(told(5, &comes_up), []);
        assert_eq!(told(5, &then_fails(3, -1.0)), [], "three successes are no past");
    }

    #[test]
    fn what_fails_now_and_then_is_told_when_the_kubelet_acts() {
        let mut scrapes = then_fails(20, -1.0);
        scrapes.truncate(21);
        let mut passes: Vec<_> = (1..=60).map(|n| (20.0 + f64::from(n), 1.0)).collect();
        scrapes.append(&mut passes);
        scrapes.extend((1..=4).map(|n| (80.0, 1.0 + f64::from(n))));
        assert_eq!(told(5, &scrapes), [(20, 1, 20), (83, 3, 80)]);
    }

    #[test]
    fn what_it_did_before_it_was_watched_is_known() {
        let then = |before: f64| [(500.0, before), (503.0, before), (503.0, before + 1.0), (503.0, before + 3.0)];
        assert_eq!(told(15, &then(2.0)), [(2, 1, 503)]);
        assert_eq!(told(15, &then(100.0)), [(3, 3, 503)], "it fails now and then");
    }

    #[test]
    fn restarts_of_the_kubelet_gaps_and_what_is_no_number_are_no_failure() {
        let reset = [(20.0, 9.0), (21.0, 9.0), (1.0, 2.0), (2.0, 2.0), (3.0, 3.0)];
        assert_eq!(told(5, &reset), []);
        assert_eq!(told(600, &then_fails(8, 0.0)), [], "what happened in ten minutes is not known");
        let mut probe = Probe::default();
        for value in [f64::NAN, f64::INFINITY, -1.0, f64::MAX, 3.0] {
            assert_eq!(probe.observe(Outcome::Failed, Timestamp(1), value), None);
        }
    }
}
