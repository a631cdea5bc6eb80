//! What the caller knows of the pod behind a series, asked when it matters.

use std::time::Duration;

use whyd_signals::Timestamp;

use crate::detector::early::START;

/// A count that comes into being after its program was scraped for so long was not there before, whatever the interval.
pub(super) const NEW: Duration = Duration::from_secs(120);

/// Answers of the one who shows a series to the detectors.
pub trait Background {
    /// Whether its pod is ready.
    fn readiness(&self) -> Readiness;
    /// Whether its pod is a job's, or another that is not started again once it has done its work.
    fn runs_to_its_end(&self) -> bool;
    /// Since when the program that it is of was scraped without it, where its value at hand is the first that there is of it.
    fn scraped_without_it_since(&self) -> Option<Timestamp>;
}

/// Nothing is known.
impl Background for () {
    fn readiness(&self) -> Readiness {
        Readiness::Unknown
    }

    fn runs_to_its_end(&self) -> bool {
        false
    }

    fn scraped_without_it_since(&self) -> Option<Timestamp> {
        None
    }
}

/// Whether a pod is ready for its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// Nobody knows, or it was ready and is no more.
    Unknown,
    /// It starts.
    NotYet,
    /// It is, since then.
    Since(Timestamp),
}

impl Readiness {
    /// Whether what is unlike the first values then is how it starts, or its first work.
    pub(super) fn starts(self, ts: Timestamp) -> bool {
        match self {
            Self::Unknown => false,
            Self::NotYet => true,
            Self::Since(since) => ts < since.plus(START),
        }
    }
}
