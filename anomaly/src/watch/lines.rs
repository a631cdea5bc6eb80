//! What was found in log lines, as an anomaly.

use whyd_signals::Timestamp;
use whyd_signals::schema::Anomaly;

use super::LineKey;
use crate::detector::log_kinds::Told;
use crate::detector::log_rate::{Burst, What};
use crate::wording;

/// One finding.
pub(super) struct Found {
    metric: &'static str,
    score: f64,
    value: f64,
    expected: f64,
    text: String,
}

impl Found {
    pub(super) fn burst(burst: &Burst) -> Self {
        let metric = match burst.what {
            What::Lines => "log_lines",
            What::Errors => "log_errors",
        };
        let (score, value, expected) = (burst.score, burst.per_minute, burst.expected);
        Self { metric, score, value, expected, text: wording::burst(burst) }
    }

    pub(super) fn kind(told: &Told) -> Self {
        let (metric, score, value, expected) = match told {
            Told::NewError { score, .. } => ("log_new", *score, 1.0, 0.0),
            Told::NewInNumber { score, lines, .. } => ("log_new", *score, f64::from(*lines), 0.0),
            Told::Vanished { vanished, .. } => ("log_vanished", vanished.score, 0.0, vanished.per_minute),
        };
        Self { metric, score, value, expected, text: wording::kind(told) }
    }

    pub(super) fn anomaly(self, key: &LineKey<'_>, ts: Timestamp) -> Anomaly {
        let Self { metric, score, value, expected, text } = self;
        Anomaly {
            ts,
            team: key.team.clone(),
            namespace: key.namespace.to_owned(),
            pod: key.pod.to_owned(),
            container: key.container.to_owned(),
            metric: metric.to_owned(),
            score,
            value,
            expected,
            text,
        }
    }
}
