//! A piece of trouble, of which incidents are made.

use serde::{Deserialize, Serialize};
use whyd_signals::schema::{Evidence, Restart, Root, Shared};
use whyd_signals::{Team, Timestamp};

/// One piece of trouble: an ended instance, a pod that never started, a pod or node that is not ready.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Member {
    pub(crate) team: Team,
    pub(crate) namespace: String,
    /// `Kind/name`.
    pub(crate) workload: String,
    /// `namespace/pod/container`, without the last where it is a pod as a whole.
    pub(crate) name: String,
    /// Whose readiness tells when it was over; empty where `until` does.
    pub(crate) pod_uid: String,
    pub(crate) at: Timestamp,
    /// When it was heard of: what is said of it is being judged for a while from then on.
    pub(crate) seen: Timestamp,
    /// When it was over, where no pod's readiness tells; `None`: not yet.
    pub(crate) until: Option<Timestamp>,
    pub(crate) cause: String,
    pub(crate) mechanism: String,
    /// What it may have in common with others.
    pub(crate) shares: Vec<Shared>,
    pub(crate) root: Option<Root>,
    pub(crate) summary: String,
    /// What it rests on, where no row tells so.
    pub(crate) evidence: Vec<Evidence>,
    /// Namespaces of others that the summary speaks of.
    pub(crate) speaks_of: Vec<String>,
    /// Whether it is the root's own trouble, not that of one it took down.
    pub(crate) own: bool,
    pub(crate) ended: bool,
    pub(crate) never_started: bool,
}

impl Member {
    /// The member that a row is; `None` where the row raises no incident.
    pub(crate) fn of(row: &Restart) -> Option<(String, Self)> {
        let key = row.incident_key.clone()?;
        let pod = row.pod.as_deref().unwrap_or_else(|| row.workload.rsplit('/').next().unwrap_or_default());
        let container = row.container.as_ref().map_or(String::new(), |c| format!("/{c}"));
        let member = Self {
            team: row.team.clone(),
            namespace: row.namespace.clone(),
            workload: row.workload.clone(),
            name: format!("{}/{pod}{container}", row.namespace),
            pod_uid: row.pod_uid.clone().unwrap_or_default(),
            at: row.finished_at.unwrap_or(row.seen_at),
            seen: row.seen_at,
            until: Some(row.finished_at.unwrap_or(row.seen_at)),
            cause: row.cause.clone(),
            mechanism: row.mechanism.clone(),
            shares: row.shares.clone(),
            root: row.root.clone(),
            summary: row.summary.clone(),
            evidence: Vec::new(),
            speaks_of: row.speaks_of.clone(),
            own: key.ends_with(&format!("/{}", row.cause)),
            ended: row.exit_code.is_some(),
            never_started: row.exit_code.is_none() && row.mechanism != crate::cause::UNSEEN,
        };
        Some((key, member))
    }
}
