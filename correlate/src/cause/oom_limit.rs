//! The container met its memory limit and the kernel killed it.

use super::Cause;
use crate::case::Case;
use crate::finding::{Depth, Finding, ruled_out};

/// See [`super::ALL`].
pub(super) const CAUSE: Cause = Cause { id: "oom-limit", judge, contradict };

const WORKING_SET: &str = "container_memory_working_set_bytes";
const MIB: f64 = 1024.0 * 1024.0;

fn judge(case: &Case<'_>) -> Option<Finding> {
    let t = case.terminated().filter(|t| t.reason == "OOMKilled" && t.exit_code == 137)?;
    let limit = case.memory_limit();
    let usage = case.last_sample(WORKING_SET).map(|s| {
        let age = case.finished().seconds_since(s.ts).max(0.0);
        let of = limit.map_or(String::new(), |(bytes, text)| {
            format!(", {:.0} % of the limit of {text}", s.value / bytes * 100.0)
        });
        case.sample(WORKING_SET, s, format!("{:.0} MiB{of}, {age:.0} s before the end", s.value / MIB))
    });
    let climb = climbing(case);
    let limit_text = limit.map_or("its memory limit".to_owned(), |(_, text)| format!("its memory limit of {text}"));
    let name = case.container.unwrap_or_default();
    let summary = format!("{name} met {limit_text} and the kernel killed it{climb}");
    let climbed = case.anomaly(WORKING_SET).map(|a| {
        let sample = whyd_signals::Sample { ts: a.ts, value: a.value };
        case.sample(WORKING_SET, sample, a.text.clone())
    });
    let at_limit = limit.map(|(_, text)| {
        let field = format!("spec.containers[{name}].resources.limits.memory");
        crate::finding::kube(None, format!("Pod/{}", case.pod_name()), &field, text, "the memory limit")
    });
    Some(
        Finding::new(CAUSE.id, Depth::Mechanism, 92, case.pod_root(), summary)
            .with(case.status("reason", "the kernel's OOM killer ended it"))
            .with(case.status("exitCode", if t.exit_code == 137 { "SIGKILL" } else { "exit code" }))
            .with(at_limit)
            .with(climbed)
            .with(usage),
    )
}

/// How fast the working set grew over the instance's life, in words; empty where it did not.
fn climbing(case: &Case<'_>) -> String {
    let (from, to) = (case.started(), case.finished());
    let ids = case.scoped.series_of(WORKING_SET, &case.space.name, case.pod_name(), case.container);
    let mut samples: Vec<_> = ids.into_iter().flat_map(|id| case.scoped.slice(id, from, to)).collect();
    samples.sort_by_key(|s| s.ts);
    let (Some(first), Some(last)) = (samples.first(), samples.last()) else { return String::new() };
    let seconds = last.ts.seconds_since(first.ts);
    let growth = last.value - first.value;
    if seconds < 10.0 || growth < MIB {
        return String::new();
    }
    format!(", after growing {:.1} MiB/s over {seconds:.0} s", growth / MIB / seconds)
}

fn contradict(case: &Case<'_>) -> Option<whyd_signals::schema::RuledOut> {
    let t = case.terminated()?;
    if t.reason == "OOMKilled" {
        return None;
    }
    let usage = case.last_sample(WORKING_SET).zip(case.memory_limit());
    let share = usage.map_or(String::new(), |(s, (limit, _))| {
        format!(", working set {:.0} % of its limit when last seen", s.value / limit * 100.0)
    });
    let because = format!("ended as {} with exit {}{share}", t.reason, t.exit_code);
    Some(ruled_out(CAUSE.id, because, &case.field("reason"), t.reason.clone()))
}
