//! Somebody evicted the pod through the API, mostly to empty its node.

use super::Cause;
use crate::case::Case;
use crate::disruption::{self, BY_API};
use crate::finding::{Finding, kube};

/// See [`super::ALL`].
pub(super) const CAUSE: Cause =
    Cause { id: "drained", judge, contradict: |c| disruption::contradict(c, "drained", &[BY_API]) };

fn judge(case: &Case<'_>) -> Option<Finding> {
    disruption::disrupted(case, &[BY_API])?;
    let at = case.finished();
    // As of then: a node is given back when the work on it is done.
    let cordoned = case.node().and_then(|n| {
        let versions = n
            .versions
            .iter()
            .filter(|(seen, v)| v.spec.unschedulable && *seen <= at.plus(std::time::Duration::from_secs(60)));
        versions.min_by_key(|(seen, _)| *seen)
    });
    let node = case.node_root().unwrap_or_else(|| case.pod_root());
    let how = if cordoned.is_some() { format!("{node} was drained") } else { "somebody evicted it".to_owned() };
    let summary = format!("{} was removed: {how}", case.pod_name());
    let item = cordoned
        .map(|(seen, _)| kube(Some(*seen), node.to_string(), "spec.unschedulable", true, "the node takes no new pods"));
    disruption::finding(case, CAUSE.id, (node, summary), item)
}
