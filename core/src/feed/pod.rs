//! What the detectors ask of the pod behind a series.

use std::time::Duration;

use whyd_anomaly::{Background, Readiness};
use whyd_buffers::{Scoped, SeriesMeta};
use whyd_signals::{SeriesId, Timestamp};

/// The pod of a series, looked up when it is asked for.
pub(super) struct Pod<'a> {
    /// The series, and when its sample at hand is of.
    pub(super) series: (SeriesId, Timestamp),
    pub(super) meta: &'a SeriesMeta,
    pub(super) scoped: &'a Scoped,
    pub(super) scraped_since: Option<Timestamp>,
}

impl Background for Pod<'_> {
    fn readiness(&self) -> Readiness {
        self.known().unwrap_or(Readiness::Unknown)
    }

    /// What is not known of a pod is what most of them are like.
    fn runs_to_its_end(&self) -> bool {
        let pod = self.scoped.cluster().pod_named(&self.meta.namespace, &self.meta.pod);
        pod.is_some_and(|pod| matches!(pod.object.spec.restart_policy.as_str(), "Never" | "OnFailure"))
    }

    /// A detector may meet a series long after its first sample: where there was no room for it before.
    fn scraped_without_it_since(&self) -> Option<Timestamp> {
        let (id, ts) = self.series;
        let is_first = || self.scoped.slice(id, Timestamp::MIN, ts.minus(Duration::from_nanos(1))).is_empty();
        self.scraped_since.filter(|_| is_first())
    }
}

impl Pod<'_> {
    /// A pod that turned ready, or not, no later than its container was started has not been ready since.
    fn known(&self) -> Option<Readiness> {
        let pod = &self.scoped.cluster().pod_named(&self.meta.namespace, &self.meta.pod)?.object;
        let ready = pod.condition("Ready")?;
        let turned = ready.last_transition_time?;
        if ready.status == "True" {
            return Some(Readiness::Since(turned));
        }
        let status = pod.statuses().find(|status| status.name == *self.meta.container)?;
        let started = status.state.running.as_ref()?.started_at?;
        Some(if turned <= started { Readiness::NotYet } else { Readiness::Unknown })
    }
}
