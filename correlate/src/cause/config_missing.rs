//! A ConfigMap or Secret that the container needs is not there, or its kubelet has not read it.

use whyd_signals::objects::{Projected, ProjectedSource};

use super::Cause;
use crate::case::{Case, Ending};
use crate::finding::{Depth, Finding, event, kube, ruled_out};

/// See [`super::ALL`].
pub(super) const CAUSE: Cause = Cause { id: "config-missing", judge, contradict };

/// How objects are named, by the kubelet's caches and by the API server.
const NAMES: [(&str, &str); 4] =
    [("ConfigMap", "configmap \""), ("ConfigMap", "configmaps \""), ("Secret", "secret \""), ("Secret", "secrets \"")];

/// Kind and name of the object that the kubelet misses, as in `configmap "x" not found`, which may end the failure of a
/// volume of another name, or `couldn't find key k in ConfigMap ns/x`.
pub(super) fn missing(message: &str) -> Option<(&'static str, &str)> {
    let lower = message.to_ascii_lowercase();
    if let Some(key) = message.find("find key ") {
        let kind = if lower.contains("configmap") { "ConfigMap" } else { "Secret" };
        let name = message[key..].split_whitespace().last()?;
        return Some((kind, name.rsplit('/').next()?));
    }
    NAMES.into_iter().find_map(|(kind, word)| {
        let from = lower.rfind(word)? + word.len();
        let (name, rest) = message[from..].split_once('"')?;
        rest.contains("not found").then(|| (kind, name.rsplit('/').next().unwrap_or(name)))
    })
}

/// The same where only the volume is named: `references non-existent config key: k`.
fn missing_key<'a>(case: &'a Case<'_>, message: &str) -> Option<(&'static str, &'a str)> {
    message.find("references non-existent")?;
    let volume = super::volume::named(message)?;
    let volume = case.pod.object.spec.volumes.iter().find(|v| v.name == volume)?;
    let map = volume.config_map.as_ref().map(|m| ("ConfigMap", m.name.as_str()));
    let secret = volume.secret.as_ref().map(|s| ("Secret", s.secret_name.as_str()));
    map.or(secret).or_else(|| projected_key(volume.projected.as_ref()?, message))
}

/// The source of a projected volume that is asked for the key, `references non-existent config key: k` or
/// `... secret key: k`.
fn projected_key<'a>(volume: &'a ProjectedSource, message: &str) -> Option<(&'static str, &'a str)> {
    let (_, key) = message.split_once(" key: ")?;
    let key = key.split([' ', ',', ']']).next()?;
    let of_secret = message.contains("non-existent secret key");
    let wants = |p: &&Projected| p.items.iter().any(|i| i.key == key);
    let secrets = volume.sources.iter().filter_map(|s| s.secret.as_ref()).map(|p| ("Secret", p));
    let maps = volume.sources.iter().filter_map(|s| s.config_map.as_ref()).map(|p| ("ConfigMap", p));
    let (kind, found) = secrets.filter(|_| of_secret).chain(maps.filter(|_| !of_secret)).find(|(_, p)| wants(p))?;
    Some((kind, found.name.as_str()))
}

/// Whether the object may well be there and the kubelet has not got it: `object "ns"/"x" not registered`, `failed to sync
/// configmap cache: timed out waiting for the condition`.
pub(super) fn unread(message: &str) -> bool {
    let unsynced =
        message.contains("failed to sync configmap cache") || message.contains("failed to sync secret cache");
    unsynced || message.contains("object \"") && message.contains(" not registered")
}

fn judge(case: &Case<'_>) -> Option<Finding> {
    lacking(case).or_else(|| not_read(case))
}

/// The kubelet's copy is at fault, so its node is the root.
fn not_read(case: &Case<'_>) -> Option<Finding> {
    let Ending::NeverStarted { reason, message } = case.ending else { return None };
    let mount = super::volume::REASONS.contains(&reason.as_str());
    if reason != "CreateContainerConfigError" && !mount || !unread(message) {
        return None;
    }
    let told = case.pod_events(if mount { reason } else { "Failed" }).filter(|e| unread(&e.event.message));
    let root = case.node_root().unwrap_or_else(|| case.workload_root());
    let whose = case.container.unwrap_or(case.pod_name());
    let summary = format!("{whose} waits for configuration that the kubelet of {root} has not read: {message}");
    let finding = Finding::new(CAUSE.id, Depth::Mechanism, 91, root, summary).with(super::waits(case));
    Some(finding.with(told.max_by_key(|e| e.at).map(event)).detail("not-read"))
}

/// The object is not there, or lacks a key.
fn lacking(case: &Case<'_>) -> Option<Finding> {
    let Ending::NeverStarted { reason, message } = case.ending else { return None };
    let mount = super::volume::REASONS.contains(&reason.as_str());
    if reason != "CreateContainerConfigError" && !mount {
        return None;
    }
    let reasons: &[&str] = if mount { &super::volume::REASONS } else { &["Failed"] };
    let of = |message| missing(message).or_else(|| missing_key(case, message));
    let told = reasons.iter().flat_map(|r| case.pod_events(r)).filter(|e| of(&e.event.message).is_some());
    let failed = told.max_by_key(|e| e.at);
    let said = failed.map_or(message.as_str(), |e| e.event.message.as_str());
    let (kind, name) = of(message).or_else(|| of(said))?;
    let known = case.space.config_maps_called(name).filter(|_| kind == "ConfigMap");
    let known = known.max_by_key(|c| (c.deleted_at.is_none(), c.object.metadata.creation_timestamp));
    let gone = known.and_then(|c| c.deleted_at);
    let uid = known.map_or("", |c| c.object.metadata.uid.as_str());
    let since = gone.map_or(String::new(), |at| format!("; it was deleted at {}", at.whole()));
    let whose = case.container.unwrap_or(case.pod_name());
    let lacks = if said.contains("find key") || said.contains("non-existent") {
        "which lacks a key of it"
    } else {
        "which does not exist"
    };
    let summary = format!("{whose} needs {kind} {name}, {lacks}{since}");
    let deleted = known.filter(|c| c.deleted_at.is_some()).map(|c| {
        let version = c.object.metadata.resource_version.clone();
        kube(gone, format!("{kind}/{name}"), "metadata.resourceVersion", version, "its last version, deleted")
    });
    let waits = case
        .container
        .map(|_| case.of_pod(Some(case.seen_at), &case.waiting_field("message"), message.clone(), "why it waits"));
    Some(
        Finding::new(CAUSE.id, Depth::Mechanism, 91, case.root(kind, name, uid), summary)
            .with(waits.filter(|_| !mount && !message.is_empty()).or_else(|| super::waits(case)))
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
