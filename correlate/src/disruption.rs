//! Somebody else took the pod away: what its condition `DisruptionTarget` says, with the words of whoever did it.

use whyd_signals::Timestamp;
use whyd_signals::schema::{Evidence, Root, RuledOut};

use crate::case::{Case, Ending};
use crate::finding::{Depth, Finding, ruled_out};

/// The condition's reasons, one for each who may do it.
pub(crate) const BY_SCHEDULER: &str = "PreemptionByScheduler";
pub(crate) const BY_API: &str = "EvictionByEvictionAPI";
pub(crate) const BY_TAINT: &str = "DeletionByTaintManager";
pub(crate) const BY_DEVICE_TAINT: &str = "DeletionByDeviceTaintManager";
pub(crate) const BY_GC: &str = "DeletionByPodGC";
pub(crate) const BY_KUBELET: &str = "TerminationByKubelet";

/// Whether this instance, or the pod as a whole, ended because of the disruption of one of these reasons.
pub(crate) fn disrupted(case: &Case<'_>, reasons: &[&str]) -> Option<(String, Option<Timestamp>)> {
    let condition = case.disruption().filter(|c| reasons.contains(&c.reason.as_str()))?;
    let later = match (condition.last_transition_time, case.ending) {
        (Some(at), Ending::Ended { .. }) => case.finished() >= at.minus(std::time::Duration::from_secs(1)),
        (_, Ending::NeverStarted { .. } | Ending::Unseen { .. }) => false,
        _ => true,
    };
    later.then(|| (condition.message.clone(), condition.last_transition_time))
}

/// The finding of a disruption.
pub(crate) fn finding(
    case: &Case<'_>,
    cause: &'static str,
    (root, summary): (Root, String),
    more: impl IntoIterator<Item = Evidence>,
) -> Option<Finding> {
    let condition = case.disruption()?;
    let at = condition.last_transition_time;
    let words = (!condition.message.is_empty()).then(|| {
        case.of_pod(at, "status.conditions[DisruptionTarget].message", condition.message.clone(), "in its words")
    });
    Some(
        Finding::new(cause, Depth::Deeper, 95, root, summary)
            .with(Some(case.of_pod(
                at,
                "status.conditions[DisruptionTarget].reason",
                condition.reason.clone(),
                "who took the pod away",
            )))
            .with(words)
            .with_all(more)
            .with(case.status("exitCode", "how it went when told to stop")),
    )
}

/// Why it is not a disruption of this kind.
pub(crate) fn contradict(case: &Case<'_>, cause: &str, reasons: &[&str]) -> Option<RuledOut> {
    match case.disruption() {
        Some(c) if reasons.contains(&c.reason.as_str()) => None,
        Some(c) => {
            let because = format!("the pod was taken away by {}", c.reason);
            Some(ruled_out(cause, because, "status.conditions[DisruptionTarget].reason", c.reason.clone()))
        }
        None => {
            let because = "nothing marked the pod as a target of disruption".to_owned();
            Some(ruled_out(cause, because, "status.conditions[DisruptionTarget]", serde_json::Value::Null))
        }
    }
}
