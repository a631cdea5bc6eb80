//! Kubernetes events (core/v1).

use serde::{Deserialize, Serialize};

use super::Meta;
use crate::Timestamp;

/// The object an event is about.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs)]
pub struct ObjectRef {
    pub kind: String,
    pub namespace: String,
    pub name: String,
    pub uid: String,
    pub field_path: String,
}

impl ObjectRef {
    /// The container that the field path names, as in `spec.containers{web}`.
    pub fn container(&self) -> Option<&str> {
        self.field_path.split_once('{')?.1.strip_suffix('}')
    }
}

/// The series of a repeated event.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs)]
pub struct EventSeries {
    pub count: i64,
    pub last_observed_time: Option<Timestamp>,
}

/// One event, as of one resource version: repeats arrive as the same uid with a rising count.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs)]
pub struct Event {
    pub metadata: Meta,
    #[serde(alias = "regarding")]
    pub involved_object: ObjectRef,
    pub reason: String,
    #[serde(alias = "note")]
    pub message: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub count: Option<i64>,
    pub first_timestamp: Option<Timestamp>,
    pub last_timestamp: Option<Timestamp>,
    pub event_time: Option<Timestamp>,
    pub series: Option<EventSeries>,
}

impl Event {
    /// When it last happened: series, last timestamp, event time, creation, whichever is there first.
    pub fn at(&self) -> Timestamp {
        self.series
            .as_ref()
            .and_then(|s| s.last_observed_time)
            .or(self.last_timestamp)
            .or(self.event_time)
            .or(self.metadata.creation_timestamp)
            .unwrap_or_default()
    }

    /// How often it happened, at least.
    pub fn count(&self) -> i64 {
        self.series.as_ref().map(|s| s.count).or(self.count).unwrap_or(1)
    }
}
