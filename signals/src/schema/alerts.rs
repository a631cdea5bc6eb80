//! Alerts that others raised and an Alertmanager told us of.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// An alert as its last notification has it. What it is about is what its labels name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// The Alertmanager's hash of its labels; with [`Alert::starts_at`] it tells alerts apart.
    pub fingerprint: String,
    /// Since when it fires.
    pub starts_at: Timestamp,
    /// When it was over; `None` while it fires, as far as we were told.
    pub ends_at: Option<Timestamp>,
    /// The label `alertname`.
    pub name: String,
    /// The label `severity`, or empty.
    pub severity: String,
    /// The label `namespace`, or empty: then it is the platform's.
    pub namespace: String,
    /// What it is about: a workload's kind, `Pod`, `Node`, `Namespace`, or empty where the labels name nothing.
    pub kind: Cow<'static, str>,
    /// The name of that.
    pub object: String,
    /// The label `container`, or empty.
    pub container: String,
    /// Its annotation `summary`, else `description` or `message`, as they came.
    pub summary: String,
    /// Where the rule is evaluated; empty where that is no address of HTTP.
    pub link: String,
}
