//! SIGKILL from inside the container or by hand: 137 that nothing else explains. Never called OOM.

use super::Cause;
use crate::case::Case;
use crate::finding::{Depth, Finding, ruled_out};

/// See [`super::ALL`].
pub(super) const CAUSE: Cause = Cause { id: "killed-by-signal", judge, contradict };

/// 128 and SIGKILL.
const KILL: i32 = 137;
/// The signals that have a cause of their own: SIGABRT, SIGBUS, SIGSEGV, SIGTERM.
const NAMED: [i32; 4] = [134, 135, 139, 143];

/// Whether an exit code stands for a signal that nothing else speaks of.
fn is_signal(code: i32) -> bool {
    (129..=159).contains(&code) && !NAMED.contains(&code)
}

fn judge(case: &Case<'_>) -> Option<Finding> {
    let t = case.terminated().filter(|t| is_signal(t.exit_code))?;
    let unknown = t.reason == "ContainerStatusUnknown";
    let told = case.told_to_stop().is_some();
    if t.reason == "OOMKilled" || unknown || told || case.deleting() || case.evicted() {
        return None;
    }
    let name = case.container.unwrap_or_default();
    let signal = if t.exit_code == KILL { "SIGKILL".to_owned() } else { format!("signal {}", t.exit_code - 128) };
    let summary = match announced(case) {
        Some(line) => format!("{name} was ended by {signal}, as it said itself: {line}"),
        None => format!("{name} was ended by {signal}, and neither memory, a probe, an eviction nor a deletion did it"),
    };
    let probed = case.spec().is_some_and(|c| c.liveness_probe.is_some() || c.startup_probe.is_some());
    let doubt = (t.exit_code == KILL && probed && !case.events_known()).then_some("events");
    let usage = case.usage().map(|(sample, text)| case.sample(super::WORKING_SET, sample, text));
    Some(
        Finding::new(CAUSE.id, Depth::Mechanism, 60, case.pod_root(), summary)
            .with(case.status("exitCode", &format!("128 + {}", t.exit_code - 128)))
            .with(case.status("reason", "not OOMKilled"))
            .with(usage)
            .with_all(case.words())
            .unless(doubt),
    )
}

/// The line that says most of the end, of those written shortly before it, where that speaks of a kill or an abort.
fn announced<'a>(case: &'a Case<'_>) -> Option<&'a str> {
    let telling = crate::last_words::telling(case.last_lines())?.line.trim();
    speaks_of_kill(telling).then_some(telling)
}

/// Whether a line has a word for ending a program by a signal.
fn speaks_of_kill(line: &str) -> bool {
    let words = line.split(|c: char| !c.is_ascii_alphanumeric()).map(str::to_ascii_lowercase);
    words.into_iter().any(|w| {
        matches!(w.as_str(), "kill" | "kills" | "killed" | "killing" | "sigkill" | "abort" | "aborted" | "aborting")
    })
}

fn contradict(case: &Case<'_>) -> Option<whyd_signals::schema::RuledOut> {
    let t = case.terminated()?;
    let (because, field, value): (String, String, serde_json::Value) = if !is_signal(t.exit_code) {
        let because = match t.exit_code {
            code if NAMED.contains(&code) => format!("signal {} has a cause of its own", code - 128),
            code => format!("exit {code} is no signal"),
        };
        (because, case.field("exitCode"), t.exit_code.into())
    } else if t.reason == "OOMKilled" || t.reason == "ContainerStatusUnknown" {
        (format!("it ended as {}", t.reason), case.field("reason"), t.reason.clone().into())
    } else if case.evicted() {
        ("the kubelet evicted the pod".to_owned(), "status.reason".to_owned(), "Evicted".into())
    } else if case.deleting() {
        let text = "the pod was deleted".to_owned();
        (text, "metadata.deletionTimestamp".to_owned(), case.deletion_asked().map(|at| at.to_string()).into())
    } else {
        let told = case.told_to_stop()?;
        let killing = case.events("Killing").find(|e| e.at == told)?;
        ("the kubelet told it to stop".to_owned(), "events.Killing".to_owned(), killing.event.message.clone().into())
    };
    Some(ruled_out(CAUSE.id, because, &field, value))
}

#[cfg(test)]
mod tests {
    use super::speaks_of_kill;

    #[test]
    fn a_line_speaks_of_a_kill_by_whole_words() {
        for line in ["watchdog: worker is stuck, sending SIGKILL", "Aborting.", "level=fatal msg=\"killing pid 1\""] {
            assert!(speaks_of_kill(line), "{line}");
        }
        for line in ["learning new skills", "task 12 done", "laborted"] {
            assert!(!speaks_of_kill(line), "{line}");
        }
    }
}
