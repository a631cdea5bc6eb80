//! A probe that fails after it had succeeded: a program that hangs, or that turns its callers away.
//!
//! The kubelet counts the outcomes of a container's probe in a counter each. Both are looked at together, as of one scrape,
//! whatever order they come in, from the first on: a probe that succeeded says by itself what is usual. Until it has done so
//! some times since its container was started that is a start, and what fails then is no fault. The first failure after that
//! counts at once; a probe that fails now and then has to fail as often as makes the kubelet act, and more often than it does.
//! As many failures between two scrapes count whatever succeeded beside them: a container that was killed answers again
//! before the next scrape.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use whyd_signals::Timestamp;

use super::onset::Onset;

/// So many successes end a start.
const STARTED: f64 = 5.0;
/// A probe that failed in more than one of so many fails now and then; what is told of it has to be as rare.
const RARELY: f64 = 100.0;
/// The kubelet acts after so many in a row, if it is told nothing else.
const IN_A_ROW: u32 = 3;
/// Two scrapes further apart say nothing about the time between.
const MAX_GAP: Duration = Duration::from_secs(300);
/// Old outcomes count half from so many on.
const MANY: f64 = 1000.0;
/// So many scrapes the two counts may be apart.
const SCRAPES: usize = 8;
/// The kubelet probes no more often than once in a second.
const OFTENEST: f64 = 1.0;
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

/// What the kubelet does about a probe that fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consequence {
    /// It waits on, as long as it is told to: that is a start.
    Waits,
    /// It sends the container no requests.
    SendsNone,
    /// It kills the container.
    Kills,
}

impl Consequence {
    /// By the kubelet's name for the kind of probe.
    pub fn of(kind: &str) -> Self {
        match kind {
            "Startup" => Self::Waits,
            "Liveness" => Self::Kills,
            _ => Self::SendsNone,
        }
    }
}

/// When a container was started anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restarted {
    /// Since when it runs.
    pub at: Timestamp,
    /// It had failed, or was killed, and did not end as it should.
    pub after_failure: bool,
}

/// What is known of a container whose probe failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Probed {
    /// Its pod is being deleted, or gone: its probes may fail.
    pub goes: bool,
    /// Where it does not run for the first time: the counts go on, and it starts once more.
    pub restarted: Option<Restarted>,
    /// The kubelet acts after so many failures in a row.
    pub threshold: Option<u32>,
}

/// A probe that fails.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Failing {
    /// Above 1 is anomalous.
    pub score: f64,
    /// How often it failed since it last went well.
    pub failed: u32,
    /// How often it succeeded in between.
    pub beside: u32,
    /// How often it had succeeded before, as far as the kubelet counted.
    pub succeeded: u64,
    /// Its container had failed, and starts again.
    pub starts_again: bool,
}

/// The last totals of one outcome, the oldest first.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Recent {
    totals: [(Timestamp, f64); SCRAPES],
    held: u8,
}

impl Recent {
    fn all(&self) -> &[(Timestamp, f64)] {
        self.totals.get(..usize::from(self.held)).unwrap_or_default()
    }

    fn push(&mut self, ts: Timestamp, total: f64) {
        if usize::from(self.held) == SCRAPES {
            self.totals.rotate_left(1);
            self.held -= 1;
        }
        if let Some(place) = self.totals.get_mut(usize::from(self.held)) {
            *place = (ts, total);
            self.held += 1;
        }
    }

    fn at(&self, ts: Timestamp) -> Option<f64> {
        self.all().iter().rev().find(|(at, _)| *at == ts).map(|(_, total)| *total)
    }

    fn before(&self, ts: Timestamp) -> Option<(Timestamp, f64)> {
        self.all().iter().rev().find(|(at, _)| *at < ts).copied()
    }

    /// The most that it rose in a second.
    fn pace(&self) -> Option<f64> {
        let pairs = self.all().windows(2).filter_map(|pair| match pair {
            [(from, low), (to, high)] => Some((high - low) / to.seconds_since(*from).max(1e-3)),
            _ => None,
        });
        pairs.reduce(f64::max)
    }
}

/// Both totals as of one scrape.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Scrape {
    ts: Timestamp,
    successful: f64,
    failed: f64,
}

/// Failures since it last went well, what succeeded among them, and how much had succeeded before.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Run {
    failed: u32,
    beside: u32,
    before: f64,
}

/// When its container was last started anew.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Start {
    at: Timestamp,
    /// What had succeeded by then.
    until: f64,
    /// It had worked, and failed: until it succeeds once that goes on.
    after_failure: bool,
}

/// The detector of one probe of one container.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Probe {
    successful: Recent,
    failed: Recent,
    /// The scrape that was looked at last.
    looked: Option<Scrape>,
    /// What it usually does, old outcomes counting less: how often it succeeded, and failed without it being a start.
    usual: (f64, f64),
    restart: Option<Start>,
    run: Run,
    onset: Onset,
}

impl Start {
    /// Whether what failed before it goes on while so much has succeeded.
    fn goes_on(&self, successful: f64) -> bool {
        self.after_failure && successful <= self.until
    }
}

impl Probe {
    /// Takes the count of one outcome; a probe that fails as of the scrape of which both counts are there by now. `probed` is
    /// asked where it failed.
    pub fn observe(
        &mut self,
        (outcome, ts, total): (Outcome, Timestamp, f64),
        consequence: Consequence,
        probed: impl FnOnce() -> Probed,
    ) -> Option<Failing> {
        if !total.is_finite() || total < 0.0 || consequence == Consequence::Waits {
            return None;
        }
        let own = match outcome {
            Outcome::Successful => &self.successful,
            Outcome::Failed => &self.failed,
        };
        match own.all().last() {
            Some((at, _)) if ts <= *at => return None,
            // The kubelet began anew.
            Some((_, last)) if total < *last => *self = Self { onset: self.onset, ..Self::default() },
            _ => {}
        }
        match outcome {
            Outcome::Successful => self.successful.push(ts, total),
            Outcome::Failed => self.failed.push(ts, total),
        }
        let (Some(successful), Some(failed)) = (self.successful.at(ts), self.failed.at(ts)) else { return None };
        let scrape = Scrape { ts, successful, failed };
        let before = match self.looked.replace(scrape) {
            Some(before) => before,
            None => self.begin(&scrape)?,
        };
        self.look(&before, &scrape, consequence, probed)
    }

    /// While it fails, when it was last seen to.
    pub fn lasts(&self) -> Option<Timestamp> {
        self.onset.lasts()
    }

    /// What it did before is a past, too, but for what failed while it started. A count that came into being since the scrape
    /// before began at nothing, unless that would be more than the probe can have gone: then it was not heard for long.
    fn begin(&mut self, scrape: &Scrape) -> Option<Scrape> {
        let before = self.successful.before(scrape.ts).map(|(ts, successful)| {
            let most = self.successful.pace().unwrap_or(OFTENEST) * scrape.ts.seconds_since(ts) + 1.0;
            let is_new = scrape.failed + scrape.successful - successful <= most;
            let none = if is_new { 0.0 } else { scrape.failed };
            let failed = self.failed.before(scrape.ts).map_or(none, |(_, failed)| failed);
            Scrape { ts, successful, failed }
        });
        let past = before.as_ref().unwrap_or(scrape);
        let scale = (MANY / past.successful.max(MANY)).min(1.0);
        let failed = if past.successful >= STARTED { past.failed } else { 0.0 };
        self.usual = (past.successful * scale, failed * scale);
        before
    }

    fn look(
        &mut self,
        before: &Scrape,
        scrape: &Scrape,
        consequence: Consequence,
        probed: impl FnOnce() -> Probed,
    ) -> Option<Failing> {
        let rise = |from: f64, to: f64| (to - from).max(0.0) as u32;
        let succeeds = rise(before.successful, scrape.successful);
        let fails = rise(before.failed, scrape.failed);
        if scrape.ts > before.ts.plus(MAX_GAP) {
            self.pass(0, 0);
            return None;
        }
        if fails == 0 {
            if succeeds > 0 {
                self.pass(succeeds, 0);
                self.onset.observe(scrape.ts, 0.0);
            }
            return None;
        }
        let probed = probed();
        if probed.goes {
            return None;
        }
        let threshold = probed.threshold.unwrap_or(IN_A_ROW).max(1);
        // What made the kubelet kill it is not how it starts.
        let killed = consequence == Consequence::Kills && fails >= threshold;
        if self.starts(before, probed.restarted, killed) {
            self.pass(succeeds, 0);
            return None;
        }
        if fails <= succeeds && fails < threshold {
            self.pass(succeeds, fails);
            self.onset.observe(scrape.ts, 0.0);
            return None;
        }
        if self.run.failed == 0 {
            self.run.before = before.successful;
        }
        self.run.failed = self.run.failed.saturating_add(fails);
        self.run.beside = self.run.beside.saturating_add(succeeds);
        let surprise = self.surprise();
        let rarely = self.usual.1 * RARELY <= self.usual.0;
        if !rarely && (self.run.failed < threshold || surprise < RARELY.ln()) {
            return None;
        }
        let score = surprise.clamp(SCORES.0, SCORES.1);
        // A probe is a judgement already: no second look is needed.
        let opens = self.onset.observe(scrape.ts, score.max(2.0));
        let Run { failed, beside, before } = self.run;
        let starts_again = !killed && self.restart.is_some_and(|start| start.goes_on(before));
        // Its end says more.
        let score = if starts_again { SCORES.0 } else { score };
        opens.then_some(Failing { score, failed, beside, succeeded: before as u64, starts_again })
    }

    /// Whether what failed since the scrape before may be how its container starts.
    fn starts(&mut self, before: &Scrape, restarted: Option<Restarted>, killed: bool) -> bool {
        let last = self.restart;
        let since = |start: Option<Start>, total: f64| total - start.map_or(0.0, |start| start.until);
        if let Some(Restarted { at, after_failure }) = restarted.filter(|new| last.is_none_or(|last| last.at != new.at))
        {
            self.pass(0, 0);
            let oldest = self.successful.all().first().map_or(0.0, |(_, total)| *total);
            // Of a start before all that is remembered one success is enough: there were others.
            let until = self.successful.before(at).map_or(oldest - STARTED + 1.0, |(_, total)| total);
            let after_failure = after_failure && since(last, until) >= STARTED;
            self.restart = Some(Start { at, until, after_failure });
        }
        if self.restart.is_some_and(|start| start.goes_on(before.successful)) {
            return false;
        }
        let start = self.restart.filter(|start| !(killed && start.at > before.ts)).or(last);
        since(start, before.successful) < STARTED
    }

    /// The failures until now are past, and so is what went well, or as it usually does, since.
    fn pass(&mut self, succeeded: u32, failed: u32) {
        let Run { failed: ran, beside, .. } = std::mem::take(&mut self.run);
        self.usual.0 += f64::from(succeeded) + f64::from(beside);
        self.usual.1 += f64::from(failed) + f64::from(ran);
        if self.usual.0 > MANY {
            self.usual = (self.usual.0 / 2.0, self.usual.1 / 2.0);
        }
    }

    /// How unlikely so many failures are in so many probes that fail as often as usual: the logarithm of one in how many.
    fn surprise(&self) -> f64 {
        let (failed, beside) = (f64::from(self.run.failed), f64::from(self.run.beside));
        let usual = (self.usual.1 + 1.0) / (self.usual.0 + self.usual.1 + 2.0);
        let share = failed / (failed + beside).max(1.0);
        if share <= usual {
            return 0.0;
        }
        let well = if beside > 0.0 { beside * ((1.0 - share) / (1.0 - usual)).ln() } else { 0.0 };
        failed * (share / usual).ln() + well
    }
}

#[cfg(test)]
mod tests;
