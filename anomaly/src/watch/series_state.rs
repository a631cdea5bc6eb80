//! One series: what is kept of it, and what opens at a value.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use whyd_signals::Timestamp;

use super::baseline::Baselines;
use super::reached::{Noted, Reached};
use super::{Background, SeriesKey, judged};
use crate::detector::climb::{ClimbDetector, Pace};
use crate::detector::early::{Early, Matters};
use crate::detector::onset::Onset;
use crate::detector::rate::Rate;
use crate::detector::robust::{Direction, Robust};
use crate::detector::score::Scorer;
use crate::watched::{Kind, Watched};
use crate::wording;

/// What is kept of one series.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct SeriesState {
    /// How it was read: what was learnt of a gauge says nothing of a counter.
    pub(super) kind: Kind,
    /// Whose it was when it was asked last what is usual for that.
    pub(super) workload: u64,
    pub(super) rate: Rate,
    pub(super) last: Option<Timestamp>,
    /// When it was first judged.
    pub(super) born: Option<Timestamp>,
    /// When it had learnt for long enough.
    pub(super) learnt: Option<Timestamp>,
    /// What was usual at its last value, once that is known.
    pub(super) expected: Option<f64>,
    pub(super) early: Early,
    pub(super) noted: Noted,
    pub(super) robust: Robust,
    pub(super) scorer: Box<Scorer>,
    pub(super) unusual: Onset,
    pub(super) climb: Option<Box<Climbing>>,
}

/// What is known beyond the series itself.
pub(super) struct Others<'a> {
    pub(super) key: &'a SeriesKey<'a>,
    pub(super) reached: &'a Reached,
    pub(super) background: &'a dyn Background,
}

impl Others<'_> {
    /// Whether what is unlike its first values is like its workload, or how it starts, or the work that a job came for.
    fn excuse(&self, (ts, value): (Timestamp, f64), matters: &Matters) -> bool {
        self.reached.is_known(self.key, (ts, value), matters)
            || self.background.readiness().starts(ts)
            || (self.key.watched.is_use() && self.background.runs_to_its_end())
    }

    /// How high others of its workload came, as far as that says anything of a climb at this pace: one of minutes is mostly the
    /// end, but of a job.
    pub(super) fn highest(&self, ts: Timestamp, pace: Pace) -> Option<f64> {
        let says = pace == Pace::Hours || self.background.runs_to_its_end();
        if says { self.reached.highest(self.key, ts) } else { None }
    }
}

/// Of one with a limit, how it climbs.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Climbing {
    detector: ClimbDetector,
    onset: Onset,
}

impl SeriesState {
    /// The most that one takes, in bytes.
    pub(super) const BYTES: usize =
        size_of::<Self>() + Robust::BYTES + Scorer::BYTES + size_of::<Climbing>() + ClimbDetector::BYTES;

    /// Of a count of what there was nothing of since then, though it would have been heard, that is known.
    pub(super) fn new(key: &SeriesKey<'_>, baselines: &Baselines, nothing_since: Option<Timestamp>) -> Self {
        Self {
            kind: key.watched.kind,
            workload: key.workload,
            rate: Rate::default(),
            last: None,
            born: None,
            learnt: None,
            expected: None,
            early: nothing_since.map(Early::of_nothing).unwrap_or_default(),
            noted: Noted::default(),
            robust: Robust::default(),
            scorer: baselines.of(key),
            unusual: Onset::default(),
            climb: None,
        }
    }

    /// Its pod turned out to be another workload's, which may know more than it has learnt by itself.
    pub(super) fn join(&mut self, key: &SeriesKey<'_>, baselines: &Baselines) {
        self.workload = key.workload;
        let known = baselines.of(key);
        if known.reach() > self.scorer.reach() {
            self.scorer = known;
        }
    }

    /// Score, expected value and text of what opens here. A climb to the limit tells more than an unusual height. What is off
    /// early may be `excused`.
    pub(super) fn judge(
        &mut self,
        watched: &Watched,
        limit: Option<f64>,
        (ts, value): (Timestamp, f64),
        learning: Duration,
        others: &Others<'_>,
    ) -> Option<(f64, f64, String)> {
        let words = watched.words.as_ref();
        let born = *self.born.get_or_insert(ts);
        let judged = judged::judge(&mut self.robust, &mut self.scorer, (ts, value), born, &watched.tuning, learning);
        self.expected = judged.map(|judged| judged.expected);
        if judged.is_some() {
            self.learnt.get_or_insert(ts);
        }
        let early = match judged {
            Some(_) => None,
            None => watched
                .matters(limit)
                .and_then(|matters| self.early.observe(ts, value, &matters, || others.excuse((ts, value), &matters))),
        };
        let score = judged.map(|judged| judged.score).or(early.map(|early| early.score));
        let opens = score.is_some_and(|score| self.unusual.observe(ts, score));
        if let Some(climbs) = limit.and_then(|limit| self.climbs(watched, limit, (ts, value), others)) {
            return Some(climbs);
        }
        if let Some(early) = early.filter(|_| opens) {
            let mut text = wording::unusual(words, watched.unit, value, early.expected, None);
            if early.known < learning {
                text.push_str(&wording::seen_for(early.known));
            }
            return Some((early.score, early.expected, text));
        }
        judged.filter(|_| opens).map(|judged| {
            let mut text = wording::unusual(words, watched.unit, value, judged.expected, judged.usual_at);
            text.push_str(&wording::since(judged.since, ts));
            (judged.score, judged.expected, text)
        })
    }

    /// While it is unusual, or climbs to its limit, when it was last seen to.
    pub(super) fn lasts(&self) -> Option<Timestamp> {
        self.unusual.lasts().max(self.climb.as_ref().and_then(|climb| climb.onset.lasts()))
    }

    /// The same of a climb to the limit that begins to show here.
    pub(super) fn climbs(
        &mut self,
        watched: &Watched,
        limit: f64,
        (ts, value): (Timestamp, f64),
        others: &Others<'_>,
    ) -> Option<(f64, f64, String)> {
        if watched.kind != Kind::Gauge || watched.tuning.direction == Direction::Below {
            return None;
        }
        let climbing = self.climb.get_or_insert_default();
        let climb = climbing.detector.observe(ts, value, limit, |pace| others.highest(ts, pace));
        // A projection rests on four points at least: no second look is needed.
        let begins = climbing.onset.observe(ts, if climb.is_some() { 2.0 } else { 0.0 });
        let climb = climb.filter(|_| begins)?;
        Some((climb.score(), climb.from, wording::climbing(&watched.words, watched.unit, &climb)))
    }
}
