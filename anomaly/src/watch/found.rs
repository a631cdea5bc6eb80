//! What was found in log lines, as an anomaly.

use whyd_signals::Timestamp;
use whyd_signals::schema::Anomaly;

use super::LineKey;
use crate::detector::log_kinds::Told;
use crate::detector::log_rate::{Burst, What};
use crate::episodes::{self, Of};
use crate::wording;

impl From<What> for Of {
    fn from(what: What) -> Self {
        match what {
            What::Lines => Self::Lines,
            What::Errors => Self::Errors,
        }
    }
}

/// One finding.
pub(super) struct Found {
    of: Of,
    metric: &'static str,
    score: f64,
    value: f64,
    expected: f64,
    text: String,
}

impl Found {
    pub(super) fn burst(burst: &Burst) -> Self {
        let of = burst.what.into();
        let metric = match burst.what {
            What::Lines => "log_lines",
            What::Errors => "log_errors",
        };
        let (score, value, expected) = (burst.score, burst.per_minute, burst.expected);
        Self { of, metric, score, value, expected, text: wording::burst(burst) }
    }

    pub(super) fn kind(told: &Told) -> Self {
        let (metric, score, value, expected) = match told {
            Told::NewError { score, .. } => ("log_new", *score, 1.0, 0.0),
            Told::NewInNumber { score, lines, .. } => ("log_new", *score, f64::from(*lines), 0.0),
            Told::Vanished { vanished, .. } => ("log_vanished", vanished.score, 0.0, vanished.per_minute),
        };
        Self { of: Of::Kinds, metric, score, value, expected, text: wording::kind(told) }
    }

    pub(super) fn anomaly(self, key: &LineKey<'_>, ts: Timestamp) -> Anomaly {
        let Self { of, metric, score, value, expected, text } = self;
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
            workload: String::new(),
            trace: String::new(),
            until: ts,
            episode: episodes::number(of, key.group),
        }
    }
}
