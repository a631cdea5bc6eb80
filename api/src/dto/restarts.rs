//! Why an instance ended, as the ledger has it, and pages of such.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use whyd_signals::{Timestamp, schema};

use super::{Evidence, Problem, Root, figure};

/// A change shortly before an end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[allow(missing_docs)]
pub struct ChangeBefore {
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// `Kind/name`.
    pub object: String,
    /// The sort of change: image, template, replicas, restart, config, created, deleted, cordon, boot...
    pub what: String,
    pub detail: String,
    /// Who made it, where the object says so.
    pub by: String,
    /// Whether it touches what ended: its own workload, a ConfigMap that it reads, its node, what is at fault.
    pub touches: bool,
}

impl From<&schema::ChangeBefore> for ChangeBefore {
    fn from(c: &schema::ChangeBefore) -> Self {
        let (at, touches) = (c.at, c.touches);
        let (object, what, detail, by) = (c.object.clone(), c.what.clone(), c.detail.clone(), c.by.clone());
        Self { at, object, what, detail, by, touches }
    }
}

/// A cause that was considered and is contradicted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RuledOut {
    /// Its id.
    pub cause: String,
    /// The contradiction in words.
    pub because: String,
    /// The field that contradicts it.
    pub field: String,
    /// What that field held.
    pub value: Value,
}

impl From<&schema::RuledOut> for RuledOut {
    fn from(r: &schema::RuledOut) -> Self {
        Self { cause: r.cause.clone(), because: r.because.clone(), field: r.field.clone(), value: r.value.clone() }
    }
}

/// Why one container instance ended, or why one pod was replaced or never started.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[allow(missing_docs)]
pub struct Restart {
    pub team: String,
    pub namespace: String,
    /// `Kind/name`.
    pub workload: String,
    /// Null where no pod was made.
    #[schema(required)]
    pub pod: Option<String>,
    #[schema(required)]
    pub pod_uid: Option<String>,
    #[schema(required)]
    pub node: Option<String>,
    #[schema(required)]
    pub container: Option<String>,
    /// How often the container had been restarted before, as Kubernetes counts it (`restartCount` while it ran).
    #[schema(required)]
    pub restart_count: Option<i64>,
    #[schema(value_type = Option<String>, format = DateTime, required)]
    pub started_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime, required)]
    pub finished_at: Option<Timestamp>,
    #[schema(required)]
    pub exit_code: Option<i32>,
    #[schema(required)]
    pub signal: Option<i32>,
    /// What the kubelet says.
    #[schema(required)]
    pub reason: Option<String>,
    /// Whether the container goes on with another instance, as it has already or its restart policy makes it.
    #[serde(default)]
    #[schema(required)]
    pub again: bool,
    /// How the instance ended.
    pub mechanism: String,
    /// The deepest link that has evidence.
    pub cause: String,
    #[schema(required)]
    pub cause_detail: Option<String>,
    /// 0 to 1.
    #[schema(minimum = 0, maximum = 1)]
    pub confidence: f64,
    #[schema(required)]
    pub root: Option<Root>,
    /// One sentence for people.
    pub summary: String,
    pub evidence: Vec<Evidence>,
    pub ruled_out: Vec<RuledOut>,
    /// What was changed in the half hour before, the newest last.
    #[serde(default)]
    #[schema(required)]
    pub changes: Vec<ChangeBefore>,
    /// Sources that would have been needed and are not there.
    pub missing: Vec<String>,
    /// The incident that it is of; null where it raises none, and where you may not see that.
    #[serde(default)]
    #[schema(required)]
    pub incident_id: Option<String>,
}

impl From<&schema::Restart> for Restart {
    fn from(r: &schema::Restart) -> Self {
        Self {
            team: r.team.to_string(),
            namespace: r.namespace.clone(),
            workload: r.workload.clone(),
            pod: r.pod.clone(),
            pod_uid: r.pod_uid.clone(),
            node: r.node.clone(),
            container: r.container.clone(),
            restart_count: r.restart_count,
            started_at: r.started_at,
            finished_at: r.finished_at,
            exit_code: r.exit_code,
            signal: r.signal,
            reason: r.reason.clone(),
            again: r.again,
            mechanism: r.mechanism.clone(),
            cause: r.cause.clone(),
            cause_detail: r.cause_detail.clone(),
            confidence: figure(r.confidence),
            root: r.root.as_ref().map(Root::from),
            summary: r.summary.clone(),
            evidence: r.evidence.iter().map(|e| Evidence::of(r, e)).collect(),
            ruled_out: r.ruled_out.iter().map(RuledOut::from).collect(),
            changes: r.changes.iter().map(ChangeBefore::from).collect(),
            missing: r.missing.clone(),
            incident_id: None,
        }
    }
}

/// A page of the ledger.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Restarts {
    /// Newest first.
    pub restarts: Vec<Restart>,
    /// The `cursor` of the next page; null on the last.
    #[schema(required)]
    pub next: Option<String>,
    /// What is missing from the answer.
    pub problems: Vec<Problem>,
}
