//! Incidents, and pages of them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use whyd_signals::{Timestamp, schema};

use super::{Alert, Evidence, Problem, Root};

/// How bad, by rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Severity {
    Warning,
    Critical,
}

impl From<schema::Severity> for Severity {
    fn from(severity: schema::Severity) -> Self {
        match severity {
            schema::Severity::Warning => Self::Warning,
            schema::Severity::Critical => Self::Critical,
        }
    }
}

/// Whether an incident goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum IncidentStatus {
    Open,
    Resolved,
}

impl From<schema::IncidentStatus> for IncidentStatus {
    fn from(status: schema::IncidentStatus) -> Self {
        match status {
            schema::IncidentStatus::Open => Self::Open,
            schema::IncidentStatus::Resolved => Self::Resolved,
        }
    }
}

/// Trouble with one root and all that it took down.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[allow(missing_docs)]
pub struct Incident {
    /// The same after a restart of the daemon and on every replay.
    pub id: String,
    pub team: String,
    pub severity: Severity,
    pub status: IncidentStatus,
    #[schema(value_type = String, format = DateTime)]
    pub opened_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime, required)]
    pub resolved_at: Option<Timestamp>,
    pub cause: String,
    #[schema(required)]
    pub root: Option<Root>,
    /// `namespace/pod/container`.
    pub members: Vec<String>,
    /// How many container instances ended in it.
    #[serde(default)]
    pub restarts: u64,
    /// The incident of the same root before this one, which was resolved.
    #[serde(default)]
    #[schema(required)]
    pub follows: Option<String>,
    /// Ids under which what it holds was told before, since it began earlier than it seemed or turned out to be one with
    /// others: asked for one of these, the API answers with it.
    #[serde(default)]
    #[schema(required)]
    pub formerly: Vec<String>,
    /// The suppression that hides it.
    #[serde(default)]
    #[schema(required)]
    pub suppressed_by: Option<String>,
    /// The incident that tells of this one with others, since they have one root. Lists show that one in its place.
    #[serde(default)]
    #[schema(required)]
    pub part_of: Option<String>,
    /// The incidents that this one is made of, which share its root; empty where it is made of members alone.
    #[serde(default)]
    pub parts: Vec<String>,
    pub summary: String,
    /// What it rests on, of where it was seen last, where nothing restarted; else the restarts have it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Evidence>,
    /// Alerts that others raised about its members, its root or their namespaces, and that fired shortly before it or
    /// while it was open: the newest, oldest first. Only where one incident, or one pod, is asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alerts: Vec<Alert>,
}

impl From<&schema::Incident> for Incident {
    fn from(i: &schema::Incident) -> Self {
        Self {
            id: i.id.clone(),
            team: i.team.to_string(),
            severity: i.severity.into(),
            status: i.status.into(),
            opened_at: i.opened_at,
            resolved_at: i.resolved_at,
            cause: i.cause.clone(),
            root: i.root.as_ref().map(Root::from),
            members: i.members.clone(),
            restarts: i.restarts,
            follows: i.follows.clone(),
            formerly: i.formerly.clone(),
            suppressed_by: i.suppressed_by.clone(),
            part_of: i.part_of.as_ref().map(|link| link.id.clone()),
            parts: i.parts.iter().map(|link| link.id.clone()).collect(),
            summary: i.summary.clone(),
            evidence: i.evidence.iter().map(Evidence::plain).collect(),
            alerts: Vec::new(),
        }
    }
}

/// How one incident differs under the rules of a configuration from what it is by default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IncidentChange {
    /// The incident's id.
    pub id: String,
    /// What is different, for people.
    pub what: String,
}

/// What a suppression hid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[allow(missing_docs)]
pub struct Hidden {
    pub suppression: String,
    pub incidents: usize,
}

/// A page of incidents.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Incidents {
    /// Newest first.
    pub incidents: Vec<Incident>,
    /// What suppressions keep out of this list; `suppressed=true` shows it.
    #[serde(default)]
    pub hidden: Vec<Hidden>,
    /// The `cursor` of the next page; null on the last.
    #[schema(required)]
    pub next: Option<String>,
    /// What is missing from the answer.
    pub problems: Vec<Problem>,
}
