//! What a sample, a count of a probe, or a line is about, as the caller says.

use whyd_signals::{SeriesId, Team, TemplateId, Timestamp};

#[cfg(doc)]
use super::Detectors;
use crate::watched::Watched;

/// A series and what it is about. The id finds its state; the rest is only read when there is something to tell.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs)]
pub struct SeriesKey<'a> {
    pub id: SeriesId,
    pub team: &'a Team,
    pub namespace: &'a str,
    pub pod: &'a str,
    pub container: &'a str,
    /// What [`Detectors::watches`] says of its metric.
    pub watched: &'a Watched,
    /// The caller's choice, as of [`LineKey::group`]: what is usual for a metric of it is known to its next pod.
    pub workload: u64,
}

/// A probe of a container.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs)]
pub struct ProbeKey<'a> {
    /// The caller's choice: a hash of pod, container and the kind of probe.
    pub id: u64,
    pub team: &'a Team,
    pub namespace: &'a str,
    pub pod: &'a str,
    pub container: &'a str,
    pub metric: &'a str,
    /// As the kubelet calls it: `Liveness`, `Readiness`, `Startup`.
    pub kind: &'a str,
}

/// Lines that are counted together, and whom the line at hand came from.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs)]
pub struct LineKey<'a> {
    /// The caller's choice: a hash of namespace, workload and container keeps the baseline when pods are replaced.
    pub group: u64,
    pub team: &'a Team,
    pub namespace: &'a str,
    pub pod: &'a str,
    pub container: &'a str,
}

/// A log line without its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line {
    /// When it was written.
    pub ts: Timestamp,
    /// Whether it tells of an error.
    pub is_error: bool,
    /// Its shape.
    pub template: TemplateId,
}
