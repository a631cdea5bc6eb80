//! The kubelet ended a pod as a whole: what it leaves in the pod's status, where that is no eviction.

use std::time::Duration;

use whyd_signals::Timestamp;
use whyd_signals::schema::Evidence;

use crate::case::{Case, Ending};
use crate::disruption::BY_KUBELET;

/// Status times are cut off to whole seconds, and the containers end while the kubelet writes.
const TOLERANCE: Duration = Duration::from_secs(2);

/// What the kubelet ends pods for, and how it says so.
pub(crate) struct Termination {
    /// `status.reason`.
    pub(crate) reason: &'static str,
    /// How `status.message` begins; other reasons of the same name are not the kubelet's.
    pub(crate) message: &'static str,
    /// The reason of its event, where it makes one.
    pub(crate) event: Option<&'static str>,
}

impl Termination {
    /// Whether this instance, or the pod as a whole, ended by it. An instance that had ended before did not.
    pub(crate) fn ended(&self, case: &Case<'_>) -> bool {
        let status = &case.pod.object.status;
        if status.phase != "Failed" || status.reason != self.reason || !status.message.starts_with(self.message) {
            return false;
        }
        match (self.at(case), case.ending) {
            (Some(at), Ending::Ended { .. }) => case.finished() >= at.minus(TOLERANCE),
            (None, Ending::Ended { .. }) => case.neighbours.1.is_none(),
            (_, Ending::Failed | Ending::Replaced) => true,
            (_, Ending::NeverStarted { .. } | Ending::Unseen { .. }) => false,
        }
    }

    /// When the kubelet said that it does so.
    fn at(&self, case: &Case<'_>) -> Option<Timestamp> {
        let told = self.event.into_iter().flat_map(|reason| case.pod_events(reason)).map(|e| e.at);
        let marked = case.disruption().filter(|c| c.reason == BY_KUBELET).and_then(|c| c.last_transition_time);
        told.chain(marked).min()
    }

    /// What shows it.
    pub(crate) fn evidence(&self, case: &Case<'_>) -> Vec<Evidence> {
        let status = &case.pod.object.status;
        let at = Some(self.at(case).unwrap_or_else(|| case.finished()));
        let told = self.event.and_then(|reason| case.pod_events(reason).max_by_key(|e| e.at));
        let reason = case.of_pod(at, "status.reason", status.reason.clone(), "the kubelet ended the pod");
        let message = case.of_pod(at, "status.message", status.message.clone(), "in its words");
        let code = case.status("exitCode", "how it went when told to stop");
        [reason, message].into_iter().chain(told.map(crate::finding::event)).chain(code).collect()
    }
}
