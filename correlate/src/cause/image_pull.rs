//! The image cannot be had.

use super::Cause;
use crate::case::{Case, Ending};
use crate::finding::{Depth, Finding, event, ruled_out};

/// See [`super::ALL`].
pub(super) const CAUSE: Cause = Cause { id: "image-pull", judge, contradict };

/// Waiting reasons that mean it.
pub(crate) const REASONS: [&str; 7] = [
    "ErrImagePull",
    "ImagePullBackOff",
    "ErrImageNeverPull",
    "InvalidImageName",
    "ImageInspectError",
    "RegistryUnavailable",
    "SignatureValidationFailed",
];
/// The kind of failure where nothing is pulled because the pod says so.
const NEVER: &str = "never-pull";
/// The event that names pull secrets which are not there: without them the pull is anonymous.
const NO_PULL_SECRET: &str = "FailedToRetrieveImagePullSecret";

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
    let secret = case.pod_events(NO_PULL_SECRET).max_by_key(|e| e.at);
    // `Unable to retrieve some image pull secrets (NAME, NAME); attempting to pull the image may not succeed.`
    let secrets = secret.filter(|_| matches!(why, "auth" | "not-found"));
    let secrets = secrets.and_then(|e| e.event.message.split(['(', ')']).nth(1));
    let lacking = secrets.map_or(String::new(), |names| format!("; the kubelet has not its pull secret {names}"));
    let name = case.container.unwrap_or_default();
    let node = &case.pod.object.spec.node_name;
    let summary = match why {
        NEVER => format!("the image {image} of {name} is not on node {node}, and its pull policy is Never"),
        _ => format!("the image {image} of {name} cannot be pulled ({why}){lacking}"),
    };
    Some(
        Finding::new(CAUSE.id, Depth::Mechanism, 90, case.workload_root(), summary)
            .with(Some(case.of_pod(Some(case.seen_at), &case.waiting_field("reason"), reason.clone(), "why it waits")))
            .with(failed.map(event))
            .with(secret.map(event))
            .detail(why),
    )
}

/// What kind of failure, from the registry's answer.
fn kind(reason: &str, message: &str) -> &'static str {
    let m = message.to_ascii_lowercase();
    let said = |words: &[&str]| words.iter().any(|w| m.contains(w));
    if reason == "InvalidImageName" {
        "invalid-name"
    } else if reason == "ErrImageNeverPull" {
        NEVER
    } else if reason == "ImageInspectError" {
        "inspect"
    } else if reason == "SignatureValidationFailed" || said(&["because the signature validation failed"]) {
        "signature"
    } else if said(&["no space left on device"]) {
        "disk"
    } else if said(&["unauthorized", "denied", ": 401 ", ": 403 "]) {
        "auth"
    } else if said(&["toomanyrequests", ": 429 "]) {
        "rate-limit"
    } else if said(&["not found", "notfound", ": 404 ", "manifest unknown"]) {
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

#[cfg(test)]
mod tests {
    use super::kind;

    #[test]
    fn the_kind_is_read_from_words_and_not_from_digits_of_a_digest() {
        let check = |message: &str, expected: &str| assert_eq!(kind("ErrImagePull", message), expected, "{message}");
        let digest = "registry.acme.example/web@sha256:40342904";
        check(&format!("failed to do request: Get \"https://{digest}\": dial tcp: i/o timeout"), "network");
        check("unexpected status from HEAD request to https://registry.acme.example/v2/web: 403 Forbidden", "auth");
        check("unexpected status from GET request to https://registry.acme.example/v2/web: 404 Not Found", "not-found");
        check(
            "httpReadSeeker: failed open: unexpected status code https://r.example/v2/web: 429 Too Many Requests - Server message: toomanyrequests",
            "rate-limit",
        );
        check("failed to extract layer sha256:403: write /usr/lib/libc.so: no space left on device", "disk");
    }
}
