//! A program that a signal of its own making ended: what the exit code says, for the three that mean a broken program.

use whyd_signals::schema::RuledOut;

use crate::case::Case;
use crate::finding::{Depth, Finding, ruled_out};

/// One such signal.
pub(crate) struct OwnSignal {
    /// Cause id.
    pub(crate) cause: &'static str,
    /// 128 and the signal's number.
    pub(crate) exit: i32,
    /// As `signal(7)` has it.
    pub(crate) name: &'static str,
    /// What the program did.
    pub(crate) did: &'static str,
}

impl OwnSignal {
    /// The finding.
    pub(crate) fn judge(&self, case: &Case<'_>) -> Option<Finding> {
        if case.exit()? != self.exit || case.deleting() || case.evicted() {
            return None;
        }
        let because = case.because();
        let summary = format!("{} {} ({}){because}", case.container.unwrap_or_default(), self.did, self.name);
        let exit = format!("128 + {} ({})", self.name, self.exit - 128);
        Some(
            Finding::new(self.cause, Depth::Mechanism, 66, case.pod_root(), summary)
                .with(case.status("exitCode", &exit))
                .with(case.status("reason", "how the runtime names it"))
                .with_all(case.words()),
        )
    }

    /// Why it is not this signal.
    pub(crate) fn contradict(&self, case: &Case<'_>) -> Option<RuledOut> {
        let code = case.exit().filter(|c| *c != self.exit)?;
        Some(ruled_out(self.cause, format!("exit {code} is not {}", self.exit), &case.field("exitCode"), code))
    }
}
