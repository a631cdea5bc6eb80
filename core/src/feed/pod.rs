//! What the detectors ask of the pod behind a series.

use whyd_anomaly::{Background, Readiness};
use whyd_buffers::{Scoped, SeriesMeta};
use whyd_signals::Timestamp;

/// The pod of a series, looked up when it is asked for.
pub(super) struct Pod<'a> {
    pub(super) meta: &'a SeriesMeta,
    pub(super) scoped: &'a Scoped,
    pub(super) scraped_since: Option<Timestamp>,
}

impl Background for Pod<'_> {
    fn readiness(&self) -> Readiness {
        self.known().unwrap_or(Readiness::Unknown)
    }

    fn scraped_since(&self) -> Option<Timestamp> {
        self.scraped_since
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
