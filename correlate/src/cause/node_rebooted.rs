//! The node was booted anew under its containers.

use std::time::Duration;

use whyd_signals::Timestamp;
use whyd_signals::schema::{Evidence, RuledOut};

use super::Cause;
use crate::case::Case;
use crate::finding::{Depth, Finding, event, kube, ruled_out};

/// See [`super::ALL`].
pub(super) const CAUSE: Cause = Cause { id: "node-rebooted", judge, contradict };

/// The kubelet tells of the boot within so long after the containers' ends, and of the ends within so long after it.
const NEAR: Duration = Duration::from_secs(600);

fn judge(case: &Case<'_>) -> Option<Finding> {
    let t = case.terminated()?;
    // What ended by itself before the node went down has its own cause.
    let cut_off =
        matches!(t.exit_code, 255 | 137 | 143) || t.reason == "Unknown" || t.reason == "ContainerStatusUnknown";
    if !cut_off || t.reason == "OOMKilled" || case.evicted() {
        return None;
    }
    let (at, items) = boot(case)?;
    if case.started() >= at || case.neighbours.1.is_some_and(|next| next < at) {
        return None;
    }
    let node = case.node_root()?;
    let summary = format!("{node} was rebooted, {} ended with it", case.container.unwrap_or_default());
    Some(
        Finding::new(CAUSE.id, Depth::Deeper, 93, node, summary)
            .with_all(items)
            .with(case.status("exitCode", "what the runtime found after the boot"))
            .with(case.status("reason", "how the runtime names it")),
    )
}

/// The boot around the end, and what shows it.
fn boot(case: &Case<'_>) -> Option<(Timestamp, Vec<Evidence>)> {
    let near = |at: Timestamp| at.seconds_since(case.finished()).abs() <= NEAR.as_secs_f64();
    let told = case.node_events().filter(|e| e.event.reason == "Rebooted" && near(e.at)).max_by_key(|e| e.at);
    let versions = case.node().map(|n| n.versions.as_slice()).unwrap_or_default();
    let changed = versions.windows(2).find_map(|pair| match pair {
        [(_, before), (seen, after)] => {
            let (old, new) = (&before.status.node_info.boot_id, &after.status.node_info.boot_id);
            (old != new && !old.is_empty() && near(*seen)).then(|| (*seen, new.clone()))
        }
        _ => None,
    });
    let at = told.map(|e| e.at).or(changed.as_ref().map(|(seen, _)| *seen))?;
    let node = format!("Node/{}", case.pod.object.spec.node_name);
    let id = changed.map(|(seen, id)| kube(Some(seen), node, "status.nodeInfo.bootID", id, "another boot than before"));
    Some((at, told.map(event).into_iter().chain(id).collect()))
}

fn contradict(case: &Case<'_>) -> Option<RuledOut> {
    case.terminated()?;
    let node = case.node().filter(|_| boot(case).is_none())?;
    let id = node.object.status.node_info.boot_id.clone();
    let because = format!("node {} was not rebooted around its end", case.pod.object.spec.node_name);
    (!id.is_empty()).then(|| ruled_out(CAUSE.id, because, "nodes.status.nodeInfo.bootID", id))
}
