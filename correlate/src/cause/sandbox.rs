//! The pod's sandbox, with its network and its place on the node, could not be made or was lost.

use super::Cause;
use crate::case::{Case, Ending};
use crate::finding::{Depth, Finding, event, ruled_out};

/// See [`super::ALL`].
pub(super) const CAUSE: Cause = Cause { id: "sandbox", judge, contradict };

/// The event of anything that fails to be made; of the pod as a whole with the words of [`DATA_DIRECTORIES`].
pub(crate) const FAILED: &str = "Failed";
/// How the kubelet begins where it is its own directories for the pod that cannot be made.
pub(crate) const DATA_DIRECTORIES: &str = "error making pod data directories: ";
/// The event by which the kubelet says that the sandbox was lost: the containers end with it.
const CHANGED: &str = "SandboxChanged";

/// What has to be there before a container is made.
struct Step {
    /// The kubelet's event where it fails.
    event: &'static str,
    /// What is wrong, as a person says it.
    wrong: &'static str,
    /// Whether it is the node's own: no pod can do anything about it.
    of_node: bool,
}

const fn step(event: &'static str, of_node: bool, wrong: &'static str) -> Step {
    Step { event, wrong, of_node }
}

const STEPS: [Step; 6] = [
    step("FailedCreatePodSandBox", false, "its sandbox cannot be made"),
    step("FailedPodSandBoxStatus", true, "the runtime does not tell of its sandbox"),
    step("FailedCreatePodContainer", true, "its cgroup cannot be made"),
    step("FailedPrepareDynamicResources", true, "the devices that it claims cannot be made ready"),
    step("NetworkNotReady", true, "its node has no pod network yet"),
    step(FAILED, true, "its directories on the node cannot be made"),
];

fn judge(case: &Case<'_>) -> Option<Finding> {
    match case.ending {
        Ending::NeverStarted { reason, .. } if case.container.is_none() => {
            never_made(case, STEPS.iter().find(|s| s.event == reason)?)
        }
        Ending::Ended { .. } => lost(case),
        _ => None,
    }
}

fn never_made(case: &Case<'_>, step: &Step) -> Option<Finding> {
    let own = |message: &str| step.event != FAILED || message.starts_with(DATA_DIRECTORIES);
    let told = case.pod_events(step.event).filter(|e| own(&e.event.message)).max_by_key(|e| e.at)?;
    let summary = format!("{} cannot start, {}: {}", case.pod_name(), step.wrong, told.event.message);
    let node = if step.of_node { case.node_root() } else { None };
    let root = node.unwrap_or_else(|| case.workload_root());
    Some(Finding::new(CAUSE.id, Depth::Mechanism, 90, root, summary).with(Some(event(told))).with(super::waits(case)))
}

fn lost(case: &Case<'_>) -> Option<Finding> {
    if case.deleting() || case.evicted() {
        return None;
    }
    // The kubelet notices after the containers have ended with their sandbox, and kills what is left.
    let from = case.finished().minus(std::time::Duration::from_secs(15));
    let to = case.finished().plus(std::time::Duration::from_secs(30));
    let told = case.pod_events(CHANGED).filter(|e| from <= e.at && e.at <= to).min_by_key(|e| e.at)?;
    let code = case.exit()?;
    // A program that had already failed by itself did not lose its sandbox.
    if !matches!(code, 0 | 2 | 137 | 143 | 255) {
        return None;
    }
    let name = case.container.unwrap_or_default();
    let summary = format!("{name} ended because the sandbox of its pod was lost; the pod was given another");
    Some(
        Finding::new(CAUSE.id, Depth::Deeper, 87, case.pod_root(), summary)
            .with(Some(event(told)))
            .with(case.status("exitCode", "how it went")),
    )
}

fn contradict(case: &Case<'_>) -> Option<whyd_signals::schema::RuledOut> {
    case.terminated()?;
    if !case.events_known() || case.pod_events(CHANGED).next().is_some() {
        return None;
    }
    let because = "the sandbox of its pod stayed".to_owned();
    Some(ruled_out(CAUSE.id, because, "events.SandboxChanged", serde_json::Value::Null))
}
