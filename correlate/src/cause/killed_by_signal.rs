//! SIGKILL from inside the container or by hand: 137 that nothing else explains. Never called OOM.

use super::Cause;
use crate::case::Case;
use crate::finding::{Depth, Finding, ruled_out};

/// See [`super::ALL`].
pub(super) const CAUSE: Cause = Cause { id: "killed-by-signal", judge, contradict };

/// 128 and SIGKILL.
const EXIT: i32 = 137;

fn judge(case: &Case<'_>) -> Option<Finding> {
    let t = case.terminated()?;
    let unknown = t.reason == "ContainerStatusUnknown";
    if t.exit_code != EXIT || t.reason == "OOMKilled" || unknown || case.deleting() || case.evicted() {
        return None;
    }
    let name = case.container.unwrap_or_default();
    let summary =
        format!("{name} was ended by SIGKILL, and neither memory, a probe, an eviction nor a deletion did it");
    let probed = case.spec().is_some_and(|c| c.liveness_probe.is_some() || c.startup_probe.is_some());
    let doubt = (probed && !case.events_known()).then_some("events");
    let usage = case.last_sample("container_memory_working_set_bytes").map(|s| {
        let share =
            case.memory_limit().map_or(String::new(), |(l, _)| format!(", {:.0} % of the limit", s.value / l * 100.0));
        case.sample("container_memory_working_set_bytes", s, format!("working set when last seen{share}"))
    });
    let said = case.lines();
    let words = crate::last_words::telling(said).map(|l| case.line(l, "its last words"));
    Some(
        Finding::new(CAUSE.id, Depth::Mechanism, 60, case.pod_root(), summary)
            .with(case.status("exitCode", "128 + SIGKILL (9)"))
            .with(case.status("reason", "not OOMKilled"))
            .with(usage)
            .with(words)
            .unless(doubt),
    )
}

fn contradict(case: &Case<'_>) -> Option<whyd_signals::schema::RuledOut> {
    let code = case.exit().filter(|c| *c != EXIT)?;
    Some(ruled_out(CAUSE.id, format!("exit {code} is not 137"), &case.field("exitCode"), code))
}
