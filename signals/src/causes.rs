//! The ids of the causes, in the words of those who ask.

/// Every id that a row or an incident may have as its cause, sorted. What proves each stands in `correlate`.
pub const IDS: [&str; 24] = [
    "app-error",
    "bad-rollout",
    "clean-exit",
    "command-not-found",
    "config-changed",
    "config-missing",
    "deleted-by-hand",
    "dependency-down",
    "evicted-storage-limit",
    "grace-exceeded",
    "image-pull",
    "init-failed",
    "insufficient-evidence",
    "job-failed",
    "killed-by-signal",
    "liveness-failed",
    "oom-limit",
    "readiness-failed",
    "restarted-by-command",
    "rollout",
    "scaled",
    "segfault",
    "sigterm",
    "startup-failed",
];
