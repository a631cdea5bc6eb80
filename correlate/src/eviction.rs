//! The kubelet took the pod away because its node ran short of something.

use whyd_signals::schema::RuledOut;

use crate::case::Case;
use crate::finding::{Depth, Finding, event, ruled_out};

/// One thing that a node may run short of.
pub(crate) struct Shortage {
    /// Cause id.
    pub(crate) cause: &'static str,
    /// As a person says it.
    pub(crate) what: &'static str,
    /// As the kubelet writes the resource, in lower case.
    pub(crate) resources: &'static [&'static str],
    /// The node's condition.
    pub(crate) pressure: &'static str,
}

/// `The node was low on resource: memory. Threshold quantity: 100Mi, available: 70Mi. ...`
const LOW: &str = "low on resource: ";
/// `The node had condition: [DiskPressure].`: refused when it came.
const CONDITION: &str = "node had condition: ";

impl Shortage {
    fn is_meant(&self, message: &str) -> bool {
        let lower = message.to_ascii_lowercase();
        let low = lower.split_once(LOW).map(|(_, rest)| rest.split(['.', ',']).next().unwrap_or(rest).trim());
        let named = low.is_some_and(|resource| self.resources.contains(&resource));
        let condition = message.split_once(CONDITION).is_some_and(|(_, rest)| rest.contains(self.pressure));
        named || condition
    }

    /// The finding.
    pub(crate) fn judge(&self, case: &Case<'_>) -> Option<Finding> {
        let status = &case.pod.object.status;
        if !case.evicted() || !self.is_meant(&status.message) {
            return None;
        }
        let root = case.node_root().unwrap_or_else(|| case.pod_root());
        let summary =
            format!("{} was evicted, {root} ran short of {}: {}", case.pod_name(), self.what, status.message.trim());
        let at = case.terminated().and_then(|t| t.finished_at).or(Some(case.seen_at));
        let evicted = case.space.events_about(&case.pod.object.metadata.uid).find(|e| e.event.reason == "Evicted");
        let pressure =
            case.node().and_then(|n| n.object.status.conditions.iter().find(|c| c.kind == self.pressure).cloned());
        let told = pressure.filter(|c| c.status == "True").map(|c| {
            let field = format!("status.conditions[{}].message", self.pressure);
            crate::finding::kube(c.last_transition_time, root.to_string(), &field, c.message, "what the node says")
        });
        let finding = Finding::new(self.cause, Depth::Mechanism, 95, root, summary)
            .with(Some(case.of_pod(at, "status.reason", status.reason.clone(), "the pod was evicted")))
            .with(Some(case.of_pod(at, "status.message", status.message.clone(), "the kubelet's reason")))
            .with(evicted.map(event))
            .with(told)
            .with(case.status("exitCode", "how it went when told to stop"));
        Some(match threshold(&status.message) {
            Some(threshold) => finding.detail(&threshold),
            None => finding,
        })
    }

    /// Why it is not this.
    pub(crate) fn contradict(&self, case: &Case<'_>) -> Option<RuledOut> {
        if case.evicted() {
            return None;
        }
        let phase = case.pod.object.status.phase.clone();
        Some(ruled_out(self.cause, "the pod was not evicted".to_owned(), "status.phase", phase))
    }
}

/// The threshold that was crossed, as the kubelet writes it.
fn threshold(message: &str) -> Option<String> {
    let (_, rest) = message.split_once("Threshold quantity: ")?;
    let quantity = rest.split([',', ' ']).next()?;
    let available = rest.split_once("available: ").and_then(|(_, a)| a.split(['.', ' ', ',']).next());
    Some(available.map_or(format!("threshold {quantity}"), |a| format!("threshold {quantity}, available {a}")))
}

#[cfg(test)]
mod tests {
    use super::threshold;

    #[test]
    fn the_threshold_is_read_from_the_kubelet_s_words() {
        let said = "The node was low on resource: memory. Threshold quantity: 100Mi, available: 71320Ki. Container a was using";
        assert_eq!(threshold(said).as_deref(), Some("threshold 100Mi, available 71320Ki"));
        assert_eq!(threshold("The node had condition: [DiskPressure]. "), None);
    }
}
