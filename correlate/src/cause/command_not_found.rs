//! The container's command names nothing that can be run.

use super::Cause;
use crate::case::{Case, Ending};
use crate::finding::{Depth, Finding, kube, ruled_out};

/// See [`super::ALL`].
pub(super) const CAUSE: Cause = Cause { id: "command-not-found", judge, contradict };

const SAYINGS: [&str; 3] = ["executable file not found", "no such file or directory", "command not found"];

fn says_so(message: &str) -> bool {
    SAYINGS.iter().any(|s| message.contains(s))
}

fn judge(case: &Case<'_>) -> Option<Finding> {
    let (code, message) = match case.ending {
        Ending::Ended { terminated: t, .. } => (Some(t.exit_code), t.message.as_str()),
        Ending::NeverStarted { reason, message }
            if reason == "RunContainerError" || reason == "CreateContainerError" =>
        {
            (None, message.as_str())
        }
        _ => return None,
    };
    let start_error = case.terminated().is_none_or(|t| t.reason == "StartError");
    if case.deleting() || !(code == Some(127) || start_error && says_so(message)) {
        return None;
    }
    let command = case.spec().and_then(|c| c.command.first().cloned());
    let shown = command.clone().unwrap_or_else(|| "the image's entrypoint".into());
    let summary = format!("the command {shown} of {} is not in the image", case.container.unwrap_or_default());
    let field = format!("spec.containers[{}].command[0]", case.container.unwrap_or_default());
    let item = command.map(|c| kube(None, format!("Pod/{}", case.pod_name()), &field, c, "what was to be run"));
    let failed = case.pod_events("Failed").find(|e| says_so(&e.event.message)).map(crate::finding::event);
    Some(
        Finding::new(CAUSE.id, Depth::Mechanism, 82, case.workload_root(), summary)
            .with(case.status("reason", "the runtime could not start it"))
            .with(case.status("exitCode", "what the runtime reports for it"))
            .with(item)
            .with(failed),
    )
}

fn contradict(case: &Case<'_>) -> Option<whyd_signals::schema::RuledOut> {
    let t = case.terminated().filter(|t| t.exit_code != 127 && t.reason != "StartError")?;
    let because = format!("it started and ended with exit {}", t.exit_code);
    Some(ruled_out(CAUSE.id, because, &case.field("exitCode"), t.exit_code))
}
