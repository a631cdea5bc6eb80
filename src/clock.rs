//! The time of the daemon: that of the machine's clock, but for its leaps.
//!
//! A clock that leaps ahead for a moment would end the window of all that is held, and what was received meanwhile would bear
//! its time. So a leap is not believed before it has stood for a while ([why](../docs/adr/0020-a-leap-of-the-clock-has-to-stand.md));
//! until then time goes on as it did, by a clock that cannot be set, and senders are told to come again.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use whyd_api::{Kind, Metric};
use whyd_collector::inlet::Hold;
use whyd_collector::{Clock, Inlet};
use whyd_signals::Timestamp;

/// What is less is a step as clocks are put right by them, and is followed at once: it is half of the usual lateness.
const STEP: Duration = Duration::from_secs(300);
/// For so long a leap has to stand until it is followed.
const STANDS: Duration = Duration::from_secs(60);
/// Between two looks at whether one is under way.
const LOOK: Duration = Duration::from_millis(500);

/// How long something runs, by a clock that nobody sets.
pub type Elapsed = Box<dyn Fn() -> Duration + Send + Sync>;

/// A clock that does not leap. Its clones are the same clock.
#[derive(Clone)]
pub struct SteadyClock(Arc<Inner>);

struct Inner {
    wall: Clock,
    elapsed: Elapsed,
    line: Mutex<Line>,
}

/// What is known of the leaps of a clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Leaps {
    /// By how many seconds the machine's clock is ahead, or behind where this is negative, while that is not believed.
    pub doubted: Option<i64>,
    /// Those that stood and were followed.
    pub followed: u64,
    /// Those that were taken back before.
    pub passed: u64,
}

impl SteadyClock {
    /// By the machine's clock and one that only goes on.
    pub fn new(wall: Clock, elapsed: Elapsed) -> Self {
        let line = Mutex::new(Line::new(wall(), elapsed()));
        Self(Arc::new(Inner { wall, elapsed, line }))
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        self.read().0
    }

    /// What is known of its leaps by now.
    pub fn leaps(&self) -> Leaps {
        self.read().1
    }

    /// For those who are given a clock.
    pub fn clock(&self) -> Clock {
        let own = self.clone();
        Arc::new(move || own.now())
    }

    /// Lets nothing in while a leap is doubted: who sends would be told that what it has is of the wrong time. The caller
    /// owns the task, which never ends.
    pub async fn guard(self, inlet: Inlet) {
        let mut looks = tokio::time::interval(LOOK);
        loop {
            looks.tick().await;
            match self.leaps().doubted {
                Some(_) => inlet.hold(Hold::Clock),
                None => inlet.open(Hold::Clock),
            }
        }
    }

    pub(crate) fn note(&self) -> Option<&'static str> {
        self.leaps()
            .doubted
            .map(|_| "the machine's clock leapt; what is sent is refused until that has stood for a minute")
    }

    pub(crate) fn metrics(&self) -> Vec<Metric> {
        let Leaps { doubted, followed, passed } = self.leaps();
        let metric = |name, help, kind, samples| Metric { name, help, kind, samples };
        let ends = [("followed", followed), ("passed", passed)]
            .map(|(end, n)| (vec![("end", end.to_owned())], n as f64))
            .to_vec();
        vec![
            metric(
                "whyd_clock_leaps_total",
                "leaps of the machine's clock by minutes: followed after they stood for a minute, or passed before",
                Kind::Counter,
                ends,
            ),
            metric(
                "whyd_clock_doubted_seconds",
                "how far the machine's clock is ahead of the time that whyd goes by, while a leap is doubted",
                Kind::Gauge,
                vec![(Vec::new(), doubted.unwrap_or_default() as f64)],
            ),
        ]
    }

    fn read(&self) -> (Timestamp, Leaps) {
        let mut line = self.0.line.lock().unwrap_or_else(PoisonError::into_inner);
        // Read within, so that no reading is older than the one before it.
        let now = line.read((self.0.wall)(), (self.0.elapsed)());
        (now, line.leaps())
    }
}

/// How long this process runs.
pub fn elapsed() -> Elapsed {
    let began = Instant::now();
    Box::new(move || began.elapsed())
}

/// The line on which time goes on.
#[derive(Debug)]
struct Line {
    /// The time when nothing had elapsed, in nanoseconds.
    begins: i64,
    doubt: Option<Doubt>,
    followed: u64,
    passed: u64,
}

/// A leap to another line.
#[derive(Debug, Clone, Copy)]
struct Doubt {
    begins: i64,
    since: Duration,
}

impl Line {
    fn new(wall: Timestamp, elapsed: Duration) -> Self {
        Self { begins: wall.minus(elapsed).nanos(), doubt: None, followed: 0, passed: 0 }
    }

    fn read(&mut self, wall: Timestamp, elapsed: Duration) -> Timestamp {
        let begins = wall.minus(elapsed).nanos();
        let is_step = |from: i64| u128::from(begins.abs_diff(from)) <= STEP.as_nanos();
        if is_step(self.begins) {
            self.begins = begins;
            if self.doubt.take().is_some() {
                self.passed += 1;
                tracing::info!("the machine's clock is back from its leap");
            }
            return wall;
        }
        let doubt = self.doubt.filter(|doubt| is_step(doubt.begins));
        let Doubt { since, .. } = doubt.unwrap_or(Doubt { begins, since: elapsed });
        let seconds = seconds_between(self.begins, begins);
        if elapsed.saturating_sub(since) >= STANDS {
            tracing::warn!(seconds, "the leap of the machine's clock has stood and is followed");
            (self.begins, self.doubt) = (begins, None);
            self.followed += 1;
            return wall;
        }
        if self.doubt.is_none() {
            tracing::warn!(seconds, "the machine's clock leapt; it is not followed unless that stands for a minute");
        }
        self.doubt = Some(Doubt { begins, since });
        Timestamp(self.begins).plus(elapsed)
    }

    fn leaps(&self) -> Leaps {
        let doubted = self.doubt.map(|doubt| seconds_between(self.begins, doubt.begins));
        Leaps { doubted, followed: self.followed, passed: self.passed }
    }
}

fn seconds_between(from: i64, to: i64) -> i64 {
    to.saturating_sub(from) / 1_000_000_000
}

#[cfg(test)]
mod tests;
