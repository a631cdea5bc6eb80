//! Incidents: one for each root.

use serde::{Deserialize, Serialize};

use super::Root;
use crate::{Team, Timestamp};

/// How bad, by rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Severity {
    Warning,
    Critical,
}

/// Whether it goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum IncidentStatus {
    Open,
    Resolved,
}

/// Trouble with one root and all that it took down.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Incident {
    /// A hash of the cluster and the first instance that it began with; never of a time of arrival.
    pub id: String,
    pub team: Team,
    /// Where it began, for whoever routes it; empty where that is a node.
    pub namespace: String,
    pub severity: Severity,
    pub status: IncidentStatus,
    pub opened_at: Timestamp,
    pub resolved_at: Option<Timestamp>,
    pub cause: String,
    pub root: Option<Root>,
    /// `namespace/pod/container`, without the last where it is a pod as a whole; in order.
    pub members: Vec<String>,
    /// How many container instances ended in it.
    pub restarts: u64,
    /// The incident of the same root before this one, which was resolved.
    pub follows: Option<String>,
    /// The suppression that hides it.
    pub suppressed_by: Option<String>,
    /// Namespaces of others that the summary speaks of: who may not see them may not read it.
    pub speaks_of: Vec<String>,
    pub summary: String,
}
