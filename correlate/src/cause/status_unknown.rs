//! The kubelet lost sight of the container and writes 137 for it: no kill was seen, least of all for memory.

use super::Cause;
use crate::case::Case;
use crate::finding::{Depth, Finding, ruled_out};

/// See [`super::ALL`].
pub(super) const CAUSE: Cause = Cause { id: "status-unknown", judge, contradict };

const REASON: &str = "ContainerStatusUnknown";

fn judge(case: &Case<'_>) -> Option<Finding> {
    case.terminated().filter(|t| t.reason == REASON)?;
    let name = case.container.unwrap_or_default();
    let summary = format!("the kubelet lost sight of {name}; its 137 stands for an end that nobody saw");
    Some(
        Finding::new(CAUSE.id, Depth::Mechanism, 62, case.pod_root(), summary)
            .with(case.status("reason", "the runtime knew nothing of it any more"))
            .with(case.status("message", "the kubelet's words").filter(|e| e.value != ""))
            .with(case.status("exitCode", "written for an unknown end")),
    )
}

fn contradict(case: &Case<'_>) -> Option<whyd_signals::schema::RuledOut> {
    let t = case.terminated().filter(|t| t.reason != REASON)?;
    let because = format!("the runtime knew how it ended: {}", t.reason);
    Some(ruled_out(CAUSE.id, because, &case.field("reason"), t.reason.clone()))
}
