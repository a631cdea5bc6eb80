//! The image cannot be had.

use super::Cause;
use crate::case::{Case, Ending};
use crate::finding::{Depth, Finding, event, ruled_out};

/// See [`super::ALL`].
pub(super) const CAUSE: Cause = Cause { id: "image-pull", judge, contradict };

/// Waiting reasons that mean it.
const REASONS: [&str; 4] = ["ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName"];

fn judge(case: &Case<'_>) -> Option<Finding> {
    let Ending::NeverStarted { reason, message } = case.ending else { return None };
    if !REASONS.contains(&reason.as_str()) {
        return None;
    }
    let image = case.spec().map(|c| c.image.clone()).unwrap_or_default();
    // The failed pull says more than the back-off that follows it.
    let failed = ["Failed", "ErrImageNeverPull", "InspectFailed"]
        .into_iter()
        .flat_map(|r| case.pod_events(r))
        .max_by_key(|e| (e.event.message.contains(&image), e.at));
    let words = failed.map_or(message.as_str(), |e| e.event.message.as_str());
    let why = kind(reason, words);
    let summary = format!("the image {image} of {} cannot be pulled ({why})", case.container.unwrap_or_default());
    Some(
        Finding::new(CAUSE.id, Depth::Mechanism, 90, case.workload_root(), summary)
            .with(Some(case.of_pod(Some(case.seen_at), &case.waiting_field("reason"), reason.clone(), "why it waits")))
            .with(failed.map(event))
            .detail(why),
    )
}

/// What kind of failure, from the registry's answer.
fn kind(reason: &str, message: &str) -> &'static str {
    let m = message.to_ascii_lowercase();
    if reason == "InvalidImageName" {
        "invalid-name"
    } else if reason == "ErrImageNeverPull" {
        "never-pull"
    } else if m.contains("unauthorized") || m.contains("denied") || m.contains("403") {
        "auth"
    } else if m.contains("toomanyrequests") || m.contains("429") {
        "rate-limit"
    } else if m.contains("not found") || m.contains("notfound") || m.contains("404") || m.contains("manifest unknown") {
        "not-found"
    } else {
        "network"
    }
}

fn contradict(case: &Case<'_>) -> Option<whyd_signals::schema::RuledOut> {
    let t = case.terminated().filter(|t| t.reason != "StartError")?;
    let because = "its image was there: the container ran".to_owned();
    Some(ruled_out(CAUSE.id, because, &case.field("containerID"), t.container_id.clone()))
}
