//! The answer to `why`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use whyd_signals::Timestamp;

use super::{Incident, Learning, Problem, Restart, Standing};

/// How the asked name was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Match {
    /// It is a pod's name.
    Pod,
    /// It is a workload's name.
    Workload,
    /// Pods' names begin with it.
    Prefix,
    /// It is an incident's id, or one under which that was told before.
    Incident,
}

/// How much memory a container held.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MemorySample {
    /// When it was measured.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// The working set.
    pub bytes: f64,
}

/// The memory of a container that met its limit, over its instances.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MemoryUse {
    /// Null where there is none.
    #[schema(required)]
    pub limit_bytes: Option<f64>,
    /// In the order of time.
    pub samples: Vec<MemorySample>,
    /// When instances of it ended.
    #[schema(value_type = Vec<String>)]
    pub ends: Vec<Timestamp>,
}

/// A log line of a pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[allow(missing_docs)]
pub struct HeardLine {
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    pub container: String,
    /// Without what looks like a secret.
    pub line: String,
}

/// What one source says of a pod of which Kubernetes says nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Heard {
    /// The namespace that it is said to be in.
    pub namespace: String,
    /// Its name.
    pub pod: String,
    /// `metrics`, `logs` or `alerts`.
    pub source: String,
    /// The first that is here of it.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// The newest.
    #[schema(value_type = String, format = DateTime)]
    pub last: Timestamp,
    /// What there is, in words.
    pub text: String,
    /// The last lines, of `logs`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<HeardLine>,
}

/// The answer to `why`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Why {
    /// How the name was found.
    pub matched: Match,
    /// Newest first, and of an incident those of its root before what has its cause and what else it took down; empty where the pod
    /// or workload is known and did not restart.
    pub restarts: Vec<Restart>,
    /// The incidents that these restarts belong to, newest first.
    pub incidents: Vec<Incident>,
    /// How the container of the first of them stands now, or the pod that is asked about and did not restart; null where the pod was never seen.
    #[serde(default)]
    #[schema(required)]
    pub now: Option<Standing>,
    /// Where the first of them met its memory limit: how it came to that.
    #[serde(default)]
    #[schema(required)]
    pub memory: Option<MemoryUse>,
    /// Where the metrics of the first one's container were still being learnt when it ended: nothing unusual could be found in
    /// them. Null where it was known what is usual, where a metric speaks for the cause all the same, and where none is watched.
    #[serde(default)]
    #[schema(required)]
    pub learning: Option<Learning>,
    /// Of pods that no object of the cluster is known of: what is sent about them, which is all that can be said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub heard: Vec<Heard>,
    /// Where to look next: commands and hints, of the first restart, or else of the incidents.
    #[serde(default)]
    #[schema(required)]
    pub look_next: Vec<String>,
    /// What is missing from the answer.
    pub problems: Vec<Problem>,
}
