//! The program was ended by SIGSEGV.

use super::Cause;
use crate::case::Case;
use crate::finding::{Depth, Finding, ruled_out};

/// See [`super::ALL`].
pub(super) const CAUSE: Cause = Cause { id: "segfault", judge, contradict };

/// 128 and SIGSEGV.
const EXIT: i32 = 139;

fn judge(case: &Case<'_>) -> Option<Finding> {
    if case.exit()? != EXIT || case.deleting() {
        return None;
    }
    let summary = format!("{} made an invalid memory access (SIGSEGV)", case.container.unwrap_or_default());
    let said = case.lines();
    let words = crate::last_words::telling(said).map(|l| case.line(l, "its last words"));
    Some(
        Finding::new(CAUSE.id, Depth::Mechanism, 66, case.pod_root(), summary)
            .with(case.status("exitCode", "128 + SIGSEGV (11)"))
            .with(case.status("reason", "how the runtime names it"))
            .with(words),
    )
}

fn contradict(case: &Case<'_>) -> Option<whyd_signals::schema::RuledOut> {
    let code = case.exit().filter(|c| *c != EXIT)?;
    Some(ruled_out(CAUSE.id, format!("exit {code} is not 139"), &case.field("exitCode"), code))
}
