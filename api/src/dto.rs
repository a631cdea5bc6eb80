//! The only response types: what the API and `whyd replay --json` print.
//!
//! A field is never left out: what is not known is null. Times are RFC 3339 with nine fraction digits.

mod alerts;
mod anomalies;
mod baselines;
mod cohorts;
mod evidence;
mod health;
mod incidents;
mod index;
mod replay;
mod restarts;
mod sql;
mod suspects;
mod timeline;
mod why;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use whyd_signals::schema;

pub use self::alerts::Alert;
pub use self::anomalies::{Anomalies, Anomaly};
pub use self::baselines::{Baseline, BaselineState, Baselines, Learning, WatchedMetric, WatchedMetrics};
pub use self::cohorts::{Cohort, Cohorts};
pub use self::evidence::{Evidence, EvidenceSource, Language, ShownBy};
pub use self::health::{Freshness, Readiness};
pub use self::incidents::{Hidden, Incident, IncidentChange, IncidentStatus, Incidents, Severity};
pub use self::index::{Index, IndexLink};
pub use self::replay::Replay;
pub use self::restarts::{ChangeBefore, Restart, Restarts, RuledOut};
pub use self::sql::{SqlAnswer, SqlColumn};
pub use self::suspects::{Ranked, Suspects};
pub use self::timeline::{Moment, Timeline};
pub use self::why::{Heard, HeardLine, Match, MemorySample, MemoryUse, Why};

/// The object at fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[allow(missing_docs)]
pub struct Root {
    pub kind: String,
    /// Empty where the kind is cluster-scoped.
    pub namespace: String,
    pub name: String,
}

impl From<&schema::Root> for Root {
    fn from(root: &schema::Root) -> Self {
        Self { kind: root.kind.clone(), namespace: root.namespace.clone(), name: root.name.clone() }
    }
}

/// Something that keeps an answer from being whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// The source that is concerned; null where it is the daemon itself.
    #[schema(required)]
    pub source: Option<String>,
    /// What is wrong with it, for people.
    pub detail: String,
}
