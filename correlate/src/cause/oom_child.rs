//! The OOM killer took a child of the container's process, which ended with a code of its own, or went on.

use super::Cause;
use crate::case::Case;
use crate::finding::{Depth, Finding, ruled_out};

/// Its id.
pub const ID: &str = "oom-child";

/// See [`super::ALL`].
pub(super) const CAUSE: Cause = Cause { id: ID, judge, contradict };

/// The counter of a container's OOM kills; it stays where the main process was killed.
pub const OOM_EVENTS: &str = "container_oom_events_total";

/// SIGKILL is the container's own end, SIGTERM somebody's.
const NOT_ITS_OWN: [i32; 2] = [137, 143];

fn judge(case: &Case<'_>) -> Option<Finding> {
    let t = case.terminated().filter(|t| t.reason == "OOMKilled" && !NOT_ITS_OWN.contains(&t.exit_code))?;
    if case.deleting() {
        return None;
    }
    let limit = case.memory_limit().map_or("its memory limit".to_owned(), |(_, text)| format!("the limit of {text}"));
    let name = case.container.unwrap_or_default();
    let summary = format!("a child process of {name} met {limit} and was killed; {name} ended with {}", t.exit_code);
    let kills = case.last_sample(OOM_EVENTS).filter(|s| s.value > 0.0);
    Some(
        Finding::new(CAUSE.id, Depth::Mechanism, 90, case.pod_root(), summary)
            .with(case.status("reason", "the kernel's OOM killer was at work in it"))
            .with(case.status("exitCode", "the main process was not killed"))
            .with(kills.map(|s| case.sample(OOM_EVENTS, s, format!("{:.0} OOM kills in it", s.value))))
            .with_all(case.usage().map(|(sample, text)| case.sample(super::WORKING_SET, sample, text))),
    )
}

fn contradict(case: &Case<'_>) -> Option<whyd_signals::schema::RuledOut> {
    let t = case.terminated().filter(|t| t.reason != "OOMKilled" || NOT_ITS_OWN.contains(&t.exit_code))?;
    let because = format!("ended as {} with exit {}", t.reason, t.exit_code);
    Some(ruled_out(CAUSE.id, because, &case.field("reason"), t.reason.clone()))
}
