//! Alerts that others raised.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use whyd_signals::{Timestamp, schema};

/// An alert that others raised and an Alertmanager told, while it fired.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Alert {
    /// Since when it fires, or fired.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// When it was over; null while it fires, as far as whyd was told.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    pub until: Option<Timestamp>,
    /// Its `alertname`.
    pub name: String,
    /// As its rule has it, or empty.
    pub severity: String,
    /// The namespace of what it is about, or empty.
    pub namespace: String,
    /// `Kind/name` of what its labels name, or empty.
    pub object: String,
    /// The container that it names, or empty.
    pub container: String,
    /// Its summary.
    pub summary: String,
    /// Where its rule is evaluated, or empty.
    pub link: String,
}

impl From<&schema::Alert> for Alert {
    fn from(a: &schema::Alert) -> Self {
        Self {
            at: a.starts_at,
            until: a.ends_at,
            name: a.name.clone(),
            severity: a.severity.clone(),
            namespace: a.namespace.clone(),
            object: if a.kind.is_empty() { String::new() } else { format!("{}/{}", a.kind, a.object) },
            container: a.container.clone(),
            summary: a.summary.clone(),
            link: a.link.clone(),
        }
    }
}
