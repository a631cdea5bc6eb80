//! The program ended itself with an error.

use super::{Cause, is_own};
use crate::case::Case;
use crate::finding::{Basis, Depth, Finding, ruled_out};
use crate::last_words::{NEAR, tells_of_trouble};

/// See [`super::ALL`].
pub(super) const CAUSE: Cause = Cause { id: "app-error", judge, contradict };

fn judge(case: &Case<'_>) -> Option<Finding> {
    let t =
        case.terminated().filter(|t| is_own(t.exit_code) && !matches!(t.reason.as_str(), "OOMKilled" | "Unknown"))?;
    if case.deleting() || case.evicted() {
        return None;
    }
    let reason = case.reason();
    let name = case.container.unwrap_or_default();
    let summary = format!("{name} ended itself with exit {}{}", t.exit_code, case.because());
    // A burst of errors is told beside the line that shows it.
    let mut words = case.words();
    if let (Some(first), Some(burst)) = (words.first_mut(), case.anomaly("log_errors")) {
        first.text = format!("{}; {}", first.text, burst.text);
    }
    // Without its last words, a failed dependency or a bad configuration cannot be told from an error of its own;
    // a probe's kill ends in an own exit code too, and only an event tells.
    let probed = case.spec().is_some_and(|c| c.liveness_probe.is_some() || c.startup_probe.is_some());
    let doubt = match (case.logs_known(), case.events_known()) {
        // Its termination message may hold them all the same.
        (false, _) if reason.is_none_or(|_| case.unheard().is_some()) => Some("logs"),
        (_, false) if probed && reason.is_none_or(|l| crate::last_words::weight(&l.line) == 0) => Some("events"),
        _ => None,
    };
    Some(
        Finding::new(CAUSE.id, Depth::Mechanism, 50, case.pod_root(), summary)
            // That nothing lies behind it is only as sure as that it would have said so: what merely stands last may be anything.
            .basis(if reason.is_some_and(|l| tells_of_trouble(l) && l.ts.plus(NEAR) >= case.finished()) {
                Basis::Proven
            } else {
                Basis::Inferred
            })
            .with(case.status("exitCode", "the exit code it chose"))
            .with(case.status("reason", "how the runtime names it"))
            .with_all(words)
            .unless(doubt),
    )
}

fn contradict(case: &Case<'_>) -> Option<whyd_signals::schema::RuledOut> {
    let code = case.exit().filter(|c| !is_own(*c))?;
    let because = match code {
        0 => "exit 0 is no error".to_owned(),
        129.. => format!("exit {code} stands for signal {} and is no code that it chose", code - 128),
        _ => format!("exit {code} is the runtime's or a shell's and no code that it chose"),
    };
    Some(ruled_out(CAUSE.id, because, &case.field("exitCode"), code))
}
