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
mod standing;
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
pub use self::standing::{Standing, StandingState};
pub use self::suspects::{Ranked, Suspects};
pub use self::timeline::{Moment, Timeline};
pub use self::why::{Heard, HeardLine, Match, MemorySample, MemoryUse, Why};

/// A figure as JSON can have it, which has neither infinity nor what is no number: a client would read null where a number has to be.
pub fn figure(value: f64) -> f64 {
    if value.is_nan() { 0.0 } else { value.clamp(f64::MIN, f64::MAX) }
}

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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use whyd_signals::{Team, Timestamp};

    use super::*;

    #[test]
    fn what_is_no_number_in_json_is_left_out_or_bounded() {
        let at = Timestamp(0);
        for figure in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let row =
                schema::Anomaly { ts: at, until: at, score: figure, value: figure, expected: figure, ..anomaly() };
            let json = serde_json::to_string(&Anomaly::from(&row)).unwrap();
            let read: Anomaly = serde_json::from_str(&json).unwrap();
            assert_eq!((read.value, read.expected), (None, None), "{json}");
            assert!(read.score.is_finite(), "{json}");
        }
        assert_eq!((figure(f64::NAN), figure(f64::INFINITY), figure(1.5)), (0.0, f64::MAX, 1.5));
        let read = Anomaly::from(&schema::Anomaly { value: 2.0, expected: 1.0, ..anomaly() });
        assert_eq!((read.value, read.expected), (Some(2.0), Some(1.0)));
    }

    fn anomaly() -> schema::Anomaly {
        schema::Anomaly {
            ts: Timestamp(0),
            team: Team::new("pay"),
            namespace: String::new(),
            workload: String::new(),
            pod: String::new(),
            container: String::new(),
            metric: String::new(),
            score: 2.0,
            value: 2.0,
            expected: 1.0,
            text: String::new(),
            trace: String::new(),
            until: Timestamp(0),
            episode: 0,
        }
    }
}
