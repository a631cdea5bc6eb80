//! What two sides have, row for row.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;
use whyd::view::View;
use whyd_signals::sample::STALE_BITS;
use whyd_signals::{Access, Timestamp};

use crate::pull::{Samples, said};

/// The pod of which every source of lines and pods tells, with its namespace and container.
pub(super) const POD: (&str, &str, &str) = ("kit", "web-1", "app");

/// A row: what it is of, when in nanoseconds, and what it says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Row {
    of: String,
    at: i64,
    says: String,
}

/// Rows, each with how often it is there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Rows(BTreeMap<Row, usize>);

impl Rows {
    /// All that a daemon holds. Markers of staleness are not rows: no other side's query gives them.
    pub(super) fn of(view: &View) -> Self {
        let scoped = view.scoped(&Access::All);
        let mut rows = Self::default();
        for (id, meta) in scoped.all_series() {
            let labels: BTreeMap<&str, &str> = meta.labels.iter().collect();
            for sample in scoped.slice(id, Timestamp::MIN, Timestamp::MAX) {
                if sample.value.to_bits() != STALE_BITS {
                    rows.sample(&labels, sample.ts.nanos(), sample.value);
                }
            }
        }
        for line in scoped.lines_of(POD.0, POD.1, POD.2, Timestamp::MIN, Timestamp::MAX) {
            rows.line(line.ts.nanos(), &line.line);
        }
        for alert in scoped.each_alert() {
            rows.add(format!("alert {} {}", alert.fingerprint, alert.name), alert.starts_at.nanos(), &alert.summary);
        }
        for pod in scoped.cluster().namespaces().flat_map(|namespace| namespace.pods.values()) {
            let meta = &pod.object.metadata;
            if let Some(made) = meta.creation_timestamp.filter(|_| pod.deleted_at.is_none()) {
                rows.pod((&meta.namespace, &meta.name, &meta.uid), made.nanos(), &meta.resource_version);
            }
        }
        rows
    }

    /// The same bits are the same text, but for what makes NaN of several kinds.
    pub(super) fn sample(&mut self, labels: &BTreeMap<&str, &str>, ns: i64, value: f64) {
        self.add(serde_json::to_string(labels).unwrap(), ns, &format!("{value:?}"));
    }

    /// Of [`POD`].
    pub(super) fn line(&mut self, ns: i64, text: &str) {
        self.add(format!("{POD:?}"), ns, text);
    }

    /// A pod by namespace, name and uid, when it was made, in its newest version.
    pub(super) fn pod(&mut self, (namespace, name, uid): (&str, &str, &str), made: i64, version: &str) {
        self.add(format!("pod {namespace}/{name} {uid}"), made, version);
    }

    pub(super) fn add(&mut self, of: String, at: i64, says: &str) {
        *self.0.entry(Row { of, at, says: says.to_owned() }).or_default() += 1;
    }

    /// A matrix as Prometheus answers it.
    pub(super) fn of_matrix(answer: &Value) -> Self {
        Self::of_samples(&said(answer))
    }

    /// Samples by the labels of their series.
    pub(super) fn of_samples(samples: &Samples) -> Self {
        let mut rows = Self::default();
        for (labels, samples) in samples {
            for (ms, bits) in samples {
                rows.add(labels.clone(), ms * 1_000_000, &format!("{:?}", f64::from_bits(*bits)));
            }
        }
        rows
    }

    /// Those of these times, both included.
    pub(super) fn within(self, from: i64, to: i64) -> Self {
        Self(self.0.into_iter().filter(|(row, _)| (from..=to).contains(&row.at)).collect())
    }

    pub(super) fn len(&self) -> usize {
        self.0.values().sum()
    }
}

/// How the rows of two sides differ.
#[derive(Default)]
pub(super) struct Diff {
    sizes: (usize, usize),
    /// Rows of either side that the other has not, or not as often.
    missing: Vec<Row>,
    too_many: Vec<Row>,
}

impl Diff {
    pub(super) fn between(theirs: &Rows, ours: &Rows) -> Self {
        let beyond = |some: &Rows, others: &Rows| {
            let more = |(row, n): &(&Row, &usize)| others.0.get(row).is_none_or(|m| m < *n);
            some.0.iter().filter(more).map(|(row, _)| row.clone()).collect()
        };
        Self { sizes: (theirs.len(), ours.len()), missing: beyond(theirs, ours), too_many: beyond(ours, theirs) }
    }

    pub(super) fn is_none(&self) -> bool {
        self.missing.is_empty() && self.too_many.is_empty()
    }
}

impl fmt::Display for Diff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = |rows: &[Row]| format!("{:#?}", &rows[..rows.len().min(3)]);
        let ((theirs, ours), missing, more) = (self.sizes, &self.missing, &self.too_many);
        write!(f, "it has {theirs} rows and whyd {ours}; ")?;
        write!(f, "{} are missing: {}; ", missing.len(), first(missing))?;
        write!(f, "{} are too many: {}", more.len(), first(more))
    }
}
