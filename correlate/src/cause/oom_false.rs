//! The runtime says `OOMKilled`, but the program ended because it was told to: its count of kills only ever rises.

use super::Cause;
use crate::case::Case;
use crate::finding::{Depth, Finding, ruled_out};

/// See [`super::ALL`].
pub(super) const CAUSE: Cause = Cause { id: "oom-false", judge, contradict };

/// 128 and SIGTERM: the OOM killer sends SIGKILL.
const EXIT: i32 = 143;

fn judge(case: &Case<'_>) -> Option<Finding> {
    case.terminated().filter(|t| t.reason == "OOMKilled" && t.exit_code == EXIT)?;
    let name = case.container.unwrap_or_default();
    let summary = format!("{name} was told to stop and did; OOMKilled stands for an earlier kill in it");
    Some(
        Finding::new(CAUSE.id, Depth::Mechanism, 68, case.pod_root(), summary)
            .with(case.status("exitCode", "128 + SIGTERM (15), while the OOM killer sends SIGKILL"))
            .with(case.status("reason", "the runtime's count of OOM kills was not zero"))
            .with_all(case.usage().map(|(sample, text)| case.sample(super::WORKING_SET, sample, text))),
    )
}

fn contradict(case: &Case<'_>) -> Option<whyd_signals::schema::RuledOut> {
    let t = case.terminated().filter(|t| t.reason != "OOMKilled")?;
    let because = format!("the runtime names it {}, not OOMKilled", t.reason);
    Some(ruled_out(CAUSE.id, because, &case.field("reason"), t.reason.clone()))
}
