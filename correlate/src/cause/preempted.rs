//! The scheduler took the pod away to make room for one of higher priority.

use super::Cause;
use crate::case::Case;
use crate::disruption::{self, BY_SCHEDULER};
use crate::finding::{Finding, event};
use whyd_signals::schema::Root;

/// See [`super::ALL`].
pub(super) const CAUSE: Cause =
    Cause { id: "preempted", judge, contradict: |c| disruption::contradict(c, "preempted", &[BY_SCHEDULER]) };

fn judge(case: &Case<'_>) -> Option<Finding> {
    let (message, _) = disruption::disrupted(case, &[BY_SCHEDULER])?;
    let told = case.space.events_about(&case.pod.object.metadata.uid).filter(|e| e.event.reason == "Preempted");
    let told = told.max_by_key(|e| e.at);
    let said = told.map_or(message.as_str(), |e| e.event.message.as_str());
    let root = by(case, said).or_else(|| by(case, &message));
    let whose = root.as_ref().map_or("a pod of higher priority".to_owned(), ToString::to_string);
    let summary = format!("{} was preempted to make room for {whose}", case.pod_name());
    let root = root.unwrap_or_else(|| case.pod_root());
    disruption::finding(case, CAUSE.id, (root, summary), told.map(event))
}

/// The workload of the pod whose uid is named: `Preempted by pod UID on node NODE`.
fn by(case: &Case<'_>, message: &str) -> Option<Root> {
    let words = message.split(|c: char| !(c.is_ascii_hexdigit() || c == '-'));
    let uids: Vec<&str> = words.filter(|w| w.len() == 36 && w.matches('-').count() == 4).collect();
    for space in case.scoped.cluster().namespaces() {
        let Some(pod) = uids.iter().find_map(|uid| space.pods.get(*uid)) else { continue };
        let workload = space.workload_of(&pod.object);
        let (kind, name) = workload.split_once('/')?;
        return Some(Root { kind: kind.into(), namespace: space.name.clone(), name: name.into(), uid: String::new() });
    }
    None
}
