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
}
