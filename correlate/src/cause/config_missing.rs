//! A ConfigMap or Secret that the container needs is not there.

use super::Cause;
use crate::case::{Case, Ending};
use crate::finding::{Depth, Finding, event, kube, ruled_out};

/// See [`super::ALL`].
pub(super) const CAUSE: Cause = Cause { id: "config-missing", judge, contradict };

/// Kind and name of the object that the kubelet misses, as in `configmap "x" not found` or
/// `couldn't find key k in ConfigMap ns/x`.
fn missing(message: &str) -> Option<(&'static str, &str)> {
    let lower = message.to_ascii_lowercase();
    let kind = if lower.contains("configmap") { "ConfigMap" } else { "Secret" };
    if let Some(key) = message.find("find key ") {
        let rest = &message[key..];
        let name = rest.split_whitespace().last()?;
        return Some((kind, name.rsplit('/').next()?));
    }
    if !lower.contains("not found") || !(lower.contains("configmap") || lower.contains("secret")) {
        return None;
    }
    message.split('"').nth(1).map(|name| (kind, name))
}

fn judge(case: &Case<'_>) -> Option<Finding> {
    let Ending::NeverStarted { reason, message } = case.ending else { return None };
    let failed = case.pod_events("Failed").filter(|e| missing(&e.event.message).is_some()).max_by_key(|e| e.at);
    if reason != "CreateContainerConfigError" {
        return None;
    }
    let (kind, name) = missing(message).or_else(|| failed.and_then(|e| missing(&e.event.message)))?;
    let known = case.space.config_maps.values().find(|c| kind == "ConfigMap" && c.object.metadata.name == name);
    let gone = known.and_then(|c| c.deleted_at);
    let uid = known.map_or("", |c| c.object.metadata.uid.as_str());
    let since = gone.map_or(String::new(), |at| format!("; it was deleted at {at}"));
    let summary = format!("{} needs {kind} {name}, which does not exist{since}", case.container.unwrap_or_default());
    let object = format!("Pod/{}", case.pod_name());
    let field = format!("status.containerStatuses[{}].state.waiting.message", case.container.unwrap_or_default());
    let deleted = known.filter(|c| c.deleted_at.is_some()).map(|c| {
        let version = c.object.metadata.resource_version.clone();
        kube(gone, format!("{kind}/{name}"), "metadata.resourceVersion", version, "its last version, deleted")
    });
    Some(
        Finding::new(CAUSE.id, Depth::Mechanism, 90, case.root(kind, name, uid), summary)
            .with(Some(kube(Some(case.seen_at), object, &field, message.clone(), "why it waits")))
            .with(failed.map(event))
            .with(deleted)
            .detail(name),
    )
}

fn contradict(case: &Case<'_>) -> Option<whyd_signals::schema::RuledOut> {
    let t = case.terminated()?;
    let because = "its configuration was there: the container was created".to_owned();
    Some(ruled_out(CAUSE.id, because, &case.field("containerID"), t.container_id.clone()))
}
