//! The container's command names nothing that can be run, or there is none, or the directory to run it in is not there.

use super::Cause;
use crate::case::Case;
use crate::finding::{Depth, Finding, event};
use crate::start_error::{About, StartError, about};
use crate::unstartable::Unstartable;

/// See [`super::ALL`].
pub(super) const CAUSE: Cause = Cause {
    id: "command-not-found",
    judge: |c: &Case<'_>| START.judge(c).or_else(|| lacking(c)),
    contradict: |c| START.contradict(c),
};

const START: Unstartable = Unstartable {
    cause: "command-not-found",
    exit: Some(127),
    sayings: &["executable file not found", "no such file or directory", "command not found", ": not found"],
    wrong: "is not in the image",
};

/// Neither image nor pod names a command, or its working directory is not there.
fn lacking(case: &Case<'_>) -> Option<Finding> {
    let meant = |about: About<'_>| matches!(about, About::NoCommand | About::WorkingDir(_));
    let error = StartError::of(case, meant)?;
    let name = case.container.unwrap_or_default();
    let summary = match about(error.said)? {
        // What is there and may not be entered is a matter of rights.
        About::WorkingDir(_) if super::security_context::is_denied(error.said) => return None,
        About::WorkingDir(path) => format!("the working directory {path} of {name} cannot be entered: {}", error.said),
        _ => format!("{name} has no command: neither its image nor its pod names one"),
    };
    Some(
        Finding::new(CAUSE.id, Depth::Mechanism, 85, case.workload_root(), summary)
            .with(super::waits(case))
            .with(case.status("message", "the runtime's words").filter(|e| e.value != ""))
            .with(case.status("exitCode", "what is reported for it"))
            .with(error.event.map(event)),
    )
}
