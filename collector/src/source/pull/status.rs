//! How each source that is asked fares, for those who ask how fresh an answer is.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use whyd_signals::{Ranges, Timestamp};

use crate::wire::asked::Target;

/// The longest error text that is kept, in characters.
const ERROR_CHARS: usize = 500;

/// One source.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PullStatus {
    /// Whether it is asked for log lines; else for metrics.
    pub logs: bool,
    /// Questions.
    pub asked: u64,
    /// Questions that were not answered.
    pub errors: u64,
    /// Bytes of answers handed over.
    pub bytes: u64,
    /// Pages that could not get beyond one timestamp: lines of it may be missing.
    pub crowded: u64,
    /// When it last answered.
    pub answered_at: Option<Timestamp>,
    /// What went wrong since, and when.
    pub last_error: Option<(Timestamp, String)>,
    /// Up to when all that is to be had is there.
    pub upto: Option<Timestamp>,
    /// Seconds of the window that are missing.
    pub missing: f64,
    /// How far behind the time it may be and still be whole.
    pub patience: Duration,
}

impl PullStatus {
    /// Whether nothing is missing of what is to be had by now.
    pub fn is_whole(&self, now: Timestamp) -> bool {
        self.upto.is_some_and(|upto| upto >= now.minus(self.patience))
    }
}

/// The statuses of all sources, by their name.
#[derive(Debug, Clone, Default)]
pub struct PullStatuses(Arc<Mutex<BTreeMap<Target, PullStatus>>>);

impl PullStatuses {
    /// All of them.
    pub fn all(&self) -> Vec<(Target, PullStatus)> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().map(|(of, status)| (of.clone(), status.clone())).collect()
    }

    /// It is asked from here on, whatever comes of it.
    pub(super) fn asks(&self, of: &Target, logs: bool, patience: Duration) {
        self.change(of, |s| {
            s.logs = logs;
            s.patience = patience;
        });
    }

    pub(super) fn asked(&self, of: &Target) {
        self.change(of, |s| s.asked += 1);
    }

    pub(super) fn received(&self, of: &Target, bytes: u64) {
        self.change(of, |s| s.bytes += bytes);
    }

    pub(super) fn crowded(&self, of: &Target) {
        self.change(of, |s| s.crowded += 1);
    }

    pub(super) fn answered(&self, of: &Target, at: Timestamp) {
        self.change(of, |s| {
            s.answered_at = Some(at);
            s.last_error = None;
        });
    }

    pub(super) fn missing(&self, of: &Target, missing: &Ranges, edge: Timestamp) {
        self.change(of, |s| {
            s.missing = missing.seconds();
            s.upto = Some(missing.first().map_or(edge, |r| r.from));
        });
    }

    pub(super) fn failed(&self, of: &Target, at: Timestamp, error: &str) {
        let text: String = error.chars().take(ERROR_CHARS).map(|c| if c.is_control() { ' ' } else { c }).collect();
        self.change(of, |s| {
            s.errors += 1;
            s.last_error = Some((at, text));
        });
    }

    fn change(&self, of: &Target, change: impl FnOnce(&mut PullStatus)) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match all.get_mut(of) {
            Some(status) => change(status),
            None => change(all.entry(of.clone()).or_default()),
        }
    }
}
