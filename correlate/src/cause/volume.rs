//! A volume of the pod cannot be attached, mounted or brought into a container.

use super::Cause;
use super::config_missing::{missing, unread};
use crate::case::{Case, Ending};
use crate::finding::{Depth, Finding, event, ruled_out};
use crate::rejection::{Rejection, Why};
use crate::start_error::{About, StartError, about};

/// See [`super::ALL`].
pub(super) const CAUSE: Cause = Cause { id: "volume", judge, contradict };

/// The events that say so.
pub(super) const REASONS: [&str; 3] = ["FailedMount", "FailedAttachVolume", "FailedMapVolume"];

/// `failed to prepare subPath for volumeMount "NAME" of container "NAME"`, or `to create subPath directory for` it.
const SUB_PATH: [&str; 2] = ["failed to prepare subPath for volumeMount", "failed to create subPath directory for"];

fn judge(case: &Case<'_>) -> Option<Finding> {
    mounted(case).or_else(|| sub_path(case)).or_else(|| brought_in(case)).or_else(|| too_many(case))
}

/// What the kubelet attaches and mounts for the pod before it makes a container.
fn mounted(case: &Case<'_>) -> Option<Finding> {
    let Ending::NeverStarted { reason, message } = case.ending else { return None };
    if !REASONS.contains(&reason.as_str()) {
        return None;
    }
    let told = REASONS.iter().flat_map(|r| case.pod_events(r)).filter(|e| !is_summary(&e.event.message));
    let told =
        told.max_by_key(|e| e.at).or_else(|| REASONS.iter().flat_map(|r| case.pod_events(r)).max_by_key(|e| e.at));
    let said = told.map_or(message.as_str(), |e| e.event.message.as_str());
    // A volume made of a ConfigMap or Secret that is not there, or lacks a key, is that object's fault.
    if missing(said).is_some() || unread(said) || said.contains("references non-existent") {
        return None;
    }
    let name = named(said).or_else(|| unmounted(said).next()).unwrap_or_default();
    Some(finding(case, case.pod_name(), name, said).with(told.map(event)))
}

/// A part of a volume, which the kubelet prepares for the one container.
fn sub_path(case: &Case<'_>) -> Option<Finding> {
    let Ending::NeverStarted { reason, message } = case.ending else { return None };
    if reason != "CreateContainerConfigError" || !SUB_PATH.iter().any(|s| message.contains(s)) {
        return None;
    }
    let name = message.split('"').nth(1).unwrap_or_default();
    let told = case.pod_events("Failed").filter(|e| e.event.message.contains(message.as_str())).max_by_key(|e| e.at);
    Some(finding(case, case.container.unwrap_or_default(), name, message).with(told.map(event)))
}

/// The runtime did not get what was mounted into the container's file system.
fn brought_in(case: &Case<'_>) -> Option<Finding> {
    let error = StartError::of(case, |about| matches!(about, About::Mount(_)))?;
    let Some(About::Mount(path)) = about(error.said) else { return None };
    let mount = case.spec().and_then(|c| c.volume_mounts.iter().find(|m| m.mount_path == path));
    let name = mount.map_or("", |m| m.name.as_str());
    Some(
        finding(case, case.container.unwrap_or_default(), name, error.said)
            .with(case.status("message", "the runtime's words").filter(|e| e.value != ""))
            .with(case.status("exitCode", "what is reported for it"))
            .with(error.event.map(event)),
    )
}

/// The node can attach no more of them and refuses the pod.
fn too_many(case: &Case<'_>) -> Option<Finding> {
    let rejection = Rejection::of(case).filter(|r| r.why == Why::Volumes)?;
    Some(rejection.finding(case, CAUSE.id, case.node_root().unwrap_or_else(|| case.workload_root())))
}

fn finding(case: &Case<'_>, who: &str, name: &str, said: &str) -> Finding {
    let claim = processed(said).or_else(|| claim(case, name));
    let root = match claim {
        Some(claim) => case.root("PersistentVolumeClaim", claim, ""),
        None => case.workload_root(),
    };
    let mut of = if name.is_empty() { "a volume".to_owned() } else { format!("volume {name}") };
    of.extend(claim.map(|c| format!(" of claim {c}")));
    let summary = format!("{who} cannot start, {of} cannot be mounted: {said}");
    let finding = Finding::new(CAUSE.id, Depth::Mechanism, 90, root, summary).with(super::waits(case));
    if name.is_empty() { finding } else { finding.detail(name) }
}

/// A list of what the kubelet still waits for, which says less than the failure itself: `Unable to attach or mount
/// volumes: unmounted volumes=[data], ...: timed out waiting for the condition`. Newer kubelets write such a list only with
/// a reason of its own.
fn is_summary(message: &str) -> bool {
    let waited = message.ends_with("timed out waiting for the condition") || message.ends_with("deadline exceeded");
    message.starts_with("Unable to attach or mount volumes") && waited
}

/// `error processing PVC NAMESPACE/NAME: PVC is not bound`.
fn processed(message: &str) -> Option<&str> {
    message.split_once("error processing PVC ")?.1.split(':').next()?.split('/').nth(1)
}

/// `unmounted volumes=[data uploads], unattached volumes=[], ...`.
fn unmounted(message: &str) -> impl Iterator<Item = &str> {
    let list = message.split_once("unmounted volumes=[").and_then(|(_, rest)| rest.split(']').next());
    list.into_iter().flat_map(|l| l.split([' ', ','])).filter(|name| !name.is_empty())
}

/// The claim behind a volume: by the volume's name in the pod, by what the kubelet says is not mounted, or the only one.
fn claim<'a>(case: &'a Case<'_>, name: &str) -> Option<&'a str> {
    let volumes = &case.pod.object.spec.volumes;
    let claims: Vec<(&str, &str)> = volumes
        .iter()
        .filter_map(|v| Some((v.name.as_str(), v.persistent_volume_claim.as_ref()?.claim_name.as_str())))
        .collect();
    let told = REASONS.iter().flat_map(|r| case.pod_events(r));
    let waited: Vec<&str> = told.flat_map(|e| unmounted(&e.event.message)).collect();
    let by_name = claims.iter().find(|(volume, _)| *volume == name || waited.contains(volume));
    let only = claims.first().filter(|_| claims.len() == 1 && volumes.iter().all(|v| v.name != name));
    by_name.or(only).map(|(_, claim)| *claim)
}

/// `MountVolume.SetUp failed for volume "NAME" : ...`, `AttachVolume.Attach failed for volume "NAME"`.
pub(super) fn named(message: &str) -> Option<&str> {
    message.split_once("volume \"")?.1.split('"').next()
}

fn contradict(case: &Case<'_>) -> Option<whyd_signals::schema::RuledOut> {
    let t = case.terminated().filter(|t| t.reason != "StartError")?;
    let because = "its volumes were there: the container was created".to_owned();
    Some(ruled_out(CAUSE.id, because, &case.field("containerID"), t.container_id.clone()))
}
