//! What was unlike its own past, and pages of such.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use whyd_signals::Timestamp;

use super::{Problem, figure};

/// A value, a rate or a call that is unlike its own past.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Anomaly {
    /// When it showed.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// When it was last seen to go on; the same as `at` of what is a moment.
    #[schema(value_type = String, format = DateTime)]
    pub until: Timestamp,
    /// Whose it is.
    pub team: String,
    /// Its namespace; empty for a node's.
    pub namespace: String,
    /// `Kind/name`; empty where it is not known whose it is.
    pub workload: String,
    /// Its pod; empty where it is not one's.
    pub pod: String,
    /// Its container; empty for what a pod or a node has.
    pub container: String,
    /// The metric; `pod` for a pod's metrics together, `log_lines`, `log_errors`, `log_new` and `log_vanished` of log lines, `calls` of how
    /// long requests take by them.
    pub metric: String,
    /// Above 1 is anomalous.
    pub score: f64,
    /// What it is; null where that is no number.
    #[schema(required)]
    pub value: Option<f64>,
    /// What is usual; null where that is no number.
    #[schema(required)]
    pub expected: Option<f64>,
    /// The same in words.
    pub text: String,
    /// The trace of a request that shows it; null where there is none.
    #[schema(required)]
    pub trace_id: Option<String>,
}

impl From<&whyd_signals::schema::Anomaly> for Anomaly {
    fn from(a: &whyd_signals::schema::Anomaly) -> Self {
        Self {
            at: a.ts,
            until: a.until,
            team: a.team.as_str().to_owned(),
            namespace: a.namespace.clone(),
            workload: a.workload.clone(),
            pod: a.pod.clone(),
            container: a.container.clone(),
            metric: a.metric.clone(),
            score: figure(a.score),
            value: Some(a.value).filter(|value| value.is_finite()),
            expected: Some(a.expected).filter(|value| value.is_finite()),
            text: a.text.clone(),
            trace_id: Some(a.trace.clone()).filter(|id| !id.is_empty()),
        }
    }
}

/// A page of anomalies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Anomalies {
    /// Newest first.
    pub anomalies: Vec<Anomaly>,
    /// The `cursor` of the next page; null on the last.
    #[schema(required)]
    pub next: Option<String>,
    /// What is missing from the answer.
    pub problems: Vec<Problem>,
}
