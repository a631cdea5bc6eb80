//! The kubelet evicted the pod because it used more local storage than its limit.

use super::Cause;
use crate::case::Case;
use crate::finding::{Depth, Finding, event, kube, ruled_out};

/// See [`super::ALL`].
pub(super) const CAUSE: Cause = Cause { id: "evicted-storage-limit", judge, contradict };

/// The kubelet's words for a container, the pod as a whole and a volume in it.
const SAYINGS: [&str; 3] = [
    " exceeded its local ephemeral storage limit ",
    "Pod ephemeral local storage usage exceeds the total limit of containers ",
    "Usage of EmptyDir volume ",
];

fn judge(case: &Case<'_>) -> Option<Finding> {
    let status = &case.pod.object.status;
    if !case.evicted() || !SAYINGS.iter().any(|s| status.message.contains(s)) {
        return None;
    }
    let summary = format!("{} was evicted: {}", case.pod_name(), status.message.trim());
    let object = format!("Pod/{}", case.pod_name());
    let at = case.terminated().and_then(|t| t.finished_at).or(Some(case.seen_at));
    let evicted = case.space.events_about(&case.pod.object.metadata.uid).find(|e| e.event.reason == "Evicted");
    Some(
        Finding::new(CAUSE.id, Depth::Mechanism, 95, case.pod_root(), summary)
            .with(Some(kube(at, object.clone(), "status.reason", status.reason.clone(), "the pod was evicted")))
            .with(Some(kube(at, object, "status.message", status.message.clone(), "the kubelet's reason")))
            .with(evicted.map(event))
            .with(case.status("exitCode", "how it went when told to stop"))
            .with_all(case.words()),
    )
}

fn contradict(case: &Case<'_>) -> Option<whyd_signals::schema::RuledOut> {
    if case.evicted() {
        return None;
    }
    let phase = case.pod.object.status.phase.clone();
    Some(ruled_out(CAUSE.id, "the pod was not evicted".to_owned(), "status.phase", phase))
}
