//! The container met its memory limit and the kernel killed it.

use super::{Cause, WORKING_SET};
use crate::case::Case;
use crate::finding::{Depth, Finding, ruled_out};

/// See [`super::ALL`].
pub(super) const CAUSE: Cause = Cause { id: "oom-limit", judge, contradict };

const MIB: f64 = 1024.0 * 1024.0;

fn judge(case: &Case<'_>) -> Option<Finding> {
    let t = case.terminated().filter(|t| t.reason == "OOMKilled" && t.exit_code == 137)?;
    if super::oom_node::holds(case) {
        return None;
    }
    let limit = case.memory_limit();
    let usage = case.usage().map(|(sample, text)| case.sample(WORKING_SET, sample, text));
    let climb = climbing(case);
    let limit_text = limit.map_or("its memory limit".to_owned(), |(_, text)| format!("its memory limit of {text}"));
    let name = case.container.unwrap_or_default();
    let summary = format!("{name} met {limit_text} and the kernel killed it{climb}");
    let climbed = case.anomaly(WORKING_SET).map(|a| {
        let sample = whyd_signals::Sample { ts: a.ts, value: a.value };
        case.sample(WORKING_SET, sample, a.text.clone())
    });
    let at_limit =
        limit.map(|(_, text)| case.of_pod(None, &case.spec_field("resources.limits.memory"), text, "the memory limit"));
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
    if t.reason == "OOMKilled" && t.exit_code != 137 {
        let because = format!("exit {} is not the SIGKILL by which the kernel kills", t.exit_code);
        return Some(ruled_out(CAUSE.id, because, &case.field("exitCode"), t.exit_code));
    }
    if t.reason == "OOMKilled" {
        if !super::oom_node::holds(case) {
            return None;
        }
        let limit = case.memory_limit().map(|(_, text)| text.to_owned());
        let because = match (case.usage(), &limit) {
            (Some((_, usage)), _) => format!("its node ran out while it held {usage}"),
            (None, Some(limit)) => format!("its node ran out, and nothing shows that it met its limit of {limit}"),
            (None, None) => "it has no limit of its own".to_owned(),
        };
        let value = limit.map_or(serde_json::Value::Null, Into::into);
        return Some(ruled_out(CAUSE.id, because, &case.spec_field("resources.limits.memory"), value));
    }
    let usage = case.last_sample(WORKING_SET).zip(case.memory_limit());
    let share = usage.map_or(String::new(), |(s, (limit, _))| {
        format!(", working set {:.0} % of its limit when last seen", s.value / limit * 100.0)
    });
    let because = format!("ended as {} with exit {}{share}", t.reason, t.exit_code);
    Some(ruled_out(CAUSE.id, because, &case.field("reason"), t.reason.clone()))
}
