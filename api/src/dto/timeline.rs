//! What happened to a workload.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use whyd_signals::Timestamp;

use super::{Alert, Problem};

/// One entry of a workload's timeline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase", tag = "kind")]
#[allow(missing_docs, clippy::large_enum_variant)]
pub enum Moment {
    /// A container ended, a pod was replaced or never started.
    Restart {
        #[schema(value_type = String, format = DateTime)]
        at: Timestamp,
        #[schema(required)]
        pod: Option<String>,
        #[schema(required)]
        pod_uid: Option<String>,
        #[schema(required)]
        container: Option<String>,
        cause: String,
        summary: String,
    },
    /// Something was changed.
    Change {
        #[schema(value_type = String, format = DateTime)]
        at: Timestamp,
        object: String,
        what: String,
        detail: String,
        by: String,
    },
    /// A value was unlike its own past.
    Anomaly {
        #[schema(value_type = String, format = DateTime)]
        at: Timestamp,
        pod: String,
        container: String,
        metric: String,
        score: f64,
        text: String,
        /// When it was last seen to go on.
        #[serde(default)]
        #[schema(value_type = Option<String>, format = DateTime, required)]
        until: Option<Timestamp>,
        /// Of calls that take long, the trace of a request that shows it; null of others, and where none is known.
        #[serde(default)]
        #[schema(required)]
        trace_id: Option<String>,
    },
    /// An alert that others raised.
    Alert(Alert),
    /// An incident began.
    Opened {
        #[schema(value_type = String, format = DateTime)]
        at: Timestamp,
        id: String,
        cause: String,
        summary: String,
    },
    /// An incident was over.
    Resolved {
        #[schema(value_type = String, format = DateTime)]
        at: Timestamp,
        id: String,
    },
}

impl Moment {
    /// When it was.
    pub fn at(&self) -> Timestamp {
        match self {
            Self::Restart { at, .. }
            | Self::Change { at, .. }
            | Self::Anomaly { at, .. }
            | Self::Opened { at, .. }
            | Self::Resolved { at, .. } => *at,
            Self::Alert(alert) => alert.at,
        }
    }
}

/// What happened to a workload, across all its pods.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Timeline {
    /// Its namespace.
    pub namespace: String,
    /// `Kind/name`.
    pub workload: String,
    /// Oldest first.
    pub moments: Vec<Moment>,
    /// What is missing from the answer.
    pub problems: Vec<Problem>,
}
