//! Anomalies found by the detectors.

use serde::{Deserialize, Serialize};

use crate::{Team, Timestamp};

/// A value or rate that is unlike its own past.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Anomaly {
    pub ts: Timestamp,
    pub team: Team,
    pub namespace: String,
    /// Kind and name; empty where it is not known whose it is.
    pub workload: String,
    pub pod: String,
    pub container: String,
    /// The metric; `pod` for its metrics together; of log lines `log_lines`, `log_errors`, `log_new`, `log_vanished`, and `calls`
    /// for how long requests take by them.
    pub metric: String,
    /// Above 1 is anomalous.
    pub score: f64,
    pub value: f64,
    /// What was usual.
    pub expected: f64,
    /// The same in words.
    pub text: String,
    /// A request that shows it, by the id of its trace; empty where there is none.
    pub trace: String,
    /// When it was last seen to go on: its own time of what is a moment.
    pub until: Timestamp,
    /// A number that it has alone among those that go on.
    pub episode: u64,
}
