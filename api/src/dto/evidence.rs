//! Evidence, and the query that shows each item of it in the raw data.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use whyd_signals::{Timestamp, schema};

use crate::shown_by;

/// Which of the raw data an item of evidence was found in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum EvidenceSource {
    Kube,
    Events,
    Metrics,
    Logs,
}

impl From<schema::EvidenceSource> for EvidenceSource {
    fn from(source: schema::EvidenceSource) -> Self {
        match source {
            schema::EvidenceSource::Kube => Self::Kube,
            schema::EvidenceSource::Events => Self::Events,
            schema::EvidenceSource::Metrics => Self::Metrics,
            schema::EvidenceSource::Logs => Self::Logs,
        }
    }
}

/// One fact, as it stands in the raw data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Evidence {
    /// Where it was found.
    pub source: EvidenceSource,
    /// When it was so.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    pub at: Option<Timestamp>,
    /// The object it is about, `Kind/name`.
    pub object: String,
    /// The field path, event reason, metric or log stream.
    pub field: String,
    /// What it held: exactly the line, message, status value or sample.
    pub value: Value,
    /// The same in words.
    pub text: String,
    /// How much older than the end it is, in seconds; negative where it was seen after it.
    #[serde(default)]
    #[schema(required)]
    pub age_seconds: Option<f64>,
    /// The query that shows it.
    #[serde(default)]
    #[schema(required)]
    pub shown_by: Option<ShownBy>,
}

/// The language of a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Language {
    Sql,
    Promql,
    Kubectl,
}

/// A query that shows an item of evidence in the raw data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[allow(missing_docs)]
pub struct ShownBy {
    pub language: Language,
    pub query: String,
}

impl Evidence {
    /// One that belongs to no end: it has neither an age nor a query made of a row.
    pub(super) fn plain(e: &schema::Evidence) -> Self {
        Self {
            source: e.source.into(),
            at: e.at,
            object: e.object.clone(),
            field: e.field.clone(),
            value: e.value.clone(),
            text: e.text.clone(),
            age_seconds: None,
            shown_by: None,
        }
    }

    pub(super) fn of(row: &schema::Restart, e: &schema::Evidence) -> Self {
        let end = row.finished_at.unwrap_or(row.seen_at);
        Self {
            source: e.source.into(),
            at: e.at,
            object: e.object.clone(),
            field: e.field.clone(),
            value: e.value.clone(),
            text: e.text.clone(),
            age_seconds: e.at.map(|at| (end.seconds_since(at) * 1e3).round() / 1e3),
            shown_by: shown_by::query(row, e),
        }
    }
}
