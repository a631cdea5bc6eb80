//! A volume of the pod cannot be mounted or attached, so its containers are never made.

use super::Cause;
use super::config_missing::missing;
use crate::case::{Case, Ending};
use crate::finding::{Depth, Finding, event, ruled_out};

/// See [`super::ALL`].
pub(super) const CAUSE: Cause = Cause { id: "volume", judge, contradict };

/// The events that say so.
pub(super) const REASONS: [&str; 3] = ["FailedMount", "FailedAttachVolume", "FailedMapVolume"];

fn judge(case: &Case<'_>) -> Option<Finding> {
    let Ending::NeverStarted { reason, message } = case.ending else { return None };
    if !REASONS.contains(&reason.as_str()) {
        return None;
    }
    let told = REASONS.iter().flat_map(|r| case.pod_events(r)).filter(|e| !is_summary(&e.event.message));
    let told =
        told.max_by_key(|e| e.at).or_else(|| REASONS.iter().flat_map(|r| case.pod_events(r)).max_by_key(|e| e.at));
    let said = told.map_or(message.as_str(), |e| e.event.message.as_str());
    // A volume made of a ConfigMap or Secret that is not there, or lacks a key, is that object's fault.
    if missing(said).is_some() || said.contains("references non-existent") {
        return None;
    }
    let name = named(said).unwrap_or_default();
    let claim = claim(case, name);
    let root = match claim {
        Some(claim) => case.root("PersistentVolumeClaim", claim, ""),
        None => case.workload_root(),
    };
    let mut of = if name.is_empty() { "a volume".to_owned() } else { format!("volume {name}") };
    of.extend(claim.map(|c| format!(" of claim {c}")));
    let summary = format!("{} cannot start, {of} cannot be mounted: {said}", case.pod_name());
    let finding =
        Finding::new(CAUSE.id, Depth::Mechanism, 90, root, summary).with(told.map(event)).with(super::waits(case));
    Some(if name.is_empty() { finding } else { finding.detail(name) })
}

/// The kubelet's list of what it still waits for says less than the failure itself.
fn is_summary(message: &str) -> bool {
    message.starts_with("Unable to attach or mount volumes")
}

/// The claim behind a volume: by the volume's name in the pod, by what the kubelet says is not mounted, or the only one.
fn claim<'a>(case: &'a Case<'_>, name: &str) -> Option<&'a str> {
    let volumes = &case.pod.object.spec.volumes;
    let claims: Vec<(&str, &str)> = volumes
        .iter()
        .filter_map(|v| Some((v.name.as_str(), v.persistent_volume_claim.as_ref()?.claim_name.as_str())))
        .collect();
    let told = REASONS.iter().flat_map(|r| case.pod_events(r));
    let unmounted: Vec<&str> = told
        .filter_map(|e| e.event.message.split_once("unmounted volumes=[")?.1.split(']').next())
        .flat_map(|list| list.split([' ', ',']))
        .collect();
    let by_name = claims.iter().find(|(volume, _)| *volume == name || unmounted.contains(volume));
    let only = claims.first().filter(|_| claims.len() == 1 && volumes.iter().all(|v| v.name != name));
    by_name.or(only).map(|(_, claim)| *claim)
}

/// `MountVolume.SetUp failed for volume "NAME" : ...`, `AttachVolume.Attach failed for volume "NAME"`.
pub(super) fn named(message: &str) -> Option<&str> {
    message.split_once("volume \"")?.1.split('"').next()
}

fn contradict(case: &Case<'_>) -> Option<whyd_signals::schema::RuledOut> {
    let t = case.terminated()?;
    let because = "its volumes were there: the container was created".to_owned();
    Some(ruled_out(CAUSE.id, because, &case.field("containerID"), t.container_id.clone()))
}
