//! Pods that the scheduler gave to a node whose kubelet refused them: they fail before a container is made.

use whyd_buffers::state::EventSeen;
use whyd_signals::schema::Root;

use crate::case::{Case, Ending};
use crate::finding::{Depth, Finding, event};

/// What the kubelet writes before its reason.
const REJECTED: &str = "Pod was rejected: ";
/// The reason by which it ends pods that run, and refuses those that come while its node is short of something.
const EVICTED: &str = "Evicted";
/// The event by which a DaemonSet says that it does away with a failed pod.
const FAILED_DAEMON_POD: &str = "FailedDaemonPod";

/// What kind of obstacle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// The node has not enough of a resource, or not in one place.
    NoRoom,
    /// A device or a resource manager of the node failed.
    Devices,
    /// The pod wants to be allowed what the node does not allow.
    Security,
    /// The node goes down.
    Shutdown,
    /// The node cannot attach more volumes.
    Volumes,
    /// Labels, the operating system, a feature that the node has not.
    Other,
}

/// A refusal by the kubelet.
#[derive(Debug)]
pub(crate) struct Rejection<'a> {
    /// `status.reason`.
    pub(crate) reason: &'a str,
    /// The kubelet's words.
    pub(crate) words: &'a str,
    pub(crate) why: Why,
}

impl<'a> Rejection<'a> {
    /// The refusal of a pod in which nothing ended; `None` where it failed otherwise.
    pub(crate) fn of(case: &Case<'a>) -> Option<Self> {
        let pod: &'a whyd_signals::objects::Pod = &case.pod.object;
        let status = &pod.status;
        let words = status.message.strip_prefix(REJECTED);
        // Older kubelets write no more than `Pod ` before it.
        let why = why(&status.reason).or(words.map(|_| Why::Other))?;
        let refused = *case.ending == Ending::Failed && status.reason != EVICTED;
        let words = words.or(status.message.strip_prefix("Pod ")).unwrap_or(&status.message);
        refused.then_some(Self { reason: &status.reason, words: words.trim(), why })
    }

    /// The finding of one cause.
    pub(crate) fn finding(&self, case: &Case<'_>, cause: &'static str, root: Root) -> Finding {
        let node = case.node_root().map_or("its node".to_owned(), |n| n.to_string());
        let summary = format!("{} was refused by {node} ({}): {}", case.pod_name(), self.reason, self.words);
        let status = &case.pod.object.status;
        let told = case.pod_events(self.reason).max_by_key(|e| e.at);
        let at = told.map_or(case.seen_at, |e| e.at);
        Finding::new(cause, Depth::Mechanism, 93, root, summary)
            .with(told.map(event))
            .with(Some(case.of_pod(Some(at), "status.reason", status.reason.clone(), "why the kubelet refuses it")))
            .with(Some(case.of_pod(Some(at), "status.message", status.message.clone(), "in its words")))
            .with(done_away(case).map(event))
            .detail(self.reason)
    }
}

/// The word of a DaemonSet that makes another in its place.
fn done_away<'a>(case: &'a Case<'_>) -> Option<&'a EventSeen> {
    let owner = case.pod.object.metadata.controller()?;
    let told = case.space.events_about(&owner.uid).filter(|e| e.event.reason == FAILED_DAEMON_POD);
    told.filter(|e| e.event.message.contains(case.pod_name())).max_by_key(|e| e.at)
}

/// By the reason; `None` for those that only the words tell to be a refusal.
fn why(reason: &str) -> Option<Why> {
    Some(match reason {
        // `OutOfcpu`, `OutOfmemory`, `OutOfpods`, `OutOfnvidia.com/gpu`
        _ if reason.starts_with("OutOf") => Why::NoRoom,
        "TopologyAffinityError" => Why::NoRoom,
        "UnexpectedAdmissionError" => Why::Devices,
        "AppArmor" | "SysctlForbidden" | "SupplementalGroupsPolicyNotSupported" => Why::Security,
        "NodeShutdown" => Why::Shutdown,
        "VolumeAttachmentLimitExceeded" => Why::Volumes,
        "NodeAffinity" | "NodeName" | "NodePorts" | "TaintToleration" | "InvalidNodeInfo" => Why::Other,
        _ => return None,
    })
}
