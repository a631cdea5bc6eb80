//! What the metrics of workloads are judged by, and which are watched.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use whyd_signals::Timestamp;

use super::Problem;

/// What a metric of a workload is judged by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum BaselineState {
    /// By nothing yet: it is being learnt.
    Learning,
    /// By its last hours.
    Hours,
    /// By its days, the time of day and of the week among them.
    Days,
}

/// What is known of one metric of a container, of all pods of its workload.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Baseline {
    /// Its namespace; empty for a node's.
    pub namespace: String,
    /// `Kind/name`; `Node/name` for a node's, empty where neither is known.
    pub workload: String,
    /// Its container; empty for what a pod or a node has.
    pub container: String,
    /// The metric; `calls` for how long requests take by their log lines, of which each kind of call is a series.
    pub metric: String,
    /// The metric in words.
    pub words: String,
    /// What it is judged by, in the pod of which most is known.
    pub state: BaselineState,
    /// Since when there are values of it, holes of less than two hours left out.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// While it is learnt: until when, if values go on to come as they do; null of calls.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    pub until: Option<Timestamp>,
    /// What is usual now, of a counter per second; of several series the middle one. Null while that is not known.
    #[schema(required)]
    pub usual: Option<f64>,
    /// When its newest value was.
    #[schema(value_type = String, format = DateTime)]
    pub newest: Timestamp,
    /// How many series of it are watched: pods, and what they have several of.
    pub series: u64,
    /// How many of them are still being learnt, as those of a new pod are.
    pub learning: u64,
}

/// What is known of the metrics of workloads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Baselines {
    /// By namespace, workload, container and metric.
    pub baselines: Vec<Baseline>,
    /// The `cursor` of the next page; null on the last.
    #[schema(required)]
    pub next: Option<String>,
    /// What is missing from the answer.
    pub problems: Vec<Problem>,
}

/// A metric that is held against its own past.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WatchedMetric {
    /// Its name.
    pub metric: String,
    /// `gauge`, or `counter`, whose rate is judged.
    pub kind: String,
    /// Which way is bad: `more`, `less` or `both`.
    pub bad: String,
    /// What it is called in answers.
    pub words: String,
    /// Why it is watched.
    pub why: String,
}

/// The metrics that are held against their own past.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WatchedMetrics {
    /// By name.
    pub watched: Vec<WatchedMetric>,
}

/// Metrics that were still being learnt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Learning {
    /// Since when there are values.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// From when on it is, or was, known what is usual.
    #[schema(value_type = String, format = DateTime)]
    pub until: Timestamp,
}
