//! The process met a limit of its own, heap or address space, not the container's.

use super::{Cause, WORKING_SET};
use crate::case::Case;
use crate::finding::{Basis, Depth, Finding, ruled_out};

/// See [`super::ALL`].
pub(super) const CAUSE: Cause = Cause { id: "heap-exhausted", judge, contradict };

/// How runtimes say that an allocation failed, in lower case.
const SAYINGS: [&str; 16] = [
    "java.lang.outofmemoryerror",
    "outofmemoryerror",
    "outofmemoryexception",
    "memoryerror",
    "heap out of memory",
    "reached heap limit",
    "std::bad_alloc",
    "bad_alloc",
    "allowed memory size of",
    "memory allocation of",
    "cannot allocate memory",
    "failed to allocate memory",
    "nomemoryerror",
    "runtime: out of memory",
    "out of memory (needed",
    "heap space exhausted",
];

fn says_so(line: &str) -> bool {
    let lower = line.to_ascii_lowercase();
    SAYINGS.iter().any(|s| lower.contains(s))
}

fn judge(case: &Case<'_>) -> Option<Finding> {
    let t = case.terminated().filter(|t| !matches!(t.exit_code, 0 | 137 | 143) && t.reason != "OOMKilled")?;
    if case.deleting() || case.evicted() {
        return None;
    }
    let line = case.last_lines().iter().rev().find(|l| says_so(&l.line))?;
    let name = case.container.unwrap_or_default();
    let summary = format!("{name} ran out of its own heap and ended with exit {}: {}", t.exit_code, line.line.trim());
    Some(
        Finding::new(CAUSE.id, Depth::Mechanism, 70, case.pod_root(), summary)
            .basis(Basis::Said)
            .with(Some(case.line(line, "the allocation that failed")))
            .with(case.status("exitCode", "not the OOM killer's 137"))
            .with(case.status("reason", "not OOMKilled"))
            .with_all(case.usage().map(|(sample, text)| case.sample(WORKING_SET, sample, text))),
    )
}

fn contradict(case: &Case<'_>) -> Option<whyd_signals::schema::RuledOut> {
    let t = case.terminated()?;
    if t.reason == "OOMKilled" {
        let because = "the kernel killed it, not a limit of its own".to_owned();
        return Some(ruled_out(CAUSE.id, because, &case.field("reason"), t.reason.clone()));
    }
    let last = case.lines().last().filter(|_| !case.lines().iter().any(|l| says_so(&l.line)))?;
    let because = "none of its last lines tells of a failed allocation".to_owned();
    Some(ruled_out(CAUSE.id, because, "logs", last.line.clone()))
}
