//! What the pod may do is not what it wants to do: the kubelet, the kernel or the namespace's policy refuses it.

use whyd_signals::schema::RuledOut;

use super::Cause;
use crate::case::{Case, Ending};
use crate::finding::{Depth, Finding, event, ruled_out};
use crate::refused::Refused;
use crate::rejection::{Rejection, Why};
use crate::start_error::{About, StartError, about};

/// See [`super::ALL`].
pub(super) const CAUSE: Cause = Cause { id: "security-context", judge, contradict };

/// The kubelet's words where it checks a container before it is made, in lower case.
const SAYINGS: [&str; 7] = ["runasnonroot", "run as root", "runasuser", "non-root", "apparmor", "seccomp", "procmount"];

fn says_so(message: &str) -> bool {
    let lower = message.to_ascii_lowercase();
    SAYINGS.iter().any(|s| lower.contains(s))
}

/// Whether an error says that somebody has not the right.
pub(super) fn is_denied(message: &str) -> bool {
    message.contains("permission denied")
}

fn judge(case: &Case<'_>) -> Option<Finding> {
    forbidden(case).or_else(|| not_let_in(case)).or_else(|| rejected(case))
}

/// The kubelet does not make the container.
fn forbidden(case: &Case<'_>) -> Option<Finding> {
    let Ending::NeverStarted { reason, message } = case.ending else { return None };
    if !matches!(reason.as_str(), "CreateContainerConfigError" | "CreateContainerError" | "RunContainerError") {
        return None;
    }
    let failed = case.pod_events("Failed").filter(|e| says_so(&e.event.message)).max_by_key(|e| e.at);
    let said = if says_so(message) { message.as_str() } else { failed?.event.message.as_str() };
    let summary = format!("{} is not allowed to start: {said}", case.container.unwrap_or_default());
    let waits = case.of_pod(Some(case.seen_at), &case.waiting_field("message"), message.clone(), "why it waits");
    Some(
        Finding::new(CAUSE.id, Depth::Mechanism, 90, case.workload_root(), summary)
            .with(Some(waits).filter(|_| !message.is_empty()))
            .with(failed.map(event)),
    )
}

/// The user as whom the container runs must not enter its working directory.
fn not_let_in(case: &Case<'_>) -> Option<Finding> {
    let error = StartError::of(case, |about| matches!(about, About::WorkingDir(_)))?;
    let Some(About::WorkingDir(path)) = about(error.said).filter(|_| is_denied(error.said)) else { return None };
    let name = case.container.unwrap_or_default();
    let summary = format!("{name} cannot start, the user that it runs as must not enter its working directory {path}");
    Some(
        Finding::new(CAUSE.id, Depth::Mechanism, 90, case.workload_root(), summary)
            .with(super::waits(case))
            .with(case.status("message", "the runtime's words").filter(|e| e.value != ""))
            .with(case.status("exitCode", "what is reported for it"))
            .with(error.event.map(event)),
    )
}

/// The kubelet does not let the pod in: AppArmor, sysctls, supplemental groups.
fn rejected(case: &Case<'_>) -> Option<Finding> {
    let rejection = Rejection::of(case).filter(|r| r.why == Why::Security)?;
    Some(rejection.finding(case, CAUSE.id, case.workload_root()))
}

/// Pod Security of the namespace refused the pod before it was made.
pub(super) fn refusal(refused: &Refused<'_>) -> Option<Finding> {
    let (_, rest) = refused.message().split_once("violates PodSecurity")?;
    let summary = format!("{} gets no pod, it violates PodSecurity{}", refused.workload, rest.trim_end());
    Some(Finding::new(CAUSE.id, Depth::Mechanism, 94, refused.workload_root(), summary).with(Some(refused.said())))
}

fn contradict(case: &Case<'_>) -> Option<RuledOut> {
    let t = case.terminated().filter(|t| t.reason != "StartError")?;
    let because = "it was allowed to start: the container ran".to_owned();
    Some(ruled_out(CAUSE.id, because, &case.field("containerID"), t.container_id.clone()))
}
